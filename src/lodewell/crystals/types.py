"""Types: elements numbered from 0, as tables by element and compiled loops count them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lodewell.crystals.batch import Ints

_NUMBERS = 119  # atomic numbers end at 118


def type_table(elements: Iterable[int]) -> Ints:
    """Return the place of each element among `elements` by its atomic number, -1 where it is not one; (119,)."""
    named = np.fromiter(elements, np.int64)
    type_z = np.full(_NUMBERS, -1, dtype=np.int64)
    type_z[named] = np.arange(len(named))
    return type_z
