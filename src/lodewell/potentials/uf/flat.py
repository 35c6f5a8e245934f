"""All numbers of an ultra-fast potential in a few arrays, as the compiled sums want them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.crystals.batch import Floats, Ints
from lodewell.crystals.types import type_table
from lodewell.potentials.bspline import Axis
from lodewell.potentials.uf.embedding import FlatEmbedding

if TYPE_CHECKING:
    from lodewell.potentials.uf.uf import UF

from lodewell.potentials.uf.splines import Spline3


@dataclass(frozen=True)
class Flat:
    """A potential as the flat arrays of the compiled loops.

    | array | meaning |
    |---|---|
    | `one_t`, `leg_tt` | energy of a lone atom; distance within which t' joins triples around t |
    | `low`, `high`, `per_step` | of each axis |
    | `lookup_first`, `lookup` | interval in which each uniform step of an axis begins |
    | `interval_first`, `edge`, `powers` | intervals of all axes; powers of four functions and their slopes |
    | `place` | first of the four functions of each interval, counted with three that are zero before them |
    | `pair_axis`, `pair_at`, `pair_numbers` | cubics of the curves, by two types |
    | `triple_axes`, `triple_at`, `triple_shape`, `table` | coefficients by three types, see `_cells` |
    """

    type_z: Ints
    arrays: tuple[Any, ...]
    embedding: tuple[Any, ...]

    @classmethod
    def of(cls, potential: UF) -> Flat:
        """Flatten a potential."""
        species = sorted(potential.energies)
        count = len(species)
        type_of = {z: t for t, z in enumerate(species)}
        type_z = type_table(species)
        axes = Axes()
        pair_axis, pair_at = np.full((count, count), -1), np.zeros((count, count), np.int64)
        pair_numbers: list[Floats] = [np.zeros(0)]
        for (a, b), s in potential.pairs.items():
            ta, tb = type_of[a], type_of[b]
            padded = np.pad(s.coefficients_m, 3)
            four = padded[s.axis.first_i[:, None] + np.arange(4)]
            pair_axis[ta, tb] = pair_axis[tb, ta] = axes.index(s.axis)
            pair_at[ta, tb] = pair_at[tb, ta] = sum(map(len, pair_numbers))
            pair_numbers.append(np.einsum("iq,iqp->ip", four, s.axis.powers_iqp).ravel())
        triple_axes = np.full((count, count, count, 3), -1)
        triple_at, triple_shape = np.full((count, count, count), -1), np.zeros((count, count, count, 2), np.int64)
        leg_tt = np.zeros((count, count))
        table: list[Floats] = [np.zeros(0)]
        for triple, v in potential.triples.items():
            # The compiled loop meets a triple with the smaller type first, as the key has it.
            i, j, k = (type_of[z] for z in triple)
            cells = _cells(v)
            triple_axes[i, j, k] = [axes.index(axis) for axis in v.axes]
            triple_at[i, j, k] = sum(map(len, table))
            triple_shape[i, j, k] = cells[0, 0].size, cells[0].size
            leg_tt[i, j] = max(leg_tt[i, j], v.axes[0].high)
            leg_tt[i, k] = max(leg_tt[i, k], v.axes[1].high)
            table.append(cells.ravel())
        one_t = np.array([potential.energies[z] for z in species])
        arrays = (
            one_t, leg_tt, *axes.arrays(), pair_axis, pair_at, np.concatenate(pair_numbers),
            triple_axes, triple_at, triple_shape, np.concatenate(table),
        )  # fmt: skip
        return cls(type_z, arrays, _flat_embedding(potential, tuple(species)) if potential.embeddings else ())


def _flat_embedding(potential: UF, species: tuple[int, ...]) -> tuple[Any, ...]:
    axes = Axes()
    flat = FlatEmbedding.of(potential.embeddings, species, axes)
    found = [potential.embeddings[z].flat_p for z in species if z in potential.embeddings]
    lone_t = np.array([potential.embeddings[z].lone if z in potential.embeddings else 0.0 for z in species])
    return (*axes.arrays(), *flat.arrays, np.concatenate(found), lone_t)


class Axes:
    """The different axes of a potential, each once, flattened one after the other."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._axes: list[Axis] = []

    def index(self, axis: Axis) -> int:
        """Return the number of an axis, new or known."""
        key = axis.knots_k.tobytes()
        if key not in self._known:
            self._known[key] = len(self._axes)
            self._axes.append(axis)
        return self._known[key]

    def arrays(self) -> tuple[Any, ...]:
        """Return low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place."""
        axes = self._axes
        starts = [np.cumsum([0] + [len(part) for part in parts]) for parts in (
            [a.lookup for a in axes], [a.first_i for a in axes]
        )]  # fmt: skip
        low, high = np.array([a.low for a in axes]), np.array([a.high for a in axes])
        lengths = np.array([float(len(a.lookup)) for a in axes])
        none = np.zeros(0)
        return (
            low, high, lengths / (high - low), starts[0],
            np.concatenate([none.astype(np.int64), *(a.lookup for a in axes)]), starts[1],
            np.concatenate([none, *(a.edge_i[:-1] for a in axes)]),
            np.concatenate([none, *(_with_slopes(a.powers_iqp).ravel() for a in axes)]),
            np.concatenate([none.astype(np.int64), *(a.first_i for a in axes)]),
        )  # fmt: skip


def _with_slopes(powers_iqp: Floats) -> Floats:
    """Return the powers of four functions and of their slopes, power by power: (I, 4, 8)."""
    slopes = np.concatenate([powers_iqp[..., 1:] * [1.0, 2.0, 3.0], np.zeros((*powers_iqp.shape[:2], 1))], axis=2)
    return np.concatenate([powers_iqp, slopes], axis=1).transpose(0, 2, 1)


def _cells(spline: Spline3) -> Floats:
    """Return the 4 x 4 coefficients of x and y that matter in each pair of intervals, for each function of z.

    Shape (I_x, I_y, functions of z and three zeros at either end, 16): what one triple needs is contiguous.
    """
    x, y, _ = spline.axes
    c = np.pad(spline.coefficients_xyz, 3)
    ix, iy = x.first_i[:, None] + np.arange(4), y.first_i[:, None] + np.arange(4)
    cells = c[ix[:, None, :, None], iy[None, :, None, :]]  # (I_x, I_y, 4, 4, z)
    return np.ascontiguousarray(np.moveaxis(cells, 4, 2)).reshape(len(ix), len(iy), c.shape[2], 16)
