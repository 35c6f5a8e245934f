"""Compiled loops of `contacts`: energies by atom and by pair of elements, and nearest neighbours of each element."""

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions


@kernel
def slots(species_n, first_b):
    """Count through the elements of each crystal; return the number of each atom's, and the elements."""
    most = 1
    seen = np.full(120, -1, np.int64)
    for b in range(len(first_b) - 1):
        count = 0
        for n in range(first_b[b], first_b[b + 1]):
            if seen[species_n[n]] != b:
                seen[species_n[n]] = b
                count += 1
        most = max(most, count)
    slot_n = np.empty(len(species_n), np.int64)
    element_be = np.zeros((len(first_b) - 1, most), np.int64)
    place = np.full(120, -1, np.int64)
    for b in range(len(first_b) - 1):
        place[:] = -1
        for n in range(first_b[b], first_b[b + 1]):
            place[species_n[n]] = 0
        count = 0
        for z in range(120):
            if place[z] == 0:
                place[z] = count
                element_be[b, count] = z
                count += 1
        for n in range(first_b[b], first_b[b + 1]):
            slot_n[n] = place[species_n[n]]
    return slot_n, element_be


@kernel
def survey_pairs(
    positions, cells, first_b, slot_n, most, types, variant_b, curve_vtt, coefficients, origin, spacing, cutoff, scale,
    first_n, last_n, j_p, image_p, wraps, reach,
):  # fmt: skip
    """Sum energies by atom and by pair of elements, and keep the nearest atom of each element; pairs stand once."""
    count_n = len(positions)
    energies, energy_bee = np.zeros(count_n), np.zeros((len(cells), most, most))
    nearest = np.full((count_n, most), np.inf)
    other, code = np.zeros((count_n, most), np.int64), np.zeros((count_n, most), np.int64)
    reverse = np.zeros((count_n, most), np.bool_)
    shift = np.empty((most_images(reach), 3))
    largest = 0
    for b in range(len(cells)):
        largest = max(largest, first_b[b + 1] - first_b[b])
    x = np.empty((largest, 3))
    last_k = coefficients.shape[1] - 1
    for b in range(len(cells)):
        s = first_b[b]
        size = first_b[b + 1] - s
        shift_vectors(cells[b], reach[b], shift)
        wrapped_positions(positions[s : s + size], cells[b], wraps[s : s + size], x)
        for i in range(size):
            for p in range(first_n[s + i], last_n[s + i]):
                j, k = j_p[p], image_p[p]
                dx = x[j, 0] + shift[k, 0] - x[i, 0]
                dy = x[j, 1] + shift[k, 1] - x[i, 1]
                dz = x[j, 2] + shift[k, 2] - x[i, 2]
                r2 = dx * dx + dy * dy + dz * dz
                if r2 >= cutoff * cutoff:
                    continue
                a, c = slot_n[s + i], slot_n[s + j]
                if r2 < nearest[s + i, c]:
                    nearest[s + i, c], other[s + i, c], code[s + i, c], reverse[s + i, c] = r2, j, k, False
                if r2 < nearest[s + j, a]:
                    nearest[s + j, a], other[s + j, a], code[s + j, a], reverse[s + j, a] = r2, i, k, True
                curve = curve_vtt[variant_b[b], types[s + i], types[s + j]]
                if curve < 0:
                    continue
                t = (np.sqrt(r2) - origin) / spacing
                m = min(int(t), last_k)
                t -= m
                u = scale * (
                    coefficients[curve, m, 0]
                    + t * (coefficients[curve, m, 1] + t * (coefficients[curve, m, 2] + t * coefficients[curve, m, 3]))
                )
                energies[s + i] += 0.5 * u
                energies[s + j] += 0.5 * u
                energy_bee[b, min(a, c), max(a, c)] += u
    return energies, energy_bee, np.sqrt(nearest), other, _cells_between(first_b, other, code, reverse, wraps, reach)


@inner
def _cells_between(first_b, other, code, reverse, wraps, reach):
    """Decode images into whole cells between the atoms as they were given, unwrapped."""
    out = np.zeros((len(other), other.shape[1], 3), np.int32)
    for b in range(len(first_b) - 1):
        s = first_b[b]
        stride1 = 2 * reach[b, 2] + 1
        stride0 = (2 * reach[b, 1] + 1) * stride1
        for n in range(s, first_b[b + 1]):
            for e in range(other.shape[1]):
                k, m = code[n, e], s + other[n, e]
                sign = -1 if reverse[n, e] else 1
                out[n, e, 0] = sign * (k // stride0 - reach[b, 0]) + wraps[m, 0] - wraps[n, 0]
                out[n, e, 1] = sign * (k % stride0 // stride1 - reach[b, 1]) + wraps[m, 1] - wraps[n, 1]
                out[n, e, 2] = sign * (k % stride1 - reach[b, 2]) + wraps[m, 2] - wraps[n, 2]
    return out
