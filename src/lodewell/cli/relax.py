"""`lodewell relax`: crystals relaxed, ranked, and left in a folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, ClusterSpec, CrystalPaths, DrawFigure, OutFolder, PotentialName, WorkerCount
from lodewell.relax.options import RelaxOptions

if TYPE_CHECKING:
    from lodewell.relax.folder import Folder
    from lodewell.relax.result import Relaxed


class Format(StrEnum):
    """What relaxed crystals are written as, beside extended XYZ."""

    extxyz = "extxyz"
    cif = "cif"
    poscar = "poscar"
    db = "db"
    pymatgen = "pymatgen"
    optimade = "optimade"
    jarvis = "jarvis"


@takes(RelaxOptions)
def command(
    paths: CrystalPaths,
    potential: PotentialName = "spp",
    out: OutFolder = Path("relaxed"),
    as_json: AsJson = False,
    figure: DrawFigure = False,
    format: Annotated[
        Format, typer.Option("--format", help="Write the relaxed crystals in this format as well.")
    ] = Format.extxyz,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows of the table; 0 shows all.")] = 20,
    duplicates: Annotated[
        bool, typer.Option("--duplicates/--no-duplicates", help="Mark equal crystals among the results.")
    ] = True,
    restart: Annotated[
        bool, typer.Option("--restart/--resume", help="Forget what an earlier run in this folder has finished.")
    ] = False,
    options: RelaxOptions = RelaxOptions(),  # noqa: B008 frozen
    workers: WorkerCount = None,
    cluster: ClusterSpec = None,
) -> None:
    """Relax crystals, positions and cell, and rank them by energy per atom.

    The folder holds relaxed.extxyz, table.csv, results.json and summary.json. A run that was interrupted goes on where
    it stopped when it is started again.
    """
    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json_text
    from lodewell.compiled import COMPILING, compiled
    from lodewell.potentials.store import load
    from lodewell.relax import lbfgs
    from lodewell.relax.compiling import compile_loops
    from lodewell.relax.folder import Folder, relax_folder, rows_json

    job = Folder(paths, potential, options, out, format.value, restart, duplicates, workers, cluster)
    with progress("relaxing crystals") as bar:
        if cluster is None and not compiled(lbfgs.advance):
            bar.describe(COMPILING)
            compile_loops(load(potential))
            bar.describe("relaxing crystals")
        results = relax_folder(job, bar.advance)
    if figure:
        from lodewell.report.relaxation import draw_relaxation

        draw_relaxation(results, out / "before-after.png")
    if as_json:
        print_json_text(rows_json(results).rstrip())
    else:
        _show(results, job, limit, figure)


def _show(results: list[Relaxed], job: Folder, limit: int, figure: bool) -> None:
    """Print the best crystals, and how many ended how."""
    from collections import Counter

    from rich.table import Table

    from lodewell.cli.tables import console, marked, places

    screen, names = console(), places(results)
    equals = Counter(r.duplicate_of for r in results if r.duplicate_of is not None)
    ranked = (k for k, r in enumerate(results) if r.rank is not None and r.duplicate_of is None)
    best = sorted(ranked, key=lambda k: results[k].rank or 0)
    shown = best[:limit] if limit else best
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (("rank", "right"), ("crystal", "left"), ("formula", "left"), ("energy/atom", "right"),
                       ("fell by", "right"), ("volume", "right"), ("steps", "right"), ("percentile", "right"),
                       ("", "left")):  # fmt: skip
        table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
    for k in shown:
        table.add_row(*_cells(results[k], names[k], equals[k]))
    if shown:
        screen.print(table)
    if len(shown) < len(best):
        screen.print(f"… and {len(best) - len(shown):,} more (--limit 0 shows all)")
    counts = Counter(r.status for r in results)
    if equals:
        counts_text = f"{sum(equals.values()):,} crystals equal a better one."
        screen.print(f"\n{counts_text}", end="")
    screen.print("\n" + ", ".join(f"{count:,} {status}" for status, count in counts.most_common()) + ".")
    bad = [k for k, r in enumerate(results) if not r.sane or r.charge]
    for k in bad[:8]:
        screen.print(marked("red", f"{results[k].status}:", f" {names[k]}: {results[k].message}"))
    if len(bad) > 8:
        screen.print(f"… and {len(bad) - 8:,} more (see {job.out / 'table.csv'})")
    written = ["relaxed.extxyz", "table.csv", "results.json", "summary.json"] + ["before-after.png"] * figure
    screen.print(f"written to {job.out}: {', '.join(written)}")


def _cells(r: Relaxed, name: str, equals: int) -> list[str]:
    """Return the cells of a row of the table."""
    fell = (
        f"{r.start_energy_per_atom - r.energy_per_atom:.3f}"
        if r.start_energy_per_atom is not None and r.energy_per_atom is not None
        else "–"
    )
    volume = (
        f"{100.0 * (r.volume_per_atom / r.start_volume_per_atom - 1.0):+.1f} %"
        if r.volume_per_atom and r.start_volume_per_atom
        else "–"
    )
    notes = [] if r.status == "converged" else [r.status]
    if equals:
        notes.append(f"{equals:,} more relaxed to it")
    return [
        str(r.rank), name, r.formula or "–", f"{r.energy_per_atom:.3f}", fell, volume,
        str(r.steps), "–" if r.percentile is None else f"{r.percentile:.1f} %", "; ".join(notes),
    ]  # fmt: skip
