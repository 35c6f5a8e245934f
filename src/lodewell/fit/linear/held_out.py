"""Held-out errors of a linear fit for any weights and penalty, from folded rows alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.fit.linear.least_squares import (
    LinearSystem,
    by_cholesky,
    column_blocks,
    empty_square,
    kind_of,
    square_bytes,
)

_MOST_TOTALS = 300e6  # bytes of sums over folds that are kept to save time


class HeldOut:
    """Held-out errors for any weights and penalty, without the data: each fold is predicted by a fit to the others.

    Names of rows such as "force/Elastic" share the weight of their kind, "force", times a factor of their own that
    stays the same. These many solves use normal equations, which is good enough to choose weights and penalties by.
    """

    def __init__(self, streamed: LinearSystem, factors: Mapping[str, float] | None = None) -> None:
        self._streamed = streamed
        self._factors = {name: (factors or {}).get(name, 1.0) for name in streamed.kinds}
        self._total: dict[str, Floats] = {}
        if len({kind_of(name) for name in streamed.kinds}) * square_bytes(streamed.parameters) < _MOST_TOTALS:
            for (name, _), folded in streamed.folded.items():
                total = self._total.setdefault(kind_of(name), empty_square(streamed.parameters))
                folded.add_products(self._factors[name], total)

    def errors(self, weights: Mapping[str, float], penalty_pp: Floats, strength: float = 1.0) -> dict[str, float]:
        """Return the root mean square error of each name on held-out rows; infinite where a solve fails.

        `weights` are by kind; kinds without one are not fitted, but judged. `strength` multiplies the penalty.
        """
        streamed = self._streamed
        square = dict.fromkeys(self._factors, 0.0)
        weight_of = {name: weights.get(kind_of(name), 0.0) * factor for name, factor in self._factors.items()}
        whole = self._whole(weights, weight_of)
        for c in column_blocks(streamed.parameters):
            whole[:-1, c] += strength * penalty_pp[:, c]
        for fold in streamed.folds:
            normal = whole.copy(order="F")
            mine = {name: folded for (name, f), folded in streamed.folded.items() if f == fold}
            for name, folded in mine.items():
                if weight_of[name] > 0.0:
                    folded.add_products(-weight_of[name], normal)
            found = by_cholesky(normal)
            if found is None:
                return dict.fromkeys(self._factors, np.inf)
            for name, folded in mine.items():
                square[name] += folded.square_of(found[0])
        return {name: float(np.sqrt(square[name] / max(1, streamed.count(name)))) for name in square}

    def _whole(self, weights: Mapping[str, float], weight_of: Mapping[str, float]) -> Floats:
        """Return the weighted products of all rows, (P + 1, P + 1)."""
        whole = empty_square(self._streamed.parameters)
        for kind, total in self._total.items():
            whole += weights.get(kind, 0.0) * total
        if not self._total:
            for (name, _), folded in self._streamed.folded.items():
                if weight_of[name] > 0.0:
                    folded.add_products(weight_of[name], whole)
        return whole
