"""Energy, forces and virial of one crystal by a spline MEAM, and their derivatives by every coefficient.

Splines are sums of cubic B-splines on even knots, so that a number touches four coefficients. Columns are those of φ
and U first, in which energy and forces are linear, then those of ρ, f and g, which enter through n. For coefficients
θ of the latter, with the gradient G_j = dn/dr_j,

    d(dE/dr_j)/dθ = U''(n) (dn/dθ) G_j + U'(n) dG_j/dθ .
"""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions
from lodewell.potentials.meam._sums import gather


@inner(fastmath=FAST)
def basis(x, s, origin_s, per_step_s, last_s, first_s, out):
    """Write the four B-splines at x, their slopes and their curvatures to out[:12]; return the first column.

    Outside its knots a spline is a straight line.
    """
    per = per_step_s[s]
    u = (x - origin_s[s]) * per
    inside = min(max(u, 0.0), float(last_s[s]))
    cell = min(int(inside), last_s[s] - 1)
    t = inside - cell
    v = 1.0 - t
    out[0], out[3] = v * v * v / 6.0, t * t * t / 6.0
    out[1] = (4.0 + t * t * (3.0 * t - 6.0)) / 6.0
    out[2] = (4.0 + v * v * (3.0 * v - 6.0)) / 6.0
    out[4], out[7] = -0.5 * v * v, 0.5 * t * t
    out[5], out[6] = t * (1.5 * t - 2.0), v * (2.0 - 1.5 * v)
    beyond = u - inside
    curved = per * per if beyond == 0.0 else 0.0
    out[8], out[9], out[10], out[11] = curved * v, curved * (3.0 * t - 2.0), curved * (3.0 * v - 2.0), curved * t
    for m in range(4):
        out[m] += beyond * out[4 + m]
        out[4 + m] *= per
    return first_s[s] + cell


@inner(fastmath=FAST)
def legs(count, near, types, other, vector_pc, kind, phi_tt, rho_t, f_t, splines, x_p, leg_px, phi_px, rho_px, f_px,
         column_px):  # fmt: skip
    """Write direction and distance of each neighbour and the bases of φ, ρ and, where near, f."""
    for q in range(count):
        r = math.sqrt(vector_pc[q, 3])
        per_r = 1.0 / r if r > 0.0 else 0.0
        leg_px[q, 0], leg_px[q, 1], leg_px[q, 2] = (
            per_r * vector_pc[q, 0], per_r * vector_pc[q, 1], per_r * vector_pc[q, 2],
        )  # fmt: skip
        leg_px[q, 3], leg_px[q, 4] = r, per_r
        t = types[other[q]]
        column_px[q, 0] = basis(r, phi_tt[kind, t], *splines, phi_px[q])
        column_px[q, 1] = basis(r, rho_t[t], *splines, rho_px[q])
        leg_px[q, 5] = leg_px[q, 6] = 0.0
        if r < near:
            column_px[q, 2] = basis(r, f_t[t], *splines, f_px[q])
            for m in range(4):
                leg_px[q, 5] += f_px[q, m] * x_p[column_px[q, 2] + m]
                leg_px[q, 6] += f_px[q, 4 + m] * x_p[column_px[q, 2] + m]


@inner(fastmath=FAST)
def triples(near_list, count, types, other, g_tt, splines, x_p, linear, want, leg_px, f_px, column_px, sum_px, dn_p,
            dg_pcp, out):  # fmt: skip
    """Sum over pairs of near neighbours: A and T of each (see `_meam_sums`) to `sum_px`, dn/dθ and dG/dθ; return n."""
    density = 0.0
    for a in range(count):
        j = near_list[a]
        ex, ey, ez, per_j, fj, dfj = leg_px[j, 0], leg_px[j, 1], leg_px[j, 2], leg_px[j, 4], leg_px[j, 5], leg_px[j, 6]
        cj = column_px[j, 2] - linear
        for b in range(a):
            k = near_list[b]
            kx, ky, kz, per_k = leg_px[k, 0], leg_px[k, 1], leg_px[k, 2], leg_px[k, 4]
            fk, dfk = leg_px[k, 5], leg_px[k, 6]
            ck = column_px[k, 2] - linear
            c = ex * kx + ey * ky + ez * kz
            first = basis(c, g_tt[types[other[j]], types[other[k]]], *splines, out)
            g = dg = 0.0
            for m in range(4):
                g += out[m] * x_p[first + m]
                dg += out[4 + m] * x_p[first + m]
            density += fj * fk * g
            sum_px[j, 0] += fk * g
            sum_px[k, 0] += fj * g
            sum_px[j, 1] += fk * dg * kx
            sum_px[j, 2] += fk * dg * ky
            sum_px[j, 3] += fk * dg * kz
            sum_px[k, 1] += fj * dg * ex
            sum_px[k, 2] += fj * dg * ey
            sum_px[k, 3] += fj * dg * ez
            if not want:
                continue
            first -= linear
            both = fj * fk
            for m in range(4):
                dn_p[first + m] += both * out[m]
            for d in range(3):
                ej, ek = leg_px[j, d], leg_px[k, d]
                turn_j, turn_k = (ek - c * ej) * per_j, (ej - c * ek) * per_k
                along_j, along_k = dfj * fk * ej, fj * dfk * ek
                push_j, push_k = dfj * g * ej + fj * dg * turn_j, dfk * g * ek + fk * dg * turn_k
                turn_j *= both
                turn_k *= both
                for m in range(4):
                    dg_pcp[j, d, first + m] += along_j * out[m] + turn_j * out[4 + m]
                    dg_pcp[k, d, first + m] += along_k * out[m] + turn_k * out[4 + m]
                    dg_pcp[j, d, ck + m] += push_j * f_px[k, m]
                    dg_pcp[k, d, cj + m] += push_k * f_px[j, m]
    return density


@inner(fastmath=FAST)
def legs_done(count, near, linear, want, leg_px, rho_px, f_px, column_px, x_p, sum_px, dn_p, dg_pcp, g_pc):
    """Add each neighbour's own part of dn/dθ, G and dG/dθ; return the density of ρ."""
    density = 0.0
    for q in range(count):
        drho = 0.0
        c = column_px[q, 1]
        for m in range(4):
            density += rho_px[q, m] * x_p[c + m]
            drho += rho_px[q, 4 + m] * x_p[c + m]
        a, tx, ty, tz = sum_px[q, 0], sum_px[q, 1], sum_px[q, 2], sum_px[q, 3]
        along = tx * leg_px[q, 0] + ty * leg_px[q, 1] + tz * leg_px[q, 2]
        close = leg_px[q, 3] < near
        for d in range(3):
            e = leg_px[q, d]
            turn = (sum_px[q, 1 + d] - along * e) * leg_px[q, 4]
            g_pc[q, d] = (drho + leg_px[q, 6] * a) * e + leg_px[q, 5] * turn
            if want:
                for m in range(4):
                    dg_pcp[q, d, c - linear + m] += rho_px[q, 4 + m] * e
                if close:
                    for m in range(4):
                        dg_pcp[q, d, column_px[q, 2] - linear + m] += f_px[q, 4 + m] * a * e + f_px[q, m] * turn
        if want:
            for m in range(4):
                dn_p[c - linear + m] += rho_px[q, m]
            if close:
                for m in range(4):
                    dn_p[column_px[q, 2] - linear + m] += f_px[q, m] * a
    return density


@inner(fastmath=FAST)
def spread(i, count, linear, want, other, vector_pc, leg_px, phi_px, column_px, g_pc, dn_p, dg_pcp, embed, column_u,
           slope, curvature, x_p, value_r, rows_rp, v_cp):  # fmt: skip
    """Add one atom's forces and virial and their derivatives to the rows of the crystal."""
    atoms = (len(value_r) - 7) // 3
    last = 1 + 3 * atoms
    here = 1 + 3 * i
    for q in range(count):
        there = 1 + 3 * other[q]
        dx, dy, dz = vector_pc[q, 0], vector_pc[q, 1], vector_pc[q, 2]
        first = column_px[q, 0]
        dphi = 0.0
        for m in range(4):
            dphi += phi_px[q, 4 + m] * x_p[first + m]
        for d in range(3):
            e = leg_px[q, d]
            pull = 0.5 * dphi * e + slope * g_pc[q, d]
            value_r[here + d] += pull
            value_r[there + d] -= pull
            v_cp[d, 0] = pull
        _virial(value_r, last, v_cp, dx, dy, dz)
        for d in range(3):  # φ, then U
            e = leg_px[q, d]
            for m in range(4):
                p = first + m
                part = 0.5 * phi_px[q, 4 + m] * e
                rows_rp[here + d, p] += part
                rows_rp[there + d, p] -= part
                _virial_column(rows_rp, last, p, d, part, dx, dy, dz)
                p = column_u + m
                part = embed[4 + m] * g_pc[q, d]
                rows_rp[here + d, p] += part
                rows_rp[there + d, p] -= part
                _virial_column(rows_rp, last, p, d, part, dx, dy, dz)
        if not want:
            continue
        for d in range(3):
            bent = curvature * g_pc[q, d]
            for p in range(len(dn_p)):
                v_cp[d, p] = bent * dn_p[p] + slope * dg_pcp[q, d, p]
        for d in range(3):
            for p in range(len(dn_p)):
                rows_rp[here + d, linear + p] += v_cp[d, p]
                rows_rp[there + d, linear + p] -= v_cp[d, p]
        for p in range(len(dn_p)):
            vx, vy, vz = v_cp[0, p], v_cp[1, p], v_cp[2, p]
            rows_rp[last, linear + p] -= vx * dx
            rows_rp[last + 1, linear + p] -= vy * dy
            rows_rp[last + 2, linear + p] -= vz * dz
            rows_rp[last + 3, linear + p] -= 0.5 * (vy * dz + vz * dy)
            rows_rp[last + 4, linear + p] -= 0.5 * (vx * dz + vz * dx)
            rows_rp[last + 5, linear + p] -= 0.5 * (vx * dy + vy * dx)


@inner(fastmath=FAST)
def _virial(value_r, last, v_cp, dx, dy, dz):
    vx, vy, vz = v_cp[0, 0], v_cp[1, 0], v_cp[2, 0]
    value_r[last] -= vx * dx
    value_r[last + 1] -= vy * dy
    value_r[last + 2] -= vz * dz
    value_r[last + 3] -= 0.5 * (vy * dz + vz * dy)
    value_r[last + 4] -= 0.5 * (vx * dz + vz * dx)
    value_r[last + 5] -= 0.5 * (vx * dy + vy * dx)


@inner(fastmath=FAST)
def _virial_column(rows_rp, last, p, d, part, dx, dy, dz):
    if d == 0:
        rows_rp[last, p] -= part * dx
        rows_rp[last + 4, p] -= 0.5 * part * dz
        rows_rp[last + 5, p] -= 0.5 * part * dy
    elif d == 1:
        rows_rp[last + 1, p] -= part * dy
        rows_rp[last + 3, p] -= 0.5 * part * dz
        rows_rp[last + 5, p] -= 0.5 * part * dx
    else:
        rows_rp[last + 2, p] -= part * dz
        rows_rp[last + 3, p] -= 0.5 * part * dy
        rows_rp[last + 4, p] -= 0.5 * part * dx


@kernel(fastmath=FAST)
def crystal_rows(
    cutoff, near, linear, want, x_p, origin_s, per_step_s, last_s, first_s, phi_tt, rho_t, u_t, f_t, g_tt,
    positions, cell, types, first_n, last_n, j_p, image_p, wraps, reach, value_r, rows_rp, n_n,
):  # fmt: skip
    """Fill `value_r` (R,) and `rows_rp` (R, P), R = 1 + 3 N + 6: energy, forces, virial xx yy zz yz xz xy; and n (N,).

    `want` asks for the columns of ρ, f and g too, those from `linear` on.
    """
    splines = (origin_s, per_step_s, last_s, first_s)
    value_r[:] = 0.0
    rows_rp[:] = 0.0
    most = 1
    for n in range(len(positions)):
        most = max(most, last_n[n] - first_n[n])
    x_nc, shift_kc = np.empty(positions.shape), np.empty((most_images(reach), 3))
    shift_vectors(cell, reach[0], shift_kc)
    wrapped_positions(positions, cell, wraps, x_nc)
    bent = len(x_p) - linear
    vector_pc, other, near_list = np.empty((most + 1, 4)), np.empty(most + 1, np.int64), np.empty(most, np.int64)
    leg_px, sum_px, g_pc = np.empty((most, 7)), np.empty((most, 4)), np.empty((most, 3))
    phi_px, rho_px, f_px = np.empty((most, 12)), np.empty((most, 12)), np.empty((most, 12))
    column_px = np.zeros((most, 3), np.int64)
    dn_p, dg_pcp, v_cp = np.empty(bent), np.empty((most if want else 1, 3, bent)), np.empty((3, max(bent, 1)))
    embed, out, count_t = np.empty(12), np.empty(12), np.empty(2 * len(rho_t), np.int64)
    for i in range(len(positions)):
        count = gather(
            i, first_n[i], last_n[i], x_nc.ravel(), shift_kc.ravel(), j_p, image_p, cutoff * cutoff, near * near,
            types, count_t, vector_pc, other,
        )  # fmt: skip
        legs(count, near, types, other, vector_pc, types[i], phi_tt, rho_t, f_t, splines, x_p, leg_px, phi_px, rho_px,
             f_px, column_px)  # fmt: skip
        sum_px[:count] = 0.0
        dn_p[:] = 0.0
        close = 0
        for q in range(count):
            if leg_px[q, 3] < near:
                near_list[close] = q
                close += 1
            if want:
                dg_pcp[q] = 0.0
        density = triples(near_list, close, types, other, g_tt, splines, x_p, linear, want, leg_px, f_px, column_px,
                          sum_px, dn_p, dg_pcp, out)  # fmt: skip
        density += legs_done(
            count, near, linear, want, leg_px, rho_px, f_px, column_px, x_p, sum_px, dn_p, dg_pcp, g_pc
        )
        n_n[i] = density
        column_u = basis(density, u_t[types[i]], *splines, embed)
        slope = curvature = 0.0
        for m in range(4):
            value_r[0] += embed[m] * x_p[column_u + m]
            rows_rp[0, column_u + m] += embed[m]
            slope += embed[4 + m] * x_p[column_u + m]
            curvature += embed[8 + m] * x_p[column_u + m]
        for q in range(count):
            for m in range(4):
                value_r[0] += 0.5 * phi_px[q, m] * x_p[column_px[q, 0] + m]
                rows_rp[0, column_px[q, 0] + m] += 0.5 * phi_px[q, m]
        if want:
            for p in range(bent):
                rows_rp[0, linear + p] += slope * dn_p[p]
        spread(i, count, linear, want, other, vector_pc, leg_px, phi_px, column_px, g_pc, dn_p, dg_pcp, embed, column_u,
               slope, curvature, x_p, value_r, rows_rp, v_cp)  # fmt: skip


@kernel
def count_cosines(
    cutoff, count_t, bins, positions, cells, first_b, types_n, first_n, last_n, j_p, image_p, wraps, reach
):
    """Count cosines between neighbours within the cutoff of every atom, by their types: (T, T, bins)."""
    out = np.zeros((count_t, count_t, bins))
    most = largest = 1
    for b in range(len(cells)):
        largest = max(largest, first_b[b + 1] - first_b[b])
    for n in range(len(positions)):
        most = max(most, last_n[n] - first_n[n])
    x_nc, shift_kc = np.empty((largest, 3)), np.empty((most_images(reach), 3))
    unit_pc, type_p = np.empty((most, 3)), np.empty(most, np.int64)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        shift_vectors(cells[b], reach[b], shift_kc)
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], x_nc)
        for i in range(e - s):
            used = 0
            for p in range(first_n[s + i], last_n[s + i]):
                square = 0.0
                for c in range(3):
                    unit_pc[used, c] = x_nc[j_p[p], c] - x_nc[i, c] + shift_kc[image_p[p], c]
                    square += unit_pc[used, c] ** 2
                if 0.0 < square < cutoff * cutoff:
                    unit_pc[used] /= math.sqrt(square)
                    type_p[used] = types_n[s + j_p[p]]
                    for k in range(used):
                        cosine = 0.0
                        for c in range(3):
                            cosine += unit_pc[used, c] * unit_pc[k, c]
                        low, high = min(type_p[used], type_p[k]), max(type_p[used], type_p[k])
                        out[low, high, min(int(0.5 * (cosine + 1.0) * bins), bins - 1)] += 1.0
                    used += 1
    return out
