"""What every curve coefficient contributes to forces, stress, curvature and decoys of a crystal: all linear.

A curve is Σ_k c_k B_k(x) with cubic B-splines on a uniform grid of x = r / (R_a + R_b). The energy of a crystal is
linear in c, so its forces, stress and the energies of its decoys are rows of features times c.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lodewell.compiled import inner, kernel
from lodewell.crystals.batch import Batch, Floats, Ints, complete_cells
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions
from lodewell.crystals.neighbours.pairs import batch_pairs
from lodewell.derive.similar import radius_z
from lodewell.descriptors.histograms import _slots

STRAINS = np.array([-0.10, -0.07, -0.04, -0.02, 0.02, 0.04, 0.07, 0.10])  # isotropic, in length
PROJECTIONS = 5  # random combinations of all forces of a crystal
SWAPS = 2
RATTLES = (0.1, 0.2)  # Å
START, SPACING, COUNT = 0.20, 0.068, 34  # grid of scaled distances, from within the shortest bonds (N≡N, H-H)

ENDING = 3  # coefficients that stay zero, so that curves end with zero slope and curvature

# Rows of features: force projections, six stresses, trace of the Hessian, strains, swaps, rattles.
STRESS = PROJECTIONS
HESSIAN = STRESS + 6
BULK = HESSIAN + 1
STRAINED = BULK + 1
SWAPPED = STRAINED + len(STRAINS)
RATTLED = SWAPPED + SWAPS
ROWS = RATTLED + len(RATTLES)


@dataclass(frozen=True)
class Features:
    """Feature rows of some crystals.

    | field | shape | meaning |
    |---|---|---|
    | `value_srk` | (S, ROWS, COUNT) | derivative of each row of a crystal by each coefficient of a pair's curve |
    | `first_b` | (B + 1,) | slots (pairs of elements) of crystal b |
    | `pair_sz` | (S, 2) | atomic numbers |
    | `count_b` | (B,) | atoms |
    | `shaken_bj` | (B, J) | squared displacement in each rattle, Å^2 |
    """

    value_srk: NDArray[np.float32]
    first_b: Ints
    pair_sz: Ints
    count_b: Ints
    shaken_bj: Floats


def features(batch: Batch, cutoff: float, seed: int) -> Features:
    """Compute the feature rows of three-dimensional crystals; decoys are random with `seed`."""
    rng = np.random.default_rng(seed)
    _, pair_sz, first_b, type_n = _slots(batch.species_n, batch.first_b)
    length_s = radius_z()[pair_sz].sum(axis=1)
    compressed = 1.0 + STRAINS.min()
    reach = min(float(length_s.max()) * (START + SPACING * COUNT), cutoff) / compressed
    pairs = batch_pairs(
        batch.positions_nc, complete_cells(batch.cell_bcc, batch.pbc_bc), batch.pbc_bc, batch.first_b, reach, True, 0.0
    )
    count = len(batch.species_n)
    directions = rng.normal(size=(count, PROJECTIONS, 3))
    shaken = rng.normal(size=(len(RATTLES), count, 3)) * np.array(RATTLES)[:, None, None]
    swapped = _swapped(type_n, batch.first_b, rng)
    value = _features(
        batch.positions_nc, batch.cell_bcc, batch.first_b, type_n, swapped, first_b, length_s, pairs,
        directions, shaken, STRAINS, cutoff,
    )  # fmt: skip
    squared_bj = np.add.reduceat((shaken**2).sum(axis=2), batch.first_b[:-1], axis=1).T
    return Features(value, first_b, pair_sz, batch.count_b, squared_bj)


def _swapped(type_n: Ints, first_b: Ints, rng: np.random.Generator) -> Ints:
    """Return the types after exchanging two atoms of different elements in each crystal; (SWAPS, N)."""
    out = np.tile(type_n, (SWAPS, 1))
    for s, e in pairwise(first_b):
        if type_n[s:e].max(initial=0) == 0:
            continue
        for q in range(SWAPS):
            i = int(rng.integers(s, e))
            others = s + np.flatnonzero(type_n[s:e] != type_n[i])
            j = int(rng.choice(others))
            out[q, i], out[q, j] = type_n[j], type_n[i]
    return out


@inner(inline="always")
def _add(out, row, r, length, cutoff, sign):
    """Add the basis functions of one distance to an energy row, faded out towards the cutoff."""
    y = (r / length - START) / SPACING
    if y < 3.0 or y >= COUNT or r >= cutoff:
        return
    k = int(y)
    t = y - k
    u = 1.0 - t
    f = sign * _fade(r, cutoff)[0] / 6.0
    out[row, k - 3] += f * u * u * u
    out[row, k - 2] += f * (3.0 * t * t * t - 6.0 * t * t + 4.0)
    out[row, k - 1] += f * (-3.0 * t * t * t + 3.0 * t * t + 3.0 * t + 1.0)
    out[row, k] += f * t * t * t


@inner
def _fade(r, cutoff):
    """Return 1 - 10 s³ + 15 s⁴ - 6 s⁵ over the last Å before the cutoff, and its first two derivatives."""
    s = r - cutoff + 1.0
    if s <= 0.0:
        return 1.0, 0.0, 0.0
    return (
        1.0 - s * s * s * (10.0 - 15.0 * s + 6.0 * s * s),
        -30.0 * s * s * (1.0 - s) ** 2,
        -60.0 * s * (1.0 - s) * (1.0 - 2.0 * s),
    )


@inner
def _derivatives(r, length, cutoff):
    """Return the interval of a distance and the four basis functions there with two derivatives by r; (3, 4)."""
    y = (r / length - START) / SPACING
    k = int(y)
    t = y - k
    u = 1.0 - t
    per = 1.0 / (length * SPACING)
    f, df, ddf = _fade(r, cutoff)
    value = (u * u * u / 6, (3 * t**3 - 6 * t * t + 4) / 6, (-3 * t**3 + 3 * t * t + 3 * t + 1) / 6, t**3 / 6)
    slope = (-u * u / 2, (3 * t * t - 4 * t) / 2, (-3 * t * t + 2 * t + 1) / 2, t * t / 2)
    bend = (u, 3 * t - 2, 1 - 3 * t, t)
    out = np.empty((3, 4))
    for q in range(4):
        b, db, ddb = value[q], slope[q] * per, bend[q] * per * per
        out[0, q], out[1, q], out[2, q] = b * f, db * f + b * df, ddb * f + 2 * db * df + b * ddf
    return k, out


@inner
def _slot(first, many, t, u):
    """Return the slot of two types of a crystal with `many` types whose slots begin at `first`."""
    a, b = min(t, u), max(t, u)
    return first + a * many - a * (a - 1) // 2 + b - a


@kernel
def _features(
    positions, cells, first_b, types, swapped, first_s, length_s, pairs, directions, shaken, strains, cutoff
):  # fmt: skip
    """Walk all pairs once and fill every row."""
    j_p, image_p, first, last, wraps, reach, _ = pairs
    out = np.zeros((first_s[-1], ROWS, COUNT), np.float32)
    shift = np.empty((most_images(reach), 3))
    end = START + SPACING * COUNT
    d, moved = np.empty(3), np.empty(3)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        x = np.empty((e - s, 3))
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], x)
        shift_vectors(cells[b], reach[b], shift)
        many = types[s:e].max() + 1
        for i in range(e - s):
            for p in range(first[s + i], last[s + i]):
                j = j_p[p]
                for c in range(3):
                    d[c] = x[j, c] + shift[image_p[p], c] - x[i, c]
                r = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
                slot = _slot(first_s[b], many, types[s + i], types[s + j])
                own, length = out[slot], length_s[slot]
                for q in range(len(strains)):
                    _add(own, STRAINED + q, r * (1.0 + strains[q]), length, cutoff, 1.0)
                    _add(own, STRAINED + q, r, length, cutoff, -1.0)
                for q in range(len(swapped)):
                    if swapped[q, s + i] != types[s + i] or swapped[q, s + j] != types[s + j]:
                        other = _slot(first_s[b], many, swapped[q, s + i], swapped[q, s + j])
                        _add(out[other], SWAPPED + q, r, length_s[other], cutoff, 1.0)
                        _add(own, SWAPPED + q, r, length, cutoff, -1.0)
                if i != j:
                    for q in range(len(shaken)):
                        for c in range(3):
                            moved[c] = d[c] + shaken[q, s + j, c] - shaken[q, s + i, c]
                        rattled = np.sqrt(moved[0] ** 2 + moved[1] ** 2 + moved[2] ** 2)
                        _add(own, RATTLED + q, rattled, length, cutoff, 1.0)
                        _add(own, RATTLED + q, r, length, cutoff, -1.0)
                if r < cutoff and START + 3 * SPACING <= r / length < end:
                    _fill(own, r, d, length, cutoff, i != j, directions[s + i], directions[s + j])
    return out


@inner
def _fill(own, r, d, length, cutoff, apart, toward_i, toward_j):
    """Add one pair to the rows of derivatives: projected forces, stress, trace of the Hessian, bulk curvature."""
    k, basis = _derivatives(r, length, cutoff)
    for q in range(4):
        col = k - 3 + q
        slope, bend = basis[1, q] / r, basis[2, q]
        own[STRESS, col] += slope * d[0] * d[0]
        own[STRESS + 1, col] += slope * d[1] * d[1]
        own[STRESS + 2, col] += slope * d[2] * d[2]
        own[STRESS + 3, col] += slope * d[0] * d[1]
        own[STRESS + 4, col] += slope * d[0] * d[2]
        own[STRESS + 5, col] += slope * d[1] * d[2]
        own[BULK, col] += r * r * bend
        if apart:
            own[HESSIAN, col] += 2.0 * (bend + 2.0 * slope)
            for m in range(PROJECTIONS):
                along = 0.0
                for c in range(3):
                    along += (toward_i[m, c] - toward_j[m, c]) * d[c]
                own[m, col] += slope * along
