"""From mean pair correlations to curves: smoothing, shrinkage, the logarithm, the wall and the damped end."""

from __future__ import annotations

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.potentials.statistical.statistical import BIN, table_points

WALL = 1e5  # U(0) of every published curve
FLOOR = float(np.exp(-5.0))  # a bin that no crystal visits beyond the first contact is rare, not forbidden
_DAMPED = 1.0  # Å before the cutoff over which curves go to zero


def curve(g_ph: Floats, cutoff: float) -> Floats:
    """Return U at the table's points from smoothed correlations (P, H): -ln g, a wall within, zero at the cutoff.

    The wall A exp(-B r) + C has U(0) = 1e5 and meets the curve with its value and slope where the first crystals are.
    """
    r_k = table_points(cutoff)
    centres = r_k[1:-1]
    u_ph = -np.log(np.maximum(g_ph, FLOOR))
    fade = np.clip((cutoff - centres) / _DAMPED, 0.0, 1.0)
    u_ph *= fade**3 * (10.0 - 15.0 * fade + 6.0 * fade**2)
    first_p = np.argmax(g_ph > FLOOR, axis=1)
    out = np.zeros((len(g_ph), len(r_k)))
    out[:, 1:-1] = u_ph
    for p, first in enumerate(first_p):
        join = max(first, 1)
        slope = min((u_ph[p, join + 1] - u_ph[p, join - 1]) / (2 * BIN), -2.0) if join + 1 < len(centres) else -2.0
        if g_ph[p, join - 1] <= FLOOR:
            slope = min((u_ph[p, join + 1] - u_ph[p, join]) / BIN, -2.0)
        inside = r_k < centres[join] - 1e-9
        out[p, inside] = wall(r_k[inside], centres[join], u_ph[p, join], slope)
    return out


def wall(r: Floats, at: float, value: float, slope: float) -> Floats:
    """Return A exp(-B r) + C with U(0) = 1e5 that has this value and slope at the distance `at`."""
    steepness = 10.0 / at
    for _ in range(60):  # A B exp(-B at) = -slope, by Newton's method in ln B
        amplitude = (WALL - value) / -np.expm1(-steepness * at)
        miss = np.log(amplitude * steepness) - steepness * at - np.log(-slope)
        steepness = max(steepness + miss / (at - 1.0 / steepness), 1.5 / at)
    amplitude = (WALL - value) / -np.expm1(-steepness * at)
    return np.asarray(value + amplitude * (np.exp(-steepness * r) - np.exp(-steepness * at)))


def shrunk(smooth_ph: Floats, weight_p: Floats, prior_ph: Floats, strength: float) -> tuple[Floats, Floats]:
    """Mix data with a prior worth `strength` crystals (Sippl 1990); return the mix (P, H) and its share (P,)."""
    share_p = strength / (strength + weight_p)
    return (1.0 - share_p)[:, None] * smooth_ph + share_p[:, None] * prior_ph, share_p
