"""What a spline MEAM fit varies: coefficients of B-splines on even knots, and their way to a potential and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats, Ints
from lodewell.potentials.meam.meam import MEAM, ROLES
from lodewell.potentials.meam.splines import Spline

PAIRED = ("phi", "g")
RADIAL = ("phi", "rho", "f")
# φ and U come first: energy and forces are linear in them.
ORDER = ("phi", "u", "rho", "f", "g")


@dataclass(frozen=True)
class Layout:
    """Which splines there are, on which knots, and where their coefficients stand.

    A spline with K knots has K + 2 coefficients c: on the interval from knot k to k + 1 it is the sum of c_k … c_{k+3}
    times the four cubic B-splines that live there. Those of φ, ρ and f keep value and slope zero at the cutoff, so two
    of them follow from the others: what is varied (`P` numbers) is less than the coefficients (`C` numbers).

    | field | shape | meaning |
    |---|---|---|
    | `symbols` | T | elements |
    | `knots` | | number of knots, by role |
    | `low` | | first knot of φ, ρ and f in Å, by role and name |
    | `cutoff`, `angular_cutoff` | | last knot of φ and ρ, and of f, in Å |
    | `range_tx` | (T, 2) | first and last knot of U, by element |
    """

    symbols: tuple[str, ...]
    knots: Mapping[str, int]
    low: Mapping[tuple[str, str], float]
    cutoff: float
    angular_cutoff: float
    range_tx: Floats

    @cached_property
    def names(self) -> list[tuple[str, str]]:
        """Role and element or pair of every spline, in the order of the coefficients."""
        pairs = [f"{a}-{b}" for a, b in combinations_with_replacement(self.symbols, 2)]
        return [(role, name) for role in ORDER for name in (pairs if role in PAIRED else self.symbols)]

    @cached_property
    def first_s(self) -> Ints:
        """Where the coefficients of each spline begin; one more entry ends the last; (S + 1,)."""
        return np.cumsum([0, *(self.knots[role] + 2 for role, _ in self.names)])

    @property
    def linear(self) -> int:
        """How many coefficients φ and U have."""
        return int(self.first_s[[role not in ("phi", "u") for role, _ in self.names].index(True)])

    @property
    def size(self) -> int:
        """How many coefficients there are."""
        return int(self.first_s[-1])

    def ends(self, role: str, name: str) -> tuple[float, float]:
        """Return the first and the last knot of a spline."""
        if role == "g":
            return -1.0, 1.0
        if role == "u":
            low, high = self.range_tx[self.symbols.index(name)]
            return float(low), float(high)
        return self.low[role, name], self.angular_cutoff if role == "f" else self.cutoff

    def columns(self, role: str, name: str) -> slice:
        """Where the coefficients of a spline stand."""
        s = self.names.index((role, name))
        return slice(int(self.first_s[s]), int(self.first_s[s + 1]))

    @cached_property
    def free_cp(self) -> Floats:
        """The matrix (C, P) that takes what is varied to the coefficients."""
        blocks = []
        for role, _ in self.names:
            count = self.knots[role] + 2
            block = np.eye(count)
            if role in RADIAL:  # value and slope vanish at the last knot
                block = block[:, : count - 2]
                block[count - 2, count - 3], block[count - 1, count - 3] = -0.5, 1.0
            blocks.append(block)
        out = np.zeros((self.size, sum(b.shape[1] for b in blocks)))
        row = column = 0
        for block in blocks:
            out[row : row + block.shape[0], column : column + block.shape[1]] = block
            row, column = row + block.shape[0], column + block.shape[1]
        return out

    @cached_property
    def linear_free(self) -> int:
        """How many of the numbers varied belong to φ and U."""
        return int(np.abs(self.free_cp[: self.linear]).any(axis=0).sum())

    @cached_property
    def tables(self) -> tuple[Any, ...]:
        """Grids (origin, one over the step, intervals, first coefficient) and who uses them, for the kernel."""
        grids = [self.ends(role, name) for role, name in self.names]
        count = np.array([self.knots[role] - 1 for role, _ in self.names], dtype=np.int64)
        origin_s = np.array([low for low, _ in grids])
        per_step_s = count / np.array([high - low for low, high in grids])
        return (origin_s, per_step_s, count, self.first_s[:-1].copy(), *(self._users(role) for role in ROLES))

    def _users(self, role: str) -> Ints:
        place = {name: s for s, (r, name) in enumerate(self.names) if r == role}
        if role not in PAIRED:
            return np.array([place[s] for s in self.symbols])
        order = {s: k for k, s in enumerate(self.symbols)}
        return np.array(
            [[place[f"{a}-{b}" if order[a] <= order[b] else f"{b}-{a}"] for b in self.symbols] for a in self.symbols]
        )

    def with_range(self, range_tx: Floats) -> Layout:
        """Return the layout with other first and last knots of U."""
        return replace(self, range_tx=np.array(range_tx, dtype=np.float64))


def spline_of(c_k: Floats, low: float, high: float) -> Spline:
    """Return the spline with K + 2 coefficients on K even knots."""
    step = (high - low) / (len(c_k) - 3)
    y_k = (c_k[:-2] + 4.0 * c_k[1:-1] + c_k[2:]) / 6.0
    slope_k = (c_k[2:] - c_k[:-2]) / (2.0 * step)
    return Spline(np.linspace(low, high, len(c_k) - 2), y_k, (float(slope_k[0]), float(slope_k[-1])))


def coefficients_of(spline: Spline) -> Floats:
    """Return the K + 2 coefficients of a spline on even knots: the inverse of `spline_of`."""
    count = len(spline.x_k)
    step = (spline.x_k[-1] - spline.x_k[0]) / (count - 1)
    a = np.zeros((count + 2, count + 2))
    for k in range(count):
        a[k, k : k + 3] = np.array([1.0, 4.0, 1.0]) / 6.0
    a[count, [0, 2]] = a[count + 1, [count - 1, count + 1]] = np.array([-0.5, 0.5]) / step
    return np.linalg.solve(a, [*spline.y_k, *spline.slopes])


def to_potential(layout: Layout, x_c: Floats, reference: Mapping[str, float]) -> MEAM:
    """Return the potential with these coefficients (C,).

    `reference` is what was taken off the energies, eV an atom; the constants in U join it.
    """
    found: dict[str, dict[str, Spline]] = {role: {} for role in ROLES}
    for role, name in layout.names:
        spline = spline_of(x_c[layout.columns(role, name)], *layout.ends(role, name))
        if role in RADIAL:  # exactly zero at the end, not to rounding
            spline = Spline(spline.x_k, np.append(spline.y_k[:-1], 0.0), (spline.slopes[0], 0.0))
        found[role][name] = spline
    lone = {s: reference.get(s, 0.0) + float(found["u"][s](0.0)[0]) for s in layout.symbols}
    return MEAM(**found, reference=lone)  # type: ignore[arg-type]


def from_potential(layout: Layout, potential: MEAM, reference: Mapping[str, float]) -> Floats:
    """Return the coefficients (C,) that come nearest to a potential: exact if its knots are those of the layout."""
    x_c = np.zeros(layout.size)
    for role, name in layout.names:
        given = getattr(potential, role)[name]
        low, high = layout.ends(role, name)
        x_k = np.linspace(low, high, layout.knots[role])
        y_k, dy_k = given(x_k)
        x_c[layout.columns(role, name)] = coefficients_of(Spline(x_k, y_k, (dy_k[0], dy_k[-1])))
        if role == "u":
            lift = potential.reference[name] - reference.get(name, 0.0) - float(given(0.0)[0])
            x_c[layout.columns(role, name)] += lift
    free = layout.free_cp
    return np.asarray(free @ np.linalg.lstsq(free, x_c, rcond=None)[0])
