"""Tabulated pair potentials: any curves on a uniform grid, joined by cubic splines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.crystals.types import type_table
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential
from lodewell.potentials.pairs._sums import sum_pairs
from lodewell.potentials.pairs.pair import pair_name, pair_species

MOST_POINTS = 1_000_000  # of a curve
_BLOCK = 256  # curves that are joined at a time, since splines take several times the room of what comes of them


class Curves:
    """Cubic curves on one uniform grid.

    | field | shape | meaning |
    |---|---|---|
    | `coefficients_skx` | (S, K, 4) | powers of t in each interval, t from 0 to 1 |
    | `numbers` | ((S + 1) · K · 4,) | the same, flat, and a last curve that is zero |
    | `origin`, `spacing` | | interval k starts at origin + k · spacing (Å) |

    Curve s is zero from `origin + K · spacing` on.
    """

    def __init__(self, coefficients_skx: Floats, origin: float, spacing: float) -> None:
        # One more curve than given, zero everywhere, serves the pairs that do not interact.
        padded = np.concatenate([coefficients_skx, np.zeros((1, *coefficients_skx.shape[1:]))])
        self.coefficients_skx, self.numbers = padded[:-1], padded.ravel()
        self.origin, self.spacing = float(origin), float(spacing)

    @classmethod
    def through(cls, r_k: Floats, u_sk: Floats, spacing: float, origin: float = 0.0) -> Curves:
        """Interpolate points (K,), (S, K) by a cubic spline; the points must lie on the grid or end it.

        The first interval is extended back to `origin`; the slope at the last point is zero (curves end there).
        """
        start_x = origin + spacing * np.arange(round((r_k[-1] - origin) / spacing + 0.49))
        out = np.empty((len(u_sk), len(start_x), 4))
        for s in range(0, len(u_sk), _BLOCK):
            out[s : s + _BLOCK] = _powers(r_k, u_sk[s : s + _BLOCK], start_x, spacing)
        return cls(out, origin, spacing)

    def values(self, curve: int, r: ArrayLike) -> tuple[Floats, Floats]:
        """Return u and du/dr of one curve at distances of any shape."""
        x = (np.asarray(r, dtype=float) - self.origin) / self.spacing
        k = np.clip(x.astype(np.int64), 0, self.coefficients_skx.shape[1] - 1)
        t = x - k
        c = self.coefficients_skx[curve][k]
        inside = x < self.coefficients_skx.shape[1]
        u = c[..., 0] + t * (c[..., 1] + t * (c[..., 2] + t * c[..., 3]))
        du = (c[..., 1] + t * (2.0 * c[..., 2] + 3.0 * t * c[..., 3])) / self.spacing
        return np.where(inside, u, 0.0), np.where(inside, du, 0.0)


def _powers(r_k: Floats, u_sk: Floats, start_x: Floats, spacing: float) -> Floats:
    """Return the coefficients of t⁰ to t³ of each curve in each interval, t from 0 to 1; (S, X, 4)."""
    slope = np.diff(u_sk[:, :2], axis=1)[:, 0] / (r_k[1] - r_k[0])
    spline = CubicSpline(r_k, u_sk, axis=1, bc_type=((1, slope), (1, np.zeros_like(slope))))
    inside_x = np.clip(np.searchsorted(r_k, start_x + 0.5 * spacing, side="right") - 1, 0, len(r_k) - 2)
    c3, c2, c1, c0 = (spline.c[m][inside_x] for m in range(4))  # each (X, S)
    o = (start_x - r_k[inside_x])[:, None]
    powers = [
        c0 + o * (c1 + o * (c2 + o * c3)),
        (c1 + o * (2.0 * c2 + 3.0 * o * c3)) * spacing,
        (c2 + 3.0 * o * c3) * spacing**2,
        c3 * spacing**3,
    ]
    return np.stack(powers, axis=-1).transpose(1, 0, 2)


class CurvePotential(Potential):
    """A potential that sums curves over pairs.

    `_curve_vtt` says which curve serves which pair of types in which variant.
    A subclass may choose a variant of the curves per crystal through `variant`.
    """

    half_list = True
    curves: Curves
    _type_z: Ints  # (119,)
    _curve_vtt: Ints  # (V, T, T), -1 where a pair does not interact
    energy_scale: float = 1.0

    @property
    def sums_pairs(self) -> bool:
        """It is one."""
        return True

    def pair_curve(self, first: int, second: int, r: Floats, variant: str | None = None) -> tuple[Floats, Floats]:
        """Return the curve of a pair; see `Potential.pair_curve`."""
        r = np.asarray(r, dtype=np.float64)
        curve = self.curve_index(first, second, variant)
        if curve < 0:
            return np.zeros_like(r), np.zeros_like(r)
        u, du = self.curves.values(curve, r)
        return self.energy_scale * u, self.energy_scale * du

    def curve_index(self, first: int, second: int, variant: str | None = None) -> int:
        """Return the row of the curve that serves two elements, -1 if they do not interact."""
        a, b = self._type_z[[first, second]]
        return -1 if min(a, b) < 0 else int(self._curve_vtt[self.variant_row(variant), a, b])

    def variant_row(self, variant: str | None) -> int:
        """Return which variant of the curves a name stands for; only statistical tables have names for them."""
        return 0

    def variant(self, batch: Batch) -> Ints:
        """Return which variant of the curves serves each crystal, shape (B,)."""
        return np.zeros(len(batch), dtype=np.int64)

    @cached_property
    def _row_vtt(self) -> NDArray[np.int32]:
        """Where the curve of each pair of types begins in `Curves.numbers`, shape (V, T, T)."""
        count, intervals, powers = self.curves.coefficients_skx.shape
        curve_vtt = np.where(self._curve_vtt < 0, count, self._curve_vtt)  # the curve past the last is zero
        return np.asarray(curve_vtt * (intervals * powers), dtype=np.int32)

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Sum the curves over all pairs in one compiled loop."""
        n, curves = neighbours, self.curves
        energies, forces, virials = sum_pairs(
            None, curves.numbers, self._row_vtt, curves.origin, curves.spacing,
            curves.coefficients_skx.shape[1] - 1, self.cutoff, 0.0, self.energy_scale,
            batch.positions_nc, batch.cell_bcc, batch.first_b, self._type_z[batch.species_n], self.variant(batch),
            n.half, n.first_n, n.last_n, n.j_p, n.image_p, n.wraps_nc, n.reach_bc,
        )  # fmt: skip
        return energies, forces, virials


class PairTable(CurvePotential):
    """Pair curves given as points: `curves` maps "Li-O" to (r in Å, u in eV), each ending at the same cutoff.

    Points are joined by a cubic spline on a grid of `spacing`; below its first point a curve goes on with its slope
    there. Pairs that are not named do not interact.
    """

    kind = "table"

    def __init__(self, curves: Mapping[str, tuple[ArrayLike, ArrayLike]], spacing: float = 0.02) -> None:
        ends = {name: float(np.max(np.asarray(r))) for name, (r, _) in curves.items()}
        if not ends or max(ends.values()) - min(ends.values()) > 1e-9:
            raise BadOption(f"all curves of a table must end at the same cutoff, not at {ends}")
        self.cutoff = max(ends.values())
        if not (spacing > 0.0 and self.cutoff <= MOST_POINTS * spacing):
            raise BadOption(f"a table to {self.cutoff} Å every {spacing} Å would have too many points")
        species = sorted({z for name in curves for z in pair_species(name)})
        count = max(2, round(self.cutoff / spacing))
        r_k = np.linspace(0.0, self.cutoff, count + 1)
        self.names = list(curves)
        self.u_sk = np.array([_resampled(*curves[name], r_k) for name in self.names])
        self.r_k = r_k
        self.species = frozenset(species)
        self._type_z = type_table(species)
        self._curve_vtt = np.full((1, len(species), len(species)), -1, dtype=np.int64)
        for s, name in enumerate(self.names):
            a, b = self._type_z[list(pair_species(name))]
            self._curve_vtt[0, a, b] = self._curve_vtt[0, b, a] = s
        self.curves = Curves.through(r_k, self.u_sk, self.cutoff / count)

    def curve(self, pair: str, r: ArrayLike) -> tuple[Floats, Floats]:
        """Return u (eV) and du/dr (eV/Å) of one pair."""
        named = [pair_name(*pair_species(name)) for name in self.names]
        return self.curves.values(named.index(pair_name(*pair_species(pair))), r)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold the resampled curves."""
        return {"names": self.names}, {"r_k": self.r_k, "u_sk": self.u_sk}

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> PairTable:
        """Make the table from its points."""
        r_k = arrays["r_k"]
        points = {name: (r_k, u) for name, u in zip(meta["names"], arrays["u_sk"], strict=True)}
        return cls(points, spacing=float(r_k[1] - r_k[0]))


def _resampled(r: ArrayLike, u: ArrayLike, r_k: Floats) -> Floats:
    """Return a curve on the grid, continued by its first slope towards r = 0."""
    known_r, known_u = np.asarray(r, dtype=float), np.asarray(u, dtype=float)
    if known_r.ndim != 1 or known_r.shape != known_u.shape or len(known_r) < 2 or (np.diff(known_r) <= 0).any():
        raise BadOption("a tabulated curve needs two lists of equal length, distances increasing")
    if not (np.isfinite(known_r).all() and np.isfinite(known_u).all()):
        raise BadOption("a tabulated curve needs finite numbers")
    spline = CubicSpline(known_r, known_u)
    start = known_u[0] + float(spline(known_r[0], 1)) * (r_k - known_r[0])
    return np.asarray(np.where(r_k < known_r[0], start, spline(r_k)))
