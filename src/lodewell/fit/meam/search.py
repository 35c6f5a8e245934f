"""Many beginnings, few ends: restarts of a spline MEAM fit, most of them given up early, spread over workers.

A round takes every candidate some steps down; then the worse ones are dropped. The first rounds use a part of the data.
Every step of a round that is finished stands in a ledger, so an interrupted search goes on where it was.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.errors import LodewellError
from lodewell.fit.meam.descent import Goal, Point, descend, look, on_new_range, solve_linear
from lodewell.fit.meam.model import Layout
from lodewell.fit.meam.options import MEAMOptions
from lodewell.fit.meam.rows import Targets
from lodewell.fit.meam.start import evolved_start, random_start
from lodewell.ledger import Ledger
from lodewell.progress import Progress
from lodewell.workers.base import Workers

_ROUND = 15  # steps


@dataclass(frozen=True)
class Setup:
    """What all candidates share: a part of the data, all of them, the goal, splines, and coefficients to begin with.

    `x_c` holds φ where a pair potential was given to begin with, zeros otherwise; `warm_c` all of a MEAM, or None.
    """

    part: Targets
    whole: Targets
    goal: Goal
    layout: Layout
    x_c: Floats
    warm_c: Floats | None
    options: MEAMOptions

    def data(self, whole: bool) -> Targets:
        """Return all data or a part."""
        return self.whole if whole else self.part


@dataclass(frozen=True)
class Task:
    """Take candidate `seed` down by `steps` from `point`, or from its beginning if that is None."""

    key: str
    seed: int
    point: Point | None
    whole: bool
    steps: int


def nothing(point: Point) -> None:
    """Watch nothing."""


def work(task: Task, setup: Setup, each: Callable[[Point], None] = nothing) -> Point:
    """Do a task (runs in the workers)."""
    data, goal, options = setup.data(task.whole), setup.goal, setup.options
    point = task.point
    if point is None:
        point = _begin(task.seed, setup, each)
    else:
        point = replace(look(data, goal, point.layout, point.x_c), damping=point.damping, steps=point.steps)
    return descend(data, goal, on_new_range(data, goal, point), task.steps, options.tolerance, each)


def _begin(seed: int, setup: Setup, each: Callable[[Point], None]) -> Point:
    data, goal = setup.part, setup.goal
    if seed == 0 and setup.warm_c is not None:
        return on_new_range(data, goal, solve_linear(data, goal, setup.layout, setup.warm_c))
    rng = np.random.default_rng([setup.options.seed, seed])
    point = random_start(data, goal, setup.layout, setup.x_c, rng)
    return evolved_start(data, goal, point, seed, each) if setup.options.search == "cma-es" else point


@dataclass(frozen=True)
class Round:
    """How many candidates take part, on which data, and how many steps each takes."""

    keep: int
    whole: bool
    steps: int


def rounds(options: MEAMOptions) -> list[Round]:
    """Return the plan; the last rounds end early when every member has arrived."""
    half = max(options.members, (options.restarts + 1) // 2)
    double = min(half, 2 * options.members)
    plan = [Round(options.restarts, False, _ROUND), Round(half, False, 2 * _ROUND)]
    left = options.most_steps
    keep = double
    while left > 0:
        plan.append(Round(keep, True, min(left, _ROUND)))
        left -= _ROUND
        keep = options.members
    return plan


class Search:
    """A search that can be stopped at any time: `standing` are the candidates as they stand, best first.

    Use it in a `with` statement; `OUT.partial` holds what is finished until `forget` is called. `whole` tells whether
    all data count for those standing.
    """

    def __init__(self, setup: Setup, identity: str, out: Path | None, restart: bool = False) -> None:
        self.setup = setup
        self._identity = identity
        ledger = None if out is None else out.with_name(out.name + ".partial")
        if ledger is not None and restart:
            ledger.unlink(missing_ok=True)
        self._ledger = None if ledger is None else Ledger(ledger)
        self._points: dict[int, Point] = {}
        self._began = time.perf_counter()
        self.whole = False
        self.resumed = 0  # tasks that an interrupted search had finished

    @property
    def standing(self) -> list[Point]:
        """The candidates, best first."""
        return sorted(self._points.values(), key=lambda point: point.value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._ledger is not None:
            self._ledger.__exit__(kind, error, tb)

    def forget(self) -> None:
        """Delete the ledger: the fit is finished."""
        if self._ledger is not None:
            self._ledger.path.unlink(missing_ok=True)

    def run(self, workers: Workers, progress: Progress, each: Callable[[Point], None]) -> list[Point]:
        """Run all rounds and return the members, best first; `each` is called after each step taken in this process."""
        plan = rounds(self.setup.options)
        total = sum(r.keep for r in plan)
        for number, this in enumerate(plan):
            alive = self._alive(this.keep) if number else dict.fromkeys(range(this.keep))
            moving = {seed: p for seed, p in alive.items() if not (p is not None and p.done and self.whole)}
            if not moving:
                break
            self._points = {seed: p for seed, p in alive.items() if p is not None}
            done = sum(r.keep for r in plan[:number]) + len(alive) - len(moving)
            tasks = [Task(f"{self._identity}:{number}:{s}", s, p, this.whole, this.steps) for s, p in moving.items()]
            for count, (task, point) in enumerate(self._results(tasks, workers, each), 1):
                if task.whole > self.whole:
                    self._points, self.whole = {}, True
                self._points[task.seed] = point
                progress(self._words(number, len(plan)), done + count, total)
        return self.standing

    def _alive(self, keep: int) -> dict[int, Point | None]:
        """Return the best so many."""
        return dict(sorted(self._points.items(), key=lambda item: item[1].value)[:keep])

    def _results(
        self, tasks: list[Task], workers: Workers, each: Callable[[Point], None]
    ) -> Iterator[tuple[Task, Point]]:
        waiting = []
        for task in tasks:
            known = None if self._ledger is None or not self._ledger.has(task.key) else self._ledger.piece(task.key, 0)
            if known is None:
                waiting.append(task)
            else:
                self.resumed += 1
                yield task, from_bytes(known, self.setup.layout)
        # Another process cannot call back; only in this one does `each` see every step.
        function = partial(work, setup=self.setup) if workers.n > 1 else partial(work, setup=self.setup, each=each)
        for outcome in workers.map(function, waiting):
            if outcome.value is None:
                raise LodewellError(f"restart {outcome.task.seed}: {outcome.error}")
            if self._ledger is not None:
                self._ledger.put(outcome.task.key, [(f"{outcome.value.value:.6g}", to_bytes(outcome.value), None)])
            yield outcome.task, outcome.value

    def _words(self, number: int, of: int) -> str:
        best = self.standing[0]
        root = np.sqrt(best.squares_k)
        return (
            f"round {number + 1} of {of}, best {1e3 * root[0]:.1f} meV/atom and {root[1]:.3f} eV/Å, "
            f"{time.perf_counter() - self._began:.0f} s"
        )


def to_bytes(point: Point) -> bytes:
    """Write a point for the ledger."""
    buffer = io.BytesIO()
    np.savez(
        buffer, x_c=point.x_c, squares_k=point.squares_k, range_tx=point.range_tx, knots_tx=point.layout.range_tx,
        numbers=np.array([point.value, point.damping, point.steps, point.done]),
    )  # fmt: skip
    return buffer.getvalue()


def from_bytes(data: bytes, layout: Layout) -> Point:
    """Read what `to_bytes` wrote."""
    with np.load(io.BytesIO(data)) as z:
        value, damping, steps, done = z["numbers"].tolist()
        return Point(
            layout.with_range(z["knots_tx"]), z["x_c"], z["squares_k"], value, z["range_tx"], damping, int(steps),
            bool(done),
        )  # fmt: skip
