"""Feature rows against differences of energies, forces and stresses of an ordinary pair table with the same curves."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols
from scipy.interpolate import BSpline

from lodewell import PairTable
from lodewell.crystals.batch import Batch
from lodewell.derive import features as f
from lodewell.derive.similar import radius_z

CUTOFF = 7.0
SEED = 5


def shaken(atoms: Atoms, seed: int = 0) -> Atoms:
    out = atoms.copy()
    out.positions += np.random.default_rng(seed).normal(0, 0.08, out.positions.shape)
    return out


def crystals() -> list[Atoms]:
    skewed = bulk("NaCl", "rocksalt", a=5.3)  # a primitive cell, two atoms
    sheared = bulk("MgO", "rocksalt", a=4.2, cubic=True)
    sheared.set_cell(sheared.cell.array @ np.array([[1, 0.1, 0], [0, 1, 0.05], [0, 0, 1]]), scale_atoms=True)
    perovskite = Atoms(
        "CaTiO3", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
        cell=[3.9, 3.9, 3.9], pbc=True,
    )  # fmt: skip
    return [shaken(skewed), bulk("Cu"), shaken(sheared), shaken(perovskite), shaken(bulk("Si"))]


def spline(coefficients_k, length):
    """Return r and u of one curve from its definition: Σ_k c_k B_k(r / length), faded out over the last Å."""
    r = np.arange(round(CUTOFF / 0.0025) + 1) * 0.0025
    knots = f.START + f.SPACING * np.arange(f.COUNT + 4)
    u = np.nan_to_num(BSpline(knots, coefficients_k, 3, extrapolate=False)(r / length))
    s = np.clip(r - CUTOFF + 1, 0, 1)
    return r, u * (1 - s**3 * (10 - 15 * s + 6 * s**2))


@pytest.fixture(scope="module")
def example():
    """Crystals, their features, random smooth coefficients for every pair of elements, and the same as a table."""
    made = crystals()
    batch = Batch.from_atoms(made)
    rows = f.features(batch, CUTOFF, SEED)
    rng = np.random.default_rng(3)
    elements = sorted({int(z) for a in made for z in a.numbers})
    k = np.arange(f.COUNT)
    curves, by_pair = {}, {}
    for p, a in enumerate(elements):
        for b in elements[p:]:
            by_pair[a, b] = rng.normal(1, 0.3) * np.cos(0.3 * k + rng.uniform(0, 6)) + 20 * np.exp(-k / 2.5)
            by_pair[a, b][-6:] *= np.array([0.8, 0.5, 0.2, 0, 0, 0])  # curves that end at zero by themselves
            curves[f"{chemical_symbols[a]}-{chemical_symbols[b]}"] = spline(by_pair[a, b], radius_z()[[a, b]].sum())
    y = np.zeros((len(made), f.ROWS))
    for b in range(len(made)):
        for s in range(rows.first_b[b], rows.first_b[b + 1]):
            y[b] += rows.value_srk[s].astype(float) @ by_pair[tuple(rows.pair_sz[s].tolist())]
    return batch, rows, y, PairTable(curves, spacing=0.0025)


def energies(table: PairTable, batch: Batch) -> np.ndarray:
    e_n, _, _ = table.compute(batch, table.neighbours(batch))
    return np.bincount(batch.crystal_n, e_n, len(batch))


def draws(batch: Batch):
    """Repeat the random numbers of `features`: directions, rattles, swaps, in this order."""
    rng = np.random.default_rng(SEED)
    count = len(batch.species_n)
    directions = rng.normal(size=(count, f.PROJECTIONS, 3))
    rattles = rng.normal(size=(len(f.RATTLES), count, 3)) * np.array(f.RATTLES)[:, None, None]
    return directions, rattles, rng


def test_forces_and_stress(example):
    batch, _, y, table = example
    directions, _, _ = draws(batch)
    for b, (atoms, found) in enumerate(zip(batch.to_atoms(), table.evaluate(batch.to_atoms()), strict=True)):
        here = slice(batch.first_b[b], batch.first_b[b + 1])
        wanted = np.einsum("nc,nmc->m", found.forces_nc, directions[here])
        np.testing.assert_allclose(y[b, : f.PROJECTIONS], wanted, atol=2e-4 * np.abs(y[b]).max() + 1e-4)
        stress = (found.stress_cc * atoms.get_volume())[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
        np.testing.assert_allclose(y[b, f.STRESS : f.STRESS + 6], stress, rtol=1e-3, atol=2e-3)


def test_strained_decoys(example):
    batch, _, y, table = example
    rest = energies(table, batch)
    for q, strain in enumerate(f.STRAINS):
        moved = batch.moved(batch.positions_nc * (1 + strain), batch.cell_bcc * (1 + strain))
        np.testing.assert_allclose(y[:, f.STRAINED + q], energies(table, moved) - rest, rtol=1e-4, atol=2e-3)


def test_rattled_decoys(example):
    batch, rows, y, table = example
    _, rattles, _ = draws(batch)
    rest = energies(table, batch)
    for q in range(len(f.RATTLES)):
        moved = batch.moved(batch.positions_nc + rattles[q])
        np.testing.assert_allclose(y[:, f.RATTLED + q], energies(table, moved) - rest, rtol=1e-4, atol=2e-3)
        squares = np.bincount(batch.crystal_n, (rattles[q] ** 2).sum(axis=1))
        np.testing.assert_allclose(rows.shaken_bj[:, q], squares)


def test_swapped_decoys(example):
    """Two atoms of different elements have changed places; a crystal of one element has none such, and 0."""
    batch, _, y, table = example
    _, _, rng = draws(batch)
    types = np.concatenate([np.unique(z, return_inverse=True)[1] for z in (a.numbers for a in batch.to_atoms())])
    swapped = f._swapped(types, batch.first_b, rng)
    rest = energies(table, batch)
    for q in range(f.SWAPS):
        species = np.concatenate(
            [np.unique(a.numbers)[swapped[q, s]] for a, s in zip(batch.to_atoms(), batch.slices, strict=True)]
        )
        changed = np.bincount(batch.crystal_n, species != batch.species_n)
        assert changed.tolist() == [2, 0, 2, 2, 0]
        other = Batch(species, batch.positions_nc, batch.cell_bcc, batch.pbc_bc, batch.first_b)
        np.testing.assert_allclose(y[:, f.SWAPPED + q], energies(table, other) - rest, rtol=1e-4, atol=2e-3)


def test_second_derivatives(example):
    """The trace of the Hessian from differences of forces, the bulk curvature from those of energies."""
    batch, _, y, table = example
    step, trace = 1e-3, np.zeros(len(batch))
    longest = int(batch.count_b.max())
    for n in range(longest):
        has = np.flatnonzero(batch.count_b > n)
        atoms = batch.first_b[has] + n
        for c in range(3):
            sides = []
            for sign in (-1, 1):
                x = batch.positions_nc.copy()
                x[atoms, c] += sign * step
                moved = batch.moved(x)
                sides.append(table.compute(moved, table.neighbours(moved))[1][atoms, c])
            trace[has] -= (sides[1] - sides[0]) / (2 * step)
    np.testing.assert_allclose(y[:, f.HESSIAN], trace, rtol=2e-3, atol=2e-2)
    e = [energies(table, batch.moved(batch.positions_nc * (1 + s), batch.cell_bcc * (1 + s))) for s in (-step, 0, step)]
    np.testing.assert_allclose(y[:, f.BULK], (e[0] - 2 * e[1] + e[2]) / step**2, rtol=2e-3, atol=0.5)


def test_features_do_not_depend_on_the_neighbours_in_a_batch():
    made = crystals()[:3]
    alone, together = (
        f.features(Batch.from_atoms([made[0]]), CUTOFF, SEED),
        f.features(Batch.from_atoms(made), CUTOFF, SEED),
    )
    fixed = [*range(f.STRESS, f.SWAPPED)]  # the other rows are random
    np.testing.assert_allclose(together.value_srk[:3][:, fixed], alone.value_srk[:, fixed], rtol=1e-5, atol=1e-4)
