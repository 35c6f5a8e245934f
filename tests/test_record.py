"""A run's fingerprint, checkpoint and summary."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lodewell.errors import BadOption
from lodewell.progress import silent
from lodewell.record import KEYS, Checkpoint, Run, fingerprint, summary_path, write_summary


@dataclass(frozen=True)
class Options:
    fmax: float = 0.01
    keep: tuple[int, ...] = (1, 2)


def test_equal_runs_are_known_by_the_same_in_every_process():
    here = fingerprint({"b": 1, "a": [1.5, None]}, b"content", ["x", "y"])
    parts = "{'a': [1.5, None], 'b': 1}, b'content', ['x', 'y']"
    script = f"from lodewell.record import fingerprint; print(fingerprint({parts}))"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.stdout.strip() == here


def test_every_change_makes_another_run(tmp_path):
    file = tmp_path / "a.cif"
    file.write_text("one")
    known = {fingerprint(Options(), file)}
    for other in (Options(fmax=0.02), Options(keep=(1, 3)), {"fmax": 0.01}):
        known.add(fingerprint(other, file))
    file.write_text("another")
    known.add(fingerprint(Options(), file))
    os.utime(file, ns=(1, 1))
    known.add(fingerprint(Options(), file))
    known |= {fingerprint(Options(), tmp_path / "b.cif"), fingerprint(file, Options()), fingerprint(Options(), [file])}
    known |= {fingerprint(["a", "bc"]), fingerprint(["ab", "c"]), fingerprint(b"x"), fingerprint("x")}
    assert len(known) == 13


def test_a_checkpoint_returns_what_was_kept(tmp_path):
    out = tmp_path / "table.lodewell"
    kept = Checkpoint.beside(out, "key")
    assert kept.path == tmp_path / "table.lodewell.partial"
    assert kept.load() is None
    kept.keep({"met": 3, "names": ["a"]}, {"sums": np.arange(4.0), "none": np.zeros((0, 3))})
    meta, arrays = Checkpoint.beside(out, "key").load()
    assert meta == {"met": 3, "names": ["a"]}
    np.testing.assert_array_equal(arrays["sums"], np.arange(4.0))
    assert arrays["none"].shape == (0, 3)
    assert Checkpoint.beside(out, "another").load() is None
    kept.done()
    assert list(tmp_path.iterdir()) == []
    kept.done()


@pytest.mark.parametrize("cut", [0, 1, 100, -30, -1])
def test_a_damaged_checkpoint_is_not_used(tmp_path, cut):
    kept = Checkpoint(tmp_path / "x.partial", "key")
    kept.keep({"met": 3}, {"sums": np.arange(400.0)})
    content = kept.path.read_bytes()
    kept.path.write_bytes(content[:cut])
    assert kept.load() is None


def test_a_checkpoint_that_cannot_be_written_whole_leaves_the_last_one(tmp_path):
    kept = Checkpoint(tmp_path / "x.partial", "key")
    kept.keep({"met": 3}, {})
    with pytest.raises(TypeError):
        kept.keep({"met": object()}, {})
    assert kept.load() == ({"met": 3}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["x.partial"]


def test_checkpoints_are_due_after_a_while():
    assert not Checkpoint(Path("x"), "key").due
    assert Checkpoint(Path("x"), "key", every=0.0).due
    nowhere = Checkpoint(None, "key", every=0.0)
    nowhere.keep({}, {})
    assert not nowhere.due
    assert nowhere.load() is None


def test_workers_are_opened_once_and_closed():
    with Run("relax", workers=2) as run:
        pool = run.workers
        assert run.workers is pool
        children = [outcome.value for outcome in pool.map(_process, [0, 1])]
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    with pytest.raises(BadOption), Run("relax", workers=0) as run:
        run.workers  # noqa: B018
    with Run("relax", workers=0):
        pass  # nobody asked for them


def _process(_):
    return os.getpid()


def test_a_small_job_is_done_in_this_process():
    with Run("relax", workers=None) as run:
        run.alone()
        assert run.workers.n == 1
    with Run("relax", workers=2) as run:
        run.alone()  # two were asked for
        assert run.workers.n == 2


def test_a_summary_has_every_key_and_every_parser_reads_it(tmp_path):
    with Run("relax") as run:
        run.lap("reading")
        run.lap("reading")
        run.progress("relaxing", 1, 2)
        run.fingerprint = fingerprint(Options())
        summary = run.summary(
            inputs={"crystals": [Path("a.cif")], "passed_over": {}}, options=Options(), results={"best": float("nan")},
            outputs=[tmp_path / "x.lodewell"], notes=("one",), seed=1,
        )  # fmt: skip
    assert tuple(summary) == KEYS
    assert summary["seconds"].keys() == {"reading", "total"}
    path = write_summary(tmp_path / "x.lodewell", summary)
    assert path == tmp_path / "x.summary.json"
    read = json.loads(path.read_text())
    assert read["results"] == {"best": None}
    assert read["options"] == {"fmax": 0.01, "keep": [1, 2]}
    assert read["inputs"]["crystals"] == ["a.cif"]
    assert read["command"] == "relax"
    assert summary_path(tmp_path) == tmp_path / "summary.json"


def test_nobody_is_told():
    assert silent("reading", 1, 2) is None
