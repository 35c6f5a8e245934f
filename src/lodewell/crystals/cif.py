"""CIF (Hall, Allen & Brown, Acta Cryst. A47, 655 (1991)), multi-block, with partial occupancies refused by name.

Files that list their symmetry operations, nearly all, are read here; those that only name their space group, by ASE.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from lodewell.crystals.cells import cell_from_parameters
from lodewell.errors import BadCrystal

FULLY = 1e-3  # occupancies are published with about three decimals
SAME_SITE = 0.1  # Å; symmetry copies of one atom closer than this are one atom on a special position
TOKEN = re.compile(
    r"""^;(?P<text>.*?)^;|(?P<comment>\#[^\n]*)|'(?P<single>(?:[^'\n]|'(?=\S))*)'(?=\s|\Z)"""
    r"""|"(?P<double>(?:[^"\n]|"(?=\S))*)"(?=\s|\Z)|(?P<bare>\S+)""",
    re.MULTILINE | re.DOTALL,
)
OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz", "_space_group_symop.operation_xyz")
GROUP_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
GROUP_NAMES = ("_symmetry_space_group_name_h-m", "_space_group_name_h-m_alt", "_space_group_name_hall")
CELL = tuple(f"_cell_length_{x}" for x in "abc") + tuple(f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma"))

Floats = NDArray[np.float64]


@dataclass
class Block:
    """One data block: single values and columns of loops, by lower-case tag."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # columns of loops whose last row is incomplete

    def first(self, *tags: str) -> str | None:
        """Return the first known value among tags, None where all are missing, `?` or `.`."""
        for tag in tags:
            value = self.values.get(tag) or next(iter(self.columns.get(tag, ())), "?")
            if value not in ("?", "."):
                return value
        return None

    def column(self, *tags: str) -> list[str]:
        """Return the first column among tags; a single value counts as a column of one."""
        for tag in tags:
            if tag in self.columns:
                return self.columns[tag]
            if tag in self.values:
                return [self.values[tag]]
        return []


def read_cif(text: str) -> Iterator[Atoms | str]:
    """Yield the crystal, or the reason why there is none, of every data block that describes one."""
    found = False
    for block in blocks_of(text):
        if not block.column("_atom_site_fract_x", "_atom_site_cartn_x"):
            continue
        found = True
        try:
            yield _from_block(block, text)
        except BadCrystal as err:
            yield f"data_{block.name}: {err}"
        except Exception as err:  # a damaged block may break anything, and must not cost the others
            yield f"data_{block.name}: damaged ({type(err).__name__}: {str(err)[:200]}); export the CIF again"
    if not found:
        yield "the CIF has no block with a cell and atom coordinates; it is cut short or describes no crystal"


def blocks_of(text: str) -> Iterator[Block]:  # noqa: PLR0912 the grammar is one state machine
    """Yield the data blocks of a CIF; a loop cut short keeps its whole rows and is marked as broken."""
    block: Block | None = None
    tag: str | None = None
    loop: list[str] = []  # tags of the loop being read
    row: list[str] = []
    in_head = False

    def close_loop() -> None:
        if block is not None and row:
            block.broken.update(loop)

    for match in TOKEN.finditer(text):
        kind, word = match.lastgroup, match.group(match.lastgroup or 0)
        if kind == "comment":
            continue
        lower = word.lower() if kind == "bare" else ""
        if lower.startswith(("data_", "loop_")) or (lower.startswith("_") and not in_head):
            close_loop()
        if lower.startswith("data_"):
            if block is not None:
                yield block
            block, tag, loop, row = Block(word[5:]), None, [], []
        elif block is None:
            continue
        elif lower == "loop_":
            tag, loop, row, in_head = None, [], [], True
        elif lower.startswith("_"):
            if in_head:
                loop.append(lower)
                block.columns[lower] = []
            else:
                tag, loop, row = lower, [], []
        elif loop:
            in_head = False
            row.append(word.strip() if kind == "text" else word)
            if len(row) == len(loop):
                for name, value in zip(loop, row, strict=True):
                    block.columns[name].append(value)
                row = []
        elif tag is not None:
            block.values[tag] = word.strip()
            tag, in_head = None, False
        if loop == [] and lower != "loop_":
            in_head = False
    close_loop()
    if block is not None:
        yield block


def number(text: str, what: str) -> float:
    """Return a CIF number, its standard uncertainty `(3)` dropped; raises `BadCrystal` naming `what`."""
    try:
        return float(text.split("(", 1)[0])
    except ValueError as err:
        raise BadCrystal(f"{what} is {text!r}, not a number; complete the CIF") from err


def _from_block(block: Block, text: str) -> Atoms:
    labels = block.column("_atom_site_label") or block.column("_atom_site_type_symbol")
    types = block.column("_atom_site_type_symbol") or labels
    cell = _cell(block)
    coordinates = _coordinates(block, cell, labels)
    if "_atom_site_label" in block.broken or not len(types) == len(coordinates) > 0:
        raise BadCrystal("the table of atoms is incomplete; the file is cut short")
    _refuse_partial(block, labels)
    symbols = [_symbol(kind, label) for kind, label in zip(types, labels, strict=True)]
    operations = block.column(*OPERATIONS)
    if not operations and not _is_p1(block):
        return _through_ase(block, text)
    atoms = _expand(symbols, coordinates, cell, operations or ["x,y,z"])
    if block.name:
        atoms.info["id"] = block.name
    return atoms


def _cell(block: Block) -> Floats:
    parameters = []
    for tag in CELL:
        value = block.first(tag)
        if value is None:
            raise BadCrystal(f"{tag} is missing; the file is cut short or describes no crystal")
        parameters.append(number(value, tag))
    return cell_from_parameters(parameters)


def _coordinates(block: Block, cell: Floats, labels: list[str]) -> Floats:
    """Return fractional coordinates (n, 3)."""
    fractional = bool(block.column("_atom_site_fract_x"))
    stem = "_atom_site_fract_" if fractional else "_atom_site_cartn_"
    columns = [block.column(stem + axis) for axis in "xyz"]
    if len({len(column) for column in columns} | {len(labels)}) != 1:
        raise BadCrystal("the table of atoms is incomplete; the file is cut short")
    try:
        values = np.array(columns, dtype=float).T
    except ValueError:
        rows = zip(labels, *columns, strict=True)
        values = np.array([[number(x, f"a coordinate of site {label}") for x in xyz] for label, *xyz in rows])
    return values if fractional else np.linalg.solve(cell.T, values.T).T


def _refuse_partial(block: Block, labels: list[str]) -> None:
    for label, text in zip(labels, block.column("_atom_site_occupancy"), strict=False):
        if text in ("?", ".", "1", "1.0"):
            continue
        share = number(text, f"the occupancy of site {label}")
        if abs(share - 1) > FULLY:
            raise BadCrystal(
                f"site {label} is partially occupied ({share:g}); choose an ordered approximant of the crystal"
            )


@lru_cache(maxsize=1024)
def _element(text: str) -> str | None:
    """Return the element of `Fe3+`, `FE`, `Fe1`, `D`; None when there is none."""
    match = re.match(r"[A-Za-z]{1,2}", text)
    if match is None:
        return None
    letters = match.group().capitalize()
    for candidate in (letters, letters[0]):
        candidate = {"D": "H", "T": "H"}.get(candidate, candidate)  # noqa: PLW2901
        if candidate in atomic_numbers and candidate != "X":
            return candidate
    return None


def _symbol(kind: str, label: str) -> str:
    element = _element(kind if kind not in ("?", ".") else label)
    if element is None:
        raise BadCrystal(f"site {label} is of type {kind!r}, which is no element; replace or remove it")
    return element


def _is_p1(block: Block) -> bool:
    known = block.first(*GROUP_NUMBERS)
    if known is not None:
        return known.strip() == "1"
    name = block.first(*GROUP_NAMES)
    return name is None or name.replace(" ", "").upper() in ("P1", "1")


@lru_cache(maxsize=4096)
def operation(text: str) -> tuple[Floats, Floats]:
    """Turn `-x+1/2, y, z` into a rotation (3, 3) and a shift (3,); raises `BadCrystal` for anything else."""
    rotation, shift = np.zeros((3, 3)), np.zeros(3)
    parts = text.lower().replace(" ", "").split(",")
    if len(parts) != 3:
        raise BadCrystal(f"{text!r} is no symmetry operation; correct it")
    for row, part in enumerate(parts):
        terms = re.findall(r"([+-]?)(?:(\d*\.?\d+)(?:/(\d+))?\*?([xyz]?)|([xyz])(?:/(\d+))?)", part)
        if "".join(_spelled(t) for t in terms) != part.replace("*", "") or not part:
            raise BadCrystal(f"{text!r} is no symmetry operation; correct it")
        for sign, top, bottom, axis, lone, lone_bottom in terms:
            size = (float(top) / float(bottom or 1) if top else 1 / float(lone_bottom or 1)) * (
                -1 if sign == "-" else 1
            )
            letter = axis or lone
            if letter:
                rotation[row, "xyz".index(letter)] += size
            else:
                shift[row] += size
    return rotation, shift


def _spelled(term: tuple[str, ...]) -> str:
    sign, top, bottom, axis, lone, lone_bottom = term
    return f"{sign}{top}{'/' + bottom if bottom else ''}{axis}{lone}{'/' + lone_bottom if lone_bottom else ''}"


def _expand(symbols: list[str], coordinates: Floats, cell: Floats, operations: list[str]) -> Atoms:
    """Apply the symmetry operations; copies of one atom that meet on a special position become one, at their mean."""
    if len(operations) == 1:
        return Atoms(symbols, positions=coordinates @ cell, cell=cell, pbc=True)
    rotations = np.array([operation(text)[0] for text in operations])
    shifts = np.array([operation(text)[1] for text in operations])
    every_symbol: list[str] = []
    every_site: list[Floats] = []
    for symbol, given in zip(symbols, coordinates, strict=True):
        site = given + _offsets(given, rotations, shifts, cell).mean(axis=0)
        copies = rotations @ site + shifts
        copies[:] -= np.floor(copies)
        copies[0 if _is_identity(rotations[0], shifts[0]) else slice(0, 0)] = site  # the file's own image stays put
        steps = copies[:, None, :] - copies
        steps -= np.round(steps)
        same = (np.square(steps @ cell)).sum(axis=2) < SAME_SITE**2
        kept = copies[same.argmax(axis=1) == np.arange(len(copies))]
        every_symbol += [symbol] * len(kept)
        every_site.append(kept)
    return Atoms(every_symbol, positions=np.concatenate(every_site) @ cell, cell=cell, pbc=True)


def _is_identity(rotation: Floats, shift: Floats) -> bool:
    return bool((rotation == np.eye(3)).all() and not shift.any())


def _offsets(site: Floats, rotations: Floats, shifts: Floats, cell: Floats) -> Floats:
    """Return how far the operations that leave a site in place, within rounding, move it."""
    steps = rotations @ site + shifts - site
    steps -= np.round(steps)
    near: Floats = steps[np.linalg.norm(steps @ cell, axis=1) < SAME_SITE]
    return near if len(near) else np.zeros((1, 3))


def _through_ase(block: Block, text: str) -> Atoms:
    """Let ASE find the operations of a named space group."""
    from ase.io.cif import parse_cif

    try:
        for other in parse_cif(io.BytesIO(text.encode("latin-1", errors="replace")), reader="ase"):
            if other.name.lower() == block.name.lower():
                atoms = other.get_atoms()
                atoms.info = {"id": block.name} if block.name else {}
                atoms.arrays.pop("spacegroup_kinds", None)
                return atoms
    except Exception as err:  # ASE raises many kinds
        reason = f"{type(err).__name__}: {str(err)[:200]}"
        raise BadCrystal(f"its space group cannot be worked out ({reason}); list the symmetry operations") from err
    raise BadCrystal("its space group cannot be worked out; list the symmetry operations in the CIF")
