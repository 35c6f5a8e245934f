"""The compiled optimiser: each crystal's own L-BFGS, advanced by one evaluation for a whole batch at a time.

Limited-memory BFGS (Nocedal, Math. Comp. 35, 773 (1980)) with backtracking by Armijo's rule. Every crystal owns
`n + 3` rows of three variables: its atoms in the frame of the starting cell, and its deformation times a length.
"""

import math

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.crystals.neighbours.images import determinant

MEMORY = 10  # pairs of steps and gradient changes kept

# From EXPLODED on there is no relaxed geometry: the volume ran away, atoms met, or numbers ceased to be finite.
ACTIVE, CONVERGED, OUT_OF_STEPS, EXPLODED, COLLAPSED, NOT_FINITE = 0, 1, 2, 3, 4, 5

_ARMIJO = 1e-4
_LONGEST_MOVE = 0.2  # Å, of any atom in one step
_LARGEST_STRAIN = 0.06  # of the cell in one step: root of the sum of all nine squares
_FIRST_STEP = 0.03  # Å²/eV: inverse curvature assumed before any is known
LARGEST_CHANGE = 5.0  # of the volume, up or down, before a crystal counts as exploded
_SPREAD = 3.0  # how much the curvatures of atoms and cell may differ from the common one
_TRIES = 7  # backtracks before the memory is thrown away
_SUMS = {"reassoc", "contract", "nsz"}


@inner(fastmath=_SUMS)
def dot(a, b):
    """Return the scalar product of two flat arrays."""
    total = 0.0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@inner(fastmath=_SUMS)
def curvatures(S, Y, size, m):
    """Return the inverse curvatures s·y / y·y that the newest pair shows for the atoms and for the cell."""
    s, y = S[m * size : (m + 1) * size], Y[m * size : (m + 1) * size]
    atoms = size - 9
    both = dot(s, y) / dot(y, y)
    yy_atoms, yy_cell = dot(y[:atoms], y[:atoms]), dot(y[atoms:], y[atoms:])
    if yy_atoms == 0.0 or yy_cell == 0.0:
        return both, both
    of_atoms = min(max(dot(s[:atoms], y[:atoms]) / yy_atoms, both / _SPREAD), both * _SPREAD)
    of_cell = min(max(dot(s[atoms:], y[atoms:]) / yy_cell, both / _SPREAD), both * _SPREAD)
    return of_atoms, of_cell


@inner(fastmath=_SUMS)
def descend(g, d, S, Y, rho, used, head, first_step):
    """Write the L-BFGS direction -H g into `d`; memory slots `head - 1, head - 2, ...` are the newest first."""
    size = len(g)
    for k in range(size):
        d[k] = -g[k]
    if used == 0:
        for k in range(size):
            d[k] *= first_step
        return
    weight = np.empty(MEMORY)
    for back in range(used):
        m = (head - 1 - back) % MEMORY
        s, y = S[m * size : (m + 1) * size], Y[m * size : (m + 1) * size]
        weight[m] = rho[m] * dot(s, d)
        for k in range(size):
            d[k] -= weight[m] * y[k]
    scale_atoms, scale_cell = curvatures(S, Y, size, (head - 1) % MEMORY)
    for k in range(size - 9):
        d[k] *= scale_atoms
    for k in range(size - 9, size):
        d[k] *= scale_cell
    for back in range(used - 1, -1, -1):
        m = (head - 1 - back) % MEMORY
        s, y = S[m * size : (m + 1) * size], Y[m * size : (m + 1) * size]
        change = weight[m] - rho[m] * dot(y, d)
        for k in range(size):
            d[k] += change * s[k]


@inner
def shortened(d, atoms, length, furthest):
    """Scale a direction down so that no atom and no part of the cell moves too far."""
    most = 0.0
    for n in range(atoms):
        most = max(most, d[3 * n] ** 2 + d[3 * n + 1] ** 2 + d[3 * n + 2] ** 2)
    ratio = math.sqrt(most) / furthest
    cell = d[3 * atoms :]
    # The norm, unlike the largest component, is the same in every orientation, so that rotated crystals go one way.
    ratio = max(ratio, math.sqrt(dot(cell, cell)) / (length * _LARGEST_STRAIN))
    if ratio > 1.0:
        for k in range(len(d)):
            d[k] /= ratio


@kernel
def largest_principal(W):
    """Return the largest absolute eigenvalue of a symmetric matrix (Smith, Commun. ACM 4, 168 (1961))."""
    mean = (W[0, 0] + W[1, 1] + W[2, 2]) / 3.0
    rest, square = np.empty((3, 3)), 0.0
    for a in range(3):
        for c in range(3):
            rest[a, c] = W[a, c] - (mean if a == c else 0.0)
            square += rest[a, c] * rest[a, c]
    spread = math.sqrt(square / 6.0)
    if spread == 0.0:
        return abs(mean)
    angle = math.acos(min(max(0.5 * determinant(rest) / spread**3, -1.0), 1.0)) / 3.0
    highest = mean + 2.0 * spread * math.cos(angle)
    lowest = mean + 2.0 * spread * math.cos(angle + 2.0 * math.pi / 3.0)
    return max(abs(highest), abs(lowest))


@inner
def measures(g, atoms, inverse, unscaled, length):
    """Return the largest force (eV/Å) and the largest principal virial per atom (eV) that a gradient stands for.

    Neither depends on how the crystal is turned.
    """
    force = 0.0
    for n in range(atoms):
        square = 0.0
        for c in range(3):
            f = inverse[0, c] * g[3 * n] + inverse[1, c] * g[3 * n + 1] + inverse[2, c] * g[3 * n + 2]
            square += f * f
        force = max(force, square)
    W, start = np.empty((3, 3)), 3 * atoms
    for a in range(3):
        for c in range(a + 1):
            w = 0.0
            for k in range(3):
                w += g[start + 3 * a + k] * unscaled[c, k] + g[start + 3 * c + k] * unscaled[a, k]
            W[a, c] = W[c, a] = 0.5 * w * length / atoms
    return math.sqrt(force), largest_principal(W)


@kernel(fastmath=_SUMS)
def advance(
    energy_b, gradient, deformation_bcc, inverse_bcc, unscaled_bcc, length_b, row_b, fmax, max_steps,
    x, trial, g, d, S, Y, rho_bm, used_b, head_b, e_b, alpha_b, slope_b, fails_b, careless_b,
    steps_b, status_b, force_b, virial_b,
):  # fmt: skip
    """Judge the evaluated trial point of every active crystal and write the next one; return how many have finished.

    Variables and gradients come flat: three numbers a row, in `S` and `Y` `MEMORY` times as many.
    """
    finished = 0
    for b in range(len(row_b) - 1):
        if status_b[b] != ACTIVE:
            finished += 1
            continue
        r0, r1 = 3 * row_b[b], 3 * row_b[b + 1]
        atoms, size = (r1 - r0) // 3 - 3, r1 - r0
        xb, tb, gb, db, new = x[r0:r1], trial[r0:r1], g[r0:r1], d[r0:r1], gradient[r0:r1]
        Sb, Yb = S[MEMORY * r0 : MEMORY * r1], Y[MEMORY * r0 : MEMORY * r1]
        energy = energy_b[b]
        sane = math.isfinite(energy) and math.isfinite(dot(new, new))
        begun = steps_b[b] > 0
        accepted = sane
        if begun and sane and not careless_b[b]:
            noise = 1e-11 * (abs(e_b[b]) + 1.0)
            accepted = energy <= e_b[b] + _ARMIJO * alpha_b[b] * slope_b[b] + noise
        change = determinant(deformation_bcc[b])
        if not (1.0 / LARGEST_CHANGE < change < LARGEST_CHANGE):
            accepted = False
            status_b[b] = EXPLODED
        if accepted:
            if begun:
                slot = head_b[b] % MEMORY
                s, y = Sb[slot * size : (slot + 1) * size], Yb[slot * size : (slot + 1) * size]
                for k in range(size):
                    s[k] = tb[k] - xb[k]
                    y[k] = new[k] - gb[k]
                sy, ss, yy = dot(s, y), dot(s, s), dot(y, y)
                if sy > 1e-9 * math.sqrt(ss * yy) and sy > 0.0:
                    rho_bm[b, slot] = 1.0 / sy
                    head_b[b] += 1
                    used_b[b] = min(used_b[b] + 1, MEMORY)
            for k in range(size):
                xb[k] = tb[k]
                gb[k] = new[k]
            e_b[b] = energy
            fails_b[b] = 0
            force_b[b], virial_b[b] = measures(gb, atoms, inverse_bcc[b], unscaled_bcc[b], length_b[b])
            if force_b[b] < fmax and virial_b[b] < fmax:
                status_b[b] = CONVERGED
        elif not begun or fails_b[b] > 4 * _TRIES:
            status_b[b] = NOT_FINITE
        if status_b[b] == ACTIVE and steps_b[b] >= max_steps:
            status_b[b] = OUT_OF_STEPS
        if status_b[b] != ACTIVE:
            for k in range(size):
                tb[k] = xb[k]
            finished += 1
            continue
        fresh = accepted
        if not accepted:
            fails_b[b] += 1
            if fails_b[b] % _TRIES == 0:  # the memory misleads, or, the second time, the energy itself does
                careless_b[b] = fails_b[b] >= 2 * _TRIES
                used_b[b] = 0
                fresh = True
            elif not sane:
                alpha_b[b] *= 0.25
            else:
                rise = energy - e_b[b] - alpha_b[b] * slope_b[b]
                best = -slope_b[b] * alpha_b[b] ** 2 / (2.0 * rise) if rise > 0.0 else 0.5 * alpha_b[b]
                alpha_b[b] = min(max(best, 0.1 * alpha_b[b]), 0.5 * alpha_b[b])
        if fresh:
            furthest = 0.2 * _LONGEST_MOVE if careless_b[b] else _LONGEST_MOVE
            first_step = _FIRST_STEP if fails_b[b] == 0 else 0.03 * _FIRST_STEP
            descend(gb, db, Sb, Yb, rho_bm[b], used_b[b], head_b[b], first_step)
            slope = dot(gb, db)
            if not slope < 0.0:
                used_b[b] = 0
                descend(gb, db, Sb, Yb, rho_bm[b], used_b[b], head_b[b], first_step)
            shortened(db, atoms, length_b[b], furthest)
            slope_b[b] = dot(gb, db)
            alpha_b[b] = 1.0
        for k in range(size):
            tb[k] = xb[k] + alpha_b[b] * db[k]
        steps_b[b] += 1
    return finished
