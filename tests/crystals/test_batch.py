"""Packing crystals into flat arrays and taking them apart again."""

import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from lodewell import Batch, Morse, relax
from lodewell.crystals.batch import complete_cells
from lodewell.crystals.neighbours.neighbours import neighbour_list
from lodewell.potentials.base import spatial_order


def members() -> list[Atoms]:
    slab = bulk("Cu", cubic=True)
    slab.pbc = [True, True, False]
    return [bulk("NaCl", "rocksalt", a=5.6), molecule("H2O"), slab, Atoms("Ar", cell=[3, 4, 5], pbc=True)]


def test_what_is_packed_is_unpacked():
    atoms = members()
    batch = Batch.from_atoms(atoms)
    assert len(batch) == 4
    assert batch.first_b.tolist() == [0, 2, 5, 9, 10]
    assert batch.count_b.tolist() == [2, 3, 4, 1]
    assert batch.crystal_n.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2, 3]
    assert batch.volume_b == pytest.approx([a.cell.volume for a in atoms])
    assert batch.to_atoms() == atoms


@pytest.mark.parametrize("chosen", [[2, 0], np.array([1]), [True, False, False, True], [], [3, 3]])
def test_take_keeps_crystals_in_the_order_asked_for(chosen):
    atoms = members()
    index = np.arange(4)[np.array(chosen, dtype=bool if chosen is not None and len(chosen) == 4 else int)]
    assert Batch.from_atoms(atoms).take(chosen).to_atoms() == [atoms[k] for k in index]


def test_arrays_of_any_make_become_the_one_the_kernels_know():
    batch = Batch.from_atoms(members())
    positions = np.asfortranarray(batch.positions_nc)
    cells = batch.cell_bcc.astype(np.float32)
    cells.flags.writeable = False
    other = Batch(batch.species_n.astype(np.uint8), positions, cells, batch.pbc_bc.astype(int), batch.first_b[::1])
    for name in ("species_n", "positions_nc", "cell_bcc", "pbc_bc", "first_b"):
        got, wanted = getattr(other, name), getattr(batch, name)
        assert got.dtype == wanted.dtype
        assert got.flags.c_contiguous
        assert got.flags.writeable
        assert np.allclose(got, wanted)
    assert batch.moved(batch.positions_nc).positions_nc is batch.positions_nc


def test_incomplete_cells_are_completed_across_what_is_there():
    wire = np.diag([2.0, 0.0, 0.0])
    slab = np.array([[3.0, 0.0, 0.0], [1.0, 4.0, 0.0], [4.0, 4.0, 0.0]])
    whole = np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]])
    pbc = np.array([[True, False, False], [True, True, False], [True, True, True], [False, False, False]])
    cells = complete_cells(np.array([wire, slab, whole, 0 * whole]), pbc)
    for cell, before, periodic in zip(cells, (wire, slab, whole, 0 * whole), pbc, strict=True):
        assert np.array_equal(cell[periodic], before[periodic])
        free = cell[~periodic]
        assert np.allclose(free @ free.T, np.eye(len(free)))
        assert np.allclose(free @ cell[periodic].T, 0.0, atol=1e-12)
        assert abs(np.linalg.det(cell)) > 0.5


def test_large_crystals_are_sorted_in_space_and_results_come_back_in_order():
    atoms = bulk("Cu", cubic=True) * (18, 18, 18)
    atoms.rattle(0.05, seed=1)
    shuffled = np.random.default_rng(0).permutation(len(atoms))
    order = spatial_order(Batch.from_atoms(atoms))
    assert np.array_equal(np.sort(order), np.arange(len(atoms)))
    morse = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=4.0)
    (a,), (b,) = morse.evaluate(atoms), morse.evaluate(atoms[shuffled])
    assert a.energy == pytest.approx(b.energy, rel=1e-12)
    assert np.allclose(a.forces_nc[shuffled], b.forces_nc, atol=1e-11)
    assert np.allclose(a.energies_n[shuffled], b.energies_n, atol=1e-11)


SHEARS = {
    "one edge": [[1, 0, 0], [50, 1, 0], [0, 0, 1]],
    "two edges": [[1, 0, 0], [50, 1, 0], [0, 50, 1]],
    "all edges": [[1, 0, 0], [50, 1, 0], [50, 50, 1]],
    "thousandfold": [[1, 0, 0], [1000, 1, 0], [-1000, 1000, 1]],
    "left-handed": [[0, 1, 0], [1, 50, 0], [50, 0, 1]],
}


@pytest.mark.parametrize("shear", SHEARS)
@pytest.mark.parametrize("repeat", [1, 4])
def test_a_sheared_cell_is_the_same_crystal_and_as_quick(shear, repeat):
    """50-fold shears were refused as cells without a volume, or took a thousand times as long."""
    plain = bulk("Cu", cubic=True) * (repeat, repeat, repeat)
    plain.rattle(0.05, seed=1)
    sheared = plain.copy()
    sheared.set_cell(np.array(SHEARS[shear]) @ plain.cell.array, scale_atoms=False)
    potential = Morse({"Cu-Cu": (0.34, 1.36, 2.87)}, cutoff=6.0)
    (wanted,) = potential.evaluate(plain)
    began = time.perf_counter()
    (found,) = potential.evaluate(sheared)
    assert time.perf_counter() - began < 0.1
    assert found.energy == pytest.approx(wanted.energy, rel=1e-12)
    np.testing.assert_allclose(found.forces_nc, wanted.forces_nc, atol=1e-10)
    np.testing.assert_allclose(found.stress_cc, wanted.stress_cc, atol=1e-12)


@pytest.mark.parametrize("shear", SHEARS)
def test_the_list_of_a_sheared_cell_counts_its_own_vectors(shear):
    plain = bulk("Cu", cubic=True)
    plain.rattle(0.05, seed=1)
    sheared = plain.copy()
    sheared.set_cell(np.array(SHEARS[shear]) @ plain.cell.array, scale_atoms=False)
    wanted, (i_p, j_p, shift_pc, vector_pc) = neighbour_list(plain, 4.0), neighbour_list(sheared, 4.0)
    assert len(i_p) == len(wanted[0]) == 4 * 18
    apart = sheared.positions[j_p] + shift_pc @ sheared.cell.array - sheared.positions[i_p]
    np.testing.assert_allclose(apart, vector_pc, atol=1e-6 if shear == "thousandfold" else 1e-9)
    np.testing.assert_allclose(*(np.sort(np.linalg.norm(v, axis=1)) for v in (vector_pc, wanted[3])), atol=1e-9)


def test_a_sheared_crystal_relaxes_to_the_same_minimum():
    plain = bulk("Cu", a=3.7, cubic=True)
    sheared = plain.copy()
    sheared.set_cell(np.array(SHEARS["all edges"]) @ plain.cell.array, scale_atoms=False)
    potential = Morse({"Cu-Cu": (0.34, 1.36, 2.87)}, cutoff=6.0)
    one, other = relax([plain, sheared], potential)
    assert (one.status, other.status) == ("converged", "converged")
    assert other.energy_per_atom == pytest.approx(one.energy_per_atom, abs=1e-6)
    assert other.volume_per_atom == pytest.approx(one.volume_per_atom, rel=1e-4)
    assert other.duplicate_of == 0 or one.duplicate_of == 1


def test_other_cells_are_left_as_they_are():
    needle = Atoms("Cu", cell=[[2.5, 0, 0], [0, 2.5, 0], [0, 0, 250.0]], pbc=True)
    slanted = Atoms("Cu", cell=[[3, 0, 0], [30, 3, 0], [0, 0, 3]], pbc=True)
    flat = Atoms("Cu", cell=[[3, 0, 0], [300, 0, 0], [0, 0, 3]], pbc=True)
    molecule = Atoms("Cu")
    for atoms in (needle, slanted, flat, molecule):
        assert np.array_equal(Batch.from_atoms(atoms).cell_bcc[0], atoms.cell.array)
