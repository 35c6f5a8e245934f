"""What fitting the 214 frames of Si costs: fresh processes from start to potential, and where their time goes.

Two minutes on one thread. The aim: featurise and solve within 5 CPU s and 300 MB, nothing on disk.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Laps, one_thread, peak_memory_MB, report, run_command

one_thread()

RUNS = 5
STAGES = {"reading": "reading, looking", "distances": "distances, knots", "rows": "rows (featurising)",
          "folding": "folding rows into products", "choosing weights": "choosing weights and regularisation",
          "solving": "solving", "calibrating uncertainties": "calibrating uncertainties"}  # fmt: skip


def child(fits: int) -> None:
    """Fit so many times in this process, and print the processor time of the imports and of the last fit."""
    start = time.process_time()
    from benchmarks.mlearn import file_of
    from benchmarks.uf.cases import options
    from lodewell.fit.data import LabelledData
    from lodewell.fit.uf.run import fit_uf_files
    from lodewell.record import Run

    out: dict[str, Any] = {"imports": time.process_time() - start, "imported_MB": peak_memory_MB()}
    for _ in range(fits):
        laps = Laps(STAGES)
        train = LabelledData(file_of("Si", "train"), options("Si", "same"))
        frames = train.survey.frames
        with laps.folding_apart():
            fitted = fit_uf_files(train, options("Si", "same"), out=None, run=Run("fit uf", progress=laps))
            laps("solving")
    out |= {"frames": frames, "coefficients": fitted.facts["coefficients"], "written_MB": written_MB()}
    print(json.dumps(out | {"stages": laps.seconds, "memory_MB": laps.memory_MB}))


def written_MB() -> float:
    """Return what this process has written anywhere, in MB."""
    return int(Path("/proc/self/io").read_text().split("wchar:")[1].split()[0]) / 1e6


def fresh(fits: int, **environment: str) -> dict[str, Any]:
    """Run a child, and return what it printed with its processor time and largest memory seen from outside."""
    done = run_command([sys.executable, "-m", __spec__.name, "--child", str(fits)], env={**os.environ, **environment})
    if done["returncode"]:
        raise SystemExit(done["output"])
    return {**done, **json.loads(done["output"].splitlines()[-1])}


def main() -> None:
    """Measure and report."""
    fresh(1)  # compiles what is not yet compiled
    whole = [fresh(1) for _ in range(RUNS)]
    warm = [fresh(2)["stages"] for _ in range(RUNS)]
    with tempfile.TemporaryDirectory() as empty:
        compiled = fresh(1, NUMBA_CACHE_DIR=empty)["cpu_seconds"]

    def middle(of: list[dict[str, Any]], key: str) -> float:
        return statistics.median(float(each[key]) for each in of)

    stages = {stage: middle(warm, stage) for stage in STAGES}
    total, imports, work = middle(whole, "cpu_seconds"), middle(whole, "imports"), sum(stages.values())
    alike = work - stages["calibrating uncertainties"]
    rows: list[list[object]] = [[f"… {label}", f"{stages[stage]:.2f}"] for stage, label in STAGES.items()]
    rows = [
        ["from frames to potential, kernels loaded", f"{work:.2f}"], *rows,
        ["… all of these but uncertainties, which the reference package has not", f"{alike:.2f}"],
        ["Python and imports", f"{imports:.2f}"],
        ["the whole process, with loading of kernels", f"{total:.2f}"],
        ["the same when it must compile them first, once an installation", f"{compiled:.1f}"],
    ]  # fmt: skip
    found = whole[0]
    report(
        "uf_fit",
        f"Fitting UF to Si: {found['frames']} frames, {found['coefficients']} coefficients, one thread",
        ["", "CPU s"],
        rows,
        f"Largest memory of the process {middle(whole, 'peak_MB'):.0f} MB, after the imports "
        f"{middle(whole, 'imported_MB'):.0f} MB; written to files {middle(whole, 'written_MB'):g} MB. "
        "Energies and forces, weights and regularisation chosen automatically. "
        "Reference package, same basis: 164 CPU s to featurise and 1.2 s to solve for given weights, 330 MB on disk. "
        f"Medians of {RUNS} processes; folding that is put off until enough rows are there counts where it happens.",
        stages=stages, whole=whole,
    )  # fmt: skip


if __name__ == "__main__":
    child(int(sys.argv[2])) if "--child" in sys.argv else main()
