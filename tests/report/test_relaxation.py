"""The before-and-after figure says what it shows, for none, few and many crystals."""

import numpy as np
import pytest

from lodewell import Relaxation
from lodewell.report.relaxation import draw_relaxation


def made_up(count):
    rng = np.random.default_rng(0)
    start, fall = rng.normal(-1.0, 0.3, count), rng.exponential(0.1, count)
    return [
        Relaxation("a.cif", k, None, "Cu", "converged" if k % 7 else "max steps", steps=5 + k, energy_per_atom=e - f,
                start_energy_per_atom=e, volume_per_atom=11.0 + k % 3, start_volume_per_atom=12.0)
        for k, (e, f) in enumerate(zip(start, fall, strict=True))
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 30, 300])
def test_labels_and_units(count, tmp_path):
    refused = [Relaxation("b.cif", 0, None, None, "bad input", "there are no atoms")]
    path = draw_relaxation(made_up(count) + refused, tmp_path / "figure.svg")
    drawn = path.read_text()
    for words in ("energy per atom (eV)", "volume change (%)", "steps", "bad input", "Energy before and after"):
        assert words in drawn
    assert ("nothing was relaxed" in drawn) == (count == 0)
    assert ("converged" in drawn) == (count > 1)
