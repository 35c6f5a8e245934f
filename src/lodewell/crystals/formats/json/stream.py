"""Large JSON files cut into their crystals without holding the whole: a list, a server's answer, or a table by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from lodewell.compiled import inner, kernel
from lodewell.crystals.formats.json import layouts as json_layouts
from lodewell.crystals.formats.json.documents import Outcome, crystal_or_reason
from lodewell.crystals.formats.json.head import layout_of
from lodewell.crystals.formats.json.lines import LARGEST_ENTRY, SEPARATOR, cut_lines
from lodewell.errors import BadFile
from lodewell.text import parsed_json

SIDE = frozenset(f'"{name}"'.encode() for name in json_layouts.SIDE)

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

# What the scan remembers between pieces, see `scan`.
AT, DEPTH, IN_STRING, ESCAPED, BEGIN, ELEMENT_DEPTH, STRING_BEGIN, KEY_BEGIN, KEY_END, TOP, LEVEL, OPENING = range(12)


@kernel
def scan(text: Bytes, state: Ints, spans: Ints) -> int:  # noqa: PLR0912 one scan
    """Find entries: objects right inside the outer list or a list within the outer table, or values of the table.

    Their level and their opening bracket are told in `state`: see `JsonLayout`.

    Fills `spans` (n, 4) with begin and end of each entry and of its key (equal when it has none), and returns how many.
    """
    found = 0
    at = state[AT]
    while at < len(text) and found < len(spans):
        c = text[at]
        if state[IN_STRING]:
            if state[ESCAPED]:
                state[ESCAPED] = 0
            elif c == 92:
                state[ESCAPED] = 1
            elif c == 34:
                state[IN_STRING] = 0
                if state[DEPTH] == state[LEVEL] and state[TOP] == 123:
                    state[KEY_BEGIN] = state[STRING_BEGIN]
                    state[KEY_END] = at + 1
        elif c == 34:
            state[IN_STRING] = 1
            state[STRING_BEGIN] = at
        elif c in (123, 91):
            if state[DEPTH] == 0:
                state[TOP] = c
                state[ELEMENT_DEPTH] = state[LEVEL]
            elif state[DEPTH] == 1 and state[LEVEL] == 1 and state[TOP] == 123 and c == 91 and _is_data(text, state):
                state[ELEMENT_DEPTH] = 2
            row = c == 123 or state[ELEMENT_DEPTH] == 2
            if c == state[OPENING] and row and state[DEPTH] == state[ELEMENT_DEPTH] and state[DEPTH] > 0:
                state[BEGIN] = at
            state[DEPTH] += 1
        elif c in (125, 93):
            state[DEPTH] -= 1
            if c == state[OPENING] + 2 and state[BEGIN] >= 0 and state[DEPTH] == state[ELEMENT_DEPTH]:
                keyed = state[TOP] == 123 and state[DEPTH] == state[LEVEL]
                spans[found, 0] = state[BEGIN]
                spans[found, 1] = at + 1
                spans[found, 2] = state[KEY_BEGIN] if keyed else 0
                spans[found, 3] = state[KEY_END] if keyed else 0
                found += 1
                state[BEGIN] = -1
            elif c == 93 and state[DEPTH] == 1:
                state[ELEMENT_DEPTH] = state[LEVEL]
        at += 1
    state[AT] = at
    return found


@inner
def _is_data(text: Bytes, state: Ints) -> bool:
    """Tell by its key whether a list holds entries: rows only under `data`, objects if not `included` or `links`."""
    first, length = text[state[KEY_BEGIN] + 1], state[KEY_END] - state[KEY_BEGIN] - 2
    if state[OPENING] == 91:
        return bool(first == 100 and length == 4)
    return not ((first == 105 and length == 8) or (first == 108 and length == 5))


def cut_entries(pieces: Iterable[bytes], size: int) -> Iterator[tuple[int, int, bytes]]:
    """Cut a stream of JSON into groups of up to `size` entries; yields first entry, number of entries, and text.

    Raises `BadFile`, after all whole entries, when the text ends too early.
    """
    layout, pieces = layout_of(iter(pieces))
    if layout.level == 0:
        yield from cut_lines(pieces, size)
        return
    state = np.zeros(12, np.int64)
    state[[BEGIN, LEVEL, OPENING]] = -1, layout.level, 91 if layout.columns else 123
    spans = np.empty((size, 4), np.int64)
    pending = b""
    group: list[bytes] = []
    number = 0
    damage: BadFile | None = None
    stream = iter(pieces)
    while damage is None:
        try:
            piece = next(stream, None)
        except BadFile as err:
            piece, damage = None, err
        if piece is None:
            break
        pending += piece
        text = np.frombuffer(pending, np.uint8)
        while state[AT] < len(text):
            count = scan(text, state, spans[: size - len(group)])
            found = spans[:count].tolist()
            for begin, end, *key in found:
                if (name := pending[slice(*key)]) not in SIDE:
                    group.append(layout.entry(number + len(group), name, pending[begin:end]))
            if len(group) == size:
                yield number, size, SEPARATOR.join(group)
                number += size
                group = []
        pending = _forget(pending, state)
        if len(pending) > LARGEST_ENTRY:
            damage = BadFile("one entry of the JSON is larger than 256 MB; this is no list of crystals")
    if group:
        yield number, len(group), SEPARATOR.join(group)
    if damage is not None:
        raise damage
    if state[DEPTH] or state[IN_STRING]:
        raise BadFile("the JSON ends too early; it is cut short, download or copy it again")


def _forget(pending: bytes, state: Ints) -> bytes:
    """Drop the text that no coming entry needs."""
    needed = int(state[AT])
    if state[BEGIN] >= 0:
        needed = min(needed, int(state[BEGIN]))
    if state[IN_STRING]:
        needed = min(needed, int(state[STRING_BEGIN]))
    if state[TOP] == 123 and state[KEY_END] > state[KEY_BEGIN] and state[ELEMENT_DEPTH] == state[LEVEL]:
        needed = min(needed, int(state[KEY_BEGIN]))
    for field in (AT, BEGIN, STRING_BEGIN, KEY_BEGIN, KEY_END):
        state[field] = max(state[field] - needed, -1)
    return pending[needed:]


def parse_entries(raw: bytes) -> Iterator[Outcome]:
    """Yield every entry of a group as atoms or as the reason why not."""
    for text in raw.split(SEPARATOR):
        try:
            key, document = parsed_json(text)
        except ValueError as err:
            yield f"the JSON entry is damaged ({err})"
            continue
        found = list(json_layouts.entries(document, key))
        yield (
            crystal_or_reason(*found[0]) if len(found) == 1 else f"the JSON entry holds {len(found)} crystals, not one"
        )
