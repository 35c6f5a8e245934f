"""Files are never written through a link, and a ledger is a ledger."""

import os
import sqlite3

import pytest
from ase.build import bulk

from lodewell.crystals.read import chunks
from lodewell.crystals.write import write_crystals
from lodewell.errors import BadFile
from lodewell.files import atomic_path, check_writable
from lodewell.ledger import Ledger
from lodewell.relax.folder import _prepare, lost_items
from lodewell.relax.stream import lost


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_text("precious")
    return path


@pytest.mark.parametrize("name", [".probe", "table.csv", "ledger.sqlite"])
def test_nothing_is_written_through_a_link(tmp_path, victim, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(victim)
    _prepare(["a.cif"], out)
    check_writable(out / name)
    assert sorted(os.listdir(out)) == [name]
    if name == "ledger.sqlite":
        with pytest.raises(BadFile, match="a symbolic link; remove it"):
            Ledger(out / name)
    else:
        with atomic_path(out / name) as temporary:
            temporary.write_text("new")
        assert not (out / name).is_symlink()
    assert victim.read_text() == "precious"


def test_databases_of_others_are_no_ledgers(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(BadFile, match="of another program"):
        Ledger(path)
    assert path.read_bytes() == before
    path.unlink()
    for _ in range(2):
        with Ledger(path) as ledger:
            ledger.put("a", [("text", None, None)])


def test_a_damaged_ledger_is_refused(tmp_path):
    """Found by `python -m benchmarks.fuzz.run`: seed 1, number 144, and seed 2, number 74."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.put("a", [('{"rank": 1', None, None)])
        with pytest.raises(BadFile, match="it is damaged: delete it"):
            list(ledger.documents("a"))
    path.write_bytes(path.read_bytes().replace(b"tableitems", b"table\xaditem"))
    with pytest.raises(BadFile, match=r"ledger\.sqlite"):
        Ledger(path)


@pytest.mark.parametrize("name", ["a.extxyz", "a.json"])
def test_a_lost_chunk_costs_a_row_for_each_crystal(tmp_path, monkeypatch, name):
    monkeypatch.setattr("lodewell.crystals.read.LARGE_JSON", 1000)
    write_crystals(tmp_path / name, [bulk("Si") for _ in range(25)])
    found = list(chunks(tmp_path / name, 10))
    monkeypatch.setattr("lodewell.crystals.read.Chunk.read", lambda self: pytest.fail("it is read again"))
    assert [len(lost_items(chunk, "died")) for chunk in found] == [10, 10, 5]
    assert [[r.frame for r in lost(chunk, "died")] for chunk in found] == [
        list(range(10)), list(range(10, 20)), list(range(20, 25))
    ]  # fmt: skip
