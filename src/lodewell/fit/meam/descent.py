"""Least squares for a spline MEAM: Levenberg and Marquardt on normal equations, with U following the range of n."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from lodewell.crystals.batch import Floats
from lodewell.fit.meam.model import Layout, from_potential, to_potential
from lodewell.fit.meam.rows import Targets, normal_equations

# The knots of U stand within the range of n, give or take the share `_SLACK` of their width, and leave no more than the
# share `_TAIL` of the atoms outside at either end. Within these limits a fit places them where they serve it best:
# the scale of n is free.
_SLACK = 0.02
_TAIL = 0.03
_MOST_DAMPING = 1e12
_LEAST_DAMPING = 1e-9
_LOOK_BACK = 10


@dataclass(frozen=True)
class Goal:
    """What is made small: Σ_k w_k s_k over the mean squares s_k of energies, forces and stresses; `weights_k` (3,).

    `smoothness` is the penalty on curvature, relative to this sum.
    """

    weights_k: Floats
    smoothness: float = 0.0

    def of(self, squares_k: Floats) -> float:
        """Return the root of the sum, an error in eV/Å."""
        value = float(np.sqrt(self.weights_k @ squares_k))
        return value if np.isfinite(value) else np.inf


@dataclass(frozen=True)
class Point:
    """Where a fit stands.

    | field | meaning |
    |---|---|
    | `layout`, `x_c` | splines with the knots of U, and coefficients (C,) |
    | `squares_k`, `value` | mean squares by kind (3,), and the goal in eV/Å |
    | `range_tx` | of n, by element: least, a few per cent from below, from above, largest (T, 4) |
    | `damping`, `steps`, `done` | of the descent |
    """

    layout: Layout
    x_c: Floats
    squares_k: Floats
    value: float
    range_tx: Floats
    damping: float = 1e-3
    steps: int = 0
    done: bool = False


def look(data: Targets, goal: Goal, layout: Layout, x_c: Floats) -> Point:
    """Compute residuals, the cheap way."""
    nowhere = Point(layout, x_c, np.full(3, np.inf), np.inf, np.tile(layout.range_tx, 2))
    if not np.isfinite(x_c).all():
        return nowhere
    found, n_n = data.of(to_potential(layout, x_c, {}))
    if not np.isfinite(n_n).all():
        return nowhere
    squares_k = data.squares(found)
    return Point(layout, x_c, squares_k, goal.of(squares_k), ranges(data, len(layout.symbols), n_n))


def ranges(data: Targets, types: int, n_n: Floats) -> Floats:
    """Return of n, for each element: the least, `_TAIL` from below, `_TAIL` from above, the largest; (T, 4)."""
    return np.array([np.quantile(n_n[data.types_n == t], [0.0, _TAIL, 1.0 - _TAIL, 1.0]) for t in range(types)])


def descend(
    data: Targets, goal: Goal, point: Point, most_steps: int, tolerance: float, each: Callable[[Point], None]
) -> Point:
    """Take up to so many steps down; `done` when the last ten gained less than a share `tolerance`, or none is left.

    `each` is called after every step.
    """
    history = [point.value]
    point = best = on_new_range(data, goal, point)
    for _ in range(most_steps):
        point, moved = _step(data, goal, point)
        # New knots for U can cost what steps have gained: the best of all is kept.
        point = on_new_range(data, goal, point)
        best = point if point.value < best.value else replace(best, steps=point.steps)
        each(best)
        history.append(best.value)
        recent = history[-1 - _LOOK_BACK :]
        if not moved or (len(recent) > _LOOK_BACK and recent[0] - recent[-1] < tolerance * recent[0]):
            return replace(best, done=True)
    return best


def _step(data: Targets, goal: Goal, point: Point) -> tuple[Point, bool]:
    """Try steps, ever shorter ones, until one goes down; else return the point and False."""
    free = point.layout.free_cp
    normal = normal_equations(data, point.layout, point.x_c)
    rough = free.T @ roughness(goal, point) @ free
    here = np.linalg.lstsq(free, point.x_c, rcond=None)[0]
    matrix = np.tensordot(goal.weights_k, normal.matrix_kpp, 1) + rough
    right = goal.weights_k @ normal.right_kp + rough @ here
    diagonal = np.maximum(np.diag(matrix), 1e-12 * np.diag(matrix).max())
    before = point.value**2 + here @ rough @ here
    damping = point.damping
    while damping < _MOST_DAMPING:
        try:
            change = -cho_solve(cho_factor(matrix + damping * np.diag(diagonal)), right)
        except LinAlgError:
            damping *= 10.0
            continue
        trial = look(data, goal, point.layout, point.x_c + free @ change)
        gain = before - trial.value**2 - (here + change) @ rough @ (here + change)
        if gain > 0.0:
            good = gain / max(-(2.0 * right @ change + change @ matrix @ change), 1e-300)
            damping *= 0.2 if good > 0.7 else 0.7 if good > 0.25 else 3.0
            return replace(trial, damping=max(damping, _LEAST_DAMPING), steps=point.steps + 1), True
        damping *= 5.0
    return replace(point, steps=point.steps + 1), False


def roughness(goal: Goal, point: Point) -> Floats:
    """Return the penalty on curvature (C, C), the same share of the error for a spline of any size."""
    out = np.zeros((point.layout.size, point.layout.size))
    for role, name in point.layout.names:
        where = point.layout.columns(role, name)
        second = np.diff(np.eye(where.stop - where.start), 2, axis=0)
        bend = max(float(np.ptp(point.x_c[where])), 1e-6) ** 2
        out[where, where] = goal.smoothness * point.value**2 / bend * (second.T @ second)
    return out


def on_new_range(data: Targets, goal: Goal, point: Point) -> Point:
    """Put the knots of U back into the range of n if they left it, and solve for φ and U on the new ones."""
    layout = point.layout.with_range(placed(point.layout.range_tx, point.range_tx))
    if np.array_equal(layout.range_tx, point.layout.range_tx):
        return point
    x_c = from_potential(layout, to_potential(point.layout, point.x_c, {}), {})
    return replace(solve_linear(data, goal, layout, x_c), damping=point.damping, steps=point.steps)


def placed(knots_tx: Floats, range_tx: Floats) -> Floats:
    """Return first and last knots of U (T, 2), moved where they break the rule; see `_SLACK`."""
    slack_t = _SLACK * (knots_tx[:, 1] - knots_tx[:, 0])
    least, low, high, largest = range_tx.T
    moved_low = (knots_tx[:, 0] < least - slack_t) | (knots_tx[:, 0] > low)
    moved_high = (knots_tx[:, 1] > largest + slack_t) | (knots_tx[:, 1] < high)
    first = np.where(moved_low, np.clip(knots_tx[:, 0], least, 0.5 * (least + low)), knots_tx[:, 0])
    last = np.where(moved_high, np.clip(knots_tx[:, 1], 0.5 * (high + largest), largest), knots_tx[:, 1])
    # Atoms that all have the same n still need knots apart.
    gap = 1e-3 * np.abs(range_tx).max(axis=1) + 1e-9
    return np.stack([first, np.maximum(last, first + gap)], axis=1)


def solve_linear(data: Targets, goal: Goal, layout: Layout, x_c: Floats) -> Point:
    """Solve for φ and U with ρ, f and g as they are; what the data leave open stays."""
    count = layout.linear_free
    normal = normal_equations(data, layout, x_c, nonlinear=False)
    matrix = np.tensordot(goal.weights_k, normal.matrix_kpp[:, :count, :count], 1)
    ridge = 1e-9 * np.maximum(np.diag(matrix), 1e-6 * np.diag(matrix).max() + 1e-300)
    change = -np.linalg.solve(matrix + np.diag(ridge), goal.weights_k @ normal.right_kp[:, :count])
    return look(data, goal, layout, x_c + layout.free_cp[:, :count] @ change)
