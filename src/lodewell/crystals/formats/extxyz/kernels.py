"""Compiled loops over the bytes of extended XYZ: where frames begin and end, and what their columns hold."""

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from lodewell.compiled import inner, kernel
from lodewell.crystals.elements import ISOTOPES

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SPECIES, REAL, INTEGER, LOGICAL = 0, 1, 2, 3
TOO_FEW_COLUMNS, BAD_SPECIES, BAD_INTEGER, BAD_LOGICAL = -1, -2, -3, -4

NUMBER_OF = np.full(26 * 27, -1, dtype=np.int64)
for _symbol, _z in [*zip(chemical_symbols, range(len(chemical_symbols)), strict=True)] + [
    (isotope, atomic_numbers[element]) for isotope, element in ISOTOPES.items()
]:
    if len(_symbol) <= 2:
        NUMBER_OF[(ord(_symbol[0]) - 65) * 27 + (ord(_symbol[1]) - 96 if len(_symbol) == 2 else 0)] = _z
POWER_OF_TEN = 10.0 ** np.arange(23)


@inner
def _end_of_line(text: Bytes, at: int) -> int:
    while at < len(text) and text[at] != 10:
        at += 1
    return at


@inner
def _lone_integer(text: Bytes, at: int, end: int) -> int:
    """Return the integer when the line holds one and nothing else, -1 otherwise, -2 for a blank line."""
    while at < end and (text[at] == 32 or text[at] == 9 or text[at] == 13):
        at += 1
    if at == end:
        return -2
    value = 0
    digits = 0
    while at < end and 48 <= text[at] <= 57:
        value = min(value * 10 + (text[at] - 48), 1 << 40)
        at += 1
        digits += 1
    while at < end and (text[at] == 32 or text[at] == 9 or text[at] == 13):
        at += 1
    return value if digits > 0 and at == end else -1


@inner
def _like_an_atom(text: Bytes, at: int, end: int) -> bool:
    """Tell whether a line has at least four words, the second a number: an atom too many, and no foreign text."""
    words = 0
    inside = False
    number = False
    while at < end:
        blank = text[at] <= 32
        if not blank and not inside:
            words += 1
            if words == 2:
                number = 48 <= text[at] <= 57 or text[at] == 45 or text[at] == 46 or text[at] == 43
        inside = not blank
        at += 1
    return words >= 4 and number


@kernel
def index_frames(text: Bytes, final: bool, limit: int) -> tuple[Ints, Ints, Ints, int]:
    """Find up to `limit` frames in a buffer.

    A line with one integer alone always opens a frame (atom lines have at least four columns), so that a frame with
    missing or spare lines spoils itself and not its neighbours. Returns begin, end (bytes) and the claimed atom count
    of every frame (-1: no count line), and the byte up to which the buffer is used. Unless `final`, a frame is only
    taken when the line after it is complete, too.
    """
    begins = np.empty(limit, np.int64)
    ends = np.empty(limit, np.int64)
    counts = np.empty(limit, np.int64)
    found = 0
    size = len(text)
    at = size - size  # not a literal 0, which would have the small loops compiled twice
    while found < limit and at < size:
        eol = _end_of_line(text, at)
        if eol == size and not final:
            break
        count = _lone_integer(text, at, eol)
        if count == -2:
            at = eol + 1
            continue
        begin = at
        line = eol + 1
        complete = True
        if count >= 0:
            eol = _end_of_line(text, line)  # the comment line, whatever it holds
            complete = eol < size
            line = eol + 1
            taken = 0
            while taken < count and line < size:
                eol = _end_of_line(text, line)
                complete = eol < size
                if complete or final:
                    if _lone_integer(text, line, eol) >= 0:
                        break
                    line = eol + 1
                    taken += 1
                else:
                    break
            complete = complete and (taken == count or line < size)
        while (complete or final) and line < size:  # spare atoms, or what follows when there was no count
            eol = _end_of_line(text, line)
            if eol == size and not final:
                complete = False
                break
            if _lone_integer(text, line, eol) >= 0 or (count >= 0 and not _like_an_atom(text, line, eol)):
                break
            line = eol + 1
        if not final and (not complete or line >= size):
            break
        begins[found] = begin
        ends[found] = min(line, size)
        counts[found] = count
        found += 1
        at = min(line, size)
    return begins[:found], ends[:found], counts[:found], min(at, size)


@inner
def _real(text: Bytes, at: int, end: int) -> tuple[float, bool]:
    """Read a decimal number exactly (Clinger's fast path); the flag is False where it would not be exact."""
    negative = False
    if at < end and (text[at] == 45 or text[at] == 43):
        negative = text[at] == 45
        at += 1
    mantissa = np.uint64(0)
    digits = 0
    scale = 0
    seen = False
    while at < end and 48 <= text[at] <= 57:
        mantissa = mantissa * np.uint64(10) + np.uint64(text[at] - 48)
        if mantissa > 0:
            digits += 1
        seen = True
        at += 1
    if at < end and text[at] == 46:
        at += 1
        while at < end and 48 <= text[at] <= 57:
            mantissa = mantissa * np.uint64(10) + np.uint64(text[at] - 48)
            if mantissa > 0:
                digits += 1
            scale -= 1
            seen = True
            at += 1
    if not seen or digits > 18 or mantissa > np.uint64(9007199254740992):
        return 0.0, False
    if at < end and (text[at] == 101 or text[at] == 69):
        at += 1
        sign = 1
        if at < end and (text[at] == 45 or text[at] == 43):
            sign = -1 if text[at] == 45 else 1
            at += 1
        if at == end:
            return 0.0, False
        exponent = 0
        while at < end and 48 <= text[at] <= 57 and exponent < 1000:
            exponent = exponent * 10 + (text[at] - 48)
            at += 1
        scale += sign * exponent
    if at != end or scale < -22 or scale > 22:
        return 0.0, False
    value = float(mantissa)
    value = value * POWER_OF_TEN[scale] if scale >= 0 else value / POWER_OF_TEN[-scale]
    return (-value if negative else value), True


@inner
def _species(text: Bytes, at: int, end: int) -> int:
    if end - at > 2:
        return -1
    first = text[at] & 0xDF
    if not 65 <= first <= 90:
        return -1
    code = (first - 65) * 27
    if end - at == 2:
        second = text[at + 1] | 0x20
        if not 97 <= second <= 122:
            return -1
        code += second - 96
    return int(NUMBER_OF[code])


@inner
def _integer(text: Bytes, at: int, end: int) -> tuple[int, bool]:
    negative = text[at] == 45
    if text[at] == 45 or text[at] == 43:
        at += 1
    if at == end or end - at > 9:  # nine digits always fit the four bytes ASE keeps
        return 0, False
    value = 0
    while at < end:
        if not 48 <= text[at] <= 57:
            return 0, False
        value = value * 10 + (text[at] - 48)
        at += 1
    return (-value if negative else value), True


@inner
def _logical(text: Bytes, at: int, end: int) -> int:
    """Return 1 or 0 for T, True, F, False and -1 for anything else."""
    if end - at == 1:
        return 1 if text[at] == 84 else (0 if text[at] == 70 else -1)
    if end - at == 4 and text[at] == 84 and text[at + 1] == 114 and text[at + 2] == 117 and text[at + 3] == 101:
        return 1
    if (
        end - at == 5
        and text[at] == 70
        and text[at + 1] == 97
        and text[at + 2] == 108
        and text[at + 3] == 115
        and text[at + 4] == 101
    ):
        return 0
    return -1


@kernel
def parse_columns(  # noqa: PLR0912 one scan
    text: Bytes, at: int, kinds: Ints, reals: Floats, integers: Ints, slow: Ints
) -> tuple[int, int, int]:
    """Fill `reals` (n, columns) and `integers` (n, columns) from atom lines starting at byte `at`.

    Real numbers that need more care than the fast path are listed in `slow` (row, column, begin, end).
    Returns the byte after the last line, or a negative code, the row, and how many slow numbers there are.
    """
    rows = len(reals)
    size = len(text)
    slow_count = 0
    for row in range(rows):
        real = 0
        whole = 0
        for kind in kinds:
            while at < size and (text[at] == 32 or text[at] == 9 or text[at] == 13):
                at += 1
            if at >= size or text[at] == 10:
                return TOO_FEW_COLUMNS, row, slow_count
            end = at
            while end < size and text[end] > 32:
                end += 1
            if kind == REAL:
                value, exact = _real(text, at, end)
                if exact:
                    reals[row, real] = value
                else:
                    slow[slow_count, 0] = row
                    slow[slow_count, 1] = real
                    slow[slow_count, 2] = at
                    slow[slow_count, 3] = end
                    slow_count += 1
                real += 1
            elif kind == SPECIES:
                number = _species(text, at, end)
                if number < 0:
                    return BAD_SPECIES, row, slow_count
                integers[row, whole] = number
                whole += 1
            elif kind == INTEGER:
                count, good = _integer(text, at, end)
                if not good:
                    return BAD_INTEGER, row, slow_count
                integers[row, whole] = count
                whole += 1
            else:
                flag = _logical(text, at, end)
                if flag < 0:
                    return BAD_LOGICAL, row, slow_count
                integers[row, whole] = flag
                whole += 1
            at = end
        while at < size and text[at] != 10:
            at += 1
        at += 1
    return min(at, size), rows, slow_count
