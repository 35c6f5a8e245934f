"""Which densities an embedding has, and where the knots of its functions are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.read import Labelled
from lodewell.fit.distances import WIDTH, Distances
from lodewell.potentials.bspline import Axis
from lodewell.potentials.uf.basis import UFBasis
from lodewell.potentials.uf.embedding import Density, Embedding

# (shell, order) of each density of a neighbouring element, and the pairs of these that U is a function of.
_DENSITIES = ((0, 0), (1, 0), (0, 1), (0, 2), (0, 3), (1, 3))
_PAIRS = ((0, 1), (0, 2), (0, 3), (0, 4), (3, 4), (2, 4), (2, 3), (1, 4), (4, 5))
_QUANTILE = 0.002  # of the densities met, below which one interval reaches down to zero
_BEYOND = 1.02  # the last knot over the largest density met


@dataclass(frozen=True)
class Shells:
    """The few numbers that an embedding is not linear in, in units of the nearest-neighbour distance of a pair.

    first, second: where the radial functions peak. spacing: of their knots; each reaches two of these either way.
    """

    first: float = 1.0
    second: float = 1.5
    spacing: float = 0.4

    def moved(self, rng: np.random.Generator, size: float = 0.12) -> Shells:
        """Return shells nearby."""
        a, b, c = np.exp(size * rng.normal(size=3))
        return Shells(self.first * a, self.second * b, self.spacing * c)


def embeddings(
    distances: Distances, frames: Iterable[Labelled], species: tuple[int, ...], shells: Shells, intervals: int
) -> dict[int, Embedding]:
    """Place densities by the nearest-neighbour distances, and the knots of U where the densities of the frames are."""
    nearest = {pair: _peak(counts) for pair, counts in distances.count_k.items()}
    spaces = {z: _space(z, species, nearest, shells, lambda k: Axis(np.linspace(0.0, 1.0, 5))) for z in species}
    spaces = {z: space for z, space in spaces.items() if space.densities}
    if not spaces:
        return {}
    looking = UFBasis(species, {}, {}, spaces)
    met: dict[int, list[Floats]] = {z: [] for z in spaces}
    for frame in frames:
        values = looking.densities(frame.atoms)
        for z, space in spaces.items():
            met[z].append(values[frame.atoms.numbers == z, : len(space.densities)])
    out = {}
    for z in spaces:
        found = np.concatenate(met[z])
        low, high = np.quantile(found, _QUANTILE, axis=0), _BEYOND * found.max(axis=0)
        knots = [_value_axis(a, b, intervals) for a, b in zip(low, high, strict=True)]
        out[z] = _space(z, species, nearest, shells, knots.__getitem__)
    return out


def _space(
    z: int, species: tuple[int, ...], nearest: Mapping[tuple[int, int], float], shells: Shells, values: object
) -> Embedding:
    densities: list[Density] = []
    pairs: list[tuple[int, int]] = []
    firsts = []
    for other in species:
        d = nearest.get((min(z, other), max(z, other)))
        if d is None:
            continue
        first = len(densities)
        firsts.append(first)
        spacing = shells.spacing * d
        for shell, order in _DENSITIES:
            centre = (shells.first, shells.second)[shell] * d
            knots = np.maximum(centre + spacing * np.arange(-2, 3), 1e-3 * np.arange(5))
            densities.append(Density(other, Axis(knots), order, values(len(densities))))  # type: ignore[operator]
        pairs += [(first + a, first + b) for a, b in _PAIRS]
    pairs += [(a, b) for a in firsts for b in firsts if a < b]
    return Embedding(tuple(densities), tuple(pairs))


def _value_axis(low: float, high: float, intervals: int) -> Axis:
    high = max(high, 1e-6)
    inner = np.linspace(low, high, intervals + 1)[:-1]
    inner = inner[inner > 1e-3 * high]
    return Axis(np.concatenate([np.zeros(4), inner, np.full(4, high)]))


def _peak(count_k: Floats) -> float:
    """Return where the pair correlation is largest, Å."""
    r_k = WIDTH * (np.arange(len(count_k)) + 0.5)
    smooth = np.convolve(count_k, np.exp(-0.5 * (np.arange(-10, 11) / 4.0) ** 2), mode="same")
    return float(r_k[np.argmax(smooth / r_k**2)])
