"""Weights of the kinds of rows, and the strength of regularisation, chosen by cross-validation on folded rows.

Rows are folded under names such as "force" or "force/Elastic": a kind, and what sort of frame they are of. Kinds get
weights by a search; sorts whose forces are fitted better than the average get more, as least squares with errors of
different size would have it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lodewell.crystals.batch import Floats
from lodewell.fit.linear.held_out import HeldOut
from lodewell.fit.linear.least_squares import LinearSystem, kind_of
from lodewell.progress import Progress, silent

_FIRST, _LAST = math.log(10.0) / 2.0, math.log(10.0) / 4.0  # steps of the search, in natural logarithms
_FARTHEST = math.log(1e3)  # noise-free data would drive a weight to infinity
_MOST = 30  # trials
_HOPELESS = 1e-3  # share explained, below which it does not matter how much worse an error is


@dataclass(frozen=True)
class Balance:
    """What was chosen: weight of each kind, factor of each name, strength of the penalty, held-out errors by kind."""

    kinds: Mapping[str, float]
    sorts: Mapping[str, float]
    strength: float
    held_out: Mapping[str, float]
    loss: float
    trials: int

    def weights(self, names: Iterable[str]) -> dict[str, float]:
        """Return the weight of each name of rows."""
        return {name: self.kinds.get(kind_of(name), 0.0) * self.sorts.get(name, 1.0) for name in names}


@dataclass(frozen=True)
class Goal:
    """What is wanted of a choice.

    importance: of the logarithm of each kind's held-out error; kinds without it are not fitted.
    start: first weights by kind, and of the penalty as "strength".
    factors: the user's own, by kind, on top of what is chosen; 0 leaves a kind out.
    strength: of the penalty; 0 chooses it too.
    bounds: errors by kind that a fit must stay well below, such as those of no potential at all: what is left of the
        bound, 1 - (error / bound)², counts as much as the error.
    most: how many times more a sort of frames may count than others.
    """

    importance: Mapping[str, float]
    start: Mapping[str, float]
    factors: Mapping[str, float]
    strength: float = 0.0
    most: float = 100.0
    bounds: Mapping[str, float] = field(default_factory=dict)

    def loss(self, errors: Mapping[str, float]) -> float:
        """Return Σ importance · log(error / (1 - (error / bound)²))."""
        total = 0.0
        for kind, weight in self.importance.items():
            if kind in errors:
                explained = 1.0 - (errors[kind] / self.bounds.get(kind, math.inf)) ** 2
                total += weight * math.log(max(errors[kind], 1e-30) / max(explained, _HOPELESS))
        return total


def choose(
    streamed: LinearSystem,
    penalty_pp: Floats,
    goal: Goal,
    progress: Progress = silent,
    sorts: Mapping[str, float] | None = None,
) -> Balance:
    """Minimise the goal's loss over weights and the strength of the penalty; `penalty_pp` is that of strength 1.

    sorts: factors on the weights of names such as "force/Elastic", where they are known already. Only ratios matter,
    so the kind of largest importance keeps its weight. A coordinate search: the errors change slowly with the
    logarithms, and each trial costs a Cholesky factorisation a fold.
    """
    names = [
        name
        for name in streamed.kinds
        if goal.importance.get(kind_of(name), 0.0) > 0.0 and goal.factors.get(kind_of(name), 1.0) > 0.0
    ]
    kinds = sorted({kind_of(name) for name in names})
    fixed = max(kinds, key=lambda kind: goal.importance[kind])
    free = [kind for kind in kinds if kind != fixed] + ([] if goal.strength else ["strength"])
    origin = {name: math.log(goal.start.get(name, 1.0)) for name in [*kinds, "strength"]}
    if goal.strength:
        origin["strength"] = math.log(goal.strength)

    def errors_at(at: Mapping[str, float], held: HeldOut) -> dict[str, float]:
        return held.errors({kind: math.exp(at[kind]) for kind in kinds}, penalty_pp, math.exp(at["strength"]))

    if sorts is None and goal.most > 1.0 and len(names) > len(kinds):
        sorts = _sorts(errors_at(origin, HeldOut(streamed)), streamed, fixed, goal.most)
    sorts = sorts or {}
    held = HeldOut(streamed, sorts)
    known: dict[tuple[float, ...], float] = {}

    def trial(at: Mapping[str, float]) -> float:
        key = tuple(round(at[name], 6) for name in origin)
        if key not in known:
            progress("choosing weights", len(known))
            known[key] = goal.loss(by_kind(errors_at(at, held), streamed))
        return known[key]

    point, best, step = origin, trial(origin), _FIRST
    while step >= _LAST - 1e-9 and len(known) < _MOST:
        moved = False
        for name in free:
            for sign in (1.0, -1.0):
                while len(known) < _MOST:
                    there = {**point, name: point[name] + sign * step}
                    if abs(there[name] - origin[name]) > _FARTHEST or trial(there) >= best:
                        break
                    best, point, moved = trial(there), there, True
        if not moved:
            step /= 2.0
    weights = {kind: math.exp(point[kind]) * goal.factors.get(kind, 1.0) for kind in kinds}
    chosen = Balance(weights, sorts, math.exp(point["strength"]), {}, best, len(known))
    return _judged(held, streamed, penalty_pp, goal, chosen)


def judged(streamed: LinearSystem, penalty_pp: Floats, goal: Goal, balance: Balance) -> Balance:
    """Judge other rows of the same data by weights that were chosen before."""
    return _judged(HeldOut(streamed, balance.sorts), streamed, penalty_pp, goal, balance)


def _judged(held: HeldOut, streamed: LinearSystem, penalty_pp: Floats, goal: Goal, balance: Balance) -> Balance:
    errors = by_kind(held.errors(balance.kinds, penalty_pp, balance.strength), streamed)
    return replace(balance, held_out=errors, loss=goal.loss(errors))


def by_kind(errors: Mapping[str, float], streamed: LinearSystem) -> dict[str, float]:
    """Return the root mean square error of each kind, over all sorts of frames."""
    squares, counts = dict[str, float](), dict[str, int]()
    for name, error in errors.items():
        kind, count = kind_of(name), streamed.count(name)
        squares[kind] = squares.get(kind, 0.0) + count * error * error
        counts[kind] = counts.get(kind, 0) + count
    return {kind: math.sqrt(squares[kind] / max(1, counts[kind])) for kind in squares}


def _sorts(errors: Mapping[str, float], streamed: LinearSystem, kind: str, most: float) -> dict[str, float]:
    """Return a factor for each name: of sorts of frames whose errors of this kind are smaller than the average."""
    whole = by_kind(errors, streamed).get(kind, 0.0)
    if not 0.0 < whole < math.inf:
        return {}
    factor_of = {
        name.partition("/")[2]: min(most, max(1.0, (whole / max(error, 1e-30)) ** 2))
        for name, error in errors.items()
        if kind_of(name) == kind
    }
    return {name: factor_of.get(name.partition("/")[2], 1.0) for name in errors}
