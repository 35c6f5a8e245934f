"""What `lodewell warmup` has compiled need not be compiled again."""

import pytest

from lodewell.cli import COMMANDS, app
from lodewell.cli._warmup import RUNS, steps, warm_up
from lodewell.compiling import told
from lodewell.errors import BadOption


def test_after_a_warm_up_a_command_compiles_nothing():
    begun = []
    assert warm_up("score") == ""
    with told(begun.append):
        assert warm_up("score") == ""
    assert begun == []


def test_every_run_is_of_a_command_that_exists():
    assert {run.split()[0] for runs in RUNS.values() for run in runs} <= set(COMMANDS)


def test_an_unknown_command_is_refused():
    assert steps(["relax", "relax"]) == ["relax"]
    with pytest.raises(BadOption, match="'show': choose from relax"):
        steps(["show"])


def test_the_command_says_what_it_did(capsys):
    app(["warmup", "score"], standalone_mode=False)
    assert "score: " in capsys.readouterr().out


def test_what_cannot_be_run_is_said(monkeypatch):
    monkeypatch.setitem(RUNS, "score", ("score no-such-file",))
    assert warm_up("score").startswith("left out: lodewell: no-such-file: no such file")


@pytest.mark.parametrize("name", ["relax", "derive", "fit-uf", "fit-meam", "test", "predict", "map"])
def test_the_runs_can_be_made(name):
    assert warm_up(name) == ""
