"""Real spherical harmonics of many unit vectors at once, and their gradients, compiled.

Solid harmonics r^l Y_lm are polynomials of x, y, z: Q_lm(z, r²) times the real or imaginary part of (x + iy)^m, Q_lm
the associated Legendre functions without their sines (Bigi et al., J. Chem. Phys. 159, 064802 (2023), eqs. 5 to 12).
The innermost loops run over vectors, so that they become vector instructions.
"""

import math

import numpy as np

from lodewell.compiled import FAST, inner


def factors(l_max: int) -> np.ndarray:
    """Return the normalisation of each (l, m ≥ 0), (l_max + 1, l_max + 1)."""
    out = np.zeros((l_max + 1, l_max + 1))
    for n in range(l_max + 1):
        for m in range(n + 1):
            ratio = math.factorial(n - m) / math.factorial(n + m)
            out[n, m] = math.sqrt((2 * n + 1) / (4.0 * math.pi) * ratio * (2.0 if m else 1.0))
    return out


@inner
def room_for_harmonics(top, count):
    """Return arrays to work in: Legendre functions, powers of x + iy; and Y, ∂x, ∂y, ∂z (4, (top + 1)², count)."""
    return np.zeros((top + 2, top + 3, count)), np.empty((top + 2, 2, count)), np.zeros((4, (top + 1) ** 2, count))


@inner(fastmath=FAST)
def harmonics(u, count, factor, legendre, powers, ylm, with_gradients):
    """Write Y_lm at l² + l + m of `count` unit vectors u (3, count), and the gradients of r^l Y_lm if wanted."""
    top = len(factor) - 1
    many = np.uint64(count)
    x, y, z = u[0], u[1], u[2]
    _legendre(z, many, top, legendre)
    powers[0, 0, :count] = 1.0
    powers[0, 1, :count] = 0.0
    for m in range(1, top + 1):
        c, s, c_less, s_less = powers[m, 0], powers[m, 1], powers[m - 1, 0], powers[m - 1, 1]
        for k in range(many):
            c[k] = x[k] * c_less[k] - y[k] * s_less[k]
            s[k] = x[k] * s_less[k] + y[k] * c_less[k]
    for n in range(top + 1):
        at, f, value = n * n + n, factor[n, 0], legendre[n, 0]
        out = ylm[0, at]
        for k in range(many):
            out[k] = f * value[k]
        for m in range(1, n + 1):
            f, value, c, s = factor[n, m], legendre[n, m], powers[m, 0], powers[m, 1]
            cosine, sine = ylm[0, at + m], ylm[0, at - m]
            for k in range(many):
                cosine[k] = f * value[k] * c[k]
                sine[k] = f * value[k] * s[k]
    if with_gradients:
        for n in range(1, top + 1):
            _gradients(n, x, y, many, factor, legendre, powers, ylm)


@inner(fastmath=FAST)
def _legendre(z, many, top, q):
    """Write Q_lm for m ≤ l; those for m > l stay zero."""
    value = 1.0
    for m in range(top + 1):
        q[m, m, : np.int64(many)] = value
        value *= 2 * m + 1
    for m in range(top):
        up, own = q[m + 1, m], q[m, m]
        for k in range(many):
            up[k] = (2 * m + 1) * z[k] * own[k]
        for n in range(m + 2, top + 1):
            up, own, low = q[n, m], q[n - 1, m], q[n - 2, m]
            a, b = (2 * n - 1) / (n - m), (n + m - 1) / (n - m)
            for k in range(many):
                up[k] = a * z[k] * own[k] - b * low[k]


@inner(fastmath=FAST)
def _gradients(n, x, y, many, factor, legendre, powers, ylm):
    """Write the gradients of r^n Y_nm: ∂Q_lm = (-x Q_l-1,m+1, -y Q_l-1,m+1, (l + m) Q_l-1,m)."""
    at, f, lower, along = n * n + n, factor[n, 0], legendre[n - 1, 1], legendre[n - 1, 0]
    gx, gy, gz = ylm[1, at], ylm[2, at], ylm[3, at]
    for k in range(many):
        gx[k] = -f * x[k] * lower[k]
        gy[k] = -f * y[k] * lower[k]
        gz[k] = f * n * along[k]
    for m in range(1, n + 1):
        f, value, lower, along = factor[n, m], legendre[n, m], legendre[n - 1, m + 1], legendre[n - 1, m]
        c, s, c_less, s_less = powers[m, 0], powers[m, 1], powers[m - 1, 0], powers[m - 1, 1]
        rise = float(n + m) if n > m else 0.0
        cx, cy, cz = ylm[1, at + m], ylm[2, at + m], ylm[3, at + m]
        sx, sy, sz = ylm[1, at - m], ylm[2, at - m], ylm[3, at - m]
        for k in range(many):
            inward, turn, up = -f * lower[k], f * m * value[k], f * rise * along[k]
            cx[k] = inward * x[k] * c[k] + turn * c_less[k]
            cy[k] = inward * y[k] * c[k] - turn * s_less[k]
            cz[k] = up * c[k]
            sx[k] = inward * x[k] * s[k] + turn * s_less[k]
            sy[k] = inward * y[k] * s[k] + turn * c_less[k]
            sz[k] = up * s[k]
