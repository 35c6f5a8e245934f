"""What a spline MEAM fit leaves behind: errors on its data, what they visited, and the spread of rival fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from lodewell.crystals.batch import Floats
from lodewell.fit.distances import REACH, Distances
from lodewell.fit.error_model import error_model
from lodewell.fit.meam._rows import count_cosines
from lodewell.fit.meam.descent import Point
from lodewell.fit.meam.model import to_potential
from lodewell.fit.meam.rows import KINDS, Targets
from lodewell.potentials.meam.knowledge import Coverage, Ensemble
from lodewell.potentials.meam.meam import MEAM

_BINS = 120
_RIVAL = 1.5  # a rival's error is at most so many times the best one's
_UNITS = ("eV/atom", "eV/Å", "eV/Å^3")


def errors_of(data: Targets, point: Point) -> dict[str, Any]:
    """Return RMSE and MAE of each kind of label that there is."""
    found, _ = data.of(to_potential(point.layout, point.x_c, {}))
    out = {}
    for kind, unit, all_r in zip(KINDS, _UNITS, found, strict=True):
        r = all_r[np.isfinite(all_r)]
        if len(r):
            out[kind] = {"rmse": float(np.sqrt(np.mean(r**2))), "mae": float(np.abs(r).mean()), "unit": unit}
    return out


def ensemble_of(data: Targets, points: Sequence[Point], potentials: Sequence[MEAM]) -> Ensemble | None:
    """Return the rivals nearly as good as the best one, their spread calibrated on residuals; None if alone."""
    chosen = [k for k, p in enumerate(points) if p.value <= _RIVAL * points[0].value]
    if len(chosen) < 2:
        return None
    all_found = [data.of(to_potential(points[k].layout, points[k].x_c, {}))[0] for k in chosen]
    models = []
    for kind in range(3):
        each = np.array([found[kind] for found in all_found])
        known = np.isfinite(each[0])
        spread, square = np.var(each, axis=0)[known], each[0][known] ** 2
        models.append(error_model(spread, square) if len(spread) and spread.max() > 0.0 else (1.0, 0.0))
    return Ensemble(tuple(potentials[k] for k in chosen), *models)


def coverage_of(data: Targets, point: Point, distances: Distances) -> Coverage:
    """Count the distances, densities and cosines that the data visit."""
    layout = point.layout
    symbols = layout.symbols
    _, n_n = data.of(to_potential(layout, point.x_c, {}))
    density: dict[str, Floats] = {}
    span: dict[str, tuple[float, float]] = {}
    for t, symbol in enumerate(symbols):
        mine = n_n[data.types_n == t]
        span[symbol] = float(mine.min()), float(mine.max())
        density[symbol] = np.histogram(mine, _BINS, span[symbol])[0].astype(float)
    n = data.neighbours
    counts = count_cosines(
        layout.angular_cutoff, len(symbols), _BINS, data.batch.positions_nc, data.batch.cell_bcc, data.batch.first_b,
        data.types_n, n.first_n, n.last_n, n.j_p, n.image_p, n.wraps_nc, n.reach_bc,
    )  # fmt: skip
    pairs = {(atomic_numbers[a], atomic_numbers[b]): f"{a}-{b}" for k, a in enumerate(symbols) for b in symbols[k:]}
    cosine = {f"{a}-{b}": counts[i, j] for i, a in enumerate(symbols) for j, b in enumerate(symbols) if i <= j}
    return Coverage(
        reach=REACH,
        distance={pairs[z]: counts_k for z, counts_k in distances.count_k.items()},
        density=density, density_range=span, cosine=cosine,
        shortest={pairs[z]: r for z, r in distances.shortest.items()},
    )  # fmt: skip
