"""Measure how good statistical tables are on crystals they have never seen.

python -m benchmarks.quality.held_out judge FILE.lodewell --split formula --sample 500
python -m benchmarks.quality.held_out tables
python -m benchmarks.quality.held_out run
python -m benchmarks.quality.held_out report
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import lodewell
from benchmarks.quality.crystals import CACHE, SPLITS, assert_unseen, held_out
from benchmarks.quality.decoys import best_of_decoys, decoys, shares
from benchmarks.quality.measure import CONTENDERS, run
from benchmarks.quality.relax import by_potential, disturbed, relaxed, same_structure, summary
from benchmarks.quality.report import write_coverage, write_tables
from benchmarks.quality.tables import derive_all
from lodewell.potentials.statistical.statistical import as_statistical


def judge(file: Path, split: str, sample: int, matched: int) -> None:
    """Print one line on a table."""
    begun = time.perf_counter()
    potential = lodewell.load(file)
    crystals = held_out(split)
    table = as_statistical(potential)
    seen = "unseen"
    try:
        assert table is not None
        assert_unseen(table, split, crystals)
    except AssertionError:
        seen = "SEEN"  # experimental tables may hold everything: the line says so
    crystals = [a for a in crystals if not potential.unsupported(a.numbers)][:sample]
    rows = best_of_decoys(potential, crystals, [decoys(a, k) for k, a in enumerate(crystals)])
    starts = [disturbed(a, k) for k, a in enumerate(crystals)]
    relaxations, results = relaxed(by_potential(potential), crystals, starts)
    s, r = shares(rows), summary(relaxations)
    line = (
        f"{file.name} {split} n={len(crystals)} {seen}: own below all decoys {s['own']:.1%} "
        f"(rattles {s['rattles']:.1%} "
        f"strains {s['strains']:.1%} swaps {s['swaps']:.1%}; with rattles a coordinate {s['own_wide']:.1%}, "
        f"those alone {s['wide']:.1%}); relaxed |dV| {r['volume']:.2%} bias {r['bias']:+.2%} "
        f"rms {r['displacement']:.4f} Å converged {r['converged']:.1%} steps {r['steps']:.0f}"
    )
    if matched:
        some = list(zip(crystals, results, strict=True))[:matched]
        line += f" same {sum(same_structure(a, b) for a, b in some) / len(some):.1%} of {len(some)}"
    print(f"{line}; {time.perf_counter() - begun:.0f} s")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("judge", help="one line on one table")
    one.add_argument("file", type=Path)
    one.add_argument("--split", choices=["formula", "system"], default="formula")
    one.add_argument("--sample", type=int, default=500)
    one.add_argument("--matched", type=int, default=0, help="compare this many with StructureMatcher (slow)")
    made = commands.add_parser("tables", help="derive the tables that the full run needs")
    made.add_argument("--recipe", action="append", choices=["spp-2024", "spp"])
    made.add_argument("--split", action="append", choices=["formula", "system"])
    full = commands.add_parser("run", help="measure every contender on every held-out crystal; resumes")
    written = commands.add_parser("report", help="tables and the figure")
    for command in (made, full):
        command.add_argument("--tables-dir", type=Path, default=CACHE)
    for command in (full, written):
        command.add_argument("--split", action="append", choices=list(SPLITS))
    full.add_argument("--only", action="append", choices=CONTENDERS, help="this contender alone; may be repeated")
    full.add_argument("--most", type=int, default=10**6, help="crystals a split")
    full.add_argument("--seconds", type=float, default=1e9, help="stop after this time")
    chosen = parser.parse_args()
    if chosen.command == "judge":
        judge(chosen.file, chosen.split, chosen.sample, chosen.matched)
    elif chosen.command == "tables":
        derive_all(chosen.recipe or [], chosen.split or [], chosen.tables_dir)
    elif chosen.command == "run":
        run(chosen.split or list(SPLITS), chosen.only or CONTENDERS, chosen.tables_dir, chosen.most, chosen.seconds)
    else:
        write_tables(chosen.split or list(SPLITS))
        write_coverage()


if __name__ == "__main__":
    main()
