"""Radial functions of SOAP, as polynomials that the compiled loops evaluate.

The density of a neighbour at distance r, projected on Y_lm and on the radial function n, is f(r) h_nl(r) Y_lm with
h_nl(r) = Σ_b T_nb 4π exp(-α (r - r_b)²) ĩ_l(2 α r r_b), α = 1 / 2σ², ĩ_l the modified spherical Bessel function times
exp(-x), T = Lᵀ C⁻¹ of `projection` (Bartók, Kondor & Csányi, PRB 87, 184115 (2013), eqs. 28 to 36).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import gammaln, ive

from lodewell.crystals.batch import Floats
from lodewell.descriptors.environments import Soap

POWERS = 8  # the compiled loop writes them out; coefficients of each polynomial
_STEP = 0.2  # length of an interval in units of σ: the polynomials are then exact to 1e-13 of the largest
_BEYOND = 2.0 * 10.0 * np.log(10.0)  # the basis extends past the cutoff until a Gaussian is 1e-10


def padded(n_max: int) -> int:
    """Return the next multiple of four, the numbers that one vector instruction handles."""
    return -(-n_max // 4) * 4


def places(soap: Soap) -> Floats:
    """Return where the Gaussians of the radial basis stand, r_b in Å, (n_max,)."""
    reach = soap.cutoff + soap.sigma * np.sqrt(_BEYOND)
    return np.asarray(np.arange(soap.n_max) * reach / soap.n_max)


def projection(soap: Soap) -> Floats:
    """Return T (n_max, n_max), from values at r_b to coefficients of orthonormal radial functions."""
    alpha, at = 0.5 / soap.sigma**2, places(soap)
    apart = np.exp(-alpha * (at[:, None] - at) ** 2)
    # ∫_0^∞ r² exp(-α (r - a)² - α (r - b)²) dr: a Gaussian of exponent 2α at the middle m, times exp(-α (a - b)² / 2)
    m = 0.5 * (at[:, None] + at)
    whole = _second_moment(m, 2.0 * alpha)
    overlap = np.exp(-0.5 * alpha * (at[:, None] - at) ** 2) * whole
    return np.asarray(np.linalg.solve(apart, np.linalg.cholesky(overlap)).T)


def _second_moment(m: Floats, beta: float) -> Floats:
    """Return ∫_0^∞ r² exp(-β (r - m)²) dr."""
    from scipy.special import erfc

    gauss = np.sqrt(np.pi / beta) * 0.5 * erfc(-np.sqrt(beta) * m)
    edge = np.exp(-beta * m**2)
    return np.asarray((m**2 + 0.5 / beta) * gauss + 0.5 * m * edge / beta)


def bessel(order: int, x: Floats) -> Floats:
    """Return i_l(x) exp(-x), the modified spherical Bessel function of the first kind, scaled, for x ≥ 0."""
    safe = np.maximum(x, 1e-300)
    small = x < 1e-3  # two terms of the series: x^l / (2l+1)!! (1 + x² / (2 (2l + 3)))
    log_double_factorial = gammaln(2 * order + 2) - order * np.log(2.0) - gammaln(order + 1)
    series = np.where(x > 0.0, np.exp(order * np.log(safe) - log_double_factorial - x), 1.0 if order == 0 else 0.0)
    series = series * (1.0 + x * x / (2.0 * (2 * order + 3)))
    return np.asarray(np.where(small, series, np.sqrt(0.5 * np.pi / safe) * ive(order + 0.5, safe)))


def radial(soap: Soap, r: Floats) -> Floats:
    """Return h_nl without the cutoff at distances r (K,): (K, l_max + 1, n_max)."""
    alpha, at = 0.5 / soap.sigma**2, places(soap)
    gauss = 4.0 * np.pi * np.exp(-alpha * (r[:, None] - at) ** 2)
    x = 2.0 * alpha * r[:, None] * at
    values = np.stack([gauss * bessel(order, x) for order in range(soap.l_max + 1)], axis=1)
    return np.asarray(values @ projection(soap).T)


@lru_cache(maxsize=64)
def polynomials(soap: Soap) -> tuple[Floats, float]:
    """Return h_nl as polynomials of t = (r - start) / step - ½ on equal intervals from 0 to the cutoff, and the step.

    The array is (K, POWERS, (l_max + 1) · padded(n_max)), zero beyond n_max.
    """
    wide = padded(soap.n_max)

    def values(r: Floats) -> Floats:
        out = np.zeros((len(r), soap.l_max + 1, wide))
        out[..., : soap.n_max] = radial(soap, r)
        return out.reshape(len(r), -1)

    return through_chebyshev(values, soap.cutoff, _STEP * soap.sigma)


def through_chebyshev(function: Callable[[Floats], Floats], end: float, step: float) -> tuple[Floats, float]:
    """Return polynomials (K, POWERS, ...) of t = r / step - k - ½ on equal intervals from 0 to `end`, and the step.

    function: values (R, ...) at distances (R,). step: at most so long, Å.
    """
    count = int(np.ceil(end / step))
    step = end / count
    t = 0.5 * np.cos(np.pi * (np.arange(POWERS) + 0.5) / POWERS)
    r = (np.arange(count)[:, None] + 0.5 + t) * step
    values = function(r.ravel())
    inverse: Any = np.linalg.inv(np.vander(t, increasing=True))
    return np.einsum("pq,kq...->kp...", inverse, values.reshape(count, POWERS, *values.shape[1:])), step


def central(soap: Soap) -> Floats:
    """Return what the central atom itself adds to the coefficients with l = 0, (n_max,)."""
    return np.asarray(soap.central_weight * radial(soap, np.zeros(1))[0, 0] / np.sqrt(4.0 * np.pi))
