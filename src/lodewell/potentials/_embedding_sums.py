"""Embedding energies and what they are per coefficient, compiled."""

import numpy as np
from numba import njit

from lodewell.crystals.neighbours import most_images, shift_vectors, wrapped_positions
from lodewell.potentials._uf_sums import FAST, basis, gather, interval

_MOMENTS = 20  # n, 3 of v, 6 of Q (xx yy zz yz xz xy), 10 of T (xxx yyy zzz xxy xxz yyx yyz zzx zzy xyz)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def radial(r, axis, low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place, eight):
    """Return the one function of a five-knot axis and its slope."""
    if r < low[axis] or r >= high[axis]:
        return 0.0, 0.0
    k = interval(r, axis, low, per_step, lookup_first, lookup, interval_first, edge)
    basis(r - edge[k], k, powers, eight)
    q = 3 - place[k]  # the function counts as the fourth, after three that do not exist
    return eight[q], eight[4 + q]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def add_moments(f, x, y, z, moment):
    """Add a neighbour in direction x, y, z with weight f to the moments of a channel."""
    moment[0] += f
    fx, fy, fz = f * x, f * y, f * z
    moment[1] += fx
    moment[2] += fy
    moment[3] += fz
    xx, yy, zz = fx * x, fy * y, fz * z
    moment[4] += xx
    moment[5] += yy
    moment[6] += zz
    moment[7] += fy * z
    moment[8] += fx * z
    moment[9] += fx * y
    moment[10] += xx * x
    moment[11] += yy * y
    moment[12] += zz * z
    moment[13] += xx * y
    moment[14] += xx * z
    moment[15] += yy * x
    moment[16] += yy * z
    moment[17] += zz * x
    moment[18] += zz * y
    moment[19] += fx * y * z


@njit(cache=True, error_model="numpy", fastmath=FAST)
def power(order, m):
    """Return the density of an order from the moments of its channel."""
    n, vv = m[0], m[1] * m[1] + m[2] * m[2] + m[3] * m[3]
    if order == 0:
        return n
    if order == 1:
        return vv
    if order == 2:
        qq = m[4] * m[4] + m[5] * m[5] + m[6] * m[6] + 2.0 * (m[7] * m[7] + m[8] * m[8] + m[9] * m[9])
        return max(0.0, 1.5 * qq - 0.5 * n * n)
    tt = m[10] * m[10] + m[11] * m[11] + m[12] * m[12] + 6.0 * m[19] * m[19]
    for k in range(13, 19):
        tt += 3.0 * m[k] * m[k]
    return max(0.0, 2.5 * tt - 1.5 * vv)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def add_slope(order, weight, m, slope):
    """Add weight times the derivative of a density by the moments; `slope` has one number for n, v, Q and T each.

    The derivatives are multiples of the moments themselves, but for that of n: slope[0] is a number, the others
    multiply v, Q and T.
    """
    if order == 0:
        slope[0] += weight
    elif order == 1:
        slope[1] += 2.0 * weight
    elif order == 2:
        slope[0] -= weight * m[0]
        slope[2] += 3.0 * weight
    else:
        slope[1] -= 3.0 * weight
        slope[3] += 5.0 * weight


@njit(cache=True, error_model="numpy", fastmath=FAST)
def gradient(f, df, per_r, x, y, z, m, slope, out):
    """Write into `out` the derivative, by a neighbour's position, of the energy with these slopes by the moments."""
    qx = m[4] * x + m[9] * y + m[8] * z
    qy = m[9] * x + m[5] * y + m[7] * z
    qz = m[8] * x + m[7] * y + m[6] * z
    xx, yy, zz, yz, xz, xy = x * x, y * y, z * z, 2.0 * y * z, 2.0 * x * z, 2.0 * x * y
    tx = m[10] * xx + m[15] * yy + m[17] * zz + m[19] * yz + m[14] * xz + m[13] * xy
    ty = m[13] * xx + m[11] * yy + m[18] * zz + m[16] * yz + m[19] * xz + m[15] * xy
    tz = m[14] * xx + m[16] * yy + m[12] * zz + m[18] * yz + m[17] * xz + m[19] * xy
    b, c, d = slope[1], slope[2], slope[3]
    gx = b * m[1] + 2.0 * c * qx + 3.0 * d * tx
    gy = b * m[2] + 2.0 * c * qy + 3.0 * d * ty
    gz = b * m[3] + 2.0 * c * qz + 3.0 * d * tz
    along = gx * x + gy * y + gz * z
    whole = slope[0] + b * (m[1] * x + m[2] * y + m[3] * z) + c * (qx * x + qy * y + qz * z)
    whole += d * (tx * x + ty * y + tz * z)
    across = f * per_r
    out[0] = df * whole * x + across * (gx - along * x)
    out[1] = df * whole * y + across * (gy - along * y)
    out[2] = df * whole * z + across * (gz - along * z)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def functions(value, axis, low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place, out):
    """Write four functions of a density and their slopes into `out`; return the place of the first, from -3."""
    inside = min(max(value, low[axis]), high[axis])
    k = interval(inside, axis, low, per_step, lookup_first, lookup, interval_first, edge)
    basis(inside - edge[k], k, powers, out)
    for q in range(4):
        out[q] += (value - inside) * out[4 + q]
    return place[k] - 3


@njit(cache=True, error_model="numpy", fastmath=FAST)
def densities_of(
    ti, s, types, count, d_mc, r_m, other_m, channel_first, channel_type, channel_axis,
    low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place, eight, moments, f_mc, df_mc,
):  # fmt: skip
    """Fill the moments of each channel of atom i, and each neighbour's f and slope in it."""
    for c in range(channel_first[ti], channel_first[ti + 1]):
        own = c - channel_first[ti]
        moments[own, :] = 0.0
        for m in range(count):
            f_mc[own, m] = df_mc[own, m] = 0.0
            r = r_m[m]
            if types[s + other_m[m]] != channel_type[c] or r == 0.0:
                continue
            f, df = radial(
                r,
                channel_axis[c],
                low,
                high,
                per_step,
                lookup_first,
                lookup,
                interval_first,
                edge,
                powers,
                place,
                eight,
            )
            if f != 0.0:
                f_mc[own, m], df_mc[own, m] = f, df
                per = 1.0 / r
                add_moments(f, d_mc[m, 0] * per, d_mc[m, 1] * per, d_mc[m, 2] * per, moments[own])


@njit(cache=True, error_model="numpy", fastmath=FAST)
def add_embedding(
    energies, forces, virials, positions, cells, first_b, types, first_n, last_n, j_p, image_p, wraps, reach, cutoff,
    low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place,
    channel_first, channel_type, channel_axis, density_first, density_channel, density_order, density_axis,
    pair_first, pair_densities, pair_start, pair_row, numbers, lone_t,
):  # fmt: skip
    """Add the embedding to energies (N,), forces (N, 3) and virials (B, 3, 3); `lone_t` is that of a lone atom."""
    most_atoms = most = channels = densities = 0
    for b in range(len(cells)):
        most_atoms = max(most_atoms, first_b[b + 1] - first_b[b])
    for n in range(len(positions)):
        most = max(most, last_n[n] - first_n[n])
    for t in range(len(channel_first) - 1):
        channels = max(channels, channel_first[t + 1] - channel_first[t])
        densities = max(densities, density_first[t + 1] - density_first[t])
    x_nc, shift_kc = np.empty((most_atoms, 3)), np.empty((most_images(reach), 3))
    d_mc, r_m, other_m = np.empty((most + 1, 3)), np.empty(most + 1), np.empty(most + 1, np.int64)
    moments, slopes = np.empty((channels + 1, _MOMENTS)), np.empty((channels + 1, 4))
    f_mc, df_mc = np.empty((channels + 1, most + 1)), np.empty((channels + 1, most + 1))
    eights, at_k, weight_k = np.empty((densities + 1, 8)), np.empty(densities + 1, np.int64), np.empty(densities + 1)
    eight, g = np.empty(8), np.empty(3)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        shift_vectors(cells[b], reach[b], shift_kc)
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], x_nc)
        for i in range(e - s):
            ti = types[s + i]
            if pair_first[ti] == pair_first[ti + 1]:
                continue
            count = gather(
                i, first_n[s + i], last_n[s + i], x_nc, shift_kc, j_p, image_p, cutoff * cutoff, d_mc, r_m, other_m
            )
            densities_of(
                ti, s, types, count, d_mc, r_m, other_m, channel_first, channel_type, channel_axis, low, high, per_step,
                lookup_first, lookup, interval_first, edge, powers, place, eight, moments, f_mc, df_mc,
            )  # fmt: skip
            first = density_first[ti]
            for k in range(first, density_first[ti + 1]):
                own = k - first
                value = power(density_order[k], moments[density_channel[k] - channel_first[ti]])
                at_k[own] = functions(
                    value, density_axis[k], low, high, per_step, lookup_first, lookup, interval_first, edge, powers,
                    place, eights[own],
                )  # fmt: skip
                weight_k[own] = 0.0
            energy = -lone_t[ti]
            for pair in range(pair_first[ti], pair_first[ti + 1]):
                ka, kb = pair_densities[pair, 0] - first, pair_densities[pair, 1] - first
                ea, eb = eights[ka], eights[kb]
                wa = wb = 0.0
                for q in range(4):
                    at = pair_start[pair] + (at_k[ka] + q) * pair_row[pair] + at_k[kb]
                    u = du = 0.0
                    for p in range(4):
                        c = numbers[at + p]
                        u += c * eb[p]
                        du += c * eb[4 + p]
                    energy += ea[q] * u
                    wa += ea[4 + q] * u
                    wb += ea[q] * du
                weight_k[ka] += wa
                weight_k[kb] += wb
            energies[s + i] += energy
            for c in range(channel_first[ti + 1] - channel_first[ti]):
                slopes[c, :] = 0.0
            for k in range(first, density_first[ti + 1]):
                c = density_channel[k] - channel_first[ti]
                add_slope(density_order[k], weight_k[k - first], moments[c], slopes[c])
            fx = fy = fz = 0.0
            for c in range(channel_first[ti + 1] - channel_first[ti]):
                for m in range(count):
                    if f_mc[c, m] == 0.0:
                        continue
                    per = 1.0 / r_m[m]
                    dx, dy, dz = d_mc[m, 0], d_mc[m, 1], d_mc[m, 2]
                    gradient(f_mc[c, m], df_mc[c, m], per, dx * per, dy * per, dz * per, moments[c], slopes[c], g)
                    j = s + other_m[m]
                    forces[j, 0] -= g[0]
                    forces[j, 1] -= g[1]
                    forces[j, 2] -= g[2]
                    fx += g[0]
                    fy += g[1]
                    fz += g[2]
                    virials[b, 0, 0] -= g[0] * dx
                    virials[b, 1, 1] -= g[1] * dy
                    virials[b, 2, 2] -= g[2] * dz
                    virials[b, 1, 2] -= g[1] * dz
                    virials[b, 0, 2] -= g[0] * dz
                    virials[b, 0, 1] -= g[0] * dy
            forces[s + i, 0] += fx
            forces[s + i, 1] += fy
            forces[s + i, 2] += fz
        virials[b, 2, 1], virials[b, 2, 0], virials[b, 1, 0] = virials[b, 1, 2], virials[b, 0, 2], virials[b, 0, 1]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def embedding_rows(
    positions, cell, types, first_n, last_n, j_p, image_p, wraps, reach, cutoff, each_atom, columns, zero_p,
    energies, forces, virial, values,
    low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place,
    channel_first, channel_type, channel_axis, density_first, density_channel, density_order, density_axis,
    pair_first, pair_densities, pair_start, pair_row,
):  # fmt: skip
    """Add to the rows of `_uf_rows.uf_rows`, from `columns` on; `zero_p` are the functions of a lone atom.

    `values` (N, densities) gets the densities themselves; with no columns beyond `columns` only these are made.
    """
    most = channels = densities = 0
    for n in range(len(positions)):
        most = max(most, last_n[n] - first_n[n])
    for t in range(len(channel_first) - 1):
        channels = max(channels, channel_first[t + 1] - channel_first[t])
        densities = max(densities, density_first[t + 1] - density_first[t])
    x_nc, shift_kc = (
        np.empty((len(positions), 3)),
        np.empty(((2 * reach[0] + 1) * (2 * reach[1] + 1) * (2 * reach[2] + 1), 3)),
    )
    d_mc, r_m, other_m = np.empty((most + 1, 3)), np.empty(most + 1), np.empty(most + 1, np.int64)
    moments, slope = np.empty((channels + 1, _MOMENTS)), np.empty(4)
    f_mc, df_mc = np.empty((channels + 1, most + 1)), np.empty((channels + 1, most + 1))
    eights, at_k, g_km = (
        np.empty((densities + 1, 8)),
        np.empty(densities + 1, np.int64),
        np.empty((densities + 1, most + 1, 3)),
    )
    eight, g = np.empty(8), np.empty(3)
    shift_vectors(cell, reach, shift_kc)
    wrapped_positions(positions, cell, wraps, x_nc)
    for i in range(len(positions)):
        ti = types[i]
        count = gather(i, first_n[i], last_n[i], x_nc, shift_kc, j_p, image_p, cutoff * cutoff, d_mc, r_m, other_m)
        densities_of(
            ti, 0, types, count, d_mc, r_m, other_m, channel_first, channel_type, channel_axis, low, high, per_step,
            lookup_first, lookup, interval_first, edge, powers, place, eight, moments, f_mc, df_mc,
        )  # fmt: skip
        first = density_first[ti]
        for k in range(first, density_first[ti + 1]):
            values[i, k - first] = power(density_order[k], moments[density_channel[k] - channel_first[ti]])
        if energies.shape[1] == columns:
            continue
        for k in range(first, density_first[ti + 1]):
            own, c = k - first, density_channel[k] - channel_first[ti]
            at_k[own] = functions(
                values[i, own], density_axis[k], low, high, per_step, lookup_first, lookup, interval_first, edge,
                powers, place, eights[own],
            )  # fmt: skip
            slope[:] = 0.0
            add_slope(density_order[k], 1.0, moments[c], slope)
            for m in range(count):
                g_km[own, m, 0] = g_km[own, m, 1] = g_km[own, m, 2] = 0.0
                if f_mc[c, m] != 0.0:
                    per = 1.0 / r_m[m]
                    gradient(f_mc[c, m], df_mc[c, m], per, d_mc[m, 0] * per, d_mc[m, 1] * per, d_mc[m, 2] * per,
                             moments[c], slope, g_km[own, m])  # fmt: skip
        energy_p = energies[i if each_atom else 0]
        for pair in range(pair_first[ti], pair_first[ti + 1]):
            ka, kb = pair_densities[pair, 0] - first, pair_densities[pair, 1] - first
            ea, eb = eights[ka], eights[kb]
            for q in range(4):
                at = columns + pair_start[pair] + (at_k[ka] + q) * pair_row[pair] + at_k[kb]
                for p in range(4):
                    energy_p[at + p] += ea[q] * eb[p]
            end = pair_start[pair + 1] if pair + 1 < len(pair_start) else len(zero_p)
            for p in range(pair_start[pair], end):
                energy_p[columns + p] -= zero_p[p]
            for m in range(count):
                j = other_m[m]
                ga, gb = g_km[ka, m], g_km[kb, m]
                if ga[0] == 0.0 and ga[1] == 0.0 and ga[2] == 0.0 and gb[0] == 0.0 and gb[1] == 0.0 and gb[2] == 0.0:
                    continue
                for q in range(4):
                    at = columns + pair_start[pair] + (at_k[ka] + q) * pair_row[pair] + at_k[kb]
                    for p in range(4):
                        a, b = ea[4 + q] * eb[p], ea[q] * eb[4 + p]
                        for c in range(3):
                            g[c] = a * ga[c] + b * gb[c]
                            forces[j, c, at + p] -= g[c]
                            forces[i, c, at + p] += g[c]
                        virial[0, at + p] -= g[0] * d_mc[m, 0]
                        virial[1, at + p] -= g[1] * d_mc[m, 1]
                        virial[2, at + p] -= g[2] * d_mc[m, 2]
                        virial[3, at + p] -= g[1] * d_mc[m, 2]
                        virial[4, at + p] -= g[0] * d_mc[m, 2]
                        virial[5, at + p] -= g[0] * d_mc[m, 1]
