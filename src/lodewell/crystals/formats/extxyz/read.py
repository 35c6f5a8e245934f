"""Extended XYZ read quickly: frames are cut and parsed by compiled loops, anything unusual is left to ASE.

The result is what `ase.io.read` gives: positions, cell, periodicity, species, `info`, arrays, constraints, and a
`SinglePointCalculator` with energy, forces or stress where the file has them under those names. Plain Python numbers
stand in `info` where ASE leaves NumPy scalars.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian
from ase.outputs import ArrayProperty, all_outputs
from numpy.typing import NDArray

from lodewell.crystals.formats.extxyz.kernels import (
    BAD_SPECIES,
    INTEGER,
    LOGICAL,
    REAL,
    SPECIES,
    TOO_FEW_COLUMNS,
    index_frames,
    parse_columns,
)
from lodewell.crystals.formats.extxyz.spelling import standard_spelling
from lodewell.errors import BadFile

Bytes = NDArray[np.uint8]

STRUCTURAL = frozenset({"lattice", "properties", "pbc"})
PAIR = re.compile(r"""([A-Za-z_][A-Za-z0-9_.\-/]*)=(?:"([^"\\]*)"|([^\s"'{}\[\]\\=,]+))(?:\s+|$)""")
TRUTH = {"T": True, "F": False, "true": True, "false": False, "True": True, "False": False}
TRUTH |= {"TRUE": True, "FALSE": False}
PERIODIC = {"T T T": (True, True, True), "F F F": (False, False, False)}
PER_CRYSTAL = frozenset(
    key
    for key, value in all_outputs.items()
    if key in all_properties and not (isinstance(value, ArrayProperty) and value.shapespec[0] == "natoms")
)
ANNOUNCED = re.compile(rb"""(?i)properties\s*=\s*["'{\[(]?([^\s"'}\])]+)""")
WIDEST = 10_000  # columns that the quick parser takes on
BIGGEST_INTEGER = (1 << 63) - 1
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_COUNT = 1 << 20  # bytes of the first line, which holds one number
OFTEN = 1 << 22  # bytes of text up to which every piece is looked at
LARGEST_FRAME = 1 << 28  # bytes of text that may pile up before a frame must have ended


class _UnusualError(Exception):
    """The quick parser is not sure; ASE decides."""


@dataclass(frozen=True)
class _Column:
    name: str
    kind: int
    width: int
    first: int  # among the real columns or among the whole-number columns


@dataclass(frozen=True)
class _Layout:
    kinds: NDArray[np.int64]
    columns: tuple[_Column, ...]
    reals: int
    wholes: int


@lru_cache(maxsize=256)
def _layout(properties: str) -> _Layout | None:  # noqa: PLR0911 each return is one thing left to ASE
    fields = properties.split(":")
    if len(fields) % 3 or not fields[0]:
        return None
    kinds: list[int] = []
    columns = []
    reals = wholes = 0
    for name, letter, width_text in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        width = int(width_text) if width_text.isdecimal() and len(width_text) < 7 else 0
        if width < 1 or len(kinds) + width > WIDEST:
            return None
        if letter == "S" and name == "species" and width == 1:
            kind = SPECIES
        elif letter in "RIL" and len(letter) == 1:
            kind = {"R": REAL, "I": INTEGER, "L": LOGICAL}[letter]
        else:
            return None
        ase_name = {"pos": "positions", "species": "numbers", "Z": "numbers", "charge": "charges"}.get(name, name)
        columns.append(_Column(ase_name, kind, width, reals if kind == REAL else wholes))
        kinds += [kind] * width
        if kind == REAL:
            reals += width
        else:
            wholes += width
    names = [c.name for c in columns]
    plain = {"numbers": (1, (SPECIES, INTEGER)), "positions": (3, (REAL,))}
    if len(set(names)) != len(names) or "initial_charges" in names or "symbols" in names:
        return None
    for column in columns:
        if column.name in plain and (column.width != plain[column.name][0] or column.kind not in plain[column.name][1]):
            return None
    if "numbers" not in names or "positions" not in names:
        return None
    return _Layout(np.array(kinds, np.int64), tuple(columns), reals, wholes)


def _value(text: str) -> Any:
    """Turn the text of one value into a number, truth value, array or string, by ASE's rules."""
    parts = text.replace(",", " ").split()
    if not parts or text.startswith("_JSON"):
        raise _UnusualError
    try:
        whole = [int(part) for part in parts]
        if max(whole) <= BIGGEST_INTEGER and min(whole) >= -BIGGEST_INTEGER:
            return whole[0] if len(whole) == 1 else np.array(whole)
    except ValueError:
        pass
    try:
        numbers = [float(part) for part in parts]
        return numbers[0] if len(numbers) == 1 else np.array(numbers)
    except ValueError:
        pass
    if all(part in TRUTH for part in parts):
        flags = [TRUTH[part] for part in parts]
        return flags[0] if len(flags) == 1 else flags
    return text


def _header(line: str) -> tuple[dict[str, Any], str, NDArray[np.float64] | None, Any]:
    """Return info, Properties, the cell (rows are lattice vectors) and the periodicity of a comment line."""
    info: dict[str, Any] = {}
    cell: NDArray[np.float64] | None = None
    properties = "species:S:1:pos:R:3"
    pbc: Any = None
    at = 0
    while at < len(line):
        match = PAIR.match(line, at)
        if match is None:
            raise _UnusualError
        at = match.end()
        key, quoted, bare = match.groups()
        text = bare if quoted is None else quoted
        if key == "Properties":
            properties = text
        elif key == "Lattice":
            cell = np.array(_nine(text)).reshape(3, 3)
        elif key == "pbc":
            pbc = PERIODIC.get(text)
            pbc = _value(text) if pbc is None else pbc
        elif key in ("stress", "virial"):
            info[key] = np.array(_nine(text)).reshape(3, 3, order="F")
        elif key in ("uid", "UID", "Uid"):
            info[key] = text
        elif key.lower() in STRUCTURAL:
            raise _UnusualError
        else:
            info[key] = _value(text)
    return info, properties, cell, pbc


def _nine(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError as err:
        raise _UnusualError from err
    if len(numbers) != 9:
        raise _UnusualError
    return numbers


def _columns(text: Bytes, raw: bytes, at: int, count: int, layout: _Layout) -> dict[str, Any]:
    """Read the atom lines into arrays by ASE's names."""
    reals = np.empty((count, layout.reals))
    wholes = np.empty((count, layout.wholes), np.int64)
    slow = np.empty((count * layout.reals, 4), np.int64)
    end, row, slow_count = parse_columns(text, at, layout.kinds, reals, wholes, slow)
    if end < 0:
        what = {TOO_FEW_COLUMNS: "has too few columns", BAD_SPECIES: "has no known element symbol"}
        raise _UnusualError(f"atom {row + 1} {what.get(end, 'has a column that is no number of the kind announced')}")
    for i, k, first, last in slow[:slow_count].tolist():
        try:
            reals[i, k] = float(raw[first:last])
        except ValueError as err:
            token = raw[first:last].decode(errors="replace")
            raise _UnusualError(f"atom {i + 1} has {token[:40]!r} where a number belongs") from err
    arrays: dict[str, Any] = {}
    for column in layout.columns:
        source = reals if column.kind == REAL else wholes
        first, last = column.first, column.first + column.width
        array: NDArray[Any] = source[:, first] if column.width == 1 else source[:, first:last]
        if column.kind == LOGICAL:
            array = array.astype(bool)
        elif column.kind == INTEGER and column.name != "numbers":
            array = array.astype(np.int32)
        arrays[column.name] = array
    return arrays


def _quick(text: Bytes, raw: bytes, begin: int, end: int, count: int) -> Atoms:
    """Parse one frame; raises `_UnusualError` where ASE should look."""
    comment = raw.index(b"\n", begin, end) + 1
    first_atom = raw.find(b"\n", comment, end) + 1 or end
    info, properties, cell, pbc = _header(raw[comment:first_atom].decode(errors="replace").strip())
    layout = _layout(properties)
    if layout is None:
        raise _UnusualError
    if 2 * len(layout.kinds) > (raw.find(b"\n", first_atom, end) + 1 or end) - first_atom + 1:
        raise _UnusualError  # more columns than an atom's line has room for
    arrays = _columns(text, raw, first_atom, count, layout)
    if pbc is None:
        pbc = cell is not None
    atoms = Atoms(numbers=arrays.pop("numbers"), positions=arrays.pop("positions"), cell=cell, pbc=pbc, info=info)
    if arrays:
        _attach(atoms, arrays)
    if not PER_CRYSTAL.isdisjoint(info) or not all_arrays.isdisjoint(arrays):
        _attach_results(atoms, arrays)
    return atoms


all_arrays = frozenset(all_properties)


def _attach(atoms: Atoms, arrays: dict[str, Any]) -> None:
    """Give extra columns their place: constraints, arrays; results of a calculation stay in `arrays`."""
    if "move_mask" in arrays:
        free = arrays.pop("move_mask").astype(bool)
        if free.ndim == 1:
            atoms.set_constraint(FixAtoms(mask=~free))
        elif free.shape[1] == 3:
            atoms.set_constraint([FixCartesian(i, mask=~free[i]) for i in range(len(atoms))])
        else:
            raise _UnusualError
    for name, array in arrays.items():
        if name not in all_arrays:
            atoms.new_array(name, array)


def _attach_results(atoms: Atoms, arrays: dict[str, Any]) -> None:
    """Put energy, forces, stress ... under their plain names into a calculator, as ASE does."""
    results = {name: array for name, array in arrays.items() if name in all_arrays}
    for key in list(atoms.info):
        if key in PER_CRYSTAL:
            value = atoms.info.pop(key)
            if key == "stress" and np.shape(value) == (3, 3):
                value = np.array([value[0, 0], value[1, 1], value[2, 2], value[1, 2], value[0, 2], value[0, 1]])
            results[key] = value
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)


def _too_wide(comment: bytes, first: bytes) -> str | None:
    """Refuse more columns than the first atom has words: whoever makes room for them first runs out of memory."""
    words = len(first.split())
    for properties in ANNOUNCED.findall(comment):
        widths = [w for w in properties.split(b":")[2::3] if w.strip().isdigit()]
        columns = sum(int(w) if len(w) < 10 else 10**9 for w in widths)
        if columns > words:
            return f"it announces {columns:,} columns, but atom 1 has {words}; correct Properties or remove the frame"
    return None


def _through_ase(raw: bytes) -> Atoms:
    from ase.io.extxyz import read_xyz

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (atoms,) = read_xyz(io.StringIO(raw.decode(errors="replace")), index=slice(None))
    return atoms


def parse_frames(raw: bytes) -> Iterator[Atoms | str]:
    """Yield every frame of a text as atoms, or as the reason why it cannot be read.

    One bad frame costs itself only: a line with a single integer always opens the next one.
    """
    text = np.frombuffer(raw, np.uint8)
    begins, ends, counts, _ = index_frames(text, True, max(1, raw.count(b"\n") + 1))
    for begin, end, count in zip(begins.tolist(), ends.tolist(), counts.tolist(), strict=True):
        yield _frame(text, raw, begin, end, count)


def _frame(text: Bytes, raw: bytes, begin: int, end: int, count: int) -> Atoms | str:  # noqa: PLR0911
    if count < 0:
        line = raw[begin:end].split(b"\n", 1)[0][:40].decode(errors="replace")
        return f"expected the number of atoms, found {line!r}; the frame is damaged or this is not extended XYZ"
    if count == 0:
        return "the frame has no atoms; remove it"
    lines = raw.count(b"\n", begin, end) + (not raw.endswith(b"\n", begin, end))
    if lines < count + 2:
        return (
            f"the frame announces {count} atoms but holds {max(lines - 2, 0)} atom lines; it is cut short:"
            " correct the count or restore the lines"
        )
    reason = ""
    if lines == count + 2:
        try:
            return _quick(text, raw, begin, end, count)
        except _UnusualError as err:
            reason = str(err)
        except Exception as err:  # whatever it was, ASE has the last word
            reason = str(err)
    elif not raw[begin:end].split(b"\n")[count + 2].lstrip().startswith(b"VEC"):
        return f"the frame announces {count} atoms but holds {lines - 2} atom lines; correct the count"
    if why := _too_wide(*raw[begin:end].split(b"\n", 3)[1:3]):
        return why
    respelt = standard_spelling(raw[begin:end], count)
    if respelt is not None:
        return _frame(np.frombuffer(respelt, np.uint8), respelt, 0, len(respelt), count)
    try:
        return _through_ase(raw[begin:end])
    except Exception as err:  # ASE raises many kinds, and none may end the run
        said = reason or (f"{err} is no element" if isinstance(err, KeyError) else f"{type(err).__name__}: {err}")
        return f"not extended XYZ: {said[:300]}; correct the frame or remove it"


def cut_frames(pieces: Iterable[bytes], size: int) -> Iterator[tuple[int, int, bytes]]:
    """Cut a stream of text into pieces of up to `size` whole frames; yields first frame, number of frames, and text.

    Raises `BadFile`, after all whole frames, when the stream breaks off or shows no end of a frame.
    """
    pending = b""
    number = wanted = 0
    damage: BadFile | None = None
    stream = iter(pieces)
    while True:
        try:
            piece = next(stream, None)
        except BadFile as err:
            piece, damage = None, err
        pending += piece or b""
        if number == 0:
            pending = pending.removeprefix(BYTE_ORDER_MARK)
        last = piece is None
        if len(pending) < wanted and not last:
            continue
        text = np.frombuffer(pending, np.uint8)
        at = 0
        while at < len(text):
            begins, _, _, used = index_frames(text[at:], last and damage is None, size)
            if len(begins) == 0 or (len(begins) < size and not last):
                break
            yield number, len(begins), pending[at : at + used]
            number += len(begins)
            at += used
        pending = pending[at:]
        if damage is not None:
            raise damage
        if last:
            return
        if number == 0 and len(pending) > LONGEST_COUNT and b"\n" not in pending[:LONGEST_COUNT]:
            raise BadFile("its first line does not end within a megabyte; this is not extended XYZ")
        wanted = (
            2 * len(pending) if len(pending) > OFTEN else 0
        )  # else large frames would be gone through piece by piece
        if len(pending) > LARGEST_FRAME:
            raise BadFile("no end of a frame found in 256 MB of text; this is not extended XYZ")
