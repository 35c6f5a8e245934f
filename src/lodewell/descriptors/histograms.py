"""Pair-distance histograms of whole batches: the one pass over a database that everything else is derived from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lodewell.compiled import inner, kernel
from lodewell.crystals.batch import Batch, Floats, Ints, complete_cells
from lodewell.crystals.neighbours.images import image_range, invert, lower_triangle, short_axis_first
from lodewell.crystals.neighbours.neighbours import shift_vectors, wrapped_positions
from lodewell.crystals.neighbours.pairs import crystal_pairs, wrap

# Above this many atoms a cell list beats walking every pair of atoms.
_CELL_LIST_FROM = 400
_BUCKETS = 4.0  # of lattice vectors per Å of length


@dataclass(frozen=True)
class Histograms:
    """How often each distance occurs between the elements of each crystal.

    One row (``_s``, a slot) for each crystal and unordered pair of its elements, crystals in order:

    | field | shape | meaning |
    |---|---|---|
    | `crystal_s` | (S,) | crystal of the batch |
    | `pair_sz` | (S, 2) | atomic numbers, smaller first |
    | `count_sh` | (S, H) | unordered pairs of atoms in each bin, images included |
    | `contact_sh` | (S, H) | nearest contacts: for each atom of one element, its nearest of the other |
    | `density_s` | (S,) | pairs per Å^3 of shell in an ideal gas of the same crystal |
    """

    crystal_s: Ints
    pair_sz: Ints
    count_sh: NDArray[np.float32]
    contact_sh: NDArray[np.float32]
    density_s: Floats

    def g_sh(self, cutoff: float) -> Floats:
        """Return the pair correlation of each row: counts over the ideal gas in exact shell volumes; shape (S, H)."""
        return self.count_sh / (self.density_s[:, None] * shell_volumes(self.count_sh.shape[1], cutoff))


def shell_volumes(bins: int, cutoff: float) -> Floats:
    """Return the exact volume of each spherical shell, 4π/3 (r2³ - r1³), in Å^3; shape (H,)."""
    edges = np.linspace(0.0, cutoff, bins + 1)
    return np.asarray(4.0 / 3.0 * np.pi * np.diff(edges**3))


def pair_histograms(batch: Batch, cutoff: float, bins: int) -> Histograms:
    """Count every pair of a batch of three-dimensional crystals by elements and distance up to `cutoff` (Å)."""
    crystal_s, pair_sz, first_sb, type_n = _slots(batch.species_n, batch.first_b)
    count_sh, contact_sh = _count(
        batch.positions_nc, complete_cells(batch.cell_bcc, batch.pbc_bc), batch.pbc_bc, batch.first_b,
        type_n, first_sb, len(crystal_s), cutoff, bins,
    )  # fmt: skip
    many_s = _multiplicity(batch.species_n, batch.first_b, crystal_s, pair_sz)
    same = pair_sz[:, 0] == pair_sz[:, 1]
    unordered = many_s[:, 0] * many_s[:, 1] * np.where(same, 0.5, 1.0)
    return Histograms(crystal_s, pair_sz, count_sh, contact_sh, unordered / batch.volume_b[crystal_s])


@kernel
def _slots(species, first_b):
    """Return crystal and elements of every slot, the first slot of each crystal, and each atom's type in it."""
    crystal, low, high = [0], [0], [0]
    first_s = np.zeros(len(first_b), np.int64)
    types = np.empty(len(species), np.int64)
    for b in range(len(first_b) - 1):
        here = np.unique(species[first_b[b] : first_b[b + 1]])
        for n in range(first_b[b], first_b[b + 1]):
            types[n] = np.searchsorted(here, species[n])
        for t in range(len(here)):
            for u in range(t, len(here)):
                crystal.append(b)
                low.append(here[t])
                high.append(here[u])
        first_s[b + 1] = len(crystal) - 1
    pair = np.empty((len(crystal) - 1, 2), np.int64)
    for s in range(len(pair)):
        pair[s, 0], pair[s, 1] = low[s + 1], high[s + 1]
    return np.array(crystal[1:], np.int64), pair, first_s, types


@kernel
def _multiplicity(species, first_b, crystal_s, pair_sz):
    """Return how many atoms of each of its two elements the crystal of a slot holds, shape (S, 2)."""
    out = np.zeros((len(crystal_s), 2), np.int64)
    for s in range(len(crystal_s)):
        b = crystal_s[s]
        for n in range(first_b[b], first_b[b + 1]):
            out[s, 0] += species[n] == pair_sz[s, 0]
            out[s, 1] += species[n] == pair_sz[s, 1]
    return out


@inner
def _slot_table(count):
    """Return the slot, counted within its crystal, of two types of `count`; (T, T)."""
    table = np.empty((count, count), np.int64)
    s = 0
    for t in range(count):
        for u in range(t, count):
            table[t, u] = table[u, t] = s
            s += 1
    return table


@kernel
def _count(positions, cells, pbc, first_b, type_n, first_sb, slots, cutoff, bins):
    """Fill the histograms of pairs and of nearest contacts, crystal by crystal."""
    count_sh = np.zeros((slots, bins), np.float32)
    contact_sh = np.zeros((slots, bins), np.float32)
    per_bin = bins / cutoff
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        types = type_n[s:e]
        many = types.max() + 1 if e > s else 0
        table = _slot_table(many)
        bins_here = np.full((e - s, many), bins)  # bin of the nearest atom of each type
        counts = count_sh[first_sb[b] : first_sb[b + 1]]
        if e - s < _CELL_LIST_FROM:
            _count_small(positions[s:e], cells[b], pbc[b], types, table, cutoff, per_bin, counts, bins_here)
        else:
            _count_large(positions[s:e], cells[b], pbc[b], types, table, cutoff, per_bin, counts, bins_here)
        for n in range(e - s):
            for t in range(many):
                if bins_here[n, t] < bins:
                    contact_sh[first_sb[b] + table[types[n], t], bins_here[n, t]] += 1
    return count_sh, contact_sh


@inner
def _lattice_vectors(cell, pbc, radius):
    """Return all lattice translations no longer than `radius`, roughly shortest first.

    Vectors (3, R) lie in buckets of length: those shorter than l end at `start[int(l * _BUCKETS) + 1]`.
    """
    axes = short_axis_first(cell)
    L = lower_triangle(cell, axes)
    found = np.empty((64, 4))
    used = 0
    low2, high2 = image_range(0.0, radius / L[2, 2], pbc[axes[2]])
    for n2 in range(low2, high2 + 1):
        left2 = radius**2 - (n2 * L[2, 2]) ** 2
        low1, high1 = image_range(n2 * L[2, 1] / L[1, 1], np.sqrt(max(left2, 0.0)) / L[1, 1], pbc[axes[1]])
        for n1 in range(low1, high1 + 1):
            left1 = left2 - (n1 * L[1, 1] + n2 * L[2, 1]) ** 2
            shift0 = (n1 * L[1, 0] + n2 * L[2, 0]) / L[0, 0]
            low0, high0 = image_range(shift0, np.sqrt(max(left1, 0.0)) / L[0, 0], pbc[axes[0]])
            if used + high0 - low0 + 1 > len(found):
                larger = np.empty((2 * len(found) + high0 - low0 + 1, 4))
                larger[:used] = found[:used]
                found = larger
            for n0 in range(low0, high0 + 1):
                square = 0.0
                for c in range(3):
                    v = n0 * cell[axes[0], c] + n1 * cell[axes[1], c] + n2 * cell[axes[2], c]
                    found[used, c] = v
                    square += v * v
                found[used, 3] = np.sqrt(square)
                used += 1
    start = np.zeros(int(radius * _BUCKETS) + 3, np.int64)
    for k in range(used):
        start[int(found[k, 3] * _BUCKETS) + 1] += 1
    for k in range(len(start) - 1):
        start[k + 1] += start[k]
    cursor, vectors = start.copy(), np.empty((3, used))
    for k in range(used):
        bucket = int(found[k, 3] * _BUCKETS)
        vectors[:, cursor[bucket]] = found[k, :3]
        cursor[bucket] += 1
    return start, vectors


@inner(fastmath=True)
def _bins_of(d, vectors, many, per_bin, bin_r):
    """Write the bin of |d + R| for the first `many` lattice vectors. No branch: it vectorises."""
    dx, dy, dz = d[0], d[1], d[2]
    vx, vy, vz = vectors[0], vectors[1], vectors[2]
    for k in range(many):
        x, y, z = dx + vx[k], dy + vy[k], dz + vz[k]
        bin_r[k] = np.int32(np.sqrt(x * x + y * y + z * z) * per_bin)


@inner
def _count_small(positions, cell, pbc, types, table, cutoff, per_bin, counts, nearest):
    """Walk every pair of atoms and, for each, the lattice vectors that can bring it inside the sphere."""
    offsets, furthest = _nearest_offsets(positions, cell, pbc)
    start, vectors = _lattice_vectors(cell, pbc, cutoff + furthest)
    bin_r = np.empty(vectors.shape[1], np.int32)
    bins = counts.shape[1]

    # An atom and its own images: the same for every atom, each pair seen from both ends.
    own = np.zeros(bins, np.float32)
    many = start[int(cutoff * _BUCKETS) + 1]
    _bins_of(np.zeros(3), vectors, many, per_bin, bin_r)
    closest_own = bins
    for k in range(many):
        if 0 < bin_r[k] < bins:  # bin 0 is the atom itself
            own[bin_r[k]] += 0.5
            closest_own = min(closest_own, bin_r[k])
    p = 0
    for i in range(len(positions)):
        counts[table[types[i], types[i]]] += own
        nearest[i, types[i]] = min(nearest[i, types[i]], closest_own)
        for j in range(i + 1, len(positions)):
            many = start[int((cutoff + offsets[p, 3]) * _BUCKETS) + 1]
            _bins_of(offsets[p], vectors, many, per_bin, bin_r)
            row = counts[table[types[i], types[j]]]
            closest = bins
            for k in range(many):
                if bin_r[k] < bins:
                    row[bin_r[k]] += 1.0
                    closest = min(closest, bin_r[k])
            nearest[i, types[j]] = min(nearest[i, types[j]], closest)
            nearest[j, types[i]] = min(nearest[j, types[i]], closest)
            p += 1


@inner
def _nearest_offsets(positions, cell, pbc):
    """Return x_j - x_i of every pair of atoms brought near zero, with its length (P, 4), and the largest length."""
    inverse = invert(cell)
    fractional = np.empty_like(positions)
    wrap(positions, inverse, pbc, fractional, np.empty(positions.shape, np.int32))
    count = len(positions)
    offsets = np.zeros((count * (count - 1) // 2, 4))
    furthest = 0.0
    p = 0
    for i in range(count):
        for j in range(i + 1, count):
            for k in range(3):
                f = fractional[j, k] - fractional[i, k]
                if pbc[k]:
                    f -= np.floor(f + 0.5)
                for c in range(3):
                    offsets[p, c] += f * cell[k, c]
            offsets[p, 3] = np.sqrt(offsets[p, 0] ** 2 + offsets[p, 1] ** 2 + offsets[p, 2] ** 2)
            furthest = max(furthest, offsets[p, 3])
            p += 1
    return offsets, furthest


@inner
def _count_large(positions, cell, pbc, types, table, cutoff, per_bin, counts, nearest):
    """Count the pairs of a large cell through its cell list."""
    count = len(positions)
    first, last, reach = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(3, np.int64)
    wraps = np.empty((count, 3), np.int32)
    j_p, image_p, _ = crystal_pairs(
        positions, cell, pbc, cutoff, True, False, True, 0, np.empty(256, np.int32), np.empty(256, np.int32),
        first, last, wraps, reach,
    )  # fmt: skip
    shift = np.empty(((2 * reach[0] + 1) * (2 * reach[1] + 1) * (2 * reach[2] + 1), 3))
    shift_vectors(cell, reach, shift)
    x = np.empty_like(positions)
    wrapped_positions(positions, cell, wraps, x)
    top = counts.shape[1] - 1
    for i in range(count):
        for p in range(first[i], last[i]):
            j = j_p[p]
            r2 = 0.0
            for c in range(3):
                r2 += (x[j, c] + shift[image_p[p], c] - x[i, c]) ** 2
            h = min(int(np.sqrt(r2) * per_bin), top)
            counts[table[types[i], types[j]], h] += 1.0
            nearest[i, types[j]] = min(nearest[i, types[j]], h)
            nearest[j, types[i]] = min(nearest[j, types[i]], h)
