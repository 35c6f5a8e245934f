"""`lodewell map`: crystals as points in a plane, alike ones near each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, CrystalPaths
from lodewell.judge.map.options import MapOptions

if TYPE_CHECKING:
    from lodewell.judge.map.rows import MapPoint
    from lodewell.judge.map.run import CrystalMap
    from lodewell.record import Run


@takes(MapOptions)
def command(
    paths: CrystalPaths,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="PNG, SVG or PDF.", show_default="map.png, none with --json"),
    ] = None,
    potential: Annotated[
        str | None,
        typer.Option(
            "--potential", "-p", metavar="GAP.lodewell", show_default=False,
            help="A GAP: its SOAP describes the atoms, and its sparse points are drawn on top.",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", metavar="FILE.csv", help="Write every row to a CSV file.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows of the printed table; 0 shows all.")] = 10,
    as_json: AsJson = False,
    options: MapOptions = MapOptions(),  # noqa: B008 frozen
) -> None:  # fmt: skip
    """Draw a map of crystals or of their atoms: SOAP vectors, laid out so that alike ones are near each other."""
    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json, print_passed_over
    from lodewell.judge.map.run import map_crystals
    from lodewell.record import Run

    with progress("reading crystals") as bar, Run("map", progress=bar) as run:
        found = map_crystals(paths, options, potential=potential, progress=bar)
        run.lap("mapping")
        drawn = None if as_json and out is None else found.figure(out or Path("map.png"))
        if table is not None:
            _write_csv(found, table)
        written = [path for path in (drawn, table) if path is not None]
        run.lap("writing")
        if written:
            _write_summary(found, run, paths, potential, options, written)
    print_passed_over(paths)
    if as_json:
        print_json(found.json())
    else:
        _show(found, limit, written)


def _write_summary(
    found: CrystalMap, run: Run, paths: list[str], potential: str | None, options: MapOptions, written: list[Path]
) -> None:
    """Say beside the first of the files what was drawn."""
    from lodewell.crystals.paths import passed_over
    from lodewell.potentials.given import identity
    from lodewell.record import write_summary

    known = None if potential is None else identity(potential)
    summary = run.summary(
        inputs={"crystals": paths, "passed_over": passed_over(paths), "potential": known}, options=options,
        results={"points": len(found.mapped), "left_out": len(found.rows) - len(found.mapped), "said": found.sentence},
        seed=options.seed, outputs=written,
    )  # fmt: skip
    write_summary(written[0], summary)


def _write_csv(found: CrystalMap, out: Path) -> None:
    import csv

    from lodewell.files import text_file

    rows = [row.row() for row in found.rows]
    with text_file(out, newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _show(found: CrystalMap, limit: int, written: list[Path]) -> None:
    from rich.table import Table

    from lodewell.cli.tables import console, marked
    from lodewell.crystals.names import places

    screen, good = console(), found.mapped
    screen.print(found.sentence)
    name_of = dict(zip(map(id, found.rows), places(found.rows), strict=True))
    shown = good[:limit] if limit else good
    table = Table(box=None, pad_edge=False, header_style="bold")
    value = found.colour + (f" ({found.unit})" if found.unit else "")
    for name in ("crystal", "atom", "formula", "x", "y", value):
        if name != "atom" or found.by == "atoms":
            table.add_column(name, justify="right" if name in ("atom", "x", "y", value) else "left", overflow="fold")
    for row in shown:
        cells = [name_of[id(row)], _atom(row), row.formula or "", f"{row.x:.3f}", f"{row.y:.3f}", _value(row)]
        table.add_row(*(cell for k, cell in enumerate(cells) if k != 1 or found.by == "atoms"))
    screen.print()
    screen.print(table)
    if len(shown) < len(good):
        screen.print(f"… and {len(good) - len(shown):,} more (--limit 0 shows all, --table writes a file)")
    bad = [row for row in found.rows if row.x is None]
    for row in bad[:8]:
        screen.print(marked("red", f"{row.status}:", f" {name_of[id(row)]}: {row.message}"))
    if len(bad) > 8:
        screen.print(f"… and {len(bad) - 8:,} more refused ({len(bad):,} in all; --json or --table tells each)")
    for path in written:
        screen.print(f"written: {path}")


def _atom(row: MapPoint) -> str:
    return "" if row.atom is None else f"{row.element}{row.atom + 1}"


def _value(row: MapPoint) -> str:
    if row.value is None:
        return "–"
    return row.value if isinstance(row.value, str) else f"{row.value:.4g}".replace("-", "−")
