"""Spline MEAMs made up for tests: smooth random curves of sensible size."""

from itertools import combinations_with_replacement

import numpy as np

from lodewell.potentials.meam.meam import MEAM
from lodewell.potentials.meam.splines import Spline


def made_up_meam(*symbols: str, seed: int = 0, even: bool = True, cutoff: float = 5.0, near: float = 4.0) -> MEAM:
    """A potential of these elements; uneven knots if asked."""
    rng = np.random.default_rng(seed)

    def knots(low: float, high: float, count: int) -> np.ndarray:
        x_k = np.linspace(low, high, count)
        if not even:
            x_k[1:-1] += 0.3 * rng.uniform(-1, 1, count - 2) * (x_k[1] - x_k[0])
        return x_k

    def radial(height: float, end: float) -> Spline:
        x_k = knots(1.2, end, 8)
        y_k = height * (1 + 0.4 * rng.normal(size=8)) * ((end - x_k) / (end - 1.2)) ** 3
        return Spline(x_k, y_k, (-2.0 * height, 0.0))

    def curved(low: float, high: float, bend: float) -> Spline:
        x_k = knots(low, high, 7)
        y_k = bend * x_k**2 + 0.3 * rng.normal() * x_k + 0.1 * rng.normal(size=7)
        return Spline(x_k, y_k, (rng.normal(), rng.normal()))

    pairs = [f"{a}-{b}" for a, b in combinations_with_replacement(symbols, 2)]
    return MEAM(
        phi={p: radial(2.0, cutoff) for p in pairs},
        rho={s: radial(0.5, cutoff - 0.2 * k) for k, s in enumerate(symbols)},
        u={s: curved(-1.5, 4.0, 0.15) for s in symbols},
        f={s: radial(0.6, near - 0.1 * k) for k, s in enumerate(symbols)},
        g={p: curved(-1.0, 0.9, 0.4) for p in pairs},
        reference={symbols[0]: -1.5},
    )
