"""From the spread of an ensemble to an honest error bar, by the errors on crystals that were held out.

sigma² = (a·spread)² + b² + (c·value)² for each target, of largest likelihood under Laplace's distribution, whose tails
are like those of real errors; then scaled so that 68.3 % of the held-out errors are smaller. c is for properties that
are never negative, such as band gaps, where zero is sure and much is not. Targets that are fitted as logarithms are
treated as logarithms throughout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize

from lodewell.crystals.batch import Floats

if TYPE_CHECKING:
    from lodewell.predict.model import Model
    from lodewell.predict.targets import Target

ONE_SIGMA = 0.6827
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
        size = mean_bt[there, t] if _grows(target) else np.zeros(int(there.sum()))
        error = np.abs(truth - mean_bt[there, t])
        found[target.name] = _fit(error, np.stack([spread_bt[there, t], np.ones_like(error), size]), target.scale)
    model.card["calibration"] = found
    return found


def _grows(target: Target) -> bool:
    """Say whether errors may grow with the value: for what is never negative, and not fitted as a logarithm."""
    return target.low >= 0.0 and not target.log


def _fit(error: Floats, part_kb: Floats, scale: float) -> dict[str, float]:
    """Return the factors a, b and c of the parts of sigma, and the multiple of sigma that holds 95 % of the errors."""
    if len(error) < _FEW:
        return {"a": 1.0, "b": scale, "c": 0.0, "wide": 2.0, "crystals": len(error)}
    there = [k for k in range(3) if part_kb[k].any()]
    start = np.full(3, -np.inf)
    start[there] = np.log(np.array([1.0, 0.5 * max(float(error.mean()), 1e-12), 0.03])[there])

    def sigma(logs: Floats) -> Floats:
        factors = np.zeros(3)
        factors[there] = np.exp(logs)
        return np.asarray(np.sqrt((factors**2) @ part_kb**2))

    def unlikely(logs: Floats) -> float:
        width = sigma(logs)
        return float(np.mean(np.log(width) + np.sqrt(2.0) * error / width))

    best = minimize(unlikely, start[there], method="Nelder-Mead", options={"maxiter": 2000}).x
    one, wide = np.quantile(error / sigma(best), [ONE_SIGMA, 0.95])
    factors = np.zeros(3)
    factors[there] = np.exp(best) * float(one)
    return dict(zip("abc", map(float, factors), strict=True)) | {"wide": float(wide / one), "crystals": len(error)}


def combine(model: Model, values_mbt: Floats) -> tuple[Floats, Floats]:
    """Return the ensemble's values and their standard deviations, in the targets' units; (B, T) each."""
    mean_bt, spread_bt = _moments(model, values_mbt)
    value_bt, sigma_bt = np.empty_like(mean_bt), np.empty_like(mean_bt)
    for t, target in enumerate(model.targets):
        fitted = model.card["calibration"][target.name]
        size = mean_bt[:, t] if _grows(target) else 0.0
        width = np.sqrt((fitted["a"] * spread_bt[:, t]) ** 2 + fitted["b"] ** 2 + (fitted["c"] * size) ** 2)
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
