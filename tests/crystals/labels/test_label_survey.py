"""What a survey of labelled crystals counts, notes and refuses, and how it knows a crystal again."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import GPa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.crystals.labelled import COPPER, labelled, rattled, write

from lodewell.crystals.labels.columns import geometry
from lodewell.crystals.labels.read import LabelKeys
from lodewell.crystals.labels.survey import survey_labels
from lodewell.errors import BadFile, BadOption


@pytest.fixture(scope="module")
def crystals() -> list[Atoms]:
    return rattled(12)


def test_a_survey_counts(tmp_path, crystals):
    some = labelled(crystals)
    for atoms in some[:4]:
        del atoms.info["REF_stress"]
    path = write(tmp_path / "a.extxyz", some)
    survey, results = survey_labels(path), COPPER.evaluate(crystals)
    assert (survey.frames, survey.atoms, survey.elements) == (12, 48, {29: 48})
    assert (survey.energies, survey.forces, survey.stresses) == (12, 12, 8)
    assert survey.config_types == {"Rattled": 6, "Strained": 6}
    energies = [r.energy / 4 - 2.0 for r in results]
    assert survey.energy_range == pytest.approx((min(energies), max(energies)))
    forces = np.concatenate([r.forces_nc for r in results])
    assert survey.force_rms == pytest.approx(np.sqrt(np.mean(forces**2)))
    assert survey.force_max == pytest.approx(np.abs(forces).max())
    stresses = np.array([r.stress_cc for r in results[4:]])
    assert survey.stress_rms == pytest.approx(np.sqrt(np.mean(stresses**2)))
    assert survey.names[0].forces == "REF_forces"
    assert survey.notes == ()
    assert dict(survey.rows())["elements"] == "Cu 48"
    assert survey.about()["elements"] == {"Cu": 48}


@pytest.mark.parametrize("unit", [27.2114, 1000.0, 1e-3])
def test_one_energy_in_another_unit_is_left_out(tmp_path, crystals, unit):
    """Frames of one composition do not differ by a hundred eV an atom."""
    some = labelled(crystals, reference=-500.0)
    some[5].info["REF_energy"] /= unit
    survey = survey_labels(write(tmp_path / "a.extxyz", some))
    (bad,) = survey.refused
    assert bad.frame == 5
    assert "where frames of the same composition have -50" in bad.why
    assert survey.frames == 11
    assert len(survey.columns) == 11


def test_energies_per_atom_are_refused(tmp_path):
    crystals = [a for n in (1, 2, 3) for a in rattled(6, seed=n, repeat=(n, 1, 1))]
    some = labelled(crystals)
    assert survey_labels(write(tmp_path / "a.extxyz", some)).frames == 18
    for atoms in some:
        atoms.info["REF_energy"] /= len(atoms)
    with pytest.raises(BadFile, match=r"energies seem to be per atom: crystals of 4 to 12 atoms"):
        survey_labels(write(tmp_path / "b.extxyz", some))


@pytest.mark.parametrize(
    ("factor", "why"),
    [
        (-1.0, "'REF_stress' seems to be of the wrong sign: positive under tension is wanted"),
        (1 / GPa, "'REF_stress' seems to be in GPa: divide by 160.218"),
        (-1 / GPa, "'REF_stress' seems to be in GPa and of the wrong sign: divide by -160.218"),
        (1 / 91.8159, "'REF_stress' seems to be in Rydberg/Bohr^3: multiply by 91.8158"),
    ],
)
def test_stresses_that_contradict_the_energies_are_refused(tmp_path, factor, why):
    """A few GPa look like eV/Å^3 in each frame alone; how energies change with strain tells."""
    some = labelled(rattled(20, strain=0.006, rattle=0.02), stress=factor)
    assert max(np.abs(a.info["REF_stress"]).max() for a in some) < 10
    path = write(tmp_path / "a.extxyz", some)
    with pytest.raises(BadFile, match=r"contradict each other: .* \(\d+ pairs of strained frames\)") as refusal:
        survey_labels(path)
    assert why in str(refusal.value)
    assert survey_labels(path, stress=False).stresses == 20


def test_one_wrong_frame_does_not_hide_that_stresses_and_energies_agree(tmp_path):
    some = labelled(rattled(20))
    some[4].info["REF_energy"] += 50.0
    assert survey_labels(write(tmp_path / "a.extxyz", some)).notes == ()


def test_stresses_in_other_units_are_refused_without_strained_frames_too(tmp_path):
    some = labelled([bulk("Cu", cubic=True), *rattled(11, strain=0.0)], stress=1 / GPa)
    for k, atoms in enumerate(some):
        atoms.info["REF_stress"] = np.clip(atoms.info["REF_stress"] + 4.0 * (-1) ** k * np.eye(3), -9, 9)
    with pytest.raises(BadFile, match=r"the stresses have an rms of .* divide them by 160.2177, if in kbar"):
        survey_labels(write(tmp_path / "a.extxyz", some))
    kbar = labelled(rattled(12), stress=10 / GPa)
    with pytest.raises(BadFile, match=r"12 more frames|11 more frames|cannot be used.*if in kbar by 1602.177"):
        survey_labels(write(tmp_path / "b.extxyz", kbar))


def test_stresses_that_are_wrong_otherwise_are_noted(tmp_path):
    (note,) = survey_labels(write(tmp_path / "a.extxyz", labelled(rattled(20, strain=0.006), stress=5.0))).notes
    assert "energies change 0.2 times as much as stresses say" in note


@pytest.mark.parametrize("pressure", [1.5, -2.5])
def test_a_constant_pressure_in_the_stresses_is_measured(tmp_path, pressure):
    some = labelled(rattled(40, strain=0.01), pressure=pressure * GPa)
    (note,) = survey_labels(write(tmp_path / "a.extxyz", some)).notes
    assert f"about {pressure:+.1f} GPa off what energies imply" in note
    assert "--stress deviatoric" in note


def test_labels_that_were_never_computed(tmp_path, crystals):
    some = labelled(crystals)
    for atoms in some:
        atoms.arrays["REF_forces"][:] = 0.0
        atoms.info["REF_stress"] = np.zeros((3, 3))
    notes = survey_labels(write(tmp_path / "a.extxyz", some)).notes
    assert [n.partition(";")[0] for n in notes] == ["all forces are exactly zero", "all stresses are exactly zero"]
    for atoms in some:
        del atoms.arrays["REF_forces"], atoms.info["REF_stress"]
    survey = survey_labels(write(tmp_path / "b.extxyz", some))
    assert survey.forces == 0
    assert survey.notes == ("there are no forces: each frame gives one number only, its energy",)


def test_a_name_that_no_frame_has(tmp_path, crystals):
    path = write(tmp_path / "a.extxyz", labelled(crystals))
    with pytest.raises(BadOption, match=r"no frame has 'REF_enrgy' \(--energy-key\) \(did you mean 'REF_energy'\?\)"):
        survey_labels(path, LabelKeys(energy="REF_enrgy"))
    with pytest.raises(BadOption, match=r"no frame has 'REF_force' .*did you mean 'REF_forces'"):
        survey_labels(path, LabelKeys(forces="REF_force"))


def test_frames_that_are_there_twice_are_told(tmp_path, crystals):
    some = labelled(crystals)
    path = write(tmp_path / "a.extxyz", [*some, some[3]])
    assert survey_labels(path).notes == (f"1 frames repeat an earlier one, as {path}, frame 12 does {path}, frame 3",)


CELL = st.floats(3.0, 9.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(CELL, min_size=3, max_size=3), st.integers(1, 8), st.integers(0, 10_000))
@example([4.5, 3.0, 3.0], 1, 1)  # between two grids of the cell
def test_the_fingerprint_of_a_geometry(edges, count, seed):
    """The same for a copy printed with six digits, wrapped, turned, and with its atoms in another order."""
    rng = np.random.default_rng(seed)
    cell = np.diag(edges) + np.tril(rng.uniform(-1, 1, (3, 3)), -1)
    atoms = Atoms(rng.choice([8, 14], count), cell=cell, pbc=True, scaled_positions=rng.random((count, 3)))
    copy = atoms[rng.permutation(count)]
    copy.positions += rng.integers(-2, 3, (count, 3)) @ cell
    copy.rotate(float(rng.uniform(0, 180)), "z", rotate_cell=True)
    copy.positions = copy.positions.round(6)
    copy.set_cell(copy.cell.array.round(6))
    assert set(zip("ab", geometry(atoms), strict=True)) & set(zip("ab", geometry(copy), strict=True))
    moved = atoms.copy()
    moved.positions[0, 0] += 0.02
    other = atoms.copy()
    other.numbers[0] = 22 - other.numbers[0]
    for changed in (moved, other):
        assert not set(zip("ab", geometry(atoms), strict=True)) & set(zip("ab", geometry(changed), strict=True))


def test_perfect_crystals_have_one_fingerprint_however_they_are_written():
    atoms = bulk("Si", cubic=True) * 2
    copy = atoms.copy()
    copy.positions += 1e-9 * np.random.default_rng(0).normal(size=copy.positions.shape)
    copy.wrap()
    assert geometry(atoms) == geometry(copy)
