"""What the first run of each command costs: processor time of all its processes, loops compiled and loops kept.

python -m benchmarks.commands.cold_start [COMMANDS...]     # some minutes; Linux
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import suppress

from benchmarks.harness import ROOT, report

EXAMPLES = ROOT / "examples"
CANDIDATES, FRAMES = str(EXAMPLES / "candidates"), str(EXAMPLES / "silicon-frames")
TRAIN, TEST = f"{FRAMES}/train.extxyz.gz", f"{FRAMES}/test.extxyz.gz"
COMMANDS = {
    "relax": f"relax {CANDIDATES} --out OUT/relaxed",
    "score": f"score {CANDIDATES}",
    "derive": f"derive {CANDIDATES} --out OUT/mine --restart",
    "fit uf": f"fit uf --train {TRAIN} --out OUT/uf",
    "fit meam": f"fit meam --train {TRAIN} --out OUT/meam --restarts 2 --members 1 --most-steps 3",
    "fit gap": f"fit gap --train {TRAIN} --out OUT/gap --points 100",
    "test": f"test spp {TEST}",
    "check": "check spp --elements Si",
    "compare": f"compare spp spp-2024 --data {TEST} --seconds 0.1",
    "predict": f"predict {CANDIDATES}",
    "map": f"map {CANDIDATES} --out OUT/map.png",
    "show": "show spp Li-O --out OUT/show.png",
}
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER: workers outlive the server that forked them, and must be counted


def cpu_seconds(words: list[str], cache: str) -> float:
    """Run a command and all that it starts; return user and system time, NaN when it fails."""
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "lodewell.cli", *words],
        env=os.environ | {"NUMBA_CACHE_DIR": cache}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return float("nan")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and report."""
    rows = []
    for name in sys.argv[1:] or COMMANDS:
        times = []
        with tempfile.TemporaryDirectory() as cache:
            for _ in range(2):
                with tempfile.TemporaryDirectory() as out:
                    times.append(cpu_seconds(COMMANDS[name].replace("OUT", out).split(), cache))
        rows.append([f"`{name}`", f"{times[0]:.1f}", f"{times[1]:.1f}"])
        print(*rows[-1], flush=True)
    report(
        "cold_start",
        "First runs: CPU seconds of all processes",
        ["command", "first run, loops compiled", "second run, loops loaded"],
        rows,
        note="On examples/, one first run each.",
    )


if __name__ == "__main__":
    main()
