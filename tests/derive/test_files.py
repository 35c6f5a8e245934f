"""Files of a derivation: interrupted and resumed, bad inputs, outputs out of reach, the command itself."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from typer.testing import CliRunner

import lodewell
from lodewell.crystals.write import write_crystals
from lodewell.derive import run as pipeline
from lodewell.derive.chunk import HoldOut
from lodewell.derive.options import DeriveOptions
from lodewell.errors import BadFile, BadOption

from .crystals import REAL, real_crystals
from .test_derive import same_table

OPTIONS = {"recipe": "spp-2024", "cutoff": 6.0}


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(pipeline, "_CHUNK", 50)


@pytest.mark.parametrize("recipe", ["spp-2024", "spp"])
def test_an_interrupted_derivation_goes_on(tmp_path, small_chunks, recipe):
    options = OPTIONS | {"recipe": recipe, "refine": False, "environments": True}
    whole = lodewell.derive(REAL, **options)
    met = []

    def stop(stage: str, done: int, total: int | None = None) -> None:
        met.append(done)
        if len(met) == 3:
            raise KeyboardInterrupt

    out = tmp_path / "table.lodewell"
    with pytest.raises(KeyboardInterrupt):
        lodewell.derive(REAL, out=out, progress=stop, **options)
    assert not out.exists()
    assert Path(f"{out}.partial").exists()
    begun = []
    resumed = lodewell.derive(REAL, out=out, progress=lambda stage, done, total=None: begun.append(done), **options)
    assert begun[0] > met[-1]  # the first three chunks were not read again
    same_table(resumed, whole)
    assert resumed.about["families"] == whole.about["families"]
    assert not Path(f"{out}.partial").exists()
    kept = lodewell.load(out)
    np.testing.assert_allclose(kept.u_pk, whole.u_pk, rtol=1e-6)


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_changed_file_starts_afresh_also_within_a_folder(tmp_path, as_folder):
    folder = tmp_path / "in"
    folder.mkdir()
    for k, atoms in enumerate(real_crystals(4)):
        write_crystals(folder / f"{k}.extxyz", atoms)
    path = str(folder) if as_folder else str(folder / "*.extxyz")

    def known_by(path: str) -> str:
        return pipeline._fingerprint([path], DeriveOptions(), HoldOut())

    before = known_by(path)
    assert known_by(path) == before
    write_crystals(folder / "2.extxyz", real_crystals(5)[3])
    after = known_by(path)
    write_crystals(folder / "9.extxyz", real_crystals(5)[4])
    assert len({before, after, known_by(path)}) == 3


def test_what_is_held_out_is_known_again_whatever_the_order_of_a_set():
    names = [f"Li{n}O" for n in range(1, 40)]
    assert HoldOut(frozenset(names)).about() == HoldOut(frozenset(names[::-1])).about()


def test_a_lost_chunk_is_counted_crystal_by_crystal(tmp_path, small_chunks, monkeypatch):
    crystals = real_crystals(60)
    write_crystals(tmp_path / "a.extxyz", crystals)
    mine_chunk = pipeline.mine_chunk

    def dies(chunk, **options):
        if chunk.first == 50:
            raise MemoryError("too much")
        return mine_chunk(chunk, **options)

    monkeypatch.setattr(pipeline, "mine_chunk", dies)
    about = lodewell.derive(tmp_path / "a.extxyz", refine=False, **OPTIONS).about
    assert about["crystals_met"] == len(crystals)
    assert about["refused"] == len(crystals) - 50
    assert [frame for _, frame, _ in about["first_refused"]] == list(range(50, len(crystals)))


def test_other_options_start_afresh(tmp_path, small_chunks):
    out = tmp_path / "table.lodewell"

    def stop(stage: str, done: int, total: int | None = None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lodewell.derive(REAL, out=out, progress=stop, **OPTIONS)
    begun = []
    other = OPTIONS | {"max_above_hull": 0.01}
    found = lodewell.derive(REAL, out=out, progress=lambda stage, done, total=None: begun.append(done), **other)
    assert begun[0] <= 50
    same_table(found, lodewell.derive(REAL, **other))


def test_a_damaged_checkpoint_is_not_used(tmp_path):
    out = tmp_path / "table.lodewell"
    Path(f"{out}.partial").write_bytes(b"PK\x03\x04 cut short")
    lodewell.derive(REAL, out=out, **OPTIONS)
    assert out.exists()
    assert not Path(f"{out}.partial").exists()


SCRIPT = """
import os, signal, sys
import lodewell
from lodewell.derive import run as pipeline
pipeline._CHUNK = 50
count = 0
def report(stage, done, total=None):
    global count
    count += 1
    if count == 3:
        os.kill(os.getpid(), signal.SIGINT)
if __name__ == "__main__":
    lodewell.derive(sys.argv[1], out=sys.argv[2], workers=2, progress=report, recipe="spp-2024", cutoff=6.0)
"""


def test_ctrl_c_in_a_real_process(tmp_path):
    """SIGINT reaches a running derivation with two workers: it ends at once, and what it had counted is kept."""
    script, out = tmp_path / "run.py", tmp_path / "table.lodewell"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, REAL, out], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (-signal.SIGINT, 1, 130)
    assert done.stderr.count("Traceback") <= 1  # of the script itself, none of its workers
    assert Path(f"{out}.partial").exists()
    assert not out.exists()
    whole = lodewell.derive(REAL, **OPTIONS)
    key = json.loads(str(np.load(f"{out}.partial")["meta"]))
    assert 0 < key["of_run"]["met"] < whole.about["crystals_met"]


def test_a_signal_while_adding_up_waits(monkeypatch, small_chunks, tmp_path):
    """Ctrl-C in the middle of an addition must not leave half a chunk in the sums."""
    whole = lodewell.derive(REAL, **OPTIONS)
    real_add, calls = pipeline._add, []

    def add(progress, result, options):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        real_add(progress, result, options)

    monkeypatch.setattr(pipeline, "_add", add)
    out = tmp_path / "table.lodewell"
    with pytest.raises(KeyboardInterrupt):
        lodewell.derive(REAL, out=out, **OPTIONS)
    monkeypatch.setattr(pipeline, "_add", real_add)
    same_table(lodewell.derive(REAL, out=out, **OPTIONS), whole)


def test_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadFile, match="empty"):
        lodewell.derive(tmp_path / "empty", out=tmp_path / "x.lodewell", **OPTIONS)
    assert not (tmp_path / "x.lodewell").exists()


def test_a_folder_of_nothing_but_bad_files(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.cif").write_text("data_a\n_cell_length_a 3\n")
    (tmp_path / "bad" / "b.cif").write_bytes(bytes(range(256)))
    with pytest.raises(BadFile, match=r"none of the 2 crystals met can be used: 2 refused .*a\.cif"):
        lodewell.derive(tmp_path / "bad", **OPTIONS)


def test_one_bad_crystal_costs_one_row(tmp_path):
    from lodewell.crystals.write import write_crystals

    (tmp_path / "mixed").mkdir()
    good = real_crystals(6)
    for k, atoms in enumerate(good):
        write_crystals(tmp_path / "mixed" / f"{k}.cif", atoms)
    clean = lodewell.derive(tmp_path / "mixed", **OPTIONS)
    (tmp_path / "mixed" / "3a.cif").write_text("data_a\nthis is no crystal\n")
    found = lodewell.derive(tmp_path / "mixed", **OPTIONS)
    assert found.about["refused"] == 1
    assert found.about["first_refused"][0][0].endswith("3a.cif")
    same_table(found, clean)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(BadFile, match="cannot"):
            lodewell.derive(REAL, out=tmp_path / "x.lodewell", **OPTIONS)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_an_output_out_of_reach_is_told_before_the_work(tmp_path):
    """A file where the folder should be: refused at once, not after an hour."""
    (tmp_path / "file").write_text("")
    begun = []
    with pytest.raises(BadFile, match="file"):
        lodewell.derive(
            REAL,
            out=tmp_path / "file" / "x.lodewell",
            progress=lambda stage, done, total=None: begun.append(done),
            **OPTIONS,
        )
    assert not begun


def test_the_command(tmp_path):
    from lodewell.cli import app

    out = tmp_path / "mine.lodewell"
    (tmp_path / "formulas.txt").write_text("Li3PO4\n")
    arguments = ["derive", str(REAL), "--out", str(out), "--recipe", "spp-2024", "--cutoff", "6", "--workers", "1"]
    result = CliRunner().invoke(app, [*arguments, "--exclude", str(tmp_path / "formulas.txt"), "--json"])
    assert result.exit_code == 0, result.output
    about = json.loads(result.stdout)
    assert about["recipe"] == "spp-2024"
    assert about["left_out"]["held out"] >= 1
    assert about["curves"] == len(lodewell.load(out).pairs_pz)
    assert lodewell.load(out).about["crystals_used"] == about["crystals_used"]


@pytest.mark.parametrize("wrap", [list, iter], ids=["list", "stream"])
def test_what_is_no_crystal_is_refused_with_its_place(wrap):
    salt = bulk("NaCl", "rocksalt", a=5.6)
    for wrong, why in ((3, "crystal 1 is of the type int: give ase.Atoms"), ("a.cif", "crystal 1 is of the type str")):
        with pytest.raises(BadOption, match=why):
            lodewell.derive(wrap([salt, wrong]), **OPTIONS)


def test_one_crystal_is_a_list_of_one():
    salt = bulk("NaCl", "rocksalt", a=5.6)
    one, many = (lodewell.derive(given, **OPTIONS) for given in (salt, iter([salt])))
    assert one.about["crystals_used"] == 1
    np.testing.assert_array_equal(one.u_pk, many.u_pk)
