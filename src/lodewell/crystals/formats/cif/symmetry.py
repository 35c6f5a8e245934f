"""Which symmetry operations a CIF means: those that it lists, those of its Hall symbol, those of the group it names.

A name that stands for several settings is settled by the cell (unique axis, hexagonal or rhombohedral axes), then by
what the file says of its atoms: formula, formula units, density, multiplicities, and distances that no crystal has.
What stays open is refused, with the readings named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lodewell.crystals.formats.cif.grammar import Block
from lodewell.crystals.formats.cif.operations import (
    IDENTITY,
    Floats,
    Operations,
    form_group,
    from_hall,
    from_magnetic,
    from_texts,
)
from lodewell.crystals.formats.cif.settings import Setting, named, numbered, of_schoenflies
from lodewell.errors import BadCrystal

OPERATIONS = (
    "_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz", "_symmetry_equiv_as_xyz",
    "_space_group_symop_operation_algebraic", "_symmetry_equiv_pos_as_xyz_",
)  # fmt: skip
MAGNETIC = ("_space_group_symop_magn_operation_xyz", "_space_group_symop_magn_xyz")
CENTRINGS = ("_space_group_symop_magn_centering_xyz", "_space_group_symop_magn_centering_op_xyz")
HALLS = ("_space_group_name_hall", "_symmetry_space_group_name_hall", "_symmetry_space_group_hall", "_space_group_hall")
NAMES = (
    "_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m", "_space_group_name_h-m_ref",
    "_space_group_name_h-m_full", "_symmetry_space_group_name_h-m_full", "_symmetry_space_group_name",
    "_symmetry_space_group_name_h-m_alt", "_space_group_name", "_symmetry_space_group",
)  # fmt: skip
NUMBERS = (
    "_space_group_it_number", "_symmetry_int_tables_number", "_symmetry_it_number", "_space_group_int_tables_number",
    "_space_group_number",
)  # fmt: skip
SCHOENFLIES = ("_space_group_name_schoenflies", "_symmetry_space_group_name_schoenflies", "_space_group_schoenflies")
SYSTEMS = ("_space_group_crystal_system", "_symmetry_cell_setting")
CODES = ("_space_group_it_coordinate_system_code", "_symmetry_it_coordinate_system_code")
REFERENCE = "_space_group_reference_setting"
TRANSFORMS = ("_space_group_transform_pp_abc", "_space_group_transform_qq_xyz")
NO_TRANSFORMS = ("a,b,c;0,0,0", "x,y,z", "a,b,c")
MODULATED = ("_space_group_ssg_name", "_space_group_symop_ssg_operation_algebraic", "_cell_modulation_dimension")


@dataclass(frozen=True)
class Symmetry:
    """The operations of a block, and what in the block speaks against them."""

    operations: Operations
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """One way to read a file: what it makes, and what in the file speaks against it."""

    formula: str
    shortest: float
    against: list[str]


Judge = Callable[[Operations], Reading]


def symmetry_of(block: Block, cell: Floats, judge: Judge) -> Symmetry:
    """Return the operations of a block; `judge` tells what speaks against a reading.

    Raises:
        BadCrystal: when the group is unknown, does not fit the cell, or stays open between settings.
    """
    if block.first(*MODULATED):
        raise BadCrystal(
            "it is a modulated crystal, whose atoms are not where its table puts them; make an approximant"
        )
    listed = _listed(block)
    if listed is not None:
        return Symmetry(listed, _doubts(block, cell, listed))
    hall = block.first(*HALLS)
    doubts = []
    if hall:
        try:
            operations = from_hall(hall)
        except BadCrystal as err:
            doubts.append(str(err))
        else:
            if operations.fit(cell):
                return Symmetry(operations)
            doubts.append(f"the operations of its Hall symbol {hall} do not fit its cell")
    settings = _settings(block)
    if settings is None:
        if doubts:
            raise BadCrystal(doubts[0])
        return Symmetry(IDENTITY, _unread(block))
    fitting = _fitting(settings, cell)
    if len({setting.hall for setting in fitting}) == 1:
        return Symmetry(from_hall(fitting[0].hall), doubts)
    return Symmetry(_settled(fitting, judge), doubts)


def _listed(block: Block) -> Operations | None:
    """Return the operations that a block lists, None where it lists none that are known."""
    magnetic = tuple(filter(None, block.column(*MAGNETIC)))
    centrings = tuple(filter(None, block.column(*CENTRINGS)))
    if magnetic or centrings:
        return from_magnetic(magnetic or ("x,y,z,+1",), centrings or ("x,y,z,+1",))
    texts = tuple(filter(None, block.column(*OPERATIONS)))
    if texts and texts[0].endswith(","):  # x, y, z without quotes
        texts = tuple(re.findall(r"[^,]+,[^,]+,[^,]+", ",".join(text.rstrip(",") for text in texts)))
    return from_texts(texts) if texts else None


def _doubts(block: Block, cell: Floats, listed: Operations) -> list[str]:
    """Return what speaks against a list of operations."""
    if not form_group(listed):
        return ["the operations that it lists form no group, one of them is wrong or missing"]
    if not listed.fit(cell):
        return ["the operations that it lists do not fit its cell"]
    name = block.first(*NAMES)
    settings = named(name) if name else ()
    if len(listed) == 1 and settings and all(len(from_hall(s.hall)) > 1 for s in settings):
        return [f"it names the space group {name} but lists the identity alone"]
    return []


def _settings(block: Block) -> tuple[Setting, ...] | None:
    """Return the settings that name, number and code leave open; None where a block gives neither name nor number."""
    code, number = block.first(*CODES), _number(block.first(*NUMBERS)) or of_schoenflies(block.first(*SCHOENFLIES))
    names = list(block.known(*NAMES))
    found = next(filter(None, map(named, names)), ())
    if found and number and any(setting.number == number for setting in found):
        found = tuple(setting for setting in found if setting.number == number)
    found = found or (numbered(number) if number else ())
    if not found:
        if names or number:
            what = repr(names[0]) if names else str(number)
            raise BadCrystal(f"its space group {what} is none of those known; list the symmetry operations")
        return _of_reference(block)
    if code:
        standard = [s for s in found if s.agrees(code)]
        found = tuple(standard) or numbered(found[0].number, code) or found
    reference = _of_reference(block) or ()
    return tuple(s for s in found if s.hall in {r.hall for r in reference}) or found


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and 1 <= int(text) <= 230 else 0


def _of_reference(block: Block) -> tuple[Setting, ...] | None:
    """Return the setting of `059:-P 2ab 2a`, where the atoms stand in it."""
    transform = block.first(*TRANSFORMS).replace(" ", "").lower()
    number, _, hall = block.first(REFERENCE).partition(":")
    if not hall or (transform and transform not in NO_TRANSFORMS):
        return None
    from_hall(hall)
    return (Setting(_number(number.lstrip("0")), hall, hall.strip(), "", ""),)


def _unread(block: Block) -> list[str]:
    """Return what a block without a group says of its symmetry; raises `BadCrystal` for more than a class."""
    for tag in [*block.pairs, *block.loops]:
        value = block.first(tag)
        if not value or not tag.startswith(("_space_group", "_symmetry")):
            continue
        if tag.startswith("_space_group_magn_n") and value.replace(" ", "") not in ("P1", "1.1"):
            raise BadCrystal(f"it names the magnetic space group {value} without its operations; list them")
        if re.search("hall|h-m|name|number|schoenflies|symop|equiv", tag) and value.replace(" ", "") not in ("P1", "1"):
            raise BadCrystal(f"its symmetry stands under {tag}, which is not read; list the operations")
    system = block.first(*SYSTEMS).lower()
    return [f"it calls the crystal {system} but names no space group"] if system not in ("", "triclinic") else []


def _fitting(settings: Sequence[Setting], cell: Floats) -> list[Setting]:
    """Return the settings that fit a cell; where several unique axes do, the customary one."""
    fitting = [setting for setting in settings if setting.fits(cell)]
    if not fitting:
        which = " or ".join(map(str, settings[:3]))
        raise BadCrystal(f"its cell does not fit its space group {which}; correct one, or list the symmetry operations")
    axes = [setting.axes.strip("-")[:1] for setting in fitting if 3 <= setting.number <= 15]
    customary = next((axis for axis in "bca" if axis in axes), "")
    return [s for s in fitting if not 3 <= s.number <= 15 or s.axes.strip("-")[:1] == customary]


def _settled(settings: Sequence[Setting], judge: Judge) -> Operations:
    """Return the operations of the one setting that nothing in the file speaks against."""
    by_hall = {setting.hall: setting for setting in settings}
    readings = {hall: judge(from_hall(hall)) for hall in by_hall}
    sound = [hall for hall, reading in readings.items() if not reading.against]
    if len(sound) == 1:
        return from_hall(sound[0])
    told = "; ".join(
        f"as {by_hall[hall]} it is {r.formula}, shortest distance {r.shortest:.2f} Å" for hall, r in readings.items()
    )
    how = "several fit" if sound else "none fits"
    raise BadCrystal(
        f"its space group is named without the setting, and {how}: {told}; write the Hall symbol, or the operations"
    )
