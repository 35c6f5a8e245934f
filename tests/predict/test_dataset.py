"""Crystals with properties from every layout, and what is said of bad ones."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from lodewell.errors import BadFile, BadOption
from lodewell.predict.architecture import make_architecture
from lodewell.predict.train.cache import Shard
from lodewell.predict.train.dataset import Dataset, read_dataset
from tests.predict.crystals import salts

ARCHITECTURE = make_architecture("invariant")


def read(paths, tmp_path: Path, properties=("density",), **options) -> Dataset:
    return read_dataset(paths, properties, ARCHITECTURE, cache=tmp_path / "cache", **options)


@pytest.fixture(scope="module")
def crystals() -> list[Atoms]:
    return salts(each=1)


@pytest.fixture
def folder(tmp_path, crystals) -> Path:
    """One CIF a crystal, and a table."""
    place = tmp_path / "crystals"
    place.mkdir()
    lines = ["id,density"]
    for atoms in crystals:
        write(place / f"{atoms.info['id']}.cif", atoms)
        lines.append(f"{atoms.info['id']},{atoms.info['density']}")
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    return place


def test_extended_xyz(tmp_path, crystals):
    write(tmp_path / "salts.extxyz", crystals)
    dataset = read(tmp_path / "salts.extxyz", tmp_path)
    assert dataset.ids == [atoms.info["id"] for atoms in crystals]
    assert dataset.values_bt[:, 0] == pytest.approx([atoms.info["density"] for atoms in crystals], rel=1e-6)
    for arrays, atoms in zip(dataset.crystals(range(len(crystals))), crystals, strict=True):
        wanted = ARCHITECTURE.features(atoms)
        for name, array in arrays.items():
            assert np.allclose(array, wanted[name], atol=2e-4), name
    assert not dataset.refused
    assert not dataset.warnings


def test_a_table_beside_a_folder_gives_the_same(tmp_path, folder, crystals):
    dataset = read(folder, tmp_path, table=tmp_path / "table.csv")
    by_id = dict(zip(dataset.ids, dataset.values_bt[:, 0], strict=True))
    assert by_id == {atoms.info["id"]: atoms.info["density"] for atoms in crystals}


def test_a_table_without_a_line_of_names(tmp_path, folder):
    lines = (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "id_prop.csv").write_text("\n".join(lines[1:]), encoding="utf-8")
    assert len(read(folder, tmp_path, table=tmp_path / "id_prop.csv").ids) == len(lines) - 1


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("salt-3,1.0", r"line 62: the id 'salt-3' stood on line 5 already"),
        (",1.0", r"line 62: the id is missing"),
        ("x,1.0,2.0", r"line 62: 3 values, but there are 2 columns"),
    ],
)
def test_bad_lines_of_a_table_are_named(tmp_path, folder, line, word):
    table = tmp_path / "table.csv"
    table.write_text(table.read_text(encoding="utf-8") + "\n" + line, encoding="utf-8")
    with pytest.raises(BadFile, match=word):
        read(folder, tmp_path, table=table)


def test_cells_that_are_no_numbers_cost_their_line(tmp_path, folder, crystals):
    table = tmp_path / "table.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    for place, cell in ((3, "heavy"), (4, "inf"), (5, "1e300"), (6, "nan"), (7, "")):
        lines[place] = f"{lines[place].partition(',')[0]},{cell}"
    table.write_text("\n".join(lines), encoding="utf-8")
    dataset = read(folder, tmp_path, table=table)
    assert [(Path(row.file).name, row.frame, row.id, row.error.partition(";")[0]) for row in dataset.refused] == [
        ("table.csv", 4, "salt-2", "line 4: density is 'heavy', which is no number"),
        ("table.csv", 5, "salt-3", "line 5: density is inf, beyond all bounds"),
        ("table.csv", 6, "salt-4", "line 6: density is 1e+300, beyond all bounds"),
    ]
    assert set(dataset.ids) == {atoms.info["id"] for atoms in crystals} - {f"salt-{k}" for k in range(2, 7)}
    assert dataset.warnings == ["density: 55 of 57 crystals have a number; nothing and nan are none"]


def test_a_modulus_that_is_not_positive_costs_its_crystal(tmp_path, crystals):
    some = [atoms.copy() for atoms in crystals]
    for k, atoms in enumerate(some):
        atoms.info |= {"K_vrh": -3.0 if k in (5, 20) else 10.0 + k}
    write(tmp_path / "salts.extxyz", some)
    dataset = read(tmp_path / "salts.extxyz", tmp_path, ("density", "K_vrh"))
    assert [row.id for row in dataset.refused] == ["salt-5", "salt-20"]
    assert "K_vrh is -3, but it is learnt as a logarithm" in dataset.refused[0].error


def test_truth_values_and_nothing_are_no_numbers(tmp_path, crystals):
    some = [atoms.copy() for atoms in crystals]
    some[3].info["density"] = None  # which extended XYZ reads back as True
    some[4].info["density"] = float("nan")
    write(tmp_path / "salts.extxyz", some)
    dataset = read(tmp_path / "salts.extxyz", tmp_path)
    assert not {"salt-3", "salt-4"} & set(dataset.ids)
    assert not dataset.refused
    assert dataset.warnings == ["density: 58 of 60 crystals have a number; nothing and nan are none"]


def test_names_of_files_may_hold_dots(tmp_path, crystals):
    place = tmp_path / "crystals"
    place.mkdir()
    names = [f"salt.{k}-{atoms.info['id']}" for k, atoms in enumerate(crystals)]
    for name, atoms in zip(names, crystals, strict=True):
        write(place / f"{name}.cif", atoms)
    lines = [f"{name},{atoms.info['density']}" for name, atoms in zip(names, crystals, strict=True)]
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    assert sorted(read(place, tmp_path, table=tmp_path / "table.csv").ids) == sorted(names)


def test_an_unknown_column_is_refused_with_the_nearest(tmp_path, folder):
    with pytest.raises(BadOption, match="did you mean 'density'"):
        read(folder, tmp_path, ("densty",), table=tmp_path / "table.csv")


def test_ids_without_a_crystal_cost_a_row(tmp_path, folder):
    table = tmp_path / "table.csv"
    table.write_text(table.read_text(encoding="utf-8") + "\nlost,1.0", encoding="utf-8")
    dataset = read(folder, tmp_path, table=table)
    assert [(row.id, row.error) for row in dataset.refused] == [
        ("lost", "line 62: there is no crystal with the id 'lost'")
    ]


def test_a_refused_crystal_of_a_table_is_not_missing_as_well(tmp_path, folder, crystals):
    twice = crystals[2].copy()
    twice.positions[1] = twice.positions[0]
    write(folder / "salt-2.cif", twice)
    (row,) = read(folder, tmp_path, table=tmp_path / "table.csv").refused
    assert row.id == "salt-2"
    assert "one place" in row.error


def test_two_crystals_with_one_id_are_refused(tmp_path, crystals):
    write(tmp_path / "salts.extxyz", [*crystals, crystals[0]])
    (tmp_path / "table.csv").write_text("id,density\nsalt-0,1.0\nsalt-1,2.0", encoding="utf-8")
    with pytest.raises(BadFile, match=r"two crystals have the id 'salt-0' .*frame 0.*frame 60"):
        read(tmp_path / "salts.extxyz", tmp_path, table=tmp_path / "table.csv")


def test_a_bad_crystal_costs_one_row(tmp_path, crystals):
    bad = [atoms.copy() for atoms in crystals]
    bad[2].pbc = [True, True, False]
    bad[5].positions[1] = bad[5].positions[0]
    bad[7].info["density"] = "heavy"
    write(tmp_path / "salts.extxyz", bad)
    for _ in range(2):  # the second time from the cache
        dataset = read(tmp_path / "salts.extxyz", tmp_path)
        assert len(dataset.ids) == len(crystals) - 3
        reasons = {row.id: row.error for row in dataset.refused}
        assert set(reasons) == {"salt-2", "salt-5", "salt-7"}
        assert "periodic in three directions" in reasons["salt-2"]
        assert "coincide" in reasons["salt-5"]
        assert "no number" in reasons["salt-7"]
        wanted = ARCHITECTURE.features(crystals[3])
        place = dataset.ids.index("salt-3")
        assert np.allclose(dataset.crystals([place])[0]["density"], wanted["density"], atol=2e-4)


def test_values_may_be_missing(tmp_path, crystals):
    some = [atoms.copy() for atoms in crystals]
    for k, atoms in enumerate(some):
        atoms.info["band_gap"] = 0.1 * (k + 1)
        if k % 3:
            del atoms.info["density"]
    write(tmp_path / "salts.extxyz", some)
    dataset = read(tmp_path / "salts.extxyz", tmp_path, ("density", "band_gap"))
    assert np.isnan(dataset.values_bt[:, 0]).sum() == 40
    assert np.isfinite(dataset.values_bt[:, 1]).all()


def test_a_property_that_nobody_has_is_refused(tmp_path, crystals):
    write(tmp_path / "salts.extxyz", crystals)
    with pytest.raises(BadOption, match=r"no crystal has a value of 'hardness'; the first ones state density$"):
        read(tmp_path / "salts.extxyz", tmp_path, ("hardness",))
    with pytest.raises(BadOption, match=r"a value of 'densty' \(did you mean 'density'\?\)"):
        read(tmp_path / "salts.extxyz", tmp_path, ("density", "densty"))


@pytest.mark.parametrize(
    ("name", "values", "unit"),
    [
        ("K_vrh", np.linspace(0.05, 2.0, 60), "eV/Å\\^3"),
        ("G_vrh", np.linspace(2e9, 3e11, 60), "Pa"),
        ("band_gap", np.linspace(50, 6000, 60), "meV"),
        ("formation_energy_per_atom", np.linspace(-400, 5, 60), "kJ/mol|meV"),
    ],
)
def test_a_wrong_unit_is_guessed_by_range(tmp_path, crystals, name, values, unit):
    some = [atoms.copy() for atoms in crystals]
    for atoms, value in zip(some, values, strict=True):
        atoms.info[name] = float(value)
    write(tmp_path / "salts.extxyz", some)
    (warning,) = read(tmp_path / "salts.extxyz", tmp_path, (name,)).warnings
    import re

    assert re.search(f"they would fit if they were in ({unit})", warning)


@pytest.mark.parametrize(("name", "bounds"), [("band_gap", "0 to 18 eV"), ("hardness", "-300 to 300")])
def test_values_far_outside_are_named(tmp_path, crystals, name, bounds):
    some = [atoms.copy() for atoms in crystals]
    for k, atoms in enumerate(some):
        atoms.info[name] = 1e4 if k == 7 else 30.0 if k == 9 else 3.0
    write(tmp_path / "salts.extxyz", some)
    dataset = read(tmp_path / "salts.extxyz", tmp_path, (name,))
    count = 2 if name == "band_gap" else 1
    assert dataset.warnings == [
        f"{name}: {count} of 60 values lie outside {bounds}, the furthest is 1e+04 of salt-7: check them"
    ]


def test_a_crystal_that_breaks_its_features_costs_one_row(tmp_path, crystals, monkeypatch):
    write(tmp_path / "salts.extxyz", crystals)
    whole = type(ARCHITECTURE).features

    def broken(self, atoms):
        if atoms.info["id"] == "salt-7":
            raise ZeroDivisionError
        return whole(self, atoms)

    with monkeypatch.context() as patch:
        patch.setattr(type(ARCHITECTURE), "features", broken)
        (row,) = read(tmp_path / "salts.extxyz", tmp_path).refused
    assert (row.id, row.error) == ("salt-7", "its features cannot be computed (ZeroDivisionError)")
    assert not read(tmp_path / "salts.extxyz", tmp_path).refused


def test_formulas_do_not_straddle_the_split(tmp_path):
    write(tmp_path / "salts.extxyz", salts(each=3))
    dataset = read(tmp_path / "salts.extxyz", tmp_path, validation=0.2, test=0.2)
    parts = {split: {dataset.formulas[b] for b in dataset.part(split)} for split in ("train", "val", "test")}
    assert [len(parts[s]) for s in ("train", "val", "test")] == [12, 4, 4]
    assert not parts["train"] & parts["val"] | parts["train"] & parts["test"] | parts["val"] & parts["test"]
    other = read(tmp_path / "salts.extxyz", tmp_path, validation=0.2, test=0.2, seed=1)
    assert (other.split_b != dataset.split_b).any()


def test_a_split_of_ones_own(tmp_path, crystals):
    some = [atoms.copy() for atoms in crystals]
    for k, atoms in enumerate(some):
        atoms.info["part"] = ("train", "train", "valid", "test")[k % 4]
    write(tmp_path / "salts.extxyz", some)
    dataset = read(tmp_path / "salts.extxyz", tmp_path, split="part")
    assert [int((dataset.split_b == s).sum()) for s in ("train", "val", "test")] == [30, 15, 15]
    some[3].info["part"] = "exam"
    write(tmp_path / "salts.extxyz", some)
    with pytest.raises(BadOption, match="salt-3: part is 'exam'"):
        read(tmp_path / "salts.extxyz", tmp_path, split="part")


def test_features_are_computed_once_and_mended_when_damaged(tmp_path, crystals, monkeypatch):
    write(tmp_path / "salts.extxyz", crystals)
    first = read(tmp_path / "salts.extxyz", tmp_path)
    (shard,) = first.shards
    wanted = {name: array.copy() for name, array in first.crystals([4])[0].items()}

    def never(self, atoms):
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr(type(ARCHITECTURE), "features", never)
        read(tmp_path / "salts.extxyz", tmp_path)
    content = Path(shard.path).read_bytes()
    for damaged in (content[:200], content[:-50], b"", b"\0" * 50):
        Path(shard.path).write_bytes(damaged)
        assert not Shard(shard.path, dict(ARCHITECTURE.fields)).sound(len(crystals))
        again = read(tmp_path / "salts.extxyz", tmp_path)
        assert all(np.array_equal(again.crystals([4])[0][name], wanted[name]) for name in wanted)
