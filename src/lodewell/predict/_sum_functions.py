"""The two parts of f(r) that images and reciprocal vectors hold, in torch; as `potentials/ionic/_functions.py`.

`eta` broadcasts with what it is asked for. Derivatives come from autograd, to any order.
"""

from __future__ import annotations

import math

import torch

from lodewell.potentials.ionic._lattice_sums import EXPONENTIAL, POWER, SCREENED


def short(kind: int, a: float, eta: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """Return φ(r) at the squared distance, for the power 1, even powers and both exponentials."""
    r = square.sqrt()
    if kind == POWER:
        x = eta * square
        if a == 1.0:
            return torch.erfc(x.sqrt()) / r
        half = round(0.5 * a)
        total = torch.ones_like(x)
        for j in range(half - 1, 0, -1):
            total = 1.0 + total * x / j
        return total * torch.exp(-x) / square.pow(half)
    root = eta.sqrt()
    beta = 0.5 * a / root
    inward = torch.exp(-a * r) * torch.erfc(root * r - beta)
    # exp(a r) erfc(z), z = √eta r + β, without overflow
    outward: torch.Tensor = torch.exp(-eta * square - beta.square()) * torch.special.erfcx(root * r + beta)
    return 0.5 * (inward + outward) / r if kind == SCREENED else 0.5 * (inward - outward)


def long(kind: int, a: float, eta: torch.Tensor, square: torch.Tensor, volume: torch.Tensor) -> torch.Tensor:
    """Return ψ(G), the weight of cos(G·v), at the squared length of G > 0."""
    if kind == POWER:
        front = math.pow(math.pi, 1.5) / math.gamma(0.5 * a) * eta.pow(0.5 * (a - 3.0)) / volume
        return front * _exponential_integral(0.5 * (a - 1.0), 0.25 * square / eta)
    total = a * a + square
    y = 0.25 * total / eta
    wave = 4.0 * math.pi * torch.exp(-y) / (volume * total)
    return wave * (1.0 + y) * (2.0 * a) / total if kind == EXPONENTIAL else wave


def _exponential_integral(order: float, y: torch.Tensor) -> torch.Tensor:
    """Return E_order(y) for y > 0 and the order 0 or 1/2, 3/2, ..."""
    gaussian = torch.exp(-y)
    if order == 0.0:
        return gaussian / y
    scaled: torch.Tensor = (math.pi / y).sqrt() * torch.special.erfcx(
        y.sqrt()
    )  # exp(y) E: the recursion cancels digits
    for k in range(int(order)):
        scaled = (1.0 - y * scaled) / (k + 0.5)
    return gaussian * scaled
