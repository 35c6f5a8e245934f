"""Which elements and distances a table for another code has, and the folder that it goes to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.errors import BadOption, UnsupportedElement
from lodewell.files import write_failure
from lodewell.potentials.base import Potential
from lodewell.potentials.statistical.statistical import as_statistical


def chosen_elements(potential: Potential, elements: str | Sequence[str] | None) -> list[int]:
    """Return the atomic numbers of "Li,P,O" or ["Li", "P", "O"] in the order given; None is all the potential knows.

    Raises:
        BadOption: for something that is no element, or for all of a potential that knows every element.
        UnsupportedElement: for an element or pair without a curve.
    """
    if elements is None:
        if potential.species is None:
            raise BadOption("this potential knows every element: name those wanted, such as --elements Si,O")
        return sorted(potential.species)
    symbols = elements.replace(",", " ").split() if isinstance(elements, str) else list(elements)
    wrong = [s for s in symbols if s not in atomic_numbers or s == "X"]
    if wrong or not symbols:
        raise BadOption(f"'{', '.join(wrong)}' is no element: write symbols with commas, such as Li,P,O")
    numbers = list(dict.fromkeys(atomic_numbers[s] for s in symbols))
    if why := potential.unsupported(np.array(numbers)):
        raise UnsupportedElement(why)
    return numbers


def pairs_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return every pair of these elements, each once."""
    return list(combinations_with_replacement(numbers, 2))


def alphabetical(first: int, second: int) -> tuple[str, str]:
    """Return the two symbols in alphabetical order."""
    a, b = sorted((chemical_symbols[first], chemical_symbols[second]))
    return a, b


def grid(potential: Potential) -> Floats:
    """Return the distances at which a potential is tabulated: its own points, or every 0.02 Å; from 0 or 0.02 Å on."""
    table = as_statistical(potential)
    if table is not None and table.cutoff == potential.cutoff:
        return table.r_k
    count = round(potential.cutoff / 0.02)
    return np.linspace(0.0, potential.cutoff, count + 1)[1:]


def folder(out: str | Path) -> Path:
    """Make the folder.

    Raises:
        BadFile: when the system refuses, with the cure.
    """
    path = Path(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_failure(path, error) from error
    return path
