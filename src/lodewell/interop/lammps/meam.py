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
from lodewell.interop.lammps.lone import noted_energies
from lodewell.potentials.meam.meam import MEAM, ROLES
from lodewell.potentials.meam.splines import Spline

SUFFIX = ".meam.spline"
_LONE = "energies of lone atoms (eV), which LAMMPS leaves out:"
_MOST_FINER = 12  # parts into which the shortest interval is cut to make uneven knots even

Lines = Iterator[tuple[int, list[str]]]


def write_meam_spline(
    potential: MEAM, elements: str | Sequence[str] | None, out: str | Path, *, name: str = "lodewell"
) -> list[Path]:
    """Write `name.meam.spline`, all splines, and `name.in` to be included: atom types in the order of `elements`.

    Energies, forces and stresses in LAMMPS are those of lodewell, less the energies of lone atoms. LAMMPS takes knots
    for evenly spaced: uneven ones are laid on finer even knots, exactly.

    Raises:
        UnsupportedElement: for an element that the potential lacks.
        BadOption: for uneven knots that fit no finer even ones.
        BadFile: when the folder cannot be written.
    """
    symbols = [chemical_symbols[z] for z in chosen_elements(potential, elements)]
    place = folder(out)
    splines, script = place / f"{name}{SUFFIX}", place / f"{name}.in"
    lines = list(_lines(potential, symbols))
    with atomic_path(splines) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")
    with atomic_path(script) as temporary:
        temporary.write_text(_script(potential, symbols, splines.name), encoding="utf-8")
    return [splines, script]


def _lines(potential: MEAM, symbols: Sequence[str]) -> Iterator[str]:
    lone = " ".join(f"{s} {potential.reference[s]!r}" for s in symbols)
    yield f"# UNITS: metal CONTRIBUTOR: lodewell, {_LONE} {lone}"
    yield f"meam/spline {len(symbols)} {' '.join(symbols)}"
    order = {s: k for k, s in enumerate(potential.symbols)}
    for role in ROLES:
        names = list(symbols)
        if role in ("phi", "g"):
            pairs = (sorted(pair, key=order.__getitem__) for pair in combinations_with_replacement(symbols, 2))
            names = ["-".join(pair) for pair in pairs]
        for spline_name in names:
            spline = _even(getattr(potential, role)[spline_name], f"{role} of {spline_name}")
            last, step = spline.pieces_kx[-1], spline.x_k[-1] - spline.x_k[-2]
            bend = np.append(2.0 * spline.pieces_kx[:, 2], 2.0 * last[2] + 6.0 * last[3] * step).tolist()
            yield "spline3eq"
            yield str(len(spline.x_k))
            yield f"{spline.slopes[0]!r} {spline.slopes[1]!r}"
            for x, y, c in zip(spline.x_k.tolist(), spline.y_k.tolist(), bend, strict=True):
                yield f"{x!r} {y!r} {c!r}"


def _even(spline: Spline, what: str) -> Spline:
    """Return the same curve on even knots."""
    if spline.even:
        return spline
    length = float(spline.x_k[-1] - spline.x_k[0])
    for parts in range(1, _MOST_FINER + 1):
        count = round(length / float(np.diff(spline.x_k).min()) * parts)
        place_k = (spline.x_k - spline.x_k[0]) * count / length
        if np.abs(place_k - np.round(place_k)).max() < 1e-6:
            x_k = np.linspace(spline.x_k[0], spline.x_k[-1], count + 1)
            return Spline(x_k, spline(x_k)[0], spline.slopes)
    raise BadOption(f"{what}: LAMMPS meam/spline wants evenly spaced knots, and these fit no finer even ones")


def _script(potential: MEAM, symbols: Sequence[str], splines: str) -> str:
    lone = " ".join(f"{potential.reference[s]:+.10g}*N({s})" for s in symbols)
    lines = [
        "# Written by lodewell: spline MEAM",
        "# Atom types: " + ", ".join(f"{k} = {s}" for k, s in enumerate(symbols, 1)),
        "# Use: units metal, then the cell and atoms, then   include " + splines.replace(SUFFIX, ".in"),
        "# Run LAMMPS in this folder, or name it beforehand: variable lodewell index /path/to/this/folder",
        "#",
        "# LAMMPS leaves out the energies of lone atoms. Forces and stresses are the same; the total energy is that of",
        f"# lodewell less   {lone} eV",
        "variable lodewell index .",
        "",
        "pair_style meam/spline",
        f"pair_coeff * * ${{lodewell}}/{splines} {' '.join(symbols)}",
        "",
        "# Masses (g/mol), in case the data file has none:",
    ]
    lines += [f"# mass {k} {atomic_masses[atomic_numbers[s]]:.4f}  # {s}" for k, s in enumerate(symbols, 1)]
    return "\n".join(lines) + "\n"


def read_meam_spline(path: str | Path, elements: str | Sequence[str] | None = None) -> MEAM:
    """Read a file of LAMMPS `pair_style meam/spline` (units metal).

    Energies of lone atoms are those that lodewell noted in the first line, else 0.

    Args:
        path: the file, compressed or not.
        elements: of a file of one element, which does not name it: None takes it from the name of the file, such as
            Si_1.meam.spline. Of a file of several: those wanted, None is all.

    Raises:
        BadFile: for a file that is none, with the line and what was expected there.
        BadOption: when the element is needed and neither given nor in the name.
        UnsupportedElement: for an element that the file lacks.
    """
    text = read_bytes(path).decode("utf-8", "replace")
    rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    body = iter([(number, words) for number, words in rows[1:] if words])
    wanted = elements.replace(",", " ").split() if isinstance(elements, str) else list(elements or ())
    first = next(body, (2, [""]))
    several = first[1][0].startswith("meam/spline")
    symbols = _elements(path, first) if several else [_element(path, wanted)]
    pairs = [f"{a}-{b}" for a, b in combinations_with_replacement(symbols, 2)]
    if not several:
        body = _and_then(first, body)
    found: dict[str, dict[str, Spline]] = {}
    for role in ROLES:
        names = pairs if role in ("phi", "g") else symbols
        found[role] = {name: _spline(path, body, several, f"{role} of {name}") for name in names}
    if (more := next(body, None)) is not None:
        raise BadFile(f"{path}: line {more[0]}: the file goes on after its last spline; is it a meam/spline file?")
    if lacking := [s for s in wanted if s not in symbols]:
        raise UnsupportedElement(f"{path}: there is no spline for {', '.join(lacking)}; it holds {', '.join(symbols)}")
    kept = set(wanted or symbols)
    mine = {role: {n: s for n, s in splines.items() if set(n.split("-")) <= kept} for role, splines in found.items()}
    return MEAM(mine["phi"], mine["rho"], mine["u"], mine["f"], mine["g"], _lone(path, text.partition("\n")[0]))


def _lone(path: str | Path, comment: str) -> dict[str, float]:
    """Return the energies of lone atoms that lodewell noted."""
    try:
        return noted_energies(comment.partition(_LONE)[2].split())
    except BadFile as error:
        raise BadFile(f"{path}: {error}") from error


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


def _element(path: str | Path, wanted: Sequence[str]) -> str:
    if len(wanted) > 1:
        raise UnsupportedElement(f"{path}: holds one element, not {', '.join(wanted)}")
    named = wanted[0] if wanted else Path(path).name.split(".")[0].split("_")[0]
    if atomic_numbers.get(named, 0) < 1:
        raise BadOption(f"{path}: a file of one element does not say which: give it, such as elements='Si'")
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
