"""`lodewell list`: the potentials that are shipped, and what stands behind each pair of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lodewell.cli.options import AsJson

if TYPE_CHECKING:
    from lodewell.report.families import Description
    from lodewell.report.pairs import PairRow, PotentialRow


def command(
    potential: Annotated[
        str | None,
        typer.Argument(metavar="[POTENTIAL]", help="Shipped name or .lodewell file; none lists those shipped."),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option("--elements", "-e", metavar="Li,P,O", help="Only pairs of these.", show_default="all"),
    ] = None,
    flagged: Annotated[bool, typer.Option("--flagged", help="Only pairs that rest on too little.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows of the table; 0 shows all.")] = 40,
    as_json: AsJson = False,
) -> None:
    """List potentials, or the pairs of one: crystals, independent families, share of the prior, minimum."""
    from lodewell.cli.screen import print_json
    from lodewell.report.pairs import description, pair_rows, potential_rows, statistical

    if potential is None:
        rows = potential_rows()
        if as_json:
            print_json([r.row() for r in rows])
        else:
            _show_potentials(rows)
        return
    described = description(potential, elements, flagged)
    if as_json and described is not None:
        print_json(described.rows)
        return
    if as_json:
        found = pair_rows(statistical(potential), elements, flagged)
        print_json([r.row() for r in found])
        return
    (about,) = potential_rows([potential])
    _show_one(about)
    if described is not None:
        _show_splines(described, limit)
    if about.pairs is not None:
        _show_pairs(potential, elements, flagged, limit)


def _show_potentials(rows: list[PotentialRow]) -> None:
    from rich.table import Table

    from lodewell.cli.tables import console

    screen = console()
    if not rows:
        screen.print("no potentials are shipped with this build; give a .lodewell file")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (("name", False), ("kind", False), ("elements", True), ("pairs", True), ("thin", True),
                        ("cutoff", True), ("energies", False), ("known crystals", True), ("data", False)):  # fmt: skip
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for r in rows:
        table.add_row(
            r.name, r.kind, str(len(r.elements)) if r.elements != ("all",) else "all", _count(r.pairs),
            _count(r.flagged), f"{r.cutoff:g} Å" if r.cutoff else "–",
            "eV" if r.calibrated else "dimensionless", _count(r.known), r.data,
        )  # fmt: skip
    screen.print(table)


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _trust(r: PairRow) -> str:
    if not r.flagged:
        return "data"
    return "mostly prior" if r.prior > 0.5 else "few crystals"


def _show_one(r: PotentialRow) -> None:
    from lodewell.cli.tables import console, marked

    screen = console()
    scale = f", {r.energy_scale:.4g} eV a unit" if r.energy_scale is not None and r.calibrated else ""
    energies = "calibrated to eV" + scale if r.calibrated else "dimensionless (kT = 1)"
    size = f"{r.size / 1e6:.1f} MB" if r.size > 1e5 else f"{r.size / 1e3:.1f} kB"
    cutoff = f"cutoff {r.cutoff:g} Å" if r.cutoff else "no cutoff"
    screen.print(marked("bold", r.name, f": {r.kind}, {cutoff}, {energies}, {size}, {r.created}"))
    if r.data:
        screen.print(f"made from: {r.data}")
    if r.known:
        screen.print(f"known crystals for percentiles: {r.known:,}")
    if r.classes:
        screen.print(f"curves of their own for: {', '.join(f'{c}s' for c in r.classes)}")
    count = f"{len(r.elements)} element{'s' if len(r.elements) > 1 else ''}"
    screen.print(f"{count}: {' '.join(r.elements)}" if r.elements != ("all",) else "all elements")


def _show_splines(described: Description, limit: int) -> None:
    from rich.table import Table

    from lodewell.cli.tables import console, marked
    from lodewell.report.families import Alarm

    screen = console()
    for line in described.lines:
        screen.print(line)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for k, (heading, _) in enumerate(described.columns):
        table.add_column(heading, justify="right" if k else "left")
    shown = described.rows[:limit] if limit else described.rows
    for row in shown:
        cells = (text(row) for _, text in described.columns)
        table.add_row(*(marked("yellow", cell) if isinstance(cell, Alarm) else cell for cell in cells))
    screen.print()
    if shown:
        screen.print(table)
    if len(shown) < len(described.rows):
        screen.print(f"… and {len(described.rows) - len(shown):,} more (--limit 0 shows all)")


def _show_pairs(potential: str, elements: str | None, flagged: bool, limit: int) -> None:
    from rich.table import Table

    from lodewell.cli.tables import console, marked
    from lodewell.report.pairs import pair_rows, statistical

    screen = console()
    table = statistical(potential)
    rows = pair_rows(table, elements, flagged)
    shown = rows[:limit] if limit else rows
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in (
        "pair",
        "crystals",
        "independent",
        "prior",
        "trust",
        "minimum",
        "U there (eV)" if table.calibrated else "U there",
    ):
        drawn.add_column(name, justify="left" if name in ("pair", "trust") else "right")
    digits = 4 if table.calibrated else 2
    for r in shown:
        drawn.add_row(
            r.pair + (f" in {r.variant}s" if r.variant else ""), f"{r.structures:,}", f"{r.families:,.0f}",
            f"{100 * r.prior:.0f} %", marked("yellow" if r.flagged else "", _trust(r)), f"{r.r_min:.2f} Å",
            f"{r.u_min:.{digits}f} ± {r.error_min:.{digits}f}",
        )  # fmt: skip
    count = sum(r.flagged for r in rows)
    screen.print(f"\n{len(rows):,} curves, {count:,} of them thin")
    if shown:
        screen.print(drawn)
    if len(shown) < len(rows):
        screen.print(f"… and {len(rows) - len(shown):,} more (--limit 0 shows all)")
