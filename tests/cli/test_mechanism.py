"""The command line as such: quick help, one clean line for a refusal, exit codes."""

import os
import pathlib
import pty
import signal
import subprocess
import sys
import textwrap

import pytest

from lodewell import __version__

THROWAWAY = """
import sys, time
import typer
from lodewell import cli
from lodewell.cli.options import AsJson, ClusterSpec, CrystalPaths, OutFolder, WorkerCount
from lodewell.cli.progress import progress
from lodewell.errors import BadCrystal

@cli.app.command("try")
def command(how: str, n: WorkerCount = None, cluster: ClusterSpec = None, json: AsJson = False):
    "Try something."
    if how == "refuse":
        raise BadCrystal("frame 3 of a.xyz has no volume:\\n give it a cell")
    if how == "write":
        open("/no/such/folder/file", "w")
    if how == "fault":
        raise ZeroDivisionError("a fault of ours")
    if how == "wait":
        print("waiting", flush=True)
        time.sleep(60)
    if how == "talk":
        for i in range(100_000):
            print("line", i)
    if how == "count":
        with progress("counting", total=30) as bar:
            for k in range(30):
                time.sleep(0.1)
                bar("counting", k + 1)
    print(how, n, cluster, json)

cli.main()
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "throwaway.py"
    path.write_text(textwrap.dedent(THROWAWAY))
    return str(path)


def run(*words, **options):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=30, check=False, **options)


def test_version():
    done = run("-m", "lodewell.cli", "--version")
    assert (done.returncode, done.stdout) == (0, f"lodewell {__version__}\n")


def test_help_imports_no_science():
    code = "import sys, lodewell.cli; print(*[m for m in sys.modules])"
    loaded = set(run("-c", code).stdout.split())
    assert "lodewell.cli" in loaded
    heavy = {"numpy", "scipy", "numba", "ase", "matplotlib", "dask", "spglib", "rich", "yaml"}
    assert heavy & loaded == set()


def test_help_is_quick():
    """In processor time, so that a busy machine does not fail it."""
    run("-m", "lodewell.cli", "--help")
    seconds = []
    for _ in range(5):
        before = os.times()
        done = run("-m", "lodewell.cli", "--help")
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert done.returncode == 0
    assert "Usage: lodewell" in done.stdout
    assert min(seconds) < 0.6  # 0.25 s where nothing else runs: what matters is that no science is imported


def test_options_arrive(script):
    done = run(script, "try", "plain", "--workers", "3", "--cluster", "local", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "plain 3 local True\n", "")


def test_a_refusal_is_one_line_and_exit_code_2(script):
    done = run(script, "try", "refuse")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lodewell: frame 3 of a.xyz has no volume: give it a cell\n"


def test_a_file_that_cannot_be_written_is_one_line(script):
    done = run(script, "try", "write")
    assert done.returncode == 2
    assert done.stderr == "lodewell: /no/such/folder/file: No such file or directory\n"


def test_a_fault_of_ours_shows_its_traceback(script):
    done = run(script, "try", "fault")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: a fault of ours" in done.stderr


def test_a_wrong_option_is_named(script):
    done = run(script, "try", "plain", "--wokers", "3")
    assert done.returncode == 2
    assert "No such option: --wokers" in done.stderr


def test_interrupt_is_one_line_and_exit_code_130(script):
    process = subprocess.Popen(
        [sys.executable, script, "try", "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == "lodewell: interrupted; what was finished is kept\n"


def test_a_closed_pipe_is_no_error(script):
    done = subprocess.run(
        f"{sys.executable} {script} try talk | head -n 1", shell=True, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("line 0\n", "")


def test_no_progress_bar_without_a_terminal(script):
    done = run(script, "try", "count")
    assert (done.stdout, done.stderr) == ("count None None False\n", "")


def read_terminal(command):
    parent, child = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=child, env={**os.environ, "TERM": "xterm"})
    os.close(child)
    shown = b""
    try:
        while piece := os.read(parent, 4096):
            shown += piece
    except OSError:  # Linux says so at the end of a terminal
        pass
    os.close(parent)
    assert process.wait(timeout=10) == 0
    return shown.decode()


def test_a_long_job_shows_a_bar_on_a_terminal(script):
    shown = read_terminal([sys.executable, script, "try", "count"])
    assert "counting" in shown
    assert "/30" in shown


def test_a_short_job_shows_none(script):
    assert read_terminal([sys.executable, script, "try", "plain"]) == ""


def test_python_m_lodewell_and_completion():
    import lodewell.cli

    done = subprocess.run([sys.executable, "-m", "lodewell", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"lodewell {__version__}\n"
    words = os.environ | {"_LODEWELL_COMPLETE": "complete_bash", "COMP_WORDS": "lodewell rel", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from lodewell.cli import main; main()"],
        env=words, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["relax"]
    assert "relax" in lodewell.cli.COMMANDS


def test_what_to_cite(capsys):
    from lodewell.cli import app

    app(["cite", "gap"], standalone_mode=False)
    text = capsys.readouterr().out
    assert __version__ in text
    assert "10.1103/PhysRevLett.104.136403" in text
    assert "10.1103/PhysRevB.87.184115" in text
    app(["cite", "spp", "--bibtex"], standalone_mode=False)
    entries = capsys.readouterr().out
    assert "@article{antypov2024," in entries
    assert "@article{jain2013," in entries
    assert entries.count("@") == 3
    app(["cite"], standalone_mode=False)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_every_kind_of_potential_has_its_papers_or_none_of_its_own():
    from lodewell.potentials.families import families
    from lodewell.report.citations import of_kind

    assert {kind for kind in families() if not of_kind(kind)} == {"table", "sum"}


def test_the_version_stands_in_one_place():
    """CITATION.cff is read by others, and cannot ask: it must agree."""
    citation = (pathlib.Path(__file__).parents[2] / "CITATION.cff").read_text()
    assert f"\nversion: {__version__}\n" in citation


def test_the_page_of_public_names_has_every_name():
    import lodewell

    page = (pathlib.Path(__file__).parents[2] / "docs" / "python.md").read_text()
    shown = {line.rpartition(".")[2] for line in page.splitlines() if line.startswith("::: ")}
    assert shown == set(dir(lodewell)) - {"__version__"}
