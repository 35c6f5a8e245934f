"""Sparse points: which environments of the data stand for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats, Ints
from lodewell.descriptors.environments import Distance, Soap
from lodewell.descriptors.legs import Legs
from lodewell.descriptors.select import by_leverage, farthest
from lodewell.errors import BadOption
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.prior import lone_point
from lodewell.potentials.gap.kernel import Kernel

_MOST_NUMBERS = 8_000_000  # of a sample, 64 MB
_SAME = 1e-7  # environments closer than this are copies


@dataclass
class Sample:
    """A fair sample of the environments of one kernel, drawn as they stream by.

    | field | shape | meaning |
    |---|---|---|
    | `x_ed`, `fade_e` | (E, D), (E,) | descriptors and their cutoff factors |
    | `kind_e` | (E,) | place in `kinds` of the config_type of their frame |
    | `seen` | | environments that went by |
    """

    size: int
    seed: int
    x_ed: Floats = field(init=False)
    fade_e: Floats = field(init=False)
    kind_e: Ints = field(init=False)
    seen: int = 0

    def __post_init__(self) -> None:
        self._most = max(2_000, _MOST_NUMBERS // max(1, self.size))
        self._rng = np.random.default_rng(self.seed)
        self._parts: list[tuple[Floats, Floats, Ints, Floats]] = []
        self._held = 0

    def add(self, x_ed: Floats, fade_e: Floats, kind: int) -> None:
        """Add the environments of a frame."""
        count = len(x_ed)
        self.seen += count
        self._parts.append((x_ed, fade_e, np.full(count, kind), self._rng.random(count)))
        self._held += count
        if self._held > 1.25 * self._most:
            self._settle()

    def _settle(self) -> None:
        """Keep the smallest tickets, part by part, so that nothing is held twice."""
        tickets = np.concatenate([part[3] for part in self._parts])
        if len(tickets) > self._most:
            last = np.partition(tickets, self._most - 1)[self._most - 1]
            self._parts = [(x[t <= last], f[t <= last], k[t <= last], t[t <= last]) for x, f, k, t in self._parts]
        self._held = sum(len(part[3]) for part in self._parts)

    def close(self) -> Sample:
        """Finish drawing, and leave out copies."""
        if not self._parts:
            self._parts = [(np.zeros((0, self.size)), np.zeros(0), np.zeros(0, np.int64), np.zeros(0))]
        self._settle()
        x, f, kind = (np.concatenate([part[k] for part in self._parts]) for k in range(3))
        # Copies agree in two random projections.
        seen = np.round(x @ self._rng.normal(size=(self.size, 2)) / _SAME).astype(np.int64)
        _, first = np.unique(seen, axis=0, return_index=True)
        first.sort()
        self.x_ed, self.fade_e, self.kind_e = x[first], f[first], kind[first]
        self._parts = []
        return self

    def without(self, point_1d: Floats) -> Sample:
        """Return the sample less the copies of a point (1, D) of length 1."""
        other = copy(self)
        kept = np.abs(self.x_ed - point_1d).max(axis=1, initial=0.0) > _SAME
        other.x_ed, other.fade_e, other.kind_e = self.x_ed[kept], self.fade_e[kept], self.kind_e[kept]
        return other


def sample(kernels: list[Kernel], train: Any, kinds: Mapping[str, int], seed: int) -> list[Sample]:
    """Draw a sample of the environments of every kernel, in one pass over the frames."""
    found = [Sample(kernel.descriptor.size, seed + k) for k, kernel in enumerate(kernels)]
    cutoff = max(kernel.descriptor.cutoff for kernel in kernels)
    for frame in train:
        for legs in Legs.of_atoms(frame.atoms, cutoff):
            for kernel, one in zip(kernels, found, strict=True):
                environments = kernel.environments(legs)
                one.add(environments.x_ed, environments.fade_e, kinds.get(frame.config_type, 0))
    return [one.close() for one in found]


def choose(
    kernel: Kernel,
    found: Sample,
    count: int,
    options: GAPOptions,
    kinds: Mapping[str, int],
    rng: np.random.Generator,
    binding: Mapping[int, float],
) -> tuple[Floats, Floats]:
    """Choose `count` sparse points, those of a quota among their config_type; return (M, D) and cutoff factors (M,).

    The first is a lone atom for SOAP of an element that has a `binding` energy.

    Raises:
        BadOption: when a quota cannot be met.
    """
    if isinstance(kernel.descriptor, Distance):
        return _spread(found, count)
    if isinstance(kernel.descriptor, Soap) and kernel.descriptor.centre in binding:
        lone_1d = lone_point(kernel)
        others = found.without(lone_1d)
        x_md, f_m = choose(kernel, others, count - 1, options, kinds, rng, {})
        return np.concatenate([lone_1d, x_md]), np.concatenate([np.ones(1), f_m])
    chosen: list[int] = []
    if options.quotas and isinstance(kernel.descriptor, Soap):
        for kind, quota in options.quotas.items():
            mine = np.flatnonzero(found.kind_e == kinds[kind])
            if len(mine) < quota:
                raise BadOption(
                    f"--quotas {kind}={quota}: its frames hold {len(mine)} different environments"
                    f" ({kernel.descriptor.name}); take at most so many"
                )
            chosen += mine[_select(kernel, found, mine, quota, options.sparse, rng)].tolist()
        rest = np.flatnonzero(~np.isin(found.kind_e, [kinds[kind] for kind in options.quotas]))
    else:
        rest = np.arange(len(found.x_ed))
    left = min(count - len(chosen), len(rest))
    if left > 0:
        chosen += rest[_select(kernel, found, rest, left, options.sparse, rng)].tolist()
    return found.x_ed[chosen], found.fade_e[chosen]


def _select(kernel: Kernel, found: Sample, among: Ints, count: int, how: str, rng: np.random.Generator) -> Ints:
    if count >= len(among):
        return np.arange(len(among))
    x = found.x_ed[among]
    if how == "random":
        return rng.permutation(len(x))[:count]
    if how == "leverage" and isinstance(kernel.descriptor, Soap):
        return by_leverage(x, count, rng)
    return farthest(kernel.covariance, kernel.delta**2, x, found.fade_e[among], count, rng)


def _spread(found: Sample, count: int) -> tuple[Floats, Floats]:
    """Return distances evenly spread over those of the data: the nearest in the data to each of a uniform grid."""
    x = found.x_ed[:, 0]
    if not len(x):
        return np.zeros((0, 1)), np.zeros(0)
    order = np.argsort(x)
    grid = np.linspace(x[order[0]], x[order[-1]], count)
    nearest = np.unique(order[np.clip(np.searchsorted(x[order], grid), 0, len(x) - 1)])
    return found.x_ed[nearest], found.fade_e[nearest]
