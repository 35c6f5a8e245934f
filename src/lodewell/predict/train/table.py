"""A table beside the crystals: a CSV with a column of ids and columns of properties."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lodewell.errors import BadCrystal, BadFile, BadOption, did_you_mean
from lodewell.files import read_bytes
from lodewell.predict.identity import ID_KEYS
from lodewell.predict.targets import number


@dataclass(frozen=True)
class Line:
    """What a line says of one crystal: values (NaN where a cell is empty) and the word of its split, or an `error`."""

    number: int
    values: tuple[float, ...]
    word: str = ""
    error: str | None = None


def read_table(path: str | Path, properties: Sequence[str], id_key: str | None, split: str | None) -> dict[str, Line]:
    """Read a CSV, by id. Without a line of names, columns are the id and the properties in their order.

    Raises:
        BadFile: for ids that come twice or are missing, and lines of another length, each with its number.
        BadOption: for a property that is no column.
    """
    try:
        lines = io.StringIO(read_bytes(path).decode("utf-8-sig", "surrogateescape"), newline="")
        cells = [(line, row) for line, row in enumerate(csv.reader(lines), 1) if any(row)]
    except csv.Error as err:
        raise BadFile(f"{path}: cannot be read as a CSV ({err}); check the path and the format") from err
    if not cells:
        raise BadFile(f"{path}: the table is empty")
    header, body = [name.strip() for name in cells[0][1]], cells[1:]
    if len(header) == 1 + len(properties) and _is_number(header[1]):  # no line of names
        header, body = [id_key or "id", *properties], cells
    for name in (*properties, *([split] if split else []), *([id_key] if id_key else [])):
        if name not in header:
            raise BadOption(
                f"{path}: there is no column '{name}'{did_you_mean(name, header)}; there are {', '.join(header)}"
            )
    id_column = header.index(id_key or next((key for key in ID_KEYS if key in header), header[0]))
    columns = {name: header.index(name) for name in properties}
    found: dict[str, Line] = {}
    for line, row in body:
        where = f"{path}, line {line}"
        if len(row) != len(header):
            raise BadFile(f"{where}: {len(row)} values, but there are {len(header)} columns; mend the line")
        name = row[id_column].strip()
        if not name:
            raise BadFile(f"{where}: the id is missing; give one or take the line out")
        if name in found:
            raise BadFile(f"{where}: the id '{name}' stood on line {found[name].number} already; keep one")
        word = row[header.index(split)].strip() if split else ""
        try:
            values = tuple(number(prop, row[column].strip()) for prop, column in columns.items())
            found[name] = Line(line, values, word)
        except BadCrystal as err:
            found[name] = Line(line, (), word, f"line {line}: {err}")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
