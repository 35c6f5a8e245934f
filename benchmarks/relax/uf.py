"""Relaxing a thousand small Si cells under a UF 2 + 3-body potential: lodewell against ASE over our own calculator.

8 atoms, rattled by 0.1 Å and strained by up to 3 %, cell free, until every force is below 0.01 eV/Å. A minute.
"""

from __future__ import annotations

import sys

from benchmarks.harness import busy, one_thread, race, report

one_thread()

import numpy as np  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.optimize import LBFGS  # noqa: E402

import lodewell  # noqa: E402
from benchmarks.relax.drivers import FMAX, SAME, by_ase, shaken  # noqa: E402
from benchmarks.uf.cases import potential  # noqa: E402

FEW = 12  # cells for ASE


def main(count: int) -> None:
    """Relax with both and report."""
    rng = np.random.default_rng(0)
    crystals = [shaken(bulk("Si", "diamond", a=5.43, cubic=True), rng) for _ in range(count)]
    uf = potential("Si", "default")
    found: dict[str, list[float]] = {}

    def ours() -> None:
        results = lodewell.relax(crystals, uf, fmax=FMAX, duplicates=False)
        assert all(r.status == "converged" for r in results)
        found["lodewell"] = [float(r.energy_per_atom or 0.0) for r in results]

    def theirs() -> None:
        found["ASE LBFGS"] = by_ase(crystals[:FEW], uf, LBFGS)

    timings = race({"lodewell": ours, "ASE LBFGS": theirs}, 3)
    rate = {"lodewell": count / timings["lodewell"].cpu_seconds, "ASE LBFGS": FEW / timings["ASE LBFGS"].cpu_seconds}
    apart = np.abs(np.array(found["ASE LBFGS"]) - found["lodewell"][:FEW])
    report(
        "uf_relax",
        f"Relaxing {count:,} 8-atom Si cells under UF 2 + 3 body, cell free, to {FMAX} eV/Å",
        ["driver", "cells a second of processor", "lodewell is faster by", "same minimum"],
        [
            ["lodewell", rate["lodewell"], "1", ""],
            ["ASE LBFGS", rate["ASE LBFGS"], f"{rate['lodewell'] / rate['ASE LBFGS']:.0f}",
             f"{(apart < SAME).sum()} of {FEW}"],
        ],
        f"Rattled by 0.1 Å, strained by up to 3 %. ASE: {FEW} of the cells, Fréchet cell filter, lodewell's own "
        "calculator, so that only the driver differs. One thread, medians over 3 runs in turns. " + busy(),
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
