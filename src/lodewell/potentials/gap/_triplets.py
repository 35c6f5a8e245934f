"""Sums of normalised squared-exponential kernels over triplets of distances, compiled."""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.descriptors._soap import fade
from lodewell.potentials.gap._squared_exponential import add_triplet, far_side

# Slots (r_ij, r_ik, r_jk) after the exchanges of three equal atoms; the first is none.
EXCHANGES = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])


@inner(inline="always")
def _meant(a, b):
    """Whether legs of types a and b are meant, in this order: 1 and 2, or 3 and 3 (like atoms)."""
    return (a == 3 and b == 3) or (a == 1 and b == 2)


@kernel
def triplets(centres, begin, start_k, r_p, j_p, vector_pc, types, cutoff, width):
    """Return legs (E, 2), coordinates (E, 3), cutoffs of the legs with slopes (E, 4) and centres (E,) of triplets.

    Legs go to types 1 and 2, or both to type 3, which are then taken once.
    """
    room = 0
    for i in centres:
        n = start_k[i - begin + 1] - start_k[i - begin]
        room += n * n
    legs, x = np.empty((room, 2), np.int64), np.empty((room, 3))
    fades, atom = np.empty((room, 4)), np.empty(room, np.int64)
    used = 0
    for i in centres:
        for p in range(start_k[i - begin], start_k[i - begin + 1]):
            for q in range(start_k[i - begin], start_k[i - begin + 1]):
                a, b = types[j_p[p]], types[j_p[q]]
                if not _meant(a, b) or r_p[p] >= cutoff or r_p[q] >= cutoff or (a == 3 and q >= p):
                    continue
                legs[used, 0], legs[used, 1], atom[used] = p, q, i
                x[used, 0], x[used, 1], x[used, 2] = r_p[p], r_p[q], far_side(p, q, vector_pc)
                fades[used, 0], fades[used, 1] = fade(r_p[p], cutoff, width)
                fades[used, 2], fades[used, 3] = fade(r_p[q], cutoff, width)
                used += 1
    return legs[:used].copy(), x[:used].copy(), fades[:used].copy(), atom[:used].copy()


@kernel(fastmath=FAST)
def triplet_sums(legs, x_ed, fades, atom_e, vector_pc, j_p, lengths, exchanges, points, weights,
                 crystal_n, energies, forces, virials):  # fmt: skip
    """Add f f' Σ_m w_m g(x, x_m) / √(Σ_P g(Px, x)) over triplets, a third to each atom.

    `points` hold all exchanges of every sparse point, `weights` δ², the points' cutoffs and their norms.
    """
    size = len(points)
    scaled = np.empty((3, size))
    for m in range(size):
        for d in range(3):
            scaled[d, m] = points[m, d] / lengths[d]
    s, t, w = scaled[0], scaled[1], scaled[2]
    x, slope = np.empty(3), np.empty(3)
    for e in range(len(x_ed)):
        for d in range(3):
            x[d] = x_ed[e, d] / lengths[d]
        u = u0 = u1 = u2 = 0.0
        for m in range(size):
            d0, d1, d2 = x[0] - s[m], x[1] - t[m], x[2] - w[m]
            g = weights[m] * math.exp(-0.5 * (d0 * d0 + d1 * d1 + d2 * d2))
            u += g
            u0 -= d0 * g
            u1 -= d1 * g
            u2 -= d2 * g
        norm, n0, n1, n2 = 0.0, 0.0, 0.0, 0.0
        for k in range(len(exchanges)):
            d0, d1, d2 = x[0] - x[exchanges[k, 0]], x[1] - x[exchanges[k, 1]], x[2] - x[exchanges[k, 2]]
            g = math.exp(-0.5 * (d0 * d0 + d1 * d1 + d2 * d2))
            norm += g
            n0 -= 2.0 * d0 * g  # exchanges and their inverses together
            n1 -= 2.0 * d1 * g
            n2 -= 2.0 * d2 * g
        root = 1.0 / math.sqrt(norm)
        slope[0] = (u0 - 0.5 * u * n0 / norm) * root / lengths[0]
        slope[1] = (u1 - 0.5 * u * n1 / norm) * root / lengths[1]
        slope[2] = (u2 - 0.5 * u * n2 / norm) * root / lengths[2]
        u *= root
        p, q, i = legs[e, 0], legs[e, 1], atom_e[e]
        f, df, h, dh = fades[e, 0], fades[e, 1], fades[e, 2], fades[e, 3]
        third = f * h * u / 3.0
        energies[i] += third
        energies[j_p[p]] += third
        energies[j_p[q]] += third
        along_p = (df * h * u + f * h * slope[0]) / x_ed[e, 0]
        along_q = (f * dh * u + f * h * slope[1]) / x_ed[e, 1]
        along_far = f * h * slope[2] / x_ed[e, 2] if x_ed[e, 2] > 0.0 else 0.0
        add_triplet(i, p, q, along_p, along_q, along_far, j_p, vector_pc, crystal_n[i], forces, virials)
