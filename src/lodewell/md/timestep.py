"""How long a time step may be, from how stiffly the atoms are held."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units

from lodewell.potentials.base import Potential

_STEPS_A_PERIOD = 45  # of the fastest atom on its own; whole modes are up to twice as fast
_LONGEST = 4.0  # fs


def sensible_step(potential: Potential, cell: Atoms) -> float:
    """Return a time step (ASE's unit) that follows the fastest atom, each moved while all others stand still."""
    nudge = 0.01
    stiffest = 0.0
    for n in {int(np.flatnonzero(cell.numbers == z)[0]) for z in set(cell.numbers.tolist())}:
        pushed = []
        for c in range(3):
            for sign in (1.0, -1.0):
                atoms = cell.copy()
                atoms.positions[n, c] += sign * nudge
                pushed.append(atoms)
        f = [r.forces_nc[n] for r in potential.evaluate(pushed)]
        k_c = [-(f[2 * c][c] - f[2 * c + 1][c]) / (2.0 * nudge) for c in range(3)]
        stiffest = max(stiffest, float(max(k_c)) / float(cell.get_masses()[n]))
    longest = _LONGEST * units.fs
    if stiffest <= 0.0:
        return float(longest)
    return float(min(longest, 2.0 * np.pi / np.sqrt(stiffest) / _STEPS_A_PERIOD))
