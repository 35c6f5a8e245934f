"""Derive spp-2024 from every crystal, reading included, on two cores; and read a part of the files with ASE alone.

    python -m benchmarks.commands.derive PATH/TO/crystals [--runs 3]

ASE takes most of the time, though it reads only the files below a megabyte. The kernel is timed alone as well, in pair
distances per second on one core.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import busy, one_thread, race, report, run_command

ASE_ALONE = """
import gzip, io, sys
from pathlib import Path
from ase.io import iread
count = 0
for path in sorted(p for p in Path(sys.argv[1]).glob("*.extxyz.gz") if p.stat().st_size < 1_000_000):
    # Unpacked first: ASE seeks backwards, which a compressed file answers by starting over.
    for atoms in iread(io.StringIO(gzip.open(path, "rt").read()), index=":", format="extxyz"):
        count += 1
print(count)
"""


def kernel_speed(folder: Path) -> dict[str, float]:
    """Return pair distances a second on one core: all that the kernel measures, and those within the cutoff."""
    import numpy as np
    from numba import njit

    from lodewell.crystals.batch import Batch
    from lodewell.crystals.read import chunks
    from lodewell.descriptors.histograms import _BUCKETS, _lattice_vectors, _nearest_offsets, pair_histograms

    @njit
    def measured(positions, cells, pbc, first_b, cutoff):  # type: ignore[no-untyped-def]
        """Count the distances that the kernel for small cells measures; not all are within the cutoff."""
        total = 0
        for b in range(len(cells)):
            offsets, furthest = _nearest_offsets(positions[first_b[b] : first_b[b + 1]], cells[b], pbc[b])
            start, _ = _lattice_vectors(cells[b], pbc[b], cutoff + furthest)
            total += start[int(cutoff * _BUCKETS) + 1]
            for p in range(len(offsets)):
                total += start[int((cutoff + offsets[p, 3]) * _BUCKETS) + 1]
        return total

    batches = []
    for k, chunk in enumerate(chunks(folder / "mp.extxyz.gz", 500)):
        crystals = [r.atoms for r in chunk.read() if r.atoms is not None and len(r.atoms) < 400]
        batches.append(Batch.from_atoms(crystals))
        if k == 19:
            break
    timing = race({"kernel": lambda: [pair_histograms(batch, 11.0, 220) for batch in batches]}, runs=5)["kernel"]
    within = sum(float(pair_histograms(batch, 11.0, 220).count_sh.sum(dtype=np.float64)) for batch in batches)
    every = sum(measured(b.positions_nc, b.cell_bcc, b.pbc_bc, b.first_b, 11.0) for b in batches)
    return {"measured_per_s": every / timing.cpu_seconds, "within_per_s": within / timing.cpu_seconds, "within": within}


def main() -> None:
    """Run both in turns, from outside, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crystals", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ase-runs", type=int, default=1, help="reading with ASE alone is slow, and steady")
    options = parser.parse_args()
    one_thread()
    speed = kernel_speed(options.crystals)

    with tempfile.TemporaryDirectory() as folder:
        lodewell = [
            *(sys.executable, "-m", "lodewell.cli", "derive", str(options.crystals), "--recipe", "spp-2024"),
            *("--out", f"{folder}/table.lodewell", "--workers", "2", "--restart", "--json"),
        ]
        commands = {
            "lodewell derive, spp-2024, 2 workers": (lodewell, options.runs),
            "ASE, reading alone, 1 process, files below 1 MB": (
                [sys.executable, "-c", ASE_ALONE, str(options.crystals)],
                options.ase_runs,
            ),
        }
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
        for turn in range(max(options.runs, options.ase_runs)):
            for name, (command, times) in commands.items():
                if turn < times:
                    done = run_command(command)
                    if done["returncode"]:
                        raise SystemExit(f"{name} failed:\n{done['output']}")
                    print(f"{name}: {done['seconds']:.1f} s", file=sys.stderr)
                    runs[name].append(done)

    def median(name: str, what: str) -> float:
        return statistics.median(run[what] for run in runs[name])

    def crystals(name: str) -> str:
        found = re.search(r'"crystals_met": (\d+)|^(\d+)$', str(runs[name][0]["output"]), re.MULTILINE)
        return f"{int(found[1] or found[2]):,}" if found else "?"

    measured = ("seconds", "cpu_seconds", "peak_MB")
    rows: list[list[object]] = [
        [name, crystals(name), *(median(name, what) for what in measured), len(runs[name])] for name in runs
    ]
    note = (
        "Whole processes, all their children together. The histogram kernel alone, on one core and in processor time: "
        f"{speed['measured_per_s']:.2g} pair distances per second, {speed['within_per_s']:.2g} of them within 11 Å, "
        "each pair of atoms once. Memory: pages that the processes share counted once. " + busy()
    )
    columns = ["", "crystals", "wall (s)", "CPU (s)", "peak memory (MB)", "runs"]
    report("derive", "Deriving a table", columns, rows, note, kernel=speed)


if __name__ == "__main__":
    main()
