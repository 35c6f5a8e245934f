"""Errors added up as a stream: means, calibration of error bars, and a fair sample for figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lodewell.crystals.batch import Floats, Ints

LEVELS = np.arange(1, 100) / 100.0  # probabilities at which error bars are judged


@dataclass(frozen=True)
class Error:
    """Errors of one quantity, predicted minus reference; None where nothing was compared.

    Attributes:
        unit: of all but `count`.
        count: numbers compared.
        mae: mean absolute error.
        rmse: root mean square error.
        largest: absolute error.
        shift: mean error with its sign.
        rmse_shifted: root mean square error once the shift is taken away.
        spread: standard deviation of the references: the error of predicting their mean.
    """

    unit: str
    count: int = 0
    mae: float | None = None
    rmse: float | None = None
    largest: float | None = None
    shift: float | None = None
    rmse_shifted: float | None = None
    spread: float | None = None

    def json(self) -> dict[str, Any]:
        """Return plain values."""
        keys = ("mae", "rmse", "unit", "count", "largest", "shift", "rmse_shifted", "spread")
        return {key: getattr(self, key) for key in keys}


class Moments:
    """Adds up numbers for their standard deviation, about the first so that large ones lose no digits."""

    def __init__(self) -> None:
        self.count, self.origin, self.sum, self.square = 0, 0.0, 0.0, 0.0

    def add(self, values: ArrayLike) -> None:
        """Add numbers of any shape."""
        x = np.asarray(values, dtype=np.float64).ravel()
        if not x.size:
            return
        if not self.count:
            self.origin = float(x[0])
        x = x - self.origin
        self.count, self.sum = self.count + x.size, self.sum + float(x.sum())
        self.square += float(x @ x)

    @property
    def deviation(self) -> float | None:
        """The standard deviation, None of fewer than two numbers."""
        if self.count < 2:
            return None
        return float(np.sqrt(max(self.square / self.count - (self.sum / self.count) ** 2, 0.0)))


class Tally:
    """Adds up errors."""

    def __init__(self) -> None:
        self.count, self.sum, self.absolute, self.square, self.largest = 0, 0.0, 0.0, 0.0, 0.0
        self.references = Moments()

    def add(self, errors: ArrayLike, references: ArrayLike = ()) -> None:
        """Add errors of any shape, and the references that they are errors of."""
        self.references.add(references)
        x = np.asarray(errors, dtype=np.float64)
        if not x.size:
            return
        self.count += x.size
        self.sum += float(x.sum())
        self.absolute += float(np.abs(x).sum())
        self.square += float((x * x).sum())
        self.largest = max(self.largest, float(np.abs(x).max()))

    def error(self, unit: str) -> Error:
        """Return what has been added up."""
        n = self.count
        if not n:
            return Error(unit)
        shift, square = self.sum / n, self.square / n
        return Error(
            unit, n, self.absolute / n, float(np.sqrt(square)), self.largest, shift,
            float(np.sqrt(max(square - shift**2, 0.0))), self.references.deviation,
        )  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """How errors compare with the standard deviations that were predicted for them.

    | field | shape | meaning |
    |---|---|---|
    | `count` | | errors compared |
    | `z_rms` | | root mean square of error over standard deviation: 1 is right, above 1 the bars are too short |
    | `expected_q` | (99,) | 0.01 to 0.99 |
    | `observed_q` | (99,) | share of the errors inside the interval that should hold `expected_q` of them |
    """

    count: int
    z_rms: float
    expected_q: Floats
    observed_q: Floats

    def within(self, deviations: float) -> float:
        """Return the share of errors within so many standard deviations."""
        return float(np.interp(2.0 * _normal(deviations) - 1.0, self.expected_q, self.observed_q))

    def json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"count": self.count, "z_rms": self.z_rms, "within_1_sigma": self.within(1.0),
                "within_2_sigma": self.within(2.0)}  # fmt: skip


class CalibrationTally:
    """Counts into which interval each error falls."""

    def __init__(self, floor: float) -> None:
        self.floor = floor
        self.count, self.square = 0, 0.0
        self.bins: Ints = np.zeros(len(LEVELS) + 1, dtype=np.int64)

    def add(self, errors: ArrayLike, sigmas: ArrayLike) -> None:
        """Add errors with their standard deviations, of one shape.

        Left out are deviations below the floor: where symmetry makes a number vanish, both are rounding.
        """
        error, sigma = np.asarray(errors, np.float64).ravel(), np.asarray(sigmas, np.float64).ravel()
        known = np.isfinite(sigma) & (sigma > self.floor)
        z = np.abs(error[known]) / sigma[known]
        self.count += z.size
        self.square += float((z * z).sum())
        self.bins += np.bincount(np.searchsorted(_thresholds(), z), minlength=len(self.bins))

    def calibration(self) -> Calibration | None:
        """Return what has been counted, or None if nothing was."""
        if not self.count:
            return None
        return Calibration(
            self.count, float(np.sqrt(self.square / self.count)), LEVELS, np.cumsum(self.bins)[:-1] / self.count
        )


@cache
def _thresholds() -> Floats:
    """Return the half widths, in standard deviations, of the intervals that hold each of `LEVELS`."""
    from scipy.special import ndtri

    return np.asarray(ndtri(0.5 * (1.0 + LEVELS)), dtype=np.float64)


def _normal(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(z))


class Sample:
    """A fair sample of the rows of a stream, of bounded size."""

    def __init__(self, width: int, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        self._key = np.zeros(0)
        self._row = np.zeros((0, width))
        self._new: list[Floats] = []
        self._waiting = 0

    def add(self, rows: Floats) -> None:
        """Offer some rows."""
        if self.size:
            self._new.append(np.asarray(rows, dtype=np.float64))
            self._waiting += len(rows)
            if self._waiting > self.size:
                self._sift()

    def rows(self) -> Floats:
        """Return the sample."""
        self._sift()
        return self._row

    def _sift(self) -> None:
        """Give each new row a random key, and keep the rows with the smallest."""
        self._key = np.concatenate([self._key, self.rng.random(self._waiting)])
        self._row = np.concatenate([self._row, *self._new])
        self._new, self._waiting = [], 0
        if len(self._key) > self.size:
            kept = np.sort(np.argpartition(self._key, self.size)[: self.size])
            self._key, self._row = self._key[kept], self._row[kept]
