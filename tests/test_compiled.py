"""Loops are compiled once between processes, whoever asks hears of it, and a machine without room compiles anew."""

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

TWICE = '''
"""A loop of its own, so that nothing of the package need be compiled."""
from lodewell.compiled import inner, kernel


@inner
def double(x):
    return 2.0 * x


@kernel
def twice(x):
    return double(double(x))


@kernel
def share(x):
    return 1.0 / x


def job(x):
    return twice(x)
'''

RACE = """
import gc, sys, time
sys.path.insert(0, {folder!r})
from lodewell.compiling import told
heard = []
with told(heard.append):
    import lodewell.made_up as made_up
    while time.time() < {start}:
        time.sleep(0.001)
    assert made_up.twice(1.5) == 6.0
    assert made_up.share(0.0) == float("inf")
    assert gc.isenabled()
print(heard.count(True), heard.count(False))
"""


@pytest.fixture
def environment(tmp_path):
    """An environment where the package has one more module, and loops are kept in a new folder."""
    package = tmp_path / "package" / "lodewell"
    package.mkdir(parents=True)
    import lodewell

    for item in Path(lodewell.__file__).parent.iterdir():
        if item.name != "__pycache__":
            (package / item.name).symlink_to(item)
    (package / "made_up.py").write_text(TWICE)
    return os.environ | {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}


def _run(code, environment):
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_processes_that_need_the_same_loop_compile_it_once_between_them(environment):
    code = RACE.format(folder=environment["PYTHONPATH"], start=time.time() + 1.5)
    racers = [_run(code, environment) for _ in range(3)]
    answers = [racer.communicate() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0], answers
    counts = [tuple(map(int, out.split())) for out, _ in answers]
    assert all(begun == ended for begun, ended in counts)
    assert sum(begun for begun, _ in counts) == 2  # `twice` and `share`, in whichever process


def test_where_nothing_can_be_written_loops_run_and_it_is_said(environment):
    code = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"
        "from lodewell import made_up\nfrom lodewell.compiled import uncached\n"
        "assert made_up.twice(1.0) == 4.0\nassert uncached()\n"
        "from lodewell.cli.progress import compiling_text\nprint(compiling_text())"
    )
    out, error = _run(code, environment).communicate()
    assert "NUMBA_CACHE_DIR" in out, error


def test_the_command_line_says_in_one_line_that_it_compiles(capsys):
    from lodewell.cli.progress import compiling_said, progress
    from lodewell.compiling import COMPILING, tell

    with compiling_said(), progress("working"):
        for _ in range(3):
            tell(True)
            tell(False)
    assert capsys.readouterr().err.splitlines() == [f"lodewell: {COMPILING}"]
    tell(True)
    assert capsys.readouterr().err == ""


def test_workers_tell_their_parent(environment, tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "from lodewell.compiling import told\n"
        "from lodewell.workers import open_workers\n"
        "from lodewell import made_up\n"
        "if __name__ == '__main__':\n"
        "    heard = []\n"
        "    with told(heard.append), open_workers(2) as pool:\n"
        "        print([o.value for o in pool.map(made_up.job, [0.5, 1.5])], heard)\n"
    )
    done = subprocess.run([sys.executable, str(script)], check=True, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[2.0, 6.0] [True, False]", done.stderr


def test_no_loop_goes_its_own_way():
    """Every loop is made by `kernel` or `inner`: else it is compiled without a word, and once in every worker."""
    import lodewell

    package = Path(lodewell.__file__).parent
    strays = [p for p in package.rglob("*.py") if "njit" in p.read_text() and p.name != "compiled.py"]
    assert strays == []
    assert gc.isenabled()


def test_a_loop_without_an_entry_says_so(environment):
    """Numba itself would jump to address zero."""
    code = "from lodewell import made_up\nprint(made_up.twice(1.0))\nmade_up.double(1.0)"
    out, error = _run(code, environment).communicate()
    assert out.strip() == "4.0"
    assert error.rstrip().endswith("TypeError: lodewell.made_up.double is called by loops only: make it a kernel")


def test_a_bar_counts_stages_and_outgrows_an_estimate():
    from lodewell.cli.progress import Bar

    bar = Bar("reading", 3)
    bar("reading", 5)
    assert (bar.done, bar.total) == (5, 5)
    bar("reading", 7)
    assert (bar.description, bar.done, bar.total) == ("reading", 7, 7)
    bar("writing", 0, 2)
    assert (bar.description, bar.done, bar.total) == ("writing", 0, 2)
    bar("writing", 1)
    assert (bar.done, bar.total) == (1, 2)
    bar("ranking", 1)
    assert (bar.done, bar.total) == (1, None)
    assert not bar.compiling(True)  # no terminal shows it
