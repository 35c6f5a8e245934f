"""Workers keep order, stay lazy, and survive whatever a task does to them."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial

import pytest

from lodewell.errors import BadOption
from lodewell.workers.base import WORKER_DIED, Outcome, Workers, given_up
from lodewell.workers.open import open_workers, usable_cores


def square(x):
    return x * x


def slow_first(x):
    time.sleep(0.3 if x == 0 else 0.0)
    return x


def fail_on_three(x):
    if x == 3:
        raise ValueError("three is\nnot allowed")
    return x


def die_on_three(x, how):
    if x == 3:
        if how == "exit":
            os._exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def die_once(x, marker):
    if x == 3 and not os.path.exists(marker):
        with open(marker, "w") as file:
            file.write("died")
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def give_a_lambda(x):
    return lambda: x


def ask_to_exit(x):
    sys.exit("enough")


def threads_and_pid(x):
    time.sleep(0.05)
    return os.environ["OMP_NUM_THREADS"], os.environ["NUMBA_NUM_THREADS"], os.getpid()


@pytest.fixture(scope="module")
def two():
    with open_workers(2) as workers:
        yield workers


@pytest.fixture(params=[1, 2])
def workers(request, two):
    if request.param == 2:
        yield two
    else:
        with open_workers(1) as one:
            yield one


def test_outcomes_come_in_task_order(workers: Workers):
    outcomes = list(workers.map(slow_first, range(20)))
    assert outcomes == [Outcome(i, i, i, None) for i in range(20)]


def test_no_tasks_give_no_outcomes(workers: Workers):
    assert list(workers.map(square, [])) == []


def test_an_endless_stream_flows_with_few_tasks_in_flight(workers: Workers):
    taken = 0

    def stream():
        nonlocal taken
        for i in itertools.count():
            taken = i + 1
            yield bytes(100_000)  # larger than a pipe's buffer

    most_ahead = 0
    for outcome in workers.map(len, stream()):
        assert outcome.value == 100_000
        most_ahead = max(most_ahead, taken - outcome.index)
        if outcome.index == 50:
            break
    assert most_ahead <= (1 if workers.n == 1 else 2 * workers.n + 2)
    assert [o.value for o in workers.map(square, range(4))] == [0, 1, 4, 9]  # still usable after an early stop


def test_an_exception_is_an_outcome_in_one_line(workers: Workers):
    outcomes = list(workers.map(fail_on_three, range(6)))
    assert [o.value for o in outcomes] == [0, 1, 2, None, 4, 5]
    assert [o.error for o in outcomes] == [None, None, None, "ValueError: three is not allowed", None, None]


def test_sys_exit_in_a_task_ends_the_task_only(workers: Workers):
    assert [o.error for o in workers.map(ask_to_exit, range(2))] == ["SystemExit: enough"] * 2


@pytest.mark.parametrize("how", ["exit", "sigkill"])
def test_a_killed_worker_costs_its_own_chunk(two: Workers, how):
    outcomes = list(two.map(partial(die_on_three, how=how), range(12)))
    assert [o.value for o in outcomes] == [0, 1, 2, None, *range(4, 12)]
    assert [o.error for o in outcomes if o.index == 3] == [given_up(WORKER_DIED)[1]]
    assert sum(o.error is not None for o in outcomes) == 1


def test_a_worker_killed_by_accident_costs_nothing(two: Workers, tmp_path):
    outcomes = list(two.map(partial(die_once, marker=str(tmp_path / "died")), range(8)))
    assert [o.value for o in outcomes] == list(range(8))


def test_tasks_and_results_that_cannot_travel_are_error_outcomes(two: Workers):
    (outcome,) = two.map(give_a_lambda, [1])
    assert outcome.error is not None
    assert outcome.error.startswith("the result cannot be pickled")
    bad, good = two.map(type, [lambda: 0, 1])
    assert bad.error is not None
    assert bad.error.startswith("the task cannot be sent")
    assert good.value is int


def test_a_function_that_cannot_travel_is_refused(two: Workers):
    with pytest.raises(TypeError, match="top level of a module"):
        list(two.map(lambda x: x, [1]))


def test_an_error_of_the_stream_is_raised(workers: Workers):
    def stream():
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(workers.map(square, stream()))


def test_workers_are_other_processes_with_one_thread_each(two: Workers):
    before = dict(os.environ)
    replies = [o.value for o in two.map(threads_and_pid, range(8))]
    pids = {pid for *_, pid in replies}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert {(omp, numba) for omp, numba, _ in replies} == {("1", "1")}
    assert dict(os.environ) == before


def test_number_of_workers():
    with open_workers() as workers:
        assert workers.n == usable_cores()
    with pytest.raises(BadOption, match="number of workers is 0"):
        open_workers(0)


def test_closing_stops_what_runs_and_leaves_no_process():
    with open_workers(2) as workers:
        pids = {o.value[2] for o in workers.map(threads_and_pid, range(6))}
        start = time.perf_counter()
        outcomes = workers.map(time.sleep, [0.0, 60.0, 60.0])
        next(outcomes)
    assert time.perf_counter() - start < 5
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def run_and_interrupt(tmp_path, n):
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, sys, time
        from lodewell.workers import open_workers

        def work(x):
            os.write(1, f"working {{os.getpid()}}\\n".encode())  # in one piece, also where output is not buffered
            time.sleep(60)

        if __name__ == "__main__":
            try:
                with open_workers({n}) as workers:
                    for outcome in workers.map(work, range(10)):
                        print("outcome", outcome, flush=True)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
                sys.exit(130)
        """)
    )
    command = [sys.executable, str(script)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, start_new_session=True) as process:
        pids = []
        for line in process.stdout:
            assert line.startswith("working"), line
            pids.append(int(line.split()[1]))
            if len(pids) == n:
                break
        start = time.perf_counter()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: parent and children alike
        out, err = process.communicate(timeout=20)
    return process.returncode, out, err, pids, time.perf_counter() - start


@pytest.mark.parametrize("n", [1, 2])
def test_interrupt_is_prompt_and_quiet(tmp_path, n):
    code, out, err, pids, seconds = run_and_interrupt(tmp_path, n)
    assert code == 130
    assert out == "interrupted\n"
    assert err == ""
    assert seconds < 5
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_script_without_a_main_guard_is_told_the_cure(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from lodewell.workers import open_workers\n"
        "with open_workers(2) as workers:\n"
        "    print(list(workers.map(abs, [-1])))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "LodewellError: a worker process could not start. In a script, put the call under" in done.stderr


def test_a_script_piped_in_works():
    script = (
        "from lodewell.workers import open_workers\n"
        "with open_workers(2) as workers:\n"
        "    print([outcome.value for outcome in workers.map(abs, [-1, -2])])\n"
    )
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")
