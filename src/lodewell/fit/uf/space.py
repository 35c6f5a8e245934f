"""Where the splines of a UF fit have their knots, and what keeps their coefficients smooth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_matrix, vstack

from lodewell.crystals.batch import Floats, Ints
from lodewell.errors import BadFile
from lodewell.fit.distances import Distances
from lodewell.fit.uf.options import UFOptions
from lodewell.potentials.bspline import Axis, vanishing
from lodewell.potentials.uf.basis import UFBasis
from lodewell.potentials.uf.embedding import Embedding
from lodewell.potentials.uf.splines import Pair, Triple, name

_WALL = 0.5  # curves begin at this share of the shortest distance in the data
_WALL_INTERVALS = 4
_EMBEDDING = 0.3  # of differences of the embedding's coefficients, which are larger in nature
_NEIGHBOURS, _NEIGHBOURS_3BODY = 60, 18


def lay_out(
    distances: Distances,
    species: Sequence[int],
    options: UFOptions,
    embeddings: Mapping[int, Embedding] | None = None,
) -> UFBasis:
    """Place the knots of every pair and triple of the data.

    Raises:
        BadFile: when no two atoms are close enough to interact.
    """
    cutoff = options.cutoff or (max(options.knots) if options.knots else distances.radius_of(_NEIGHBOURS))
    triple_cutoff = options.cutoff_3body or (max(options.knots_3body) if options.knots_3body else 0.0)
    triple_cutoff = triple_cutoff or min(distances.radius_of(_NEIGHBOURS_3BODY), cutoff)
    shortest = {pair: r for pair, r in distances.shortest.items() if r < cutoff}
    if not shortest:
        raise BadFile(f"no two atoms of the training data are closer than the cutoff, {cutoff} Å: raise --cutoff")
    pairs: dict[Pair, Axis] = {}
    for a in species:
        for b in species:
            if a <= b:
                # A pair that is never seen gets a curve too: its wall is all it has.
                r_min = shortest.get((a, b), 0.9 * min(shortest.values()))
                pairs[a, b] = _pair_axis(r_min, cutoff, options)
    triples: dict[Triple, tuple[Axis, Axis, Axis]] = {}
    if options.three_body:
        for i in species:
            for (j, k), _ in pairs.items():
                legs = [shortest.get((min(i, z), max(i, z)), np.inf) for z in (j, k)]
                if max(legs) < triple_cutoff:
                    x, y = (_leg_axis(r, triple_cutoff, options) for r in legs)
                    triples[i, j, k] = x, y, _side_axis(x, y, options)
    return UFBasis(tuple(species), pairs, triples, embeddings)


def _pair_axis(r_min: float, cutoff: float, options: UFOptions) -> Axis:
    low = _WALL * r_min
    wall = np.append(np.full(3, low), np.linspace(low, r_min, _WALL_INTERVALS + 1)[:-1])
    if options.knots:
        inside = [r for r in options.knots if r > r_min]
        return Axis(np.concatenate([wall, [r_min], inside]))
    return Axis(np.append(wall, np.linspace(r_min, cutoff, options.intervals + 1)))


def _leg_axis(r_min: float, cutoff: float, options: UFOptions) -> Axis:
    if options.knots_3body:
        return Axis(np.array(options.knots_3body))
    # Functions that vanish smoothly at both ends: three intervals lie where there are no data.
    step = (cutoff - r_min) / options.intervals_3body
    return vanishing(max(r_min - 3.0 * step, 0.0), cutoff, options.intervals_3body + 3)


def _side_axis(x: Axis, y: Axis, options: UFOptions) -> Axis:
    low, high = min(x.low, y.low), x.high + y.high
    return vanishing(low, high, 2 * (len(x.edge_i) + len(y.edge_i)) // 2 - 3)


def roughness(basis: UFBasis) -> Floats:
    """Return K (P, P): cᵀ K c is the sum of squares of all second differences of neighbouring coefficients.

    Beyond the end of a spline its coefficients are zeros, which makes it die out smoothly. Differences are divided by
    the distances of the knots, in units of the mean interval.
    """
    rows: list[csr_matrix] = []
    for pair, columns in basis.columns_of.items():
        place = np.arange(columns.start, columns.stop)
        rows.append(_along(second_differences(basis.pairs[pair]), place[:, None], basis.columns))
    for block in basis.blocks.values():
        for a, axis in enumerate(block.axes):
            if a == 1 and np.array_equal(axis.knots_k, block.axes[0].knots_k):
                continue  # the same rows again
            lines = np.moveaxis(block.place_xyz, a, 0).reshape(axis.size, -1)
            rows.append(_along(second_differences(axis), lines, basis.columns))
    for z, s in basis.embedding_columns.items():
        at = s.start
        embedding = basis.embeddings[z]
        for (a, b), (x, y) in zip(embedding.pairs, embedding.shapes, strict=True):
            place = np.arange(at, at + x * y).reshape(x, y)
            for k, lines in ((a, place), (b, place.T)):
                differences = second_differences(embedding.densities[k].values)
                rows.append(_EMBEDDING * _along(differences, lines, basis.columns))
            at += x * y
    whole = vstack(rows)
    return np.asarray((whole.T @ whole).todense())


def second_differences(axis: Axis) -> Floats:
    """Return the divided second differences of an axis's coefficients, (M, size); 1, -2, 1 for uniform knots."""
    knots, size = axis.knots_k, axis.size
    mean = (axis.high - axis.low) / (len(axis.edge_i) - 1)
    # Where the spline vanishes at its end, the knots go on and the coefficients are zeros.
    vanishes = knots[-1] > knots[-2]
    knots = np.append(knots, axis.high + (knots[-1] - knots[-2]) * np.arange(1, 3))
    last = size if vanishes else size - 1
    slope = np.zeros((last + 1, size))  # of coefficients m - 1 and m, per unit of the distance of their functions
    for m in range(1, last + 1):
        per = 3.0 * mean / (knots[m + 3] - knots[m])
        slope[m, m - 1] = -per
        if m < size:
            slope[m, m] = per
    rows = [2.0 * mean / (knots[m + 3] - knots[m + 1]) * (slope[m + 1] - slope[m]) for m in range(1, last)]
    return np.array(rows)


def _along(differences_ms: Floats, place_sl: Ints, columns: int) -> csr_matrix:
    """Apply differences to each of some lines of coefficients, given by their columns (size, L), -1 for none."""
    m, s = np.nonzero(differences_ms)
    line = np.broadcast_to(np.arange(place_sl.shape[1]), (len(m), place_sl.shape[1]))
    column = place_sl[s]
    value = np.broadcast_to(differences_ms[m, s][:, None], column.shape)
    kept = column >= 0
    row = m[:, None] * place_sl.shape[1] + line
    shape = (len(differences_ms) * place_sl.shape[1], columns)
    return csr_matrix((value[kept], (row[kept], column[kept])), shape)


def undetermined(basis: UFBasis, seen_p: Floats) -> list[str]:
    """Name the stretches of curves, and the three-body functions, that no data speak of."""
    out = []
    for pair, columns in basis.columns_of.items():
        axis = basis.pairs[pair]
        silent = seen_p[columns] == 0.0
        beyond = silent & (axis.knots_k[:-4] >= axis.edge_i[_WALL_INTERVALS] - 1e-9)
        if silent.all():
            out.append(f"{name(pair)} two-body has no data at all")
        elif beyond.any():
            first = int(np.flatnonzero(beyond)[0])
            out.append(f"{name(pair)} two-body has no data around {axis.knots_k[first + 2]:.1f} Å")
    for triple, block in basis.blocks.items():
        silent = seen_p[block.first : block.first + block.count] == 0.0
        if silent.all():
            out.append(f"{name(triple)} three-body has no data at all")
            continue
        x = block.axes[0]
        here = np.array(
            [(block.place_xyz[m] >= 0).any() and _silent(seen_p, block.place_xyz[m]) for m in range(x.size)]
        )
        far = np.flatnonzero(here[::-1].cumprod()[::-1])
        if len(far):
            out.append(f"{name(triple)} three-body has no data beyond {x.knots_k[far[0]]:.1f} Å")
    return out


def _silent(seen_p: Floats, place: Ints) -> bool:
    known = place[place >= 0]
    return bool((seen_p[known] == 0.0).all())
