"""Arguments and options that commands share, so that they are named and explained the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class OnContradiction(StrEnum):
    """What becomes of labelled crystals whose energies, forces and stresses contradict each other."""

    refuse = "refuse"
    note = "note"


CrystalPaths: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="PATHS...",
        help="Files, folders or patterns of crystals: CIF, POSCAR, extxyz(.gz), .res, vasprun.xml, OUTCAR, ASE db, "
        "JSON of Materials Project, OPTIMADE or JARVIS.",
        show_default=False,
    ),
]
PotentialName: TypeAlias = Annotated[
    str,
    typer.Option("--potential", "-p", metavar="NAME|FILE", help="A potential that is shipped, or a .lodewell file."),
]
OutFolder: TypeAlias = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results; made if it is not there.")
]
OutFile: TypeAlias = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="File to write.", show_default=False)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
DrawFigure: TypeAlias = Annotated[bool, typer.Option("--figure", help="Draw a figure as well.")]
StrictFormula: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--strict-formula",
        help="Refuse crystals that their own file contradicts (formula, multiplicities, density, symmetry) instead of "
        "remarking on them.",
    ),
]
WorkerCount: TypeAlias = Annotated[
    int | None,
    typer.Option("--workers", "-n", min=1, help="Worker processes.", show_default="every core", metavar="N"),
]
ClusterSpec: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="WHERE",
        help="Work on Dask: 'local', the address of a scheduler (tcp://host:8786), or a YAML file of a queue.",
        show_default=False,
    ),
]
Restart: TypeAlias = Annotated[
    bool,
    typer.Option("--restart/--resume", help="Ignore what an interrupted run has left."),
]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", help="Seed of all random numbers.")]
PotentialArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="POTENTIAL", help="Shipped name or .lodewell file.", show_default=False)
]
FigureFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--figure", metavar="FILE", help="Draw a figure: PNG, SVG or PDF.", show_default=False),
]
ContradictionsOption: TypeAlias = Annotated[
    OnContradiction,
    typer.Option(
        "--contradictions",
        help="What becomes of energies, forces and stresses that contradict each other, as by a wrong unit or sign.",
    ),
]
