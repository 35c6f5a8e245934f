"""Orbits: atoms of a crystal that no network can tell apart stand once, so that cells and supercells cost the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats, Ints
from lodewell.crystals.neighbours.neighbours import COINCIDENT, neighbour_list
from lodewell.errors import BadCrystal
from lodewell.predict import _geometry

CUTOFF = 6.0  # Å
TOLERANCE = 1e-3  # relative difference of surroundings from which two atoms are told apart
_CLOSEST = 0.3  # Å
_OUTSIDE = "not periodic in three directions: molecules, chains and slabs are outside, the networks are of crystals"


@dataclass(frozen=True)
class Orbits:
    """A crystal's atoms grouped by what surrounds them, and the pairs of atoms that the grouping rests on.

    | field | shape | meaning |
    |---|---|---|
    | `number_o` | (O,) | atomic number of each orbit |
    | `representative_o` | (O,) | its first atom |
    | `multiplicity_o` | (O,) | its number of atoms |
    | `orbit_n` | (N,) | the orbit of each atom |
    | `i_p`, `j_p`, `vector_pc` | (P,), (P,), (P, 3) | all pairs within `CUTOFF`, by i; x_j + R - x_i in Å |
    """

    number_o: NDArray[np.int32]
    representative_o: Ints
    multiplicity_o: Ints
    orbit_n: Ints
    i_p: Ints
    j_p: Ints
    vector_pc: Floats

    @property
    def weight_o(self) -> NDArray[np.float32]:
        """The share of the crystal's atoms; (O,)."""
        return (self.multiplicity_o / len(self.orbit_n)).astype(np.float32)


def orbits(atoms: Atoms) -> Orbits:
    """Group the atoms of a crystal.

    Raises:
        BadCrystal: when it is not periodic in three directions, has no volume, no atoms or coincident atoms.
    """
    if not atoms.pbc.all():
        raise BadCrystal(_OUTSIDE)
    if len(atoms) == 0:
        raise BadCrystal("there are no atoms; remove the entry")
    i_p, j_p, _, vector_pc = neighbour_list(atoms, CUTOFF)
    square_p = np.einsum("pc,pc->p", vector_pc, vector_pc)
    if len(square_p) and square_p.min() < _CLOSEST**2:
        p = int(square_p.argmin())
        distance = float(np.sqrt(square_p[p]))
        what = "stand in the same place" if distance < COINCIDENT else f"are {distance:.2f} Å apart"
        raise BadCrystal(f"atoms {i_p[p] + 1} and {j_p[p] + 1} {what}: take one of them out")
    orbit_n, _ = _geometry.alike(atoms.numbers.astype(np.int64), i_p, j_p, vector_pc, CUTOFF, TOLERANCE)
    _, representative_o, multiplicity_o = np.unique(orbit_n, return_index=True, return_counts=True)
    return Orbits(
        atoms.numbers[representative_o].astype(np.int32), representative_o, multiplicity_o, orbit_n, i_p, j_p, vector_pc
    )
