"""SOAP vectors of blocks of atoms, what pulls derivatives by them back to the atoms, and their gradients; compiled.

The neighbours of the atoms of a block stand one after the other: those of atom i are `start_k[i - begin]` to the next,
with distances `r_p`, vectors `vector_pc` and other atoms `j_p`. Coefficients of a density are c[lm, a], a = s n_max +
n. Components of a power spectrum follow the model files: for a, for b ≤ a, for l. All that one atom needs is written
into arrays over its neighbours, sorted by type, so that inner loops become vector instructions.
"""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.descriptors._harmonics import harmonics, room_for_harmonics

_ROOT2 = math.sqrt(2.0)
_1, _2, _3 = np.uint64(1), np.uint64(2), np.uint64(3)


@inner(inline="always")
def fade(r, cutoff, width):
    """Return the cosine cutoff and its slope."""
    t = r - cutoff + width
    if t <= 0.0:
        return 1.0, 0.0
    a = math.pi / width
    return 0.5 * (1.0 + math.cos(a * t)), -0.5 * a * math.sin(a * t)


@inner
def _most(start_k):
    """Return the largest number of neighbours of one atom, rounded up to a multiple of four, and four more."""
    most = 0
    for k in range(len(start_k) - 1):
        most = max(most, start_k[k + 1] - start_k[k])
    return (most + 3) // 4 * 4 + 4


@inner
def _sorted(begin, end, r_p, j_p, vector_pc, types, cutoff, pair_m, first_s, u, r_m):
    """Collect the neighbours within the cutoff by type: their pairs, unit vectors and distances; return how many.

    Unit vectors are zero from there to the next multiple of four.
    """
    used = 0
    for s in range(len(first_s) - 1):
        first_s[s] = used
        for p in range(begin, end):
            if types[j_p[p]] == s and r_p[p] < cutoff:
                r = r_p[p]
                per = 1.0 / r if r > 0.0 else 0.0  # coincident atoms have no direction
                u[0, used], u[1, used], u[2, used] = vector_pc[p, 0] * per, vector_pc[p, 1] * per, vector_pc[p, 2] * per
                r_m[used] = r
                pair_m[used] = p
                used += 1
    first_s[len(first_s) - 1] = used
    u[:, used : (used + 3) // 4 * 4] = 0.0
    return used


@inner(fastmath=FAST)
def _radial(r, cutoff, width, poly, step, h, dh):
    """Write the radial functions of one neighbour with the cutoff, and their slopes: (l, n) flat."""
    k = min(int(r / step), len(poly) - 1)
    t = r / step - k - 0.5
    f, df = fade(r, cutoff, width)
    df_per = f / step
    c0, c1, c2, c3, c4, c5, c6, c7 = (
        poly[k, 0], poly[k, 1], poly[k, 2], poly[k, 3], poly[k, 4], poly[k, 5], poly[k, 6], poly[k, 7]
    )  # fmt: skip
    for x in range(np.uint64(poly.shape[2])):
        v7, v6, v5, v4, v3, v2, v1 = c7[x], c6[x], c5[x], c4[x], c3[x], c2[x], c1[x]
        a6 = v7 * t + v6
        d6 = v7
        a5, d5 = a6 * t + v5, d6 * t + a6
        a4, d4 = a5 * t + v4, d5 * t + a5
        a3, d3 = a4 * t + v3, d4 * t + a4
        a2, d2 = a3 * t + v2, d3 * t + a3
        a1, d1 = a2 * t + v1, d2 * t + a2
        a0, d0 = a1 * t + c0[x], d1 * t + a1
        h[x] = f * a0
        dh[x] = df_per * d0 + df * a0


@inner(fastmath=FAST)
def _density(own, used, first_s, r_m, cutoff, width, poly, step, core, h_mx, dh_mx, y_km, c):
    """Write the coefficients c[lm, a] of the density around an atom of type `own` from its neighbours' harmonics."""
    n_max = len(core)
    room = poly.shape[2]
    top = int(math.sqrt(len(c))) - 1
    wide = room // (top + 1)
    c[:] = 0.0
    if own >= 0:
        for n in range(n_max):
            c[0, own * n_max + n] = core[n]
    for m in range(used):
        _radial(r_m[m], cutoff, width, poly, step, h_mx[m], dh_mx[m])
    for s in range(len(first_s) - 1):
        first, last = np.uint64(first_s[s]), np.uint64(first_s[s + 1])
        if first == last:
            continue
        for l in range(top + 1):
            for k in range(l * l, (l + 1) * (l + 1)):
                y = y_km[k]
                for n in range(0, n_max, 4):
                    x = np.uint64(l * wide + n)
                    a0 = a1 = a2 = a3 = 0.0
                    for m in range(first, last):
                        h = h_mx[m]
                        a0 += y[m] * h[x]
                        a1 += y[m] * h[x + _1]
                        a2 += y[m] * h[x + _2]
                        a3 += y[m] * h[x + _3]
                    at = s * n_max + n
                    c[k, at] += a0
                    if n + 1 < n_max:
                        c[k, at + 1] += a1
                    if n + 2 < n_max:
                        c[k, at + 2] += a2
                    if n + 3 < n_max:
                        c[k, at + 3] += a3


@inner(fastmath=FAST)
def _spectrum(c, top, products, p):
    """Write the normalised power spectrum of one density; return its norm before."""
    many = c.shape[1]
    for l in range(top + 1):
        products[:] = 0.0
        for m in range(l * l, (l + 1) * (l + 1)):
            own = c[m]
            for a in range(many):
                ca = own[a]
                row = products[a]
                for b in range(np.uint64(many)):
                    row[b] += ca * own[b]
        scale = 1.0 / math.sqrt(2 * l + 1.0)
        at = l
        for a in range(many):
            for b in range(a):
                p[at] = products[a, b] * scale * _ROOT2
                at += top + 1
            p[at] = products[a, a] * scale
            at += top + 1
    square = 0.0
    for d in range(len(p)):
        square += p[d] * p[d]
    norm = math.sqrt(square)
    per = 1.0 / norm if norm > 0.0 else 0.0
    for d in range(len(p)):
        p[d] *= per
    return norm


@kernel
def spectrum(c, top):
    """Return the normalised power spectrum of one density."""
    many = c.shape[1]
    p = np.empty(many * (many + 1) // 2 * (top + 1))
    _spectrum(c, top, np.empty((many, many)), p)
    return p


@kernel
def soap_vectors(
    centre_k, begin, start_k, r_p, j_p, vector_pc, types, cutoff, width, poly, step, factor, core, species
):
    """Return normalised power spectra p (K, D), their norms (K,), and densities c (K, lm, a) of atoms `centre_k`."""
    n_max, top = len(core), len(factor) - 1
    many = species * n_max
    p = np.empty((len(centre_k), many * (many + 1) // 2 * (top + 1)))
    norm = np.empty(len(centre_k))
    c = np.empty((len(centre_k), (top + 1) ** 2, many))
    most = _most(start_k)
    u, r_m, pair_m, first_s = (
        np.empty((3, most)),
        np.empty(most),
        np.empty(most, np.int64),
        np.empty(species + 1, np.int64),
    )
    h_mx, dh_mx = np.empty((most, poly.shape[2])), np.empty((most, poly.shape[2]))
    legendre, powers, ylm = room_for_harmonics(top, most)
    products = np.empty((many, many))
    for k in range(len(centre_k)):
        i = centre_k[k]
        used = _sorted(
            start_k[i - begin], start_k[i - begin + 1], r_p, j_p, vector_pc, types, cutoff, pair_m, first_s, u, r_m
        )
        harmonics(u, (used + 3) // 4 * 4, factor, legendre, powers, ylm, False)
        own = types[i] if species > 1 else 0  # with one density the centre is in it whatever its element
        _density(own, used, first_s, r_m, cutoff, width, poly, step, core, h_mx, dh_mx, ylm[0], c[k])
        norm[k] = _spectrum(c[k], top, products, p[k])
    return p, norm, c
