"""From the spread of an ensemble to an honest error bar, by the errors on crystals that were held out.

sigma² = (a·spread)² + b² + (c·share)² for each target, of largest likelihood under Laplace's distribution, whose tails
are like those of real errors; then scaled so that 68.3 % of the held-out errors are smaller, of all crystals and of the
half with the larger sigma. The last part is for properties that are never negative, such as band gaps, of which zero
is often sure: share = value / (value + scale/2). Targets that are fitted as logarithms are treated as logarithms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import binom

from lodewell.crystals.batch import Floats

if TYPE_CHECKING:
    from lodewell.predict.model import Model
    from lodewell.predict.targets import Target

ONE_SIGMA = 0.6827
_LEAST = 0.01  # of a target's scale: no error bar is smaller
_SURE = 0.9  # how sure it is to be that 95 % of all errors are within the wide interval
_FEW = 20  # held-out values from which on a spread is worth fitting


def fit_calibration(model: Model, values_mbt: Floats, truth_bt: Floats) -> dict[str, Any]:
    """Fit error bars to held-out crystals and write them to `card["calibration"]`, which is returned.

    Args:
        model: what predicted.
        values_mbt: each member's values; (M, B, T), in the targets' units.
        truth_bt: the true values; (B, T), NaN where unknown.
    """
    mean_bt, spread_bt = _moments(model, values_mbt)
    found = {}
    for t, target in enumerate(model.targets):
        there = np.isfinite(truth_bt[:, t])
        truth = np.log10(truth_bt[there, t]) if target.log else truth_bt[there, t]
        share = _share(target, mean_bt[there, t])
        error = np.abs(truth - mean_bt[there, t])
        found[target.name] = _fit(error, np.stack([spread_bt[there, t], np.ones_like(error), share]), target.scale)
    model.card["calibration"] = found
    return found


def _share(target: Target, value_b: Floats) -> Floats:
    """Return how far from zero values are, between 0 and 1; 0 for what may be negative or is fitted as a logarithm."""
    if target.low < 0.0 or target.log:
        return np.zeros_like(value_b)
    return value_b / (value_b + 0.5 * target.scale)


def _fit(error: Floats, part_kb: Floats, scale: float) -> dict[str, float]:
    """Return the factors a, b and c of the parts of sigma, and the multiple of sigma for 95 % of the errors.

    The multiple is the error of such a rank that 95 % of all errors are smaller in nine samples of ten (Wilks 1941).
    """
    if len(error) < _FEW:
        return {"a": 1.0, "b": scale, "c": 0.0, "wide": 2.0, "crystals": len(error)}
    there = [k for k in range(3) if part_kb[k].any()]
    start = np.full(3, -np.inf)
    start[there] = np.log(np.array([1.0, 0.5 * max(float(error.mean()), 1e-12), 0.5 * scale])[there])

    def sigma(logs: Floats) -> Floats:
        factors = np.zeros(3)
        factors[there] = np.exp(logs)
        return np.asarray(np.sqrt((factors**2) @ part_kb**2 + (_LEAST * scale) ** 2))

    def unlikely(logs: Floats) -> float:
        width = sigma(logs)
        return float(np.mean(np.log(width) + np.sqrt(2.0) * error / width))

    best = minimize(unlikely, start[there], method="Nelder-Mead", options={"maxiter": 2000}).x
    width = sigma(best)
    ratio = error / width
    wider = np.argsort(width, kind="stable")[len(width) // 2 :]
    one = max(np.quantile(ratio, ONE_SIGMA), np.quantile(ratio[wider], ONE_SIGMA))
    sure = min(int(binom.ppf(_SURE, len(ratio), 0.95)), len(ratio) - 1)
    wide = np.sort(ratio)[sure]
    factors = np.zeros(3)
    factors[there] = np.exp(best)
    factors[1] = np.hypot(factors[1], _LEAST * scale)
    factors *= one
    return dict(zip("abc", map(float, factors), strict=True)) | {"wide": float(wide / one), "crystals": len(error)}


def combine(model: Model, values_mbt: Floats) -> tuple[Floats, Floats]:
    """Return the ensemble's values and their standard deviations, in the targets' units; (B, T) each."""
    mean_bt, spread_bt = _moments(model, values_mbt)
    value_bt, sigma_bt = np.empty_like(mean_bt), np.empty_like(mean_bt)
    for t, target in enumerate(model.targets):
        fitted = model.card["calibration"][target.name]
        share = _share(target, mean_bt[:, t])
        width = np.sqrt((fitted["a"] * spread_bt[:, t]) ** 2 + fitted["b"] ** 2 + (fitted["c"] * share) ** 2)
        value_bt[:, t] = 10.0 ** mean_bt[:, t] if target.log else mean_bt[:, t]
        sigma_bt[:, t] = value_bt[:, t] * np.log(10.0) * width if target.log else width
    return value_bt, sigma_bt


def _moments(model: Model, values_mbt: Floats) -> tuple[Floats, Floats]:
    """Return mean and spread over the members, of log10 where a target is fitted as such."""
    own = values_mbt.copy()
    for t, target in enumerate(model.targets):
        if target.log:
            own[:, :, t] = np.log10(own[:, :, t])
    spread = own.std(axis=0, ddof=1) if len(own) > 1 else np.zeros(own.shape[1:])
    return own.mean(axis=0), spread


def coverage(error_b: Floats, sigma_b: Floats, multiples: Floats) -> Floats:
    """Return the share of errors within each multiple of sigma."""
    ratio = np.abs(error_b) / sigma_b
    return np.array([float(np.mean(ratio <= k)) for k in multiples])
