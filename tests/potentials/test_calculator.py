"""The calculator inside ASE: signs, caching, skin, dynamics, phonons; and calculators as potentials."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.filters import UnitCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.phonons import Phonons

from lodewell import LennardJones, Morse
from lodewell.errors import BadCrystal, UnsupportedElement
from lodewell.potentials.calculator import FromCalculator
from lodewell.potentials.ionic.ionic import Coulomb

morse = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=6.0, switch=2.0)


def rattled(repeat=(1, 1, 2)) -> Atoms:
    atoms = bulk("Cu", cubic=True) * repeat
    atoms.rattle(0.1, seed=1)
    return atoms


def test_forces_and_stress_are_derivatives_of_the_energy():
    atoms = rattled()
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + 0.03 * np.random.default_rng(0).normal(size=(3, 3))), scale_atoms=True
    )
    atoms.calc = morse.calculator()
    assert np.allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-6)
    assert np.allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-8)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy())
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_a_stretched_crystal_pulls_and_a_squeezed_one_pushes():
    atoms = bulk("Cu", a=3.9)
    atoms.calc = morse.calculator()
    assert (atoms.get_stress()[:3] > 0).all()
    atoms.set_cell(bulk("Cu", a=3.3).cell, scale_atoms=True)
    assert (atoms.get_stress()[:3] < 0).all()


def test_a_molecule_has_forces_and_no_stress():
    atoms = Atoms("Cu3", positions=[[0, 0, 0], [2.4, 0, 0], [0.5, 2.5, 0]])
    atoms.calc = morse.calculator()
    assert np.allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-7)
    with pytest.raises(PropertyNotImplementedError, match="stress needs a cell with a volume"):
        atoms.get_stress()


def test_an_element_without_parameters_is_named():
    atoms = molecule("H2O")
    atoms.calc = morse.calculator()
    with pytest.raises(UnsupportedElement, match="H2O: this potential has no curve for H, O"):
        atoms.get_potential_energy()


def test_broken_positions_are_refused_also_midway():
    atoms = rattled()
    atoms.calc = morse.calculator()
    atoms.get_potential_energy()
    good = atoms.positions.copy()
    atoms.positions[0, 0] = np.nan
    with pytest.raises(BadCrystal, match="not finite"):
        atoms.get_potential_energy()
    atoms.positions = good
    assert np.isfinite(atoms.get_potential_energy())


def test_nothing_is_computed_twice_and_neighbours_are_kept():
    atoms = rattled()
    atoms.calc = calculator = morse.calculator(skin=0.5)
    calls = []
    inner = morse.compute
    calculator.potential = type("Counting", (Morse,), {"compute": lambda self, *a: calls.append(1) or inner(*a)})(
        morse.pairs, morse.cutoff, morse.switch
    )
    atoms.get_potential_energy()
    atoms.get_forces()
    atoms.get_stress()
    assert len(calls) == 1
    kept = calculator._kept[1]
    atoms.positions[0] += 0.05
    atoms.get_forces()
    assert len(calls) == 2
    assert calculator._kept[1] is kept
    assert kept.rebuilds == 0


@pytest.mark.parametrize("change", ["species", "count", "periodicity", "far", "cell", "another crystal"])
def test_any_change_gives_what_a_new_calculator_gives(change):
    atoms = rattled()
    calculator = morse.calculator()
    atoms.calc = calculator
    atoms.get_potential_energy()
    if change == "species":
        calculator.potential = both = morse + 0.0 * Morse({"Cu-Cu": (1.0, 1.0, 2.0)}, cutoff=4.0)
        assert atoms.get_potential_energy() == pytest.approx(both.evaluate(atoms)[0].energy)
    elif change == "count":
        del atoms[0]
    elif change == "periodicity":
        atoms.pbc = [True, False, True]
    elif change == "far":
        atoms.positions[0] += [1.0, 9.0, -30.0]
    elif change == "cell":
        atoms.set_cell(0.8 * atoms.cell.array, scale_atoms=True)
    else:
        atoms = rattled((2, 1, 1))
        atoms.calc = calculator
    (wanted,) = morse.evaluate(atoms)
    assert atoms.get_potential_energy() == pytest.approx(wanted.energy, rel=1e-12)
    assert np.allclose(atoms.get_forces(), wanted.forces_nc, atol=1e-12)
    assert np.allclose(atoms.get_stress(voigt=False), wanted.stress_cc, atol=1e-13)


def test_dynamics_conserve_energy_across_rebuilds_of_the_list():
    atoms = rattled((2, 2, 2))
    atoms.calc = morse.calculator(skin=0.2)
    rng = np.random.default_rng(0)
    atoms.set_momenta(rng.normal(0, np.sqrt(900 * units.kB * atoms.get_masses())[:, None], (len(atoms), 3)))
    start = atoms.get_total_energy()
    VelocityVerlet(atoms, 1.0 * units.fs).run(250)
    assert abs(atoms.get_total_energy() - start) < 2e-3
    assert atoms.calc._kept[1].rebuilds >= 0
    assert np.abs(atoms.get_positions(wrap=False) - rattled((2, 2, 2)).positions).max() > 0.3


def test_optimizers_and_cell_filters_find_the_lattice():
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.positions[0] += 0.1
    atoms.calc = morse.calculator()
    BFGS(UnitCellFilter(atoms), logfile=None).run(fmax=1e-3, steps=60)
    assert np.abs(atoms.get_stress()).max() < 1e-4
    lattice = bulk("Cu", a=(4 * atoms.get_volume() / len(atoms)) ** (1 / 3))
    assert morse.evaluate(lattice)[0].energy == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-4)


def test_phonons_by_displacements(tmp_path):
    """Acoustic modes vanish at Γ, and copper at its own lattice constant is stable, as phonopy would find."""
    a = min(np.linspace(3.3, 3.8, 101), key=lambda x: morse.evaluate(bulk("Cu", a=x))[0].energy)
    phonons = Phonons(
        bulk("Cu", a=a), morse.calculator(), supercell=(4, 4, 4), delta=0.01, name=str(tmp_path / "phonons")
    )
    phonons.run()
    phonons.read(acoustic=True)
    frequencies = phonons.band_structure([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5]])
    assert np.abs(frequencies[0]).max() < 1e-4
    assert frequencies[1:].min() > 5e-3
    assert frequencies.max() < 0.05


def test_a_calculator_of_another_make_keeps_its_numbers():
    atoms = rattled()
    (ours,) = FromCalculator(EMT()).evaluate(atoms)
    atoms.calc = EMT()
    assert ours.energy == pytest.approx(atoms.get_potential_energy())
    assert np.allclose(ours.forces_nc, atoms.get_forces())
    assert np.allclose(ours.stress_cc, atoms.get_stress(voigt=False))
    dimer = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.3]])
    assert FromCalculator(EMT()).evaluate(dimer)[0].stress_cc is None


SALT = Coulomb({"Na": 1.0, "Cl": -1.0})
LJ = LennardJones({"Cu-Cu": (0.4, 2.3)}, cutoff=6.0)


@pytest.mark.parametrize("potential", [morse, LJ, 0.5 * morse + LJ, FromCalculator(EMT())], ids=repr)
def test_an_element_is_refused_each_time(potential):
    """ASE reports no change on a second call; the numbers of the crystal before must not come back."""
    atoms = rattled()
    atoms.calc = potential.calculator()
    good = atoms.get_potential_energy()
    atoms.numbers[0] = 10 if isinstance(potential, FromCalculator) else 79
    for ask in (atoms.get_potential_energy, atoms.get_forces, atoms.get_stress, atoms.get_potential_energy):
        with pytest.raises((UnsupportedElement, NotImplementedError)):
            ask()
        assert atoms.calc.results == {}
    atoms.positions[1] += 0.01  # a change that is no cure
    with pytest.raises((UnsupportedElement, NotImplementedError)):
        atoms.get_potential_energy()
    atoms.positions[1] -= 0.01
    atoms.numbers[0] = 29
    assert atoms.get_potential_energy() == pytest.approx(good, abs=1e-10)


def together(atoms):
    atoms.positions[1] = atoms.positions[0]


def onto_an_image(atoms):
    atoms.positions[1] = atoms.positions[0] + 2 * atoms.cell[0] - atoms.cell[1]


def slab(atoms):
    atoms.pbc = [True, True, False]


def broken(atoms):
    atoms.positions[0, 0] = np.nan


def flat(atoms):
    atoms.cell[2] = atoms.cell[1]


@pytest.mark.parametrize(
    ("crystal", "potential", "spoil"),
    [
        (bulk("NaCl", "rocksalt", a=5.64, cubic=True), SALT, together),
        (bulk("NaCl", "rocksalt", a=5.64, cubic=True), SALT, onto_an_image),
        (bulk("NaCl", "rocksalt", a=5.64, cubic=True), SALT, slab),
        (bulk("NaCl", "rocksalt", a=5.64, cubic=True), SALT, broken),
        (rattled(), LJ, together),
        (rattled(), LJ, onto_an_image),
        (rattled(), morse, together),
        (rattled(), morse, broken),
        (rattled(), morse, flat),
        (rattled((3, 3, 6)), morse, together),
    ],
)
def test_a_crystal_that_has_become_impossible_is_refused_each_time_and_by_every_door(crystal, potential, spoil):
    """Coinciding ions have an energy of -inf, coinciding atoms of Lennard and Jones +inf: neither is a number."""
    atoms = crystal.copy()
    atoms.calc = potential.calculator()
    good = atoms.get_potential_energy()
    spoil(atoms)
    for ask in (atoms.get_potential_energy, atoms.get_potential_energy, atoms.get_forces):
        with pytest.raises(BadCrystal, match=r"same place|lattice sums are defined|not finite"):
            ask()
    with pytest.raises(BadCrystal, match=r"same place|lattice sums are defined|not finite"):
        potential.evaluate(atoms)
    atoms.positions, atoms.pbc, atoms.cell = crystal.positions, crystal.pbc, crystal.cell
    assert atoms.get_potential_energy() == pytest.approx(good, rel=1e-12)


def test_numbers_that_are_not_finite_are_never_returned():
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]])
    atoms.calc = LennardJones({"Cu-Cu": (0.4, 2.3)}, cutoff=6.0).calculator()
    atoms.get_forces()
    atoms.positions[1, 2] = 1e-5  # (σ/r)^12 is still finite here, and its derivative is 1e70
    assert np.isfinite(atoms.get_forces()).all()
    atoms.calc = Flawed().calculator()
    for _ in range(2):
        with pytest.raises(BadCrystal, match="its energy or forces are not finite"):
            atoms.get_potential_energy()


class Flawed(Morse):
    """One that overflows."""

    def __init__(self) -> None:
        super().__init__({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=6.0)

    def compute(self, batch, neighbours):
        e_n, f_nc, virial_bcc = super().compute(batch, neighbours)
        return -np.inf * np.ones_like(e_n), f_nc, virial_bcc


def test_another_potential_in_the_calculator_gives_its_own_numbers():
    atoms = rattled()
    atoms.calc = morse.calculator()
    atoms.get_potential_energy()
    atoms.calc.potential = longer = Morse({"Cu-Cu": (0.2, 1.2, 2.7)}, cutoff=9.0)
    assert atoms.get_potential_energy() == pytest.approx(longer.evaluate(atoms)[0].energy, rel=1e-12)


class Forgetful(EMT):
    """A calculator of another make with the fault: it computes what it last accepted when told that nothing changed."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        if system_changes:
            super().calculate(atoms, properties, system_changes)
        else:
            self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


def test_a_refusal_by_a_calculator_of_another_make_is_not_forgotten():
    atoms, behind = rattled(), FromCalculator(Forgetful())
    behind.evaluate(atoms)
    atoms.numbers[0] = 10
    for _ in range(3):
        with pytest.raises(NotImplementedError):
            behind.evaluate(atoms)
