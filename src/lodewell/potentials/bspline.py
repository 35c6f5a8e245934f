"""Cubic B-splines on any knots, as the compiled loops want them: four powers for each of four functions an interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import BSpline

from lodewell.crystals.batch import Floats, Ints
from lodewell.errors import BadOption

_LOOKUP = 8  # entries of the lookup per interval of the shortest kind; more only spends memory
_MOST_ENTRIES = 1 << 14

FARTHEST = 1e6  # Å; densities, which have knots as well, stay below it, too
NARROWEST = 1e-9  # of the last knot; what is closer comes from damage


@dataclass(frozen=True)
class Axis:
    """The cubic B-splines of one distance.

    `knots_k` (n + 4,) never decrease. Function m lives between knots m and m + 4, so a knot that stands alone at an end
    makes everything vanish there with slope and curvature; four equal knots let the spline end anywhere.
    """

    knots_k: Floats

    def __post_init__(self) -> None:
        knots = np.ascontiguousarray(self.knots_k, dtype=float)
        if knots.ndim != 1 or len(knots) < 5 or not np.isfinite(knots).all() or (np.diff(knots) < 0).any():
            raise BadOption("a cubic B-spline needs five or more finite knots that never decrease")
        if knots[0] < 0 or knots[-1] <= knots[0]:
            raise BadOption("the knots of a distance must begin at 0 or later and end after they begin")
        widths = np.diff(knots)
        if knots[-1] > FARTHEST or widths[widths > 0].min() < NARROWEST * knots[-1]:
            raise BadOption(f"knots lie within {FARTHEST:g}, and not so close that numbers lose them")
        object.__setattr__(self, "knots_k", knots)

    @property
    def size(self) -> int:
        """How many functions there are."""
        return len(self.knots_k) - 4

    @property
    def low(self) -> float:
        """Where the functions begin, Å."""
        return float(self.knots_k[0])

    @property
    def high(self) -> float:
        """Where the functions end, Å."""
        return float(self.knots_k[-1])

    @cached_property
    def first_i(self) -> Ints:
        """Where each interval of positive length begins; functions `first_i - 3 … first_i` live there; (I,)."""
        return np.flatnonzero(np.diff(self.knots_k) > 0)

    @cached_property
    def edge_i(self) -> Floats:
        """The ends of the intervals, (I + 1,) in Å."""
        return np.append(self.knots_k[self.first_i], self.high)

    @cached_property
    def powers_iqp(self) -> Floats:
        """Four functions of each interval as powers of r - edge, (I, 4, 4); those that do not exist are 0."""
        # Every function is a B-spline of the knots with three more at either end: then none is cut off.
        step = max(self.high - self.low, 1.0)
        before, after = self.low - step * np.arange(3, 0, -1), self.high + step * np.arange(1, 4)
        whole = BSpline(np.concatenate([before, self.knots_k, after]), np.eye(self.size + 6), 3)
        middle_i = 0.5 * (self.edge_i[:-1] + self.edge_i[1:])
        taylor = np.stack([whole(middle_i, nu=d) for d in range(4)], axis=1) / np.array([1.0, 1.0, 2.0, 6.0])[:, None]
        taylor[:, :, :3] = taylor[:, :, self.size + 3 :] = 0.0
        back = self.edge_i[:-1] - middle_i
        powers = np.empty((len(middle_i), 4, 4))
        for i, k in enumerate(self.first_i):
            c, h = taylor[i][:, k : k + 4], back[i]
            powers[i, :, 0] = c[0] + h * (c[1] + h * (c[2] + h * c[3]))
            powers[i, :, 1] = c[1] + h * (2.0 * c[2] + 3.0 * h * c[3])
            powers[i, :, 2] = c[2] + 3.0 * h * c[3]
            powers[i, :, 3] = c[3]
        return powers

    @cached_property
    def lookup(self) -> Ints:
        """The interval in which each of some uniform steps through the axis begins."""
        width = np.diff(self.edge_i)
        uniform = bool(np.ptp(width) < 1e-9 * width[0])
        entries = len(width) if uniform else min(_MOST_ENTRIES, int(_LOOKUP * (self.high - self.low) / width.min()) + 1)
        start = np.linspace(self.low, self.high, entries, endpoint=False)
        found = np.searchsorted(self.edge_i, start + 1e-9 * width.min(), side="right") - 1
        return np.asarray(np.clip(found, 0, len(width) - 1), dtype=np.int64)

    def design(self, r: Floats, derivative: int = 0) -> Floats:
        """Return all functions, or a derivative of them, at distances (M,): (M, size)."""
        r = np.atleast_1d(np.asarray(r, dtype=float))
        i = np.clip(np.searchsorted(self.edge_i, r, side="right") - 1, 0, len(self.edge_i) - 2)
        t = (r - self.edge_i[i])[:, None]
        c = self.powers_iqp[i]
        for _ in range(derivative):
            c = np.concatenate([c[..., 1:] * np.arange(1, c.shape[-1]), np.zeros((*c.shape[:-1], 1))], axis=-1)
        four = c[..., 0] + t * (c[..., 1] + t * (c[..., 2] + t * c[..., 3]))
        four[(r < self.low) | (r > self.high)] = 0.0
        out = np.zeros((len(r), self.size + 6))
        np.put_along_axis(out, self.first_i[i][:, None] + np.arange(4), four, axis=1)
        return out[:, 3:-3]


def vanishing(low: float, high: float, intervals: int) -> Axis:
    """Return uniform functions that vanish smoothly at both ends: `intervals` - 3 of them."""
    return Axis(np.linspace(low, high, intervals + 1))


def ending(low: float, high: float, intervals: int) -> Axis:
    """Return uniform functions that are free at `low` and vanish smoothly at `high`: `intervals` of them.

    Their knots begin three steps below `low`, or at 0 with as many steps as fit.
    """
    step = (high - low) / intervals
    return Axis(np.append(np.full(4, low), low + step * np.arange(1, intervals + 1)))
