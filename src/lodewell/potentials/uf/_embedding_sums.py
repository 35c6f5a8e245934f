"""Embedding energies and what they are per coefficient, compiled."""

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions
from lodewell.potentials.uf._sums import basis, gather, interval

_MOMENTS = 20  # n, 3 of v, 6 of Q (xx yy zz yz xz xy), 10 of T (xxx yyy zzz xxy xxz yyx yyz zzx zzy xyz)


@inner(fastmath=FAST)
def radials(count, wanted, knots, weights, type_m, r_m, f_m, df_m):
    """Write f and its slope for neighbours of the wanted type: a cubic B-spline as a sum of cut-off cubes."""
    k0, k1, k2, k3, k4 = knots[0], knots[1], knots[2], knots[3], knots[4]
    w0, w1, w2, w3, w4 = weights[0], weights[1], weights[2], weights[3], weights[4]
    for m in range(np.uint64(count)):
        r = r_m[m]
        a, b, c = max(k0 - r, 0.0), max(k1 - r, 0.0), max(k2 - r, 0.0)
        d, e = max(k3 - r, 0.0), max(k4 - r, 0.0)
        sa, sb, sc, sd, se = w0 * a * a, w1 * b * b, w2 * c * c, w3 * d * d, w4 * e * e
        inside = type_m[m] == wanted and r > k0 and r > 0.0
        f_m[m] = sa * a + sb * b + sc * c + sd * d + se * e if inside else 0.0
        df_m[m] = -3.0 * (sa + sb + sc + sd + se) if inside else 0.0


@inner(fastmath=FAST)
def sum_moments(count, f_m, x_m, y_m, z_m, moment):
    """Sum the moments of a channel over neighbours in directions x, y, z; unsigned indices let it be vectorised."""
    n = vx = vy = vz = xx = yy = zz = yz = xz = xy = 0.0
    xxx = yyy = zzz = xxy = xxz = yyx = yyz = zzx = zzy = xyz = 0.0
    for m in range(np.uint64(count)):
        w, x, y, z = f_m[m], x_m[m], y_m[m], z_m[m]
        wx, wy, wz = w * x, w * y, w * z
        wxx, wyy, wzz = wx * x, wy * y, wz * z
        n += w
        vx += wx
        vy += wy
        vz += wz
        xx += wxx
        yy += wyy
        zz += wzz
        yz += wy * z
        xz += wx * z
        xy += wx * y
        xxx += wxx * x
        yyy += wyy * y
        zzz += wzz * z
        xxy += wxx * y
        xxz += wxx * z
        yyx += wyy * x
        yyz += wyy * z
        zzx += wzz * x
        zzy += wzz * y
        xyz += wx * y * z
    moment[0] = n
    moment[1] = vx
    moment[2] = vy
    moment[3] = vz
    moment[4] = xx
    moment[5] = yy
    moment[6] = zz
    moment[7] = yz
    moment[8] = xz
    moment[9] = xy
    moment[10] = xxx
    moment[11] = yyy
    moment[12] = zzz
    moment[13] = xxy
    moment[14] = xxz
    moment[15] = yyx
    moment[16] = yyz
    moment[17] = zzx
    moment[18] = zzy
    moment[19] = xyz


@inner(fastmath=FAST)
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


@inner(fastmath=FAST)
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


@inner(fastmath=FAST)
def add_gradients(count, f_m, df_m, per_m, x_m, y_m, z_m, moment, slope, gx_m, gy_m, gz_m):
    """Add the derivatives by the neighbours' positions of an energy with these slopes by a channel's moments."""
    a, b, c, d = slope[0], slope[1], slope[2], slope[3]
    vx, vy, vz = b * moment[1], b * moment[2], b * moment[3]
    qxx, qyy, qzz = c * moment[4], c * moment[5], c * moment[6]
    qyz, qxz, qxy = c * moment[7], c * moment[8], c * moment[9]
    txxx, tyyy, tzzz, txxy, txxz = d * moment[10], d * moment[11], d * moment[12], d * moment[13], d * moment[14]
    tyyx, tyyz, tzzx, tzzy, txyz = d * moment[15], d * moment[16], d * moment[17], d * moment[18], d * moment[19]
    for m in range(np.uint64(count)):
        x, y, z = x_m[m], y_m[m], z_m[m]
        xx, yy, zz, yz, xz, xy = x * x, y * y, z * z, 2.0 * y * z, 2.0 * x * z, 2.0 * x * y
        qx = qxx * x + qxy * y + qxz * z
        qy = qxy * x + qyy * y + qyz * z
        qz = qxz * x + qyz * y + qzz * z
        tx = txxx * xx + tyyx * yy + tzzx * zz + txyz * yz + txxz * xz + txxy * xy
        ty = txxy * xx + tyyy * yy + tzzy * zz + tyyz * yz + txyz * xz + tyyx * xy
        tz = txxz * xx + tyyz * yy + tzzz * zz + tzzy * yz + tzzx * xz + txyz * xy
        gx = vx + 2.0 * qx + 3.0 * tx
        gy = vy + 2.0 * qy + 3.0 * ty
        gz = vz + 2.0 * qz + 3.0 * tz
        along = gx * x + gy * y + gz * z
        whole = a + (vx + qx + tx) * x + (vy + qy + ty) * y + (vz + qz + tz) * z
        across = f_m[m] * per_m[m]
        radial_part = df_m[m] * whole - across * along
        gx_m[m] += radial_part * x + across * gx
        gy_m[m] += radial_part * y + across * gy
        gz_m[m] += radial_part * z + across * gz


@inner(fastmath=FAST)
def functions(value, axis, low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place, out):
    """Write four functions of a density and their slopes into `out`; return the place of the first, from -3."""
    inside = min(max(value, low[axis]), high[axis])
    k = interval(inside, axis, low, per_step, lookup_first, lookup, interval_first, edge)
    basis(inside - edge[k], k, powers, out)
    for q in range(4):
        out[q] += (value - inside) * out[4 + q]
    return place[k] - 3


@inner(fastmath=FAST)
def densities_of(
    ti, s, types, count, d_mc, r_m, other_m, channel_first, channel_type, channel_knots, channel_weights,
    type_m, moments, f_cm, df_cm, unit_cm,
):  # fmt: skip
    """Fill the moments of each channel of atom i, each neighbour's f and slope in it, and directions and 1/r."""
    for m in range(np.uint64(count)):
        per = 1.0 / r_m[m] if r_m[m] > 0.0 else 0.0
        unit_cm[0, m], unit_cm[1, m], unit_cm[2, m] = per * d_mc[m, 0], per * d_mc[m, 1], per * d_mc[m, 2]
        unit_cm[3, m] = per
    for m in range(count):
        type_m[m] = types[s + other_m[m]]
    for c in range(channel_first[ti], channel_first[ti + 1]):
        own = c - channel_first[ti]
        radials(count, channel_type[c], channel_knots[c], channel_weights[c], type_m, r_m, f_cm[own], df_cm[own])
        sum_moments(count, f_cm[own], unit_cm[0], unit_cm[1], unit_cm[2], moments[own])


@kernel(fastmath=FAST)
def add_embedding(
    energies, forces, virials, positions, cells, first_b, types, first_n, last_n, j_p, image_p, wraps, reach, cutoff,
    low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place,
    channel_first, channel_type, channel_knots, channel_weights,
    density_first, density_channel, density_order, density_axis,
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
    type_m = np.empty(most + 1, np.int64)
    moments, slopes = np.empty((channels + 1, _MOMENTS)), np.empty((channels + 1, 4))
    f_cm, df_cm = np.empty((channels + 1, most + 1)), np.empty((channels + 1, most + 1))
    unit_cm, g_cm = np.empty((4, most + 1)), np.empty((3, most + 1))
    eights, at_k, weight_k = np.empty((densities + 1, 8)), np.empty(densities + 1, np.int64), np.empty(densities + 1)
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
                ti, s, types, count, d_mc, r_m, other_m, channel_first, channel_type, channel_knots, channel_weights,
                type_m, moments, f_cm, df_cm, unit_cm,
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
            g_cm[:, :count] = 0.0
            for c in range(channel_first[ti + 1] - channel_first[ti]):
                add_gradients(
                    count, f_cm[c], df_cm[c], unit_cm[3], unit_cm[0], unit_cm[1], unit_cm[2], moments[c], slopes[c],
                    g_cm[0], g_cm[1], g_cm[2],
                )  # fmt: skip
            fx = fy = fz = 0.0
            vxx = vyy = vzz = vyz = vxz = vxy = 0.0
            for m in range(count):
                gx, gy, gz = g_cm[0, m], g_cm[1, m], g_cm[2, m]
                dx, dy, dz = d_mc[m, 0], d_mc[m, 1], d_mc[m, 2]
                j = s + other_m[m]
                forces[j, 0] -= gx
                forces[j, 1] -= gy
                forces[j, 2] -= gz
                fx += gx
                fy += gy
                fz += gz
                vxx -= gx * dx
                vyy -= gy * dy
                vzz -= gz * dz
                vyz -= gy * dz
                vxz -= gx * dz
                vxy -= gx * dy
            virials[b, 0, 0] += vxx
            virials[b, 1, 1] += vyy
            virials[b, 2, 2] += vzz
            virials[b, 1, 2] += vyz
            virials[b, 0, 2] += vxz
            virials[b, 0, 1] += vxy
            forces[s + i, 0] += fx
            forces[s + i, 1] += fy
            forces[s + i, 2] += fz
        virials[b, 2, 1], virials[b, 2, 0], virials[b, 1, 0] = virials[b, 1, 2], virials[b, 0, 2], virials[b, 0, 1]


@kernel(fastmath=FAST)
def embedding_rows(
    positions, cell, types, first_n, last_n, j_p, image_p, wraps, reach, cutoff, each_atom, columns, zero_p,
    energies, forces, virial, values,
    low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place,
    channel_first, channel_type, channel_knots, channel_weights,
    density_first, density_channel, density_order, density_axis,
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
    type_m = np.empty(most + 1, np.int64)
    moments, slope = np.empty((channels + 1, _MOMENTS)), np.empty(4)
    f_cm, df_cm = np.empty((channels + 1, most + 1)), np.empty((channels + 1, most + 1))
    unit_cm = np.empty((4, most + 1))
    eights, at_k = np.empty((densities + 1, 8)), np.empty(densities + 1, np.int64)
    g_kcm = np.empty((densities + 1, 3, most + 1))
    g = np.empty(3)
    shift_vectors(cell, reach, shift_kc)
    wrapped_positions(positions, cell, wraps, x_nc)
    for i in range(len(positions)):
        ti = types[i]
        count = gather(i, first_n[i], last_n[i], x_nc, shift_kc, j_p, image_p, cutoff * cutoff, d_mc, r_m, other_m)
        densities_of(
            ti, 0, types, count, d_mc, r_m, other_m, channel_first, channel_type, channel_knots, channel_weights,
            type_m, moments, f_cm, df_cm, unit_cm,
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
            g_kcm[own, :, :count] = 0.0
            add_gradients(
                count, f_cm[c], df_cm[c], unit_cm[3], unit_cm[0], unit_cm[1], unit_cm[2], moments[c], slope,
                g_kcm[own, 0], g_kcm[own, 1], g_kcm[own, 2],
            )  # fmt: skip
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
                ga, gb = g_kcm[ka, :, m], g_kcm[kb, :, m]
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
