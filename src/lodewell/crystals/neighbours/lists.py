"""What is done with a neighbour list: bring it up to date, expand its image codes, write it out; compiled."""

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.crystals.batch import Flags, Floats, Ints
from lodewell.crystals.neighbours.images import invert, product
from lodewell.crystals.neighbours.pairs import any_large, fill_pairs


@inner
def motion(positions, cell, reference, reference_cell):
    """Return |F - 1| of the deformation F since the build, and the square of the longest motion beyond it."""
    deformation = product(invert(reference_cell), cell)
    strain = 0.0
    for k in range(3):
        for m in range(3):
            strain += (deformation[k, m] - (k == m)) ** 2
    furthest = 0.0
    for n in range(len(positions)):
        square = 0.0
        for c in range(3):
            affine = 0.0
            for k in range(3):
                affine += reference[n, k] * deformation[k, c]
            square += (positions[n, c] - affine) ** 2
        furthest = max(furthest, square) if square < 1e300 else 1e300  # NaN counts as far
        if furthest >= 1e300:
            break
    return np.sqrt(strain), furthest


@kernel
def moved_far(positions, cells, first_b, cutoff, skin, reference, reference_cells, nearest_b):
    """Return which crystals moved too far for their lists, and take them as they are for the next reference.

    With F the deformation since the build and u the motion beyond it, a pair unseen then was longer than
    cutoff + skin and is now longer than (1 - |F - 1|) (cutoff + skin) - 2 max |u|.
    """
    far_b = np.empty(len(cells), np.bool_)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        strain, furthest = motion(positions[s:e], cells[b], reference[s:e], reference_cells[b])
        far_b[b] = not (1.0 - strain) * (cutoff + skin) - 2.0 * np.sqrt(furthest) >= cutoff
        if not far_b[b]:
            continue
        nearest_b[b] = -1.0
        for c in range(3):
            for n in range(s, e):
                reference[n, c] = positions[n, c]
            for k in range(3):
                reference_cells[b, k, c] = cells[b, k, c]
    return far_b


@kernel
def shift_vectors(cell, reach, out):
    """Write the lattice translation of every image code of one crystal into `out`; return how many there are."""
    k = 0
    for n0 in range(-reach[0], reach[0] + 1):
        for n1 in range(-reach[1], reach[1] + 1):
            x0 = n0 * cell[0, 0] + n1 * cell[1, 0]
            x1 = n0 * cell[0, 1] + n1 * cell[1, 1]
            x2 = n0 * cell[0, 2] + n1 * cell[1, 2]
            for n2 in range(-reach[2], reach[2] + 1):
                out[k, 0] = x0 + n2 * cell[2, 0]
                out[k, 1] = x1 + n2 * cell[2, 1]
                out[k, 2] = x2 + n2 * cell[2, 2]
                k += 1
    return k


@kernel
def wrapped_positions(positions, cell, wraps, out):
    """Write the positions of one crystal brought into its cell, the ones that image codes refer to."""
    for n in range(len(positions)):
        for c in range(3):
            out[n, c] = positions[n, c] + wraps[n, 0] * cell[0, c] + wraps[n, 1] * cell[1, c] + wraps[n, 2] * cell[2, c]


@kernel
def most_images(reach):
    """Return the largest number of image codes of any crystal of a batch."""
    most = 1
    for b in range(len(reach)):
        most = max(most, (2 * reach[b, 0] + 1) * (2 * reach[b, 1] + 1) * (2 * reach[b, 2] + 1))
    return most


@inner
def nearest_pair(positions, cell, first, last, j_p, image_p, wraps, reach):
    """Return the least distance in a crystal's list, or infinity, and its two atoms."""
    shift = np.empty(((2 * reach[0] + 1) * (2 * reach[1] + 1) * (2 * reach[2] + 1), 3))
    shift_vectors(cell, reach, shift)
    x = np.empty_like(positions)
    wrapped_positions(positions, cell, wraps, x)
    least, one, other = np.inf, -1, -1
    for i in range(len(x)):
        for p in range(first[i], last[i]):
            j, k = j_p[p], image_p[p]
            square = 0.0
            for c in range(3):
                square += (x[j, c] - x[i, c] + shift[k, c]) ** 2
            if square < least:
                least, one, other = square, i, j
    return np.sqrt(least), one, other


@kernel
def pair_in_one_place(
    positions, cells, first_b, nearer, reference, reference_cells, nearest_b,
    first_n, last_n, j_p, image_p, wraps, reach,
):  # fmt: skip
    """Return crystal and atoms of a pair nearer than `nearer`, or three times -1.

    Pairs are looked at when a list is new, and where atoms have since moved far enough to meet. `nearest_b` remembers
    the least distance at the build, -1 where it is not known yet.
    """
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        own = first_n[s:e], last_n[s:e], j_p, image_p, wraps[s:e], reach[b]
        if nearest_b[b] < 0.0:
            nearest_b[b] = nearest_pair(reference[s:e], reference_cells[b], *own)[0]
        strain, furthest = motion(positions[s:e], cells[b], reference[s:e], reference_cells[b])
        if (1.0 - strain) * nearest_b[b] - 2.0 * np.sqrt(furthest) > nearer:
            continue
        distance, i, j = nearest_pair(positions[s:e], cells[b], *own)
        if distance < nearer:
            return b, i, j
    return -1, -1, -1


def list_pairs(
    positions_nc: Floats, cell: Floats, pbc: Flags, cutoff: float, half: bool
) -> tuple[Ints, Ints, Ints, Floats, bool]:
    """List the pairs of one crystal: i, j, S (cells between the unwrapped atoms), and d = x_j + S h - x_i.

    The last says whether the crystal has a place in space.
    """
    first_b = np.array([0, len(positions_nc)])
    listed: tuple[Ints, Ints, Ints, Floats, bool] = write_pairs(
        positions_nc, cell.reshape(1, 3, 3), pbc.reshape(1, 3), first_b, cutoff, half, any_large(first_b)
    )
    return listed


@kernel
def write_pairs(positions, cells_bcc, pbc, first_b, cutoff, half, large):
    """Do the work of `list_pairs`, of a batch of one crystal."""
    count = len(positions)
    first, last = np.empty(count, np.int64), np.empty(count, np.int64)
    wraps, reaches = np.empty((count, 3), np.int32), np.empty((1, 3), np.int64)
    segment_b, none, never = np.zeros(2, np.int64), np.empty(0, np.int32), cutoff < -np.inf
    j_p, image_p, _ = fill_pairs(
        positions, cells_bcc, pbc, first_b, np.ones(1, np.bool_), cutoff, half, never, 0.0, large,
        none, none, first, last, wraps, reaches, segment_b,
    )  # fmt: skip
    cell = cells_bcc[0]
    reach = reaches[0]
    x = np.empty((count, 3))
    wrapped_positions(positions, cell, wraps, x)
    images = most_images(reaches)
    shift, cells = np.empty((images, 3)), np.empty((images, 3), np.int64)
    shift_vectors(cell, reach, shift)
    k = 0
    for n0 in range(-reach[0], reach[0] + 1):
        for n1 in range(-reach[1], reach[1] + 1):
            for n2 in range(-reach[2], reach[2] + 1):
                cells[k, 0], cells[k, 1], cells[k, 2] = n0, n1, n2
                k += 1
    total = last[count - 1] if count else 0
    # One allocation: the C library keeps a large block for the next call, but gives several smaller ones back.
    room = np.empty(8 * total, np.int64)
    i_p, out_j, cells_pc = room[:total], room[total : 2 * total], room[2 * total : 5 * total].reshape(total, 3)
    vector_pc = room[5 * total :].view(np.float64).reshape(total, 3)
    for i in range(count):
        for p in range(np.uint64(first[i]), np.uint64(last[i])):
            j, code = np.uint64(j_p[p]), np.uint64(image_p[p])
            i_p[p], out_j[p] = i, j
            for c in range(3):
                cells_pc[p, c] = cells[code, c] + wraps[j, c] - wraps[i, c]
                vector_pc[p, c] = x[j, c] - x[i, c] + shift[code, c]
    return i_p, out_j, cells_pc, vector_pc, reach[0] >= 0
