"""Cell vectors from lengths and angles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lodewell.errors import BadCrystal


def cell_from_parameters(parameters: Sequence[float]) -> NDArray[np.float64]:
    """Return (3, 3) rows a along x, b in the xy plane, c above it, from a, b, c (Å) and alpha, beta, gamma (degrees).

    Right angles are exact. Raises `BadCrystal` when a length is not positive or the angles close no cell.
    """
    lengths, angles = list(parameters[:3]), list(parameters[3:])
    shown = " ".join(f"{x:g}" for x in parameters)
    if not all(math.isfinite(x) for x in parameters) or min(lengths) <= 0 or not 0 < min(angles) <= max(angles) < 180:
        raise BadCrystal(f"the cell {shown} has an edge or angle out of range; correct it")
    cos_alpha, cos_beta, cos_gamma = (0.0 if x == 90 else math.cos(math.radians(x)) for x in angles)
    sin_gamma = 1.0 if angles[2] == 90 else math.sin(math.radians(angles[2]))
    across = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    square = 1 - cos_beta**2 - across**2
    if square <= 0:
        raise BadCrystal(f"the angles of the cell {shown} close no cell; correct them")
    a, b, c = lengths
    return np.array([[a, 0, 0], [b * cos_gamma, b * sin_gamma, 0], [c * cos_beta, c * across, c * math.sqrt(square)]])
