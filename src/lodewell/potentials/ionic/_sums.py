"""Lattice sums weighted by coefficients of pairs of elements, added up to energies, forces and virial; compiled."""

import math

import numpy as np

from lodewell.compiled import kernel
from lodewell.potentials.ionic._functions import itself, long, short
from lodewell.potentials.ionic._lattice_sums import phases


@kernel
def add_images(kind, a, eta, coefficient_tt, type_n, i_p, j_p, vector_pc, energies, forces, virial):
    """Add the images of Σ_{i<j} C φ to energies, forces and the virial of one crystal; each pair stands once."""
    for p in range(len(i_p)):
        i, j = i_p[p], j_p[p]
        x, y, z = vector_pc[p, 0], vector_pc[p, 1], vector_pc[p, 2]
        factor = coefficient_tt[type_n[i], type_n[j]]
        value, slope = short(kind, a, eta, x * x + y * y + z * z)
        energies[i] += 0.5 * factor * value
        energies[j] += 0.5 * factor * value
        for c in range(3):
            push = factor * slope * vector_pc[p, c]
            forces[i, c] += push
            forces[j, c] -= push
            for e in range(3):
                virial[c, e] -= push * vector_pc[p, e]


@kernel(fastmath={"reassoc", "contract"})
def add_waves(
    kind, a, eta, coefficient_tt, type_n, positions, volume, recip, n_gk, square_g, energies, forces, virial
):  # fmt: skip
    """Add the reciprocal sum, background and self terms of ½ Σ C S to energies, forces and virial of one crystal."""
    count, types = len(type_n), len(coefficient_tt)
    background, own = long(kind, a, eta, 0.0, volume)[0], itself(kind, a, eta)
    atoms_t = np.zeros(types)
    for t in type_n:
        atoms_t[t] += 1.0
    for n in range(count):
        felt = 0.0
        for t in range(types):
            felt += coefficient_tt[type_n[n], t] * atoms_t[t]
        share = 0.5 * background * felt
        energies[n] += share - 0.5 * own * coefficient_tt[type_n[n], type_n[n]]
        for c in range(3):
            virial[c, c] += share
    block = max(1, min(len(n_gk), max(1024, 65_536 // count)))
    cos_ng, sin_ng = np.empty((count, block)), np.empty((count, block))
    for begin in range(0, len(n_gk), block):
        end = min(begin + block, len(n_gk))
        width = end - begin
        phases(positions, recip, n_gk[begin:end], cos_ng, sin_ng)
        cos_tg, sin_tg = np.zeros((types, width)), np.zeros((types, width))
        for n in range(count):
            t = type_n[n]
            for g in range(width):
                cos_tg[t, g] += cos_ng[n, g]
                sin_tg[t, g] += sin_ng[n, g]
        felt_cos, felt_sin = np.zeros((types, width)), np.zeros((types, width))
        for t in range(types):
            for u in range(types):
                for g in range(width):
                    felt_cos[t, g] += coefficient_tt[t, u] * cos_tg[u, g]
                    felt_sin[t, g] += coefficient_tt[t, u] * sin_tg[u, g]
        vector_cg = np.zeros((3, width))
        for c in range(3):
            for k in range(3):
                for g in range(width):
                    vector_cg[c, g] += n_gk[begin + g, k] * recip[k, c]
        psi_g = np.empty(width)
        for g in range(width):
            psi_g[g], slope = long(kind, a, eta, square_g[begin + g], volume)
            power = 0.0
            for t in range(types):
                power += cos_tg[t, g] * felt_cos[t, g] + sin_tg[t, g] * felt_sin[t, g]
            for c in range(3):
                virial[c, c] += psi_g[g] * power
                for e in range(3):
                    virial[c, e] += 2.0 * slope * power * vector_cg[c, g] * vector_cg[e, g]
        for n in range(count):
            t = type_n[n]
            total = fx = fy = fz = 0.0
            for g in range(width):
                total += psi_g[g] * (cos_ng[n, g] * felt_cos[t, g] + sin_ng[n, g] * felt_sin[t, g])
                pull = psi_g[g] * (sin_ng[n, g] * felt_cos[t, g] - cos_ng[n, g] * felt_sin[t, g])
                fx += pull * vector_cg[0, g]
                fy += pull * vector_cg[1, g]
                fz += pull * vector_cg[2, g]
            energies[n] += total
            forces[n, 0] += 2.0 * fx
            forces[n, 1] += 2.0 * fy
            forces[n, 2] += 2.0 * fz


@kernel
def direct_radius(a, L, budget):
    """Return a radius beyond which Σ exp(-a r) over any shift of the lattice is less than `budget`.

    For each 0 < α < 1, exp(-a r) <= exp(-(1 - α) a R) exp(-α a r), and r >= (|x| + |y| + |z|)/√3 bounds the sum of the
    latter by a product of geometric series.
    """
    best = np.inf
    for step in range(1, 20):
        alpha = 0.05 * step
        logarithm = -math.log(budget)
        for k in range(3):
            q = alpha * a * L[k, k] / math.sqrt(3.0)
            logarithm += math.log1p(2.0 / math.expm1(q)) if q < 700.0 else 0.0
        best = min(best, logarithm / ((1.0 - alpha) * a))
    return max(best, 0.0)


@kernel
def add_exponentials(
    height_tt, rate_tt, radius_tt, type_n, i_p, j_p, vector_pc, energies, forces, virial
):  # fmt: skip
    """Add Σ_{i<j} A exp(-a r) within each pair's radius; each pair stands once."""
    for p in range(len(i_p)):
        i, j = i_p[p], j_p[p]
        t, u = type_n[i], type_n[j]
        r = math.sqrt(vector_pc[p, 0] ** 2 + vector_pc[p, 1] ** 2 + vector_pc[p, 2] ** 2)
        if r > radius_tt[t, u]:
            continue
        value = height_tt[t, u] * math.exp(-rate_tt[t, u] * r)
        energies[i] += 0.5 * value
        energies[j] += 0.5 * value
        for c in range(3):
            push = -rate_tt[t, u] * value / r * vector_pc[p, c]
            forces[i, c] += push
            forces[j, c] -= push
            for e in range(3):
                virial[c, e] -= push * vector_pc[p, e]
