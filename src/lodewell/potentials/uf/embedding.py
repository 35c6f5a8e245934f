"""Embedding energies: functions of an atom's densities, and of how these are shaped, that a UF potential can add.

A density is n_i = Σ_j f(r_ij) with f one cubic B-spline, or its power of order l, p_l = Σ_jk f(r_ij) f(r_ik) P_l(cos
θ_jik), P_l the Legendre polynomial. Both are sums over neighbours alone (p_l through the moments Σ_j f r̂ r̂ ...), so
they cost little, and functions of them hold interactions of any number of bodies. E_i = Σ U(q_a, q_b) - U(0, 0) over
chosen pairs of densities, U a tensor product of cubic B-splines: linear in its coefficients. With l = 0 alone this is
an embedded atom; with g(cos θ) expanded in P_l, the densities are those of spline MEAM (Lenosky et al., 2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.errors import BadOption
from lodewell.potentials.bspline import Axis

if TYPE_CHECKING:
    from lodewell.potentials.uf.flat import Axes

HIGHEST_ORDER = 3


@dataclass(frozen=True)
class Density:
    """A density of one element around an atom.

    neighbour: atomic number. radial: five knots in Å, of f. order: 0 for n, 1 to 3 for p_l. values: knots of the
    functions of it; beyond the last they go on with their slope, so that U stays where the data have been.
    """

    neighbour: int
    radial: Axis
    order: int
    values: Axis

    def __post_init__(self) -> None:
        if self.radial.size != 1 or (np.diff(self.radial.knots_k) <= 0).any() or not 0 <= self.order <= HIGHEST_ORDER:
            raise BadOption(f"a density needs five radial knots that increase and an order of 0 to {HIGHEST_ORDER}")


@dataclass(frozen=True)
class Embedding:
    """The embedding of one element.

    `pairs` names two of `densities` each; `coefficients[k]` (functions of the first, of the second) in eV, or None for
    a space that is yet to be fitted.
    """

    densities: tuple[Density, ...]
    pairs: tuple[tuple[int, int], ...]
    coefficients: tuple[Floats, ...] | None = None

    def __post_init__(self) -> None:
        if any(not 0 <= place < len(self.densities) for pair in self.pairs for place in pair):
            raise BadOption(f"an embedding names two of its {len(self.densities)} densities in each pair")

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shape of each array of coefficients."""
        return [(self.densities[a].values.size, self.densities[b].values.size) for a, b in self.pairs]

    @property
    def count(self) -> int:
        """How many coefficients there are."""
        return sum(x * y for x, y in self.shapes)

    @property
    def cutoff(self) -> float:
        """Beyond it the densities are zero, Å."""
        return max((d.radial.high for d in self.densities), default=0.0)

    def with_coefficients(self, flat_p: Floats) -> Embedding:
        """Return the embedding with coefficients from one row (count,)."""
        ends = np.cumsum([x * y for x, y in self.shapes])[:-1]
        parts = zip(np.split(flat_p, ends), self.shapes, strict=True)
        return Embedding(self.densities, self.pairs, tuple(part.reshape(shape).copy() for part, shape in parts))

    @property
    def flat_p(self) -> Floats:
        """All coefficients in one row (count,)."""
        assert self.coefficients is not None
        return np.concatenate([np.zeros(0), *(c.ravel() for c in self.coefficients)])

    @property
    def lone(self) -> float:
        """What U would be for a lone atom, whose densities are zero: it is taken off, eV."""
        return float(self.flat_p @ self.zero_p)

    @property
    def zero_p(self) -> Floats:
        """The functions of each coefficient where all densities are zero, (count,)."""
        at_zero = [d.values.design(np.zeros(1))[0] for d in self.densities]
        return np.concatenate([np.zeros(0), *(np.outer(at_zero[a], at_zero[b]).ravel() for a, b in self.pairs)])

    def state(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """Return what a file must hold."""
        meta = {
            "pairs": [list(pair) for pair in self.pairs],
            "neighbours": [d.neighbour for d in self.densities],
            "orders": [d.order for d in self.densities],
        }
        arrays = {f"radial.{k}": d.radial.knots_k for k, d in enumerate(self.densities)}
        arrays |= {f"values.{k}": d.values.knots_k for k, d in enumerate(self.densities)}
        return meta, arrays | {"coefficients": self.flat_p}

    @classmethod
    def from_state(cls, meta: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Embedding:
        """Make the embedding from what `state` returned."""
        densities = tuple(
            Density(z, Axis(arrays[f"radial.{k}"]), order, Axis(arrays[f"values.{k}"]))
            for k, (z, order) in enumerate(zip(meta["neighbours"], meta["orders"], strict=True))
        )
        space = cls(densities, tuple((a, b) for a, b in meta["pairs"]))
        return space.with_coefficients(arrays["coefficients"])


@dataclass(frozen=True)
class FlatEmbedding:
    """Embeddings of all elements as the flat arrays of the compiled loops.

    Channels are the different (neighbour, radial function) of an element's densities.

    | array | meaning |
    |---|---|
    | `channel_first` (T + 1,), `channel_type` | channels of each type |
    | `channel_knots`, `channel_weights` (C, 5) | f(r) = Σ weight · max(knot - r, 0)³ |
    | `density_first` (T + 1,), `density_channel`, `density_order`, `density_axis` | densities of each type |
    | `pair_first` (T + 1,), `pair_densities` (K, 2), `pair_start`, `pair_row` | pairs of each type, and their numbers |
    """

    arrays: tuple[Any, ...]

    @classmethod
    def of(cls, embeddings: Mapping[int, Embedding], species: tuple[int, ...], axes: Axes) -> FlatEmbedding:
        """Flatten; the axes join `axes`."""
        channels: list[tuple[int, bytes]] = []
        densities: list[tuple[int, int, int]] = []
        pairs: list[tuple[int, int, int, int]] = []
        firsts: list[list[int]] = [[0], [0], [0]]
        at = 0
        type_of = {z: t for t, z in enumerate(species)}
        for z in species:
            embedding = embeddings.get(z)
            if embedding is not None:
                mine: dict[tuple[int, bytes], int] = {}
                first = len(densities)
                for d in embedding.densities:
                    key = type_of[d.neighbour], d.radial.knots_k.tobytes()
                    if key not in mine:
                        mine[key] = len(channels)
                        channels.append(key)
                    densities.append((mine[key], d.order, axes.index(d.values)))
                for (a, b), (x, y) in zip(embedding.pairs, embedding.shapes, strict=True):
                    pairs.append((first + a, first + b, at, y))
                    at += x * y
            for ends, size in zip(firsts, (len(channels), len(densities), len(pairs)), strict=True):
                ends.append(size)
        types = np.array([t for t, _ in channels], dtype=np.int64)
        knots_cq = np.array([np.frombuffer(knots) for _, knots in channels]).reshape(-1, 5)
        d_ = np.array(densities, dtype=np.int64).reshape(-1, 3)
        p = np.array(pairs, dtype=np.int64).reshape(-1, 4)
        f = [np.array(ends, dtype=np.int64) for ends in firsts]
        return cls((
            f[0], types, knots_cq, _weights(knots_cq), f[1], d_[:, 0].copy(), d_[:, 1].copy(), d_[:, 2].copy(),
            f[2], p[:, :2].copy(), p[:, 2].copy(), p[:, 3].copy(),
        ))  # fmt: skip


def _weights(knots_cq: Floats) -> Floats:
    """Return the weights of max(knot - r, 0)³ in a cubic B-spline: a divided difference (de Boor, 1978)."""
    gap = knots_cq[:, :, None] - knots_cq[:, None, :] + np.eye(5)
    return np.asarray((knots_cq[:, -1:] - knots_cq[:, :1]) / np.prod(gap, axis=2))
