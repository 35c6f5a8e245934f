"""Where lattice sums are split and cut, by a proven bound; compiled. See docs/theory/lattice-sums.md.

Beyond a radius both parts of f fall at least like the Gaussian at eta, and a sum of Gaussians over a lattice, shifted
or not, is at most a product of three theta functions.
"""

import math

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.crystals.neighbours.images import determinant, invert, lower_triangle, short_axis_first
from lodewell.potentials.ionic._functions import EXPONENTIAL, POWER, bare, long, short


@inner
def _theta(q):
    """Return a bound, good to a few percent, of Σ_n exp(-q (n + s)²) for every s; the largest is at s = 0."""
    if q >= 1.0:
        return 1.0 + 2.0 * math.exp(-q) / (1.0 - math.exp(-3.0 * q))
    dual = math.pi**2 / q
    return math.sqrt(math.pi / q) * (1.0 + 2.0 * math.exp(-dual) / (1.0 - math.exp(-3.0 * dual)))


@inner
def tail_factor(L, rate, square):
    """Bound exp(rate·R²) Σ exp(-rate·r²) over the points r > R of any shift of the lattice L, with R² = `square`.

    For each 0 < α <= 1 it is at most exp(α rate R²) Π_k θ(α rate L_kk²).
    """
    y = max(rate * square, 1e-300)
    best = np.inf
    for s in (0.5, 1.5):
        alpha = min(1.0, s / y)
        product = math.exp(alpha * y)
        for k in range(3):
            product *= _theta(alpha * rate * L[k, k] ** 2)
        best = min(best, product)
    return best


@kernel
def reduced(cell):
    """Return a basis of the same lattice, each vector shortened by the others until none can be, shortest first."""
    out, cell_out = cell.copy(), np.empty((3, 3))
    for _ in range(200):
        changed = False
        for i in range(3):
            for j in range(3):
                if i != j:
                    dot = square = 0.0
                    for c in range(3):
                        dot += out[i, c] * out[j, c]
                        square += out[j, c] ** 2
                    times = np.rint(dot / square)
                    if abs(dot / square) > 0.5000001 and times != 0.0:
                        for c in range(3):
                            out[i, c] -= times * out[j, c]
                        changed = True
        if not changed:
            break
    order = short_axis_first(out)
    for k in range(3):
        for c in range(3):
            cell_out[k, c] = out[order[k], c]
    return cell_out


@inner
def image_radius(kind, a, eta, L, budget):
    """Return a radius beyond which images add less than `budget`, wherever the pair is."""
    low, high = 0.0, 1.0 / math.sqrt(eta)
    while short(kind, a, eta, high**2)[0] * tail_factor(L, eta, high**2) > budget:
        low, high = high, 1.5 * high
    while high - low > 0.01 * high:
        middle = 0.5 * (low + high)
        if short(kind, a, eta, middle**2)[0] * tail_factor(L, eta, middle**2) > budget:
            low = middle
        else:
            high = middle
    return high


@inner
def _wave_bound(kind, a, eta, M, volume, y):
    square = 4.0 * eta * y
    return long(kind, a, eta, square, volume)[0] * tail_factor(M, 0.25 / eta, square)


@inner
def _half_sphere(M, square, n_gk, square_g):
    """Write one of each ±G with |G|² <= `square` while there is room; return how many there are."""
    count = 0
    for n2 in range(math.floor(math.sqrt(square) / M[2, 2]) + 1):
        z = n2 * M[2, 2]
        half = math.sqrt(max(square - z * z, 0.0)) / M[1, 1]
        centre = n2 * M[2, 1] / M[1, 1]
        first = math.ceil(-half - centre) if n2 else 0
        for n1 in range(first, math.floor(half - centre) + 1):
            y = (n1 + centre) * M[1, 1]
            rest = square - z * z - y * y
            if rest < 0.0:
                continue
            wide = math.sqrt(rest) / M[0, 0]
            middle = (n1 * M[1, 0] + n2 * M[2, 0]) / M[0, 0]
            start = math.ceil(-wide - middle) if n2 or n1 else 1
            for n0 in range(start, math.floor(wide - middle) + 1):
                if count < len(square_g):
                    x = (n0 + middle) * M[0, 0]
                    n_gk[count, 0], n_gk[count, 1], n_gk[count, 2] = n0, n1, n2
                    square_g[count] = x * x + y * y + z * z
                count += 1
    return count


@inner
def waves(kind, a, eta, recip, volume, budget):
    """Choose one of each ±G so that those left out add less than `budget` to any pair.

    Returns their integer coordinates in `recip` (G, 3), G² and a bound of what is left out: the terms that are left
    out nearest to the edge are added up one by one, so that the bound is tight; those further away, at most a quarter
    of the budget, are bounded together.
    """
    M = lower_triangle(recip, np.arange(3))
    low, high = 1e-3, 1.0
    while _wave_bound(kind, a, eta, M, volume, high) > 0.25 * budget:
        low, high = high, 1.5 * high
    while high - low > 0.03 * high:
        middle = 0.5 * (low + high)
        if _wave_bound(kind, a, eta, M, volume, middle) > 0.25 * budget:
            low = middle
        else:
            high = middle
    beyond = _wave_bound(kind, a, eta, M, volume, high)
    square = 4.0 * eta * high
    n_gk, square_g = np.empty((256, 3), np.int64), np.empty(256)
    count = _half_sphere(M, square, n_gk, square_g)
    if count > len(square_g):
        n_gk, square_g = np.empty((count, 3), np.int64), np.empty(count)
        _half_sphere(M, square, n_gk, square_g)
    psi_g = np.empty(count)
    for g in range(count):
        psi_g[g] = 2.0 * long(kind, a, eta, square_g[g], volume)[0]
    low, high, left_out = 0.0, square, beyond
    while high - low > 0.002 * square:
        middle = 0.5 * (low + high)
        total = beyond
        for g in range(count):
            if square_g[g] > middle:
                total += psi_g[g]
        if total > budget:
            low = middle
        else:
            high, left_out = middle, total
    kept = 0
    for g in range(count):
        if square_g[g] <= high:
            for k in range(3):
                n_gk[kept, k] = n_gk[g, k]
            square_g[kept] = square_g[g]
            kept += 1
    return n_gk[:kept].copy(), square_g[:kept].copy(), left_out


@inner
def choose_eta(kind, a, volume, density, budget):
    """Return the split: the quickest for `density` (images against waves), lower where rounding asks for it.

    Exponentials may be much smaller than the parts they are put together from: exp(-β²) keeps these in bounds.
    """
    eta = density * math.pi / volume ** (2.0 / 3.0)
    if kind != POWER:
        unit = 1.0 if kind == EXPONENTIAL else volume ** (-1.0 / 3.0)
        least = math.log(1e-14 * unit / budget)
        if least > 0.0:
            eta = min(eta, 0.25 * a * a / least)
    return eta


@inner
def smallest_sum(kind, a, fractional, cell):
    """Return a lower bound of max(|S|, f(V^(1/3))) over all pairs of a crystal, and its closest pair of atoms.

    `cell` is reduced. Terms are positive and so is S, but for the power 1: S is at least the nearest image's term.
    """
    volume = abs(determinant(cell))
    least = bare(kind, a, volume ** (1.0 / 3.0))
    closest, pair_i, pair_j = np.inf, 0, 0
    edge = math.sqrt(cell[0, 0] ** 2 + cell[0, 1] ** 2 + cell[0, 2] ** 2)
    lowest = max(2.0 * bare(kind, a, edge), least)
    d = np.empty(3)
    for i in range(len(fractional)):
        for j in range(i):
            square = 0.0
            for c in range(3):
                d[c] = fractional[j, c] - fractional[i, c]
                d[c] -= np.rint(d[c])
            for c in range(3):
                square += (d[0] * cell[0, c] + d[1] * cell[1, c] + d[2] * cell[2, c]) ** 2
            if square < closest:
                closest, pair_i, pair_j = square, i, j
            lowest = min(lowest, max(least, bare(kind, a, math.sqrt(max(square, 1e-12)))))
    if kind == POWER and a == 1.0:
        lowest = least
    return lowest, math.sqrt(closest), pair_j, pair_i


@kernel
def prepare(kind, a, positions, cell):
    """Return a reduced basis, fractional coordinates in it within 0 and 1, and what `smallest_sum` says of them."""
    basis = reduced(cell)
    inverse = invert(basis)
    fractional = np.empty_like(positions)
    for n in range(len(positions)):
        for k in range(3):
            f = positions[n, 0] * inverse[0, k] + positions[n, 1] * inverse[1, k] + positions[n, 2] * inverse[2, k]
            fractional[n, k] = f - math.floor(f)
    lowest, closest, i, j = smallest_sum(kind, a, fractional, basis)
    return basis, fractional, lowest, closest, i, j


@inner
def reciprocal(cell):
    """Return a reduced basis of the reciprocal lattice, 2π included."""
    inverse, recip = invert(cell), np.empty((3, 3))
    for k in range(3):
        for c in range(3):
            recip[k, c] = 2.0 * math.pi * inverse[c, k]
    return reduced(recip)


@kernel
def plan(kind, a, cell, density, budget):
    """Return split, image radius, reciprocal basis and vectors that keep every sum's error below `budget`.

    `cell` is reduced; a higher `density` means fewer images and more reciprocal vectors.
    """
    volume = abs(determinant(cell))
    eta = choose_eta(kind, a, volume, density, budget)
    recip = reciprocal(cell)
    n_gk, square_g, left_out = waves(kind, a, eta, recip, volume, 0.6 * budget)
    radius = image_radius(kind, a, eta, lower_triangle(cell, np.arange(3)), budget - left_out)
    return eta, radius, recip, n_gk, square_g
