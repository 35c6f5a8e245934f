"""What parallel work costs: the first worker, a later pool, and a task (seconds; under a minute)."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.harness import report

FIRST = """
import time
import numpy, scipy.spatial, numba, ase
from lodewell.workers import open_workers
start = time.perf_counter()
with open_workers(2) as workers:
    list(workers.map(abs, [-1, -2]))
    print(time.perf_counter() - start)
"""


def main() -> None:
    """Measure and report."""
    from lodewell.workers.open import open_workers

    def first() -> float:
        command = [sys.executable, "-"]
        return float(subprocess.run(command, input=FIRST, capture_output=True, text=True, check=True).stdout)

    def later() -> float:
        start = time.perf_counter()
        with open_workers(2) as workers:
            list(workers.map(abs, [-1, -2]))
            return time.perf_counter() - start

    def a_task(number: int, size: int) -> float:
        with open_workers(2) as workers:
            list(workers.map(abs, [-1, -2]))
            start = time.perf_counter()
            assert sum(o.value for o in workers.map(len, (bytes(size) for _ in range(number)))) == number * size
            return (time.perf_counter() - start) / number

    help_seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "lodewell.cli", "--help"], capture_output=True, check=True)
        help_seconds.append(time.perf_counter() - start)
    later()
    report(
        "workers",
        "Cost of parallel work",
        ["what", "time"],
        [
            ["two workers at work for the first time, science preloaded", f"{_median(first):.2f} s"],
            ["two workers at work, a later pool", f"{_median(later) * 1e3:.0f} ms"],
            ["a small task", f"{_median(lambda: a_task(5000, 1)) * 1e6:.0f} µs"],
            ["a task of 10 MB", f"{_median(lambda: a_task(50, 10_000_000)) * 1e3:.0f} ms"],
            ["`lodewell --help`", f"{statistics.median(help_seconds):.2f} s"],
        ],
        "Medians of 5 runs.",
    )


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(5))


if __name__ == "__main__":
    main()
