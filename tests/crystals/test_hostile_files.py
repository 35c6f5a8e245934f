"""Files that cost more than they are worth: bombs, endless streams, tables that compute, columns without end."""

import bz2
import gzip
import json
import lzma
import os
import random
import socket
import sqlite3
import time
import zipfile

import numpy as np
import pytest
from ase.build import bulk

import lodewell.archive
from lodewell.archive import read_archive
from lodewell.crystals.read import read_crystals
from lodewell.crystals.write import write_crystals
from lodewell.errors import BadFile
from lodewell.files import STREAM, UNFOLDED, WHOLE, blocks, read_bytes

PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def errors(path):
    """Return the errors of a file that must be read at once, whatever it holds."""
    began = time.perf_counter()
    found = [record.error for record in read_crystals(path)]
    assert time.perf_counter() - began < 5.0
    return found


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["a.cif", "a.extxyz", "a.json", "POSCAR", "OUTCAR", "unknown"])
def test_a_bomb_is_refused_before_it_unfolds(tmp_path, packer, name):
    path = tmp_path / f"{name}.{packer}"
    path.write_bytes(PACKERS[packer](b" " * 30_000_000))
    (error,) = errors(path)
    for word in {"a.extxyz": ("first line",), "unknown": ("format",)}.get(name, ("unfold to more than", "MB")):
        assert word in error


@pytest.mark.parametrize("packer", PACKERS)
def test_no_piece_of_a_compressed_file_is_large(tmp_path, packer):
    content = random.Random(0).randbytes(1000) * 5000
    path = tmp_path / f"a.{packer}"
    path.write_bytes(PACKERS[packer](content) + PACKERS[packer](b"glued") + b"\0" * 9)
    pieces = list(blocks(path))
    assert b"".join(pieces) == content + b"glued"
    assert max(map(len, pieces)) <= UNFOLDED
    assert read_bytes(path) == content + b"glued"
    path.write_bytes(PACKERS[packer](content)[:-20])
    with pytest.raises(BadFile, match=r"cut short|damaged"):
        list(blocks(path))


def test_a_stream_may_be_large_as_long_as_it_is_one():
    assert STREAM.size is None
    assert STREAM.unfolded(10**9) == 10**12
    assert WHOLE.unfolded(1000) == 20_000_000


def test_many_equal_frames_are_read_from_few_bytes(tmp_path):
    path = tmp_path / "a.extxyz.xz"
    write_crystals(tmp_path / "a.extxyz", [bulk("Si")] * 20_000)
    path.write_bytes(lzma.compress((tmp_path / "a.extxyz").read_bytes()))
    assert sum(record.atoms is not None for record in read_crystals(path)) == 20_000


def zipped(path, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as z:
        for name, content in entries.items():
            z.writestr(name, content)


def npy(shape, descr="<f8", content=b""):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


@pytest.mark.parametrize(
    ("entries", "method", "why"),
    [
        ({"meta.json": "{}", "a.npy": b"\0" * 100_000_000}, zipfile.ZIP_DEFLATED, "bytes that unfold to 100 MB"),
        ({"meta.json": " " * 51_000_000}, zipfile.ZIP_STORED, "metadata is larger than 50 MB"),
        ({"meta.json": "{}", "a.npy": b"\0" * 1000}, zipfile.ZIP_BZIP2, "compressed in another way"),
        ({"meta.json": "{}", "a.npy": npy((10**12,))}, zipfile.ZIP_STORED, "no array of numbers of the size"),
        ({"meta.json": "{}", "a.npy": npy((10**12,), "<U0")}, zipfile.ZIP_STORED, "no array of numbers of the size"),
        ({"meta.json": "{}", "a.npy": npy((1,), "|O", b"\0" * 8)}, zipfile.ZIP_STORED, "no array of numbers"),
        ({"meta.json": "[" * 100_000}, zipfile.ZIP_STORED, "not a thing, or cut short"),
        ({"meta.json": "9" * 5000}, zipfile.ZIP_STORED, "not a thing, or cut short"),
    ],
    ids=["bomb", "meta", "method", "shape", "empty", "objects", "deep", "digits"],
)
def test_a_zip_that_costs_too_much_is_refused(tmp_path, entries, method, why):
    zipped(tmp_path / "a.lodewell", entries, method)
    with pytest.raises(BadFile, match=why):
        read_archive(tmp_path / "a.lodewell", "a thing", "make it again")


def test_arrays_of_another_order_of_bytes_are_read(tmp_path):
    zipped(tmp_path / "a", {"meta.json": "{}", "a.npy": npy((2,), ">f8", np.array([1.0, 2.0], ">f8").tobytes())})
    _, arrays = read_archive(tmp_path / "a", "a thing", "make it again")
    assert arrays["a"].dtype == np.dtype("=f8")
    assert arrays["a"].tolist() == [1.0, 2.0]
    assert lodewell.archive.BUDGET.size is None


@pytest.mark.parametrize("name", ["a.cif", "a.extxyz", "a.json", "a.db", "a.traj", "unknown"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path, monkeypatch, name, kind):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "pipe":
            os.mkfifo(name)
        elif kind == "socket":
            server.bind(name)
        else:
            os.symlink("/dev/zero", name)
        (error,) = errors(name)
    word = {"pipe": "a named pipe", "socket": "a socket", "device": "a device"}[kind]
    assert f"{word}, not a file" in error or (name == "unknown" and "tells the format" in error)


ENDLESS = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id, id AS unique_id FROM n"


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (f"CREATE VIEW systems AS {ENDLESS}", "views or computed columns"),
        ("CREATE TABLE systems (id INTEGER, unique_id TEXT AS (hex(zeroblob(1e9))))", "views or computed columns"),
        ("CREATE TABLE bookmarks (url TEXT)", "none of ASE"),
    ],
)
def test_a_database_that_computes_or_is_of_others_is_left_alone(tmp_path, statement, why):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
    before = path.read_bytes()
    (error,) = errors(path)
    assert why in error
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.db"]


def test_a_database_of_ase_is_read(tmp_path):
    path = tmp_path / "a #?.db"
    write_crystals(path, [bulk("Si"), bulk("Cu")])
    assert [record.atoms.get_chemical_formula() for record in read_crystals(path)] == ["Si2", "Cu"]


@pytest.mark.parametrize(
    "properties",
    [
        "species:S:1:pos:R:200000000",
        "species:S:1:pos:R:3:x:R:39719688479",
        'species:S:1:pos:R:3:x:I:999999999999999999999999"',
        "'species:S:1:pos:R:3:x:L:200000000'",
        ":".join(["species:S:1:pos:R:3"] + [f"x{k}:R:9999" for k in range(1000)]),
    ],
)
@pytest.mark.parametrize("key", ["Properties", "properties"])
def test_columns_without_end_cost_their_frame_only(tmp_path, key, properties):
    path = tmp_path / "a.extxyz"
    good = '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3\nSi 0 0 0\n'
    path.write_text(f'1\nLattice="3 0 0 0 3 0 0 0 3" {key}={properties}\nSi 0 0 0\n' + good)
    first, second = errors(path)
    assert "columns, but atom 1 has 4" in first
    assert second is None


def test_an_entry_of_json_too_deep_or_too_long_costs_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("lodewell.crystals.read.LARGE_JSON", 10)
    write_crystals(tmp_path / "b.json", [bulk("Si"), bulk("Cu")])
    good = json.loads((tmp_path / "b.json").read_text())[0]
    text = json.dumps([good])[1:-1]
    (tmp_path / "a.json").write_text(f'[{text}, {{"a": {"[" * 20_000}{"]" * 20_000}}}, {{"a": {"9" * 5000}}}, {text}]')
    found = errors(tmp_path / "a.json")
    assert (found[0], found[3], len(found)) == (None, None, 4)
    assert all("the JSON entry is damaged" in error for error in found[1:3])
