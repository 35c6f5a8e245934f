"""Neighbour pairs of one crystal or a whole batch, compiled: images around small cells, a cell list in large ones."""

import math

import numpy as np
from numpy.typing import NDArray

from lodewell.compiled import inner, kernel
from lodewell.crystals.batch import Flags, Floats, Ints
from lodewell.crystals.neighbours._cell_list import large_cell_pairs
from lodewell.crystals.neighbours._grow import grown
from lodewell.crystals.neighbours._small_cells import small_cell_pairs
from lodewell.crystals.neighbours.images import determinant, invert, write_reach

Codes = NDArray[np.int32]

# From this many atoms on a cell list beats measuring every atom against a slab of images.
CELL_LIST_FROM = 200

# A cell so thin that a sphere reaches more images than this is taken for one without a volume.
MOST_IMAGES = 1e6


@kernel
def wrap(positions, inverse, pbc, fractional, wraps):
    """Write fractional coordinates in [0, 1) along periodic vectors, and the whole cells added to get there."""
    for n in range(len(positions)):
        for k in range(3):
            f = positions[n, 0] * inverse[0, k] + positions[n, 1] * inverse[1, k] + positions[n, 2] * inverse[2, k]
            whole = -math.floor(f) if pbc[k] else 0.0
            fractional[n, k] = f + whole
            wraps[n, k] = int(whole)


@inner
def has_place(positions, inverse, pbc, cutoff):
    """Tell whether positions and cell are finite, and the images within the cutoff can be counted."""
    for n in range(len(positions)):
        # Coordinates beyond 2^31 cells would overflow the wraps.
        if not abs(positions[n, 0]) + abs(positions[n, 1]) + abs(positions[n, 2]) < 1e8:
            return False
    images = 1.0
    for k in range(3):
        square = inverse[0, k] ** 2 + inverse[1, k] ** 2 + inverse[2, k] ** 2
        if pbc[k]:
            images *= 2.0 * cutoff * math.sqrt(square) + 3.0
    return images < MOST_IMAGES


@inner
def crystal_pairs(positions, cell, pbc, cutoff, half, fixed, large, start, j_p, image_p, first, last, wraps, reach):
    """Append the pairs of one crystal (see `small_cell_pairs`), and write its wraps and image reach.

    A crystal that has no place in space gets no pairs and a reach of -1. See `any_large` for `large`.
    """
    inverse = invert(cell)
    placed = has_place(positions, inverse, pbc, cutoff)
    if not placed or cutoff <= 0.0 or not len(positions):
        for k in range(3):
            reach[k] = 0 if placed else -1
        for n in range(len(positions)):
            wraps[n, 0] = wraps[n, 1] = wraps[n, 2] = 0
            first[n] = last[n] = start
        return j_p, image_p, start
    fractional = np.empty_like(positions)
    wrap(positions, inverse, pbc, fractional, wraps)
    write_reach(inverse, pbc, cutoff, reach)
    if large is None or len(positions) < CELL_LIST_FROM:
        x = np.empty_like(positions)
        for n in range(len(positions)):
            for c in range(3):
                x[n, c] = fractional[n, 0] * cell[0, c] + fractional[n, 1] * cell[1, c] + fractional[n, 2] * cell[2, c]
        return small_cell_pairs(x, cell, reach, cutoff, half, fixed, start, j_p, image_p, first, last)
    return large_cell_pairs(fractional, cell, pbc, reach, cutoff, half, fixed, start, j_p, image_p, first, last)


@kernel
def fill_pairs(
    positions, cells, pbc, first_b, chosen_b, cutoff, half, fixed, slack, large,
    j_p, image_p, first, last, wraps, reach, segment_b,
):  # fmt: skip
    """List the pairs of the chosen crystals, and return the arrays of pairs and whether everything fitted.

    With `fixed` each crystal has its segment already. Else the arrays grow, the segments are written, and each is
    `slack` larger than its pairs, for later updates.
    """
    crystals = len(cells)
    if not fixed:
        estimate = 16.0
        for b in range(crystals):
            volume = abs(determinant(cells[b])) if pbc[b, 0] and pbc[b, 1] and pbc[b, 2] else 1e300
            n = first_b[b + 1] - first_b[b]
            sphere = 4.19 * cutoff**3
            inside = n * sphere / volume if MOST_IMAGES * volume > sphere and volume < 1e299 else min(n, 30.0)
            estimate += (0.5 if half else 1.0) * n * inside * (1.0 + slack) * 1.05 + 8 * n
        j_p, image_p = np.empty(int(estimate), np.int32), np.empty(int(estimate), np.int32)
    for b in range(crystals):
        if not chosen_b[b]:
            continue
        s, e = first_b[b], first_b[b + 1]
        room = segment_b[b + 1] if fixed else len(j_p)
        own_j, own_image, end = crystal_pairs(
            positions[s:e], cells[b], pbc[b], cutoff, half, fixed, large, segment_b[b], j_p[:room], image_p[:room],
            first[s:e], last[s:e], wraps[s:e], reach[b],
        )  # fmt: skip
        if end < 0:
            return j_p, image_p, False
        if not fixed:
            j_p, image_p = own_j, own_image
            segment_b[b + 1] = end + int((end - segment_b[b]) * slack)
    if not fixed and segment_b[crystals] > len(j_p):
        image_p, j_p = grown(image_p, len(image_p), segment_b[crystals]), grown(j_p, len(j_p), segment_b[crystals])
    return j_p, image_p, True


def batch_pairs(
    positions_nc: Floats, cells_bcc: Floats, pbc_bc: Flags, first_b: Ints, cutoff: float, half: bool, slack: float
) -> tuple[Codes, Codes, Ints, Ints, Codes, Ints, Ints]:
    """Return all pairs of a batch: j_p, image_p, first_n, last_n, wraps_nc, reach_bc, segment_b; see `Neighbours`.

    Each crystal's segment is `slack` larger than its pairs, for later updates.
    """
    count, crystals = len(positions_nc), len(cells_bcc)
    first_n, last_n = np.empty(count, np.int64), np.empty(count, np.int64)
    wraps_nc, reach_bc = np.empty((count, 3), np.int32), np.empty((crystals, 3), np.int64)
    segment_b, none = np.zeros(crystals + 1, np.int64), np.empty(0, np.int32)
    j_p, image_p, _ = fill_pairs(
        positions_nc, cells_bcc, pbc_bc, first_b, np.ones(crystals, np.bool_), cutoff, half, False, slack,
        any_large(first_b), none, none, first_n, last_n, wraps_nc, reach_bc, segment_b,
    )  # fmt: skip
    return j_p, image_p, first_n, last_n, wraps_nc, reach_bc, segment_b


def any_large(first_b: Ints) -> bool | None:
    """Return whether some crystal is large enough for a cell list, with None for no.

    Loops to which None is given are compiled without the cell list: it takes as long to compile as all the rest.
    """
    return True if np.diff(first_b).max(initial=0) >= CELL_LIST_FROM else None
