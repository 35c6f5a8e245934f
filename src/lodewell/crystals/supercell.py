"""Crystals repeated to a wanted size."""

from __future__ import annotations

import numpy as np
from ase import Atoms


def repeated(atoms: Atoms, wanted: int) -> Atoms:
    """Repeat a crystal to about so many atoms, as near to a cube as its cell allows."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    repeats = np.ones(3, dtype=int)
    while len(atoms) * repeats.prod() < wanted:
        repeats[np.argmin(repeats * heights)] += 1
    return atoms.repeat(tuple(int(n) for n in repeats))
