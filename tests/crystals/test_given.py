"""Crystals in every form that people give them, at every door."""

from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk

import lodewell
from lodewell.crystals.given import given_list
from lodewell.errors import BadOption


class Structure(list):
    """Like pymatgen's: it yields its sites, and can be turned into `Atoms`."""

    def to_ase_atoms(self) -> Atoms:
        return bulk("Cu")


def test_one_or_many_crystals_or_paths() -> None:
    copper = bulk("Cu")
    assert given_list(copper) == [copper]
    assert given_list("a.cif") == ["a.cif"]
    assert given_list([copper, Path("a.cif")]) == [copper, Path("a.cif")]
    assert given_list(iter(())) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Structure(), r"crystal 0 is of the type Structure: give its to_ase_atoms\(\)"),
        ([bulk("Cu"), Structure()], r"crystal 1 is of the type Structure: give its to_ase_atoms\(\)"),
        (3, r"crystal 0 is of the type int: give ase\.Atoms, or paths"),
        ([None], r"crystal 0 is of the type NoneType"),
    ],
)
def test_anything_else_is_refused(given: object, says: str) -> None:
    doors: tuple[Any, ...] = (lodewell.relax, lodewell.score, lodewell.lattice_sum, lodewell.load("spp").evaluate)
    for door in doors:
        with pytest.raises(BadOption, match=says):
            door(given)


def test_paths_are_read_first_where_crystals_are_wanted() -> None:
    with pytest.raises(BadOption, match=r"the path 'a\.cif': read it first"):
        lodewell.lattice_sum(["a.cif"])
