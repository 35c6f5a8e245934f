"""Frames of extended XYZ brought to the standard spelling, which other codes do not insist on."""

from __future__ import annotations

import re

from lodewell.crystals.elements import element_of

KEYS = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}  # GPUMD reads them whatever their case
KEY = re.compile(r"(?<!\S)(lattice|properties|pbc)(?=\s*=)", re.IGNORECASE)
PROPERTIES = re.compile(r"(?<!\S)Properties\s*=\s*\"?([^\s\"]+)")
COLUMNS = {"species": "species", "pos": "pos"}


def standard_spelling(frame: bytes, count: int) -> bytes | None:
    """Return a frame of `count` atoms with keys and species as the standard writes them, None when it has them so.

    Keys and columns may be in any case; species may be isotopes, ions and labels: `D`, `Na+`, `Fe1`.
    """
    head, comment, *rows = frame.decode(errors="replace").split("\n")
    spelt = PROPERTIES.sub(_columns, _keys(comment))
    column = _species_column(spelt)
    atoms = [_row(row, column) for row in rows[:count]]
    text = "\n".join([head, spelt, *atoms, *rows[count:]])
    return None if atoms == rows[:count] and spelt == comment else text.encode()


def _keys(comment: str) -> str:
    """Respell keys, but where the standard spelling stands, too: there the other is somebody's own."""
    present = {match.group() for match in KEY.finditer(comment)}

    def standard(match: re.Match[str]) -> str:
        key = KEYS[match.group().lower()]
        return match.group() if key in present else key

    return KEY.sub(standard, comment)


def _columns(match: re.Match[str]) -> str:
    fields = match[1].split(":")
    for k in range(0, len(fields) - 2, 3):
        fields[k] = COLUMNS.get(fields[k].lower(), fields[k])
        fields[k + 1] = fields[k + 1].upper()
    return (
        match.group()[: match.start(1) - match.start()]
        + ":".join(fields)
        + match.group()[match.end(1) - match.start() :]
    )


def _species_column(comment: str) -> int | None:
    """Return in which word of its line an atom's species stands, None when it stands nowhere."""
    match = PROPERTIES.search(comment)
    if match is None:
        return 0
    fields = match[1].split(":")
    widths = [int(width) if width.isdecimal() else 1 for width in fields[2::3]]
    return sum(widths[: fields.index("species") // 3]) if "species" in fields else None


def _row(row: str, column: int | None) -> str:
    words = row.split()
    if column is None or column >= len(words):
        return row
    element = element_of(words[column])
    if element is None or element == words[column]:
        return row
    words[column] = element
    return " ".join(words)
