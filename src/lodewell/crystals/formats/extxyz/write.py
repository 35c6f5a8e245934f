"""Extended XYZ written quickly, in the plain dialect that every code reads: nine-number stresses, no JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lodewell.text import SPELT_OUT, printable

PER_ATOM = ("forces", "magmoms", "charges", "stresses", "energies")
PER_CRYSTAL = ("energy", "free_energy", "stress", "magmom", "dipole")
SPECIAL = frozenset(" \t\r\n\"'{}[]=\\,")


def extxyz_text(crystals: Iterable[Atoms]) -> str:
    """Return the text of many frames, see `extxyz_frame`."""
    return "".join([extxyz_frame(atoms) for atoms in crystals])


def extxyz_frame(atoms: Atoms) -> str:
    """Return the text of one frame.

    Columns are species, positions, the arrays of the crystal, and forces of a calculator; `info` and the calculator's
    energy and stress (nine numbers) stand in the header. What extended XYZ cannot hold (nested tables, objects) is
    left out.
    """
    names = ["species", "pos"]
    letters = ["S:1", "R:3"]
    formats = ["%-2s", "%16.8f %16.8f %16.8f"]
    count = len(atoms)
    columns: list[list[Any]] = [[chemical_symbols[z] for z in atoms.numbers.tolist()]]
    columns += atoms.positions.T.tolist()
    results = getattr(atoms.calc, "results", None) or {}
    arrays = {key: value for key, value in atoms.arrays.items() if key not in ("numbers", "positions")}
    if atoms.constraints:
        from ase.io.extxyz import _make_move_mask

        mask = _make_move_mask(atoms)
        if not mask.all():
            arrays["move_mask"] = mask
    arrays |= {key: np.asarray(results[key]) for key in PER_ATOM if results.get(key) is not None}
    for key, array in arrays.items():
        made = _column(array, count)
        if made is None:
            continue
        letter, form, data = made
        names.append(key)
        letters.append(f"{letter}:{len(data)}")
        formats.append(" ".join([form] * len(data)))
        columns += data
    header = _header(atoms, ":".join(f"{n}:{w}" for n, w in zip(names, letters, strict=True)), results)
    line = " ".join(formats) + "\n"
    return f"{count}\n{header}\n" + "".join([line % row for row in zip(*columns, strict=True)])


def _column(array: NDArray[Any], count: int) -> tuple[str, str, list[list[Any]]] | None:
    """Return the letter, format and single columns of an array; None for what a column cannot hold."""
    if array.ndim > 2 or len(array) != count or count == 0:
        return None
    flat = array.reshape(count, -1)
    if array.dtype.kind == "f":
        return "R", "%16.8f", flat.T.tolist()
    if array.dtype.kind in "iu":
        return "I", "%8d", flat.T.tolist()
    if array.dtype.kind == "b":
        return "L", "%s", [["T" if flag else "F" for flag in column] for column in flat.T.tolist()]
    words = flat.T.tolist()
    if all(isinstance(word, str) and word and word.split() == [word] for column in words for word in column):
        return "S", "%s", [[printable(word) for word in column] for column in words]
    return None


def _header(atoms: Atoms, properties: str, results: dict[str, Any]) -> str:
    parts = []
    if atoms.cell.array.any():
        parts.append('Lattice="' + " ".join(map(repr, atoms.cell.array.ravel().tolist())) + '"')
    parts.append(f"Properties={properties}")
    values = {printable(key): value for key, value in atoms.info.items() if isinstance(key, str)}
    for key in PER_CRYSTAL:
        if results.get(key) is not None:
            values[key] = _full_stress(results[key]) if key == "stress" else results[key]
    parts += _entries(values)
    parts.append('pbc="' + " ".join("T" if p else "F" for p in atoms.pbc.tolist()) + '"')
    return " ".join(parts)


def _entries(values: dict[str, Any]) -> list[str]:
    """Return "key=value" of all that a header can hold."""
    texts = {key: _value(key, value) for key, value in values.items()}
    return [
        f"{key}={text}"
        for key, text in texts.items()
        if text is not None and key and not SPECIAL & set(key) and key not in ("Lattice", "Properties", "pbc")
    ]


def with_info(frames: bytes, info: dict[str, Any]) -> bytes:
    """Return the text of frames that `extxyz_frame` wrote, with these entries added to each header.

    Keys that a header has already are not looked for.
    """
    more = "".join(f" {entry}" for entry in _entries(info)).encode("utf-8", SPELT_OUT)
    lines = frames.split(b"\n")
    k = 0
    while lines[k]:
        lines[k + 1] += more
        k += int(lines[k]) + 2
    return b"\n".join(lines)


def _full_stress(stress: Any) -> NDArray[np.float64]:
    array: NDArray[np.float64] = np.asarray(stress, float)
    return array if array.shape == (3, 3) else array[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3)


def _value(key: str, value: Any) -> str | None:
    """Return the text of a header value, or None when it cannot be told apart on reading."""
    if isinstance(value, bool | np.bool_):
        return "T" if value else "F"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple | np.ndarray):
        return _array(key, np.asarray(value))
    return None


def _text(value: str) -> str | None:
    if "\n" in value or "\r" in value or not value.strip():
        return None
    value = printable(value)
    if not SPECIAL & set(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(key: str, array: NDArray[Any]) -> str | None:
    if array.size == 0 or array.dtype.kind not in "iufb":
        return None
    if key in ("stress", "virial") and array.shape == (3, 3):
        array = array.T  # these two keys are read in Fortran order
    flat = array.ravel().tolist()
    return '"' + " ".join("TF"[not v] if isinstance(v, bool) else repr(v) for v in flat) + '"'
