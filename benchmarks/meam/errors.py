"""Spline MEAMs with 7 knots, fitted with default options to the mlearn sets, against the published ones.

An element takes some minutes on one thread: `python -m benchmarks.meam.errors [Si Ge ...]`. Elements that are in
`results/meam_errors.json` already stay there; the potentials are written to `results/meam/`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from benchmarks.harness import RESULTS, one_thread, report

one_thread()

import numpy as np  # noqa: E402

from benchmarks.mlearn import file_of  # noqa: E402
from lodewell.crystals.labels.read import read_labels  # noqa: E402
from lodewell.fit.meam.options import MEAMOptions  # noqa: E402
from lodewell.fit.meam.run import fit_meam_files  # noqa: E402
from lodewell.fit.run import fit_to  # noqa: E402

# s-MEAM as published by Vita & Trinkle, Comput. Mater. Sci. 200, 110752 (2021): test errors, the energy as an RMSE
# after a shift (meV/atom), the force as an MAE of components (eV/Å).
PUBLISHED = {
    "Si": (6.9, 0.172), "Ge": (15.2, 0.145), "Li": (1.5, 0.039), "Mo": (8.8, 0.209), "Ni": (3.5, 0.080),
    "Cu": (2.5, 0.062),
}  # fmt: skip


def fit(element: str) -> dict[str, Any]:
    """Fit one element and test it."""
    start, cpu = time.perf_counter(), time.process_time()
    out = RESULTS / "meam" / f"{element}.lodewell"
    out.parent.mkdir(parents=True, exist_ok=True)
    fitted = fit_to(fit_meam_files, "meam", file_of(element, "train"), MEAMOptions(), out=out, workers=1)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    fitted.potential.save(out, **fitted.facts)
    frames = list(read_labels(file_of(element, "test")))
    results = fitted.potential.evaluate([f.atoms for f in frames])
    off = np.array([(r.energy - f.energy) / len(f.atoms) for r, f in zip(results, frames, strict=True)])
    force = np.concatenate([r.forces_nc - f.forces_nc for r, f in zip(results, frames, strict=True)])
    return {
        "energy_rmse_meV": 1e3 * float(np.sqrt(np.mean(off**2))),
        "energy_rmse_after_shift_meV": 1e3 * float(off.std()),
        "energy_mae_meV": 1e3 * float(np.abs(off).mean()),
        "force_mae": float(np.abs(force).mean()),
        "force_rmse": float(np.sqrt(np.mean(force**2))),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        **fitted.facts,
    }


def main() -> None:
    """Fit what is asked for, and report everything that is known."""
    kept = RESULTS / "meam_errors.json"
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))["elements"] if kept.exists() else {}
    for element in sys.argv[1:] or [e for e in PUBLISHED if e not in found]:
        found[element] = fit(element)
        write(found)


def write(found: dict[str, Any]) -> None:
    """Print the table and keep it."""
    rows = []
    for element, (energy, force) in PUBLISHED.items():
        if element in found:
            mine = found[element]
            rows.append(
                [
                    element,
                    energy, f"{mine['energy_rmse_after_shift_meV']:.2f}", f"{mine['energy_mae_meV']:.2f}",
                    force, f"{mine['force_mae']:.4f}",
                    f"{mine['cutoffs_A']['pair']:.2f}, {mine['cutoffs_A']['angular']:.2f}",
                    mine["parameters"], f"{mine['cpu_seconds'] / 60:.1f}",
                ]
            )  # fmt: skip
    report(
        "meam_errors",
        "Spline MEAM with 7 knots: test errors on the mlearn sets",
        ["", "published: energy RMSE", "lodewell's", "energy MAE", "published: force MAE", "lodewell's",
         "cutoffs (Å)", "parameters", "CPU min"],
        rows,
        "Energies in meV/atom, the RMSE after a shift, as published; forces in eV/Å, components. Default options, "
        "train and test as given, one thread.",
        elements=found,
    )  # fmt: skip


if __name__ == "__main__":
    main()
