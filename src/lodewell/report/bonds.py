"""Where the bond of a pair curve is: the well at the distance of known nearest neighbours, not a ripple beyond."""

from __future__ import annotations

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.potentials.statistical.statistical import BIN, Statistical

_SHARE = 0.05  # of the highest bin of nearest contacts, below which their first shell ends
_MARGIN = 0.3  # Å by which a well may lie beyond that shell


def longest_bond(table: Statistical, p: int) -> float | None:
    """Return where the first shell of nearest neighbours of pair `p` ends (Å), None where none are known."""
    contact_h = table.evidence.contact_ph[p]
    if not contact_h.sum() > 0.0:
        return None
    top = int(contact_h.argmax())
    few = np.flatnonzero(contact_h[top:] < _SHARE * contact_h[top])
    return BIN * float(top + few[0] if len(few) else len(contact_h))


def usual_bond(table: Statistical, p: int) -> float | None:
    """Return the most frequent distance (Å) of nearest neighbours of pair `p`, None where none are known."""
    contact_h = table.evidence.contact_ph[p]
    return BIN * (float(contact_h.argmax()) + 0.5) if contact_h.sum() > 0.0 else None


def well(r: Floats, u: Floats, unit: float = 0.0, longest: float | None = None) -> int | None:
    """Return the place of the deepest local minimum, not beyond the `longest` bond if that is known, or None.

    A bond's well counts even where it lies above zero, as between Li and O, if what holds it is higher than a
    hundredth of `unit`; where bonds are not known, minima count that are deeper than that.
    """
    dip = (u[1:-1] < u[:-2]) & (u[1:-1] <= u[2:])
    if longest is None:
        dip &= u[1:-1] < -0.01 * unit
    else:
        barrier = np.maximum.accumulate(u[::-1])[::-1][1:-1]
        dip &= (r[1:-1] < longest + _MARGIN) & (barrier - u[1:-1] > 0.01 * unit)
    dips = np.flatnonzero(dip) + 1
    return int(dips[np.argmin(u[dips])]) if len(dips) else None
