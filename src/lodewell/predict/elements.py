"""Where elements stand in the periodic table, as numbers a network starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PERIODS = ((1, 2), (3, 10), (11, 18), (19, 36), (37, 54), (55, 86), (87, 118))  # first and last number of each
PLACES = 7 + 19 + 2


def place(number: int) -> tuple[int, int, float]:
    """Return period (1-7), group (1-18, 0 for the f block) and how full the f block is (0-1).

    Raises:
        ValueError: for a number outside 1-118.
    """
    for period, (first, last) in enumerate(PERIODS, 1):
        if first <= number <= last:
            before, after = number - first, last - number
            if before < 2 and period > 1:
                return period, before + 1, 0.0
            if period == 1:
                return period, 1 if number == 1 else 18, 0.0
            if after < 6:
                return period, 18 - after, 0.0
            if period >= 6 and before < 16:
                return period, 0, (before - 2) / 14
            return period, 18 - after, 0.0
    raise ValueError(f"there is no element {number}")


def periodic_table() -> NDArray[np.float32]:
    """Return period and group as ones and zeros, group / 18 and the filling of the f block; (119, 28), row 0 empty."""
    table = np.zeros((119, PLACES), np.float32)
    for number in range(1, 119):
        period, group, filling = place(number)
        table[number, period - 1] = 1.0
        table[number, 7 + group] = 1.0
        table[number, 26:] = group / 18, filling
    return table
