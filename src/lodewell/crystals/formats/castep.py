"""CASTEP's `.cell` files: cell and positions; everything else in them is left alone."""

from __future__ import annotations

import re

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.units import Bohr
from numpy.typing import NDArray

from lodewell.crystals.cells import cell_from_parameters
from lodewell.crystals.elements import element_of
from lodewell.errors import BadCrystal

UNITS = {"ang": 1.0, "bohr": Bohr, "a0": Bohr, "nm": 10.0, "m": 1e10, "cm": 1e8}
Floats = NDArray[np.float64]


def blocks(text: str) -> dict[str, list[list[str]]]:
    """Return the words of the lines of every `%BLOCK`, by lower-case name, comments dropped."""
    found: dict[str, list[list[str]]] = {}
    name: str | None = None
    for line in text.splitlines():
        words = re.split(r"[#!;]", line, maxsplit=1)[0].split()
        if not words:
            continue
        head = words[0].lower()
        if head == "%block" and len(words) > 1:
            name = words[1].lower()
            found[name] = []
        elif head == "%endblock":
            name = None
        elif name is not None:
            found[name].append(words)
    if name is not None:
        raise BadCrystal(f"%BLOCK {name.upper()} has no %ENDBLOCK; the file is cut short")
    return found


def _scaled(lines: list[list[str]]) -> tuple[float, list[list[str]]]:
    """Split off a line with the unit of length."""
    if lines and len(lines[0]) == 1 and lines[0][0].lower() in UNITS:
        return UNITS[lines[0][0].lower()], lines[1:]
    return 1.0, lines


def _numbers(lines: list[list[str]], what: str) -> Floats:
    try:
        return np.array([[float(word) for word in words[:3]] for words in lines]).reshape(-1, 3)
    except ValueError as err:
        raise BadCrystal(f"the block {what} holds something that is no number ({err}); correct it") from err


def from_cell(text: str) -> Atoms:
    """Turn a `.cell` file into atoms; raises `BadCrystal` when a block is missing or damaged."""
    known = blocks(text)
    if "lattice_cart" in known:
        unit, lines = _scaled(known["lattice_cart"])
        cell = _numbers(lines, "LATTICE_CART") * unit
    elif "lattice_abc" in known:
        unit, lines = _scaled(known["lattice_abc"])
        lengths, angles = np.split(_numbers(lines, "LATTICE_ABC"), [1])
        if angles.shape != (1, 3):
            raise BadCrystal("the block LATTICE_ABC needs a line of lengths and a line of angles")
        cell = cell_from_parameters([*(lengths[0] * unit), *angles[0]])
    else:
        raise BadCrystal("there is no %BLOCK LATTICE_CART or LATTICE_ABC; add one")
    if cell.shape != (3, 3):
        raise BadCrystal("the block with the lattice needs three vectors; the file is cut short")
    fractional = "positions_frac" in known
    if not fractional and "positions_abs" not in known:
        raise BadCrystal("there is no %BLOCK POSITIONS_FRAC or POSITIONS_ABS; add one")
    unit, lines = (1.0, known["positions_frac"]) if fractional else _scaled(known["positions_abs"])
    values = _numbers([words[1:] for words in lines], "of positions")
    symbols = [_symbol(words) for words in lines]
    positions = values @ cell if fractional else values * unit
    return Atoms(symbols, positions=positions, cell=cell, pbc=True)


def _symbol(words: list[str]) -> str:
    """Return the element of `Fe`, `Fe:1`, `Fe_up`, `H:D`, or of its number."""
    if "MIXTURE" in " ".join(words[4:]).upper():
        raise BadCrystal(
            f"{words[0]} is partially occupied ({' '.join(words[4:])}); choose an ordered approximant of the crystal"
        )
    if words[0].isdecimal() and 1 <= int(words[0]) < len(chemical_symbols):
        return str(chemical_symbols[int(words[0])])
    symbol = element_of(words[0])
    if symbol is None:
        raise BadCrystal(f"{words[0]!r} is no element; correct the block of positions")
    return symbol
