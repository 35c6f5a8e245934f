"""Neighbour pairs of large cells through a cell list: atoms sorted into bins finer than the cutoff."""

import math

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.crystals.neighbours._grow import grown
from lodewell.crystals.neighbours.images import invert

# A row of bins costs about as much as the atoms in so many Å of its width.
ROW_COST = 6.0


@inner
def cheapest_bins(length, cutoff):
    """Return into how many bins to cut a length so that the fewest atoms are looked at, in the fewest rows of bins."""
    best, cheapest = 1, 1e300
    whole = int(length / cutoff)
    # Once there are many, bins as wide as the cutoff are best: only short lengths are worth a search.
    for bins in range(1 if whole < 8 else whole, min(2 * whole, 16) + 2 if whole < 8 else whole + 1):
        width = length / bins
        cost = (2.0 * math.ceil(cutoff / width) + 1.0) * (width + ROW_COST)
        if cost < cheapest:
            best, cheapest = bins, cost
    return min(best, 1 << 20)


@inner
def bin_grid(fractional, cell, pbc, cutoff):
    """Return origin, span, bin counts and reach in bins along each lattice vector for a cell list."""
    inverse = invert(cell)
    origin, span = np.zeros(3), np.ones(3)
    bins, reach = np.ones(3, np.int64), np.ones(3, np.int64)
    height = np.empty(3)
    for k in range(3):
        height[k] = 1.0 / math.sqrt(inverse[0, k] ** 2 + inverse[1, k] ** 2 + inverse[2, k] ** 2)
        if not pbc[k]:
            low = high = fractional[0, k]
            for n in range(len(fractional)):
                low, high = min(low, fractional[n, k]), max(high, fractional[n, k])
            origin[k], span[k] = low, max(high - low, 1e-9) * (1.0 + 1e-12)
        bins[k] = min(1 << 20, max(1, int(6.0 * span[k] * height[k] / cutoff)))
        if k < 2:
            bins[k] = cheapest_bins(span[k] * height[k], cutoff)
    while bins[0] * bins[1] * bins[2] > 8 * len(fractional) + 64:
        most = 0
        for k in range(1, 3):
            if bins[k] > bins[most]:
                most = k
        bins[most] = (bins[most] + 1) // 2
    for k in range(3):
        wide = cutoff * bins[k] / (span[k] * height[k])
        # A flat sheet spans nothing along its normal: there are no bins beyond the last.
        reach[k] = math.ceil(wide) if pbc[k] else math.ceil(min(wide, bins[k] - 1.0))
    return origin, span, bins, reach, height


@inner
def sort_into_bins(fractional, origin, span, bins):
    """Return the bin triple of each atom, the start of each bin, and the atoms sorted by bin (a counting sort)."""
    count = len(fractional)
    bin_nk = np.empty((count, 3), np.int64)
    flat_n = np.empty(count, np.int64)
    start = np.zeros(bins[0] * bins[1] * bins[2] + 1, np.int64)
    for n in range(count):
        for k in range(3):
            bin_nk[n, k] = min(bins[k] - 1, max(0, int((fractional[n, k] - origin[k]) / span[k] * bins[k])))
        flat_n[n] = (bin_nk[n, 0] * bins[1] + bin_nk[n, 1]) * bins[2] + bin_nk[n, 2]
        start[flat_n[n] + 1] += 1
    for b in range(len(start) - 1):
        start[b + 1] += start[b]
    cursor = start[:-1].copy()
    order = np.empty(count, np.int32)
    for n in range(count):
        order[cursor[flat_n[n]]] = n
        cursor[flat_n[n]] += 1
    return bin_nk, start, order


@inner
def around(bins, reach):
    """Return, for bins from -reach to bins + reach, which bin each is an image of, and how many cells away."""
    index, whole = np.empty(bins + 2 * reach, np.int64), np.empty(bins + 2 * reach, np.int64)
    for k in range(bins + 2 * reach):
        whole[k] = (k - reach) // bins
        index[k] = k - reach - whole[k] * bins
    return index, whole


@inner(fastmath={"contract"})
def near(begin, end, x, y, z, square, xyz, order, cursor, j_p):
    """Write which of the sorted atoms begin:end are no farther than the cutoff from `cursor` on; return the end."""
    last = np.uint64(cursor)
    for s in range(np.uint64(begin), np.uint64(end)):
        at = np.uint64(3) * s
        dx, dy, dz = xyz[at] - x, xyz[at + np.uint64(1)] - y, xyz[at + np.uint64(2)] - z
        # Written always, kept only when inside: no branch to mispredict.
        j_p[last] = order[s]
        last += np.uint64(dx * dx + dy * dy + dz * dz <= square)
    return np.int64(last)


@kernel
def large_cell_pairs(fractional, cell, pbc, image_reach_k, cutoff, half, fixed, start_p, j_p, image_p, first, last):
    """Append every pair of a large cell from `start_p` on; returns what `small_cell_pairs` does."""
    count = len(fractional)
    origin, span, bins, reach, height = bin_grid(fractional, cell, pbc, cutoff)
    bin_nk, start, order = sort_into_bins(fractional, origin, span, bins)
    place = np.empty(count, np.int64)
    sorted_xyz = np.empty(3 * count)
    for s in range(count):
        n = order[s]
        place[n] = s
        for c in range(3):
            sorted_xyz[3 * s + c] = (
                fractional[n, 0] * cell[0, c] + fractional[n, 1] * cell[1, c] + fractional[n, 2] * cell[2, c]
            )
    index0, all_whole0 = around(bins[0], reach[0])
    index1, all_whole1 = around(bins[1], reach[1])
    index2, all_whole2 = around(bins[2], reach[2])
    stride1 = 2 * image_reach_k[2] + 1
    stride0 = (2 * image_reach_k[1] + 1) * stride1
    home = image_reach_k[0] * stride0 + image_reach_k[1] * stride1 + image_reach_k[2]
    square = cutoff * cutoff
    orthogonal = is_orthogonal(cell)
    width0, width1 = span[0] * height[0] / bins[0], span[1] * height[1] / bins[1]
    per_height2 = bins[2] / (span[2] * height[2])
    cursor = start_p
    for i in range(count):
        first[i] = cursor
        at = place[i]
        for o0 in range(0 if half else -reach[0], reach[0] + 1):
            k0 = bin_nk[i, 0] + o0 + reach[0]
            whole0 = all_whole0[k0]
            if whole0 != 0 and not pbc[0]:
                continue
            for o1 in range(0 if (half and o0 == 0) else -reach[1], reach[1] + 1):
                k1 = bin_nk[i, 1] + o1 + reach[1]
                whole1 = all_whole1[k1]
                if whole1 != 0 and not pbc[1]:
                    continue
                reach2 = reach[2]
                if orthogonal:
                    gap = square - (max(0, abs(o0) - 1) * width0) ** 2 - (max(0, abs(o1) - 1) * width1) ** 2
                    if gap < 0.0:
                        continue
                    reach2 = min(reach2, math.ceil(min(math.sqrt(gap) * per_height2, 1e9)))
                own_row = o0 == 0 and o1 == 0
                low = bin_nk[i, 2] + reach[2] - (0 if (own_row and half) else reach2)
                high = bin_nk[i, 2] + reach[2] + reach2
                row = (index0[k0] * bins[1] + index1[k1]) * bins[2]
                for whole2 in range(all_whole2[low], all_whole2[high] + 1):
                    if whole2 != 0 and not pbc[2]:
                        continue
                    begin = start[row + (index2[low] if whole2 == all_whole2[low] else 0)]
                    end = start[row + (index2[high] if whole2 == all_whole2[high] else bins[2] - 1) + 1]
                    x = sorted_xyz[3 * at] - whole0 * cell[0, 0] - whole1 * cell[1, 0] - whole2 * cell[2, 0]
                    y = sorted_xyz[3 * at + 1] - whole0 * cell[0, 1] - whole1 * cell[1, 1] - whole2 * cell[2, 1]
                    z = sorted_xyz[3 * at + 2] - whole0 * cell[0, 2] - whole1 * cell[1, 2] - whole2 * cell[2, 2]
                    # One more than the candidates: the last is written even when it is not kept.
                    if cursor + end - begin >= len(j_p):
                        if fixed:
                            return j_p, image_p, -1
                        image_p = grown(image_p, cursor, cursor + end - begin + 1)
                        j_p = grown(j_p, cursor, cursor + end - begin + 1)
                    middle = cursor
                    if own_row and whole2 == 0:  # not the atom itself, nor in a half list those before it
                        if not half:
                            middle = near(begin, at, x, y, z, square, sorted_xyz, order, middle, j_p)
                        middle = near(at + 1, end, x, y, z, square, sorted_xyz, order, middle, j_p)
                    else:
                        middle = near(begin, end, x, y, z, square, sorted_xyz, order, middle, j_p)
                    code = home + whole0 * stride0 + whole1 * stride1 + whole2
                    for p in range(np.uint64(cursor), np.uint64(middle)):
                        image_p[p] = code
                    cursor = middle
        last[i] = cursor
    return j_p, image_p, cursor


@inner
def is_orthogonal(cell):
    """Tell whether the lattice vectors are at right angles, so that gaps along them add in quadrature."""
    for k in range(3):
        for m in range(k):
            dot = norm = other = 0.0
            for c in range(3):
                dot += cell[k, c] * cell[m, c]
                norm += cell[k, c] ** 2
                other += cell[m, c] ** 2
            if dot * dot > 1e-20 * norm * other:
                return False
    return True
