"""Sums of two- and three-body B-splines over neighbours, compiled."""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions

_ONE, _EIGHT, _SIXTEEN = np.uint64(1), np.uint64(8), np.uint64(16)
_LEG = 32  # numbers a leg: 16 functions and 16 slopes, laid out for a product with the other leg's


@inner(inline="always")
def interval(r, axis, low, per_step, lookup_first, lookup, interval_first, edge):
    """Return the interval of a distance that lies on the axis."""
    entry = np.int64((r - low[axis]) * per_step[axis])
    entry = min(entry, lookup_first[axis + 1] - lookup_first[axis] - 1)
    k = interval_first[axis] + lookup[lookup_first[axis] + entry]
    while k + 1 < interval_first[axis + 1] and r >= edge[k + 1]:
        k += 1
    return k


@inner(fastmath=FAST)
def basis(t, k, powers, out):
    """Write the four functions of interval k and their slopes at t beyond its edge into `out[:8]`."""
    a = np.uint64(32 * k)
    b, c, d = a + _EIGHT, a + _SIXTEEN, a + np.uint64(24)
    for n in range(_EIGHT):
        out[n] = powers[a + n] + t * (powers[b + n] + t * (powers[c + n] + t * powers[d + n]))


@inner(fastmath=FAST)
def gather(i, begin, end, x_nc, shift_kc, j_p, image_p, square, d_mc, r_m, other_m):
    """Collect the neighbours of atom i within the cutoff: vectors, distances and indices; return how many."""
    count = 0
    xi, yi, zi = x_nc[i, 0], x_nc[i, 1], x_nc[i, 2]
    for p in range(begin, end):
        j, image = j_p[p], image_p[p]
        dx = x_nc[j, 0] - xi + shift_kc[image, 0]
        dy = x_nc[j, 1] - yi + shift_kc[image, 1]
        dz = x_nc[j, 2] - zi + shift_kc[image, 2]
        r2 = dx * dx + dy * dy + dz * dz
        d_mc[count, 0], d_mc[count, 1], d_mc[count, 2] = dx, dy, dz
        r_m[count] = r2
        other_m[count] = j
        count += r2 < square
    for m in range(count):
        r_m[m] = math.sqrt(r_m[m])
    return count


@inner
def by_type(count, types, d_mc, r_m, other_m, cutoff_t, order_a, start_t, leg_ca):
    """Sort the neighbours that take part in triples by type into `leg_ca`: x, y, z, r; zero their forces (three more).

    Those of type t are `start_t[t] : start_t[t + 1]`, and `order_a` says which neighbour each is.
    """
    used = 0
    for t in range(len(start_t) - 1):
        start_t[t] = used
        for m in range(count):
            if types[other_m[m]] == t and r_m[m] < cutoff_t[t] and r_m[m] > 0.0:
                order_a[used] = m
                leg_ca[0, used], leg_ca[1, used], leg_ca[2, used] = d_mc[m, 0], d_mc[m, 1], d_mc[m, 2]
                leg_ca[3, used] = r_m[m]
                leg_ca[4, used] = leg_ca[5, used] = leg_ca[6, used] = 0.0
                used += 1
    start_t[len(start_t) - 1] = used


@inner(fastmath=FAST)
def legs(first, last, inner, r_a, axis, low, high, per_step, lookup_first, lookup, interval_first, edge, powers,
         eight, numbers_a, cell_a):  # fmt: skip
    """Write each leg's functions and slopes, four times over, and its interval; -1 where it is off the axis.

    `inner` runs fastest: the four one after the other, four times; else each is written four times running.
    """
    for a in range(first, last):
        r = r_a[a]
        if r < low[axis] or r >= high[axis]:
            cell_a[a] = -1
            continue
        k = interval(r, axis, low, per_step, lookup_first, lookup, interval_first, edge)
        basis(r - edge[k], k, powers, eight)
        cell_a[a] = k - interval_first[axis]
        for m in range(4):
            for q in range(4):
                at = _LEG * a + (4 * m + q if inner else 4 * q + m)
                numbers_a[at] = eight[q]
                numbers_a[at + 16] = eight[4 + q]


@inner(fastmath=FAST)
def contract(table, at, x, xa, y, ya, z):
    """Contract 4 x 16 coefficients with the functions of z and the products of those of x and y.

    Returns the value and its slopes along x, y and z. Indices are unsigned and the loop runs over contiguous numbers,
    so that it becomes vector instructions.
    """
    z0, z1, z2, z3, w0, w1, w2, w3 = z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7]
    u = ux = uy = uz = 0.0
    c0 = np.uint64(at)
    c1, c2, c3 = c0 + _SIXTEEN, c0 + np.uint64(32), c0 + np.uint64(48)
    x0, y0 = np.uint64(xa), np.uint64(ya)
    x1, y1 = x0 + _SIXTEEN, y0 + _SIXTEEN
    for n in range(_SIXTEEN):
        t0, t1, t2, t3 = table[c0 + n], table[c1 + n], table[c2 + n], table[c3 + n]
        v = z0 * t0 + z1 * t1 + z2 * t2 + z3 * t3
        w = w0 * t0 + w1 * t1 + w2 * t2 + w3 * t3
        a, b = x[x0 + n], y[y0 + n]
        u += a * b * v
        ux += x[x1 + n] * b * v
        uy += a * y[y1 + n] * v
        uz += a * b * w
    return u, ux, uy, uz


@inner(fastmath=FAST)
def sum_pairs_of(count, ti, s, types, d_mc, r_m, other_m, f_mc, pair_axis, pair_at, pair_numbers,
                 low, high, per_step, lookup_first, lookup, interval_first, edge):  # fmt: skip
    """Return one atom's half of its pair energies and put the halved forces on its neighbours in `f_mc`."""
    energy = 0.0
    for m in range(count):
        f_mc[m, 0] = f_mc[m, 1] = f_mc[m, 2] = 0.0
        tj = types[s + other_m[m]]
        axis, r = pair_axis[ti, tj], r_m[m]
        if axis < 0 or r >= high[axis] or r == 0.0:
            continue
        inside = max(r, low[axis])
        k = interval(inside, axis, low, per_step, lookup_first, lookup, interval_first, edge)
        t = inside - edge[k]
        at = pair_at[ti, tj] + 4 * (k - interval_first[axis])
        c1, c2, c3 = pair_numbers[at + 1], pair_numbers[at + 2], pair_numbers[at + 3]
        u = pair_numbers[at] + t * (c1 + t * (c2 + t * c3))
        du = c1 + t * (2.0 * c2 + 3.0 * t * c3)
        energy += 0.5 * (u + (r - inside) * du)  # below the axis the curve goes on with its slope
        g = -0.5 * du / r
        f_mc[m, 0], f_mc[m, 1], f_mc[m, 2] = g * d_mc[m, 0], g * d_mc[m, 1], g * d_mc[m, 2]
    return energy


@inner(fastmath=FAST)
def sum_triples_of(ti, start_t, leg_ca, x_a, xcell_a, y_a, ycell_a, eight, work_ca,
                   triple_axes, triple_at, triple_shape, table,
                   low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place):  # fmt: skip
    """Return the three-body energy of one atom and leave the forces on its neighbours in `leg_ca[4:]`."""
    energy = 0.0
    kinds = len(start_t) - 1
    for ta in range(kinds):
        for tb in range(ta, kinds):
            if triple_at[ti, ta, tb] < 0 or start_t[ta] == start_t[ta + 1] or start_t[tb] == start_t[tb + 1]:
                continue
            start, row, plane = triple_at[ti, ta, tb], triple_shape[ti, ta, tb, 0], triple_shape[ti, ta, tb, 1]
            ax, ay, az = triple_axes[ti, ta, tb, 0], triple_axes[ti, ta, tb, 1], triple_axes[ti, ta, tb, 2]
            legs(start_t[ta], start_t[ta + 1], False, leg_ca[3], ax, low, high, per_step, lookup_first, lookup,
                 interval_first, edge, powers, eight, x_a, xcell_a)  # fmt: skip
            legs(start_t[tb], start_t[tb + 1], True, leg_ca[3], ay, low, high, per_step, lookup_first, lookup,
                 interval_first, edge, powers, eight, y_a, ycell_a)  # fmt: skip
            z_low, z_high = low[az], high[az]
            for a in range(start_t[ta], start_t[ta + 1]):
                if xcell_a[a] < 0:
                    continue
                begin, end = a + 1 if ta == tb else start_t[tb], start_t[tb + 1]
                xa, ya, za = leg_ca[0, a], leg_ca[1, a], leg_ca[2, a]
                for b in range(np.uint64(begin), np.uint64(end)):
                    dx, dy, dz = leg_ca[0, b] - xa, leg_ca[1, b] - ya, leg_ca[2, b] - za
                    work_ca[0, b], work_ca[1, b], work_ca[2, b] = dx, dy, dz
                    work_ca[3, b] = math.sqrt(dx * dx + dy * dy + dz * dz)
                slope_a = fxa = fya = fza = 0.0
                at_a = start + plane * xcell_a[a]
                for b in range(begin, end):
                    r = work_ca[3, b]
                    if ycell_a[b] < 0 or r < z_low or r >= z_high:
                        continue
                    k = interval(r, az, low, per_step, lookup_first, lookup, interval_first, edge)
                    basis(r - edge[k], k, powers, eight)
                    u, ux, uy, uz = contract(
                        table, at_a + row * ycell_a[b] + 16 * place[k], x_a, _LEG * a, y_a, _LEG * b, eight
                    )
                    energy += u
                    slope_a += ux
                    g = uz / r if r > 0.0 else 0.0
                    h = uy / leg_ca[3, b]
                    gx, gy, gz = g * work_ca[0, b], g * work_ca[1, b], g * work_ca[2, b]
                    fxa += gx
                    fya += gy
                    fza += gz
                    leg_ca[4, b] -= gx + h * leg_ca[0, b]
                    leg_ca[5, b] -= gy + h * leg_ca[1, b]
                    leg_ca[6, b] -= gz + h * leg_ca[2, b]
                h = slope_a / leg_ca[3, a]
                leg_ca[4, a] += fxa - h * xa
                leg_ca[5, a] += fya - h * ya
                leg_ca[6, a] += fza - h * za
    return energy


@kernel(fastmath=FAST)
def sum_uf(
    positions, cells, first_b, types, first_n, last_n, j_p, image_p, wraps, reach, cutoff, one_t, leg_tt,
    low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place,
    pair_axis, pair_at, pair_numbers, triple_axes, triple_at, triple_shape, table,
):  # fmt: skip
    """Return energies (N,), forces (N, 3) and virials (B, 3, 3); the arrays are those of `uf.Flat`."""
    energies, forces = np.empty(len(positions)), np.zeros((len(positions), 3))
    virials = np.zeros((len(cells), 3, 3))
    most_atoms = most = 0
    for b in range(len(cells)):
        most_atoms = max(most_atoms, first_b[b + 1] - first_b[b])
    for n in range(len(positions)):
        most = max(most, last_n[n] - first_n[n])
    x_nc, shift_kc = np.empty((most_atoms, 3)), np.empty((most_images(reach), 3))
    d_mc, f_mc, r_m = np.empty((most + 1, 3)), np.empty((most + 1, 3)), np.empty(most + 1)
    other_m, order_a = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    leg_ca, work_ca, eight = np.empty((7, most + 1)), np.empty((4, most + 1)), np.empty(8)
    x_a, y_a = np.empty(_LEG * (most + 1)), np.empty(_LEG * (most + 1))
    xcell_a, ycell_a = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    start_t = np.zeros(len(one_t) + 1, np.int64)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        shift_vectors(cells[b], reach[b], shift_kc)
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], x_nc)
        zero = 0.0 if reach[b, 0] >= 0 else np.nan  # a crystal without a place in space has no energy either
        energies[s:e] = zero
        vxx = vyy = vzz = vyz = vxz = vxy = 0.0
        for i in range(e - s):
            ti = types[s + i]
            count = gather(
                i, first_n[s + i], last_n[s + i], x_nc, shift_kc, j_p, image_p, cutoff * cutoff, d_mc, r_m, other_m
            )
            energy = sum_pairs_of(
                count, ti, s, types, d_mc, r_m, other_m, f_mc, pair_axis, pair_at, pair_numbers,
                low, high, per_step, lookup_first, lookup, interval_first, edge,
            )  # fmt: skip
            by_type(count, types[s:e], d_mc, r_m, other_m, leg_tt[ti], order_a, start_t, leg_ca)
            energy += sum_triples_of(
                ti, start_t, leg_ca, x_a, xcell_a, y_a, ycell_a, eight, work_ca,
                triple_axes, triple_at, triple_shape, table,
                low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place,
            )  # fmt: skip
            for a in range(start_t[-1]):
                m = order_a[a]
                f_mc[m, 0] += leg_ca[4, a]
                f_mc[m, 1] += leg_ca[5, a]
                f_mc[m, 2] += leg_ca[6, a]
            energies[s + i] += one_t[ti] + energy
            fx = fy = fz = 0.0
            for m in range(count):
                gx, gy, gz = f_mc[m, 0], f_mc[m, 1], f_mc[m, 2]
                dx, dy, dz = d_mc[m, 0], d_mc[m, 1], d_mc[m, 2]
                j = s + other_m[m]
                forces[j, 0] += gx
                forces[j, 1] += gy
                forces[j, 2] += gz
                fx += gx
                fy += gy
                fz += gz
                vxx += gx * dx
                vyy += gy * dy
                vzz += gz * dz
                vyz += gy * dz
                vxz += gx * dz
                vxy += gx * dy
            forces[s + i, 0] += zero - fx
            forces[s + i, 1] += zero - fy
            forces[s + i, 2] += zero - fz
        virials[b, 0, 0], virials[b, 1, 1], virials[b, 2, 2] = vxx + zero, vyy + zero, vzz + zero
        virials[b, 1, 2], virials[b, 2, 1] = vyz + zero, vyz + zero
        virials[b, 0, 2], virials[b, 2, 0] = vxz + zero, vxz + zero
        virials[b, 0, 1], virials[b, 1, 0] = vxy + zero, vxy + zero
    return energies, forces, virials
