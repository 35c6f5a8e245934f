"""The grammar of CIF (Hall, Allen & Brown, Acta Cryst. A47, 655 (1991)), read by gemmi, and what to do with damage.

Tags are given in lower case with underscores alone, so that those of DDLm and mmCIF (`_space_group.name_H-M_alt`,
`_cell.length_a`) are those of old. A value that is unknown (`?`) or does not apply (`.`) is the empty text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gemmi

from lodewell.errors import BadCrystal

MAX_DAMAGES = 100  # places that are cut out of a file before it counts as no CIF at all
DAMAGE = "_lodewell_damage_"  # stands, with its line, where a piece was cut out
BEGINNINGS = ("_", "loop_", "data_", "save_", "global_")


@dataclass
class Block:
    """One data block: single values and columns of loops, by tag.

    Attributes:
        name: what follows `data_`.
        pairs: values as they stand in the file, by tag.
        loops: columns as they stand in the file, by tag.
        damages: line, and the tags whose values it spoiled, of every piece that could not be read.
    """

    name: str
    pairs: dict[str, str] = field(default_factory=dict)
    loops: dict[str, list[str]] = field(default_factory=dict)
    damages: list[tuple[int, str]] = field(default_factory=list)

    def first(self, *tags: str) -> str:
        """Return the first known value among tags, empty where there is none."""
        return next(self.known(*tags), "")

    def known(self, *tags: str) -> Iterator[str]:
        """Yield the known value of every tag that has one; of a column, its first."""
        for tag in tags:
            raw = self.pairs.get(tag) or next(iter(self.loops.get(tag, ())), "")
            value = plain(raw)
            if value:
                yield value

    def column(self, *tags: str) -> list[str]:
        """Return the first column among tags that knows a value; a single value counts as a column of one."""
        for tag in tags:
            values = [plain(raw) for raw in self.loops.get(tag, ())] or [plain(self.pairs.get(tag, "?"))]
            if any(values):
                return values
        return []


def plain(raw: str) -> str:
    """Return a value without its quotes, empty where it is unknown."""
    value: str = gemmi.cif.as_string(raw) if raw[:1] in "'\";?." else raw
    return "" if value in ("?", ".") else value.strip()


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the data blocks of a CIF; pieces that break its grammar are left out, and their block says so.

    Raises:
        BadCrystal: when there is next to no CIF in the text.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for _ in range(MAX_DAMAGES):
        try:
            document = gemmi.cif.read_string(text, 0)
        except (ValueError, RuntimeError) as err:
            text = _without_damage(text, str(err))
        else:
            break
    else:
        raise BadCrystal("this is no CIF: it breaks the grammar in many places; export it again")
    for number in range(len(document)):
        yield _block(document[number])


def _block(given: gemmi.cif.Block) -> Block:
    block = Block(given.name.strip())
    item: Any
    for item in given:
        if item.pair is not None:
            tag, value = item.pair
            if tag.startswith(DAMAGE):
                block.damages.append((int(tag.removeprefix(DAMAGE)), plain(value)))
            else:
                block.pairs.setdefault(_tag(tag), value)
        elif item.loop is not None:
            tags, values = item.loop.tags, item.loop.values
            for k, tag in enumerate(tags):
                block.loops.setdefault(_tag(tag), values[k :: len(tags)])
    return block


def _tag(text: str) -> str:
    return text.lower().replace(".", "_")


def _without_damage(text: str, complaint: str) -> str:
    """Return the text with the item that gemmi complains about replaced by a note of its line and tags."""
    place = re.search(r":(\d+):\d+\(\d+\)", complaint) or re.search(r":(\d+)\b", complaint)
    if place is None:
        raise BadCrystal(f"this is no CIF ({complaint[:100]}); export it again")
    lines = text.split("\n")
    at = min(int(place.group(1)), len(lines)) - 1
    begin, end = _item_around(lines, at)
    tags = [word.lower() for line in lines[begin:end] for word in line.split()[:1] if word.startswith("_")]
    note = f"{DAMAGE}{at + 1} '{' '.join(tags).replace(chr(39), '')}'" if _in_block(lines, begin) else ""
    return "\n".join([*lines[:begin], note, *[""] * (end - begin - 1), *lines[end:]])


def _in_block(lines: list[str], at: int) -> bool:
    return any(_begins(line, "data_") for line in lines[:at])


def _begins(line: str, *with_any: str) -> bool:
    return line.lstrip().lower().startswith(with_any)


def _item_around(lines: list[str], at: int) -> tuple[int, int]:
    """Return first and past-the-last line of the pair or loop that a line belongs to."""
    begin = at
    while begin > 0 and not _begins(lines[begin], *BEGINNINGS):
        begin -= 1
    if _begins(lines[begin], "data_"):
        return (at, at + 1) if at > begin else (begin, begin + 1)
    while begin > 0 and _begins(lines[begin], "_") and len(lines[begin].split()) == 1 and _begins(
        lines[begin - 1], "_", "loop_"
    ):  # fmt: skip
        begin -= 1
    end = begin + 1
    if _begins(lines[begin], "loop_"):
        while end < len(lines) and (_begins(lines[end], "_") or not lines[end].strip()):
            end += 1
    while end < len(lines) and not _begins(lines[end], *BEGINNINGS):
        end += 1
    return begin, max(end, at + 1)
