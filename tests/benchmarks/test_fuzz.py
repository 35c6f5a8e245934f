"""Files that once escaped a reader are refused, and the fuzz run itself finds what it should."""

import random
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from lodewell import load
from lodewell.crystals.read import read_crystals
from lodewell.derive.chunk import read_formulas
from lodewell.errors import BadFile, LodewellError
from lodewell.report.pairs import potential_rows

ROOT = Path(__file__).parents[2]
FOUND = sorted((ROOT / "tests" / "data" / "fuzz").iterdir())


@pytest.fixture
def fuzz():
    from benchmarks.fuzz import run  # keeps every library on one thread

    return run


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_once_escaped_is_refused_and_costs_little(path):
    tracemalloc.start()
    if path.suffix == ".extxyz":
        errors = [record.error for record in read_crystals(path)]
        assert "columns, but atom 1 has 4" in errors[1]
    else:
        with pytest.raises(BadFile, match=path.name):
            read_formulas(path) if path.suffix == ".txt" else load(path)
        if path.suffix == ".lodewell":
            with pytest.raises(BadFile, match=path.name):
                potential_rows([path])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6  # one of them once took 5.7 GB


def test_a_change_follows_from_its_number_alone(fuzz):
    kind = fuzz.Kind("a.txt", (b"one two three\nfour five six\n" * 20,), lambda path: None)
    files = [fuzz.file_of("a", kind, 0, number) for number in range(50)]
    assert files == [fuzz.file_of("a", kind, 0, number) for number in range(50)]
    assert len(set(files)) > 45
    assert sum(content != kind.seeds[0] for content in files) > 45


def test_what_escapes_is_told(fuzz, tmp_path):
    def reader(path):
        raise {b"refuse": BadFile, b"escape": KeyError}[path.read_bytes()]("why")

    kind = fuzz.Kind("a.txt", (b"",), reader)
    assert fuzz.attempt(kind, b"refuse", tmp_path)[0] == "refused"
    how, where, seconds, memory = fuzz.attempt(kind, b"escape", tmp_path)
    assert (how, where.partition(":")[0]) == ("KeyError", Path(__file__).name)
    assert seconds < 1.0
    assert memory >= 0
    greedy = fuzz.Kind("a.txt", (b"",), lambda path: bytearray(b"x" * 600_000_000) and None)
    assert fuzz.attempt(greedy, b"", tmp_path)[0] == "cost"


def test_damaged_potentials_of_every_family_never_escape(fuzz, tmp_path):
    from benchmarks.fuzz.changes import changed

    rng = random.Random(0)
    for good in sorted((ROOT / "tests" / "data" / "potentials").glob("*/*.lodewell")):
        for _ in range(20):
            path = tmp_path / good.name
            path.write_bytes(changed(rng, good.read_bytes()))
            with suppress(LodewellError):
                load(path)
