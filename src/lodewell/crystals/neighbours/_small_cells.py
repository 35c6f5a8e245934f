"""Neighbour pairs of small cells: lay out the images around the cell once, then measure every atom against them."""

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.crystals.neighbours._grow import grown

_SLABS = 6  # a cutoff; thinner slabs waste fewer candidates at their ends, but cost more to sort


@inner
def surroundings(x, cell, reach, cutoff, half):
    """Return the images of all atoms that an atom of the cell may see: positions (3, G), atom and image code (2, G).

    With `half` only the cell itself and images of higher code: the others see their pairs from the opposite side.
    """
    count = len(x)
    low, high = np.empty(3), np.empty(3)  # written in loops: array expressions take long to compile
    cutoff *= 1.0 + 1e-10  # rounding may not lose a pair: only the distance itself decides, later
    for c in range(3):
        low[c], high[c] = x[0, c], x[0, c]
        for n in range(count):
            low[c], high[c] = min(low[c], x[n, c]), max(high[c], x[n, c])
        low[c] -= cutoff
        high[c] += cutoff
    home = (reach[0] * (2 * reach[1] + 1) + reach[1]) * (2 * reach[2] + 1) + reach[2]
    room = 64 + 8 * count
    place, label = np.empty((3, room)), np.empty((2, room), np.int32)
    used, code = 0 * count, -1  # not a literal 0: that would compile `_wider` twice
    for n0 in range(-reach[0], reach[0] + 1):
        for n1 in range(-reach[1], reach[1] + 1):
            for n2 in range(-reach[2], reach[2] + 1):
                code += 1
                if half and code < home:
                    continue
                tx = n0 * cell[0, 0] + n1 * cell[1, 0] + n2 * cell[2, 0]
                ty = n0 * cell[0, 1] + n1 * cell[1, 1] + n2 * cell[2, 1]
                tz = n0 * cell[0, 2] + n1 * cell[1, 2] + n2 * cell[2, 2]
                # The box around the cell's atoms is [low + cutoff, high - cutoff]: does its image touch [low, high]?
                if (
                    abs(tx) > high[0] - low[0] - cutoff
                    or abs(ty) > high[1] - low[1] - cutoff
                    or abs(tz) > high[2] - low[2] - cutoff
                ):
                    continue
                if used + count > room:
                    room = 2 * room + count
                    place, label = _wider(place, used, room), _wider(label, used, room)
                for j in range(count):
                    px, py, pz = x[j, 0] + tx, x[j, 1] + ty, x[j, 2] + tz
                    place[0, used], place[1, used], place[2, used] = px, py, pz
                    label[0, used], label[1, used] = j, code
                    used += int(
                        (px >= low[0]) & (px <= high[0]) & (py >= low[1])
                        & (py <= high[1]) & (pz >= low[2]) & (pz <= high[2])
                    )  # fmt: skip
    return place[:, :used], label[:, :used], low, high


@inner
def in_slabs(place, label, low, high, cutoff):
    """Sort images into slabs across the longest axis (a counting sort): an atom then meets only a stretch of them.

    Returns them sorted, the axis, slabs per Å, and where each slab starts.
    """
    axis = 0
    for c in range(1, 3):
        if high[c] - low[c] > high[axis] - low[axis]:
            axis = c
    per_angstrom = _SLABS / cutoff
    images = place.shape[1]
    start = np.zeros(int((high[axis] - low[axis]) * per_angstrom) + 3, np.int64)
    slab = np.empty(images, np.int32)
    for g in range(images):
        slab[g] = np.int32((place[axis, g] - low[axis]) * per_angstrom)
        start[slab[g] + 1] += 1
    for k in range(len(start) - 1):
        start[k + 1] += start[k]
    sorted_place, sorted_label = np.empty_like(place), np.empty_like(label)
    cursor = start.copy()
    for g in range(images):
        at = np.uint64(cursor[slab[g]])
        cursor[slab[g]] += 1
        sorted_place[0, at], sorted_place[1, at], sorted_place[2, at] = place[0, g], place[1, g], place[2, g]
        sorted_label[0, at], sorted_label[1, at] = label[0, g], label[1, g]
    return sorted_place, sorted_label, axis, per_angstrom, start


@inner
def _wider(array, used, room):
    out = np.empty((len(array), room), array.dtype)
    for row in range(len(array)):
        for n in range(used):
            out[row, n] = array[row, n]
    return out


@inner(fastmath={"contract"})
def within(begin, end, place, x, y, z, square, square_p, near):
    """Write to `near` which of the images begin:end are no farther than the cutoff; return how many."""
    gx, gy, gz = place[0], place[1], place[2]
    for g in range(begin, end):
        dx, dy, dz = gx[g] - x, gy[g] - y, gz[g] - z
        square_p[g] = dx * dx + dy * dy + dz * dz
    found = np.uint64(0)
    for g in range(np.uint64(begin), np.uint64(end)):
        # Written always, kept only when inside: no branch to mispredict.
        near[found] = g
        found += np.uint64(square_p[g] <= square)
    return np.int64(found)


@inner
def copy(i, found, near, label, home, half, cursor, j_p, image_p):
    """Write the pairs of atom i from `cursor` on, without the atom itself; return the end.

    A half list also leaves out the atoms of its own cell that have counted it already.
    """
    other, code = label[0], label[1]
    central, here, passed = np.int32(i), np.int32(home), np.int32(i if half else -1)
    end = np.uint64(cursor)
    for k in range(found):
        g = np.uint64(near[k])
        j, c = other[g], code[g]
        j_p[end] = j
        image_p[end] = c
        end += np.uint64((c != here) | ((j > passed) & (j != central)))
    return np.int64(end)


@kernel
def small_cell_pairs(x, cell, reach, cutoff, half, fixed, start_p, j_p, image_p, first, last):
    """Append every pair of a small cell from `start_p` on.

    `x` are positions within the cell. Returns the arrays (grown unless `fixed`) and the end, -1 if they were full.
    """
    place, label, low, high = surroundings(x, cell, reach, cutoff, half)
    place, label, axis, per_angstrom, start = in_slabs(place, label, low, high, cutoff)
    square_p, near = np.empty(place.shape[1]), np.empty(place.shape[1] + 1, np.int32)
    home = (reach[0] * (2 * reach[1] + 1) + reach[1]) * (2 * reach[2] + 1) + reach[2]
    cursor, margin = start_p, cutoff * (1.0 + 1e-10)
    for i in range(len(x)):
        first[i] = cursor
        begin = start[int(max(0.0, x[i, axis] - margin - low[axis]) * per_angstrom)]
        end = start[int((x[i, axis] + margin - low[axis]) * per_angstrom) + 1]
        found = within(begin, end, place, x[i, 0], x[i, 1], x[i, 2], cutoff * cutoff, square_p, near)
        if cursor + found > len(j_p):
            if fixed:
                return j_p, image_p, -1
            image_p = grown(image_p, cursor, cursor + found)
            j_p = grown(j_p, cursor, cursor + found)
        cursor = copy(i, found, near, label, home, half, cursor, j_p, image_p)
        last[i] = cursor
    return j_p, image_p, cursor
