"""Lattice sums, split in two and each half cut where a proven bound allows; compiled. See docs/theory/lattice-sums.md.

Every f(r) here is a mixture of Gaussians, f(r) = ∫ w(t) exp(-t r²) dt with w >= 0. The part t > eta is summed over
images (`short`), the part t < eta over reciprocal vectors (`long`). Beyond a radius both fall at least like the
Gaussian at eta, and a sum of Gaussians over a lattice, shifted or not, is at most a product of three theta functions.
"""

import math

import numpy as np
from numba import njit

from lodewell.crystals.images import determinant, invert, lower_triangle, short_axis_first

POWER, EXPONENTIAL, SCREENED = 0, 1, 2
_SQRT_PI = math.sqrt(math.pi)


@njit(cache=True, error_model="numpy")
def upper_gamma(a, x):
    """Return Q(a, x), the regularised upper incomplete gamma function, for a > 0: series or continued fraction."""
    front = math.exp(a * math.log(x) - x - math.lgamma(a)) if x > 0.0 else 0.0
    if x < a + 1.0:
        term = total = 1.0 / a
        n = a
        while term > 1e-17 * total:
            n += 1.0
            term *= x / n
            total += term
        return 1.0 - front * total
    return front * _fraction(x + 1.0 - a, 1.0 - a)


@njit(cache=True, error_model="numpy")
def _fraction(b, shift):
    """Return 1/(b - s/(b + 2 - 2(s + 1)/(b + 4 - ...))), the even form of Legendre's fraction, by Lentz's method."""
    c, d = 1e300, 1.0 / b
    h = d
    for k in range(1, 100_000):
        factor = -k * (k - 1.0 + shift)
        b += 2.0
        d = 1.0 / (factor * d + b)
        c = b + factor / c
        h *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return h


@njit(cache=True, error_model="numpy")
def exponential_integral(order, y):
    """Return E_order(y) = ∫_1^∞ s^-order exp(-y s) ds for y > 0: closed for 0, 1/2, 3/2, ..., else a fraction."""
    if order == 0.0:
        return math.exp(-y) / y
    if order - math.floor(order) == 0.5:
        gaussian = math.exp(-y)
        value = math.sqrt(math.pi / y) * math.erfc(math.sqrt(y))
        nu = 0.5
        while nu < order:
            value = (gaussian - y * value) / nu
            nu += 1.0
        return value
    tail = y  # Stieltjes' fraction from its end: all terms are positive, so that rounding does not add up
    for k in range(int(90.0 / y) + 20, 0, -1):
        tail = y + (order + k - 1.0) / (1.0 + k / tail)
    return math.exp(-y) / tail


@njit(cache=True, error_model="numpy")
def _inward_outward(r, a, eta):
    """Return exp(-a r) erfc(√eta r - β) and exp(a r) erfc(√eta r + β), β = a/(2 √eta)."""
    root = math.sqrt(eta)
    beta = 0.5 * a / root
    z = root * r + beta
    fall = math.exp(-a * r)
    if z < 25.0:
        outward = math.erfc(z) / fall
    else:  # exp(z²) erfc(z) as a fraction: no underflow
        tail = z
        for k in range(8, 0, -1):
            tail = z + 0.5 * k / tail
        outward = math.exp(-eta * r * r - beta * beta) / (_SQRT_PI * tail)
    return fall * math.erfc(root * r - beta), outward


@njit(cache=True, error_model="numpy")
def bare(kind, a, r):
    """Return f(r) itself."""
    if kind == POWER:
        return r**-a
    return math.exp(-a * r) / (r if kind == SCREENED else 1.0)


@njit(cache=True, error_model="numpy")
def short(kind, a, eta, square):
    """Return φ, the part of f that is summed over images, and φ'(r)/r, at the squared distance."""
    r = math.sqrt(square)
    if kind == POWER:
        x = eta * square
        gaussian = math.exp(-x)
        if a == 1.0:
            value = math.erfc(math.sqrt(x)) / r
            return value, -(value + 2.0 * math.sqrt(eta / math.pi) * gaussian) / square
        half = 0.5 * a
        if half == math.floor(half):
            m = int(half)
            term = total = 1.0
            for j in range(1, m):
                term *= x / j
                total += term
            inverse = 1.0 / square
            power = 1.0
            for _ in range(m):
                power *= inverse
            return power * gaussian * total, -2.0 * power * gaussian * inverse * (half * total + term * x)
        power = r**-a
        value = upper_gamma(half, x) * power
        edge = math.exp(half * math.log(x) - x - math.lgamma(half)) * power
        return value, -(a * value + 2.0 * edge) / square
    inward, outward = _inward_outward(r, a, eta)
    if kind == EXPONENTIAL:
        return 0.5 * (inward - outward), -0.5 * a * (inward + outward) / r
    value = 0.5 * (inward + outward) / r
    gaussian = math.exp(-eta * square - 0.25 * a * a / eta)
    slope = (0.5 * a * (outward - inward) - 2.0 * math.sqrt(eta / math.pi) * gaussian) / r
    return value, (slope - value / r) / r


@njit(cache=True, error_model="numpy")
def long(kind, a, eta, square, volume):
    """Return ψ, the weight of cos(G·v), and dψ/dG², at the squared length of G; at G = 0 the background's too."""
    if kind == POWER:
        front = _SQRT_PI**3 * eta ** (0.5 * (a - 3.0)) / (volume * math.gamma(0.5 * a))
        if square == 0.0:
            return front * 2.0 / (a - 3.0), 0.0
        y = 0.25 * square / eta
        order = 0.5 * (a - 1.0)
        value = exponential_integral(order, y)
        below = (math.exp(-y) - (order - 1.0) * value) / y
        return front * value, -front * below * 0.25 / eta
    total = a * a + square
    y = 0.25 * total / eta
    wave = math.exp(-y) * 4.0 * math.pi / (volume * total)
    if kind == SCREENED:
        return wave, -wave * (1.0 / total + 0.25 / eta)
    front = 2.0 * a / total * wave
    return front * (1.0 + y), -front * (2.0 * (1.0 + y) / total + 0.25 * y / eta)


@njit(cache=True, error_model="numpy")
def itself(kind, a, eta):
    """Return the part t < eta of f at distance zero: what the reciprocal sum holds of an atom's term with itself."""
    if kind == POWER:
        return eta ** (0.5 * a) / math.gamma(0.5 * a + 1.0)
    beta = 0.5 * a / math.sqrt(eta)
    if kind == EXPONENTIAL:
        return math.erfc(beta)
    return 2.0 * math.sqrt(eta / math.pi) * math.exp(-beta * beta) - a * math.erfc(beta)


@njit(cache=True, error_model="numpy")
def _theta(q):
    """Return a bound, good to a few percent, of Σ_n exp(-q (n + s)²) for every s; the largest is at s = 0."""
    if q >= 1.0:
        return 1.0 + 2.0 * math.exp(-q) / (1.0 - math.exp(-3.0 * q))
    dual = math.pi**2 / q
    return math.sqrt(math.pi / q) * (1.0 + 2.0 * math.exp(-dual) / (1.0 - math.exp(-3.0 * dual)))


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def _wave_bound(kind, a, eta, M, volume, y):
    square = 4.0 * eta * y
    return long(kind, a, eta, square, volume)[0] * tail_factor(M, 0.25 / eta, square)


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _dot(x, y):
    total = 0.0
    for k in range(len(x)):
        total += x[k] * y[k]
    return total


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def reciprocal(cell):
    """Return a reduced basis of the reciprocal lattice, 2π included."""
    inverse, recip = invert(cell), np.empty((3, 3))
    for k in range(3):
        for c in range(3):
            recip[k, c] = 2.0 * math.pi * inverse[c, k]
    return reduced(recip)


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def all_pairs(kind, a, fractional, cell, budget, want_gradients):
    """Return S (n, n), and where wanted dS/dv (n, n, 3) and dS/dstrain (n, n, 3, 3), of the pairs v = x_j - x_i."""
    count = len(fractional)
    eta, radius, recip, n_gk, square_g = plan(kind, a, cell, 2.5, budget)
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
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


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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
