"""Labels that contradict each other: units, signs and orders are found by what energies, forces and stresses share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import Bohr, GPa, Hartree, Rydberg, kcal, kJ, mol
from tests.crystals.labelled import write

import lodewell
from lodewell import Coulomb, Labelled, Morse
from lodewell.crystals.labels.consistency import Consistency
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.model import QuickModel
from lodewell.crystals.labels.read import read_labels
from lodewell.crystals.labels.survey import survey_labels
from lodewell.crystals.labels.units import shear_order
from lodewell.errors import BadFile
from lodewell.potentials.ionic.ionic import BornMayer

NAMES = LabelKeys(energy="E", forces="F", stress="S")
VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
SIX = np.array([[0, 0], [1, 1], [2, 2], [1, 2], [0, 2], [0, 1]])
LATTICE = {"strained": (0.03, 0.0), "rattled": (0.0, 0.1), "both": (0.03, 0.1)}


def emt(kind: str, random: bool = False, count: int = 30, seed: int = 0) -> list[Labelled]:
    """Small cells of two or three elements with labels of effective-medium theory."""
    rng = np.random.default_rng(seed)
    strain, rattle = LATTICE[kind]
    out = []
    for k in range(count):
        atoms = bulk("Cu", a=3.75, cubic=True)
        atoms.numbers[0] = 13
        if random:
            atoms *= (2, 1, 1)
            atoms.numbers[:] = rng.choice([13, 28, 29], len(atoms))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, strain, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, rattle, (len(atoms), 3))
        atoms.calc = EMT()
        stress_cc = atoms.get_stress(voigt=False)
        out.append(Labelled(atoms, atoms.get_potential_energy(), atoms.get_forces(), stress_cc, frame=k))
    return out


@pytest.fixture(scope="module")
def sets() -> dict[str, list[Labelled]]:
    return {"both": emt("both"), "random": emt("both", random=True), "rattled": emt("rattled"),
            "strained": emt("strained")}  # fmt: skip


def verdict(frames: list[Labelled], names: LabelKeys = NAMES) -> tuple[str | None, list[str]]:
    consistency = Consistency()
    for frame in frames:
        consistency.add(frame)
    return consistency.verdict(names)


def energy(unit: float) -> Callable[[Labelled], Labelled]:
    return lambda f: replace(f, energy=(f.energy or 0.0) / unit)


def forces(unit: float) -> Callable[[Labelled], Labelled]:
    return lambda f: replace(f, forces_nc=f.forces_nc / unit)


def stress(unit: float) -> Callable[[Labelled], Labelled]:
    return lambda f: replace(f, stress_cc=f.stress_cc / unit)


def order(*places: int) -> Callable[[Labelled], Labelled]:
    """Write six components in another order than they are read."""
    return lambda f: replace(f, stress_cc=f.stress_cc[SIX[:, 0], SIX[:, 1]][list(places)][VOIGT])


FORCES = [
    (forces(-1.0), "'F' seems to be of the wrong sign .*: multiply by -1"),
    (forces(Hartree / Bohr), "'F' seems to be in Hartree/Bohr: multiply by 51.422"),
    (forces(Rydberg / Bohr), "'F' seems to be in Rydberg/Bohr: multiply by 25.711"),
    (forces(kcal / mol), "'F' seems to be in kcal/mol/Å: divide by 23.06"),
    (forces(kJ / mol), "'F' seems to be in kJ/mol/Å: divide by 96.48"),
]
OTHERS = [
    (energy(Hartree), "'E' seems to be in Hartree: multiply by 27.2114"),
    (energy(Rydberg), "'E' seems to be in Rydberg: multiply by 13.6057"),
    (energy(kcal / mol), "'E' seems to be in kcal/mol: divide by 23.06"),
    (stress(GPa), "'S' seems to be in GPa: divide by 160.218"),
    (stress(-0.1 * GPa), "'S' seems to be in kbar and of the wrong sign: divide by -1602.18"),
    (lambda f: replace(f, stress_cc=-f.stress_cc * f.atoms.get_volume()), "'S' seems to be a virial .*--virial-key S"),
    (order(0, 1, 2, 5, 3, 4), "shears of 'S' .* VASP's order xx yy zz xy yz zx"),
    (order(0, 1, 2, 5, 4, 3), "shears of 'S' .* the order xx yy zz xy xz yz"),
]


@pytest.mark.parametrize("name", ["both", "random", "rattled"])
@pytest.mark.parametrize(("spoil", "words"), [*FORCES, *OTHERS])
def test_each_fault_is_named_with_its_factor_and_cure(sets, name, spoil, words):
    why, _ = verdict([spoil(f) for f in sets[name]])
    assert why is not None
    with pytest.raises(BadFile, match=words):
        raise BadFile(why)


@pytest.mark.parametrize(("spoil", "words"), OTHERS)
def test_so_it_is_where_symmetry_leaves_no_forces(sets, spoil, words):
    assert np.abs([f.forces_nc for f in sets["strained"]]).max() < 1e-10
    with pytest.raises(BadFile, match=words):
        raise BadFile(str(verdict([spoil(f) for f in sets["strained"]])[0]))


@pytest.mark.parametrize(("spoil", "words"), FORCES)
def test_forces_are_held_against_energies_alone(sets, spoil, words):
    """Without stresses another label may explain the factor as well; it is named too."""
    with pytest.raises(BadFile, match=words):
        raise BadFile(str(verdict([replace(spoil(f), stress_cc=None) for f in sets["random"]])[0]))


def test_a_stress_called_virial(sets):
    """What is read as a virial has been divided by minus the volume once too often."""
    spoilt = [replace(f, stress_cc=-f.stress_cc / f.atoms.get_volume()) for f in sets["both"]]
    why, _ = verdict(spoilt, LabelKeys(virial="W"))
    assert why is not None
    assert "'W' seems to be a stress (eV/Å^3): give it as --stress-key" in why


def test_sound_labels_raise_no_alarm(sets):
    """EMT, an ionic model of long range, a pair potential: from 8 frames on, ordered, random, strained or not."""
    rng = np.random.default_rng(3)
    for frames in sets.values():
        for count in (8, 12, 30):
            assert verdict(frames[:count])[0] is None
            assert verdict([replace(f, stress_cc=None) for f in frames[:count]])[0] is None
    salt = Coulomb({"Na": 1.0, "Cl": -1.0}) + BornMayer({"Na-Cl": (1256.0, 0.317), "Cl-Cl": (3485.0, 0.29)})
    copper = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=6.0)
    for potential, cell in ((salt, bulk("NaCl", "rocksalt", a=5.64)), (copper, bulk("Cu", a=3.65) * (2, 1, 1))):
        for strain, rattle in LATTICE.values():
            crystals: list[Atoms] = []
            for _ in range(12):
                atoms = cell.copy()
                atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, strain, (3, 3))), scale_atoms=True)
                atoms.positions += rng.normal(0, rattle, (len(atoms), 3))
                crystals.append(atoms)
            results = potential.evaluate(crystals)
            frames = [Labelled(a, r.energy, r.forces_nc, r.stress_cc) for a, r in zip(crystals, results, strict=True)]
            assert verdict(frames)[0] is None


def test_labels_without_a_pattern_are_left_alone(sets):
    """Numbers that have nothing to do with each other tell of no unit."""
    rng = np.random.default_rng(5)
    noise = [
        replace(f, energy=float(rng.normal()), forces_nc=rng.normal(size=(4, 3)), stress_cc=None) for f in sets["both"]
    ]
    assert verdict(noise)[0] is None


def test_every_door_refuses_and_can_be_told_to_go_on(sets, tmp_path):
    crystals = []
    for frame in sets["both"]:
        atoms = frame.atoms.copy()
        atoms.info |= {"REF_energy": frame.energy, "REF_stress": frame.stress_cc}
        atoms.arrays["REF_forces"] = -frame.forces_nc
        crystals.append(atoms)
    path = write(tmp_path / "gradient.extxyz", crystals)
    morse = Morse({"Cu-Cu": (0.34, 1.36, 2.87), "Al-Cu": (0.3, 1.3, 2.8), "Al-Al": (0.3, 1.2, 2.9)}, cutoff=6.0)
    words = r"gradient.extxyz: labels contradict each other: .*'REF_forces' seems to be of the wrong sign"
    with pytest.raises(BadFile, match=words):
        survey_labels(path)
    with pytest.raises(BadFile, match=words):
        lodewell.test(morse, path)
    with pytest.raises(BadFile, match=words):
        lodewell.compare({"morse": morse}, path, seconds=0.0)
    assert survey_labels(path, forces=False).frames == 30
    assert "wrong sign" in survey_labels(path, contradictions="note").notes[-1]
    assert "wrong sign" in lodewell.test(morse, path, contradictions="note").notes[-1]
    assert lodewell.compare({"morse": morse}, path, seconds=0.0, contradictions="note").rows[0].errors.overall.frames


def test_the_quick_model_is_its_own_derivative():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.rattle(0.2, seed=1)
    model = QuickModel.of([atoms])
    assert model is not None
    rows, h = model.rows(atoms), 1e-5
    moved = [atoms.copy() for _ in range(2)]
    for sign, other in zip((1, -1), moved, strict=True):
        other.positions[2, 1] += sign * h
    slope_m = (model.rows(moved[0]).energy_m - model.rows(moved[1]).energy_m) / (2 * h)
    np.testing.assert_allclose(rows.forces_ncm[2, 1], -slope_m, atol=1e-7)
    for a, b in SIX:
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5 * h
        strain[b, a] += 0.5 * h
        both = [atoms.copy() for _ in range(2)]
        for sign, other in zip((1, -1), both, strict=True):
            other.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
        slope_m = (model.rows(both[0]).energy_m - model.rows(both[1]).energy_m) / (2 * h)
        np.testing.assert_allclose(0.5 * (rows.strain_ccm[a, b] + rows.strain_ccm[b, a]), slope_m, atol=1e-6)


def test_moduli_of_a_stable_crystal_tell_the_order_of_shears():
    """The trace of a positive definite matrix exceeds its sum over any other order of columns."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        half = rng.normal(size=(3, 3))
        moduli = half @ half.T + np.eye(3)
        assert shear_order(moduli) == ()
    assert shear_order(np.diag([2.0, 2.5, 3.0])[[2, 0, 1]]) == ("xy", "yz", "xz")


def renamed(frames: list[Labelled], names: dict[str, str], path: Path) -> Path:
    crystals = []
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.info |= {names["energy"]: frame.energy, names["stress"]: -frame.stress_cc * frame.atoms.get_volume()
                       if "irial" in names["stress"] else frame.stress_cc}  # fmt: skip
        atoms.arrays[names["forces"]] = frame.forces_nc
        crystals.append(atoms)
    return write(path, crystals)


@pytest.mark.parametrize(
    "names",
    [("REF_energy", "REF_forces", "stress"), ("Energy", "force", "Virial"), ("ENERGY", "Forces", "Stress"),
     ("dft_Energy", "dft_Forces", "virial"), ("Ref_Energy", "REF_Forces", "ref_Stress")],
)  # fmt: skip
def test_capitals_and_a_lone_stress_are_read(sets, tmp_path, names):
    path = renamed(sets["both"], dict(zip(("energy", "forces", "stress"), names, strict=True)), tmp_path / "a.extxyz")
    for frame, found in zip(sets["both"], read_labels(path), strict=True):
        assert found.energy == pytest.approx(frame.energy, abs=1e-7)
        np.testing.assert_allclose(found.forces_nc, frame.forces_nc, atol=1e-7)
        np.testing.assert_allclose(found.stress_cc, frame.stress_cc, atol=1e-7)
        assert not set(names) & {*found.atoms.info, *found.atoms.arrays}
    survey = survey_labels(path)
    assert (survey.energies, survey.forces, survey.stresses, survey.notes) == (30, 30, 30, ())


def test_labels_that_are_not_read_are_named(sets, tmp_path):
    odd = {"energy": "TotEnergy", "forces": "REF_forces", "stress": "my_virial"}
    notes = survey_labels(renamed(sets["both"], odd, tmp_path / "a.extxyz")).notes
    assert any("'TotEnergy' stands in the file; did you mean --energy-key TotEnergy?" in note for note in notes)
    assert any("'my_virial' stands in the file; did you mean --virial-key my_virial?" in note for note in notes)
    path = renamed(sets["both"], {"energy": "E", "forces": "Forces", "stress": "S"}, tmp_path / "b.extxyz")
    morse = Morse({"Cu-Cu": (0.34, 1.36, 2.87), "Al-Cu": (0.3, 1.3, 2.8), "Al-Al": (0.3, 1.2, 2.9)}, cutoff=6.0)
    assert lodewell.test(morse, path).force.count


def test_a_lone_stress_beside_two_families_is_named_and_not_guessed(sets, tmp_path):
    crystals = []
    for frame in sets["both"]:
        atoms = frame.atoms.copy()
        atoms.info |= {"REF_energy": frame.energy, "energy": 5.0, "stress": frame.stress_cc}
        atoms.arrays["REF_forces"], atoms.arrays["forces"] = frame.forces_nc, np.zeros((len(atoms), 3))
        crystals.append(atoms)
    survey = survey_labels(write(tmp_path / "a.extxyz", crystals))
    assert survey.stresses == 0
    assert any("'stress' stands in the file; did you mean --stress-key stress?" in note for note in survey.notes)
