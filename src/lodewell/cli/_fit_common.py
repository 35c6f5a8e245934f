"""What the commands `lodewell fit FAMILY` share: their flags, and the way from files to a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from lodewell.fit.data import LabelledData, LabelledSource
    from lodewell.fit.labelled_options import LabelledOptions
    from lodewell.fit.run import FitFunction, FitOutcome
    from lodewell.judge.test.errors import Errors
    from lodewell.potentials.base import Potential
    from lodewell.progress import Progress

TrainPaths: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--train",
        metavar="PATH",
        help="Labelled crystals to fit: a file (extxyz(.gz), vasprun.xml, OUTCAR, .castep, ASE db ...), a folder or a "
        "pattern; may be repeated.",
        show_default=False,
    ),
]
TestPaths: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--test", metavar="PATH", help="Labelled crystals to test on; may be repeated.", show_default=False),
]
OutPotential: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="FILE", help="The potential: NAME.lodewell; beside it NAME.summary.json is written.",
        show_default=False,
    ),
]  # fmt: skip


def fit_and_show(
    family: str,
    fit: FitFunction,
    train: Sequence[str],
    test: Sequence[str] | None,
    out: Path,
    options: LabelledOptions,
    workers: int | None,
    cluster: str | None,
    as_json: bool,
    restart: bool = False,
) -> None:
    """Fit, save and test, and print tables of what was found and what came of it, or JSON."""
    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json
    from lodewell.cli.tables import console
    from lodewell.fit.run import FitJob, look, run_fit
    from lodewell.record import Run

    screen = None if as_json else console()
    job = FitJob(family, train, test, out, options)
    with (
        progress("reading") as bar,
        Run(f"fit {family}", workers=workers, cluster=cluster, progress=bar, restart=restart) as run,
    ):
        data = look(job, run)
        if screen is not None:
            show_data(screen, *data)
        outcome = run_fit(job, fit, run, data, _judge)
    if screen is None:
        print_json(outcome.summary)
    else:
        show_outcome(screen, outcome)


def _judge(potential: Potential, test: LabelledData, name: str, progress: Progress) -> Errors:
    """Test a potential on data."""
    from lodewell.judge.test.comparison import errors_of

    return errors_of(potential, test, name=name, progress=progress, total=len(test))


def show_data(screen: Console, train: LabelledSource, test: LabelledSource | None) -> None:
    """Print what the data hold."""
    from rich.table import Table

    from lodewell.crystals.paths import passed_over_text

    sources = {"training": train} | ({"test": test} if test is not None else {})
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    rows: dict[str, list[str]] = {}
    for k, (name, source) in enumerate(sources.items()):
        table.add_column(name, overflow="fold")
        for what, text in source.survey.rows():
            rows.setdefault(what, ["–"] * len(sources))[k] = text
    for what, cells in rows.items():
        table.add_row(what, *cells)
    screen.print(table)
    for name, source in sources.items():
        for bad in source.survey.refused[:5]:
            screen.print(f"left out of the {name} data: {bad}", style="yellow")
        if len(source.survey.refused) > 5:
            screen.print(f"… and {len(source.survey.refused) - 5:,} more")
        for note in source.survey.notes:
            screen.print(f"note: {name} data: {note}")
        if said := passed_over_text(source.paths):
            screen.print(f"{name} data: {said}")
    screen.print()


def show_outcome(screen: Console, outcome: FitOutcome) -> None:
    """Print facts and notes of the fit, the errors on the test data, and where everything is."""
    from rich.table import Table

    from lodewell.cli.test import show_errors
    from lodewell.record import summary_path

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("")
    table.add_column("", overflow="fold")
    for name, value in outcome.fitted.facts.items():
        table.add_row(name.replace("_", " "), _text(value))
    seconds = outcome.summary["seconds"]
    table.add_row("seconds", ", ".join(f"{name} {spent:.2f}" for name, spent in seconds.items()))
    screen.print(table)
    for note in outcome.fitted.notes:
        screen.print(f"note: {note}")
    if outcome.errors is not None:
        screen.print("\nerrors on the test data", style="bold")
        show_errors(cast("Errors", outcome.errors), None)
    if outcome.file is not None:
        screen.print(f"\nwritten: {outcome.file} and {summary_path(outcome.file).name}")


def _text(value: Any) -> str:
    """Write a fact for a person."""
    if isinstance(value, dict):
        parts = ((name.replace("_", " "), item) for name, item in value.items())
        return ", ".join(f"{name} ({_text(x)})" if isinstance(x, dict) else f"{name} {_text(x)}" for name, x in parts)
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return {None: "–", True: "yes", False: "no"}.get(value, str(value))
