"""Cells sheared until they are needles: their lattice has a compact cell, with which neighbours are found quickly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lodewell.compiled import kernel
from lodewell.crystals.neighbours.images import determinant

# Volume over the product of the edges: 1 for a box, 0.7 for the primitive cell of fcc, 0.02 for one edge sheared
# 50-fold, which costs nothing yet.
COMPACT = 0.01


@kernel
def is_sheared(cell: NDArray[np.float64]) -> bool:
    """Tell whether the volume of a cell is tiny beside the product of its edges, but not zero."""
    product = 1.0
    for k in range(3):
        product *= cell[k, 0] ** 2 + cell[k, 1] ** 2 + cell[k, 2] ** 2
    volume = determinant(cell)
    return bool(1e-24 * product < volume * volume < COMPACT * COMPACT * product)


@kernel
def any_sheared(cells: NDArray[np.float64], pbc: NDArray[np.bool_]) -> bool:
    """Tell whether any crystal that is periodic in three directions has a sheared cell."""
    sheared = False
    for b in range(len(cells)):
        sheared |= pbc[b, 0] and pbc[b, 1] and pbc[b, 2] and is_sheared(cells[b])
    return bool(sheared)


def compact_cells(cells: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return cells (B, 3, 3) with those that are sheared replaced by the Minkowski-reduced ones of the same lattice.

    Atoms stay where they are: the crystal is the same, and so are its energy, forces and stress.
    """
    if not any_sheared(cells, pbc):
        return cells
    from ase.geometry import minkowski_reduce

    out = cells.copy()
    for b in range(len(cells)):
        if pbc[b].all() and is_sheared(cells[b]):
            out[b] = minkowski_reduce(cells[b])[0]
    return out
