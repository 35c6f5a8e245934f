"""Crystals go on in three directions, slabs in two, chains in one, molecules in none, however their cell is chosen."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule, nanotube
from ase.spacegroup import crystal

from lodewell.crystals.dimensions import dimensions


def boxed(atoms: Atoms, vacuum: float = 8.0) -> Atoms:
    atoms.center(vacuum=vacuum, axis=[k for k in range(3) if not atoms.pbc[k]])
    atoms.pbc = True
    return atoms


GRAPHITE = crystal("CC", [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)], spacegroup=194, cellpar=[2.46, 2.46, 6.71, 90, 90, 120])
CASES = {
    "fcc": (bulk("Al"), 3),
    "salt": (bulk("NaCl", "rocksalt", a=5.64, cubic=True), 3),
    "graphite": (GRAPHITE, 3),
    "slab": (boxed(fcc111("Al", (1, 1, 4))), 2),
    "graphene": (boxed(graphene()), 2),
    "tube": (boxed(nanotube(4, 0, length=2)), 1),
    "water": (boxed(molecule("H2O")), 0),
    "atom": (Atoms("He", cell=[9, 9, 9], pbc=True), 0),
    "far apart": (Atoms("He2", positions=[[0, 0, 0], [8, 8, 8]], cell=[16, 16, 16], pbc=True), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_directions_do_not_depend_on_the_cell(name):
    atoms, expected = CASES[name]
    assert dimensions(atoms) == expected
    assert dimensions(atoms * (2, 1, 3)) == expected
    other = atoms.copy()
    other.set_cell(np.array([[1, 1, 0], [0, 1, 0], [1, -1, 1]]) @ atoms.cell.array)
    other.positions += [0.3, -7.0, 11.0]
    assert dimensions(other) == expected
    other.wrap()
    assert dimensions(other) == expected


def test_the_reach_decides():
    assert dimensions(bulk("Al"), reach=2.0) == 0
    assert dimensions(bulk("Al"), reach=2.9) == 3
    assert dimensions(GRAPHITE, reach=2.0) == 2


def test_without_periodic_directions():
    assert dimensions(molecule("C6H6")) == 0
