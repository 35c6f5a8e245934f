"""SOAP vectors of blocks of atoms, what pulls derivatives by them back to the atoms, and their gradients; compiled.

The neighbours of the atoms of a block stand one after the other: those of atom i are `start_k[i - begin]` to the next,
with distances `r_p`, vectors `vector_pc` and other atoms `j_p`. Coefficients of a density are c[lm, a], a = s n_max +
n. Components of a power spectrum follow the model files: for a, for b ≤ a, for l. All that one atom needs is written
into arrays over its neighbours, sorted by type, so that inner loops become vector instructions.
"""

import math

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.potentials.gap._harmonics import harmonics, room_for_harmonics
from lodewell.potentials.uf._sums import FAST

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
