"""How time and memory grow with atoms (evaluating UF 2 + 3 body) and with frames (fitting it); a figure.

Each point is a process of its own, one thread: `python -m benchmarks.uf.growth`, three minutes. A word such as
`python -m benchmarks.uf.growth 10` leaves out what is more than a tenth of the largest.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import IMAGES, one_thread, peak_memory_MB, report, run_command

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402

CELLS = ((3, 2, 2), (5, 5, 5), (11, 11, 10), (23, 23, 24), (50, 50, 50))  # of 8 atoms
FRAMES = (10, 100, 1000, 10_000)
WARM = "warm.extxyz"
BASIS = {"cutoff": 5.0, "cutoff_3body": 4.0, "intervals": 16, "intervals_3body": 6}  # a small basis


def atoms(cells: str) -> dict[str, float]:
    """Evaluate a rattled Si crystal of so many cells, as a user would."""
    from benchmarks.uf.cases import potential

    uf = potential("Si", "default")
    silicon = bulk("Si", "diamond", a=5.43, cubic=True)
    uf.evaluate(silicon)  # loads the kernels
    crystal = silicon * tuple(int(n) for n in cells.split(","))
    crystal.positions += np.random.default_rng(0).normal(0.0, 0.05, crystal.positions.shape)
    best = np.inf
    for _ in range(max(1, min(20, 100_000 // len(crystal)))):
        start = time.process_time()
        uf.evaluate(crystal)
        best = min(best, time.process_time() - start)
    return {"size": len(crystal), "seconds": best, "MB": peak_memory_MB()}


def frames(path: str) -> dict[str, float]:
    """Fit to a file of frames."""
    from lodewell.fit.data import LabelledData
    from lodewell.fit.uf.options import UFOptions
    from lodewell.fit.uf.run import fit_uf_files
    from lodewell.record import Run

    options = UFOptions(**BASIS, uncertainty=False)  # type: ignore[arg-type]

    def once(file: str) -> tuple[int, int]:
        train = LabelledData(file, options)
        return len(train), fit_uf_files(train, options, out=None, run=Run("fit uf")).facts["coefficients"]

    once(path.replace(Path(path).name, WARM))  # loads the kernels
    start = time.process_time()
    count, coefficients = once(path)
    return {"size": count, "seconds": time.process_time() - start, "MB": peak_memory_MB(),
            "coefficients": coefficients}  # fmt: skip


def write_frames(folder: Path, counts: list[int]) -> None:
    """Write files of 10, 100, ... frames: those of Si in random order, moved by 0.05 Å, labelled by the potential."""
    from benchmarks.mlearn import file_of
    from benchmarks.uf.cases import potential
    from lodewell.crystals.labels.read import read_labels
    from lodewell.crystals.write import write_crystals

    uf, rng = potential("Si", "default"), np.random.default_rng(0)
    known = [frame.atoms for frame in read_labels(file_of("Si", "train"))]
    order = rng.permutation(len(known))

    def moved(count: int) -> Iterator[Atoms]:
        for k in range(count):
            crystal = known[order[k % len(known)]].copy()
            crystal.positions += rng.normal(0.0, 0.05, crystal.positions.shape)
            (result,) = uf.evaluate(crystal)
            crystal.info["REF_energy"] = result.energy
            crystal.arrays["REF_forces"] = result.forces_nc
            yield crystal

    for name, count in [(WARM, 10), *((f"{count}.extxyz", count) for count in counts)]:
        write_crystals(folder / name, moved(count))


def measured(what: str, argument: str) -> dict[str, float]:
    """Measure one point in a process of its own."""
    done = run_command([sys.executable, "-m", __spec__.name, "--one", what, argument])
    if done["returncode"]:
        raise SystemExit(done["output"])
    print(f"{what} {argument}: {done['output'].splitlines()[-1]}", flush=True)
    return dict(json.loads(done["output"].splitlines()[-1]))


def slope(points: list[dict[str, float]], key: str) -> float:
    """Return d log(key) / d log(size) over the last two points: 1 is linear."""
    (x0, y0), (x1, y1) = ((p["size"], max(p[key], 1e-3)) for p in points[-2:])
    return float(np.log(y1 / y0) / np.log(x1 / x0))


def draw(grown: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Draw time and memory over size, log-log, with lines of slope 1."""
    from lodewell.report.style import BLUE, GREY, VERMILION, figure, save

    labels = {"atoms": "evaluation: atoms", "frames": "fit: frames"}
    with figure(9.0, 3.8) as drawn:
        for axes, (what, points) in zip(drawn.subplots(1, 2), grown.items(), strict=True):
            x = np.array([p["size"] for p in points])
            for key, colour, label in (("seconds", BLUE, "time (CPU s)"), ("MB", VERMILION, "largest memory (MB)")):
                y = np.array([p[key] for p in points])
                shown = y > 0.0
                axes.plot(x[shown], y[shown], "o-", color=colour, label=f"{label}: slope {slope(points, key):.2f}")
            times = points[-1]["seconds"] * x / x[-1]
            axes.plot(x, times, color=GREY, lw=0.9, ls=(0, (4, 3)), zorder=1, label="linear")
            axes.set(xscale="log", yscale="log", xlabel=labels[what])
            axes.legend(loc="upper left")
            axes.set_ylim(top=30.0 * max(max(p["seconds"], p["MB"]) for p in points))
        save(drawn, path)


def main() -> None:
    """Measure every point, draw, and report."""
    less = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    cells = [c for c in CELLS if np.prod(c) <= np.prod(CELLS[-1]) / less]
    counts = [n for n in FRAMES if n <= FRAMES[-1] / less]
    grown = {"atoms": [measured("atoms", ",".join(map(str, c))) for c in cells], "frames": []}
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), counts)
        grown["frames"] = [measured("frames", f"{folder}/{count}.extxyz") for count in counts]
    draw(grown, IMAGES / "growth.png")
    rows = []
    for what, points in grown.items():
        for p in points:
            per = 1e6 if what == "atoms" else 1e3
            rows.append([f"{p['size']:,.0f} {what}", p["seconds"], per * p["seconds"] / p["size"], f"{p['MB']:,.0f}"])
        rows.append([f"slope of the last decade, {what}", f"{slope(points, 'seconds'):.2f}", "",
                     f"{slope(points, 'MB'):.2f}"])  # fmt: skip
    (a0, a1), (f0, f1) = grown["atoms"][-2:], grown["frames"][-2:]
    report(
        "growth",
        "Growth of time and memory: evaluating UF 2 + 3 body, and fitting it",
        ["", "CPU s", "µs an atom, ms a frame", "largest memory (MB)"],
        rows,
        "Si, one thread, a process a row. Evaluating: energy, forces, stress and a new neighbour list, default "
        f"potential. Fitting: about {grown['frames'][0]['coefficients']:.0f} coefficients, reading and choice of "
        "weights included, frames of about 60 atoms. Largest memory of the process, Python and its libraries included: "
        f"an atom takes {1e6 * (a1['MB'] - a0['MB']) / (a1['size'] - a0['size']):,.0f} bytes, a frame "
        f"{1e3 * (f1['MB'] - f0['MB']) / (f1['size'] - f0['size']):.1f} kB.",
        grown=grown,
    )


if __name__ == "__main__":
    if "--one" in sys.argv:
        print(json.dumps({"atoms": atoms, "frames": frames}[sys.argv[2]](sys.argv[3])))
    else:
        main()
