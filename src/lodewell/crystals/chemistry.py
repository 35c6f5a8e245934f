"""What a composition says: its element set, its reduced formula, and the anion that sets its chemistry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from math import gcd

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lodewell.crystals.batch import Batch, Ints

# Most electronegative first: the first one present, in at least this share of the atoms, names the class of a crystal.
ANION_CLASSES = ("fluoride", "oxide", "chloride", "nitride", "bromide", "iodide", "sulfide", "selenide", "carbide",
                 "hydride", "telluride", "phosphide", "arsenide", "other")  # fmt: skip
_ANIONS = (9, 8, 17, 7, 35, 53, 16, 34, 6, 1, 52, 15, 33)
_LEAST_SHARE = 0.2


def anion_class_b(batch: Batch) -> Ints:
    """Return the row of `ANION_CLASSES` of each crystal, shape (B,)."""
    out = np.full(len(batch), len(_ANIONS), dtype=np.int64)
    for k in range(len(_ANIONS) - 1, -1, -1):
        share_b = np.bincount(batch.crystal_n, batch.species_n == _ANIONS[k], len(batch)) / np.maximum(batch.count_b, 1)
        out[share_b >= _LEAST_SHARE] = k
    return out


def anion_of(elements: Collection[int]) -> int:
    """Return the row of `ANION_CLASSES` told by the elements alone, their amounts unknown."""
    return next((k for k, z in enumerate(_ANIONS) if z in elements), len(_ANIONS))


def element_set(numbers: Sequence[int] | NDArray[np.integer]) -> str:
    """Write the elements present as "Li-O-P", sorted by symbol."""
    return "-".join(sorted(chemical_symbols[z] for z in set(np.asarray(numbers).tolist())))


def reduced_formula(numbers: Sequence[int] | NDArray[np.integer]) -> str:
    """Write the composition divided by its greatest common divisor, symbols sorted: "Li3O4P"."""
    counts = Counter(np.asarray(numbers).tolist())
    divisor = gcd(*counts.values())
    parts = sorted((chemical_symbols[z], n // divisor) for z, n in counts.items())
    return "".join(f"{s}{n if n > 1 else ''}" for s, n in parts)
