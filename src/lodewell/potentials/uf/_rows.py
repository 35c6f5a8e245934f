"""Energies, forces and virials of B-splines as linear functions of the coefficients, compiled."""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.crystals.neighbours.neighbours import shift_vectors, wrapped_positions
from lodewell.potentials.uf._sums import basis, gather, interval


@inner(fastmath=FAST)
def pair_rows(i, count, types, d_mc, r_m, other_m, energy_p, force_ncp, virial_cp, pair_axis, pair_column, pair_size,
              low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place, eight):  # fmt: skip
    """Add the pairs of atom i, each with weight 1/2: the list holds every pair twice."""
    ti = types[i]
    for m in range(count):
        j, r = other_m[m], r_m[m]
        axis = pair_axis[ti, types[j]]
        if axis < 0 or r >= high[axis] or r == 0.0:
            continue
        inside = max(r, low[axis])  # below the axis a curve goes on with its slope
        k = interval(inside, axis, low, per_step, lookup_first, lookup, interval_first, edge)
        basis(inside - edge[k], k, powers, eight)
        dx, dy, dz = d_mc[m, 0], d_mc[m, 1], d_mc[m, 2]
        for q in range(4):
            function = place[k] - 3 + q
            if function < 0 or function >= pair_size[ti, types[j]]:
                continue
            p = pair_column[ti, types[j]] + function
            energy_p[p] += 0.5 * (eight[q] + (r - inside) * eight[4 + q])
            g = 0.5 * eight[4 + q] / r  # the force on i is du/dr along the bond
            force_ncp[i, 0, p] += g * dx
            force_ncp[i, 1, p] += g * dy
            force_ncp[i, 2, p] += g * dz
            force_ncp[j, 0, p] -= g * dx
            force_ncp[j, 1, p] -= g * dy
            force_ncp[j, 2, p] -= g * dz
            virial_cp[0, p] -= g * dx * dx
            virial_cp[1, p] -= g * dy * dy
            virial_cp[2, p] -= g * dz * dz
            virial_cp[3, p] -= g * dy * dz
            virial_cp[4, p] -= g * dx * dz
            virial_cp[5, p] -= g * dx * dy


@inner(fastmath=FAST)
def triple_rows(i, ma, mb, d_mc, r_m, other_m, energy_p, force_ncp, virial_cp, axes, base_xy, range_z,
                low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place,
                fx, fy, fz):  # fmt: skip
    """Add the triple of atom i and two neighbours; `base_xy` says where the functions of x and y begin."""
    ra, rb = r_m[ma], r_m[mb]
    ux, uy, uz = d_mc[mb, 0] - d_mc[ma, 0], d_mc[mb, 1] - d_mc[ma, 1], d_mc[mb, 2] - d_mc[ma, 2]
    r = math.sqrt(ux * ux + uy * uy + uz * uz)
    if (ra < low[axes[0]] or ra >= high[axes[0]] or rb < low[axes[1]] or rb >= high[axes[1]]
            or r < low[axes[2]] or r >= high[axes[2]]):  # fmt: skip
        return
    kx = interval(ra, axes[0], low, per_step, lookup_first, lookup, interval_first, edge)
    ky = interval(rb, axes[1], low, per_step, lookup_first, lookup, interval_first, edge)
    kz = interval(r, axes[2], low, per_step, lookup_first, lookup, interval_first, edge)
    basis(ra - edge[kx], kx, powers, fx)
    basis(rb - edge[ky], ky, powers, fy)
    basis(r - edge[kz], kz, powers, fz)
    per_a, per_b, per_r = 1.0 / ra, 1.0 / rb, 1.0 / r if r > 0.0 else 0.0
    ax, ay, az = d_mc[ma, 0] * per_a, d_mc[ma, 1] * per_a, d_mc[ma, 2] * per_a
    bx, by, bz = d_mc[mb, 0] * per_b, d_mc[mb, 1] * per_b, d_mc[mb, 2] * per_b
    cx, cy, cz = ux * per_r, uy * per_r, uz * per_r
    ja, jb = other_m[ma], other_m[mb]
    for m in range(4):
        x = place[kx] + m
        for n in range(4):
            y = place[ky] + n
            base = base_xy[x, y]
            if base < 0:
                continue
            vxy, sx, sy = fx[m] * fy[n], fx[4 + m] * fy[n], fx[m] * fy[4 + n]
            for q in range(4):
                z = place[kz] + q
                if z < range_z[x, y, 0] or z >= range_z[x, y, 1]:
                    continue
                p = base + z - range_z[x, y, 0]
                energy_p[p] += vxy * fz[q]
                ga, gb, gc = sx * fz[q], sy * fz[q], vxy * fz[4 + q]
                fax, fay, faz = gc * cx - ga * ax, gc * cy - ga * ay, gc * cz - ga * az
                fbx, fby, fbz = -gc * cx - gb * bx, -gc * cy - gb * by, -gc * cz - gb * bz
                force_ncp[ja, 0, p] += fax
                force_ncp[ja, 1, p] += fay
                force_ncp[ja, 2, p] += faz
                force_ncp[jb, 0, p] += fbx
                force_ncp[jb, 1, p] += fby
                force_ncp[jb, 2, p] += fbz
                force_ncp[i, 0, p] -= fax + fbx
                force_ncp[i, 1, p] -= fay + fby
                force_ncp[i, 2, p] -= faz + fbz
                ga, gb, gc = -ga * ra, -gb * rb, -gc * r
                virial_cp[0, p] += ga * ax * ax + gb * bx * bx + gc * cx * cx
                virial_cp[1, p] += ga * ay * ay + gb * by * by + gc * cy * cy
                virial_cp[2, p] += ga * az * az + gb * bz * bz + gc * cz * cz
                virial_cp[3, p] += ga * ay * az + gb * by * bz + gc * cy * cz
                virial_cp[4, p] += ga * ax * az + gb * bx * bz + gc * cx * cz
                virial_cp[5, p] += ga * ax * ay + gb * bx * by + gc * cx * cy


@kernel(fastmath=FAST)
def uf_rows(
    positions, cell, types, first_n, last_n, j_p, image_p, wraps, reach, cutoff, leg_tt, each_atom, columns,
    low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place,
    pair_axis, pair_column, pair_size, triple_axes, triple_table, base_txy, range_txy,
):  # fmt: skip
    """Return energy rows (N, P) or (1, P), force rows (N, 3, P) and virial rows (6, P; xx yy zz yz xz xy) of a crystal.

    The first columns are the energies of lone atoms. With `each_atom` there is an energy row for each atom.
    """
    count_n = len(positions)
    energies = np.zeros((count_n if each_atom else 1, columns))
    forces, virial = np.zeros((count_n, 3, columns)), np.zeros((6, columns))
    most = 0
    for n in range(count_n):
        most = max(most, last_n[n] - first_n[n])
    x_nc, shift_kc = np.empty((count_n, 3)), np.empty(((2 * reach[0] + 1) * (2 * reach[1] + 1) * (2 * reach[2] + 1), 3))
    d_mc, r_m, other_m = np.empty((most + 1, 3)), np.empty(most + 1), np.empty(most + 1, np.int64)
    fx, fy, fz = np.empty(8), np.empty(8), np.empty(8)
    shift_vectors(cell, reach, shift_kc)
    wrapped_positions(positions, cell, wraps, x_nc)
    for i in range(count_n):
        energy_p = energies[i if each_atom else 0]
        energy_p[types[i]] += 1.0
        count = gather(i, first_n[i], last_n[i], x_nc, shift_kc, j_p, image_p, cutoff * cutoff, d_mc, r_m, other_m)
        pair_rows(
            i, count, types, d_mc, r_m, other_m, energy_p, forces, virial, pair_axis, pair_column, pair_size,
            low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place, fx,
        )  # fmt: skip
        for a in range(count):
            if r_m[a] >= leg_tt[types[i], types[other_m[a]]] or r_m[a] == 0.0:
                continue
            for b in range(a + 1, count):
                if r_m[b] >= leg_tt[types[i], types[other_m[b]]] or r_m[b] == 0.0:
                    continue
                swap = types[other_m[a]] > types[other_m[b]]
                c, d = (b, a) if swap else (a, b)
                kind = triple_table[types[i], types[other_m[c]], types[other_m[d]]]
                if kind >= 0:
                    triple_rows(
                        i, c, d, d_mc, r_m, other_m, energy_p, forces, virial, triple_axes[kind],
                        base_txy[kind], range_txy[kind], low, high, per_step, lookup_first, lookup, interval_first,
                        edge, powers, place, fx, fy, fz,
                    )  # fmt: skip
    return energies, forces, virial
