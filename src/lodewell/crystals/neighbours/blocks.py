"""The steps of a pair sum whose radial function is written in Python: gather blocks of pairs, then scatter them."""

import math

import numpy as np

from lodewell.compiled import kernel
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions


@kernel
def wrapped(positions, cells, first_b, wraps):
    """Return the positions of every crystal brought into its cell."""
    out = np.empty_like(positions)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], out[s:e])
    return out


@kernel
def blocks(first_n, last_n, size):
    """Cut the atoms into runs of about `size` pairs."""
    out = []
    begin, pairs = 0, 0
    for n in range(len(first_n)):
        pairs += last_n[n] - first_n[n]
        if pairs >= size or n == len(first_n) - 1:
            out.append((begin, n + 1))
            begin, pairs = n + 1, 0
    return out


@kernel
def gather(begin, end, x, cells, crystal_n, first_b, cutoff, first_n, last_n, j_p, image_p, reach):
    """Return r, i, j and x_j - x_i of the pairs of atoms begin..end that lie within the cutoff."""
    room = 0
    for n in range(begin, end):
        room += last_n[n] - first_n[n]
    r, i, j = np.empty(room), np.empty(room, np.int64), np.empty(room, np.int64)
    vector = np.empty((room, 3))
    shift = np.empty((most_images(reach), 3))
    crystal, used, square = -1, 0, cutoff * cutoff
    for n in range(begin, end):
        if crystal_n[n] != crystal:
            crystal = crystal_n[n]
            shift_vectors(cells[crystal], reach[crystal], shift)
        for p in range(first_n[n], last_n[n]):
            other = first_b[crystal] + j_p[p]
            k = image_p[p]
            dx = x[other, 0] - x[n, 0] + shift[k, 0]
            dy = x[other, 1] - x[n, 1] + shift[k, 1]
            dz = x[other, 2] - x[n, 2] + shift[k, 2]
            r2 = dx * dx + dy * dy + dz * dz
            r[used] = r2
            i[used], j[used] = n, other
            vector[used, 0], vector[used, 1], vector[used, 2] = dx, dy, dz
            used += r2 < square
    return np.sqrt(r[:used]), i[:used], j[:used], vector[:used]


@kernel
def switch(r, u, du, cutoff, width, scale):
    """Multiply by 1 - 10 t³ + 15 t⁴ - 6 t⁵ over the last `width` before the cutoff, and by `scale`, in place."""
    for p in range(len(r)):
        t = (r[p] - cutoff + width) / width if width > 0.0 else 0.0
        if t > 0.0:
            s = 1.0 - t * t * t * (10.0 - 15.0 * t + 6.0 * t * t)
            ds = -30.0 * t * t * (1.0 - t) ** 2 / width
            du[p] = du[p] * s + u[p] * ds
            u[p] *= s
        # A pair that was not named has no parameters, hence NaN: it does not interact.
        if math.isnan(u[p]):
            u[p] = du[p] = 0.0
        u[p] *= scale
        du[p] *= scale


@kernel
def scatter(r, i, j, vector, u, du, crystal_n, energies, forces, virials):
    """Add pair energies and slopes to atoms and crystals."""
    for p in range(len(r)):
        a, b = i[p], j[p]
        energies[a] += 0.5 * u[p]
        energies[b] += 0.5 * u[p]
        slope = du[p] / r[p] if r[p] > 0.0 else 0.0  # coincident atoms have no direction
        crystal = crystal_n[a]
        for c in range(3):
            f = slope * vector[p, c]
            forces[a, c] += f
            forces[b, c] -= f
            for d in range(3):
                virials[crystal, c, d] -= f * vector[p, d]
