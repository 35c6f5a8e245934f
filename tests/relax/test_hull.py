"""The convex hull of candidates against pymatgen's phase diagram, and where that has none."""

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from lodewell.relax.hull import candidates_hull
from lodewell.report.hull import can_draw, draw_hull


def random_candidates(elements, count, seed, pure=True):
    rng = np.random.default_rng(seed)
    formulas, energies = (list(elements), [0.0] * len(elements)) if pure else ([], [])
    while len(formulas) < count:
        amounts = rng.integers(0, 5, len(elements))
        if amounts.any():
            share = amounts / amounts.sum()
            formulas.append("".join(f"{e}{n}" for e, n in zip(elements, amounts, strict=True) if n))
            energies.append(float(rng.normal(0.0, 0.1) - 2.0 * (share * (1.0 - share)).sum()))
    return formulas, energies


@pytest.mark.parametrize(("elements", "count"), [("AB", 40), ("ABC", 80), ("ABCD", 500), ("ABCDE", 60)])
def test_heights_are_those_of_pymatgen(elements, count):
    symbols = ["Li", "Fe", "P", "O", "S"][: len(elements)]
    formulas, energies = random_candidates(symbols, count, len(elements))
    compositions = [Composition(f) for f in formulas]
    entries = [PDEntry(c, e * c.num_atoms) for c, e in zip(compositions, energies, strict=True)]
    diagram = PhaseDiagram(entries)
    hull = candidates_hull(formulas, energies)
    np.testing.assert_allclose(hull.above_c, [diagram.get_e_above_hull(e) for e in entries], atol=1e-9)
    stable = {Composition(f).reduced_formula for f, on in zip(hull.formulas, hull.stable_f, strict=True) if on}
    assert stable == {e.composition.reduced_formula for e in diagram.stable_entries}


def test_no_pure_elements_are_needed():
    hull = candidates_hull(["Li2O", "Li4O2", "Fe2O3", "Li2Fe2O4", "LiCl"], [-2.0, -1.9, -1.0, -1.3, -2.2])
    mixture = (3 * -2.0 + 5 * -1.0) / 8  # Li2O + Fe2O3 -> 2 LiFeO2
    np.testing.assert_allclose(hull.above_c, [0.0, 0.1, 0.0, -1.3 - mixture, 0.0], atol=1e-9)


def test_rounds_in_groups_miss_nothing():
    """More formulas than go into one round."""
    formulas, energies = random_candidates(["Li", "P", "O"], 700, 9)
    formulas = [f"{f}Fe{k % 9 + 1}" for k, f in enumerate(formulas)]
    hull = candidates_hull(formulas, energies)
    assert len(hull.formulas) > 300
    compositions = [Composition(f) for f in formulas]
    # References far above all else, so that pymatgen has its pure elements.
    entries = [PDEntry(c, e * c.num_atoms) for c, e in zip(compositions, energies, strict=True)]
    entries += [PDEntry(Composition(e), 50.0) for e in ("Li", "P", "O", "Fe")]
    diagram = PhaseDiagram(entries)
    expected = [diagram.get_e_above_hull(e) for e in entries[: len(formulas)]]
    np.testing.assert_allclose(hull.above_c, expected, atol=1e-8)


def test_tie_lines_join_what_coexists():
    hull = candidates_hull(["Li", "O", "Li2O", "LiO"], [0.0, 0.0, -2.0, -1.9])
    pairs = {frozenset(hull.formulas[f] for f in line) for line in hull.tie_lines().tolist()}
    assert pairs == {frozenset(p) for p in [("Li", "Li2O"), ("Li2O", "LiO"), ("LiO", "O")]}


@pytest.mark.parametrize("elements", [("Li", "O"), ("Li", "P", "O"), ("Li", "Fe", "P", "O")])
def test_figures_of_two_to_four_elements(elements, tmp_path):
    hull = candidates_hull(*random_candidates(elements, 30, 1, pure=False))
    assert can_draw(hull)
    text = draw_hull(hull, tmp_path / "hull.svg").read_text()
    assert all(f">{e}<" in text or f"in {elements[0]}" in text for e in elements)
    assert not can_draw(candidates_hull(["NaCl", "NaCl"], [0.0, 1.0]))
    assert not can_draw(candidates_hull(["LiFePO4S"], [0.0]))
