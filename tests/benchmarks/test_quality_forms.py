"""The prototypes behind `benchmarks/quality/forms.py`: their rows of features against energies of their potentials."""

import numpy as np
import pytest
from ase.build import bulk

import lodewell
from benchmarks.quality import embedding
from benchmarks.quality.thermal import _hessian, thermal
from lodewell.crystals.batch import Batch
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions
from lodewell.derive.features import (
    COUNT,
    PROJECTIONS,
    RATTLED,
    STRAINED,
    STRAINS,
    STRESS,
    SWAPPED,
    SWAPS,
    _swapped,
)
from lodewell.descriptors.histograms import _slots


def test_rows_of_densities_are_differences_of_energies():
    """Rows times coefficients: what decoys cost, projected forces, and the stress, of a rattled rock salt."""
    usual = np.zeros((119, 119))
    for a, b, length in ((11, 11, 3.6), (11, 17, 2.8), (17, 17, 3.9)):
        usual[a, b] = usual[b, a] = length
    rng = np.random.default_rng(0)
    u_zk = np.zeros((119, COUNT))
    u_zk[[11, 17]] = rng.normal(size=(2, COUNT))
    potential = embedding.Embedding(usual, u_zk, 1.0, 11.0)
    atoms = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    atoms.rattle(0.1, seed=1)
    batch = Batch.from_atoms(atoms)
    types_n = _slots(batch.species_n, batch.first_b)[3]
    swapped = _swapped(types_n, batch.first_b, rng)
    directions = rng.normal(size=(len(atoms), PROJECTIONS, 3))
    shaken = 0.1 * rng.normal(size=(3, len(atoms), 3))
    value, first_b, elements = embedding.rows(batch, types_n, swapped, directions, shaken, usual)
    assert first_b.tolist() == [0, 2]
    assert elements.tolist() == [11, 17]
    y = np.einsum("srk,sk->r", value.astype(float), u_zk[elements])

    def energy(positions=atoms.positions, cell=atoms.cell.array, numbers=atoms.numbers):
        moved = atoms.copy()
        moved.set_cell(cell)
        moved.positions, moved.numbers = positions, numbers
        return potential.evaluate(moved)[0].energy

    (own,) = potential.evaluate(atoms)
    for q, strain in enumerate(STRAINS):
        grown = energy(atoms.positions * (1 + strain), atoms.cell.array * (1 + strain))
        assert y[STRAINED + q] == pytest.approx(grown - own.energy, abs=1e-3)
    for q in range(len(shaken)):
        assert y[RATTLED + q] == pytest.approx(energy(atoms.positions + shaken[q]) - own.energy, abs=1e-3)
    for q in range(SWAPS):
        other = energy(numbers=np.array([11, 17])[swapped[q]])
        assert y[SWAPPED + q] == pytest.approx(other - own.energy, abs=1e-3)
    for q in range(PROJECTIONS):
        along = float((own.forces_nc * directions[:, q]).sum())
        assert y[q] == pytest.approx(along, abs=0.02 * abs(own.forces_nc).max() * len(atoms))
    stress = [-own.virial_cc[a, c] for a, c in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(y[STRESS : STRESS + 6], stress, atol=0.02 * np.abs(stress).max())


def test_heat_moves_atoms_along_what_is_soft():
    """The second derivatives are those of the energy, and thermal displacements cost less than random ones."""
    table = lodewell.load("spp").in_eV(1.0)
    atoms = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    atoms.rattle(0.02, seed=2)
    batch = Batch.from_atoms(atoms)
    n, curves = table.neighbours(batch), table.curves
    x, shift = np.empty((len(atoms), 3)), np.empty((most_images(n.reach_bc), 3))
    wrapped_positions(batch.positions_nc, batch.cell_bcc[0], n.wraps_nc, x)
    shift_vectors(batch.cell_bcc[0], n.reach_bc[0], shift)
    types = table._type_z[batch.species_n]
    hessian = _hessian(
        x, shift, n.first_n, n.last_n, n.j_p, n.image_p, table._curve_vtt[0][np.ix_(types, types)],
        curves.coefficients_skx, curves.origin, curves.spacing, table.cutoff,
    )  # fmt: skip
    step = 1e-4
    for k in (0, 13):
        forces = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.ravel()[k] += sign * step
            forces.append(table.evaluate(moved)[0].forces_nc.ravel())
        np.testing.assert_allclose(hessian[k], (forces[1] - forces[0]) / (2 * step), atol=1e-3 * abs(hessian).max())
    moved, _ = thermal(table, batch, 0)
    assert np.allclose(np.sqrt((moved**2).mean(axis=(1, 2))), 0.1)
    random = 0.1 * np.random.default_rng(1).normal(size=(20, len(atoms) * 3))
    soft = [u.ravel() @ hessian @ u.ravel() for u in moved]
    assert max(soft) < np.median([u @ hessian @ u for u in random])
