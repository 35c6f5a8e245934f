"""Cubic splines through knots with given slopes at both ends, and a pack of them for compiled loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from lodewell.crystals.batch import Floats, Ints
from lodewell.errors import BadOption

# Knots this close to even spacing (in spacings) are taken for even: files print them with some ten digits.
_EVEN = 1e-6
MOST_CELLS = 1_000_000  # into which the shortest interval would cut the whole spline


@dataclass(frozen=True, eq=False)
class Spline:
    """A cubic spline, continued by straight lines outside its knots.

    | field | shape | meaning |
    |---|---|---|
    | `x_k` | (K,) | knots, increasing |
    | `y_k` | (K,) | values there |
    | `slopes` | (2,) | first derivatives at the first and the last knot |

    Raises:
        BadOption: for fewer than two knots, knots that do not increase, or numbers that are not finite.
    """

    x_k: Floats
    y_k: Floats
    slopes: tuple[float, float]

    def __post_init__(self) -> None:
        x_k, y_k = (np.array(v, dtype=np.float64) for v in (self.x_k, self.y_k))
        if x_k.ndim != 1 or x_k.shape != y_k.shape or len(x_k) < 2:
            raise BadOption("a spline needs two knots or more, and a value at each")
        slopes = (float(self.slopes[0]), float(self.slopes[1]))
        if not (np.isfinite(x_k).all() and np.isfinite(y_k).all() and np.isfinite(slopes).all()):
            raise BadOption("knots, values and slopes of a spline must be finite numbers")
        if (np.diff(x_k) <= 0.0).any():
            raise BadOption(f"the knots of a spline must increase, not {', '.join(f'{x:g}' for x in x_k)}")
        if x_k[-1] - x_k[0] > MOST_CELLS * np.diff(x_k).min():
            raise BadOption(f"two knots of a spline are {np.diff(x_k).min():g} apart, too close for its length")
        object.__setattr__(self, "x_k", x_k)
        object.__setattr__(self, "y_k", y_k)
        object.__setattr__(self, "slopes", slopes)

    @classmethod
    def zero(cls, first: float, last: float) -> Spline:
        """Return the spline that vanishes everywhere."""
        return cls(np.array([first, last]), np.zeros(2), (0.0, 0.0))

    @property
    def end(self) -> float:
        """Where the spline becomes zero for good, or infinity if it does not."""
        return float(self.x_k[-1]) if self.y_k[-1] == 0.0 and self.slopes[1] == 0.0 else np.inf

    @property
    def even(self) -> bool:
        """Whether the knots are evenly spaced."""
        even_k = np.linspace(self.x_k[0], self.x_k[-1], len(self.x_k))
        return bool(np.abs(self.x_k - even_k).max() <= _EVEN * (even_k[1] - even_k[0]))

    @cached_property
    def pieces_kx(self) -> Floats:
        """Powers of x - x_k in each interval, lowest first, shape (K - 1, 4)."""
        x_k = np.linspace(self.x_k[0], self.x_k[-1], len(self.x_k)) if self.even else self.x_k
        c = CubicSpline(x_k, self.y_k, bc_type=((1, self.slopes[0]), (1, self.slopes[1]))).c
        return np.ascontiguousarray(c[::-1].T)

    def __call__(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """Return values and first derivatives at `x` of any shape."""
        x = np.asarray(x, dtype=np.float64)
        k = np.clip(np.searchsorted(self.x_k, x, side="right") - 1, 0, len(self.x_k) - 2)
        t = np.clip(x, self.x_k[0], self.x_k[-1]) - self.x_k[k]
        c = self.pieces_kx[k]
        y = c[..., 0] + t * (c[..., 1] + t * (c[..., 2] + t * c[..., 3]))
        dy = c[..., 1] + t * (2.0 * c[..., 2] + 3.0 * t * c[..., 3])
        beyond = x - np.clip(x, self.x_k[0], self.x_k[-1])
        dy = np.where(beyond < 0.0, self.slopes[0], np.where(beyond > 0.0, self.slopes[1], dy))
        return y + dy * beyond, dy

    def scaled(self, factor: float) -> Spline:
        """Return the spline times a number."""
        return Spline(self.x_k, factor * self.y_k, (factor * self.slopes[0], factor * self.slopes[1]))


@dataclass(frozen=True)
class Pack:
    """Splines one after the other in one array, as compiled loops read them.

    A spline begins at `first_s[s]` with its first knot, one over the width of its cells, the last cell (cell 0 holds
    everything before the first knot) and a spare. An even spline goes on with four powers of t a cell, t from 0 to 1.
    Another one has cells no wider than its shortest interval, so that a cell holds one knot at most: it goes on with
    the place in the array, for each cell, of the piece at its start, then for each piece the knots at its start and
    end and four powers of x less the first of them. The first and the last piece are straight lines.

    `even` tells whether all splines are; if not, all are laid out in the general way.
    """

    numbers: Floats
    first_s: Ints
    even: bool


def pack(splines: Sequence[Spline]) -> Pack:
    """Lay splines out for the kernels."""
    even = all(s.even for s in splines)
    parts: list[Floats] = []
    first_s = np.zeros(len(splines), np.int64)
    place = 0
    for s, spline in enumerate(splines):
        first_s[s] = place
        parts.append(_even_part(spline) if even else _general_part(spline, place))
        place += len(parts[-1])
    return Pack(np.concatenate(parts), first_s, even)


def _straight_ends(spline: Spline, before: float) -> Floats:
    """Return all pieces (K + 1, 4), the first straight one beginning `before` Å before the first knot."""
    (first, last), y_k = spline.slopes, spline.y_k
    return np.concatenate([[[y_k[0] - first * before, first, 0, 0]], spline.pieces_kx, [[y_k[-1], last, 0, 0]]])


def _even_part(spline: Spline) -> Floats:
    count = len(spline.x_k) - 1
    width = (spline.x_k[-1] - spline.x_k[0]) / count
    powers = _straight_ends(spline, width) * width ** np.arange(4.0)
    return np.concatenate([[spline.x_k[0], 1.0 / width, count + 1.0, 0.0], powers.ravel()])


def _general_part(spline: Spline, place: int) -> Floats:
    x_k = spline.x_k
    cells = int(np.ceil((x_k[-1] - x_k[0]) / float(np.diff(x_k).min())))
    width = (x_k[-1] - x_k[0]) / cells
    edge_z = x_k[0] + width * np.arange(-1, cells + 1)
    piece_z = np.searchsorted(x_k, edge_z, side="right")
    begin = place + 4 + len(edge_z)
    ends = np.column_stack([np.concatenate([[x_k[0] - 1.0], x_k]), np.concatenate([x_k, [np.inf]])])
    pieces = np.concatenate([ends, _straight_ends(spline, 1.0)], axis=1)
    return np.concatenate([[x_k[0], 1.0 / width, cells + 1.0, 0.0], begin + 6.0 * piece_z, pieces.ravel()])
