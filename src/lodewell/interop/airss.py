"""AIRSS's results, the `.res` dialect of SHELX (AIRSS manual, "The SHELX file format")."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers

from lodewell.crystals.cells import cell_from_parameters
from lodewell.errors import BadCrystal

CARDS = frozenset(
    {"REM", "CELL", "ZERR", "LATT", "SFAC", "SYMM", "UNIT", "TITL", "END", "HKLF", "FVAR", "WGHT", "PLAN"}
)


def split_results(text: str) -> Iterator[str]:
    """Yield the single results of a file; AIRSS users keep thousands glued together."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("TITL") and any(entry.startswith("TITL") for entry in lines):
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    if any(line.strip() for line in lines):
        yield "\n".join(lines)


def from_res(text: str) -> Atoms:
    """Turn one result into atoms.

    The TITL line gives `info` its id, pressure (GPa), volume (Å^3), enthalpy (eV), space group and count. As in ASE
    the enthalpy also stands as the energy, which it is unless the search was made under an outer pressure. Raises
    `BadCrystal` for what is not AIRSS's dialect: symmetry cards, partial occupancy, missing cell.
    """
    title: list[str] = []
    ended = False
    cell: list[float] = []
    species: list[str] = []
    symbols: list[str] = []
    scaled: list[list[float]] = []
    spins: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        card = words[0].upper() if words else ""
        if not words or card == "REM":
            continue
        if card == "TITL":
            title = words[1:]
        elif card == "CELL":
            cell = _numbers(words[2:8], number)
        elif card == "SFAC":
            species = words[1:]
        elif card == "SYMM" or (card == "LATT" and words[1:] and words[1] != "-1"):
            raise BadCrystal(f"line {number}: symmetry card {card}; only AIRSS's .res in P1 is read, convert it to CIF")
        elif card == "END":
            ended = True
            break
        elif species and card not in CARDS:
            symbols.append(_symbol(words, species, number))
            scaled.append(_numbers(words[2:5], number))
            spins.append(_spin(words, number))
    if len(cell) != 6:
        raise BadCrystal("no CELL line with six numbers; the file is cut short or is not a .res")
    if not ended:
        raise BadCrystal("there is no END line; the file is cut short")
    matrix = cell_from_parameters(cell)
    atoms = Atoms(symbols, positions=np.array(scaled).reshape(-1, 3) @ matrix, cell=matrix, pbc=True)
    if any(spins):
        atoms.set_initial_magnetic_moments(spins)
    _title(atoms, title)
    return atoms


def _numbers(words: list[str], line: int) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as err:
        raise BadCrystal(f"line {line}: {' '.join(words)!r} should be numbers; correct the line") from err


def _symbol(words: list[str], species: list[str], line: int) -> str:
    if len(words) < 5:
        raise BadCrystal(f"line {line}: an atom needs a label, a number and three coordinates; the file is damaged")
    if not words[1].isdecimal() or not 1 <= int(words[1]) <= len(species):
        raise BadCrystal(f"line {line}: {words[1]!r} is no entry of the SFAC line; correct it")
    symbol = species[int(words[1]) - 1].capitalize()
    if symbol not in atomic_numbers or symbol == "X":
        raise BadCrystal(f"line {line}: {symbol!r} is no element; correct the SFAC line")
    occupancy = float(words[5]) if len(words) > 5 else 1.0
    if occupancy > 10:  # SHELX adds ten to a value that is not to be refined
        occupancy -= 10
    if abs(occupancy - 1) > 1e-3:
        raise BadCrystal(
            f"line {line}: {words[0]} is partially occupied ({occupancy:g}); choose an ordered approximant"
        )
    return symbol


def _spin(words: list[str], line: int) -> float:
    return _numbers(words[6:7], line)[0] if len(words) == 7 else 0.0


def _title(atoms: Atoms, words: list[str]) -> None:
    """Read `name pressure volume enthalpy spin |spin| atoms (group) n - count`, as far as it goes."""
    if not words:
        return
    atoms.info["id"] = words[0]
    for key, word in zip(("pressure_GPa", "volume", "enthalpy"), words[1:4], strict=False):
        try:
            value = float(word)
        except ValueError:
            return
        if math.isfinite(value):
            atoms.info[key] = value
    if len(words) > 7 and words[7].startswith("("):
        atoms.info["spacegroup"] = words[7].strip("()")
    if len(words) > 10 and words[10].isdecimal():
        atoms.info["times_found"] = int(words[10])
    if "enthalpy" in atoms.info:
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.info["enthalpy"])
