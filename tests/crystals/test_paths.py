"""Which files of a folder are read: all that may hold crystals; the others are counted by kind."""

import os
from pathlib import Path

import pytest
from ase.build import bulk

from lodewell.crystals.paths import find_files, format_from_name, passed_over, passed_over_text
from lodewell.crystals.write import write_crystals
from lodewell.errors import BadFile

NAMES = {
    "cif": "a.cif A.CIF a.mcif a.cif.gz a.cif.txt",
    "poscar": "POSCAR CONTCAR POSCAR_1 POSCAR-001 NaCl_POSCAR a.CONTCAR a.POSCAR.gz SPOSCAR a.vasp run-CONTCAR.2",
    "outcar": "OUTCAR OUTCAR.gz OUTCAR_2 relax.OUTCAR OUTCAR.relax2.gz",
    "vasprun": "vasprun.xml vasprun.xml.relax1 x_vasprun.xml.gz vasprun.static.xml",
    "jsonl": "a.jsonl a.jsonl.gz a.ndjson",
    "extxyz": "a.xyz a.extxyz.xz",
    None: "POSCAR.py POSCAR_plot.png CHGCAR XDATCAR INCAR vasprun.py notes.txt a.png data.csv positions",
}


@pytest.mark.parametrize(("form", "name"), [(form, name) for form, names in NAMES.items() for name in names.split()])
def test_names_tell_formats(form: str | None, name: str) -> None:
    assert format_from_name(name) == form


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine files with crystals, among them one that only its content tells, and six without."""
    (tmp_path / "run").mkdir()
    write_crystals(tmp_path / "POSCAR", bulk("Si"))
    text = (tmp_path / "POSCAR").read_text()
    for name in ("Si_POSCAR", "a.CONTCAR", "POSCAR_1", "run/structure", "run/003", "CHGCAR"):
        (tmp_path / name).write_text(text)
    for name in ("b.cif", "c.xyz"):
        write_crystals(tmp_path / name, bulk("Si"))
    (tmp_path / "b.cif").rename(tmp_path / "b.mcif")
    for name in ("INCAR", "a.png", "run/a.png", "run/notes.txt"):
        (tmp_path / name).write_text("3\nno crystal\nat all\n")
    os.mkfifo(tmp_path / "run" / "pipe")
    return tmp_path


def test_every_file_that_may_hold_crystals_is_found_and_the_others_are_counted(folder: Path) -> None:
    found = [os.path.relpath(f.path, folder) for f in find_files(folder)]
    assert found == ["POSCAR", "POSCAR_1", "Si_POSCAR", "a.CONTCAR", "b.mcif", "c.xyz", "run/003", "run/structure"]
    counted = {"CHGCAR": 1, "INCAR": 1, ".png": 2, ".txt": 1, "without suffix": 1}
    assert passed_over(folder) == counted
    assert passed_over([folder / "run", folder / "c.xyz"]) == {".png": 1, ".txt": 1, "without suffix": 1}
    assert "6 files (2 .png, " in passed_over_text(folder)
    assert passed_over_text(folder / "c.xyz") == ""


def test_patterns_lose_neither_folders_nor_files(folder: Path) -> None:
    everything = sorted(f.path for f in find_files(folder))
    for pattern in ("*", "**"):
        assert sorted(f.path for f in find_files(str(folder / pattern))) == everything
        assert passed_over(str(folder / pattern)) == passed_over(folder)


def test_a_pattern_may_match_folders_alone(folder: Path) -> None:
    assert [os.path.relpath(f.path, folder) for f in find_files(str(folder / "r*"))] == ["run/003", "run/structure"]


def test_a_folder_without_crystals_is_refused_with_its_count(folder: Path) -> None:
    (folder / "run" / "003").unlink()
    (folder / "run" / "structure").unlink()
    with pytest.raises(BadFile, match="holds 3 files but none with crystals"):
        list(find_files(folder / "run"))
