"""Sums of squared-exponential kernels over pairs and triplets, compiled.

Every ordered pair counts, and every ordered pair of legs at a centre, as in the field's model files: a dimer has its
distance twice, half at each atom; a triplet both orders of its legs, all at the centre.
"""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.descriptors._soap import fade


@inner(fastmath=FAST)
def _curve(r, cutoff, width, poly, step):
    """Return a tabulated curve with the cutoff and its slope."""
    k = min(int(r / step), len(poly) - 1)
    t = r / step - k - 0.5
    top = poly.shape[1] - 1
    v, d = poly[k, top], 0.0
    for power in range(top - 1, -1, -1):
        d = d * t + v
        v = v * t + poly[k, power]
    f, df = fade(r, cutoff, width)
    return f * v, f * d / step + df * v


@kernel
def distance_sums(begin, end, start_k, r_p, j_p, vector_pc, types, cutoff, width, poly, step, crystal_n,
                  energies, forces, virials):  # fmt: skip
    """Add a curve over the ordered pairs whose types add up to 1: type 0 with 1, or 2 with itself (-9 is no type)."""
    for i in range(begin, end):
        for p in range(start_k[i - begin], start_k[i - begin + 1]):
            r, j = r_p[p], j_p[p]
            if not _meant(types[i], types[j]) or r >= cutoff:
                continue
            u, du = _curve(r, cutoff, width, poly, step)
            energies[i] += u
            slope = du / r if r > 0.0 else 0.0
            for x in range(3):
                f = slope * vector_pc[p, x]
                forces[i, x] += f
                forces[j, x] -= f
                for y in range(3):
                    virials[crystal_n[i], x, y] -= f * vector_pc[p, y]


@inner(inline="always")
def _meant(a, b):
    """Whether a pair of types is the one that is meant: 2 and 2 (like atoms), or 0 and 1 in either order."""
    return (a == 2 and b == 2) or a + b == 1


@kernel
def distances(begin, end, start_k, r_p, j_p, types, cutoff, width):
    """Return the distances (E,) that are meant, their cutoff factors and their atoms."""
    x, f, atom = np.empty(len(r_p)), np.empty(len(r_p)), np.empty(len(r_p), np.int64)
    used = 0
    for i in range(begin, end):
        for p in range(start_k[i - begin], start_k[i - begin + 1]):
            if _meant(types[i], types[j_p[p]]) and r_p[p] < cutoff:
                x[used], f[used], atom[used] = r_p[p], fade(r_p[p], cutoff, width)[0], i
                used += 1
    return x[:used].copy(), f[:used].copy(), atom[:used].copy()


@kernel
def distance_rows(begin, end, start_k, r_p, j_p, vector_pc, types, cutoff, width, length, points, cutoff_m, delta,
                  crystal_n, first, derivatives, energies, forces, virials):  # fmt: skip
    """Add the kernel between every ordered pair and every sparse point, and its derivatives."""
    for i in range(begin, end):
        for p in range(start_k[i - begin], start_k[i - begin + 1]):
            r, j = r_p[p], j_p[p]
            if not _meant(types[i], types[j]) or r >= cutoff:
                continue
            f, df = fade(r, cutoff, width)
            for m in range(len(points)):
                t = (r - points[m]) / length
                g = delta * delta * cutoff_m[m] * math.exp(-0.5 * t * t)
                energies[i - first, m] += f * g
                if derivatives and r > 0.0:
                    slope = (df - f * t / length) * g / r
                    for x in range(3):
                        value = slope * vector_pc[p, x]
                        forces[i - first, x, m] += value
                        forces[j - first, x, m] -= value
                        for y in range(3):
                            virials[crystal_n[i], x, y, m] -= value * vector_pc[p, y]


@inner
def _legs(i, begin, start_k, r_p, j_p, types, cutoff, width, leg, fades):
    """Collect the neighbours that may be legs (type 1, 2, or 3 for both) and their cutoffs with slopes."""
    used = 0
    for p in range(start_k[i - begin], start_k[i - begin + 1]):
        if types[j_p[p]] > 0 and r_p[p] < cutoff:
            leg[used] = p
            fades[0, used], fades[1, used] = fade(r_p[p], cutoff, width)
            used += 1
    return used


@inner(inline="always")
def _legs_meant(a, b):
    """Whether two legs are the ones that are meant: 1 and 2 in either order, or 3 and 3 (like atoms)."""
    return (a == 3 and b == 3) or (a != b and a + b == 3)


@inner(inline="always")
def far_side(p, q, vector_pc):
    """Return the distance between the ends of two legs."""
    square = 0.0
    for c in range(3):
        square += (vector_pc[p, c] - vector_pc[q, c]) ** 2
    return math.sqrt(square)


@inner(inline="always")
def add_triplet(i, p, q, along_p, along_q, along_far, j_p, vector_pc, crystal, forces, virials):
    """Add forces and virial of a centre i with the legs p and q: slopes over distances along legs and far side."""
    j, k = j_p[p], j_p[q]
    for x in range(3):
        between = along_far * (vector_pc[p, x] - vector_pc[q, x])
        at_j, at_k = along_p * vector_pc[p, x] + between, along_q * vector_pc[q, x] - between
        forces[j, x] -= at_j
        forces[k, x] -= at_k
        forces[i, x] += at_j + at_k
        for y in range(3):
            virials[crystal, x, y] -= at_j * vector_pc[p, y] + at_k * vector_pc[q, y]


@kernel
def angles(centres, begin, start_k, r_p, j_p, vector_pc, types, cutoff, width, count):
    """Return (E, 3) coordinates of each triplet once, cutoff factors (E,) and centres; `count` only counts them."""
    room = 0
    most = 0
    for k in range(len(start_k) - 1):
        most = max(most, start_k[k + 1] - start_k[k])
    leg, fades = np.empty(most, np.int64), np.empty((2, most))
    for i in centres:
        n = _legs(i, begin, start_k, r_p, j_p, types, cutoff, width, leg, fades)
        room += n * (n - 1) // 2
    x, f, atom = np.empty((room, 3)), np.empty(room), np.empty(room, np.int64)
    used = 0
    for i in centres:
        n = _legs(i, begin, start_k, r_p, j_p, types, cutoff, width, leg, fades)
        for a in range(n):
            for b in range(a):
                p, q = leg[a], leg[b]
                if not _legs_meant(types[j_p[p]], types[j_p[q]]):
                    continue
                x[used, 0], x[used, 1] = r_p[p] + r_p[q], (r_p[p] - r_p[q]) ** 2
                x[used, 2] = far_side(p, q, vector_pc)
                f[used], atom[used] = fades[0, a] * fades[0, b], i
                used += 1
    return x[:used].copy(), f[:used].copy(), atom[:used].copy()


@kernel(fastmath=FAST)
def angle_sums(centres, begin, start_k, r_p, j_p, vector_pc, types, cutoff, width, lengths, points, weights,
               crystal_n, energies, forces, virials):  # fmt: skip
    """Add Σ_m w_m exp(-½ |(x - x_m) / θ|²) over the triplets, twice each; `weights` hold δ² and the points' cutoffs."""
    most = 0
    for k in range(len(start_k) - 1):
        most = max(most, start_k[k + 1] - start_k[k])
    leg, fades = np.empty(most, np.int64), np.empty((2, most))
    size = len(points)
    scaled = np.empty((3, size))
    for m in range(size):
        for d in range(3):
            scaled[d, m] = points[m, d] / lengths[d]
    s, t, w = scaled[0], scaled[1], scaled[2]
    for i in centres:
        n = _legs(i, begin, start_k, r_p, j_p, types, cutoff, width, leg, fades)
        for a in range(n):
            for b in range(a):
                p, q = leg[a], leg[b]
                if not _legs_meant(types[j_p[p]], types[j_p[q]]):
                    continue
                far = far_side(p, q, vector_pc)
                x0, x1, x2 = (r_p[p] + r_p[q]) / lengths[0], (r_p[p] - r_p[q]) ** 2 / lengths[1], far / lengths[2]
                u = u0 = u1 = u2 = 0.0
                for m in range(size):
                    d0, d1, d2 = x0 - s[m], x1 - t[m], x2 - w[m]
                    g = weights[m] * math.exp(-0.5 * (d0 * d0 + d1 * d1 + d2 * d2))
                    u += g
                    u0 -= d0 * g
                    u1 -= d1 * g
                    u2 -= d2 * g
                f = 2.0 * fades[0, a] * fades[0, b]
                energies[i] += f * u
                u0, u1, u2 = f * u0 / lengths[0], 2.0 * (r_p[p] - r_p[q]) * f * u1 / lengths[1], f * u2 / lengths[2]
                along_p = (2.0 * fades[1, a] * fades[0, b] * u + u0 + u1) / r_p[p]
                along_q = (2.0 * fades[0, a] * fades[1, b] * u + u0 - u1) / r_p[q]
                along_far = u2 / far if far > 0.0 else 0.0
                add_triplet(i, p, q, along_p, along_q, along_far, j_p, vector_pc, crystal_n[i], forces, virials)


@kernel
def angle_rows(centres, begin, start_k, r_p, j_p, vector_pc, types, cutoff, width, lengths, points, cutoff_m, delta,
               crystal_n, first, derivatives, energies, forces, virials):  # fmt: skip
    """Add the kernel between every triplet, twice, and every sparse point, and its derivatives."""
    most = 0
    for k in range(len(start_k) - 1):
        most = max(most, start_k[k + 1] - start_k[k])
    leg, fades = np.empty(most, np.int64), np.empty((2, most))
    for i in centres:
        n = _legs(i, begin, start_k, r_p, j_p, types, cutoff, width, leg, fades)
        for a in range(n):
            for b in range(a):
                p, q = leg[a], leg[b]
                if not _legs_meant(types[j_p[p]], types[j_p[q]]):
                    continue
                far = far_side(p, q, vector_pc)
                x0, x1 = r_p[p] + r_p[q], (r_p[p] - r_p[q]) ** 2
                f = fades[0, a] * fades[0, b]
                j, k, crystal = j_p[p], j_p[q], crystal_n[i]
                for m in range(len(points)):
                    d0, d1, d2 = (
                        (x0 - points[m, 0]) / lengths[0], (x1 - points[m, 1]) / lengths[1],
                        (far - points[m, 2]) / lengths[2],
                    )  # fmt: skip
                    g = 2.0 * delta * delta * cutoff_m[m] * math.exp(-0.5 * (d0 * d0 + d1 * d1 + d2 * d2))
                    energies[i - first, m] += f * g
                    if not derivatives:
                        continue
                    u0, u1 = -f * d0 * g / lengths[0], -2.0 * (r_p[p] - r_p[q]) * f * d1 * g / lengths[1]
                    along_p = (fades[1, a] * fades[0, b] * g + u0 + u1) / r_p[p]
                    along_q = (fades[0, a] * fades[1, b] * g + u0 - u1) / r_p[q]
                    along_far = -f * d2 * g / lengths[2] / far if far > 0.0 else 0.0
                    for x in range(3):
                        between = along_far * (vector_pc[p, x] - vector_pc[q, x])
                        at_j, at_k = along_p * vector_pc[p, x] + between, along_q * vector_pc[q, x] - between
                        forces[j - first, x, m] -= at_j
                        forces[k - first, x, m] -= at_k
                        forces[i - first, x, m] += at_j + at_k
                        for y in range(3):
                            virials[crystal, x, y, m] -= at_j * vector_pc[p, y] + at_k * vector_pc[q, y]


@kernel(fastmath=FAST)
def double_sums(x, f, atom, lengths, out):
    """Add Σ_ef f_e f_f exp(-½ |(x_e - x_f) / θ|²) over the descriptors of each atom; they are sorted by atom."""
    first = 0
    size = np.uint64(len(lengths))
    while first < len(atom):
        last = first
        while last < len(atom) and atom[last] == atom[first]:
            last += 1
        total = 0.0
        for a in range(first, last):
            total += f[a] * f[a]
            for b in range(first, a):
                square = 0.0
                for d in range(size):
                    square += ((x[a, d] - x[b, d]) / lengths[d]) ** 2
                total += 2.0 * f[a] * f[b] * math.exp(-0.5 * square)
        out[atom[first]] += total
        first = last
