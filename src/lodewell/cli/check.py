"""`lodewell check`: the physics of a potential, judged row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, FigureFile, PotentialArgument
from lodewell.judge.check.options import CheckOptions

if TYPE_CHECKING:
    from lodewell.judge.check.findings import CheckReport

COLOURS = {"ok": "green", "look": "yellow", "bad": "bold red", "skipped": "dim"}


@takes(CheckOptions)
def command(
    potential: PotentialArgument,
    crystal: Annotated[
        list[str] | None,
        typer.Option(
            "--crystal",
            "-c",
            metavar="FILE",
            help="A crystal to look at; may be given several times.",
            show_default="common structures of the elements",
        ),
    ] = None,
    figure: FigureFile = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.json",
            help="Write all findings and curves; a summary beside it.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    options: CheckOptions = CheckOptions(),  # noqa: B008 frozen
) -> None:
    """Check a potential: the laws of physics, curves, structures, elasticity, phonons, a hot run.

    Each finding is ok, to be looked at, or bad. Common structures of the elements are brought to rest; the one found
    in nature, or the lowest, is looked at closely.
    """
    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json
    from lodewell.judge.check.run import check

    with progress("checking") as bar:
        report = check(potential, crystal or None, out=out, progress=bar, options=options)
    drawn: Path | None = report.figure(figure) if figure is not None else None
    if as_json:
        print_json(report.json())
    else:
        _show(report, drawn)


def _show(report: CheckReport, figure: Path | None) -> None:
    from collections import Counter

    from rich.table import Table

    from lodewell.cli.tables import console, marked

    screen = console()
    if report.units.energy != "eV":
        screen.print(
            "note: this potential was never fitted to energies; numbers are in its own unit kT, and times and "
            "frequencies are as if that was 1 eV\n", style="yellow"
        )  # fmt: skip
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (("", False), ("of", False), ("quantity", False), ("value", True), ("unit", False),
                        ("experiment", True), ("verdict", False), ("", False)):  # fmt: skip
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    part = ""
    for row in report.rows:
        table.add_row(
            row.part if row.part != part else "", row.about, row.quantity, number(row.value), row.unit,
            number(row.reference) if row.reference is not None else "", marked(COLOURS[row.verdict], row.verdict),
            row.note,
        )  # fmt: skip
        part = row.part
    screen.print(table)
    _structures(report)
    counts = Counter[str](row.verdict for row in report.rows)
    screen.print(f"\n{', '.join(f'{counts[v]} {v}' for v in COLOURS if counts[v])}; {report.seconds:.0f} s")
    if figure is not None:
        screen.print(f"written: {figure}")


def number(value: float | None) -> str:
    """Write four figures, without powers of ten where that is legible."""
    if value is None:
        return "–"
    if value == 0.0 or abs(value) < 5e-7:
        return "0"
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def _structures(report: CheckReport) -> None:
    """Print every structure with its lattice constants and energies."""
    from rich.table import Table

    from lodewell.cli.tables import console, marked

    unit = f"{report.units.energy}/atom"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (("structure", False), ("lattice constants (Å)", False), ("volume (Å³/atom)", True),
                        ("nearest (Å)", True), (f"energy ({unit})", True), ("over the best", True),
                        ("over the elements", True)):  # fmt: skip
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for p in report.structures:
        if p.energy_per_atom is None:
            table.add_row(p.title, marked("yellow", "not bound:", f" {p.message}"))
            continue
        lattice = ", ".join(f"{name} {length:.4f}" for name, length in (p.lattice or {}).items())
        table.add_row(
            p.title, lattice, "–" if p.volume_per_atom is None else f"{p.volume_per_atom:.3f}",
            f"{p.nearest:.4f}", f"{p.energy_per_atom:.4f}", f"{p.above or 0.0:.4f}",
            "–" if p.formation is None else f"{p.formation:+.4f}",
        )  # fmt: skip
    screen = console()
    screen.print()
    screen.print(table)
