"""`lodewell export`: a potential in the files of another code."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """Formats of `lodewell.export`."""

    lammps = "lammps"
    quip = "quip"
    gulp = "gulp"
    csv = "csv"
    lodewell = "lodewell"


def command(
    potential: Annotated[
        str,
        typer.Argument(
            metavar="POTENTIAL", help="Shipped name, .lodewell file, .uf3 or .meam.spline of LAMMPS, .xml of QUIP."
        ),
    ],
    to: Annotated[Format, typer.Option("--to", help="Code to write for.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder; made if it is not there.")],
    elements: Annotated[
        str | None,
        typer.Option("--elements", "-e", metavar="Li,P,O", help="Elements, in this order.", show_default="all"),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant", metavar="CLASS", help="Curves of one anion class, such as oxide.", show_default="all crystals"
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option("--points", min=100, help="Points of each table for LAMMPS.", show_default="50,000"),
    ] = None,
) -> None:
    """Write a potential for LAMMPS (table, uf3, meam/spline, quip), GULP (spline library), as CSV or .lodewell."""
    from lodewell.interop.export import export
    from lodewell.potentials.statistical.statistical import Statistical
    from lodewell.potentials.store import load

    model = load(potential)
    if to is Format.lodewell:
        print(f"written: {export(potential, to=to.value, elements=elements, out=out, variant=variant)[0]}")
        return
    written = export(model, to=to.value, elements=elements, out=out, variant=variant, points=points)
    size = sum(path.stat().st_size for path in written)
    print(f"{len(written)} file{'s' if len(written) > 1 else ''}, {size / 1e6:.1f} MB, in {out}")
    for path in written[:6]:
        print(f"  {path}")
    if len(written) > 6:
        print(f"  … and {len(written) - 6} more")
    if to in (Format.lammps, Format.quip):
        print(f"In LAMMPS: units metal, then   variable lodewell index {out}   and   include {written[-1]}")
        lone = {z: e for z, e in getattr(model, "energies", {}).items() if e}
        if lone and model.kind != "gap":
            print("note: LAMMPS leaves out the energies of lone atoms: only its total energies differ, by their sum")
    if isinstance(model, Statistical) and (model.variant_p >= 0).any() and variant is None:
        print("note: lodewell itself uses the curves of a crystal's own anion class; choose them with --variant")
