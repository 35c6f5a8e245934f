"""Which distances the training data of a potential hold: what figures shade and lists flag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.fit.distances import WIDTH

_HOLE = 0.1  # Å: a stretch without data that is worth seeing


@dataclass(frozen=True)
class Coverage:
    """Which distances of a pair the training data hold.

    `count_h` counts them in bins of `WIDTH` from 0 on; `shortest` and the `holes` beyond it up to the cutoff in Å;
    `shell` is where most first neighbours stand. `used` bins lie within the cutoff.
    """

    count_h: Floats
    used: int
    shortest: float
    shell: float
    holes: tuple[tuple[float, float], ...]

    def seen(self, r: Floats) -> NDArray[np.bool_]:
        """Return whether distances of any shape lie where there are data; what was not counted is taken as seen."""
        inside = np.asarray(r >= self.shortest)
        for low, high in self.holes:
            inside &= ~((r > low) & (r < high))
        return inside


def covered(count_h: Floats | None, cutoff: float) -> Coverage | None:
    """Return which distances within a cutoff (Å) were counted; None when none were, or there is no record."""
    used = np.zeros(0) if count_h is None else count_h[: int(np.ceil(cutoff / WIDTH - 1e-9))]
    if count_h is None or not used.any():
        return None
    first = int(np.argmax(used > 0))
    edges = np.flatnonzero(np.diff(np.concatenate([[1], used[first:] > 0, [1]]).astype(int)))
    begins, ends = WIDTH * (first + edges[::2]), WIDTH * (first + edges[1::2])
    holes = [(float(a), float(b)) for a, b in zip(begins, ends, strict=True) if b - a > _HOLE - 1e-9]
    return Coverage(count_h, len(used), WIDTH * first, _first_shell(used), tuple(holes))


def _first_shell(count_h: Floats) -> float:
    """Return the first peak of the pair distribution, Å: the first one half as high as the highest."""
    r = WIDTH * (np.arange(len(count_h)) + 0.5)
    window = np.hanning(11)
    g = np.convolve(count_h / r**2, window / window.sum(), mode="same")
    peak = np.flatnonzero((g >= np.roll(g, 1)) & (g > np.roll(g, -1)) & (g > 0.5 * g.max()))
    return float(r[peak[0] if len(peak) else np.argmax(g)])
