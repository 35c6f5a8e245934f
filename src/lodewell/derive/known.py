"""Energies of the known crystals under a finished table: what percentiles compare with."""

from __future__ import annotations

from functools import partial

import numpy as np

from lodewell.crystals.batch import Batch, Floats
from lodewell.derive.derivation import Derivation
from lodewell.potentials.statistical.statistical import KnownEnergies, Statistical
from lodewell.record import Run

_PART = 200  # crystals; their pairs within the cutoff are in memory together


def known_energies(table: Statistical, derivation: Derivation, run: Run) -> KnownEnergies:
    """Return the energy per atom of every crystal the table was made from."""
    everything = derivation.batch()
    parts = [np.arange(k, min(k + _PART, len(everything))) for k in range(0, len(everything), _PART)]
    energies = np.full(len(everything), np.nan, dtype=np.float32)
    tasks = (everything.take(part) for part in parts)
    work = partial(_energies, table=table.curves_alone())
    for part, outcome in zip(parts, run.workers.map(work, tasks), strict=True):
        if outcome.value is not None:
            energies[part] = outcome.value
        run.progress("known energies", int(part[-1]) + 1, len(everything))
    names = sorted(set(derivation.systems))
    place = {name: k for k, name in enumerate(names)}
    system_x = np.array([place[s] for s in derivation.systems], dtype=np.int32)
    good = np.isfinite(energies)
    return KnownEnergies(energies[good], system_x[good], tuple(names))


def _energies(batch: Batch, table: Statistical) -> Floats:
    """Return the energy per atom of each crystal, without the energy scale."""
    e_n, _, _ = table.compute(batch, table.neighbours(batch))
    return np.asarray(np.bincount(batch.crystal_n, e_n, len(batch)) / batch.count_b / table.energy_scale)
