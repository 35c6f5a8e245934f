"""The table of atoms of a CIF: places, elements, occupancies, disorder, dummies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lodewell.crystals.cells import cell_from_parameters
from lodewell.crystals.elements import FULLY, element_of_site
from lodewell.crystals.formats.cif.expand import SAME_SITE
from lodewell.crystals.formats.cif.grammar import Block
from lodewell.crystals.formats.cif.labels import is_dummy, name_elements
from lodewell.crystals.formats.cif.operations import Floats
from lodewell.crystals.formats.cif.stated import Statements
from lodewell.errors import BadCrystal

CELL = tuple(f"_cell_length_{x}" for x in "abc") + tuple(f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma"))
LABELS = ("_atom_site_label", "_atom_site_label_atom_id", "_atom_site_id")
TYPES = ("_atom_site_type_symbol",)
MULTIPLICITIES = ("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")

APPROXIMANT = "choose an ordered approximant of the crystal"


@dataclass(frozen=True, eq=False)
class Sites:
    """The sites that hold atoms.

    Attributes:
        labels: names in the file.
        symbols: elements.
        fractional: coordinates (s, 3).
        multiplicities: as the file gives them, 0 where it does not.
        guessed: whether an element was told from a label by the formula alone.
        remarks: what a user should know.
    """

    labels: list[str]
    symbols: list[str]
    fractional: Floats
    multiplicities: list[int]
    guessed: bool
    remarks: list[str]


def cell_of(block: Block) -> Floats:
    """Return the cell, rows are lattice vectors in Å; raises `BadCrystal` where a part is missing or no number."""
    parameters = []
    for tag in CELL:
        value = block.first(tag)
        if not value:
            raise BadCrystal(f"{tag} is missing; the file is cut short or describes no crystal")
        parameters.append(number(value, tag))
    cell = cell_from_parameters(parameters)
    if not np.isfinite(cell).all() or min(parameters[:3]) < SAME_SITE:
        raise BadCrystal("its cell has an edge that is no length of a crystal's; correct it")
    return cell


def sites_of(block: Block, cell: Floats, stated: Statements) -> Sites:
    """Return the sites that hold atoms, each once.

    Raises:
        BadCrystal: for an incomplete table, partial occupancy, disorder, and sites of no known element.
    """
    types = block.column(*TYPES)
    labels = block.column(*LABELS) or types
    count = len(labels)
    table = {
        "types": types or [""] * count,
        "shares": block.column("_atom_site_occupancy") or [""] * count,
        "flags": block.column("_atom_site_calc_flag") or [""] * count,
        "times": block.column(*MULTIPLICITIES) or [""] * count,
    }
    fractional = _coordinates(block, cell, labels)
    if not count or {len(column) for column in table.values()} != {count}:
        raise BadCrystal("the table of atoms is incomplete; the file is cut short")
    _refuse_disorder(block, labels)
    shares = [_share(text, label) for text, label in zip(table["shares"], labels, strict=True)]
    dummies = [is_dummy(*words) for words in zip(table["types"], labels, table["flags"], strict=True)]
    kept = [k for k in range(count) if not dummies[k] and abs(shares[k]) > FULLY]
    named = name_elements([table["types"][k] for k in kept], [labels[k] for k in kept], stated.formula)
    kinds = dict(zip(kept, named.kinds, strict=True))
    symbols = {}
    for group in _places(kept, shares, fractional, cell):
        symbols[group[0]] = element_of_site([(kinds[k], shares[k]) for k in group], f"site {labels[group[0]]}")
    return Sites(
        [labels[k] for k in symbols],
        list(symbols.values()),
        fractional[list(symbols)],
        [_whole(table["times"][k]) for k in symbols],
        named.guessed,
        _remarks(labels, dummies, shares, block),
    )


def _remarks(labels: list[str], dummies: list[bool], shares: list[float], block: Block) -> list[str]:
    remarks = []
    if any(dummies):
        remarks.append(
            f"left out, for they are no atoms: {', '.join(x for x, d in zip(labels, dummies, strict=True) if d)}"
        )
    empty = [x for x, d, share in zip(labels, dummies, shares, strict=True) if not d and abs(share) <= FULLY]
    if empty:
        remarks.append(f"left out, for their occupancy is 0: {', '.join(empty)}")
    attached = sum(_whole(text) for text in block.column("_atom_site_attached_hydrogens"))
    if attached:
        remarks.append(f"{attached} hydrogen atoms are said to be attached to its sites, their places are not given")
    return remarks


def number(text: str, what: str) -> float:
    """Return a CIF number, its standard uncertainty `(3)` dropped; raises `BadCrystal` naming `what`."""
    try:
        top, _, bottom = text.split("(", 1)[0].partition("/")  # 1/3
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError) as err:
        raise BadCrystal(f"{what} is {text or '?'!r}, not a number; complete the CIF") from err


def _coordinates(block: Block, cell: Floats, labels: Sequence[str]) -> Floats:
    """Return fractional coordinates (n, 3)."""
    stem = "_atom_site_fract_" if block.column("_atom_site_fract_x") else "_atom_site_cartn_"
    columns = [block.column(stem + axis) for axis in "xyz"]
    if {len(column) for column in columns} != {len(labels)}:
        raise BadCrystal("the table of atoms is incomplete; the file is cut short")
    try:
        values = np.array(columns, dtype=float).T
    except ValueError:
        rows = zip(labels, *columns, strict=True)
        values = np.array([[number(x, f"a coordinate of site {label}") for x in xyz] for label, *xyz in rows])
    return values if stem == "_atom_site_fract_" else np.linalg.solve(cell.T, values.T).T


def _share(text: str, label: str) -> float:
    return number(text, f"the occupancy of site {label}") if text else 1.0


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _refuse_disorder(block: Block, labels: Sequence[str]) -> None:
    """Refuse sites that exclude each other: two groups of one assembly, or one about a symmetry element."""
    groups = block.column("_atom_site_disorder_group")
    assemblies = block.column("_atom_site_disorder_assembly")
    if len(groups) != len(labels):
        return
    if len(assemblies) != len(labels):
        assemblies = [""] * len(labels)
    first: dict[str, tuple[str, str]] = {}
    for label, group, assembly in zip(labels, groups, assemblies, strict=True):
        if not group or group == "0":
            continue
        other, before = first.setdefault(assembly, (group, label))
        if group.startswith("-"):
            raise BadCrystal(f"site {label} is disordered about a symmetry element (group {group}); {APPROXIMANT}")
        if group != other:
            raise BadCrystal(
                f"sites {before} and {label} exclude each other (disorder groups {other} and {group}); {APPROXIMANT}"
            )


def _places(kept: Sequence[int], shares: Sequence[float], fractional: Floats, cell: Floats) -> list[list[int]]:
    """Group sites that are occupied in part with others at the same place; the others stay alone."""
    partial = [k for k in kept if abs(shares[k] - 1) > FULLY]
    leader = {k: k for k in kept}
    for place, k in enumerate(partial):
        steps = fractional[partial[:place]] - fractional[k]
        near = np.linalg.norm((steps - np.round(steps)) @ cell, axis=-1) < SAME_SITE
        leader[k] = leader[partial[int(near.argmax())]] if near.any() else k
    groups: dict[int, list[int]] = defaultdict(list)
    for k in kept:
        groups[leader[k]].append(k)
    return list(groups.values())
