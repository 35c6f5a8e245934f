"""What orders crystals of different formulas: the hull of the candidates under spp, and percentiles, against DFT.

    python -m benchmarks.judge.hull --data ../shared/data/crystals

Spearman's correlation with the energy above the hull of the Materials Project (crystals as they are, not relaxed), how
many of the formulas on the hull of spp are stable there, and how long the hull of 10,000 crystals takes.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

import lodewell
from benchmarks.harness import DATA
from lodewell.crystals.read import read_crystals
from lodewell.relax.hull import ON_HULL, candidates_hull

SYSTEMS = ("mp-li-fe-p-o", "mp-na-fe-p-o", "mp-si-o-k-al", "mp-li-co-ni-o")
ABOVE = "energy_above_hull"


def compare(file: Path) -> str:
    """Return one line on one chemical system."""
    read = [r.atoms for r in read_crystals(file) if r.atoms is not None and ABOVE in r.atoms.info]
    pairs = [(s, a.info[ABOVE]) for s, a in zip(lodewell.score(read, "spp"), read, strict=True) if s.rank is not None]
    hull = candidates_hull([s.formula for s, _ in pairs], [s.energy_per_atom for s, _ in pairs])
    dft = np.array([above for _, above in pairs])
    by_percentile = spearmanr([s.percentile for s, _ in pairs], dft)[0]
    by_hull = spearmanr(hull.above_c, dft)[0]
    both = int(((hull.above_c < ON_HULL) & (dft < ON_HULL)).sum())
    return (
        f"{file.name}: {len(pairs):,} crystals; Spearman {by_percentile:.2f} by percentile, {by_hull:.2f} by hull; "
        f"{both} of {int(hull.stable_f.sum())} on the hull are stable"
    )


def main() -> None:
    """Print the figures of docs/decisions.md and docs/theory/relax.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA / "crystals")
    data = parser.parse_args().data
    for name in SYSTEMS:
        print(compare(data / f"{name}.extxyz.gz"))
    crystals = [r.atoms for r in islice(read_crystals(data / "mp.extxyz.gz"), 10_000) if r.atoms is not None]
    scored = [s for s in lodewell.score(crystals, "spp") if s.rank is not None]
    began = time.perf_counter()
    hull = candidates_hull([s.formula for s in scored], [s.energy_per_atom for s in scored])
    print(f"{len(hull.formulas):,} formulas in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
