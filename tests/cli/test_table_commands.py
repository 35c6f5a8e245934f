"""`score`, `list`, `show` and `export` as a user runs them, on files."""

import csv
import json

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

from lodewell import BornMayer, Coulomb, Morse
from lodewell.cli import app


def run(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture
def files(table, salts, tmp_path, monkeypatch):
    """A table, and a folder with good crystals, a squeezed one, an unknown element, and a broken file."""
    monkeypatch.chdir(tmp_path)
    table.save("salt")
    crystals = [a.copy() for a in salts[:20]]
    for k, atoms in enumerate(crystals):
        atoms.info["id"] = f"salt-{k}"
    vector = crystals[3].get_distance(0, 1, mic=True, vector=True)
    crystals[3].positions[1] = crystals[3].positions[0] + vector * 1.2 / np.linalg.norm(vector)
    crystals[5].symbols[0] = "Au"
    (tmp_path / "in").mkdir()
    write("in/a.xyz", crystals, format="extxyz")
    (tmp_path / "in" / "b.cif").write_text("data_x\n_cell_length_a 3")
    return tmp_path


def test_score_json_has_a_row_for_every_crystal_in_order(files):
    result = run("score", "in", "-p", "salt.lodewell", "--json", "-n", "1")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [r["id"] for r in rows] == [f"salt-{k}" for k in range(20)] + [None]
    assert [r["frame"] for r in rows] == [*range(20), 0]
    wanted = {"file", "frame", "id", "formula", "status", "message", "energy_per_atom", "percentile",
              "volume_per_atom", "rank", "contacts", "warnings"}  # fmt: skip
    assert all(wanted <= set(r) for r in rows)
    assert (rows[5]["status"], rows[20]["status"]) == ("unsupported", "bad input")
    assert "Au" in rows[5]["message"]
    assert [r["index"] for r in rows] == list(range(21))
    for formula in {r["formula"] for r in rows if r["rank"]}:
        ranks = [r["rank"] for r in rows if r["formula"] == formula]
        assert sorted(ranks) == list(range(1, len(ranks) + 1))
    assert rows[3]["contacts"][0]["text"].startswith("Li1–O2")
    assert rows[3]["contacts"][0]["distance"] == pytest.approx(1.2)
    assert rows[3]["rank"] == max(r["rank"] for r in rows if r["formula"] == rows[3]["formula"])
    assert "NaN" not in result.stdout


def test_score_prints_a_table_and_writes_csv(files):
    result = run("score", "in", "-p", "salt.lodewell", "--out", "rows.csv", "--limit", "4")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1].split()[:5] == ["index", "crystal", "formula", "rank", "(kT/atom)"]
    assert "and 15 more" in result.stdout
    assert "19 scored" in result.stdout
    assert "1 with odd contacts" in result.stdout
    assert "bad input: b.cif" in result.stdout
    with open("rows.csv", newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 21
    assert rows[3]["contacts"].startswith("Li1–O2")
    assert rows[5]["energy_per_atom"] == ""
    shares = [float(line.split()[5]) for line in lines[2:6]]
    assert shares == sorted(shares)
    by_percentile = run(
        "score", "in", "-p", "salt.lodewell", "--sort", "percentile", "--limit", "0"
    ).stdout.splitlines()
    percentiles = [float(line.split()[5]) for line in by_percentile[2:21]]
    assert percentiles == sorted(percentiles)


def test_what_a_folder_holds_besides_crystals_is_said_and_counted(files):
    result = run("score", "in", "-p", "salt.lodewell", "--json", "-n", "1")
    assert result.stderr == ""
    for name in ("INCAR", "a.png", "b.png"):
        (files / "in" / name).write_text("no crystal")
    result = run("score", "in", "-p", "salt.lodewell", "--json", "-n", "1")
    assert len(json.loads(result.stdout)) == 21
    assert result.stderr == "passed over, as no format that is read: 3 files (2 .png, 1 INCAR)\n"
    result = run("relax", "in", "-p", "salt.lodewell", "--out", "relaxed", "-n", "1", "--max-steps", "1")
    assert "3 files (2 .png, 1 INCAR)" in result.stderr
    summary = json.loads((files / "relaxed" / "summary.json").read_text())
    assert summary["inputs"]["passed_over"] == {
        ".png": 2,
        "INCAR": 1,
    }


def test_score_explains_a_single_crystal(files, salts):
    write("one.cif", salts[0])
    text = run("score", "one.cif", "-p", "salt.lodewell").stdout
    assert "one.cif" in text
    assert "energy per atom by pair: Li-O" in text
    assert "oxides (48 crystals)" in text


def test_list_tells_pairs_counts_and_trust(files):
    text = run("list", "salt.lodewell", "--limit", "0").stdout
    assert "36 curves, 12 of them thin" in text
    assert len([line for line in text.splitlines() if " Å " in line and "mostly prior" in line]) == 12
    rows = json.loads(run("list", "salt.lodewell", "--elements", "Li,Na,O", "--json").stdout)
    assert {r["pair"] for r in rows} == {"Li-Li", "Li-Na", "Na-Na", "Li-O", "O-Na", "O-O"}
    assert [
        r["pair"] for r in json.loads(run("list", "salt.lodewell", "--flagged", "-e", "Li,Na", "--json").stdout)
    ] == ["Li-Na"]
    Morse({"Cu-Cu": (0.3, 1.4, 2.9)}, cutoff=6.0).save("copper")
    assert "morse, cutoff 6 Å" in run("list", "copper.lodewell").stdout
    shipped = run("list", "--json")
    assert isinstance(json.loads(shipped.stdout), list)


def test_show_and_export_leave_files_and_name_them(files):
    assert run("show", "salt.lodewell", "Li-O").stdout.strip() == "salt-Li-O.png"
    assert (files / "salt-Li-O.png").read_bytes().startswith(b"\x89PNG")
    for to, name in (("lammps", "lodewell.in"), ("gulp", "LI-O/LI-O.POT"), ("csv", "Li-O.csv")):
        result = run("export", "salt.lodewell", "--to", to, "--elements", "Li,O", "--out", f"out-{to}")
        assert result.exit_code == 0
        assert (files / f"out-{to}" / name).is_file()
        assert f"in out-{to}" in result.stdout


def test_refusals_are_one_line_and_exit_2(files):
    for words, wanted in (
        (("score", "in", "-p", "nothing"), "no potential 'nothing'"),
        (("score", "nowhere", "-p", "salt.lodewell"), "nowhere"),
        (("list", "salt.lodewell", "-e", "Au"), "no curve for Au"),
        (("show", "salt.lodewell", "Li-Au"), "no curve for Li-Au"),
        (("export", "salt.lodewell", "--to", "csv", "-e", "Li,Au", "--out", "x"), "no curve for Au"),
    ):
        result = run(*words)
        assert result.exit_code == 2
        assert len(result.stderr.strip().splitlines()) == 1
        assert wanted in result.stderr


def test_ionic_potentials_on_charged_cells(tmp_path, monkeypatch):
    """Energies of charged cells compare with no other: the tables say so, and rank the rest."""
    monkeypatch.chdir(tmp_path)
    (Coulomb({"Mg": 2.0, "O": -2.0}) + BornMayer({"Mg-O": (1428.5, 0.2945)})).save("oxide.lodewell")
    lacking = bulk("MgO", "rocksalt", a=4.3, cubic=True)
    del lacking[0]
    write("c.extxyz", [lacking, bulk("MgO", "rocksalt", a=4.3)])
    assert "sum, no cutoff, calibrated to eV" in run("list", "oxide.lodewell").stdout
    scored = json.loads(run("score", "c.extxyz", "-p", "oxide.lodewell", "--json").stdout)
    fixed = ("relax", "c.extxyz", "-p", "oxide.lodewell", "--cell", "fixed", "--out", "fixed", "--figure")
    relaxed = json.loads(run(*fixed, "--json").stdout)
    assert [[row["rank"] for row in rows] for rows in (scored, relaxed)] == [[None, 1], [None, 1]]
    assert all("add up to -2 e" in rows[0]["message"] for rows in (scored, relaxed))
    assert "converged: c.extxyz:0: charges of the cell" in " ".join(run(*fixed).stdout.split())
