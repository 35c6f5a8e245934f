"""Labelled crystals: what is found under which name, what is refused and why, and what a survey notices."""

import pickle
import warnings
from pathlib import Path

import ase.io
import ase.test
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.units import GPa
from tests.crystals.labelled import COPPER, labelled, rattled, write

from lodewell.crystals.labels.read import LabelKeys, Refusal, cut_labels, read_labels
from lodewell.crystals.labels.survey import survey_labels
from lodewell.errors import BadFile

DATA = Path(__file__).parents[2] / "data"
ASE_DATA = Path(ase.test.__file__).parent / "testdata"
VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


@pytest.fixture(scope="module")
def crystals() -> list[Atoms]:
    return rattled(12)


def renamed(crystals: list[Atoms], energy: str, forces: str, stress: str, form: str = "3x3") -> list[Atoms]:
    """Labels under other names, stresses in another form."""
    out = []
    for atoms in labelled(crystals):
        stress_cc = atoms.info.pop("REF_stress")
        atoms.info[energy] = atoms.info.pop("REF_energy")
        atoms.arrays[forces] = atoms.arrays.pop("REF_forces")
        if stress:
            forms = {"3x3": stress_cc, "9": stress_cc.ravel(), "6": stress_cc[VOIGT],
                     "virial": -stress_cc * atoms.get_volume()}  # fmt: skip
            atoms.info[stress] = forms[form]
        out.append(atoms)
    return out


def assert_same(found, crystals, stress: bool = True) -> None:
    for frame, atoms, result in zip(found, crystals, COPPER.evaluate(crystals), strict=True):
        assert frame.energy == pytest.approx(result.energy - 2.0 * len(atoms), abs=1e-7)
        np.testing.assert_allclose(frame.forces_nc, result.forces_nc, atol=1e-7)
        np.testing.assert_allclose(frame.atoms.positions, atoms.positions, atol=1e-7)
        assert frame.config_type == atoms.info["config_type"]
        if stress:
            np.testing.assert_allclose(frame.stress_cc, result.stress_cc, atol=1e-7)
        else:
            assert frame.stress_cc is None
        assert frame.atoms.calc is None
        assert set(frame.atoms.info) <= {"config_type"}
        assert set(frame.atoms.arrays) == {"numbers", "positions"}


@pytest.mark.parametrize(
    ("energy", "forces", "stress", "form"),
    [
        ("REF_energy", "REF_forces", "REF_stress", "9"),
        ("REF_energy", "REF_forces", "REF_virial", "virial"),
        ("ref_energy", "ref_forces", "ref_stress", "6"),
        ("DFT_energy", "DFT_forces", "DFT_virials", "virial"),
        ("dft_energy", "dft_force", "dft_virial", "virial"),
        ("energy", "force", "virial", "virial"),
        ("energy", "forces", "stress", "3x3"),
        ("free_energy", "forces", "stress", "6"),
    ],
)
def test_names_are_found_by_themselves(tmp_path, crystals, energy, forces, stress, form):
    path = write(tmp_path / "a.extxyz", renamed(crystals, energy, forces, stress, form))
    assert_same(read_labels(path), crystals)


@pytest.mark.parametrize("name", ["a.extxyz", "a.extxyz.gz", "a.traj", "a.db"])
def test_results_of_a_calculator_are_labels(tmp_path, crystals, name):
    done = []
    for atoms, result in zip(crystals, COPPER.evaluate(crystals), strict=True):
        new = atoms.copy()
        new.calc = SinglePointCalculator(
            new, energy=result.energy - 2.0 * len(new), forces=result.forces_nc, stress=result.stress_cc[VOIGT]
        )
        done.append(new)
    if name == "a.db":
        with connect(tmp_path / name) as database:
            for new in done:
                database.write(new, config_type=new.info["config_type"])
    else:
        ase.io.write(tmp_path / name, done)
    found = list(read_labels(tmp_path / name))
    if name == "a.db":
        for frame in found:
            frame.atoms.info.pop("unique_id", None)
    assert_same(found, crystals)


def test_one_whole_family_of_names_is_taken_before_a_mixture(tmp_path, crystals):
    """A model's predictions under plain names must not be mixed with the reference."""
    both = labelled(crystals)
    for atoms in both:
        atoms.info["dft_energy"] = 1e4  # alone of its family
        atoms.info["virial"] = np.eye(3)
        atoms.info["energy"], atoms.arrays["forces"] = 5.0, np.zeros((len(atoms), 3))
    assert_same(read_labels(write(tmp_path / "a.extxyz", both)), crystals)
    for atoms in both:
        del atoms.arrays["REF_forces"]
    first = next(read_labels(write(tmp_path / "b.extxyz", both)))
    assert first.energy == 5.0
    assert not first.forces_nc.any()


def test_names_that_are_given(tmp_path, crystals):
    odd = renamed(crystals, "E0", "F", "sigma", "6")
    keys = LabelKeys(energy="E0", forces="F", stress="sigma")
    assert_same(read_labels(write(tmp_path / "a.extxyz", odd), keys), crystals)
    for k, atoms in enumerate(odd):
        atoms.info |= {"kind": "cold", "run": f"run {k // 6}", "weight": 0.5}
    path = write(tmp_path / "b.extxyz", odd)
    found = list(read_labels(path, LabelKeys("E0", "F", config_type="kind", group="run")))
    assert [f.config_type for f in found] == ["cold"] * 12
    assert [f.group for f in found] == ["run 0"] * 6 + ["run 1"] * 6
    assert [f.weight for f in found] == [0.5] * 12


def test_frames_are_groups_of_their_own_unless_they_say_otherwise(tmp_path, crystals):
    some = labelled(crystals)
    some[3].info["group"] = some[4].info["group"] = "pair"
    groups = [frame.group for frame in read_labels(write(tmp_path / "a.extxyz", some))]
    assert len(set(groups)) == 11
    assert groups[3] == groups[4] == "pair"


def test_every_step_of_a_calculation_is_read_and_they_are_one_group(tmp_path):
    castep = ASE_DATA / "castep" / "md.castep"
    found = list(read_labels(castep))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ASE's, of what stands in the file
        reference = ase.io.read(castep, index=":", format="castep-castep")
    assert len(found) == 3
    for frame, atoms in zip(found, reference, strict=True):
        assert frame.energy == atoms.get_potential_energy()
        np.testing.assert_allclose(frame.forces_nc, atoms.get_forces())
        assert frame.group == str(castep)
    text = (ASE_DATA / "vasp" / "vasprun_pstress.xml").read_text()
    first, step, rest = text.partition("<calculation>")[0], "<calculation>", text.partition("<calculation>")[2]
    body, end, tail = rest.partition("</calculation>")
    (tmp_path / "vasprun.xml").write_text(first + (step + body + end) * 3 + tail)
    one = ase.io.read(ASE_DATA / "vasp" / "vasprun_pstress.xml", format="vasp-xml")
    frames = list(read_labels(tmp_path))
    assert [frame.frame for frame in frames] == [0, 1, 2]
    for frame in frames:
        assert frame.energy == one.get_potential_energy()
        np.testing.assert_allclose(frame.stress_cc[VOIGT], one.get_stress())
    (tmp_path / "vasprun.xml").write_text(first)
    with pytest.raises(BadFile, match=r"frame 0: no energy, forces or stress"):  # killed before its first step ended
        list(read_labels(tmp_path))


def test_outcar_agrees_with_ase():
    path = ASE_DATA / "vasp" / "OUTCAR_example_1"
    (frame,) = read_labels(path)
    reference = ase.io.read(path, format="vasp-out")
    assert frame.energy == reference.get_potential_energy()
    np.testing.assert_allclose(frame.forces_nc, reference.get_forces(apply_constraint=False))
    np.testing.assert_allclose(frame.stress_cc[VOIGT], reference.get_stress())


def test_real_silicon():
    first, *others = read_labels(DATA / "silicon-labelled.extxyz")
    assert first.energy == -297.62773938
    np.testing.assert_allclose(first.forces_nc[0], [-0.05394626, 0.05113266, 0.18121306])
    assert first.stress_cc[0, 2] == 0.004898950077102511
    assert first.config_type == "Vacancy"
    assert all(frame.stress_cc is None for frame in others)


def test_a_random_search_keeps_enthalpies_and_energies_are_wanted(tmp_path):
    """AIRSS writes H = E + PV; at 10 GPa the difference is eV per atom."""
    lines = ["TITL C-1 10.0 8.0 -20.0 0 0 1 (P1) n - 1", "CELL 1.54180 2 2 2 90 90 90", "LATT -1", "SFAC C",
             "C 1 0 0 0 1.0", "END", ""]  # fmt: skip
    (tmp_path / "a.res").write_text("\n".join(lines))
    (frame,) = read_labels(tmp_path)
    assert frame.energy == pytest.approx(-20.0 - 10.0 * GPa * 8.0)


def test_a_molecule_has_no_stress(tmp_path):
    water = molecule("H2O", vacuum=5.0)
    water.info |= {"REF_energy": -14.0, "REF_stress": np.eye(3)}
    water.arrays["REF_forces"] = np.zeros((3, 3))
    (frame,) = read_labels(write(tmp_path / "a.extxyz", [water]))
    assert frame.stress_cc is None


def with_change(crystals, k, change):
    out = labelled(crystals)
    change(out[k])
    return out


def set_info(name, value):
    return lambda atoms: atoms.info.__setitem__(name, value)


def set_force(value):
    return lambda atoms: atoms.arrays["REF_forces"].__setitem__((1, 2), value)


BAD = [
    (set_info("REF_energy", np.nan), "REF_energy is not finite"),
    (set_info("REF_energy", "none"), "REF_energy is 'none', which is no number"),
    (set_info("REF_energy", [1.0, 2.0]), "REF_energy holds 2 numbers"),
    (set_force(np.nan), "REF_forces is not finite (NaN or infinite) at atom 2"),
    (set_force(-np.inf), "REF_forces is not finite (NaN or infinite) at atom 2"),
    (set_force(9.0), "the forces do not sum to zero"),
    (set_force(5e4), "REF_forces reaches 5e+04 eV/Å; that is another unit"),
    (set_info("REF_stress", np.eye(3) * np.nan), "REF_stress is not finite"),
    (set_info("REF_stress", 12.0 * np.eye(3)), "REF_stress reaches 12 eV/Å^3, which is 1.92e+03 GPa"),
    (set_info("REF_stress", np.triu(np.ones((3, 3)))), "REF_stress is not symmetric"),
    (set_info("REF_stress", np.zeros(5)), "REF_stress holds 5 numbers; give 9, or 6"),
    (set_info("weight", -1.0), "the weight is -1.0; it must be"),
    (lambda atoms: [atoms.info.pop(f"REF_{n}") for n in ("energy", "stress")] + [atoms.arrays.pop("REF_forces")],
     "it has no label"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "why"), BAD, ids=[why[:40] for _, why in BAD])
def test_a_bad_frame_is_named_and_costs_one_row(tmp_path, crystals, change, why):
    path = write(tmp_path / "a.extxyz", with_change(crystals, 7, change))
    with pytest.raises(BadFile, match="frame 7: ") as refusal:
        list(read_labels(path))
    assert why in str(refusal.value)
    refused: list[Refusal] = []
    assert len(list(read_labels(path, refused=refused))) == 11
    assert [(bad.file, bad.frame) for bad in refused] == [(str(path), 7)]
    survey = survey_labels(path)  # one in twelve is below a tenth
    assert (survey.frames, survey.refused) == (11, tuple(refused))
    with pytest.raises(BadFile, match=r"1 of 12 frames cannot be used, more than 5 %: .*frame 7"):
        survey_labels(path, max_bad=0.05)


def test_forces_of_another_shape(tmp_path, crystals):
    some = labelled(crystals)
    for atoms in some:
        atoms.arrays["REF_forces"] = atoms.arrays["REF_forces"][:, 0]
    with pytest.raises(BadFile, match=r"REF_forces has the shape \(4,\) and not \(4, 3\)"):
        list(read_labels(write(tmp_path / "a.extxyz", some)))


def test_unlabelled_crystals_are_told_what_there_is(tmp_path, crystals):
    some = [atoms.copy() for atoms in crystals]
    for atoms in some:
        atoms.info["TotEnergy"] = 1.0
    path = write(tmp_path / "a.extxyz", some)
    with pytest.raises(BadFile, match=r"no energy, forces or stress under a known name; there is TotEnergy"):
        list(read_labels(path))
    with pytest.raises(BadFile, match=r"no frame can be used: .*there is TotEnergy.*and 11 more frames"):
        survey_labels(path)


def test_chunks_travel_and_read_the_same(tmp_path, crystals):
    path = write(tmp_path / "a.extxyz", labelled(crystals))
    whole = list(read_labels(path))
    chunks = [pickle.loads(pickle.dumps(chunk)) for chunk in cut_labels(path, size=5)]
    assert len(chunks) == 3
    parts = [frame for chunk in chunks for frame in chunk.read()[0]]
    assert [(a.file, a.frame, a.energy) for a in whole] == [(b.file, b.frame, b.energy) for b in parts]


def test_labels_that_begin_further_down(tmp_path, crystals):
    some = [*(a.copy() for a in crystals), *labelled(crystals)]
    refused: list[Refusal] = []
    path = write(tmp_path / "a.extxyz", some)
    frames = [f for chunk in cut_labels(path, size=6) for f in chunk.read()[0]]
    assert_same(frames, crystals)
    assert_same(read_labels(path, refused=refused), crystals)
    assert [bad.frame for bad in refused] == list(range(12))
