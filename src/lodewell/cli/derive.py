"""`lodewell derive`: mine a statistical potential from known crystals."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, ClusterSpec, CrystalPaths, OutFile, Restart, WorkerCount
from lodewell.derive.options import DeriveOptions


@takes(DeriveOptions)
def command(
    paths: CrystalPaths,
    out: OutFile,
    options: DeriveOptions = DeriveOptions(),  # noqa: B008 frozen
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            "--calibrate", metavar="PATH", help="Crystals with K_vrh (GPa): fix the energy scale in eV (spp)."
        ),
    ] = None,
    hold_out: Annotated[
        float, typer.Option("--hold-out", min=0.0, max=0.9, help="Keep back this share of all reduced formulas.")
    ] = 0.0,
    by_system: Annotated[
        bool, typer.Option("--by-system", help="Keep back whole element sets instead of formulas.")
    ] = False,
    exclude: Annotated[
        Path | None,
        typer.Option(
            "--exclude", metavar="FILE", help="Keep back the reduced formulas listed here.", show_default=False
        ),
    ] = None,
    workers: WorkerCount = None,
    cluster: ClusterSpec = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Mine a statistical potential from known crystals, any number of them.

    An interrupted derivation leaves FILE.partial, and the same command goes on from there.
    """
    from functools import partial

    from lodewell.cli.progress import progress
    from lodewell.crystals.count import about_how_many
    from lodewell.derive.chunk import HoldOut, read_formulas
    from lodewell.derive.run import derive

    formulas = read_formulas(exclude) if exclude is not None else frozenset[str]()
    with progress("mining crystals", partial(about_how_many, paths)) as bar:
        potential = derive(
            paths,
            out=out,
            hold_out=HoldOut(formulas=formulas, share=hold_out, by_system=by_system),
            calibrate=calibrate,
            workers=workers,
            cluster=cluster,
            progress=bar,
            restart=restart,
            **asdict(options),
        )
    from lodewell.cli.screen import print_passed_over

    print_passed_over(paths)
    _show(
        potential.about | {"curves": len(potential.pairs_pz), "flagged": int(potential.flagged_p().sum())}, out, as_json
    )


def _show(about: dict[str, object], out: Path, as_json: bool) -> None:
    if as_json:
        from lodewell.cli.screen import print_json

        print_json(about | {"file": str(out)})
        return
    from rich.table import Table

    from lodewell.cli.tables import console

    left_out = about["left_out"]
    rows = {
        "crystals met": about["crystals_met"],
        "used": about["crystals_used"],
        "families of near-duplicates": about["families"],
        **({f"left out: {why}": n for why, n in left_out.items()} if isinstance(left_out, dict) else {}),
        "refused": about["refused"],
        "curves": about["curves"],
        "of these mostly prior": about["flagged"],
        "seconds": about["seconds"],
    }
    table = Table(title=f"{about['recipe']} → {out}", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, str(value))
    screen = console()
    screen.print(table)
    refused = about["first_refused"]
    if isinstance(refused, list):
        for file, frame, why in refused[:5]:
            screen.print(f"refused: {file}, frame {frame}: {why}", style="dim")
