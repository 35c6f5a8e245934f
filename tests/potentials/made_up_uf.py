"""Ultra-fast potentials made up for tests: smooth ones of sensible size, and rough ones with knots of every kind."""

from itertools import combinations_with_replacement

import numpy as np
from ase.data import atomic_numbers

from lodewell.potentials.bspline import Axis, ending, vanishing
from lodewell.potentials.uf.basis import UFBasis
from lodewell.potentials.uf.embedding import Density, Embedding
from lodewell.potentials.uf.knowledge import Knowledge
from lodewell.potentials.uf.splines import Spline2, Spline3
from lodewell.potentials.uf.uf import UF


def made_up_uf(*symbols: str, seed: int = 0, even: bool = True, cutoff: float = 5.0, leg: float = 3.8) -> UF:
    """A potential of these elements as a fit lays it out: walls, everything ends with slope and curvature zero."""
    rng = np.random.default_rng(seed)
    species = sorted(atomic_numbers[s] for s in symbols)

    def shaken(axis: Axis) -> Axis:
        """Move the inner knots that stand alone."""
        knots = axis.knots_k.copy()
        alone = np.flatnonzero((np.diff(knots, prepend=-1.0) > 0) & (np.diff(knots, append=99.0) > 0))[1:-1]
        knots[alone] += 0.0 if even else 0.3 * np.diff(knots).max() * rng.uniform(-1, 1, len(alone))
        return Axis(knots)

    def curve() -> Spline2:
        axis = shaken(ending(1.2, cutoff, 12))
        middle_m = np.array([axis.knots_k[m + 1 : m + 4].mean() for m in range(axis.size)])
        return Spline2(axis, 6.0 * np.exp(-2.0 * (middle_m - 1.2)) + 0.15 * rng.normal(size=axis.size))

    def function(symmetric: bool) -> Spline3:
        x = shaken(vanishing(0.9, leg, 8))
        y, z = x if symmetric else shaken(vanishing(1.0, leg, 7)), shaken(vanishing(0.8, 2.0 * leg, 12))
        c = 0.3 * rng.normal(size=(x.size, y.size, z.size))
        return Spline3((x, y, z), 0.5 * (c + c.swapaxes(0, 1)) if symmetric else c)

    pairs = list(combinations_with_replacement(species, 2))
    return UF(
        {z: float(rng.normal()) for z in species},
        {pair: curve() for pair in pairs},
        {(i, *pair): function(pair[0] == pair[1]) for i in species for pair in pairs},
    )


def embedded_uf(*symbols: str, seed: int = 0) -> UF:
    """A made-up potential with an embedding of every element: densities of all orders, alone and in pairs."""
    rng = np.random.default_rng(seed)
    plain = made_up_uf(*symbols, seed=seed)
    embeddings = {}
    for z in plain.species or ():
        densities = tuple(
            Density(
                neighbour,
                Axis(np.array([0.3, 1.2, 2.0, 3.0, rng.uniform(3.5, 4.5)])),
                order,
                Axis(np.concatenate([[0.0] * 4, np.sort(rng.uniform(0.2, 3.0, 4)), [4.0] * 4])),
            )
            for neighbour in sorted(plain.species or ())
            for order in range(4)
        )
        pairs = tuple((int(a), int(b)) for a, b in rng.integers(0, len(densities), (5, 2)))
        space = Embedding(densities, pairs)
        embeddings[z] = space.with_coefficients(0.2 * rng.normal(size=space.count))
    return UF(plain.energies, plain.pairs, plain.triples, embeddings)


def small_uf() -> UF:
    """A potential of one element with little of everything: curve, function, embedding, error bars, distances."""
    rng = np.random.default_rng(11)
    pair, leg, side = ending(1.2, 5.0, 6), vanishing(0.9, 3.8, 5), vanishing(0.8, 7.6, 7)
    c = 0.3 * rng.normal(size=(leg.size, leg.size, side.size))
    density = Density(14, Axis(np.array([0.3, 1.2, 2.0, 3.0, 4.0])), 2, Axis(np.array([0.0, 0, 0, 0, 4, 4, 4, 4])))
    potential = UF(
        {14: -1.5},
        {(14, 14): Spline2(pair, np.linspace(2.0, -0.2, pair.size))},
        {(14, 14, 14): Spline3((leg, leg, side), 0.5 * (c + c.swapaxes(0, 1)))},
        {14: Embedding((density,), ((0, 0),), (0.1 * rng.normal(size=(4, 4)),))},
    )
    size = UFBasis.of(potential).columns
    factor = np.triu(rng.normal(size=(size, size))) + 5.0 * np.eye(size)
    potential = potential.with_record(
        knowledge=Knowledge(factor.astype(np.float32), (2.0, 0.01), (3.0, 0.02), (0.5, 1e-4), 0.7)
    )
    potential = potential.with_record(distances={(14, 14): rng.integers(0, 9, 400).astype(float)})
    return potential


def rough_uf(*symbols: str, seed: int = 0, missing: float = 0.2, cutoff: float = 5.0) -> UF:
    """A potential that no fit makes: knots anywhere and repeated, legs of all lengths, splines that are missing.

    It is continuous, but neither smooth nor small.
    """
    rng = np.random.default_rng(seed)
    species = sorted(atomic_numbers[s] for s in symbols)

    def axis(low: float, high: float, count: int, clamped: int = 4) -> Axis:
        inner = np.sort(rng.uniform(low, high, count))
        if count > 3:
            inner[1:3] = inner[1]  # a kink of the curvature; three make one of the slope
            inner[1:4] = inner[1] if rng.uniform() < 0.3 else inner[1:4]
        ends = rng.integers(1, clamped), rng.integers(1, 4)
        return Axis(np.concatenate([[low] * (ends[0] + 1), inner, [high] * ends[1]]))

    def leg() -> Axis:
        return axis(rng.uniform(0.4, 1.4), rng.uniform(0.6, 1.0) * cutoff, int(rng.integers(3, 7)), 3)

    pairs, triples = {}, {}
    every = list(combinations_with_replacement(species, 2))
    for pair in every:
        if rng.uniform() > missing:
            a = axis(rng.uniform(0.5, 1.8), rng.uniform(0.5, 1.0) * cutoff, 8)
            pairs[pair] = Spline2(a, rng.normal(size=a.size))
    for i in species:
        for j, k in every:
            if rng.uniform() < missing:
                continue
            x = leg()
            y = x if j == k else leg()
            z = axis(rng.uniform(0.4, 1.2), rng.uniform(0.7, 1.0) * (x.high + y.high), 8, 3)
            c = rng.normal(size=(x.size, y.size, z.size))
            triples[i, j, k] = Spline3((x, y, z), 0.5 * (c + c.swapaxes(0, 1)) if j == k else c)
    return UF({z: float(rng.normal()) for z in species}, pairs, triples)
