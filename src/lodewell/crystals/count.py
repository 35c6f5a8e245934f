"""About how many crystals files hold, before any is read: for progress that knows its end."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lodewell.crystals.paths import CrystalFile, find_files, is_compressed
from lodewell.crystals.read import count_rows
from lodewell.errors import LodewellError
from lodewell.files import blocks

_LOOKED_AT = 1 << 18  # bytes of a file from whose beginning the rest is guessed
_COMPRESSION = 4.0  # times that text of numbers is smaller when compressed
_HEADS = {"extxyz": re.compile(rb"^[ \t]*\d+[ \t]*\r?$", re.MULTILINE), "jsonl": re.compile(rb"\n")}
_IN_JSON = re.compile(rb'"(?:lattice|lattice_vectors|lattice_mat)"')  # one an entry, whatever the dialect


def about_how_many(paths: str | Path | Sequence[str | Path]) -> int | None:
    """Estimate how many crystals are behind paths; None where they cannot be looked through twice.

    A file counts as one; rows of databases are counted; frames of extended XYZ and entries of JSON are guessed from how
    many there are in the first quarter of a megabyte, and from the size of the file.
    """
    with suppress(LodewellError, OSError):
        return sum(_in_file(found) for found in find_files(paths))
    return None


def _in_file(found: CrystalFile) -> int:
    with suppress(Exception):  # whatever is wrong with a file is said when it is read
        if found.format in ("db", "traj"):
            return count_rows(found)
        if found.format in (*_HEADS, "json"):
            return max(1, _guessed(found))
    return 1


def _guessed(found: CrystalFile) -> int:
    text = bytearray()
    for block in blocks(found.path):
        text += block
        if len(text) >= _LOOKED_AT:
            break
    entries = len(_HEADS.get(found.format or "", _IN_JSON).findall(text))
    size = os.path.getsize(found.path) * (_COMPRESSION if is_compressed(found.path) else 1.0)
    whole = len(text) < _LOOKED_AT
    return entries if whole else round(entries * max(size, len(text)) / len(text))
