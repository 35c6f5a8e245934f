"""Where a spline MEAM fit begins: random smooth densities, perhaps bettered by evolution, with φ and U solved for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.errors import LodewellError
from lodewell.fit.meam.descent import Goal, Point, look, placed, ranges, solve_linear
from lodewell.fit.meam.model import Layout, to_potential
from lodewell.fit.meam.rows import Targets

_EVALUATIONS = 600  # of an evolution
_SPREAD = 0.3  # at its beginning


def random_start(data: Targets, goal: Goal, layout: Layout, x_c: Floats, rng: np.random.Generator) -> Point:
    """Draw ρ, f and g, and solve for φ and U; φ begins as in `x_c` (C,)."""
    x_c = x_c.copy()
    for role, name in layout.names:
        where = layout.columns(role, name)
        count = where.stop - where.start
        if role in ("rho", "f"):  # falls off, to either side of zero, with bumps
            fade = np.linspace(1.0, 0.0, count)
            height = rng.choice([-1.0, 1.0]) + 0.7 * rng.normal()
            x_c[where] = fade * (height + 0.5 * rng.normal(size=count))
        elif role == "g":
            slope = np.linspace(-1.0, 1.0, count)
            x_c[where] = rng.normal() + rng.normal() * slope + 0.5 * rng.normal(size=count)
    return solved(data, goal, layout, x_c)


def solved(data: Targets, goal: Goal, layout: Layout, x_c: Floats) -> Point:
    """Scale n to a range of width one, lay U on it, and solve for φ and U."""
    free = layout.free_cp
    x_c = free @ np.linalg.lstsq(free, x_c, rcond=None)[0]
    _, n_n = data.of(to_potential(layout, x_c, {}))
    range_tx = ranges(data, len(layout.symbols), n_n)
    width = max(float((range_tx[:, 3] - range_tx[:, 0]).max()), 1e-9)
    for role, name in layout.names:
        if role in ("rho", "g"):
            x_c[layout.columns(role, name)] /= width
    range_tx /= width
    return solve_linear(data, goal, layout.with_range(placed(range_tx[:, [0, 3]], range_tx)), x_c)


def evolved_start(
    data: Targets, goal: Goal, begin: Point, seed: int, each: Callable[[Point], None]
) -> Point:  # fmt: skip
    """Better ρ, f and g by CMA-ES, with φ and U solved for in every trial.

    Source: Hansen, arXiv:1604.00772; the package cma.
    """
    cma = _package()
    layout = begin.layout
    free, first = layout.free_cp, layout.linear_free
    middle = np.linalg.lstsq(free, begin.x_c, rcond=None)[0]
    best = begin

    def trial(y: Floats) -> float:
        nonlocal best
        here = middle.copy()
        here[first:] = y
        point = solved(data, goal, layout, free @ here)
        if point.value < best.value:
            best = point
        each(best)
        return float(min(point.value, 1e6))

    quiet = {"verbose": -9, "seed": seed + 1, "maxfevals": _EVALUATIONS, "verb_log": 0, "verb_disp": 0}
    cma.fmin2(trial, middle[first:], _SPREAD * float(np.abs(middle[first:]).max()), quiet)
    return look(data, goal, best.layout, best.x_c)


def _package() -> Any:
    try:
        import cma
    except ImportError as error:
        raise LodewellError(
            "--search cma-es needs the package cma: pip install 'lodewell[fit]', or leave --search random"
        ) from error
    return cma
