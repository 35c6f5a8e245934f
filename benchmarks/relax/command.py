"""Relaxing ten thousand crystals by the whole command, from the shell to the last file.

    python -m benchmarks.relax.command --data ../shared/data/crystals

Known crystals, rattled by 0.1 Å and strained by up to 3 %, through `lodewell relax` with `spp` and two workers.
"""

from __future__ import annotations

from benchmarks.harness import DATA, busy, one_thread, report

one_thread()

import argparse  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks.relax.drivers import shaken  # noqa: E402
from lodewell.crystals.read import read_crystals  # noqa: E402
from lodewell.crystals.write import write_crystals  # noqa: E402

SOURCES = ("mp", "cod", "jarvis", "alexandria", "oqmd")


def watched(words: list[str]) -> dict[str, float]:
    """Run a command; return its wall time, and processor time and peak memory of all its processes."""
    import psutil

    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    first = psutil.Process(process.pid)
    seconds: dict[int, float] = {}
    once = added = 0
    while process.poll() is None:
        try:
            family = [first, *first.children(recursive=True)]
            memory = [member.memory_full_info() for member in family]
            once, added = max(once, sum(m.pss for m in memory)), max(added, sum(m.rss for m in memory))
            for member in family:
                times = member.cpu_times()
                seconds[member.pid] = times.user + times.system
        except psutil.Error:
            pass
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    return {"seconds": time.perf_counter() - began, "cpu_seconds": sum(seconds.values()),
            "shared_once_MB": once / 1e6, "added_up_MB": added / 1e6}  # fmt: skip


def command(data: Path, count: int, potential: str) -> None:
    """Run the command once on known crystals and report."""
    rng = np.random.default_rng(0)
    pool = [r.atoms for name in SOURCES for r in read_crystals(data / f"{name}.extxyz.gz") if r.atoms is not None]
    chosen = [shaken(pool[k], rng) for k in rng.choice(len(pool), count, replace=False)]
    atoms = sum(map(len, chosen))
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "candidates.extxyz", Path(folder) / "relaxed"
        write_crystals(path, chosen)
        del pool, chosen
        words = [sys.executable, "-m", "lodewell.cli", "relax", str(path), "-p", potential, "-o", str(out), "-n", "2"]
        began = time.strftime("%H:%M")
        measured = watched(words)
        rows = json.loads((out / "results.json").read_text())
    statuses = {s: sum(r["status"] == s for r in rows) for s in sorted({r["status"] for r in rows})}
    lost = count - len(rows)
    steps = [r["steps"] for r in rows if r["steps"] is not None]
    report(
        "relax_command",
        f"`lodewell relax` with {potential}: {count:,} known crystals, rattled 0.1 Å and strained 3 %, 2 workers",
        ["what", "value"],
        [
            ["wall time of the whole command", f"{measured['seconds']:.0f} s"],
            ["processor time of all its processes", f"{measured['cpu_seconds']:.0f} s"],
            ["peak memory of all processes, shared pages counted once", f"{measured['shared_once_MB']:,.0f} MB"],
            ["the same, shared pages counted in every process", f"{measured['added_up_MB']:,.0f} MB"],
            ["atoms", f"{atoms:,}"],
            ["steps, median and 95th percentile", f"{np.median(steps):.0f}, {np.percentile(steps, 95):.0f}"],
            ["rows missing", str(lost)],
            *[[f"status: {name}", f"{n:,}"] for name, n in statuses.items()],
        ],
        "Bad input are entries that the databases hold with two atoms on one site. " + busy(),
        began=began,
    )


def main() -> None:
    """Read what was asked for, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--data", type=Path, default=DATA / "crystals")
    parser.add_argument("--potential", default="spp")
    given = parser.parse_args()
    command(given.data, given.count, given.potential)


if __name__ == "__main__":
    main()
