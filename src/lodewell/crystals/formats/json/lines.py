"""JSON lines: one document a line, which is how large sets of crystals are handed round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lodewell.crystals.formats.json.documents import Outcome, crystal_or_reason
from lodewell.crystals.formats.json.layouts import entries
from lodewell.errors import BadFile
from lodewell.text import parsed_json

SEPARATOR = b"\x1e"  # the record separator of RFC 7464, which JSON text cannot hold
LARGEST_ENTRY = 1 << 28  # bytes


def are_lines(text: str) -> bool:
    """Tell whether a text that is no JSON as a whole is JSON line by line."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        return isinstance(parsed_json(first), dict | list) and bool(rest.strip())
    except ValueError:
        return False


def read_lines(text: str) -> Iterator[Outcome]:
    """Yield the crystals of every line, or the reason why a line has none."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            document = parsed_json(line)
        except ValueError as err:
            yield f"line {number} is no JSON ({getattr(err, 'msg', err)}); it is cut short or damaged"
            continue
        for entry, key in entries(document):
            yield crystal_or_reason(entry, key)


def cut_lines(pieces: Iterable[bytes], size: int) -> Iterator[tuple[int, int, bytes]]:
    """Cut a stream of JSON lines into groups of up to `size` entries, as `cut_entries` does with other JSON.

    Raises `BadFile`, after all whole lines, when the stream breaks off or a line is endless.
    """
    number, pending, group = 0, b"", []
    damage: BadFile | None = None
    stream = iter(pieces)
    while damage is None:
        try:
            piece = next(stream, None)
        except BadFile as err:
            piece, damage = None, err
        *whole, pending = (pending + (piece if piece is not None else b"\n")).split(b"\n")
        for line in whole:
            if line.strip():
                group.append(b"[null," + line + b"]")
            if len(group) == size:
                yield number, size, SEPARATOR.join(group)
                number, group = number + size, []
        if len(pending) > LARGEST_ENTRY:
            damage = BadFile("one line of the JSON is larger than 256 MB; this is no list of crystals")
        if piece is None:
            break
    if group:
        yield number, len(group), SEPARATOR.join(group)
    if damage is not None:
        raise damage
