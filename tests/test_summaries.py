"""Every command that leaves a summary leaves the one of `docs/runs.md`, from which its run can be repeated."""

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from ase.io import write

from lodewell import __version__
from lodewell.record import KEYS, SCHEMA, summary_path
from tests.crystals.labelled import COPPER, labelled, rattled
from tests.derive.crystals import REAL
from tests.predict.crystals import salts

DOCS = Path(__file__).parents[1] / "docs" / "runs.md"
TYPES = {
    "schema": int, "command": str, "argv": list, "lodewell": str, "versions": dict, "started": str, "seconds": dict,
    "inputs": dict, "options": dict, "seed": int | None, "workers": int | None, "cluster": str | None,
    "fingerprint": str | None, "resumed": int, "outputs": list, "notes": list, "results": dict,
}  # fmt: skip
TRAIN = (
    "--properties density --members 1 --epochs 2 --batch-size 16 --validation 0.2 --cache cache --threads 1 "
    "--workers 1 --settings width=16 --settings channels=16 --settings layers=2 --settings charges=2"
)
FIT = "--train copper.extxyz --test held-out.extxyz --workers 1"
GAP = "--points 12 --points-2body 6 --n-max 3 --l-max 2 --energy-sigma 0.003 --force-sigma 0.1 --virial-sigma 0.1"
COMMANDS = {  # words after `lodewell`, and where the results go
    "derive": (f"derive {REAL} --recipe spp-2024 --workers 1", "table.lodewell"),
    "fit uf": (f"fit uf {FIT} --no-three-body --intervals 8", "uf.lodewell"),
    "fit meam": (f"fit meam {FIT} --restarts 2 --members 1 --most-steps 3 --knots 5", "meam.lodewell"),
    "fit gap": (f"fit gap {FIT} {GAP}", "gap.lodewell"),
    "relax": ("relax copper.extxyz -p morse.lodewell --max-steps 5 --best 1 --workers 1", "relaxed"),
    "check": ("check morse.lodewell --elements Cu", "check.json"),
    "map": ("map salts.extxyz --n-max 3 --l-max 2", "map.png"),
    "train": (f"train --data salts.extxyz {TRAIN}", "trained"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("summaries")
    write(place / "copper.extxyz", labelled(rattled(24)))
    write(place / "held-out.extxyz", labelled(rattled(6, seed=1)))
    write(place / "salts.extxyz", salts(each=1))
    COPPER.save(place / "morse.lodewell")
    return place


def lodewell(folder: Path, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lodewell", *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_leaves_one_kind_of_summary(folder, command):
    if command == "train":
        pytest.importorskip("torch")
    words, out = COMMANDS[command][0].split(), COMMANDS[command][1]
    lodewell(folder, [*words, "--out", out])
    summary = json.loads(summary_path(folder / out).read_text())
    assert tuple(summary) == KEYS
    for key, kind in TYPES.items():
        assert isinstance(summary[key], kind), key
    assert summary["schema"] == SCHEMA == 1
    assert summary["command"] == command
    assert summary["argv"] == [*words, "--out", out]
    assert summary["lodewell"] == __version__
    assert datetime.fromisoformat(summary["started"]).utcoffset().total_seconds() == 0
    laps = summary["seconds"]
    assert len(laps) > 1
    assert sum(spent for name, spent in laps.items() if name != "total") <= laps["total"] + 1e-2
    assert summary["outputs"]
    assert all((folder / path).exists() for path in summary["outputs"])
    assert summary["fingerprint"] is None or re.fullmatch("[0-9a-f]{64}", summary["fingerprint"])
    given = [word for word in words if word.endswith((".extxyz", ".gz", ".lodewell"))]
    assert all(word in json.dumps(summary["inputs"]) for word in given)


@pytest.mark.parametrize("command", ["derive", "fit uf", "relax"])
def test_a_run_is_repeated_from_its_summary(folder, tmp_path, command):
    """The words of the summary make the run again: another process, and the same fingerprint and results."""
    words = COMMANDS[command][0].split()
    first, second = (tmp_path / name / COMMANDS[command][1] for name in ("first", "second"))
    for place in (first, second):
        place.parent.mkdir()
    lodewell(folder, [*words, "--out", str(first)])
    summary = json.loads(summary_path(first).read_text())
    lodewell(folder, [*summary["argv"][:-1], str(second)])
    again = json.loads(summary_path(second).read_text())
    for key in ("fingerprint", "inputs", "options", "seed", "resumed"):
        assert again[key] == summary[key], key
    spent = {"crystals_per_second"}
    assert {k: v for k, v in again["results"].items() if k not in spent} == {
        k: v for k, v in summary["results"].items() if k not in spent
    }


def test_the_table_of_the_documentation_names_every_key():
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    named = [key for row in rows for key in re.findall("`([a-z_]+)`", row.split("|")[1])]
    assert [key for key in named if key in KEYS] == list(KEYS)
