"""Which elements are alike, and how their distances scale: how thin statistics learn from rich ones."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii

from lodewell.crystals.batch import Floats, Ints
from lodewell.potentials.statistical.statistical import periodic_column

# Atoms of non-metals meet each other, and metals, further out than their covalent radii say.
_NONMETALS = np.array([1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 52, 53])
_EXTRA = 0.45  # Å
_LEAST = 0.75  # Å; helium's covalent radius says nothing about where helium meets anything
_NOBLE = np.array([2, 10, 18, 36, 54, 86])


def radius_z() -> Floats:
    """Return a length in Å for each atomic number, with which distances of a pair scale; shape (119,)."""
    out = covalent_radii[:119].copy()
    out[_NONMETALS] += _EXTRA
    return np.asarray(np.maximum(out, _LEAST))


def similarity(
    elements: Ints, own: float = 0.3, columns: float = 1.5, radii: float = 0.12, rows: float = 1.0
) -> Floats:
    """Return how much each element has in common with each other, 1 with itself; (E, E), positive definite.

    Likeness falls off as a Gaussian with the difference of columns and rows of the periodic table and of radii (Å);
    the share `own` is an element's alone.
    """
    column = np.array([periodic_column(int(z)) for z in elements], dtype=float)
    row = np.searchsorted(_NOBLE, elements).astype(float)
    radius = radius_z()[elements]
    square = (
        ((column[:, None] - column) / columns) ** 2
        + 0.5 * ((radius[:, None] - radius) / radii) ** 2
        + 0.5 * ((row[:, None] - row) / rows) ** 2
    )
    return np.asarray(own * np.eye(len(elements)) + (1.0 - own) * np.exp(-0.5 * square))
