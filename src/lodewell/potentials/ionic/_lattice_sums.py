"""Lattice sums of all pairs of a crystal, split in two and each half cut; compiled. See docs/theory/lattice-sums.md."""

import math

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.crystals.neighbours.images import determinant, lower_triangle
from lodewell.potentials.ionic._functions import EXPONENTIAL, POWER, SCREENED, bare, itself, long, short
from lodewell.potentials.ionic._plans import plan, prepare, reduced

__all__ = [
    "EXPONENTIAL", "POWER", "SCREENED", "all_pairs", "bare", "itself", "long", "phases", "plan", "prepare", "reduced",
    "short",
]  # fmt: skip


@inner(fastmath={"reassoc", "contract"})
def _dot(x, y):
    total = 0.0
    for k in range(len(x)):
        total += x[k] * y[k]
    return total


@inner
def phases(positions, recip, n_gk, cos_ng, sin_ng):
    """Write cos and sin of G·x of every atom, from powers of three numbers each."""
    reach = np.zeros(3, np.int64)
    for g in range(len(n_gk)):
        for k in range(3):
            reach[k] = max(reach[k], abs(n_gk[g, k]))
    most = max(reach[0], reach[1], reach[2]) + 1
    c, s = np.empty((3, most)), np.empty((3, most))
    for n in range(len(positions)):
        for k in range(3):
            angle = positions[n, 0] * recip[k, 0] + positions[n, 1] * recip[k, 1] + positions[n, 2] * recip[k, 2]
            for m in range(reach[k] + 1):
                c[k, m], s[k, m] = math.cos(m * angle), math.sin(m * angle)
        for g in range(len(n_gk)):
            m0, m1, m2 = n_gk[g, 0], n_gk[g, 1], n_gk[g, 2]
            c0, s0 = c[0, abs(m0)], s[0, abs(m0)] * (1 if m0 > 0 else -1)
            c1, s1 = c[1, abs(m1)], s[1, abs(m1)] * (1 if m1 > 0 else -1)
            x, y = c0 * c1 - s0 * s1, c0 * s1 + s0 * c1
            cos_ng[n, g] = x * c[2, m2] - y * s[2, m2]
            sin_ng[n, g] = x * s[2, m2] + y * c[2, m2]


@kernel
def all_pairs(kind, a, fractional, cell, density, budget, want_gradients):
    """Return S (n, n), and where wanted dS/dv (n, n, 3) and dS/dstrain (n, n, 3, 3), of the pairs v = x_j - x_i."""
    count = len(fractional)
    eta, radius, recip, n_gk, square_g = plan(kind, a, cell, density, budget)
    volume = abs(determinant(cell))
    L = lower_triangle(cell, np.arange(3))
    wide = count if want_gradients else 0
    sums, slopes, strains = np.empty((count, count)), np.zeros((wide, wide, 3)), np.zeros((wide, wide, 3, 3))
    waves_count = len(square_g)
    wave_ng = np.empty((count, 2 * waves_count))
    positions, vector_gc = np.zeros((count, 3)), np.zeros((waves_count, 3))
    for k in range(3):
        for c in range(3):
            for n in range(count):
                positions[n, c] += fractional[n, k] * cell[k, c]
            for g in range(waves_count):
                vector_gc[g, c] += n_gk[g, k] * recip[k, c]
    phases(positions, recip, n_gk, wave_ng[:, :waves_count], wave_ng[:, waves_count:])
    weighted = np.empty(2 * waves_count)
    psi_g, slope_g = np.empty(waves_count), np.empty(waves_count)
    for g in range(waves_count):
        value, slope = long(kind, a, eta, square_g[g], volume)
        psi_g[g], slope_g[g] = 2.0 * value, 2.0 * slope
    background = long(kind, a, eta, 0.0, volume)[0]
    own = itself(kind, a, eta)
    d = np.empty(3)
    f = np.empty(3)
    for i in range(count):
        for g in range(waves_count):
            weighted[g] = psi_g[g] * wave_ng[i, g]
            weighted[waves_count + g] = psi_g[g] * wave_ng[i, waves_count + g]
        for j in range(i, count):
            total = background + _dot(weighted, wave_ng[j]) - (own if i == j else 0.0)
            if want_gradients:
                _wave_gradients(
                    wave_ng[i], wave_ng[j], psi_g, slope_g, vector_gc, background, slopes[i, j], strains[i, j]
                )
            for c in range(3):
                f[c] = fractional[j, c] - fractional[i, c]
                f[c] -= np.rint(f[c])
            reach = radius / L[2, 2]
            for n2 in range(math.ceil(-reach - f[2]), math.floor(reach - f[2]) + 1):
                z = (f[2] + n2) * L[2, 2]
                left = radius * radius - z * z
                if left < 0.0:
                    continue
                centre = f[1] + (f[2] + n2) * L[2, 1] / L[1, 1]
                reach1 = math.sqrt(left) / L[1, 1]
                for n1 in range(math.ceil(-reach1 - centre), math.floor(reach1 - centre) + 1):
                    y = (centre + n1) * L[1, 1]
                    left1 = left - y * y
                    if left1 < 0.0:
                        continue
                    middle = f[0] + ((f[1] + n1) * L[1, 0] + (f[2] + n2) * L[2, 0]) / L[0, 0]
                    reach0 = math.sqrt(left1) / L[0, 0]
                    for n0 in range(math.ceil(-reach0 - middle), math.floor(reach0 - middle) + 1):
                        if i == j and n0 == 0 and n1 == 0 and n2 == 0:
                            continue
                        x = (middle + n0) * L[0, 0]
                        value, slope = short(kind, a, eta, x * x + y * y + z * z)
                        total += value
                        if want_gradients:
                            for c in range(3):
                                d[c] = (f[0] + n0) * cell[0, c] + (f[1] + n1) * cell[1, c] + (f[2] + n2) * cell[2, c]
                            for c in range(3):
                                slopes[i, j, c] += slope * d[c]
                                for e in range(3):
                                    strains[i, j, c, e] += slope * d[c] * d[e]
            sums[i, j] = sums[j, i] = total
            if want_gradients and i != j:
                for c in range(3):
                    slopes[j, i, c] = -slopes[i, j, c]
                    for e in range(3):
                        strains[j, i, c, e] = strains[i, j, c, e]
    return sums, slopes, strains


@inner
def _wave_gradients(wave_i, wave_j, psi_g, slope_g, vector_gc, background, slope_c, strain_cc):
    """Add the reciprocal part of dS/dv and dS/dstrain: G·v does not change under strain, G² and the volume do."""
    count = len(psi_g)
    mean = background
    for g in range(count):
        cosine = wave_i[g] * wave_j[g] + wave_i[count + g] * wave_j[count + g]
        sine = wave_i[g] * wave_j[count + g] - wave_i[count + g] * wave_j[g]
        mean += psi_g[g] * cosine
        for c in range(3):
            slope_c[c] -= psi_g[g] * sine * vector_gc[g, c]
            for e in range(3):
                strain_cc[c, e] -= 2.0 * slope_g[g] * cosine * vector_gc[g, c] * vector_gc[g, e]
    for c in range(3):
        strain_cc[c, c] -= mean
