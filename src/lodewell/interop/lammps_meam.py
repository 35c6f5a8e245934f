"""LAMMPS `pair_style meam/spline`: its files as potentials, and potentials as its files.

The format is that of the LAMMPS manual. One element: a comment, then φ, ρ, U, f, g, each as the number of knots, the
slopes at its ends, a line of four flags, and a line a knot with x, y and y''. Several elements: a comment,
`meam/spline N El1 ... ElN`, then φ for each pair (11, 12, ..., 22, ...), ρ, U and f for each element and g for each
pair, each after a line `spline3eq` and without the flags. LAMMPS works the second derivatives out itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from lodewell.errors import BadFile, BadOption, UnsupportedElement
from lodewell.files import atomic_path, read_bytes
from lodewell.interop.curves import chosen_elements, folder
from lodewell.potentials.meam import MEAM, ROLES
from lodewell.potentials.meam_splines import Spline

Lines = Iterator[tuple[int, list[str]]]


def read_meam_spline(path: str | Path, element: str | None = None) -> MEAM:
    """Read a file of LAMMPS `pair_style meam/spline` (units metal).

    Args:
        path: the file, compressed or not.
        element: of a file of one element, which does not name it; None takes it from the file's name, such as
            Si_1.meam.spline.

    Raises:
        BadFile: for a file that is none, with the line and what was expected there.
        BadOption: when the element is needed and neither given nor in the name.
    """
    text = read_bytes(path).decode("utf-8", "replace")
    rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    body = iter([(number, words) for number, words in rows[1:] if words])
    first = next(body, (2, [""]))
    several = first[1][0].startswith("meam/spline")
    symbols = _elements(path, first) if several else [_element(path, element)]
    pairs = [f"{a}-{b}" for a, b in combinations_with_replacement(symbols, 2)]
    if not several:
        body = _and_then(first, body)
    found: dict[str, dict[str, Spline]] = {}
    for role in ROLES:
        names = pairs if role in ("phi", "g") else symbols
        found[role] = {name: _spline(path, body, several, f"{role} of {name}") for name in names}
    if (more := next(body, None)) is not None:
        raise BadFile(f"{path}: line {more[0]}: the file goes on after its last spline; is it a meam/spline file?")
    return MEAM(**found)


def _and_then(first: tuple[int, list[str]], rest: Lines) -> Lines:
    yield first
    yield from rest


def _elements(path: str | Path, line: tuple[int, list[str]]) -> list[str]:
    number, words = line
    symbols = words[2:]
    if len(words) < 3 or not words[1].isdigit() or len(symbols) != int(words[1]):
        raise BadFile(f"{path}: line {number}: expected 'meam/spline', the number of elements and their symbols")
    for symbol in symbols:
        if atomic_numbers.get(symbol, 0) < 1:
            raise BadFile(f"{path}: line {number}: '{symbol}' is no element")
    return symbols


def _element(path: str | Path, element: str | None) -> str:
    named = Path(path).name.split(".")[0].split("_")[0] if element is None else element
    if atomic_numbers.get(named, 0) < 1:
        raise BadOption(f"{path}: a file of one element does not say which: give it, such as element='Si'")
    return named


def _spline(path: str | Path, body: Lines, several: bool, what: str) -> Spline:
    """Read one spline; the second derivatives in the file are left alone, as LAMMPS does."""

    def line(count: int, expected: str) -> list[float]:
        number, words = next(body, (0, []))
        if not number:
            raise BadFile(f"{path}: cut short: {what} is incomplete")
        try:
            return [float(w) for w in words[:count]] if len(words) >= count else [float("")]
        except ValueError as error:
            raise BadFile(f"{path}: line {number}: expected {expected} of {what}, not '{' '.join(words)}'") from error

    if several:
        number, words = next(body, (0, [""]))
        if words[0] != "spline3eq":
            raise BadFile(f"{path}: line {number}: expected 'spline3eq' before {what}, not '{' '.join(words)}'")
    (count,) = line(1, "the number of knots")
    first, last = line(2, "the slopes at both ends")
    if not several:
        line(4, "four flags")
    if count != int(count) or not 2 <= count <= 1_000_000:
        raise BadFile(f"{path}: {what} cannot have {count:g} knots")
    knots = np.array([line(2, "x and y of a knot") for _ in range(int(count))])
    try:
        return Spline(knots[:, 0], knots[:, 1], (first, last))
    except BadOption as error:
        raise BadFile(f"{path}: {what}: {error}") from error
