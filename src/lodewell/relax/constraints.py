"""ASE's constraints as one 3x3 projector an atom, in the frame of the starting cell."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixedLine, FixedPlane, FixScaled

from lodewell.crystals.batch import Floats
from lodewell.errors import BadCrystal

HONOURED = "FixAtoms, FixCartesian, FixScaled, FixedPlane, FixedLine and FixSymmetry"


def projectors(atoms: Atoms) -> Floats | None:
    """Return where each atom may move, shape (N, 3, 3), or None when all are free.

    While the cell strains, fixed atoms keep their fractional coordinates, as under ASE's cell filters.

    Raises:
        BadCrystal: for a constraint that cannot be honoured, naming it.
    """
    if not atoms.constraints:
        return None
    forbidden = np.zeros((len(atoms), 3, 3))
    for constraint in atoms.constraints:
        if type(constraint).__name__ != "FixSymmetry":
            _forbid(constraint, atoms, forbidden)
    if not forbidden.any():
        return None
    # An atom may move along every direction that no constraint forbids: the null space of the sum.
    values, vectors = np.linalg.eigh(forbidden)
    allowed = values < 1e-9
    return np.asarray(np.einsum("nik,nk,njk->nij", vectors, allowed.astype(float), vectors))


def wants_symmetry(atoms: Atoms) -> bool:
    """Tell whether the crystal carries ASE's FixSymmetry."""
    return any(type(c).__name__ == "FixSymmetry" for c in atoms.constraints)


def _forbid(constraint: object, atoms: Atoms, forbidden: Floats) -> None:
    """Add the projector onto what the constraint forbids."""
    if isinstance(constraint, FixAtoms):
        forbidden[constraint.index] += np.eye(3)
    elif isinstance(constraint, FixCartesian):
        forbidden[constraint.index] += np.diag(np.asarray(constraint.mask, dtype=float))
    elif isinstance(constraint, FixScaled):
        free = atoms.cell.array[~np.asarray(constraint.mask, dtype=bool)]
        basis = np.linalg.svd(free)[2][: len(free)] if len(free) else np.zeros((0, 3))
        forbidden[constraint.index] += np.eye(3) - basis.T @ basis
    elif isinstance(constraint, FixedPlane):
        forbidden[constraint.index] += np.outer(constraint.dir, constraint.dir)
    elif isinstance(constraint, FixedLine):
        forbidden[constraint.index] += np.eye(3) - np.outer(constraint.dir, constraint.dir)
    else:
        raise BadCrystal(
            f"the constraint {type(constraint).__name__} cannot be kept; remove it, or express it by {HONOURED}"
        )
