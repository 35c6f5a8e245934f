"""`lodewell predict`: properties of crystals from their structure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lodewell.cli.options import AsJson, CrystalPaths, FigureFile, StrictFormula, WorkerCount

if TYPE_CHECKING:
    from lodewell.predict.run import Prediction

_LISTED = 8  # refusals and warnings that are printed one by one


def command(
    paths: CrystalPaths,
    properties: Annotated[
        list[str] | None,
        typer.Option("--property", "-p", metavar="NAME", help="Only this property; may be repeated, or NAME,NAME."),
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", "-m", metavar="NAME|FILE", help="A shipped model, or one of `lodewell train`."),
    ] = "properties",
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.csv", help="Write every row to a CSV file.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows of the table; 0 shows all.")] = 20,
    figure: FigureFile = None,
    strict_formula: StrictFormula = False,
    workers: WorkerCount = None,
) -> None:
    """Predict properties of crystals: formation energy, band gap, elastic moduli, or what a model was trained on.

    Each comes with a standard deviation; crystals that are unlike the ones trained on are pointed out. Where the files
    state a property themselves, predictions are compared with it.
    """
    from functools import partial

    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json, print_passed_over
    from lodewell.crystals.count import about_how_many
    from lodewell.files import check_writable
    from lodewell.predict.run import predict_stream

    if figure is not None:
        from lodewell.report.style import figure_path

        figure = figure_path(figure)
    for written in (out, figure):
        if written is not None:
            check_writable(written)
    names = [name for given in properties or () for name in given.split(",")]
    rows: list[Prediction] = []
    try:
        with progress("predicting", partial(about_how_many, paths)) as bar:
            rows.extend(  # one by one: Ctrl-C leaves those before it
                predict_stream(
                    paths, model, properties=names, strict_formula=strict_formula, workers=workers, progress=bar
                )
            )
    finally:
        if out is not None and rows:  # Ctrl-C keeps what was finished
            _write_csv(rows, out)
    print_passed_over(paths)
    if as_json:
        print_json([row.row() for row in rows])
    else:
        _show(rows, limit)
    files = [out] if out is not None else []
    if figure is not None and _names(rows):
        from lodewell.report.predictions import draw_predictions

        files.append(draw_predictions(rows, figure))
    for file in files if not as_json else ():
        print(f"written: {file}")


def _names(rows: list[Prediction]) -> list[str]:
    """Return the properties predicted, with their order."""
    return next((list(row.values) for row in rows if row.error is None), [])


def _write_csv(rows: list[Prediction], out: Path) -> None:
    import csv

    from lodewell.files import text_file

    columns = ["file", "frame", "id", "formula"]
    for name in _names(rows):
        stated = any(name in row.stated for row in rows)
        columns += [name, f"{name}_sigma"] + [f"{name}_stated"] * stated
    with text_file(out, newline="") as handle:
        writer = csv.DictWriter(handle, [*columns, "unusual", "warnings", "remark", "error"], restval="")
        writer.writeheader()
        for row in rows:
            cells: dict[str, Any] = {name: getattr(row, name) for name in columns[:4]}
            cells |= {"unusual": row.unusual, "warnings": "; ".join(row.warnings), "remark": row.remark}
            cells["error"] = row.error
            for name, value in row.values.items():
                cells |= {name: value, f"{name}_sigma": row.sigma[name]}
                cells |= {f"{name}_stated": row.stated[name]} if name in row.stated else {}
            writer.writerow(cells)


def _show(rows: list[Prediction], limit: int) -> None:
    from rich.table import Table

    from lodewell.cli.tables import console, marked, say_remarks
    from lodewell.crystals.names import places

    screen, name_of = console(), dict(zip(map(id, rows), places(rows), strict=True))
    good, bad = [r for r in rows if r.error is None], [r for r in rows if r.error is not None]
    names = _names(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("crystal", overflow="fold")
    table.add_column("formula")
    for name in names:
        unit = good[0].units[name]
        table.add_column(f"{name}\n({unit})" if unit else name, justify="right")
    table.add_column("")
    for row in good[:limit] if limit else good:
        cells = [_with_error(row.values[name], row.sigma[name]) for name in names]
        table.add_row(name_of[id(row)], row.formula or "", *cells, marked("yellow", "unusual" if row.warnings else ""))
    if good:
        screen.print(table)
    if limit and len(good) > limit:
        screen.print(f"… and {len(good) - limit:,} more (--limit 0 shows all)")
    _compare(good, names)
    unusual = [(row, "; ".join(row.warnings)) for row in good if row.warnings]
    refused = [(row, row.error) for row in bad]
    for listed, what, colour in ((unusual, "unusual", "yellow"), (refused, "refused", "red")):
        shown = listed[:_LISTED] if limit else listed
        for row, why in shown:
            screen.print(marked(colour, f"{what}:", f" {name_of[id(row)]}: {why}"))
        if len(shown) < len(listed):
            screen.print(
                f"… and {len(listed) - len(shown):,} more {what} ({len(listed):,} in all; --limit 0 shows all)"
            )
    say_remarks(screen, [(name_of[id(row)], row.remark) for row in good if row.remark])


def _with_error(value: float, sigma: float) -> str:
    """Return `1.23 ± 0.05`: two digits of the error."""
    from math import floor, log10

    digits = max(0, 1 - floor(log10(sigma))) if sigma > 0.0 else 3
    value = round(value, digits) + 0.0  # no -0.00
    return f"{value:.{digits}f} ± {sigma:.{digits}f}"


def _compare(rows: list[Prediction], names: list[str]) -> None:
    """Where the files state a property, print how far the predictions are from it."""
    import numpy as np

    from lodewell.cli.tables import console

    for name in names:
        pairs = [(row.values[name], row.stated[name]) for row in rows if name in row.stated]
        errors = np.array([value - stated for value, stated in pairs])
        if len(errors):
            console().print(
                f"{name}: {len(errors):,} crystals state it; mean |difference| {np.abs(errors).mean():.4g}"
                f" {rows[0].units[name]}"
            )
