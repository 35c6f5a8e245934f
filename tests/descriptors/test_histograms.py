"""The compiled histograms against a short and slow count over ASE's neighbour list, and against an ideal gas."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given, settings

from lodewell.crystals.batch import Batch
from lodewell.derive.pair_sums import count_pairs
from lodewell.descriptors.histograms import pair_histograms, shell_volumes
from lodewell.potentials.statistical.statistical import BIN
from tests.derive.crystals import gas, generated

CUTOFF = 6.0
BINS = 120


def between(r, low_edges, high_edges):
    """Count distances below each edge, and below each edge moved a little: rounding may put one on either side."""
    r = np.sort(r)
    return np.searchsorted(r, low_edges), np.searchsorted(r, high_edges)


def check(atoms: Atoms, cutoff: float, bins: int) -> None:
    found = pair_histograms(Batch.from_atoms([atoms]), cutoff, bins)
    i, j, r = neighbor_list("ijd", atoms, cutoff + 1e-6)
    z = atoms.numbers
    edges = np.linspace(0, cutoff, bins + 1)[1:]
    present = np.unique(z)
    assert found.pair_sz.tolist() == [[a, b] for k, a in enumerate(present) for b in present[k:]]
    for s, (a, b) in enumerate(found.pair_sz):
        here = (z[i] == a) & (z[j] == b)
        least, most = between(r[here] if a != b else np.repeat(r[here], 1), edges - 1e-6, edges + 1e-6)
        share = 0.5 if a == b else 1.0  # each pair of equal atoms is listed from both ends
        counted = np.cumsum(found.count_sh[s])
        assert (share * least <= counted + 1e-3).all()
        assert (counted <= share * most + 1e-3).all()
        ends = {(a, b), (b, a)}
        nearest = [r[(i == n) & (z[j] == q)].min(initial=99.0) for p, q in ends for n in np.flatnonzero(z == p)]
        least, most = between(np.array(nearest), edges - 1e-6, edges + 1e-6)
        contacts = np.cumsum(found.contact_sh[s])
        assert (least <= contacts).all()
        assert (contacts <= most).all()


@given(generated())
@settings(max_examples=60, deadline=None)
def test_generated_crystals_are_counted_as_ase_lists_them(atoms):
    check(atoms, CUTOFF, BINS)


def test_large_cells_go_through_the_cell_list():
    large = bulk("NaCl", "rocksalt", a=5.0, cubic=True) * (4, 4, 4)
    large.positions += np.random.default_rng(0).normal(0, 0.1, large.positions.shape)
    assert len(large) > 400
    check(large, 4.0, 80)


def test_large_cells_count_as_small_ones():
    """A supercell of more than 400 atoms has the same pair correlation as its unit cell, by another path."""
    unit = bulk("NaCl", "rocksalt", a=5.013, cubic=True)
    unit.positions += np.random.default_rng(1).normal(0, 0.1, unit.positions.shape)
    both = pair_histograms(Batch.from_atoms([unit, unit * (5, 4, 4)]), 9.0, 180)
    np.testing.assert_allclose(both.g_sh(9.0)[:3], both.g_sh(9.0)[3:], atol=1e-4)
    np.testing.assert_allclose(both.contact_sh[:3] * 80, both.contact_sh[3:], atol=1e-9)


def test_a_batch_is_one_by_one():
    crystals = [gas(1, 5, 6.0), bulk("Cu"), gas(2, 12, 5.0, (3, 8, 15))]
    together = pair_histograms(Batch.from_atoms(crystals), CUTOFF, BINS)
    apart = [pair_histograms(Batch.from_atoms([a]), CUTOFF, BINS) for a in crystals]
    np.testing.assert_array_equal(together.count_sh, np.concatenate([h.count_sh for h in apart]))
    np.testing.assert_array_equal(together.contact_sh, np.concatenate([h.contact_sh for h in apart]))
    assert together.crystal_s.tolist() == [0] * 3 + [1] + [2] * 6


def test_shells_fill_the_sphere():
    assert shell_volumes(BINS, CUTOFF).sum() == pytest.approx(4 / 3 * np.pi * CUTOFF**3)
    # Exact, not 4πr²Δr: the innermost shell is a ball.
    assert shell_volumes(10, 1.0)[0] == pytest.approx(4 / 3 * np.pi * 1e-3)


def test_an_ideal_gas_has_no_structure():
    """Averaged over shells and gases g is 1, for equal and unequal elements, and smoothing keeps it there.

    A Gaussian that is not normalised would multiply it by σ√(2π)/Δr = 6: a known trap.
    """
    found = count_pairs(Batch.from_atoms([gas(seed) for seed in range(6)]), 8.0, 0.12)
    centres = BIN * (np.arange(160) + 0.5)
    far = centres > 2.0
    weight = centres[far] ** 2
    for pair in ([3, 3], [3, 8], [8, 8]):
        rows = (found.pair_sz == pair).all(axis=1)
        # An atom is no neighbour of itself: of N equal ones, N - 1 are left.
        wanted = 1.0 - 1 / 150 if pair[0] == pair[1] else 1.0
        for g_sh in (found.g_sh, found.smooth_sh):
            assert np.average(g_sh[rows].mean(axis=0)[far], weights=weight) == pytest.approx(wanted, abs=0.012)
    # No shell stands out either, beyond the noise of its number of pairs.
    smooth = found.smooth_sh.mean(axis=0)[centres > 4.0]
    assert np.abs(smooth - 1.0).max() < 0.05


def test_smoothing_keeps_what_is_under_a_peak():
    """One cubic cell, one peak: its area stays, its width is σ."""
    found = count_pairs(Batch.from_atoms([Atoms("Po", cell=[3.325] * 3, pbc=True)]), 6.0, 0.12)
    centres = BIN * (np.arange(120) + 0.5)
    first = (centres > 2.7) & (centres < 3.95)
    raw, smooth = found.g_sh[0, first].astype(float), found.smooth_sh[0, first].astype(float)
    assert np.count_nonzero(raw) == 1
    assert smooth.sum() == pytest.approx(raw.sum(), rel=1e-4)
    mean = np.average(centres[first], weights=smooth)
    assert mean == pytest.approx(3.325, abs=0.003)
    assert np.sqrt(np.average((centres[first] - mean) ** 2, weights=smooth)) == pytest.approx(0.12, rel=0.02)
