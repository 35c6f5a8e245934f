"""How large errors are, given how far each number is from the data."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from lodewell.crystals.batch import Floats

_SILENT = 1e-10  # rows of so small a share of the median spread vanish by symmetry, and so do their errors


def error_model(spread_m: Floats, square_m: Floats) -> tuple[float, float]:
    """Return scale and floor of the variance scale · spread + floor that makes squared errors most likely.

    `spread_m` (M,) are variances by the covariance of the coefficients, `square_m` (M,) squared errors; of a Gaussian.
    """
    speaking = spread_m > _SILENT * np.median(spread_m)
    spread, square = spread_m[speaking], square_m[speaking]
    if not len(spread) or square.max() == 0.0:
        return 1.0, 0.0
    mean_spread, mean_square = float(spread.mean()), float(square.mean())
    q, e = spread / mean_spread, square / mean_square

    def loss(logs: Floats) -> float:
        variance = np.exp(logs[0]) * q + np.exp(logs[1])
        return float(np.mean(np.log(variance) + e / variance))

    found = min(
        (minimize(loss, start, method="Nelder-Mead") for start in ([0.0, -3.0], [-2.0, -0.5])), key=lambda r: r.fun
    )
    scale, floor = np.exp(found.x)
    return float(scale * mean_square / mean_spread), float(floor * mean_square)
