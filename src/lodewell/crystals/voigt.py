"""Voigt's order of the six components of a symmetric tensor: xx yy zz yz xz xy, as in ASE, everywhere."""

from __future__ import annotations

import numpy as np

from lodewell.crystals.batch import Floats

# Rows and columns: tensor[SIX] are the six.
SIX = np.array([0, 1, 2, 1, 0, 0]), np.array([0, 1, 2, 2, 2, 1])
FLAT = 3 * SIX[0] + SIX[1]  # their places in the nine of a tensor
_PLACE = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


def six(tensor_cc: Floats) -> Floats:
    """Return the six components of symmetric tensors, (..., 3, 3) to (..., 6)."""
    return np.asarray(tensor_cc[..., SIX[0], SIX[1]])


def matrix(six_v: Floats) -> Floats:
    """Return the symmetric tensors of six components each, (..., 6) to (..., 3, 3)."""
    return np.asarray(six_v[..., _PLACE])
