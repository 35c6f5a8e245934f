"""Weights of the kinds of rows, and the strength of regularisation, chosen by cross-validation on the triangles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lodewell.crystals.batch import Floats
from lodewell.fit.least_squares import HeldOut, Streamed

_FIRST, _LAST = math.log(10.0) / 2.0, math.log(10.0) / 4.0  # steps of the search, in natural logarithms
_MOST = 30  # trials


@dataclass(frozen=True)
class Balance:
    """What was chosen: weight of each kind, strength of the penalty, and the held-out errors that it gives."""

    weights: Mapping[str, float]
    strength: float
    held_out: Mapping[str, float]
    loss: float
    trials: int


def choose(
    streamed: Streamed,
    penalty_pp: Floats,
    importance: Mapping[str, float],
    start: Mapping[str, float],
    factors: Mapping[str, float],
    strength: float = 0.0,
    report: Callable[[int], None] = lambda trial: None,
) -> Balance:
    """Minimise Σ_kinds importance · log(held-out RMSE) over weights and the strength of the penalty.

    Only ratios matter, so the kind of largest importance keeps its weight. A coordinate search: the errors change
    slowly with the logarithms, and each trial costs a Cholesky factorisation a fold.

    Args:
        streamed: the data.
        penalty_pp: of strength 1.
        importance: by kind; kinds without it are not fitted.
        start: first weights by kind.
        factors: the user's own, on top of what is chosen, by kind.
        strength: of the penalty; 0 chooses it too.
        report: told of each trial.
    """
    held = HeldOut(streamed)
    kinds = [kind for kind in streamed.kinds if importance.get(kind, 0.0) > 0.0 and factors.get(kind, 1.0) > 0.0]
    fixed = max(kinds, key=lambda kind: importance[kind])
    free = [kind for kind in kinds if kind != fixed] + ([] if strength else ["strength"])
    point = {name: math.log(start.get(name, 1.0)) for name in [*kinds, "strength"]}
    if strength:
        point["strength"] = math.log(strength)
    known: dict[tuple[float, ...], tuple[float, dict[str, float]]] = {}

    def trial(at: Mapping[str, float]) -> float:
        key = tuple(round(at[name], 6) for name in point)
        if key not in known:
            report(len(known))
            weights = {kind: math.exp(at[kind]) for kind in kinds}
            errors = held.errors(weights, math.exp(at["strength"]) * penalty_pp)
            known[key] = _loss(errors, importance), errors
        return known[key][0]

    best, step = trial(point), _FIRST
    while step >= _LAST - 1e-9 and len(known) < _MOST:
        moved = False
        for name in free:
            for sign in (1.0, -1.0):
                while (
                    len(known) < _MOST and (loss := trial(there := {**point, name: point[name] + sign * step})) < best
                ):
                    best, point, moved = loss, there, True
        if not moved:
            step /= 2.0
    weights = {kind: math.exp(point[kind]) * factors.get(kind, 1.0) for kind in kinds}
    chosen = math.exp(point["strength"])
    errors = held.errors(weights, chosen * penalty_pp)
    return Balance(weights, chosen, errors, _loss(errors, importance), len(known))


def judged(streamed: Streamed, penalty_pp: Floats, importance: Mapping[str, float], balance: Balance) -> Balance:
    """Judge other rows of the same data by weights that were chosen before."""
    errors = HeldOut(streamed).errors(balance.weights, balance.strength * penalty_pp)
    return replace(balance, held_out=errors, loss=_loss(errors, importance), trials=1)


def _loss(errors: Mapping[str, float], importance: Mapping[str, float]) -> float:
    return sum(weight * math.log(max(errors[kind], 1e-30)) for kind, weight in importance.items() if kind in errors)
