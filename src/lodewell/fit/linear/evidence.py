"""Expected errors and scales of a linear Gaussian model, as likely as can be: MacKay's evidence, on folded rows.

With rows Φ_k of kind k over σ_k, and a prior N(0, s_b²) of the weights of block b, the evidence is stationary where
σ_k² = |y_k - Φ_k μ|² / (n_k - γ_k) and s_b² = |μ_b|² / γ_b, with γ the numbers of parameters that the data determine
(MacKay, Neural Comput. 4, 415 (1992), eqs. 4.4 and 4.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from lodewell.crystals.batch import Floats
from lodewell.fit.linear.least_squares import LinearSystem
from lodewell.progress import Progress, silent

_TOLERANCE = 0.02  # relative change of the largest mover at which the iteration ends
_LEAST, _MOST = 1e-4, 1e3  # σ and scales stay within these factors of their start: labels of a model have no noise


@dataclass(frozen=True)
class Evidence:
    """What was found: σ by name of rows, the factor s of each block's prior, and the logarithm of the evidence."""

    sigmas: Mapping[str, float]
    scales: tuple[float, ...]
    log_evidence: float
    steps: int


class Products:
    """The products ΦᵀΦ, Φᵀy, yᵀy of each name of rows, over all folds."""

    def __init__(self, streamed: LinearSystem, folds: Sequence[int] | None = None) -> None:
        size = streamed.parameters + 1
        self.square: dict[str, Floats] = {}
        self.count: dict[str, int] = {}
        for (name, fold), folded in streamed.folded.items():
            if folds is None or fold in folds:
                total = self.square.setdefault(name, np.zeros((size, size), order="F"))
                folded.add_products(1.0, total)
                self.count[name] = self.count.get(name, 0) + folded.count
        for name, total in self.square.items():
            self.square[name] = np.triu(total) + np.triu(total, 1).T

    def error(self, name: str, x: Floats) -> float:
        """Return |y - Φ x|²."""
        v = np.append(x, -1.0)
        return max(0.0, float(v @ self.square[name] @ v))


def maximise(
    products: Products,
    blocks: Sequence[slice],
    sigmas: Mapping[str, float],
    free: Sequence[bool],
    fixed: frozenset[str],
    steps: int = 12,
    progress: Progress = silent,
    most: Mapping[str, float] = MappingProxyType({}),
) -> Evidence:
    """Iterate from `sigmas` (of every name) to the largest evidence.

    blocks: of the parameters. free: whether the prior of each block may be scaled. fixed: names whose σ stay.
    most: the largest σ of names that have one.
    """
    sigma, scale = dict(sigmas), np.ones(len(blocks))
    size = len(next(iter(products.square.values()))) - 1
    log_evidence, step = -np.inf, 0
    for step in range(1, steps + 1):
        progress("evidence", step)
        prior = np.ones(size)
        for b, block in enumerate(blocks):
            prior[block] = 1.0 / scale[b] ** 2
        total = np.diag(np.append(prior, 0.0))
        for name, square in products.square.items():
            total += square / sigma[name] ** 2
        factor, mean, covariance = _posterior(total)
        log_evidence = _log_evidence(products, sigma, prior, factor, mean)
        moved = 0.0
        for b, block in enumerate(blocks):
            known = max(1e-3, (block.stop - block.start) - prior[block] @ np.diag(covariance)[block])
            if free[b] and block.stop > block.start:
                new = np.clip(np.sqrt(mean[block] @ mean[block] / known), _LEAST, _MOST)
                moved = max(moved, abs(np.log(new / scale[b])))
                scale[b] = new
        for name, square in products.square.items():
            if name in fixed:
                continue
            taken = float(np.sum(covariance * square[:-1, :-1])) / sigma[name] ** 2
            left = max(products.count[name] - taken, 0.05 * products.count[name])
            new = max(np.sqrt(products.error(name, mean) / left), _LEAST * sigmas[name])
            new = min(new, most.get(name, np.inf))
            moved = max(moved, abs(np.log(new / sigma[name])))
            sigma[name] = new
        if moved < _TOLERANCE:
            break
    return Evidence(sigma, tuple(scale.tolist()), log_evidence, step)


def _posterior(total: Floats) -> tuple[Floats, Floats, Floats]:
    """Return a Cholesky factor of the augmented precision's matrix, the mean, and the covariance.

    Where rounding has made it indefinite, as little as helps is added to its diagonal.
    """
    matrix, right = total[:-1, :-1], total[:-1, -1]
    scale = 1.0 / np.sqrt(np.diag(matrix))
    scaled, extra = matrix * scale[:, None] * scale, 1e-15
    while True:
        try:
            factor, lower = cho_factor(scaled + extra * np.eye(len(scaled)), lower=True)
            break
        except np.linalg.LinAlgError:
            extra *= 10.0
    mean = scale * cho_solve((factor, lower), scale * right)
    covariance = cho_solve((factor, lower), np.eye(len(scaled))) * scale[:, None] * scale
    return factor / scale[:, None], mean, covariance


def _log_evidence(products: Products, sigma: Mapping[str, float], prior: Floats, factor: Floats, mean: Floats) -> float:
    """Return log p(y) = -½ (Σ n log 2πσ² + log |A| - Σ log a + Σ |y - Φμ|² / σ² + μᵀ a μ), a the prior precisions."""
    total = 2.0 * np.sum(np.log(np.diag(factor))) - np.sum(np.log(prior)) + prior @ mean**2
    for name, count in products.count.items():
        total += count * np.log(2.0 * np.pi * sigma[name] ** 2) + products.error(name, mean) / sigma[name] ** 2
    return float(-0.5 * total)
