"""Which of many environments to keep: by leverage, or those farthest from what the kept ones explain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_triangular

from lodewell.crystals.batch import Floats, Ints

_TOGETHER, _CANDIDATES = 16, 200  # pivots found at a time, and among how many


def by_leverage(x_ed: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Draw by leverage scores (Mahoney & Drineas, PNAS 106, 697 (2009)), from the D × D products alone."""
    values, vectors = np.linalg.eigh(x_ed.T @ x_ed)
    kept = values > 1e-12 * values[-1]
    kept[: max(0, len(values) - count)] = False
    score = ((x_ed @ vectors[:, kept]) ** 2 / values[kept]).sum(axis=1)
    # The largest of log(score) plus Gumbel noise are a draw without replacement.
    noisy = np.log(np.maximum(score, 1e-300)) + rng.gumbel(size=len(score))
    return np.argpartition(-noisy, count)[:count]


def farthest(
    covariance: Callable[[Floats, Floats], Floats], variance: float, x_ed: Floats, fade_e: Floats, count: int,
    rng: np.random.Generator,
) -> Ints:  # fmt: skip
    """Take one by one what those taken explain least: a Cholesky factorisation with pivots, columns as needed.

    A few pivots are found at a time, among the environments that are explained least, so that the rest is a product of
    matrices.

    covariance: of vectors (E, D) with others. variance: of any with itself. fade_e: factor on each, (E,).
    """
    pool = rng.permutation(len(x_ed))[: 4 * count + 2_000]
    x, f = x_ed[pool], fade_e[pool]
    left = variance * f**2
    factor = np.zeros((count, len(x)))
    taken: list[int] = []
    while len(taken) < count:
        k = len(taken)
        near = np.argpartition(-left, min(_CANDIDATES, len(left)) - 1)[:_CANDIDATES]
        known = factor[:k, near]
        rest = covariance(x[near], x[near]) * f[near, None] * f[near] - known.T @ known
        pivots = near[_pivots(rest, min(_TOGETHER, count - k), 1e-14 * variance)]
        if not len(pivots):
            break
        columns = covariance(x[pivots], x) * f[pivots, None] * f - factor[:k, pivots].T @ factor[:k]
        root = np.linalg.cholesky(columns[:, pivots] + 1e-15 * variance * np.eye(len(pivots)))
        new = solve_triangular(root, columns, lower=True)
        factor[k : k + len(pivots)] = new
        left = left - (new**2).sum(axis=0)
        left[pivots] = -np.inf
        taken += pivots.tolist()
    return pool[taken]


def _pivots(rest: Floats, count: int, least: float) -> Ints:
    """Return the first pivots of a Cholesky factorisation of a covariance, as long as they exceed `least`."""
    left, factor = np.diag(rest).copy(), np.zeros((count, len(rest)))
    taken: list[int] = []
    for k in range(count):
        pivot = int(np.argmax(left))
        if left[pivot] <= least:
            break
        factor[k] = (rest[pivot] - factor[:k, pivot] @ factor[:k]) / np.sqrt(left[pivot])
        left = left - factor[k] ** 2
        left[pivot] = -np.inf
        taken.append(pivot)
    return np.array(taken, dtype=np.int64)
