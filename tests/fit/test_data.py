"""Training and test data: what is refused before a fit, splits, weights, rows of the stress, reference energies."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from lodewell.crystals.labels.survey import survey_labels
from lodewell.errors import BadFile, BadOption
from lodewell.fit.data import Folds, LabelledData, check_together, frame_weight, stress_rows
from lodewell.fit.labelled_options import LabelledOptions
from lodewell.fit.reference import reference_energies
from tests.crystals.labelled import labelled, rattled, write

VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("copper")
    crystals = labelled(rattled(30))
    return write(folder / "train.extxyz", crystals[:24]), write(folder / "test.extxyz", crystals[24:])


def options(**given) -> LabelledOptions:
    return LabelledOptions(**given)


def test_a_source_is_read_again_and_again_and_in_workers(files):
    source = LabelledData(files[0])
    frames = list(source)
    assert len(frames) == len(source) == 24
    assert [f.energy for f in source] == [f.energy for f in frames]
    chunks = [pickle.loads(pickle.dumps(chunk)) for chunk in source.chunks(7)]
    assert [f.frame for chunk in chunks for f in chunk.read()[0]] == list(range(24))


def test_frames_that_cannot_be_used_are_left_out_everywhere(tmp_path):
    crystals = labelled(rattled(40))
    crystals[3].info["REF_energy"] = np.nan
    crystals[11].info["REF_energy"] += 1e5  # told from the others alone
    source = LabelledData(write(tmp_path / "a.extxyz", crystals), options())
    wanted = [k for k in range(40) if k not in (3, 11)]
    assert [f.frame for f in source] == wanted
    assert [f.frame for chunk in source.chunks(9) for f in chunk.read()[0]] == wanted
    assert [bad.frame for bad in source.survey.refused] == [3, 11]
    with pytest.raises(BadFile, match=r"2 of 40 frames cannot be used, more than 1 %: .*frame 3: .*NaN.*frame 11"):
        list(LabelledData(tmp_path / "a.extxyz", options(max_bad=0.01)))


def test_one_frame_is_refused(tmp_path, files):
    path = write(tmp_path / "one.extxyz", labelled(rattled(1, seed=9)))
    with pytest.raises(BadFile, match=r"one.extxyz: there is one labelled frame; a fit needs several"):
        list(LabelledData(path))
    test = check_together(LabelledData(files[0]), LabelledData(path, testing=True))
    assert len(list(test)) == 1


def test_a_few_energies_without_forces_are_refused_and_many_are_not(tmp_path):
    for count in (19, 20):
        crystals = labelled(rattled(count))
        for atoms in crystals:
            del atoms.arrays["REF_forces"], atoms.info["REF_stress"]
        source = LabelledData(write(tmp_path / f"{count}.extxyz", crystals))
        if count < 20:
            with pytest.raises(
                BadFile, match=r"19.extxyz: there are no forces, and 19 energies alone determine no pot"
            ):
                len(source)
        else:
            assert len(source) == 20
            assert source.survey.notes == ("there are no forces: each frame gives one number only, its energy",)


def test_a_config_type_that_nobody_has(files):
    with pytest.raises(
        BadOption, match=r"--config-weights Straned: no frame .* \(did you mean 'Strained'\?\); there are"
    ):
        len(LabelledData(files[0], options(config_weights={"Straned": 2.0})))


def test_weights_of_frames(tmp_path):
    crystals = labelled(rattled(4))
    crystals[2].info["weight"] = 0.25
    frames = LabelledData(write(tmp_path / "a.extxyz", crystals))
    weights = [frame_weight(f, options(config_weights={"Rattled": 3.0})) for f in frames]
    assert weights == [3.0, 1.0, 0.75, 1.0]


# Training and test data together.


def test_an_element_of_the_test_that_the_training_data_lack(files, tmp_path):
    crystals = labelled(rattled(3))
    crystals[1].numbers[2] = 28
    test = LabelledData(write(tmp_path / "a.extxyz", crystals), testing=True)
    with pytest.raises(BadFile, match=r"a.extxyz, frame 1: the test data hold Ni, which the training data lack; add"):
        check_together(LabelledData(files[0]), test)


def test_frames_in_both_are_refused_by_number_or_dropped(files, tmp_path):
    """Also when they were written anew: other digits, another order of atoms, wrapped otherwise."""
    again = labelled(rattled(30))[:8:3]
    for atoms in again:
        atoms.positions = (atoms.positions + atoms.cell[0] - atoms.cell[2]).round(5)
        order = np.random.default_rng(0).permutation(len(atoms))
        atoms.arrays = {name: array[order] for name, array in atoms.arrays.items()}
    path = write(tmp_path / "a.extxyz", [*labelled(rattled(4, seed=5)), *again])
    train, test = LabelledData(files[0]), LabelledData(path, testing=True)
    pairs = "; ".join(f"{path}, frame {4 + k} = {files[0]}, frame {3 * k}" for k in range(3))
    with pytest.raises(BadFile) as refusal:
        check_together(train, test)
    assert str(refusal.value).startswith(f"3 test frames are training frames as well: {pairs}. A test on these says")
    rest = check_together(LabelledData(files[0], options(duplicates="drop")), test)
    assert [f.frame for f in rest] == [0, 1, 2, 3]
    assert rest.survey.frames == len(rest) == 4
    assert [f.frame for chunk in rest.chunks(3) for f in chunk.read()[0]] == [0, 1, 2, 3]
    assert len(check_together(LabelledData(files[0], options(duplicates="keep")), test)) == 7


def test_honest_test_data_pass(files):
    test = LabelledData(files[1], testing=True)
    assert check_together(LabelledData(files[0]), test) is test


# Splits.


def split(path: Path, count: int, seed: int = 0) -> list[tuple[int, str, str]]:
    source = LabelledData(path, options(folds=count, seed=seed))
    folds = source.folds()
    return [(folds.of(f), f.group, f.config_type) for f in source]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from(["", "", "a", "b", "c"]), min_size=8, max_size=30), st.integers(2, 5), st.integers(0, 99)
)
def test_groups_are_never_split_and_folds_are_even(tmp_path_factory, groups, count, seed):
    crystals = labelled(rattled(len(groups)))
    for atoms, group in zip(crystals, groups, strict=True):
        if group:
            atoms.info["group"] = group
    path = write(tmp_path_factory.mktemp("split") / "a.extxyz", crystals)
    sizes = [groups.count(g) for g in set(groups) - {""}] + [1] * groups.count("")
    if len(sizes) < count:
        with pytest.raises(BadOption, match=f"{count} folds need {count} groups of frames, and there are {len(sizes)}"):
            split(path, count, seed)
        return
    found = split(path, count, seed)
    assert found == split(path, count, seed)
    for group in set(groups) - {""}:
        assert len({fold for fold, name, _ in found if name == group}) == 1
    load = np.bincount([fold for fold, _, _ in found], minlength=count)
    assert load.min() > 0
    assert load.max() - load.min() <= 2 * max(sizes)


def test_every_kind_of_frame_is_in_every_fold_and_seeds_differ(files):
    found = split(files[0], 4)
    for fold in range(4):
        kinds = [kind for k, _, kind in found if k == fold]
        assert sorted(kinds) == ["Rattled"] * 3 + ["Strained"] * 3
    assert [f for f, _, _ in found] != [f for f, _, _ in split(files[0], 4, seed=1)]
    survey = survey_labels(files[0])
    assert Folds(survey, 24, 0).count == 24


def test_copies_of_a_frame_are_in_its_fold(tmp_path):
    crystals = labelled(rattled(10))
    path = write(tmp_path / "a.extxyz", [*crystals, *crystals[::2]])
    for seed in range(5):
        fold = [f for f, _, _ in split(path, 3, seed)]
        assert fold[10:] == fold[:10:2]


# Rows of the stress.


def test_rows_of_the_stress():
    rng = np.random.default_rng(0)
    stress = rng.normal(size=(3, 3))
    six = ((stress + stress.T) / 2)[VOIGT]
    pressure = np.eye(3)[VOIGT]
    full, deviatoric = stress_rows(options()), stress_rows(options(stress="deviatoric"))
    np.testing.assert_array_equal(full @ six, six)
    assert deviatoric.shape == (5, 6)
    np.testing.assert_allclose(deviatoric @ (six + 7.0 * pressure), deviatoric @ six, atol=1e-14)
    np.testing.assert_allclose(deviatoric @ deviatoric.T, np.eye(5), atol=1e-15)
    rest = six - pressure * six[:3].mean()
    assert np.sum((deviatoric @ six) ** 2) == pytest.approx(np.sum(rest**2))
    assert stress_rows(options(stress="none")).shape == (0, 6)


# Reference energies.


def oxides(*formulas: str, extra: float = 0.0, seed: int = 0) -> list[Atoms]:
    """Crystals whose energy is -3 eV an Mg, -5 eV an O, +1 eV a Cu, and noise."""
    rng, out = np.random.default_rng(seed), []
    for formula in formulas:
        atoms = Atoms(formula, pbc=True)
        atoms.set_cell(np.eye(3) * (3.0 + len(atoms)))
        atoms.set_scaled_positions(rng.random((len(atoms), 3)))
        e = {12: -3.0, 8: -5.0, 29: 1.0}
        atoms.info["energy_"] = sum(e[z] for z in atoms.numbers) + extra * rng.normal() * len(atoms)
        out.append(atoms)
    return out


def survey_of(tmp_path: Path, crystals: list[Atoms]):
    return survey_labels(write(tmp_path / "a.extxyz", crystals), options(energy_key="energy_").keys)


def test_fitted_references_are_those_of_least_squares(tmp_path):
    crystals = oxides(*["MgO", "Mg2O", "MgO3", "Cu2O", "CuMg", "Mg"] * 6, extra=0.2)
    found = reference_energies(survey_of(tmp_path, crystals))
    share = np.array([[np.mean(a.numbers == z) for z in (8, 12, 29)] for a in crystals])
    energy = np.array([a.info["energy_"] / len(a) for a in crystals])
    np.testing.assert_allclose(list(found.energies.values()), np.linalg.lstsq(share, energy)[0], atol=1e-9)
    assert list(found.energies) == [8, 12, 29]
    assert set(found.sources.values()) == {"fitted"}
    assert not found.undetermined
    assert "energies of dissociation mean nothing" in found.notes()[0]
    assert found.energy_of([12, 8, 8]) == pytest.approx(found.energies[12] + 2 * found.energies[8])


def test_one_composition_leaves_references_open_and_spreads_them_evenly(tmp_path):
    found = reference_energies(survey_of(tmp_path, oxides(*["MgO3"] * 5)))
    assert found.undetermined
    assert "compositions vary too little" in found.notes()[1]
    energy = found.energies
    assert energy[12] + 3 * energy[8] == pytest.approx(-18.0)
    difference = abs(energy[8] - energy[12])
    for shift in (-0.1, 0.1):  # any other solution differs more
        assert abs((energy[8] + shift) - (energy[12] - 3 * shift)) > difference
    assert found.about()["Mg"]["source"] == "fitted"


def test_given_references_and_lone_atoms_come_first(tmp_path):
    atom = Atoms("O", cell=np.eye(3) * 12, pbc=True, info={"energy_": -1.5})
    triplet = Atoms("O", info={"energy_": -1.9})
    dense = bulk("Mg", "sc", a=3.0)
    dense.info["energy_"] = -3.0
    crystals = [*oxides("MgO", "MgO3"), atom, triplet, dense]
    found = reference_energies(survey_of(tmp_path, crystals), {"mg": -0.5})
    assert found.energies == {8: -1.9, 12: -0.5}
    assert found.sources == {8: "lone atoms", 12: "given"}
    assert found.notes() == []
    half = reference_energies(survey_of(tmp_path, crystals))
    assert half.sources == {8: "lone atoms", 12: "fitted"}
    share = np.array([0.5, 0.25, 1.0])  # of Mg, lone atoms left out
    rest = np.array([-4.0 + 0.5 * 1.9, -4.5 + 0.75 * 1.9, -3.0])
    assert half.energies[12] == pytest.approx(share @ rest / (share @ share))
    with pytest.raises(BadOption, match=r"--reference-energies Xx=1.0: no such element"):
        reference_energies(survey_of(tmp_path, crystals), {"Xx": 1.0})


def test_a_source_settles_its_references(files):
    source = LabelledData(files[0], options(reference_energies={"Cu": -1.0}))
    assert source.references.energies == {29: -1.0}
    assert source.references.sources == {29: "given"}
