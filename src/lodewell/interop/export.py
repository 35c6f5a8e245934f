"""One door to the formats of other codes, and from their files to ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lodewell.errors import BadOption
from lodewell.interop.curves import folder
from lodewell.potentials.base import Potential
from lodewell.potentials.families import find_family, imported
from lodewell.potentials.store import load

FORMATS = ("lammps", "quip", "gulp", "csv", "lodewell")


def export(
    potential: str | Path | Potential,
    *,
    to: str,
    elements: str | Sequence[str] | None = None,
    out: str | Path,
    variant: str | None = None,
    points: int | None = None,
) -> list[Path]:
    """Write a potential for another code; return the files.

    Args:
        potential: a shipped name, a file, also one of LAMMPS (.uf3, .meam.spline) or QUIP (.xml), or the potential
            itself.
        to: "lammps" (`pair_style uf3`, `meam/spline` and `quip` of these families, `table` of sums over pairs), "quip"
            (XML of a Gaussian approximation potential), "gulp" (`spline` library) and "csv" of sums over pairs, or
            "lodewell" (a .lodewell file).
        elements: such as "Li,P,O" or ["Li", "P", "O"]; None is all that it knows.
        out: folder, made if it is not there.
        variant: an anion class such as "oxide": its own curves where the table has them. Other codes cannot choose
            them by crystal as lodewell does; None writes the curves of all crystals.
        points: of each curve in tables for LAMMPS; None is 50,000. UF potentials of pairs alone are written as tables
            when it is given, which LAMMPS runs several times faster than `uf3`.

    Raises:
        UnsupportedElement: for an element without a curve, with the nearest alternative.
        BadOption: for an unknown format, or one that does not hold such a potential.
        BadFile: when there is no such potential, or the folder cannot be written.
    """
    model = potential if isinstance(potential, Potential) else load(potential)
    if to in ("lammps", "quip") and (writer := _own_writer(model, to, points)) is not None:
        return list(writer(model, elements, out))
    if to == "lammps":
        from lodewell.interop.lammps.table import POINTS, write_tables

        return write_tables(model, elements, out, variant=variant, points=points or POINTS)
    if to == "quip":
        raise BadOption(f"QUIP's files hold Gaussian approximation potentials, not the kind '{model.kind}'")
    if to == "gulp":
        from lodewell.interop.gulp import write_library

        return write_library(model, elements, out, variant=variant)
    if to == "csv":
        from lodewell.interop.csv import write_curves

        return write_curves(model, elements, out, variant=variant)
    if to == "lodewell":
        if elements is not None or variant is not None:
            raise BadOption("a .lodewell file holds the whole potential: leave --elements and --variant out")
        source = Path(potential).name if isinstance(potential, (str, Path)) else model.kind
        return [model.save(folder(out) / source.split(".")[0], source=source)]
    raise BadOption(f"there is no format '{to}': choose one of {', '.join(FORMATS)}")


def _own_writer(model: Potential, to: str, points: int | None) -> Any:
    """Return what writes the format of a family; None where tables of pairs do, or where they are asked for."""
    row = find_family(model.kind)
    if row is None or to not in row.exports or (points is not None and model.sums_pairs):
        return None
    return imported(row.exports[to])
