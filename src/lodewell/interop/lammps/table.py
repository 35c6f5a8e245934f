"""LAMMPS: any sum over pairs as files of `pair_style table`, and such files as a potential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase.data import atomic_masses, chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.errors import BadFile, BadOption
from lodewell.files import atomic_path, read_bytes
from lodewell.interop.curves import chosen_elements, folder, pairs_of
from lodewell.potentials.base import Potential
from lodewell.potentials.pairs.pair import pair_species
from lodewell.potentials.pairs.table import PairTable

POINTS = 50_000
INNER = 0.1  # Å: LAMMPS stops when two atoms come closer
MOST_ELEMENTS = 12


def write_tables(
    potential: Potential,
    elements: str | Sequence[str] | None,
    out: str | Path,
    *,
    name: str = "lodewell",
    variant: str | None = None,
    points: int = POINTS,
) -> list[Path]:
    """Write `name.table`, a section a pair, and `name.in` to be included: atom types in the order of `elements`.

    Points are even in r², where LAMMPS itself interpolates, so that it uses them as they are. Energies are eV, the
    energy scale included; forces eV/Å. With 50,000 points, 2.5 MB a pair, shipped tables agree with lodewell's own
    energies to 1e-8, and forces to 2e-6 of the largest in real crystals and 1e-7 in random ones; 20,000 points are
    five times coarser.

    Raises:
        UnsupportedElement: for an element without a curve.
        BadFile: when the folder cannot be written.
    """
    numbers = chosen_elements(potential, elements)
    if len(numbers) > MOST_ELEMENTS:
        raise BadOption(
            f"{len(numbers)} elements make {len(pairs_of(numbers))} tables of 2.5 MB: name up to "
            f"{MOST_ELEMENTS}, such as --elements Li,P,O"
        )
    place = folder(out)
    r = np.sqrt(np.linspace(INNER**2, potential.cutoff**2, points))
    table, script = place / f"{name}.table", place / f"{name}.in"
    with atomic_path(table) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        handle.write(f"# UNITS: metal CONTRIBUTOR: lodewell, {potential.kind} potential, eV and Angstrom\n")
        for first, second in pairs_of(numbers):
            u, du = potential.pair_curve(first, second, r, variant)
            handle.write(f"\n{_section(first, second)}\nN {points} RSQ {INNER!r} {potential.cutoff!r}\n\n")
            handle.writelines(
                f"{k} {x:.8g} {e:.12g} {f:.11g}\n" for k, (x, e, f) in enumerate(zip(r, u, -du, strict=True), 1)
            )
    with atomic_path(script) as temporary:
        temporary.write_text(_script(numbers, table.name, potential, variant, points), encoding="utf-8")
    return [table, script]


def _section(first: int, second: int) -> str:
    return f"{chemical_symbols[min(first, second)]}-{chemical_symbols[max(first, second)]}"


def _script(numbers: Sequence[int], table: str, potential: Potential, variant: str | None, points: int) -> str:
    types = ", ".join(f"{k} = {chemical_symbols[z]}" for k, z in enumerate(numbers, 1))
    lines = [
        f"# Written by lodewell: {potential.kind} potential" + (f", curves of {variant}s" if variant else ""),
        f"# Atom types: {types}",
        "# Use: units metal, then the cell and atoms, then   include " + table.replace(".table", ".in"),
        "# Run LAMMPS in this folder, or name it beforehand: variable lodewell index /path/to/this/folder",
        "variable lodewell index .",
        "",
        f"pair_style table spline {points}",
    ]
    for i, first in enumerate(numbers, 1):
        for j, second in enumerate(numbers[i - 1 :], i):
            lines.append(f"pair_coeff {i} {j} ${{lodewell}}/{table} {_section(first, second)} {potential.cutoff!r}")
    lines += ["", "# Masses (g/mol), in case the data file has none:"]
    lines += [f"# mass {k} {atomic_masses[z]:.4f}  # {chemical_symbols[z]}" for k, z in enumerate(numbers, 1)]
    return "\n".join(lines) + "\n"


def read_table(path: str | Path, pairs: Mapping[str, str] | None = None, spacing: float = 0.01) -> PairTable:
    """Read a file of LAMMPS `pair_style table` (units metal) into a potential.

    Args:
        path: the file, compressed or not.
        pairs: section -> pair, such as {"ENTRY1": "Cu-Cu"}; others are left out. None: sections are named like
            "Li-O" or "Li_O".
        spacing: of the grid (Å) on which the curves are held.

    Raises:
        BadFile: for a file that is none, with the line; BadOption: for names that are no pairs.
    """
    sections = _sections(read_bytes(path).decode("utf-8", "replace"), str(path))
    if pairs is None:
        named = {key.replace("_", "-"): curve for key, curve in sections.items()}
    else:
        missing = sorted(set(pairs) - set(sections))
        if missing:
            raise BadOption(f"{path}: there is no section {', '.join(missing)}; it holds {', '.join(sections)}")
        named = {pair: sections[key] for key, pair in pairs.items()}
    for pair in named:
        try:
            pair_species(pair)
        except BadOption as error:
            raise BadOption(f"{path}: {error}; or say what the sections are: pairs={{'{pair}': 'Li-O'}}") from error
    return PairTable(named, spacing)


def _sections(text: str, path: str) -> dict[str, tuple[Floats, Floats]]:
    lines = [(number, line.split("#")[0].split()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, words) for number, words in lines if words]
    out: dict[str, tuple[Floats, Floats]] = {}
    at = 0
    while at < len(lines):
        number, words = lines[at]
        if at + 1 >= len(lines) or "N" not in lines[at + 1][1]:
            raise BadFile(f"{path}: line {number}: expected the name of a section and a line such as 'N 500 R 1 10'")
        count, spaced = _parameters(lines[at + 1], path, len(lines))
        body = lines[at + 2 : at + 2 + count]
        try:
            rows = np.array([[float(w) for w in row[1:4]] for _, row in body], dtype=np.float64)
        except ValueError as error:
            raise BadFile(f"{path}: section {words[0]}: {error}") from error
        if rows.shape != (count, 3):
            raise BadFile(f"{path}: section {words[0]} should have {count} rows of index r e f; it is cut short")
        out[words[0]] = (rows[:, 0] if spaced is None else spaced, rows[:, 1])
        at += 2 + count
    if not out:
        raise BadFile(f"{path}: there is no table in it")
    return out


def _parameters(line: tuple[int, list[str]], path: str, most: int) -> tuple[int, Floats | None]:
    """Return the number of rows, and the distances if the line sets them."""
    number, words = line
    try:
        count = int(words[words.index("N") + 1])
        if not 2 <= count <= most:
            raise BadFile(f"{path}: line {number}: {count} rows are announced, which are not there; it is cut short")
        for style, power in (("R", 1), ("RSQ", 2)):
            if style in words:
                low, high = (float(w) for w in words[words.index(style) + 1 : words.index(style) + 3])
                return count, np.linspace(low**power, high**power, count) ** (1 / power)
    except BadFile:
        raise
    except (ValueError, IndexError) as error:
        raise BadFile(f"{path}: line {number}: cannot be understood ({' '.join(words)}): {error}") from error
    if "BITMAP" in words:
        raise BadFile(f"{path}: line {number}: BITMAP tables are not read: write the table with R or RSQ")
    return count, None
