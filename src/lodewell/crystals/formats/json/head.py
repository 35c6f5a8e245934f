"""Where the crystals lie in a large JSON, told from its beginning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from lodewell.crystals.formats.json.documents import is_crystal
from lodewell.crystals.formats.json.pymatgen import IDENTIFIERS, STRUCTURES
from lodewell.errors import BadFile
from lodewell.text import parsed_json, parsed_part

LONGEST_HEAD = 1 << 25  # bytes to look through for the first crystal


@dataclass(frozen=True)
class JsonLayout:
    """Where the entries lie.

    | field | meaning |
    |---|---|
    | `level` | brackets around an entry that count: 0 for JSON lines, 1 for a list or table, 2 for a table of tables |
    | `columns` | names of the values of an entry that is a row of a table, split by pandas |
    | `names` | identifiers of the entries by key, or by number |
    """

    level: int = 1
    columns: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def entry(self, number: int, key: bytes, text: bytes) -> bytes:
        """Return the JSON of an entry's name, told by its key (in quotes) or its number, and of its value."""
        if self.columns:
            table = {"columns": self.columns, "index": [self.names.get(str(number))]}
            return b"[null," + json.dumps(table).encode()[:-1] + b',"data":[' + text + b"]}]"
        name = self.names.get(key[1:-1].decode(errors="replace"))
        return b"[" + (json.dumps(name).encode() if name else key or b"null") + b"," + text + b"]"


def layout_of(pieces: Iterator[bytes]) -> tuple[JsonLayout, Iterator[bytes]]:
    """Return the layout of a JSON and its whole stream of pieces, those already read included."""
    head = b""
    tried = 0
    layout: JsonLayout | None = None
    while len(head) < LONGEST_HEAD:
        try:
            piece = next(pieces, None)
        except BadFile as err:
            return _decide(head.decode("utf-8-sig", errors="replace")) or JsonLayout(), _broken(head, err)
        head += piece or b""
        if piece is None or len(head) > 2 * tried:
            tried = len(head)
            layout = _decide(head.decode("utf-8-sig", errors="replace"))
            if layout is not None or piece is None:
                break
    return layout or JsonLayout(), chain([head], pieces)


def _broken(head: bytes, damage: BadFile) -> Iterator[bytes]:
    yield head
    raise damage


def _decide(text: str) -> JsonLayout | None:
    """Return the layout, None when more text is needed."""
    text = text.lstrip()
    if _are_lines(text):
        return JsonLayout(level=0)
    if not text.startswith("{"):
        return JsonLayout()
    try:
        return _of_members(text)
    except (ValueError, IndexError):  # the text ends within a value
        return None


def _of_members(text: str) -> JsonLayout:
    columns: tuple[str, ...] = ()
    names: dict[str, str] = {}
    at = 1
    while True:
        key, at = _key(text, at)
        inner = text[at + 1 :][: 1 << 10].lstrip()[:1]
        if text[at] == "[" and inner == "{":
            return JsonLayout()
        if text[at] == "[" and inner == "[" and key == "data" and columns:
            return JsonLayout(1, columns, names)
        if text[at] == "{" and (level := _level(text, at)):
            return JsonLayout(level, names=names)
        value, at = parsed_part(text, at)
        if key == "columns" and isinstance(value, list):
            columns = tuple(map(str, value))
        elif key == "index" and isinstance(value, list):
            names = {str(k): str(name) for k, name in enumerate(value)}
        elif key in IDENTIFIERS and isinstance(value, dict):
            names = {row: str(name) for row, name in value.items()}
        at = _after_blanks(text, at)
        if text[at] != ",":
            return JsonLayout()
        at += 1


def _level(text: str, at: int) -> int:
    """Return at which level entries lie that the object at `at` is or holds, 0 when it has none.

    Raises `ValueError` where more text is needed to tell.
    """
    try:
        value, _ = parsed_part(text, at)
    except ValueError:
        key, start = _key(text, at + 1)
        if key in STRUCTURES:
            raise
        value, _ = parsed_part(text, start)
        if not is_crystal(value):
            raise
        return 2
    return 1 if is_crystal(value) else 2 if any(map(is_crystal, value.values())) else 0


def _key(text: str, at: int) -> tuple[str, int]:
    """Return the key that begins at `at`, and where its value begins."""
    key, at = parsed_part(text, _after_blanks(text, at))
    at = _after_blanks(text, at)
    if text[at] != ":":
        raise ValueError("no key")
    return str(key), _after_blanks(text, at + 1)


def _after_blanks(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _are_lines(text: str) -> bool:
    first, _, rest = text.partition("\n")
    try:
        return isinstance(parsed_json(first), dict) and bool(rest.strip())
    except ValueError:
        return False
