"""Spline MEAM in one sweep over the atoms, each with its neighbours gathered in a block.

With e_j the unit vectors to the neighbours of an atom and F = Σ_j f_j Σ_{k<j} f_k g(e_j·e_k) its three-body density,

    dF/dr_j = f'_j A_j e_j + f_j (T_j - (T_j·e_j) e_j) / r_j,   A_j = Σ_k f_k g_jk,   T_j = Σ_k f_k g'_jk e_k,   k ≠ j,

so that a row of sums over k gives density and gradient, in a loop that only reads. The term k = j is summed with the
others and taken out of A_j afterwards; in T_j it is parallel to e_j and drops out. U'(n) multiplies the whole gradient.
"""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions

# Rows of the scratch block of one atom, an entry a neighbour.
_DX, _DY, _DZ, _R, _PER_R, _EX, _EY, _EZ, _SLOPE, _RHO, _F, _DF, _WX, _WY, _WZ, _GX, _GY, _GZ = range(18)
_ROWS = 18


@kernel(fastmath=FAST)
def value(x, at, numbers, even):
    """Return the spline that begins at `at` and its slope at x (see `meam_splines.Pack`)."""
    per_cell = numbers[at + np.uint64(1)]
    u = (x - numbers[at]) * per_cell
    cell = math.floor(u)
    cell = cell if cell > -1.0 else -1.0  # also for NaN
    cell = min(cell, numbers[at + np.uint64(2)] - 1.0)
    k = at + np.uint64(4)
    if even:
        k += np.uint64(4) * np.uint64(np.int64(cell) + 1)
        t = u - cell
    else:
        k = np.uint64(numbers[k + np.uint64(np.int64(cell) + 1)])
        k += np.uint64(6) * np.uint64(x >= numbers[k + np.uint64(1)])
        t = x - numbers[k]
        k += np.uint64(2)
        per_cell = 1.0
    c1, c2, c3 = numbers[k + np.uint64(1)], numbers[k + np.uint64(2)], numbers[k + np.uint64(3)]
    return numbers[k] + t * (c1 + t * (c2 + t * c3)), per_cell * (c1 + t * (2.0 * c2 + 3.0 * t * c3))


@inner(fastmath=FAST)
def gather(i, begin, end, x, shift, j_p, image_p, square, near, types, count_t, vector_pc, other):
    """Write the neighbours of atom i within the cutoff, near ones of type 0 first, then type 1 ..., then far ones.

    `near` is the square of the cutoff of three-body terms; `count_t` counts the neighbours of each of the 2 T groups,
    and `vector_pc` (P, 4) holds vector and square.
    """
    groups = len(count_t) // 2
    xi, yi, zi = x[3 * i], x[3 * i + 1], x[3 * i + 2]
    for t in range(2 * groups):
        count_t[t] = 0
    used = 0
    for p in range(begin, end):
        j = np.uint64(j_p[p])
        a, k = np.uint64(3) * j, np.uint64(3) * np.uint64(image_p[p])
        dx = x[a] - xi + shift[k]
        dy = x[a + np.uint64(1)] - yi + shift[k + np.uint64(1)]
        dz = x[a + np.uint64(2)] - zi + shift[k + np.uint64(2)]
        r2 = dx * dx + dy * dy + dz * dz
        vector_pc[used, 0], vector_pc[used, 1], vector_pc[used, 2], vector_pc[used, 3] = dx, dy, dz, r2
        other[used] = j
        inside = r2 < square
        count_t[types[j] + groups * (r2 >= near)] += inside
        used += inside
    return used


@inner(fastmath=FAST)
def arrange(used, near, types, count_t, place_t, vector_pc, other, block, sorted_other):
    """Sort what `gather` wrote into the block; return how many near neighbours there are."""
    groups = len(count_t) // 2
    place = 0
    near_count = 0
    for t in range(2 * groups):
        place_t[t] = place
        place += count_t[t]
        if t < groups:
            near_count = place
    for p in range(used):
        r2 = vector_pc[p, 3]
        group = types[other[p]] + groups * (r2 >= near)
        q = place_t[group]
        place_t[group] += 1
        block[_DX, q], block[_DY, q], block[_DZ, q], block[_R, q] = (
            vector_pc[p, 0], vector_pc[p, 1], vector_pc[p, 2], r2,
        )  # fmt: skip
        sorted_other[q] = other[p]
    for q in range(used):
        r = math.sqrt(block[_R, q])
        block[_R, q] = r
        block[_PER_R, q] = 1.0 / r if r > 0.0 else 0.0
    return near_count


@inner(fastmath=FAST)
def pair_terms(kind, near_count, types, count_t, block, phi_tt, rho_t, f_t, numbers, even):
    """Write slopes of φ / 2 and ρ, and f and f' of near neighbours; return φ / 2 and ρ summed."""
    groups = len(count_t) // 2
    energy = density = 0.0
    begin = 0
    for group in range(2 * groups):
        end = begin + count_t[group]
        t = group % groups
        s = phi_tt[kind, t]
        for q in range(begin, end):
            y, dy = value(block[_R, q], s, numbers, even)
            energy += y
            block[_SLOPE, q] = 0.5 * dy
        s = rho_t[t]
        for q in range(begin, end):
            y, dy = value(block[_R, q], s, numbers, even)
            density += y
            block[_RHO, q] = dy
        if group < groups:
            s = f_t[t]
            for q in range(begin, end):
                y, dy = value(block[_R, q], s, numbers, even)
                per_r = block[_PER_R, q]
                ex, ey, ez = per_r * block[_DX, q], per_r * block[_DY, q], per_r * block[_DZ, q]
                block[_F, q], block[_DF, q] = y, dy
                block[_EX, q], block[_EY, q], block[_EZ, q] = ex, ey, ez
                block[_WX, q], block[_WY, q], block[_WZ, q] = y * ex, y * ey, y * ez
        begin = end
    return 0.5 * energy, density


@inner(fastmath=FAST)
def triple_terms(near_count, count_t, block, g_tt, numbers, even):
    """Add the gradient of the three-body density to the block's `_WX`.. rows; return the density."""
    groups = len(count_t) // 2
    density = 0.0
    j_begin = 0
    for tj in range(groups):
        j_end = j_begin + count_t[tj]
        for j in range(j_begin, j_end):
            ex, ey, ez = block[_EX, j], block[_EY, j], block[_EZ, j]
            a = tx = ty = tz = 0.0
            k_begin = 0
            for tk in range(groups):
                k_end = k_begin + count_t[tk]
                s = g_tt[tj, tk]
                for k in range(np.uint64(k_begin), np.uint64(k_end)):
                    c = ex * block[_EX, k] + ey * block[_EY, k] + ez * block[_EZ, k]
                    g, dg = value(c, s, numbers, even)
                    a += block[_F, k] * g
                    tx += block[_WX, k] * dg
                    ty += block[_WY, k] * dg
                    tz += block[_WZ, k] * dg
                k_begin = k_end
            self_g, _ = value(ex * ex + ey * ey + ez * ez, g_tt[tj, tj], numbers, even)
            a -= block[_F, j] * self_g
            density += 0.5 * block[_F, j] * a
            along = tx * ex + ty * ey + tz * ez
            across = block[_F, j] * block[_PER_R, j]
            radial = block[_DF, j] * a - across * along + block[_RHO, j]
            block[_GX, j] = across * tx + radial * ex
            block[_GY, j] = across * ty + radial * ey
            block[_GZ, j] = across * tz + radial * ez
        j_begin = j_end
    return density


@kernel(fastmath=FAST)
def sum_atoms(
    cutoff, near, reference_t, at_zero_t, phi_tt, rho_t, u_t, f_t, g_tt,
    numbers, even,
    positions, cells, first_b, types_n, first_n, last_n, j_p, image_p, wraps, reach,
):  # fmt: skip
    """Return energies (N,), forces (N, 3), virials (B, 3, 3) and densities n (N,) of a full neighbour list."""
    energies, densities, forces = np.empty(len(positions)), np.empty(len(positions)), np.zeros((len(positions), 3))
    virials = np.zeros((len(cells), 3, 3))
    largest = most = 0
    for b in range(len(cells)):
        largest = max(largest, first_b[b + 1] - first_b[b])
    for n in range(len(positions)):
        most = max(most, last_n[n] - first_n[n])
    groups = len(rho_t)
    x_nc, shift_kc = np.empty((largest, 3)), np.empty((most_images(reach), 3))
    x, shift = x_nc.ravel(), shift_kc.ravel()
    block, vector_pc = np.empty((_ROWS, most + 1)), np.empty((most + 1, 4))
    other, sorted_other = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    count_t, place_t = np.empty(2 * groups, np.int64), np.empty(2 * groups, np.int64)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        shift_vectors(cells[b], reach[b], shift_kc)
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], x_nc)
        types = types_n[s:e]
        for i in range(e - s):
            kind = types[i]
            used = gather(
                i, first_n[s + i], last_n[s + i], x, shift, j_p, image_p, cutoff * cutoff, near * near, types,
                count_t, vector_pc, other,
            )  # fmt: skip
            near_count = arrange(used, near * near, types, count_t, place_t, vector_pc, other, block, sorted_other)
            energy, density = pair_terms(kind, near_count, types, count_t, block, phi_tt, rho_t, f_t, numbers, even)
            density += triple_terms(near_count, count_t, block, g_tt, numbers, even)
            embedded, slope = value(density, u_t[kind], numbers, even)
            energies[s + i] = energy + embedded - at_zero_t[kind] + reference_t[kind]
            densities[s + i] = density
            spread(i, used, near_count, slope, block, sorted_other, forces[s:e], virials[b])
        if reach[b, 0] < 0:  # a crystal without a place in space has no energy either
            for n in range(s, e):
                energies[n] = densities[n] = np.nan
                forces[n, 0] = forces[n, 1] = forces[n, 2] = np.nan
    return energies, forces, virials, densities


@inner(fastmath=FAST)
def spread(i, used, near_count, slope, block, other, forces, virial):
    """Add U' times the gradient of n, and the slopes of φ / 2, to the forces and the virial."""
    fx = fy = fz = 0.0
    vxx = vyy = vzz = vyz = vxz = vxy = 0.0
    for q in range(used):
        dx, dy, dz = block[_DX, q], block[_DY, q], block[_DZ, q]
        radial = block[_SLOPE, q]
        if q >= near_count:
            radial += slope * block[_RHO, q]
        radial *= block[_PER_R, q]
        gx, gy, gz = radial * dx, radial * dy, radial * dz
        if q < near_count:
            gx += slope * block[_GX, q]
            gy += slope * block[_GY, q]
            gz += slope * block[_GZ, q]
        fx += gx
        fy += gy
        fz += gz
        vxx -= gx * dx
        vyy -= gy * dy
        vzz -= gz * dz
        vyz -= 0.5 * (gy * dz + gz * dy)
        vxz -= 0.5 * (gx * dz + gz * dx)
        vxy -= 0.5 * (gx * dy + gy * dx)
        j = other[q]
        forces[j, 0] -= gx
        forces[j, 1] -= gy
        forces[j, 2] -= gz
    forces[i, 0] += fx
    forces[i, 1] += fy
    forces[i, 2] += fz
    virial[0, 0] += vxx
    virial[1, 1] += vyy
    virial[2, 2] += vzz
    virial[1, 2] += vyz
    virial[2, 1] += vyz
    virial[0, 2] += vxz
    virial[2, 0] += vxz
    virial[0, 1] += vxy
    virial[1, 0] += vxy
