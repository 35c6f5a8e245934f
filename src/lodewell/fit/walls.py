"""What repels atoms that come closer than any two of the training data."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from scipy.interpolate import CubicSpline

from lodewell.crystals.batch import Floats
from lodewell.fit.distances import Distances
from lodewell.potentials.base import Potential
from lodewell.potentials.pairs.pair import ZBL
from lodewell.potentials.pairs.table import PairTable
from lodewell.potentials.store import load
from lodewell.potentials.uf.splines import Pair, Spline2
from lodewell.potentials.uf.uf import UF

_POINTS = 200
_NEAREST = 0.3  # Å; further in, a wall goes on straight


def walled(potential: UF, distances: Distances, wall: str) -> UF:
    """Replace what the curves do inside the shortest distance of the data, where nothing determines them.

    There a curve goes on with its value and slope, to which the convex part of the wall is added: u(r) = u0 + u0' (r -
    r0) + w(r) - w(r0) - w'(r0) (r - r0). `wall` is "none", "zbl", or a potential by name or file.
    """
    source = None if wall == "none" else ZBL() if wall == "zbl" else load(wall)
    pairs = {pair: _walled(s, pair, distances, source) for pair, s in potential.pairs.items()}
    return UF(potential.energies, pairs, potential.triples, potential.embeddings)


def _walled(curve: Spline2, pair: Pair, distances: Distances, source: Potential | None) -> Spline2:
    knots = curve.axis.knots_k
    r0 = distances.shortest.get(pair, np.inf)
    r0 = float(knots[knots <= min(r0, knots[-1]) + 1e-9].max()) if np.isfinite(r0) else float(curve.axis.edge_i[4])
    free = knots[4:] <= r0 + 1e-9
    if not free.any():
        return curve
    r = np.linspace(knots[0], r0, _POINTS)
    wanted = curve(np.array(r0)) + curve(np.array(r0), 1) * (r - r0)
    if source is not None and source.unsupported(np.array(pair)) is None:
        w = _dimer(source, pair, knots[0], r0)
        wanted = wanted + w(r) - w(r0) - w(r0, 1) * (r - r0)
    design = curve.axis.design(r)
    # A wall spans orders of magnitude: what counts is the relative error.
    weight = 1.0 / (0.05 + np.abs(wanted - wanted[-1]))
    rest = wanted - design[:, ~free] @ curve.coefficients_m[~free]
    found = np.linalg.lstsq(weight[:, None] * design[:, free], weight * rest, rcond=None)[0]
    coefficients = curve.coefficients_m.copy()
    coefficients[free] = found
    return Spline2(curve.axis, coefficients)


def _dimer(source: Potential, pair: Pair, low: float, high: float) -> CubicSpline:
    """Return the energy (eV) of two atoms against their distance, less that of lone ones."""
    r = np.linspace(low, high, _POINTS)
    energies = np.array([e.energy for e in source.evaluate([Atoms(pair, [[0, 0, 0], [x, 0, 0]]) for x in r])])
    alone: Floats = np.array([e.energy for e in source.evaluate([Atoms([z], [[0, 0, 0]]) for z in pair])])
    return CubicSpline(r, energies - alone.sum())


def repulsion(distances: Distances, source_name: str, spacing: float = 0.01) -> PairTable | None:
    """Return what repels atoms inside the shortest distance r0 of each pair in the data, and is nothing beyond.

    The repulsion w of the source, a potential by name or file or "zbl", less its tangent: w(r) - w(r0) - w'(r0) (r -
    r0), so that energy and force begin at zero. None where the data have no pairs.
    """
    source = ZBL() if source_name == "zbl" else load(source_name)
    nuclei = ZBL()
    end = max(distances.shortest.values(), default=0.0)
    if not end:
        return None
    r = np.linspace(0.0, end, max(2, round(end / spacing)) + 1)
    curves = {}
    for pair, r0 in distances.shortest.items():
        known = source if source.unsupported(np.array(pair)) is None else nuclei
        inside = np.linspace(_NEAREST, r0, _POINTS)
        w = _dimer(known, pair, _NEAREST, r0)
        bent = np.maximum(w(inside) - w(r0) - w(r0, 1) * (inside - r0), 0.0)
        curve = CubicSpline(inside, bent)
        u = np.where(r < r0, curve(np.clip(r, _NEAREST, r0)), 0.0)
        below = r < _NEAREST
        u[below] = float(curve(_NEAREST)) + float(curve(_NEAREST, 1)) * (r[below] - _NEAREST)
        curves["-".join(chemical_symbols[z] for z in pair)] = (r, u)
    return PairTable(curves, spacing=end / (len(r) - 1))
