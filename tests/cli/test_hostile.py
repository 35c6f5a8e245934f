"""Names and words of files that mean no good: markup, terminal codes, bytes that are not UTF-8; screens and pipes."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lodewell.cli import app
from lodewell.crystals.formats.extxyz.write import extxyz_text
from lodewell.crystals.read import read_crystals
from lodewell.potentials.store import load

POTENTIALS = Path(__file__).parents[1] / "data" / "potentials" / "0.1.0"
MARKUP = "[/b]:warning:[red]"
LATIN1 = os.fsdecode(b"caf\xe9 \x1b[31m" + MARKUP.encode() + b".extxyz")


@pytest.fixture
def hostile(table, salts, tmp_path, monkeypatch):
    """A table, and a folder whose name, file names, ids and broken lines are markup, terminal codes and Latin-1."""
    monkeypatch.chdir(tmp_path)
    table.save(f"salt{MARKUP.replace('/', '')}")
    folder = tmp_path / f"in{MARKUP.replace('/', '')}"
    folder.mkdir()
    crystals = [a.copy() for a in salts[:2]]
    crystals[1].info["id"] = MARKUP
    (folder / LATIN1.replace("/", "")).write_text(extxyz_text(crystals[:1]))
    (folder / "b.extxyz").write_text(extxyz_text(crystals) + "1\nProperties=species:S:1:pos:R:3\nSi 0 0 [/b]\n")
    return folder


def run(*words):
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "\x1b" not in result.stdout
    return result.stdout


def potential():
    return f"salt{MARKUP.replace('/', '')}.lodewell"


def shown_name():
    return LATIN1.replace("/", "").replace("\udce9", r"\udce9").replace("\x1b", r"\x1b")


def test_relax_shows_and_writes_every_name_and_goes_on_in_the_same_folder(hostile, tmp_path):
    out = tmp_path / os.fsdecode(b"out\xe9[b]")
    for _ in range(2):  # the second run takes everything from the ledger
        printed = run(
            "relax", hostile, "-p", potential(), "-n", 1, "--max-steps", 1, "--no-duplicates", "-o", out, "--figure"
        )
        for word in (shown_name(), MARKUP, "'[/b]' where a number belongs"):
            assert word in printed
    with open(out / "table.csv", encoding="utf-8") as handle:
        files = [row["file"] for row in csv.DictReader(handle)]
    assert len(files) == 4
    assert any(r"\udce9" in name for name in files)
    rows = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert all(os.path.exists(row["file"]) for row in rows)  # JSON keeps the very name
    assert len(list(read_crystals(out / "relaxed.extxyz"))) >= 2


def test_score_shows_and_writes_every_name(hostile):
    printed = run("score", hostile, "-p", potential(), "-n", 1, "--out", "s.csv")
    for word in (shown_name(), MARKUP, "'[/b]' where a number belongs", potential()):
        assert word in printed
    with open("s.csv", encoding="utf-8") as handle:
        assert len(list(csv.DictReader(handle))) == 4
    rows = json.loads(run("score", hostile, "-p", potential(), "-n", 1, "--json"))
    assert all(os.path.exists(row["file"]) for row in rows)


def test_map_and_list_show_markup_as_it_stands(hostile):
    printed = run("map", hostile, "--table", "m.csv", "--out", f"m{MARKUP.replace('/', '')}.png")
    assert shown_name() in printed
    assert MARKUP.replace("/", "") in run("list", potential())


@pytest.mark.parametrize("family", ["gap", "meam", "uf", "statistical", "sum"])
def test_no_words_of_ours_are_left_as_markup(family, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run("list", POTENTIALS / f"{family}.lodewell", "--limit", 0)
    assert "[/]" not in printed
    assert "[yellow]" not in printed


def test_derive_keeps_what_was_refused_in_files_with_strange_names(hostile):
    broken = hostile / os.fsdecode(b"broken\xe9.extxyz")
    broken.write_text("1\nProperties=species:S:1:pos:R:3\nSi 0 0 [/b]\n")
    printed = run("derive", hostile, "-n", 1, "--cutoff", 5, "--no-refine", "--out", "d.lodewell")
    assert r"broken\udce9.extxyz, frame 0: not extended XYZ: atom 1 has '[/b]'" in printed
    files = [file for file, _, _ in load("d.lodewell").about["first_refused"]]
    assert str(broken) in files


def test_words_of_files_are_no_mathematics_on_figures(tmp_path):
    from lodewell.report.style import figure, save

    with figure(3.0, 2.0) as drawn:
        axes = drawn.subplots()
        axes.semilogy([1.0, 2.0], [1e-3, 1e3], label=r"$\frac caf" + "\udce9$")
        axes.set_title("$a_b$")
        axes.legend()
        text = save(drawn, tmp_path / "a.svg").read_text()
    assert r"$\frac caf\udce9$" in text
    assert "$a_b$" in text
    assert text.count("mathdefault") == text.count("<!-- $\\mathdefault") > 0  # powers of ten stay formulas


SAY = """
import sys
from pathlib import Path
from lodewell.cli import app, main
from lodewell.cli.screen import print_json
from lodewell.cli.tables import console, marked
from lodewell.errors import BadFile

@app.command("say")
def say(how: str, count: int = 1):
    for _ in range(count):
        if how == "json":
            print_json({"unit": "\\u00c5\\u2026", "\\U0001d11e": "\\udce9"})
        elif how == "table":
            console().print(marked("red", "5 \\u00c5", " \\u2026 \\udce9"))
        else:
            raise BadFile("no \\u00c5 \\udce9")

main()
"""


def say(*words, shell=None, **environment):
    command = [sys.executable, "-c", SAY, "say", *words]
    if shell:
        command = ["bash", "-c", f'"$0" "$@" {shell}', *command]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHONIO"))} | environment
    return subprocess.run(command, capture_output=True, timeout=60, check=False, env=env)


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"},
                                         {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C.UTF-8"}])  # fmt: skip
def test_every_terminal_gets_what_it_can_show(environment):
    done = say("table", **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"\xc3\x85" in done.stdout) == (environment == {"LC_ALL": "C.UTF-8"})
    assert done.stdout.decode("latin-1").split()[0] == "5"
    assert rb"\udce9" in done.stdout
    refused = say("refuse", **environment)
    assert refused.returncode == 2
    assert refused.stderr.startswith(b"lodewell: no ")
    assert json.loads(say("json", **environment).stdout) == {"unit": "Å…", "𝄞": "\udce9"}


@pytest.mark.parametrize("count", ["1", "20000"])
@pytest.mark.parametrize("how", ["json", "table"])
def test_a_closed_pipe_ends_quietly(how, count):
    done = say(how, "--count", count, shell="| true; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_a_full_disk_behind_stdout_is_a_refusal():
    done = say("table", shell="> /dev/full")
    assert (done.returncode, done.stderr) == (2, b"lodewell: output: No space left on device\n")
