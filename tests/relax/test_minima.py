"""The minima are those of ASE's own optimisers, whatever may move."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.constraints import FixAtoms, FixCartesian, FixedLine, FixedPlane, FixScaled
from ase.filters import FrechetCellFilter, UnitCellFilter
from ase.optimize import BFGS, LBFGS
from ase.units import GPa

import lodewell
from lodewell import Buckingham, LennardJones, Morse, PairTable

FMAX = 1e-4


def shaken(atoms, seed, rattle=0.06, strain=0.02):
    rng = np.random.default_rng(seed)
    out = atoms.copy()
    if strain:
        out.set_cell(out.cell.array @ (np.eye(3) + rng.uniform(-strain, strain, (3, 3))), scale_atoms=True)
    out.positions += rng.normal(0.0, rattle, out.positions.shape)
    return out


def copper():
    return Morse({"Cu-Cu": (0.34, 1.36, 2.87)}, cutoff=6.0)


def salt():
    return LennardJones({"Na-Na": (0.02, 3.0), "Na-Cl": (0.3, 2.4), "Cl-Cl": (0.02, 3.3)}, cutoff=7.0)


def table():
    r = np.linspace(0.5, 6.0, 200)
    morse = 0.34 * (np.exp(-2.72 * (r - 2.87)) - 2.0 * np.exp(-1.36 * (r - 2.87)))
    return PairTable({"Cu-Cu": (r, morse * np.cos(np.pi / 2.0 * np.clip(r - 5.0, 0.0, 1.0)) ** 2)})


def by_ase(atoms, potential, wrapper=UnitCellFilter, fmax=FMAX, optimizer=BFGS, **options):
    """Relax with ASE; its unit-cell filter needs no matrix logarithms, some milliseconds a step."""
    other = atoms.copy()
    other.calc = potential.calculator()
    with optimizer(wrapper(other, **options) if wrapper else other, logfile=None, maxstep=0.1) as run:
        assert run.run(fmax=fmax, steps=800)
    return other


def ours(atoms, potential, **options):
    (result,) = lodewell.relax(atoms, potential, fmax=options.pop("fmax", FMAX), **options)
    assert result.status == "converged", result
    return result


def same(result, other, energy=2e-6, volume=2e-3):
    assert result.energy_per_atom == pytest.approx(other.get_potential_energy() / len(other), abs=energy)
    if volume:
        assert result.atoms.get_volume() == pytest.approx(other.get_volume(), rel=volume)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("atoms", "make"),
    [
        (bulk("Cu", "fcc", a=3.67, cubic=True), copper),
        (bulk("Cu", "hcp", a=2.6, c=4.2) * (2, 1, 1), copper),
        (bulk("NaCl", "rocksalt", a=5.4, cubic=True), salt),
        (bulk("Cu", "fcc", a=3.67) * (2, 2, 2), table),
    ],
    ids=["fcc", "hcp", "rocksalt", "table"],
)
def test_free_cell(atoms, make, seed):
    start, potential = shaken(atoms, seed, 0.03, 0.005), make()
    same(ours(start, potential), by_ase(start, potential))


def test_free_cell_as_lbfgs_and_the_frechet_filter_find_it():
    start = shaken(bulk("NaCl", "rocksalt", a=5.4, cubic=True), 1, 0.04, 0.01)
    found = by_ase(start, salt(), wrapper=FrechetCellFilter, optimizer=LBFGS, fmax=5e-3)
    same(ours(start, salt()), found, energy=1e-4, volume=5e-3)


def test_the_result_really_is_a_minimum():
    result = ours(shaken(bulk("NaCl", "rocksalt", a=5.4, cubic=True), 3), salt())
    (found,) = salt().evaluate(result.atoms)
    assert np.linalg.norm(found.forces_nc, axis=1).max() < FMAX
    assert np.linalg.norm(found.virial_cc, axis=1).max() / 8 < FMAX
    assert found.energy / 8 == pytest.approx(result.energy_per_atom, abs=1e-12)
    assert result.max_force == pytest.approx(np.linalg.norm(found.forces_nc, axis=1).max(), rel=1e-6)
    assert result.volume_per_atom == pytest.approx(result.atoms.get_volume() / 8)


@pytest.mark.parametrize("pressure", [5.0, -1.0])
def test_pressure(pressure):
    start = shaken(bulk("NaCl", "rocksalt", a=5.4, cubic=True), 4, 0.03, 0.005)
    result = ours(start, salt(), pressure=pressure)
    same(result, by_ase(start, salt(), scalar_pressure=pressure * GPa))
    (found,) = salt().evaluate(result.atoms)
    np.testing.assert_allclose(found.stress_cc / GPa, -pressure * np.eye(3), atol=2e-3)


def test_fixed_cell():
    start = shaken(bulk("NaCl", "rocksalt", a=5.4, cubic=True), 5)
    result = ours(start, salt(), cell="fixed")
    np.testing.assert_array_equal(result.atoms.cell.array, start.cell.array)
    same(result, by_ase(start, salt(), wrapper=None))


def test_shape_kept():
    start = shaken(bulk("Cu", "fcc", a=3.8, cubic=True), 6)
    result = ours(start, copper(), cell="shape")
    ratio = result.atoms.cell.array / start.cell.array
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-12)
    assert ratio[0, 0] < 0.99
    same(result, by_ase(start, copper(), hydrostatic_strain=True))


def test_volume_kept():
    start = shaken(bulk("NaCl", "rocksalt", a=5.4, cubic=True), 7, 0.04, 0.02)
    result = ours(start, salt(), cell="volume")
    assert result.atoms.get_volume() == pytest.approx(start.get_volume(), rel=1e-12)
    assert not np.allclose(result.atoms.cell.array, start.cell.array, atol=1e-3)
    same(result, by_ase(start, salt(), FrechetCellFilter, 5e-3, constant_volume=True), energy=1e-4)


def test_slab_strains_in_its_plane_only():
    start = shaken(fcc111("Cu", (2, 2, 3), vacuum=8.0, periodic=False), 8, strain=0.0)
    start.set_cell(start.cell.array @ np.diag([1.02, 0.99, 1.0]), scale_atoms=True)
    result = ours(start, copper())
    np.testing.assert_allclose(result.atoms.cell.array[2], start.cell.array[2], atol=1e-12)
    assert result.volume_per_atom is None
    periodic = start.copy()
    periodic.pbc = True
    same(result, by_ase(periodic, copper(), wrapper=UnitCellFilter, mask=[1, 1, 0, 0, 0, 1]), volume=None)


def test_molecule_without_a_cell():
    start = molecule("CH4")
    start.positions += np.random.default_rng(9).normal(0.0, 0.05, (5, 3))
    potential = Morse({"C-H": (4.0, 2.0, 1.09), "H-H": (0.3, 1.5, 1.8)}, cutoff=5.0)
    result = ours(start, potential)
    same(result, by_ase(start, potential, wrapper=None), volume=None)
    assert result.volume_per_atom is None
    assert not result.atoms.cell.array.any()


@pytest.mark.parametrize(
    "constraint",
    [
        FixAtoms([0, 3]),
        FixCartesian([1, 2], mask=(True, False, True)),
        FixedPlane([0, 1], (1, 1, 0)),
        FixedLine([2, 3], (0, 1, 1)),
        FixScaled([0, 2], mask=(False, True, True)),
    ],
    ids=lambda c: type(c).__name__,
)
def test_constraints(constraint):
    start = shaken(bulk("Cu", "fcc", a=3.6, cubic=True), 10)
    start.set_constraint(constraint)
    result = ours(start, copper(), cell="fixed")
    same(result, by_ase(start, copper(), wrapper=None))
    moved = result.atoms.positions - start.positions
    if isinstance(constraint, FixAtoms):
        assert np.abs(moved[[0, 3]]).max() == 0.0
    if isinstance(constraint, FixCartesian):
        assert np.abs(moved[[1, 2]][:, [0, 2]]).max() == 0.0
        assert np.abs(moved[[1, 2], 1]).max() > 1e-3
    assert len(result.atoms.constraints) == 1


def test_fixed_atoms_ride_with_the_cell():
    start = shaken(bulk("NaCl", "rocksalt", a=5.4, cubic=True), 11, 0.04, 0.01)
    start.set_constraint(FixAtoms([1]))
    result = ours(start, salt())
    np.testing.assert_allclose(
        result.atoms.get_scaled_positions(wrap=False)[1], start.get_scaled_positions(wrap=False)[1], atol=1e-12
    )
    same(result, by_ase(start, salt()))


def test_two_constraints_on_one_atom_leave_what_both_allow():
    start = shaken(bulk("Cu", "fcc", a=3.6, cubic=True), 12)
    start.set_constraint([FixedPlane([0], (1, 1, 0)), FixedPlane([0], (0, 0, 1))])
    moved = ours(start, copper(), cell="fixed").atoms.positions[0] - start.positions[0]
    assert abs(moved[2]) < 1e-12
    assert moved[0] == pytest.approx(-moved[1])
    assert abs(moved[0]) > 1e-4


def test_left_handed_cell():
    start = shaken(bulk("NaCl", "rocksalt", a=5.4, cubic=True), 13)
    mirrored = start.copy()
    mirrored.set_cell(start.cell.array[[1, 0, 2]])
    assert mirrored.cell.handedness == -1
    a, b = ours(start, salt()), ours(mirrored, salt())
    assert a.energy_per_atom == pytest.approx(b.energy_per_atom, abs=1e-7)
    assert b.atoms.cell.handedness == -1


def test_one_atom_in_a_two_angstrom_cell():
    start = Atoms("Cu", cell=[2.0, 2.0, 2.0], pbc=True)
    result = ours(start, copper())
    same(result, by_ase(start, copper()))


def test_any_ase_calculator():
    from ase.calculators.lj import LennardJones as AseLJ

    start = shaken(bulk("Ar", "fcc", a=5.3, cubic=True), 14)
    calculator = AseLJ(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)
    (result,) = lodewell.relax(start, calculator, fmax=FMAX)
    other = start.copy()
    other.calc = calculator
    with LBFGS(FrechetCellFilter(other), logfile=None) as run:
        run.run(fmax=FMAX, steps=500)
    assert result.status == "converged"
    same(result, other)


def test_a_batch_gives_what_each_crystal_gives_alone():
    crystals = [shaken(bulk("Cu", "fcc", a=3.6, cubic=True) * (1, 1, 1 + k % 3), k) for k in range(12)]
    crystals.append(shaken(fcc111("Cu", (2, 2, 2), vacuum=6.0, periodic=False), 3, strain=0.0))
    together = lodewell.relax(crystals, copper(), duplicates=False)
    for start, result in zip(crystals, together, strict=True):
        (alone,) = lodewell.relax(start, copper())
        assert alone.steps == result.steps
        np.testing.assert_allclose(alone.atoms.positions, result.atoms.positions, atol=1e-7)
        np.testing.assert_allclose(alone.atoms.cell.array, result.atoms.cell.array, atol=1e-7)


def test_energy_never_rises_along_the_trajectory():
    potential = salt()
    (result,) = lodewell.relax(shaken(bulk("NaCl", "rocksalt", a=6.4, cubic=True), 2, 0.3), potential, trajectory=True)
    energies = [r.energy for r in potential.evaluate(list(result.trajectory))]
    assert energies[-1] / 8 == pytest.approx(result.energy_per_atom, abs=1e-12)
    accepted = np.minimum.accumulate(energies)
    assert (np.array(energies) > accepted + 1e-9).mean() < 0.3  # a few trial points are turned down
    assert result.energy_per_atom * 8 == pytest.approx(min(energies), abs=1e-9)


def test_a_sharp_cutoff_is_survived():
    potential = Buckingham({"Na-Cl": (1250.0, 0.317, 0.0), "Cl-Cl": (3500.0, 0.29, 70.0)}, cutoff=5.0, switch=0.0)
    start = shaken(bulk("NaCl", "rocksalt", a=4.6, cubic=True), 5)
    (result,) = lodewell.relax(start, potential + salt(), max_steps=300)
    assert result.status in ("converged", "max steps")
    assert np.isfinite(result.atoms.positions).all()
