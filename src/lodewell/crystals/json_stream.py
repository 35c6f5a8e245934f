"""Large JSON files cut into their crystals without holding the whole: a list, a server's answer, or a table by id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lodewell.errors import BadFile
from lodewell.interop.json_documents import Outcome, crystal_or_reason

SEPARATOR = b"\x1e"  # the record separator of RFC 7464, which JSON text cannot hold
LARGEST_ENTRY = 1 << 28  # bytes
SIDE = frozenset({b'"meta"', b'"links"', b'"included"'})  # what servers add to their data

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

# What the scan remembers between pieces, see `scan`.
AT, DEPTH, IN_STRING, ESCAPED, BEGIN, ELEMENT_DEPTH, STRING_BEGIN, KEY_BEGIN, KEY_END, TOP = range(10)


@njit(cache=True)
def scan(text: Bytes, state: Ints, spans: Ints) -> int:  # noqa: PLR0912 one scan
    """Find entries: objects right inside the outer list, inside a list called `data`, or values of the outer table.

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
                if state[DEPTH] == 1 and state[TOP] == 123:
                    state[KEY_BEGIN] = state[STRING_BEGIN]
                    state[KEY_END] = at + 1
        elif c == 34:
            state[IN_STRING] = 1
            state[STRING_BEGIN] = at
        elif c in (123, 91):
            if state[DEPTH] == 0:
                state[TOP] = c
                state[ELEMENT_DEPTH] = 1
            elif state[DEPTH] == 1 and state[TOP] == 123 and c == 91:
                k = state[KEY_BEGIN]
                if (
                    state[KEY_END] - k == 6
                    and text[k + 1] == 100
                    and text[k + 2] == 97
                    and text[k + 3] == 116
                    and text[k + 4] == 97
                ):
                    state[ELEMENT_DEPTH] = 2
            if c == 123 and state[DEPTH] == state[ELEMENT_DEPTH] and state[DEPTH] > 0:
                state[BEGIN] = at
            state[DEPTH] += 1
        elif c in (125, 93):
            state[DEPTH] -= 1
            if c == 125 and state[BEGIN] >= 0 and state[DEPTH] == state[ELEMENT_DEPTH]:
                keyed = state[TOP] == 123 and state[DEPTH] == 1
                spans[found, 0] = state[BEGIN]
                spans[found, 1] = at + 1
                spans[found, 2] = state[KEY_BEGIN] if keyed else 0
                spans[found, 3] = state[KEY_END] if keyed else 0
                found += 1
                state[BEGIN] = -1
            elif c == 93 and state[DEPTH] == 1:
                state[ELEMENT_DEPTH] = 1
        at += 1
    state[AT] = at
    return found


def cut_entries(pieces: Iterable[bytes], size: int) -> Iterator[tuple[int, int, bytes]]:
    """Cut a stream of JSON into groups of up to `size` entries; yields first entry, number of entries, and text.

    Raises `BadFile`, after all whole entries, when the text ends too early.
    """
    state = np.zeros(10, np.int64)
    state[BEGIN] = -1
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
            group += [_entry(pending, *span) for span in found if pending[span[2] : span[3]] not in SIDE]
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


def _entry(text: bytes, begin: int, end: int, key_begin: int, key_end: int) -> bytes:
    return b"[" + (text[key_begin:key_end] or b"null") + b"," + text[begin:end] + b"]"


def _forget(pending: bytes, state: Ints) -> bytes:
    """Drop the text that no coming entry needs."""
    needed = int(state[AT])
    if state[BEGIN] >= 0:
        needed = min(needed, int(state[BEGIN]))
    if state[IN_STRING]:
        needed = min(needed, int(state[STRING_BEGIN]))
    if state[TOP] == 123 and state[KEY_END] > state[KEY_BEGIN] and state[ELEMENT_DEPTH] == 1:
        needed = min(needed, int(state[KEY_BEGIN]))
    for field in (AT, BEGIN, STRING_BEGIN, KEY_BEGIN, KEY_END):
        state[field] = max(state[field] - needed, -1)
    return pending[needed:]


def parse_entries(raw: bytes) -> Iterator[Outcome]:
    """Yield every entry of a group as atoms or as the reason why not."""
    for text in raw.split(SEPARATOR):
        try:
            key, document = json.loads(text)
        except json.JSONDecodeError as err:
            yield f"the JSON entry is damaged ({err.msg})"
            continue
        yield crystal_or_reason(document, key)
