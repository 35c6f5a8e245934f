"""How many coefficients a UF fit has, and what memory, before it begins."""

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest

from lodewell.errors import BadOption
from lodewell.fit.distances import Distances
from lodewell.fit.uf.options import UFOptions
from lodewell.fit.uf.size import AFFORDABLE, affordable
from lodewell.fit.uf.space import lay_out

SPECIES = (13, 28, 29, 30)


def layout(count, options):
    """Lay out splines of so many elements, every pair from 2.2 Å on, and choose what can be afforded."""
    species = SPECIES[:count]
    pairs = list(combinations_with_replacement(species, 2))
    distances = Distances({pair: np.ones(400) for pair in pairs}, dict.fromkeys(pairs, 2.2), 100)
    return affordable(lambda tried: lay_out(distances, species, tried), replace(options, cutoff=6.0, cutoff_3body=4.3))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_default_fit_is_affordable_for_one_to_four_elements(count):
    basis, notes = layout(count, UFOptions())
    assert basis.columns <= AFFORDABLE
    assert len(basis.blocks) == count * count * (count + 1) // 2
    assert len(notes) == (count > 1)
    if notes:
        assert f"{basis.columns:,} coefficients" in notes[0]
        assert "--intervals-3body" in notes[0]


def test_intervals_that_were_asked_for_are_taken():
    basis, notes = layout(3, UFOptions(intervals_3body=6))
    assert basis.columns > AFFORDABLE
    assert {len(axis.edge_i) - 1 for axis in basis.blocks[13, 13, 13].axes[:2]} == {9}  # three lie where no data are
    assert not notes


def test_a_refusal_says_which_number_would_do():
    with pytest.raises(BadOption, match=r"coefficients of 3 elements .* --intervals-3body \d+ makes [\d,]+") as refusal:
        layout(3, UFOptions(intervals_3body=12))
    told = int(str(refusal.value).split("--intervals-3body ")[1].split()[0])
    size = layout(3, UFOptions(intervals_3body=told))[0].columns
    assert f"makes {size:,}" in str(refusal.value)
    with pytest.raises(BadOption):
        layout(3, UFOptions(intervals_3body=told + 1))
