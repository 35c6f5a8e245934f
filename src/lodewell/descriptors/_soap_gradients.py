"""Compiled loops behind the gradients of SOAP vectors: forces by the adjoint, and rows of a fit."""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.descriptors._harmonics import harmonics, room_for_harmonics
from lodewell.descriptors._soap import _ROOT2, _1, _2, _3, _most, _radial, _sorted


@inner(fastmath=FAST)
def _pull_spectrum(p, norm, g, c, top, w, dc):
    """Write the derivative by a density `dc` of a function whose derivative by the normalised spectrum is g."""
    many = c.shape[1]
    along = 0.0
    for d in range(len(p)):
        along += p[d] * g[d]
    per = 1.0 / norm if norm > 0.0 else 0.0
    for l in range(top + 1):
        scale = per / math.sqrt(2 * l + 1.0)
        at = l
        for a in range(many):
            for b in range(a):
                w[a, b] = w[b, a] = (g[at] - along * p[at]) * scale * _ROOT2
                at += top + 1
            w[a, a] = 2.0 * (g[at] - along * p[at]) * scale
            at += top + 1
        for m in range(l * l, (l + 1) * (l + 1)):
            row, own = dc[m], c[m]
            row[:] = 0.0
            for b in range(many):
                cb, column = own[b], w[b]
                for a in range(np.uint64(many)):
                    row[a] += column[a] * cb


@inner(fastmath=FAST)
def _pull_density(dc, first_s, n_max, wide, h_xm, dh_xm, ylm, pulled):
    """Contract `dc` with the functions of every neighbour: `pulled` is the radial part, then the gradient; (4, m)."""
    top = int(math.sqrt(len(dc))) - 1
    pulled[:] = 0.0
    radial, gx, gy, gz = pulled[0], pulled[1], pulled[2], pulled[3]
    for s in range(len(first_s) - 1):
        first, last = first_s[s], first_s[s + 1]
        for l in range(top + 1):
            for k in range(l * l, (l + 1) * (l + 1)):
                row, y, yx, yy, yz = dc[k], ylm[0, k], ylm[1, k], ylm[2, k], ylm[3, k]
                for m in range(np.uint64(first), np.uint64(last), np.uint64(4)):
                    m1, m2, m3 = m + _1, m + _2, m + _3
                    v0 = v1 = v2 = v3 = d0 = d1 = d2 = d3 = 0.0
                    for n in range(n_max):
                        w, h, dh = row[s * n_max + n], h_xm[l * wide + n], dh_xm[l * wide + n]
                        v0 += w * h[m]
                        v1 += w * h[m1]
                        v2 += w * h[m2]
                        v3 += w * h[m3]
                        d0 += w * dh[m]
                        d1 += w * dh[m1]
                        d2 += w * dh[m2]
                        d3 += w * dh[m3]
                    radial[m] += d0 * y[m]
                    gx[m] += v0 * yx[m]
                    gy[m] += v0 * yy[m]
                    gz[m] += v0 * yz[m]
                    if m1 < last:
                        radial[m1] += d1 * y[m1]
                        gx[m1] += v1 * yx[m1]
                        gy[m1] += v1 * yy[m1]
                        gz[m1] += v1 * yz[m1]
                    if m2 < last:
                        radial[m2] += d2 * y[m2]
                        gx[m2] += v2 * yx[m2]
                        gy[m2] += v2 * yy[m2]
                        gz[m2] += v2 * yz[m2]
                    if m3 < last:
                        radial[m3] += d3 * y[m3]
                        gx[m3] += v3 * yx[m3]
                        gy[m3] += v3 * yy[m3]
                        gz[m3] += v3 * yz[m3]


@kernel(fastmath=FAST)
def soap_forces(
    centre_k, begin, start_k, r_p, j_p, vector_pc, types, cutoff, width, poly, step, factor, core, species,
    p_kd, norm_k, c, g_kd, crystal_n, forces, virials,
):  # fmt: skip
    """Add the forces and virials of Σ_k e_k whose derivatives by the spectra are `g_kd` (K, D): the adjoint."""
    n_max, top = len(core), len(factor) - 1
    many, room = c.shape[2], poly.shape[2]
    most = _most(start_k)
    u, r_m, pair_m, first_s = (
        np.empty((3, most)),
        np.empty(most),
        np.empty(most, np.int64),
        np.empty(species + 1, np.int64),
    )
    h, dh = np.empty(room), np.empty(room)
    h_xm, dh_xm = np.zeros((room, most)), np.zeros((room, most))
    legendre, powers, ylm = room_for_harmonics(top, most)
    w, dc, pulled = np.empty((many, many)), np.empty(c.shape[1:]), np.empty((4, most))
    f = np.empty(3)
    for k in range(len(centre_k)):
        i = centre_k[k]
        used = _sorted(
            start_k[i - begin], start_k[i - begin + 1], r_p, j_p, vector_pc, types, cutoff, pair_m, first_s, u, r_m
        )
        harmonics(u, (used + 3) // 4 * 4, factor, legendre, powers, ylm, True)
        for m in range(used):
            _radial(r_m[m], cutoff, width, poly, step, h, dh)
            for x in range(room):
                h_xm[x, m], dh_xm[x, m] = h[x], dh[x]
        _pull_spectrum(p_kd[k], norm_k[k], g_kd[k], c[k], top, w, dc)
        _pull_density(dc, first_s, n_max, room // (top + 1), h_xm, dh_xm, ylm, pulled)
        crystal = crystal_n[i]
        for m in range(used):
            x, y, z = u[0, m], u[1, m], u[2, m]
            gx, gy, gz = pulled[1, m], pulled[2, m], pulled[3, m]
            per = 1.0 / r_m[m] if r_m[m] > 0.0 else 0.0
            radial = pulled[0, m] - (gx * x + gy * y + gz * z) * per
            f[0], f[1], f[2] = radial * x + gx * per, radial * y + gy * per, radial * z + gz * per
            pair = pair_m[m]
            j = j_p[pair]
            for a in range(3):
                forces[j, a] -= f[a]
                forces[i, a] += f[a]
                for b in range(3):
                    virials[crystal, a, b] -= f[a] * vector_pc[pair, b]


@kernel(fastmath=FAST)
def soap_gradients(
    i, begin, start_k, r_p, j_p, vector_pc, types, cutoff, width, poly, step, factor, core, species, p, norm, c,
    out, pair_m,
):  # fmt: skip
    """Write d p / d x_j of atom i for each neighbour m and direction: `out` (3 m + direction, D); `pair_m` its pairs.

    Returns the number of neighbours. The gradient by the atom itself is minus their sum.
    """
    n_max, top = len(core), len(factor) - 1
    many, room, size = c.shape[1], poly.shape[2], len(p)
    wide = room // (top + 1)
    most = _most(start_k[i - begin : i - begin + 2])
    u, r_m, first_s = np.empty((3, most)), np.empty(most), np.empty(species + 1, np.int64)
    used = _sorted(
        start_k[i - begin], start_k[i - begin + 1], r_p, j_p, vector_pc, types, cutoff, pair_m, first_s, u, r_m
    )
    legendre, powers, ylm = room_for_harmonics(top, most)
    harmonics(u, (used + 3) // 4 * 4, factor, legendre, powers, ylm, True)
    h, dh, t, rows = np.empty(room), np.empty(room), np.empty((4, many)), np.empty((3, many, many))
    per_norm = 1.0 / norm if norm > 0.0 else 0.0
    for m in range(used):
        s = types[j_p[pair_m[m]]]
        _radial(r_m[m], cutoff, width, poly, step, h, dh)
        per = 1.0 / r_m[m] if r_m[m] > 0.0 else 0.0
        at = s * n_max
        for l in range(top + 1):
            t[:] = 0.0
            for k in range(l * l, (l + 1) * (l + 1)):
                y, yx, yy, yz = ylm[0, k, m], ylm[1, k, m], ylm[2, k, m], ylm[3, k, m]
                inward = yx * u[0, m] + yy * u[1, m] + yz * u[2, m]
                yx, yy, yz = (yx - inward * u[0, m]) * per, (yy - inward * u[1, m]) * per, (yz - inward * u[2, m]) * per
                own = c[k]
                for a in range(np.uint64(many)):
                    t[0, a] += y * own[a]
                    t[1, a] += yx * own[a]
                    t[2, a] += yy * own[a]
                    t[3, a] += yz * own[a]
            scale = per_norm / math.sqrt(2 * l + 1.0)
            # d q_ab = Σ_lm (dc_a c_b + c_a dc_b) with dc = h' Y u + h ∇Y, for a or b among those of the neighbour
            for x in range(3):
                row = rows[x]
                if species > 1:
                    row[:] = 0.0
                for n in range(n_max):
                    slope, value = dh[l * wide + n] * u[x, m] * scale, h[l * wide + n] * scale
                    line = row[at + n]
                    for b in range(np.uint64(many)):
                        line[b] = slope * t[0, b] + value * t[x + 1, b]
                line = out[3 * m + x]
                d = l
                for a in range(many):
                    for b in range(a):
                        line[d] = _ROOT2 * (row[a, b] + row[b, a])
                        d += top + 1
                    line[d] = 2.0 * row[a, a]
                    d += top + 1
        for x in range(3):
            line = out[3 * m + x]
            along = 0.0
            for d in range(size):
                along += line[d] * p[d]
            for d in range(size):
                line[d] -= along * p[d]
    return used


@kernel(fastmath=FAST)
def scatter_rows(i, used, pair_m, j_p, vector_pc, products, slope_m, crystal_n, forces, virials, first):
    """Add rows of forces (N, 3, M) and virials (B, 3, 3, M) of one atom: gradients times points, times dk/d(p · p').

    `products` is (3 · used, M), `slope_m` (M,); atoms of `forces` count from `first`.
    """
    size = np.uint64(len(slope_m))
    for n in range(used):
        j = j_p[pair_m[n]] - first
        for x in range(3):
            row = products[3 * n + x]
            at_j, at_i = forces[j, x], forces[i - first, x]
            for m in range(size):
                row[m] *= slope_m[m]
                at_j[m] -= row[m]
                at_i[m] += row[m]
            for y in range(3):
                v, out = vector_pc[pair_m[n], y], virials[crystal_n[i], x, y]
                for m in range(size):
                    out[m] -= v * row[m]
