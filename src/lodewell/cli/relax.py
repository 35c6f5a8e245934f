"""`lodewell relax`: crystals relaxed, ranked, and left in a folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lodewell.cli.fields import takes
from lodewell.cli.options import (
    AsJson,
    ClusterSpec,
    CrystalPaths,
    DrawFigure,
    OutFolder,
    PotentialName,
    Restart,
    WorkerCount,
)
from lodewell.relax.options import RelaxOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from lodewell.relax.result import Relaxation


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
    best: Annotated[
        int, typer.Option("--best", metavar="N", min=0, help="Write the best N, without equals, into the folder best.")
    ] = 0,
    best_format: Annotated[
        Format | None,
        typer.Option("--best-format", help="Format of the best.", show_default="that of --format, else poscar"),
    ] = None,
    best_folders: Annotated[
        bool, typer.Option("--best-folders", help="A folder for each: best/0017-Fe2O24P8-run339/POSCAR.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows of the table; 0 shows all.")] = 20,
    duplicates: Annotated[
        bool, typer.Option("--duplicates/--no-duplicates", help="Mark equal crystals among the results.")
    ] = True,
    restart: Restart = False,
    options: RelaxOptions = RelaxOptions(),  # noqa: B008 frozen
    workers: WorkerCount = None,
    cluster: ClusterSpec = None,
) -> None:
    """Relax crystals, positions and cell, and rank those of each formula by energy per atom.

    The folder holds relaxed.extxyz, table.csv, results.json and summary.json; `index` joins their rows, frames and file
    names. A run that was interrupted goes on where it stopped when it is started again.
    """
    from functools import partial

    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json_text, print_passed_over
    from lodewell.crystals.count import about_how_many
    from lodewell.record import Run
    from lodewell.relax.folder import relax_folder
    from lodewell.relax.output import Best, Files, names_of_files, rows_json

    other = format if format is not Format.extxyz else Format.poscar
    files = Files(format.value, Best(best, (best_format or other).value, best_folders))
    with (
        progress("relaxing crystals", partial(about_how_many, paths)) as bar,
        Run("relax", workers=workers, cluster=cluster, progress=bar, restart=restart) as run,
    ):
        found = relax_folder(list(paths), potential, options, out, run, files, duplicates)
    results = found.results
    drawn = _draw(results, out, options.pressure) if figure else []
    print_passed_over(paths)
    if as_json:
        print_json_text(rows_json(results).rstrip())
    else:
        _show(results, out, options.pressure, limit)
        _show_files(out, [*names_of_files(files, options), "summary.json", *drawn], found.notes)


def _draw(results: list[Relaxation], out: Path, pressure: float) -> list[str]:
    """Draw energies before and after, and the hull of two to four elements; return the names of the files."""
    from lodewell.relax.rank import hull_of
    from lodewell.report.hull import can_draw, draw_hull
    from lodewell.report.relaxation import draw_relaxation

    names = [draw_relaxation(results, out / "before-after.png").name]
    if any(r.above_hull is not None for r in results):
        hull = hull_of(results, pressure)
        if can_draw(hull):
            names.append(draw_hull(hull, out / "hull.png").name)
    return names


def _show(results: list[Relaxation], out: Path, pressure: float, limit: int) -> None:
    """Print the best crystals, and how many ended how."""
    from collections import Counter

    from lodewell.cli.tables import console, marked, say_remarks
    from lodewell.crystals.names import places
    from lodewell.relax.rank import best_first

    screen, names = console(), places(results)
    equals = Counter(r.duplicate_of for r in results if r.duplicate_of is not None)
    best = best_first(results, pressure)
    shown = best[:limit] if limit else best
    if shown:
        screen.print(_table(shown, names, equals))
    if len(shown) < len(best):
        screen.print(f"… and {len(best) - len(shown):,} more (--limit 0 shows all)")
    if len({r.formula for r in best}) > 1:
        screen.print("\n" + _order_of(best, pressure), end="")
    if equals:
        count = sum(equals.values())
        screen.print(f"\n{count:,} crystal{'s equal' if count > 1 else ' equals'} a better one.", end="")
    counts = Counter(r.status for r in results)
    screen.print("\n" + ", ".join(f"{count:,} {status}" for status, count in counts.most_common()) + ".")
    bad = [r for r in results if not r.sane or r.charge or r.doubled]
    for r in sorted(bad, key=lambda r: r.sane)[:8]:
        word = r.status if not r.sane or r.charge else "volume"
        screen.print(marked("red", f"{word}:", f" {names[r.index]}: {r.message}"))
    if len(bad) > 8:
        screen.print(f"… and {len(bad) - 8:,} more (see {out / 'table.csv'})")
    say_remarks(screen, [(names[r.index], r.remark) for r in results if r.sane and r.remark])


def _order_of(best: list[Relaxation], pressure: float) -> str:
    """Say how crystals of different formulas have been put in order."""
    if not pressure and any(r.percentile is not None for r in best):
        by = "percentile among known crystals of their chemistry"
    elif any(r.above_hull is not None for r in best):
        by = f"{'enthalpy' if pressure else 'energy'} above the convex hull of these candidates"
    else:
        by = "energy, which says little across formulas"
    return f"In order of {by}; rank is that within a formula."


def _show_files(out: Path, written: list[str], notes: list[str]) -> None:
    """Say what lies where, and what could not be written."""
    from lodewell.cli.tables import console, marked

    screen = console()
    for text in notes:
        screen.print(marked("yellow", "left out:", f" {text}"))
    screen.print(f"written to {out}: {', '.join(written)}")


def _table(shown: list[Relaxation], names: list[str], equals: Mapping[int, int]) -> Table:
    """Return a table of these crystals, without columns that no crystal fills."""
    from lodewell.cli.tables import fixed, table_of

    per_atom = "eV/atom" if any(r.above_hull is not None for r in shown) else "kT/atom"
    columns = {
        "index": [str(r.index) for r in shown],
        "crystal": [names[r.index] for r in shown],
        "formula": [r.formula or "" for r in shown],
        "rank": [str(r.rank) for r in shown],
        f"energy\n({per_atom})": [fixed(r.energy_per_atom, 3) for r in shown],
        f"above hull\n({per_atom})": [fixed(r.above_hull, 3) for r in shown],
        "percentile\n(%)": [fixed(r.percentile, 1) for r in shown],
        f"fell by\n({per_atom})": [fixed(_fall(r), 3) for r in shown],
        "volume\n(change, %)": [fixed(r.growth and 100.0 * (r.growth - 1.0), 1, "+") for r in shown],
        "steps": [str(r.steps) for r in shown],
        "": [_remarks(r, equals.get(r.index, 0)) for r in shown],
    }
    return table_of(columns, left=("crystal", "formula", ""))


def _fall(r: Relaxation) -> float | None:
    if r.start_energy_per_atom is None or r.energy_per_atom is None:
        return None
    return r.start_energy_per_atom - r.energy_per_atom


def _remarks(r: Relaxation, equals: int) -> str:
    """Return what is special about a crystal."""
    said = [] if r.status == "converged" else [r.status]
    if r.doubled:
        said.append(f"volume ×{r.growth:.1f}")
    if equals:
        said.append(f"{equals:,} more relaxed to it")
    return "; ".join(said)
