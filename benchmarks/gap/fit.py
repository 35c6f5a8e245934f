"""What fitting a GAP costs: fresh processes from start to potential, beside the reference code; and how it grows.

`python -m benchmarks.gap.fit`: half an hour on one thread, eight minutes of it the reference code, which needs 7 GB.
`--no-peer` takes what the reference code needed from `results/gap_fit.json`. A number, as in
`python -m benchmarks.gap.fit --no-peer 10`, leaves out what is more than a tenth of the largest.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import IMAGES, RESULTS, Laps, one_thread, peak_memory_MB, report, run_command

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402

from benchmarks.uf.growth import slope  # noqa: E402

RUNS = 3
RANDOM_FRAMES, RANDOM_POINTS, MANY_POINTS = 2_000, 1_000, 2_000
ENVIRONMENTS = (1_000, 10_000, 100_000)  # in the data that are fitted
STAGES = {
    "reading": "reading, looking", "distances": "distances", "likelihood": "likelihood of length scales",
    "sparse points": "choosing sparse points", "rows": "rows", "folding": "folding rows into products",
    "evidence": "evidence", "choosing weights": "choosing weights", "solving": "solving",
    "calibrating uncertainties": "calibrating uncertainties",
}  # fmt: skip


def child(path: str, points: int, case: str) -> None:
    """Fit a file in this process, with or without uncertainties, and print what it took."""
    start = time.process_time()
    from benchmarks.gap.cases import same_options
    from lodewell.fit.data import LabelledData
    from lodewell.fit.gap.options import GAPOptions
    from lodewell.fit.gap.run import fit_gap_files
    from lodewell.record import Run

    out: dict[str, Any] = {"imports": time.process_time() - start, "imported_MB": peak_memory_MB()}
    options = GAPOptions(points=points) if case == "default" else same_options("Si", points, uncertainty=case != "bare")
    laps = Laps(STAGES)
    train = LabelledData(path, options)
    frames = train.survey.frames
    with laps.folding_apart():
        fitted = fit_gap_files(train, options, out=None, run=Run("fit gap", progress=laps))
        laps("solving")
    atoms = int(train.survey.columns.atoms_f.sum())
    out |= {"frames": frames, "size": atoms, "coefficients": fitted.facts["coefficients"]}
    out |= {"seconds": sum(laps.seconds.values()), "MB": peak_memory_MB()}
    print(json.dumps(out | {"stages": laps.seconds, "memory_MB": laps.memory_MB}))


def fresh(path: Path, points: int, case: str = "same") -> dict[str, Any]:
    """Fit in a process of its own; return what it printed with what it took as seen from outside."""
    done = run_command([sys.executable, "-m", __spec__.name, "--child", str(path), str(points), case])
    if done["returncode"]:
        raise SystemExit(done["output"])
    inside = json.loads(done["output"].splitlines()[-1])
    print(f"{path.name} {points} {case}: {done['cpu_seconds']:.1f} CPU s, {done['peak_MB']:.0f} MB", flush=True)
    return {**inside, "cpu_seconds": done["cpu_seconds"], "peak_MB": done["peak_MB"]}


def medians(path: Path, points: int, case: str = "same", count: int = RUNS) -> dict[str, Any]:
    """Fit in some processes; return the medians."""
    runs = [fresh(path, points, case) for _ in range(count)]
    middle = {key: statistics.median(run[key] for run in runs) for key in ("cpu_seconds", "peak_MB", "imports")}
    stages = {stage: statistics.median(run["stages"][stage] for run in runs) for stage in STAGES}
    return {**runs[0], **middle, "stages": stages}


def by_peer(path: Path, points: int) -> dict[str, Any]:
    """Fit with the reference code."""
    from benchmarks.gap.cases import CUTOFFS, peer_fit, write_for_peer
    from benchmarks.gap.errors import wait_for_memory
    from lodewell.crystals.labels.read import read_labels

    wait_for_memory()
    with tempfile.TemporaryDirectory() as folder:
        train = Path(folder) / "train.xyz"
        write_for_peer(train, read_labels(path))
        found = peer_fit(train, Path(folder) / "gap.xml", CUTOFFS["Si"], points)
    print(f"reference code, {path.name} {points}: {found}", flush=True)
    return found


def write_random(path: Path, count: int) -> None:
    """Write so many frames of `silicon-random`, evenly taken from all its files."""
    from ase.io import write

    from benchmarks.gap.silicon import random_frames

    out = []
    for frame in random_frames(count):
        atoms = Atoms(frame.atoms.numbers, frame.atoms.positions, cell=frame.atoms.cell, pbc=True)
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = frame.energy, frame.forces_nc
        out.append(atoms)
    write(path, out, format="extxyz")


def write_grown(folder: Path, counts: list[int]) -> list[Path]:
    """Write files of so many environments: the frames of Si in random order, moved by 0.05 Å, labelled by a UF."""
    from benchmarks.mlearn import file_of
    from benchmarks.uf.cases import potential
    from lodewell.crystals.labels.read import read_labels
    from lodewell.crystals.write import write_crystals

    uf, rng = potential("Si", "default"), np.random.default_rng(0)
    known = [frame.atoms for frame in read_labels(file_of("Si", "train"))]
    order = rng.permutation(len(known))

    def moved(environments: int) -> Iterator[Atoms]:
        held = k = 0
        while held < environments:
            crystal = known[order[k % len(known)]].copy()
            crystal.positions += rng.normal(0.0, 0.05, crystal.positions.shape)
            (result,) = uf.evaluate(crystal)
            crystal.info["REF_energy"], crystal.arrays["REF_forces"] = result.energy, result.forces_nc
            held, k = held + len(crystal), k + 1
            yield crystal

    paths = [folder / f"{count}.extxyz" for count in counts]
    for path, count in zip(paths, counts, strict=True):
        write_crystals(path, moved(count))
    return paths


def draw(points: list[dict[str, Any]], path: Path) -> None:
    """Draw time and memory over environments, log-log, with a line of slope 1."""
    from lodewell.report.style import BLUE, GREY, VERMILION, figure, save

    with figure(5.2, 3.8) as drawn:
        axes = drawn.subplots()
        x = np.array([p["size"] for p in points])
        for key, colour, label in (("seconds", BLUE, "time (CPU s)"), ("MB", VERMILION, "largest memory (MB)")):
            y = np.array([p[key] for p in points])
            axes.plot(x, y, "o-", color=colour, label=f"{label}: slope {slope(points, key):.2f}")
        times = points[-1]["seconds"] * x / x[-1]
        axes.plot(x, times, color=GREY, lw=0.9, ls=(0, (4, 3)), zorder=1, label="linear")
        axes.set(xscale="log", yscale="log", xlabel="GAP fit: environments in the data")
        axes.legend(loc="upper left")
        axes.set_ylim(top=30.0 * max(max(p["seconds"], p["MB"]) for p in points))
        save(drawn, path)


def main() -> None:
    """Measure and report."""
    from benchmarks.gap.cases import POINTS
    from benchmarks.mlearn import file_of

    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    less = numbers[0] if numbers else 1
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        mlearn, random = file_of("Si", "train"), Path(folder) / "random.extxyz"
        write_random(random, RANDOM_FRAMES // less)
        found["peer"] = peers(mlearn, random, POINTS // less, RANDOM_POINTS // less)
        fresh(mlearn, 50)  # compiles what is not yet compiled
        found["mlearn"] = medians(mlearn, POINTS // less)
        found["bare"] = medians(mlearn, POINTS // less, "bare")
        found["default"] = medians(mlearn, POINTS // less, "default", 1)
        found["many"] = medians(mlearn, MANY_POINTS // less, count=1)
        found["random"] = medians(random, RANDOM_POINTS // less)
        counts = [n for n in ENVIRONMENTS if n <= ENVIRONMENTS[-1] / less]
        grown = [fresh(path, POINTS // less, "bare") for path in write_grown(Path(folder), counts)]
    found["grown"] = grown
    draw(grown, IMAGES / "gap-growth.png")
    write(found)


def peers(mlearn: Path, random: Path, points: int, random_points: int) -> dict[str, Any]:
    """Run the reference code, or return what it took when it last ran."""
    if "--no-peer" not in sys.argv:
        return {"mlearn": by_peer(mlearn, points), "random": by_peer(random, random_points)}
    kept = RESULTS / "gap_fit.json"
    return dict(json.loads(kept.read_text(encoding="utf-8"))["found"]["peer"]) if kept.exists() else {}


def write(found: dict[str, Any]) -> None:
    """Report costs, stages and growth."""

    def row(name: str, case: dict[str, Any], peer: dict[str, Any] | None) -> list[object]:
        cost = [f"{case['cpu_seconds']:.1f}", f"{case['peak_MB']:.0f}"]
        size = [case["frames"], case["size"], case["coefficients"]]
        if peer is None:
            return [name, *size, *cost, "", "", ""]
        ratio = f"{peer['cpu_seconds'] / case['cpu_seconds']:.1f} / {peer['peak_MB'] / case['peak_MB']:.1f}"
        return [name, *size, *cost, f"{peer['cpu_seconds']:.0f}", f"{peer['peak_MB']:,.0f}", ratio]

    peer = found["peer"]
    rows = [
        row("mlearn Si, the reference code's settings", found["mlearn"], peer.get("mlearn")),
        row("… without error bars, which it has not", found["bare"], peer.get("mlearn")),
        row("… no options: kernels and weights chosen", found["default"], None),
        row("… its settings, more points", found["many"], None),
        row("silicon-random", found["random"], peer.get("random")),
        *(row("growth, no error bars", point, None) for point in found["grown"]),
        ["slope of the last decade: time / memory", "", "", "",
         f"{slope(found['grown'], 'seconds'):.2f}", f"{slope(found['grown'], 'MB'):.2f}", "", "", ""],
    ]  # fmt: skip
    report(
        "gap_fit",
        "Fitting a GAP: processor time and largest memory of the whole process, one thread",
        ["", "frames", "atoms", "coefficients", "CPU s", "MB", "reference code: CPU s", "MB", "times as much"],
        rows,
        "Distances (15 points) and SOAP (n 8, l 6, 5 Å); energies and forces, and stresses of mlearn. The reference "
        f"code is `gap_fit` of quippy-ase, once; lodewell: medians of {RUNS} processes, one where no options are "
        "given, where there are more points, and of growth; start of Python and loading of kernels included. Growth: "
        "frames of mlearn Si moved by 0.05 Å.",
        found=found,
    )  # fmt: skip
    names = ("mlearn", "many", "random", "default")
    report(
        "gap_fit_stages",
        "Fitting a GAP: where the time goes (CPU s)",
        ["", *(f"{n}, {found[n]['coefficients']:,} coefficients" for n in names)],
        [
            ["Python and imports", *(f"{found[name]['imports']:.2f}" for name in names)],
            *([label, *(f"{found[name]['stages'][stage]:.2f}" for name in names)] for stage, label in STAGES.items()),
        ],
        "mlearn: mlearn Si, settings of the reference code; many: the same with more points; random: silicon-random; "
        "default: mlearn Si, no options. Loading of compiled kernels counts where it happens.",
    )


if __name__ == "__main__":
    child(sys.argv[2], int(sys.argv[3]), sys.argv[4]) if "--child" in sys.argv else main()
