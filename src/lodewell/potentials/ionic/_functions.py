"""What lattice sums are made of: f(r), the parts of it that images and reciprocal vectors hold; compiled.

Every f(r) here is a mixture of Gaussians, f(r) = ∫ w(t) exp(-t r²) dt with w >= 0. The part t > eta is summed over
images (`short`), the part t < eta over reciprocal vectors (`long`).
"""

import math

from lodewell.compiled import inner, kernel

POWER, EXPONENTIAL, SCREENED = 0, 1, 2
_SQRT_PI = math.sqrt(math.pi)


@kernel
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


@inner
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


@kernel
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


@inner
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


@kernel
def bare(kind, a, r):
    """Return f(r) itself."""
    if kind == POWER:
        return r**-a
    return math.exp(-a * r) / (r if kind == SCREENED else 1.0)


@inner
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


@kernel
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


@kernel
def itself(kind, a, eta):
    """Return the part t < eta of f at distance zero: what the reciprocal sum holds of an atom's term with itself."""
    if kind == POWER:
        return eta ** (0.5 * a) / math.gamma(0.5 * a + 1.0)
    beta = 0.5 * a / math.sqrt(eta)
    if kind == EXPONENTIAL:
        return math.erfc(beta)
    return 2.0 * math.sqrt(eta / math.pi) * math.exp(-beta * beta) - a * math.erfc(beta)
