"""Before anything is read it is known about how many crystals there are."""

import gzip

import pytest
from ase.build import bulk
from ase.db import connect
from ase.io import write

from lodewell.crystals.count import about_how_many
from lodewell.crystals.write import write_crystals


def test_files_rows_and_frames_are_counted(tmp_path):
    salt = bulk("NaCl", "rocksalt", a=5.64)
    for k in range(3):
        write(tmp_path / f"{k}.cif", salt)
    write_crystals(tmp_path / "frames.extxyz", [salt] * 7)
    with connect(tmp_path / "rows.db") as database:
        for _ in range(5):
            database.write(salt)
    assert about_how_many(tmp_path) == 3 + 7 + 5


@pytest.mark.parametrize(("name", "off"), [("long.extxyz", 0.02), ("long.extxyz.gz", 3.0)])
def test_long_files_are_guessed_from_their_beginning(tmp_path, name, off):
    """4,000 alike frames of 0.6 MB; how well text is compressed nobody knows before."""
    cell = bulk("NaCl", "rocksalt", a=5.64)
    write_crystals(tmp_path / "long.extxyz", [cell] * 4000)
    text = (tmp_path / "long.extxyz").read_bytes()
    assert len(text) > 1 << 18
    (tmp_path / "long.extxyz").unlink()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert 4000 / (1 + 20 * off) < about_how_many(tmp_path) < 4000 * (1 + off)


def test_what_is_not_there_has_no_number(tmp_path):
    assert about_how_many(tmp_path / "nothing") is None
