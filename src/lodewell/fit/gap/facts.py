"""What a GAP fit tells of itself."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from lodewell.fit.data import Folds, LabelledData
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.rows import ENERGY, FORCE, GIVEN, STRESS
from lodewell.fit.gap.start import Start
from lodewell.fit.gap.weights import Weighing
from lodewell.fit.linear.least_squares import LinearSystem
from lodewell.fit.reference import References
from lodewell.potentials.gap.design import JITTER
from lodewell.potentials.gap.gap import GAP

_COMPARED = 5  # frames on which precisions are compared


def facts(
    potential: GAP, weighing: Weighing, streamed: LinearSystem, references: References, train: LabelledData,
    options: GAPOptions,
) -> dict[str, Any]:  # fmt: skip
    """Return what the user should see of a fit, JSON-like."""
    return {
        "coefficients": len(potential.weights_m),
        "terms": {
            t.descriptor.name: {"points": len(t.points_md), "delta_eV": t.delta, "cutoff_A": t.descriptor.cutoff}
            for t in potential.terms
        },
        "sigmas": _sigmas(weighing, options),
        "sigma_units": {"energy": "eV/√atom", "force": "eV/Å", "stress": "eV/√atom, of the virial"},
        "held_out_rmse": dict(weighing.held_out),
        "rows": {kind: streamed.count(kind) for kind in streamed.kinds},
        "references": references.about(),
        "single_precision_differs_by": _rounding(potential, train),
    }


def _sigmas(weighing: Weighing, options: GAPOptions) -> dict[str, float]:
    """Return the σ that were chosen, and those that the options give for all frames."""
    given = {ENERGY: options.energy_sigma, FORCE: options.force_sigma, STRESS: options.virial_sigma}
    chosen = {name: sigma for name, sigma in weighing.sigmas.items() if not name.endswith(f"/{GIVEN}")}
    return {kind: sigma for kind, sigma in given.items() if sigma is not None} | chosen


def _rounding(potential: GAP, train: LabelledData) -> dict[str, float]:
    """Return the largest differences between single and double precision on a few frames."""
    atoms = [frame.atoms for frame in islice(train, _COMPARED)]
    single = potential.in_single_precision().evaluate(atoms)
    double = potential.in_single_precision(False).evaluate(atoms)
    return {
        "energy_meV_atom": max(
            1e3 * abs(s.energy - d.energy) / len(a) for s, d, a in zip(single, double, atoms, strict=True)
        ),
        "force_eV_A": max(float(np.abs(s.forces_nc - d.forces_nc).max()) for s, d in zip(single, double, strict=True)),
    }


def notes(start: Start, folds: Folds | None) -> list[str]:
    """Return sentences that the user should read."""
    out = [*start.references.notes(), *(start.proposal.notes() if start.proposal else [])]
    for kernel, jitter in zip(start.design.kernels, start.design.jitters, strict=True):
        if jitter > JITTER:
            out.append(
                f"{kernel.descriptor.name}: some sparse points are nearly alike, so {jitter:.0e} eV² was added to the"
                " diagonal of their covariance; fewer points would do as well"
            )
    if start.earlier is not None:
        out.append("extended: sparse points, cutoffs, baseline and reference energies are those of the earlier fit")
    if folds is None:
        out.append(
            f"{start.design.columns:,} sparse points and few frames or little memory: nothing was held out, so the"
            " error bars are not calibrated, and energies and forces are weighed by likelihood alone; give σ if you"
            " know them"
        )
    return out
