"""The pair potential of a spline MEAM inside the shortest distance of the data, where nothing determines it."""

from __future__ import annotations

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.fit.meam.model import coefficients_of, spline_of
from lodewell.potentials.meam.meam import MEAM
from lodewell.potentials.meam.splines import Spline
from lodewell.potentials.pairs.pair import ZBL

_STEP = 0.12  # Å between knots: what a steep wall needs
_INNER = 0.4  # Å: inside, the wall goes on as a straight line
_POINTS = 12  # an interval
_CLOSE = 1e-4  # Å, for the curvature of the repulsion


def walled(potential: MEAM) -> MEAM:
    """Add the screened repulsion of nuclei to every φ inside its first knot, and change nothing beyond it.

    φ gets finer knots there and then; inside the first knot r0 it becomes the parabola that goes on with its value,
    slope and curvature, plus the convex part of the repulsion, w(r) - w(r0) - w'(r0) (r - r0) - w''(r0) (r - r0)² / 2.
    """
    phi = {pair: _walled(spline, pair) for pair, spline in potential.phi.items()}
    return MEAM(phi, potential.rho, potential.u, potential.f, potential.g, potential.reference)


def _walled(spline: Spline, pair: str) -> Spline:
    low, high = float(spline.x_k[0]), float(spline.x_k[-1])
    if low <= _INNER:
        return spline
    intervals = len(spline.x_k) - 1
    finer = intervals * int(np.ceil((high - low) / intervals / _STEP))
    step = (high - low) / finer
    x_k = np.linspace(low, high, finer + 1)
    y_k, slope_k = spline(x_k)
    known = coefficients_of(Spline(x_k, y_k, (float(slope_k[0]), float(slope_k[-1]))))
    more = int((low - _INNER) / step)
    r = low - step * np.arange(1, _POINTS * more + 1) / _POINTS
    wanted = _inside(spline, pair, r)
    # Coefficients of the knots to the left; those of the known part stay, so that nothing changes there.
    left = np.zeros((len(r), more + 3))
    u = (r - (low - more * step)) / step
    cell = np.clip(u.astype(int), 0, more - 1)
    t = u - cell
    four = np.stack([(1 - t) ** 3, 4 + 3 * t**3 - 6 * t**2, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]) / 6.0
    for m in range(4):
        left[np.arange(len(r)), cell + m] = four[m]
    weight = 1.0 / (0.05 + np.abs(wanted - wanted[0]))
    rest = wanted - left[:, more:] @ known[:3]
    free = np.linalg.lstsq(weight[:, None] * left[:, :more], weight * rest, rcond=None)[0]
    out = spline_of(np.concatenate([free, known]), low - more * step, high)
    return Spline(out.x_k, np.append(out.y_k[:-1], spline.y_k[-1]), (out.slopes[0], spline.slopes[1]))


def _inside(spline: Spline, pair: str, r: Floats) -> Floats:
    """Return what φ should be at distances r inside its first knot."""
    low = float(spline.x_k[0])
    y, slope = (float(v) for v in spline(low))
    bend = max(2.0 * float(spline.pieces_kx[0, 2]), 0.0)
    wall = ZBL(cutoff=2.0 * low, switch=0.0)
    w, slopes = wall.curve(pair, np.append(r, [low, low - _CLOSE]))
    w0, w1 = w[-2], slopes[-2]
    w2 = (w1 - slopes[-1]) / _CLOSE
    d = r - low
    return np.asarray(y + slope * d + 0.5 * bend * d**2 + w[:-2] - w0 - w1 * d - 0.5 * w2 * d**2)
