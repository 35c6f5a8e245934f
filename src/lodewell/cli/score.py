"""`lodewell score`: how much crystals look like known ones."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lodewell.cli.options import AsJson, ClusterSpec, CrystalPaths, PotentialName, StrictFormula, WorkerCount

if TYPE_CHECKING:
    from rich.table import Table

    from lodewell.judge.score.run import Score


class Order(StrEnum):
    """How the table is sorted."""

    rank = "rank"
    percentile = "percentile"
    input = "input"


def command(
    paths: CrystalPaths,
    potential: PotentialName = "spp",
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.csv", help="Write every row to a CSV file.", show_default=False),
    ] = None,
    sort: Annotated[Order, typer.Option("--sort", help="Order of the rows of the table.")] = Order.rank,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows of the table; 0 shows all.")] = 20,
    strict_formula: StrictFormula = False,
    workers: WorkerCount = None,
    cluster: ClusterSpec = None,
) -> None:
    """Score crystals: energy per atom, percentile among known crystals of the same chemistry, odd contacts.

    Low percentiles look most like known crystals. Odd are contacts shorter than all but one in a thousand of those
    known between the same two elements.
    """
    from functools import partial

    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json, print_passed_over
    from lodewell.crystals.count import about_how_many
    from lodewell.judge.score.run import score
    from lodewell.potentials.store import load

    model = load(potential)
    with progress("scoring crystals", partial(about_how_many, paths)) as bar:
        rows = score(paths, model, strict_formula=strict_formula, workers=workers, cluster=cluster, progress=bar)
    print_passed_over(paths)
    if out is not None:
        _write_csv(rows, out)
    if as_json:
        print_json([row.row() for row in rows])
    else:
        _show(rows, sort, limit, potential, "eV/atom" if model.calibrated else "kT/atom", out)


def _write_csv(rows: list[Score], out: Path) -> None:
    import csv

    from lodewell.files import text_file

    columns = (
        "index", "rank", "file", "frame", "id", "formula", "status", "message", "remark", "energy_per_atom",
        "percentile", "percentile_among", "above_hull", "volume_per_atom", "contacts", "warnings",
    )  # fmt: skip
    with text_file(out, newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        for row in rows:
            values = {name: getattr(row, name) for name in columns[:-2]}
            values |= {"contacts": "; ".join(map(str, row.contacts)), "warnings": "; ".join(row.warnings)}
            writer.writerow(["" if v is None else v for v in values.values()])


def _show(rows: list[Score], sort: Order, limit: int, potential: str, unit: str, out: Path | None) -> None:
    from collections import Counter

    from lodewell.cli.tables import console, marked, say_remarks
    from lodewell.crystals.names import places
    from lodewell.judge.score.run import best_first

    screen, names = console(), places(rows)
    good = best_first(rows)
    keys = {Order.percentile: lambda r: (r.percentile, r.energy_per_atom), Order.input: lambda r: r.index}
    chosen = sorted(good, key=keys[sort]) if sort in keys else good
    shown = chosen[:limit] if limit else chosen
    if shown:
        screen.print(_table(shown, names, unit))
    if len(shown) < len(good):
        screen.print(f"… and {len(good) - len(shown):,} more (--limit 0 shows all)")
    if len(good) == 1:
        _details(good[0], screen)
    elif good:
        odd = sum(bool(r.contacts) for r in good)
        screen.print(f"\n{len(good):,} scored with {potential}; {odd:,} with odd contacts.")
        if len({r.formula for r in good}) > 1:
            by = "percentile" if any(r.percentile is not None for r in good) else "height above the hull of them all"
            screen.print(f"Rank is that within a formula; formulas compare by {by}.")
    thin = Counter(w for r in good for w in r.warnings)
    for text, count in thin.most_common(8):
        screen.print(marked("yellow", "thin:", f" {text}" + (f"  ({count:,} crystals)" if len(good) > 1 else "")))
    if len(thin) > 8:
        screen.print(f"… and {len(thin) - 8:,} more thin pairs (lodewell list {potential} --flagged)")
    bad = [r for r in rows if r.rank is None]
    for r in bad[:8]:
        screen.print(marked("red", f"{r.status}:", f" {names[r.index]}: {r.message}"))
    if len(bad) > 8:
        screen.print(f"… and {len(bad) - 8:,} more without a rank ({len(bad):,} in all; --json or --out tells each)")
    say_remarks(screen, [(names[r.index], r.remark) for r in rows if r.remark])
    if out is not None:
        screen.print(f"written: {out}")


def _table(shown: list[Score], names: list[str], unit: str) -> Table:
    """Return a table of these crystals, without columns that no crystal fills."""
    from lodewell.cli.tables import fixed, table_of

    return table_of(
        {
            "index": [str(r.index) for r in shown],
            "crystal": [names[r.index] for r in shown],
            "formula": [r.formula or "" for r in shown],
            "rank": [str(r.rank) for r in shown],
            f"energy\n({unit})": [fixed(r.energy_per_atom, 3) for r in shown],
            f"above hull\n({unit})": [fixed(r.above_hull, 3) for r in shown],
            "percentile\n(%)": [fixed(r.percentile, 1) for r in shown],
            "among known": [r.percentile_among or "–" for r in shown],
            "oddest contact": [_oddest(r) for r in shown],
        },
        left=("crystal", "formula", "among known", "oddest contact"),
    )


def _oddest(r: Score) -> str:
    more = f" (+{len(r.contacts) - 1})" if len(r.contacts) > 1 else ""
    return f"{r.contacts[0]}{more}" if r.contacts else "–"


def _details(scored: Score, screen: Any) -> None:
    """Explain one crystal: what each pair adds, and every odd contact."""
    if scored.pair_energies:
        parts = sorted(scored.pair_energies.items(), key=lambda item: -abs(item[1]))
        screen.print("\nenergy per atom by pair: " + ", ".join(f"{pair} {value:+.3f}" for pair, value in parts))
    for contact in scored.contacts:
        screen.print(f"odd contact: {contact}")
    if scored.energies_n is not None and len(scored.energies_n) > 1:
        worst = int(scored.energies_n.argmax())
        screen.print(f"highest energy: atom {worst + 1} of {len(scored.energies_n)}, {scored.energies_n[worst]:+.3f}")
