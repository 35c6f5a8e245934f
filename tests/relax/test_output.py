"""What a run hands over: one key joins rows, frames and files, and the best can be used as they are."""

import csv
import json
import sqlite3
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from typer.testing import CliRunner

import lodewell
from lodewell import LennardJones
from lodewell.cli import app
from lodewell.crystals.read import read_crystals
from lodewell.crystals.write import write_crystals
from lodewell.relax.output import Best
from lodewell.relax.rank import best_first


@pytest.fixture(scope="module")
def potential(tmp_path_factory):
    curves = {"Na-Na": (0.02, 3.0), "Na-Cl": (0.3, 2.4), "Cl-Cl": (0.02, 3.3)}
    return str(LennardJones(curves, cutoff=7.0).save(tmp_path_factory.mktemp("potential") / "salt.lodewell"))


def salt(scale=1.0, seed=0, numbers=None):
    atoms = bulk("NaCl", "rocksalt", a=5.0 * scale, cubic=True)
    if numbers is not None:
        atoms.numbers[:] = numbers
    atoms.rattle(0.03, seed=seed)
    return atoms


@pytest.fixture
def folder(tmp_path):
    """Calculations each in a folder of its own, as search codes leave them; the first is broken."""
    crystals = {"run0": None, "run1": salt(), "run2": salt(1.02, 1), "run3": salt(numbers=[11] * 6 + [17] * 2),
                "run4": salt(numbers=[11] * 5 + [17] * 3)}  # fmt: skip
    for name, atoms in crystals.items():
        (tmp_path / "in" / name).mkdir(parents=True)
        if atoms is None:
            (tmp_path / "in" / name / "POSCAR").write_text("broken\n1.0\n")
        else:
            write_crystals(tmp_path / "in" / name / "POSCAR", atoms)
    return tmp_path / "in"


def relax(folder, potential, out, *words):
    result = CliRunner().invoke(app, ["relax", str(folder), "-p", potential, "-o", str(out), "-n", "1", *words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def energy(path_or_atoms, potential):
    atoms = path_or_atoms if isinstance(path_or_atoms, Atoms) else next(read_crystals(path_or_atoms)).atoms
    return lodewell.load(potential).evaluate(atoms)[0].energy / len(atoms)


def test_one_key_joins_rows_frames_and_files_after_a_broken_file(folder, potential, tmp_path):
    out = tmp_path / "out"
    relax(folder, potential, out, "--format", "poscar", "--trajectory")
    rows = table(out / "table.csv")
    assert [int(r["index"]) for r in rows] == [0, 1, 2, 3, 4]
    assert rows[0]["status"] == "bad input"
    assert rows == [{k: "" if v is None else str(v) for k, v in r.items()} for r in results(out)]
    frames = [r.atoms for r in read_crystals(out / "relaxed.extxyz")]
    assert [a.info["index"] for a in frames] == [1, 2, 3, 4]
    for atoms in frames:
        row = rows[atoms.info["index"]]
        assert atoms.info["source"] == f"{row['file']}:{row['frame']}"
        assert atoms.info["status"] == row["status"] == "converged"
        assert str(atoms.info["rank"]) == row["rank"]
        assert str(atoms.info.get("duplicate_of", "")) == row["duplicate_of"]
        assert atoms.info["above_hull"] == float(row["above_hull"])
        assert energy(atoms, potential) == pytest.approx(float(row["energy_per_atom"]), abs=1e-6)
    names = sorted(path.name for path in (out / "relaxed-poscar").iterdir())
    assert names == ["0001-Na4Cl4-run1.vasp", "0002-Na4Cl4-run2.vasp", "0003-Na6Cl2-run3.vasp", "0004-Na5Cl3-run4.vasp"]
    for name in names:
        path = out / "relaxed-poscar" / name
        row = rows[int(name[:4])]
        assert energy(path, potential) == pytest.approx(float(row["energy_per_atom"]), abs=1e-6)
        comment = path.read_text().splitlines()[0]
        assert comment.startswith(f"{path.stem} index={row['index']} rank={row['rank']} status=converged ")
    film = [r.atoms for r in read_crystals(out / "trajectories" / "0003-Na6Cl2-run3.extxyz")]
    assert len(film) > 2
    assert {a.info["index"] for a in film} == {3}


def results(out):
    return json.loads((out / "results.json").read_text())


def test_every_format_names_crystals_alike(folder, potential, tmp_path):
    stems = ["0001-Na4Cl4-run1", "0002-Na4Cl4-run2", "0003-Na6Cl2-run3", "0004-Na5Cl3-run4"]
    for form in ("cif", "db", "pymatgen", "optimade", "jarvis"):
        relax(folder, potential, tmp_path / "out", "--format", form)
    out = tmp_path / "out"
    assert sorted(path.stem for path in (out / "relaxed-cif").iterdir()) == stems
    text = (out / "relaxed-cif" / f"{stems[2]}.cif").read_text()
    assert text.startswith("# index=3 rank=1 status=converged ")
    assert f"data_{stems[2]}\n" in text
    for file in ("relaxed.db", "relaxed.pymatgen.json", "relaxed.optimade.json", "relaxed.jarvis.json"):
        read = [r.atoms for r in read_crystals(out / file)]
        assert [a.info["id"] for a in read] == stems, file
        assert [a.info["index"] for a in read] == [1, 2, 3, 4]
    assert ase.db.connect(str(out / "relaxed.db")).get(index=3).formula == "Na6Cl2"


def test_keys_of_the_input_are_kept_beside_ours(potential, tmp_path):
    atoms = salt()
    atoms.info |= {"id": "mine", "index": 77, "source": "a search"}
    write_crystals(tmp_path / "a.extxyz", atoms)
    relax(tmp_path / "a.extxyz", potential, tmp_path / "out", "--format", "pymatgen")
    (frame,) = [r.atoms for r in read_crystals(tmp_path / "out" / "relaxed.extxyz")]
    assert (frame.info["index"], frame.info["input_index"], frame.info["input_source"]) == (0, 77, "a search")
    assert frame.info["id"] == "mine"
    (written,) = [r.atoms for r in read_crystals(tmp_path / "out" / "relaxed.pymatgen.json")]
    assert (written.info["id"], written.info["input_id"]) == ("0000-Na4Cl4-a", "mine")


def test_results_in_memory_carry_the_key(potential):
    broken = salt()
    broken.positions[1] = broken.positions[0]
    found = lodewell.relax([broken, salt(), salt(1.02, 1)], potential)
    assert [r.index for r in found] == [0, 1, 2]
    assert [r.status for r in found] == ["bad input", "converged", "converged"]
    assert [r.atoms.info["index"] for r in found[1:]] == [1, 2]
    better, worse = sorted(found[1:], key=lambda r: r.duplicate_of is not None)
    assert worse.duplicate_of == better.index == worse.atoms.info["duplicate_of"]


def test_rank_holds_within_a_formula_and_the_hull_across(potential, tmp_path):
    rng = np.random.default_rng(3)
    crystals = [salt(), salt(1.0, 0) * (2, 1, 1), salt(numbers=[11] * 8), salt(numbers=[17] * 8)]
    crystals += [salt(seed=k, numbers=rng.permutation([11] * 4 + [17] * 4)) for k in range(4)]
    found = lodewell.relax(crystals, potential)
    of_salt = [r for r in found if r.formula in ("Na4Cl4", "Na8Cl8") and r.duplicate_of is None]
    assert sorted(r.rank for r in of_salt) == list(range(1, len(of_salt) + 1))
    assert [found[2].rank, found[3].rank] == [1, 1]
    ends = 0.5 * (found[2].energy_per_atom + found[3].energy_per_atom)
    lowest = min(r.energy_per_atom for r in of_salt)
    for r in of_salt:
        assert r.above_hull == pytest.approx(r.energy_per_atom - min(lowest, ends), abs=1e-6)
    order = best_first(found)
    assert [r.above_hull for r in order] == sorted(r.above_hull for r in order)
    assert len(order) == len(of_salt) + 2


def test_a_score_is_put_in_order_by_its_percentile():
    crystals = [bulk("Na"), bulk("NaCl", "rocksalt", a=5.6), bulk("Cu"), bulk("CuZn", "cesiumchloride", a=3.0)]
    order = best_first(lodewell.relax(crystals, "spp"))
    assert len(order) == 4
    assert [r.percentile for r in order] == sorted(r.percentile for r in order)


@pytest.mark.parametrize(("words", "path"), [((), "{}.vasp"), (("--best-folders",), "{}/POSCAR")])
def test_the_best_are_sane_and_no_duplicates(folder, potential, tmp_path, words, path):
    out = tmp_path / "out"
    relax(folder, potential, out, "--best", "2", *words)
    rows = results(out)
    single = [r for r in rows if r["status"] == "converged" and r["duplicate_of"] is None]
    assert len(single) == 3  # of the two copies of rock salt only the better
    expected = sorted(single, key=lambda r: (r["above_hull"], r["energy_per_atom"]))[:2]
    listed = table(out / "best" / "table.csv")
    assert [int(r["index"]) for r in listed] == [r["index"] for r in expected]
    written = {str(p.relative_to(out / "best")) for p in (out / "best").rglob("*") if p.is_file()} - {"table.csv"}
    assert written == {r["path"] for r in listed}
    for row in listed:
        name = f"{int(row['index']):04d}-{row['formula']}-{Path(row['file']).parent.name}"
        assert row["path"] == path.format(name)
        assert len(ase.io.read(out / "best" / row["path"], format="vasp")) == 8
        assert energy(out / "best" / row["path"], potential) == pytest.approx(float(row["energy_per_atom"]), abs=1e-6)


def test_best_follows_the_results_and_leaves_alone_what_it_did_not_write(folder, potential, tmp_path):
    out = tmp_path / "out"
    relax(folder, potential, out, "--best", "3", "--best-folders")
    first = [row["path"] for row in table(out / "best" / "table.csv")]
    (out / "best" / first[2]).with_name("OUTCAR").write_text("of a calculation")
    relax(folder, potential, out, "--best", "1", "--best-folders")
    assert (out / "best" / first[0]).exists()
    assert not (out / "best" / first[1]).parent.exists()
    assert not (out / "best" / first[2]).exists()
    assert (out / "best" / first[2]).with_name("OUTCAR").exists()


def test_a_ledger_cannot_name_files_elsewhere(folder, potential, tmp_path):
    out = tmp_path / "out"
    relax(folder, potential, out, "--best", "1")
    (out / "mine.txt").write_text("kept")
    with sqlite3.connect(out / "ledger.sqlite") as database:
        database.execute("INSERT INTO files VALUES ('best', '../mine.txt')")
    relax(folder, potential, out, "--best", "1")
    assert (out / "mine.txt").read_text() == "kept"


def test_what_a_format_cannot_hold_is_named_and_the_others_are_written(potential, tmp_path):
    cluster = molecule("NaCl")
    write_crystals(tmp_path / "a.extxyz", [cluster, salt(numbers=[11] * 5 + [17] * 3)])
    for form in ("cif", "poscar", "jarvis"):
        said = relax(tmp_path / "a.extxyz", potential, tmp_path / form, "--format", form, "--best", "2")
        assert f"relaxed{'.jarvis.json' if form == 'jarvis' else '-' + form} is without index 0" in said
        assert "best is without index 0" in said
        assert [r["index"] for r in table(tmp_path / form / "best" / "table.csv")] == ["1"]
    assert Best(1, "extxyz", True).path("a") == "a/crystal.extxyz"


def test_a_volume_that_doubled_is_remarked(potential, tmp_path):
    dense = salt(0.72)
    write_crystals(tmp_path / "a.extxyz", [salt(), dense])
    said = relax(tmp_path / "a.extxyz", potential, tmp_path / "out")
    sound, grown = results(tmp_path / "out")
    ratio = grown["volume_per_atom"] / grown["start_volume_per_atom"]
    assert ratio > 2.0
    assert sound["message"] == ""
    assert grown["message"].startswith(f"the volume grew to {ratio:.1f} times what it was")
    assert f"a.extxyz:1: the volume grew to {ratio:.1f} times" in said


def test_headings_have_units(folder, potential, tmp_path):
    said = relax(folder, potential, tmp_path / "out").splitlines()
    assert said[1].split() == ["index", "crystal", "formula", "rank", *["(eV/atom)"] * 3, "(change,", "%)", "steps"]
    assert "run4/POSCAR" in "\n".join(said)
