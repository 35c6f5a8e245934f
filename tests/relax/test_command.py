"""`lodewell relax` as a user runs it: files, JSON, refusals, interruption and resumption."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import bulk

import lodewell
from lodewell import LennardJones
from lodewell.crystals.read import Chunk, read_crystals
from lodewell.crystals.write import write_crystals
from lodewell.errors import BadFile
from lodewell.ledger import Ledger
from lodewell.relax.folder import relax_to_items
from lodewell.relax.result import ROW

KEYS = ["index", "file", "frame", "id", "formula", "status", "message", "remark", "steps", "energy_per_atom",
        "percentile", "max_force", "volume_per_atom", "rank", "duplicate_of", "above_hull", "start_energy_per_atom",
        "start_volume_per_atom"]  # fmt: skip


@pytest.fixture(scope="module")
def potential(tmp_path_factory):
    salt = LennardJones({"Na-Na": (0.02, 3.0), "Na-Cl": (0.3, 2.4), "Cl-Cl": (0.02, 3.3)}, cutoff=7.0)
    return str(salt.save(tmp_path_factory.mktemp("potential") / "salt.lodewell"))


def candidates(count, size=1):
    rng = np.random.default_rng(0)
    out = []
    for k in range(count):
        atoms = bulk("NaCl", "rocksalt", a=5.4, cubic=True) * (size, 1, 1)
        atoms.positions += rng.normal(0.0, 0.05, atoms.positions.shape)
        atoms.info["id"] = f"c{k}"
        out.append(atoms)
    return out


@pytest.fixture
def inputs(tmp_path):
    """A folder with good crystals, an element without a curve, coincident atoms, and a broken CIF."""
    folder = tmp_path / "in"
    folder.mkdir()
    good = candidates(3)
    twin = good[0].copy()
    twin.positions[1] = twin.positions[0]
    write_crystals(folder / "a.extxyz", [good[0], bulk("CsI", "rocksalt", a=7.0), twin, good[1]])
    (folder / "b.cif").write_text("data_broken\n_cell_length_a 5.4\n")
    write_crystals(folder / "c.cif", good[2])
    return folder


def run(*words, **options):
    command = [sys.executable, "-m", "lodewell.cli", "relax", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def test_json_holds_every_row_in_order(inputs, potential, tmp_path):
    done = run(inputs, "-p", potential, "-o", tmp_path / "out", "--json", "-n", 1)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [list(row) for row in rows] == [KEYS] * 6 == [list(ROW)] * 6
    assert [r["status"] for r in rows] == [
        "converged", "unsupported", "bad input", "converged", "bad input", "converged",
    ]  # fmt: skip
    assert [r["frame"] for r in rows] == [0, 1, 2, 3, 0, 0]
    assert rows[0]["id"] == "c0"
    assert "Cs" in rows[1]["message"]
    assert "coincide" in rows[2]["message"]
    assert rows[1]["energy_per_atom"] is None
    assert rows[1]["rank"] is None
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == rows


def test_files_of_a_run(inputs, potential, tmp_path):
    out = tmp_path / "out"
    done = run(inputs, "-p", potential, "-o", out, "--figure", "--format", "cif", "--trajectory", "-n", 1)
    assert done.returncode == 0, done.stderr
    assert "3 converged, 2 bad input, 1 unsupported" in done.stdout
    relaxed = [r.atoms for r in read_crystals(out / "relaxed.extxyz")]
    assert [a.info["id"] for a in relaxed[:2]] == ["c0", "c1"]
    salt = lodewell.load(potential)
    table = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    for atoms, row in zip(relaxed, [r for r in table if r["rank"]], strict=True):
        assert salt.evaluate(atoms)[0].energy / 8 == pytest.approx(float(row["energy_per_atom"]), abs=1e-6)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["results"]["counts"] == {"converged": 3, "unsupported": 1, "bad input": 2}
    assert summary["options"]["fmax"] == 0.01
    assert len(summary["inputs"]["potential"]["sha256"]) == 64
    assert len(list((out / "relaxed-cif").glob("*.cif"))) == 3
    assert len(list(read_crystals(out / "trajectories" / "0000-Na4Cl4-a_0.extxyz"))) > 3
    assert (out / "before-after.png").stat().st_size > 10_000


def test_flags_are_the_fields_of_the_options():
    text = run("--help", env=os.environ | {"COLUMNS": "200"}).stdout
    for flag in ("--fmax", "--max-steps", "--pressure", "--cell", "--keep-symmetry", "--symprec", "--trajectory"):
        assert flag in text
    assert "every principal value of the virial per atom" in " ".join(text.split())


def test_flags_arrive(potential, tmp_path):
    write_crystals(tmp_path / "a.extxyz", candidates(1))
    words = ("--cell", "fixed", "--max-steps", 2, "--fmax", 1e-6, "--json", "-n", 1)
    done = run(tmp_path / "a.extxyz", "-p", potential, "-o", tmp_path / "out", *words)
    (row,) = json.loads(done.stdout)
    assert (row["status"], row["steps"]) == ("max steps", 2)
    (relaxed,) = [r.atoms for r in read_crystals(tmp_path / "out" / "relaxed.extxyz")]
    np.testing.assert_allclose(relaxed.cell.array, candidates(1)[0].cell.array)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "no such file"),
        (["{in}", "-o", "{in}/deeper"], "choose another folder"),
        (["{in}", "-p", "no-such-potential"], "no potential"),
        (["{in}", "--fmax", "-1"], "fmax"),
    ],
)
def test_refusals_are_one_line(words, said, inputs, potential, tmp_path):
    words = [w.replace("{in}", str(inputs)) for w in words]
    extra = [] if "-p" in words else ["-p", potential]
    done = run(*words, *extra, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/proc/version"), reason="needs a place nobody can write")
def test_an_output_that_cannot_be_written_is_refused_before_work(inputs, potential):
    done = run(inputs, "-p", potential, "-o", "/proc/nowhere")
    assert done.returncode == 2
    assert "/proc/nowhere" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(BadFile, match="written"):
        Ledger("/dev/full")


MANY = 5000  # so many that a fast machine is interrupted in the middle too


def test_interrupt_leaves_valid_files_and_the_rerun_resumes(potential, tmp_path):
    write_crystals(tmp_path / "many.extxyz", candidates(MANY, size=3))
    out = tmp_path / "out"
    words = ["relax", str(tmp_path / "many.extxyz"), "-p", potential, "-o", str(out), "-n", "1", "--fmax", "1e-5"]
    words += ["--no-duplicates"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lodewell.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts jobs in the background lets them ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 no threads here
    )
    ledger = out / "ledger.sqlite"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (ledger.exists() and finished(ledger) >= 1):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    partial = json.loads((out / "results.json").read_text())
    assert 0 < len(partial) < MANY
    assert len(list(read_crystals(out / "relaxed.extxyz"))) == len(partial)
    again = subprocess.run(
        [sys.executable, "-m", "lodewell.cli", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert again.returncode == 0, again.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["results"]["crystals"] == MANY
    assert summary["resumed"] >= len(partial)
    rows = json.loads((out / "results.json").read_text())
    assert [r["id"] for r in rows] == [f"c{k}" for k in range(MANY)]
    assert [r["energy_per_atom"] for r in rows[: len(partial)]] == [r["energy_per_atom"] for r in partial]


def finished(ledger):
    import sqlite3

    try:
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as database:
            return database.execute("SELECT COUNT(*) FROM chunks").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_other_options_are_other_work(potential, tmp_path):
    write_crystals(tmp_path / "a.extxyz", candidates(2))

    def again(**options):
        lodewell.relax(tmp_path / "a.extxyz", potential, out=tmp_path / "out", **options)
        return json.loads((tmp_path / "out" / "summary.json").read_text())["resumed"]

    assert again() == 0
    assert again() == 2
    assert again(max_steps=3) == 0
    write_crystals(tmp_path / "a.extxyz", candidates(3))
    assert again(max_steps=3) == 0


def suicidal(chunk: Chunk, potential, options):
    """Relax, unless the chunk begins at 200: there the process kills itself."""
    if chunk.first == 200:
        os.kill(os.getpid(), signal.SIGKILL)
    return relax_to_items(chunk, potential, options)


def test_a_killed_worker_costs_its_chunk_and_the_rerun_tries_again(potential, tmp_path, monkeypatch):
    write_crystals(tmp_path / "many.extxyz", candidates(450))

    def run():
        return lodewell.relax(tmp_path / "many.extxyz", potential, out=tmp_path / "out", workers=2)

    with monkeypatch.context() as patch:
        patch.setattr("lodewell.relax.folder.relax_to_items", suicidal)
        results = run()
    bad = [k for k, r in enumerate(results) if r.status == "bad input"]
    assert bad == list(range(200, 400))
    assert "died" in results[200].message
    assert results[200].frame == 200
    results = run()
    assert {r.status for r in results} == {"converged"}
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["resumed"] == 250


def test_the_ledger_writes_chunks_whole(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(ZeroDivisionError):
            ledger.put("a", ((str(1 // k), None, None) for k in (1, 0)))
        assert not ledger.has("a")
        ledger.put("a", [("x", b"1", None), ("y", None, b"2")])
        ledger.put("b", [("z", None, None)], failed=True)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.has("a")
        assert not ledger.has("b")
        assert (ledger.texts("a"), ledger.texts("b")) == (["x", "y"], ["z"])
        assert list(ledger.data("a", extra=True)) == [None, b"2"]
        ledger.keep_only(["b"])
        assert ledger.texts("a") == []


def test_a_damaged_ledger_says_so(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(BadFile, match="delete it"):
        Ledger(tmp_path / "ledger.sqlite")
