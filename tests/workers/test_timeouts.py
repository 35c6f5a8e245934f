"""A task that hangs or kills its worker costs itself, and nothing else: here, in processes, and on Dask."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest
from tests.workers import hanging

from lodewell.compiling import tell
from lodewell.errors import BadOption
from lodewell.workers.base import WORKER_DIED, Limits, Workers, given_up
from lodewell.workers.open import open_workers

PATIENCE = 0.5  # s
HANGS = [hanging.sleep_for_ever, hanging.hold_the_lock_for_ever, hanging.hang_deaf_to_polite_signals]
DEATHS = [hanging.exit_at_once, hanging.kill_itself]
TOO_LONG = f"the task took longer than {PATIENCE} s, and its worker was killed: this chunk was given up"


@pytest.fixture(scope="module", params=["one", "two", "dask"])
def workers(request):
    if request.param == "dask":
        pytest.importorskip("distributed", reason="needs the extra [cluster]")
    place = {"one": {"n": 1}, "two": {"n": 2}, "dask": {"n": 2, "cluster": "local"}}[request.param]
    with open_workers(**place) as opened:
        list(opened.map(abs, [1], timeout=60.0))  # what is timed below are the tasks, not the start
        yield opened


def the_others_went_on(outcomes):
    assert [o.index for o in outcomes] == list(range(len(outcomes)))
    assert [o.value for o in outcomes] == [o.index if o.index != 3 else None for o in outcomes]
    assert [o.index for o in outcomes if o.error is not None] == [3]
    return outcomes[3].error


@pytest.mark.parametrize("hang", HANGS)
def test_a_task_that_hangs_says_so(workers: Workers, hang):
    start = time.monotonic()
    outcomes = list(workers.map(partial(hanging.on_three, what=hang), range(10), timeout=PATIENCE, retries=0))
    assert the_others_went_on(outcomes) == TOO_LONG
    assert PATIENCE < time.monotonic() - start < PATIENCE + 5


@pytest.mark.parametrize("die", DEATHS)
def test_a_task_that_kills_its_worker_says_so(workers: Workers, die):
    outcomes = list(workers.map(partial(hanging.on_three, what=die), range(10), timeout=60.0, retries=0))
    assert the_others_went_on(outcomes) == given_up(WORKER_DIED)[1]


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize("what", [hanging.exit_at_once, hanging.sleep_for_ever])
def test_retries_are_counted(workers: Workers, tmp_path, what, retries):
    task = partial(hanging.counted, what=what, folder=str(tmp_path))
    the_others_went_on(list(workers.map(task, range(6), timeout=PATIENCE, retries=retries)))
    assert len(list(tmp_path.glob("*.try"))) == 1 + retries


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_an_exception_is_not_tried_again(workers: Workers, tmp_path, timeout):
    task = partial(hanging.counted, what=hanging.fail, folder=str(tmp_path))
    error = the_others_went_on(list(workers.map(task, range(6), timeout=timeout, retries=5)))
    assert error == "ValueError: three is not allowed"
    assert len(list(tmp_path.glob("*.try"))) == 1


def test_a_task_that_hangs_once_costs_nothing(workers: Workers, tmp_path):
    outcomes = list(workers.map(partial(hanging.hang_once, folder=str(tmp_path)), range(6), timeout=PATIENCE))
    assert [o.value for o in outcomes] == list(range(6))


def test_tasks_in_time_keep_their_process(workers: Workers):
    pids = [o.value for o in workers.map(hanging.rest, [0.01] * 20, timeout=60.0)]
    assert len(set(pids)) <= workers.n
    assert os.getpid() not in pids


def test_the_clock_of_a_task_starts_with_the_task(workers: Workers):
    """More tasks than workers wait longer than each may take."""
    outcomes = list(workers.map(hanging.rest, [0.6] * 5, timeout=1.0, retries=0))
    assert [o.error for o in outcomes] == [None] * 5


def test_programs_that_a_task_has_started_end_with_it(workers: Workers, tmp_path):
    task = partial(hanging.wait_for_an_engine, folder=str(tmp_path))
    (outcome,) = workers.map(task, [0], timeout=2.0, retries=0)
    assert outcome.error == TOO_LONG.replace(str(PATIENCE), "2")
    until = time.monotonic() + 5.0
    while is_alive(int((tmp_path / "engine").read_text())):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_alive(pid):
    """Tell whether a process is there; one that has ended, of which nobody has taken notice, is not."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self").exists():
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def compile_for_long(x):
    tell(True)
    time.sleep(2 * PATIENCE)
    tell(False)
    return x


def test_compiling_does_not_count():
    with open_workers(2) as workers:
        outcomes = list(workers.map(compile_for_long, range(2), timeout=PATIENCE, retries=0))
        assert [o.value for o in outcomes] == [0, 1]
        hang_later = partial(then_hang, compile_for_long)
        assert [o.error for o in workers.map(hang_later, [0], timeout=PATIENCE, retries=0)] == [TOO_LONG]


def then_hang(first, x):
    first(x)
    hanging.sleep_for_ever(x)


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"timeout": 0.0}, "the timeout is 0.0: give seconds above 0"), ({"retries": -1}, "number of retries is -1")],
)
def test_limits_that_cannot_be_are_refused(workers: Workers, limits, message):
    with pytest.raises(BadOption, match=message):
        list(workers.map(abs, [1], **limits))


def test_a_worker_without_a_parent_ends_by_itself():
    """The parent cannot kill it any more, so that the system does."""
    script = (
        "import ctypes\nfrom lodewell.workers.child import _expiring\n_expiring(ctypes.PyDLL(None).sleep, 0.2, 1000)"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=20, check=False)
    assert done.returncode == -signal.SIGALRM


@pytest.mark.parametrize("place", ["1", "2", "2, 'local'"])
def test_ctrl_c_ends_what_hangs(tmp_path, place):
    if "local" in place:
        pytest.importorskip("distributed", reason="needs the extra [cluster]")
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent(f"""
        import ctypes, os, sys
        from lodewell.workers import open_workers

        def hang(x):
            os.write(1, f"working {{os.getpid()}}\\n".encode())
            ctypes.PyDLL(None).pause()

        if __name__ == "__main__":
            try:
                with open_workers({place}) as workers:
                    print(list(workers.map(hang, range(10), timeout=600.0)))
            except KeyboardInterrupt:
                print("interrupted", flush=True)
                sys.exit(130)
        """)
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(script)], **pipes, text=True, start_new_session=True) as process:
        pid = int(process.stdout.readline().split()[1])
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out.endswith("interrupted\n")
    assert time.monotonic() - start < 10
    assert not is_alive(pid)


def test_what_is_said_of_a_task_that_hangs():
    assert str(Limits(3600.0, 0)) == "the task took longer than 3600 s, and its worker was killed"
