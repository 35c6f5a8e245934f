"""`lodewell compare`: accuracy against cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lodewell.cli.options import AsJson, ContradictionsOption, FigureFile, OnContradiction

if TYPE_CHECKING:
    from lodewell.judge.compare.run import Comparison
    from lodewell.potentials.base import Potential


def command(
    potentials: Annotated[
        list[str],
        typer.Argument(
            metavar="POTENTIALS...", help="Shipped names or .lodewell files; NAME=FILE names one.", show_default=False
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            "-d",
            metavar="FILE",
            help="Crystals with energies, forces or stresses: a file, folder or quoted pattern; may be given several "
            "times.",
            show_default=False,
        ),
    ],
    figure: FigureFile = None,
    as_json: AsJson = False,
    atoms: Annotated[int, typer.Option("--atoms", min=1, help="Atoms, at least, in the cell that is timed.")] = 2000,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, help="Time spent on timing each potential.")] = 3.0,
    contradictions: ContradictionsOption = OnContradiction.refuse,
) -> None:
    """Compare potentials: test errors against the time of an evaluation, measured in the same run on one thread."""
    import os

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before NumPy is imported

    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json
    from lodewell.judge.compare.run import add_named, compare

    engines: dict[str, Potential] = {}
    for given in potentials:
        name, _, file = given.rpartition("=")
        add_named(engines, file, name)
    with progress("comparing") as bar:
        comparison = compare(
            engines, data, atoms=atoms, seconds=seconds, contradictions=contradictions.value, progress=bar
        )  # fmt: skip
    drawn: Path | None = comparison.figure(figure) if figure is not None else None
    if as_json:
        print_json(comparison.json())
    else:
        _show(comparison, drawn)


def _show(comparison: Comparison, figure: Path | None) -> None:
    from ase.units import GPa
    from rich.table import Table

    from lodewell.cli.tables import console, marked
    from lodewell.cli.test import number

    screen = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("potential", "family", "frames", "energy MAE", "RMSE", "force MAE", "RMSE", "stress MAE", "evaluation",
                 "with new list", "best at its cost"):  # fmt: skip
        table.add_column(name, justify="left" if name in ("potential", "family", "best at its cost") else "right")
    table.add_row("", "", "", "meV/atom", "meV/atom", "eV/Å", "eV/Å", "GPa", "µs/atom", "µs/atom", "", style="dim")
    forces, energies = ({id(r) for r in comparison.front(m)} for m in ("force", "energy"))
    for row in comparison.rows:
        e, cost = row.errors.overall, row.cost
        best = [word for word, front in (("forces", forces), ("energies", energies)) if id(row) in front]
        table.add_row(
            row.name, row.kind, f"{e.frames:,}", number(e.energy.mae, 1e3), number(e.energy.rmse, 1e3),
            number(e.force.mae), number(e.force.rmse), number(e.stress.mae, 1.0 / GPa),
            number(None if cost is None else cost.us_per_atom),
            number(None if cost is None else cost.fresh_us_per_atom), ", ".join(best),
        )  # fmt: skip
    screen.print(table)
    if comparison.cell:
        screen.print(
            f"\ntimed on {comparison.cell_atoms:,} atoms of {comparison.cell}: energy, forces and virial, neighbour "
            f"list kept as in dynamics; one thread of {comparison.machine}"
        )
    else:
        screen.print("\nnot timed: no crystal of the data is periodic all around")
    for row in comparison.rows:
        energy = row.errors.energy
        if energy.rmse_shifted and abs(energy.shift or 0.0) > 3.0 * energy.rmse_shifted:
            why = f" without that shift its RMSE is {number(energy.rmse_shifted, 1e3)} meV/atom"
            screen.print(marked("yellow", f"{row.name} counts energies from another zero than the data:", why))
        if row.errors.refused:
            count = len(row.errors.refused)
            what = (
                f"{row.name} leaves out {count:,} frame{'s' if count > 1 else ''}, so its means are over other frames:"
            )
            screen.print(marked("yellow", what, f" {row.errors.refused[0]}"))
    if figure is not None:
        screen.print(f"written: {figure}")
