"""VASP's POSCAR, read and written, selective dynamics included."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixScaled
from numpy.typing import NDArray

from lodewell.crystals.elements import element_of
from lodewell.crystals.names import tag_line
from lodewell.errors import BadCrystal

WORDS = frozenset({"Am", "As", "At", "Be", "He", "I", "In", "No", "U"})  # elements, and how titles in English begin
Floats = NDArray[np.float64]


def _floats(line: str, number: int, count: int) -> list[float]:
    words = line.split()
    try:
        if len(words) < count:
            raise ValueError("too few")
        return [float(word.replace("d", "e").replace("D", "e")) for word in words[:count]]
    except ValueError as err:
        raise BadCrystal(f"line {number} should hold {count} numbers, found {line.strip()[:60]!r}") from err


def _species(lines: list[str]) -> tuple[list[str], list[int], int]:
    """Return elements, counts and the line after them; VASP 4 files take the elements from the title."""
    words = lines[5].split()
    counts_at = 5 if words and all(word.isdecimal() for word in words) else 6
    names = lines[0].split() if counts_at == 5 else words
    try:
        counts = [int(word) for word in _uncommented(lines[counts_at]).split()]
    except ValueError as err:
        raise BadCrystal(f"line {counts_at + 1} should hold the number of atoms of each element") from err
    elements = [element for element in map(element_of, names[: len(counts)]) if element is not None]
    prose = counts_at == 5 and len(names) > len(counts) and WORDS.issuperset(elements)  # "No title given"
    if prose or len(elements) != len(counts) or not counts or min(counts) < 0:
        where = "the title of this VASP 4 file names" if counts_at == 5 else "line 6 names"
        raise BadCrystal(
            f"{where} no element for every one of the {len(counts)} counts; add a line of symbols above them"
        )
    return elements, counts, counts_at + 1


def _cell(lines: list[str]) -> tuple[Floats, Floats]:
    """Return the cell and the scale of Cartesian coordinates; a negative scale is the volume."""
    words = lines[1].split()
    factors = np.array(_floats(lines[1], 2, 3 if len(words) >= 3 and _all_numbers(words[:3]) else 1))
    vectors = np.array([_floats(lines[i], i + 1, 3) for i in (2, 3, 4)])
    if len(factors) == 1 and factors[0] < 0:
        volume = abs(np.linalg.det(vectors))
        if volume == 0:
            raise BadCrystal("the cell has no volume, so it cannot be scaled to one")
        factors = np.array([(-factors[0] / volume) ** (1 / 3)])
    return vectors * factors, factors


def _uncommented(line: str) -> str:
    return line.replace("!", "#").split("#", 1)[0]


def _all_numbers(words: list[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def from_poscar(text: str) -> Atoms:
    """Turn a POSCAR or CONTCAR into atoms; selective dynamics become ASE constraints.

    Raises `BadCrystal` with the line for what is missing or damaged.
    """
    lines = text.splitlines()
    if len(lines) < 8:
        raise BadCrystal(f"a POSCAR has at least eight lines, this has {len(lines)}; it is cut short")
    cell, scale = _cell(lines)
    elements, counts, at = _species(lines)
    selective = lines[at].strip()[:1].lower() == "s"
    at += selective
    cartesian = at < len(lines) and lines[at].strip()[:1].lower() in ("c", "k")
    at += 1
    total = sum(counts)
    if total > len(lines) - at:
        raise BadCrystal(f"{total} atoms are announced but {max(len(lines) - at, 0)} lines follow; it is cut short")
    values = np.array([_floats(lines[i], i + 1, 3) for i in range(at, at + total)]).reshape(-1, 3)
    symbols = [element for element, count in zip(elements, counts, strict=True) for _ in range(count)]
    atoms = Atoms(symbols, positions=values * scale if cartesian else values @ cell, cell=cell, pbc=True)
    if selective:
        _hold(atoms, [lines[i].split()[3:6] for i in range(at, at + total)], at)
    return atoms


def _hold(atoms: Atoms, flags: list[list[str]], at: int) -> None:
    """Turn the T and F of selective dynamics into constraints along the lattice vectors."""
    fixed: list[list[bool]] = []
    for i, words in enumerate(flags):
        letters = [word.strip(".").upper()[:1] for word in words]
        if len(letters) != 3 or not set(letters) <= {"T", "F"}:
            raise BadCrystal(f"line {at + i + 1}: selective dynamics need three T or F behind the coordinates")
        fixed.append([letter == "F" for letter in letters])
    fixed_nc = np.array(fixed, dtype=bool).reshape(-1, 3)
    whole = np.flatnonzero(fixed_nc.all(axis=1))
    partly = np.flatnonzero(fixed_nc.any(axis=1) & ~fixed_nc.all(axis=1))
    constraints: list[Any] = [FixScaled(int(i), mask=fixed_nc[i]) for i in partly]
    if len(whole):
        constraints.append(FixAtoms(whole))
    atoms.set_constraint(constraints)


def fixed_directions(atoms: Atoms) -> NDArray[np.bool_]:
    """Return (n, 3) flags, true where a constraint holds an atom along a direction."""
    fixed_nc = np.zeros((len(atoms), 3), dtype=np.bool_)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed_nc[constraint.index] = True
        elif isinstance(constraint, FixScaled | FixCartesian):
            fixed_nc[constraint.index] |= np.asarray(constraint.mask, dtype=bool)
    return fixed_nc


def to_poscar(atoms: Atoms) -> str:
    """Return a VASP 5 POSCAR with fractional coordinates; constraints become selective dynamics.

    The comment is the crystal's id, else its formula, and what joins it to a row of results. Atoms are not sorted: a
    symbol that comes twice gets two groups. Raises `BadCrystal` without a cell.
    """
    if atoms.cell.rank < 3:
        raise BadCrystal("a POSCAR needs three cell vectors; give the molecule a box, or write extended XYZ")
    groups = [(symbol, len(list(same))) for symbol, same in groupby(atoms.get_chemical_symbols())]
    title = " ".join(f"{atoms.info.get('id', atoms.get_chemical_formula())} {tag_line(atoms.info)}".split())
    lines = [title, "1.0"]
    lines += [" ".join(f"{x:21.16f}" for x in vector) for vector in atoms.cell.array.tolist()]
    lines += [" ".join(symbol for symbol, _ in groups), " ".join(str(count) for _, count in groups)]
    fixed_nc = fixed_directions(atoms)
    if fixed_nc.any():
        lines.append("Selective dynamics")
    lines.append("Direct")
    scaled_nc = np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T
    for row, fixed in zip(scaled_nc.tolist(), fixed_nc.tolist(), strict=True):
        flags = "".join("  F" if f else "  T" for f in fixed) if fixed_nc.any() else ""
        lines.append(" ".join(f"{x:19.16f}" for x in row) + flags)
    return "\n".join(lines) + "\n"
