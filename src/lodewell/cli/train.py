"""`lodewell train`: train a model of properties on a file or folder of crystals."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, Restart, WorkerCount
from lodewell.predict.train.options import TrainOptions

_LISTED = 8  # refusals that are printed one by one


@dataclass(frozen=True, kw_only=True)
class FileOptions(TrainOptions):
    """What the YAML file may say.

    Attributes:
        data: Files, folders or patterns of crystals (extended XYZ, CIF, POSCAR ...).
    """

    data: tuple[str, ...] = ()


@takes(FileOptions)
def command(
    config_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="YAML file of options; what a flag says comes first.", show_default=False
        ),
    ] = None,
    options: FileOptions = FileOptions(),
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where model, checkpoints and figures go.")
    ] = Path("trained"),
    restart: Restart = False,
    find_lr: Annotated[bool, typer.Option("--find-lr", help="Only look for a learning rate, and draw it.")] = False,
    workers: WorkerCount = None,
    as_json: AsJson = False,
) -> None:
    """Train a model of any property of crystals, from a file, a folder, or a table beside either.

    An interrupted training leaves its checkpoints in the folder, and the same command goes on from there.
    """
    from lodewell.predict.model import need_torch

    need_torch()
    from lodewell.cli.progress import progress
    from lodewell.errors import BadOption
    from lodewell.files import make_folder
    from lodewell.predict.process import keep_memory
    from lodewell.predict.train.run import suggest_rate, train
    from lodewell.report.training import draw_rates, draw_trained

    if not options.data:
        raise BadOption("data is empty: say which crystals to train on, with --data or in the file of options")
    chosen = TrainOptions(**{item.name: getattr(options, item.name) for item in fields(TrainOptions)})
    keep_memory()
    with progress("reading crystals") as bar:
        if find_lr:
            rate, curve = suggest_rate(options.data, options=chosen, workers=workers, progress=bar)
            draw_rates(make_folder(out) / "learning-rate.png", curve, rate)
            print(f"suggested: lr {rate:.2e} (see {out / 'learning-rate.png'})")
            return
        going: set[int] = set()  # members of which a line was shown

        def each_epoch(line: dict[str, Any]) -> None:
            if line["member"] not in going and line["epoch"] > 1:
                print(f"member {line['member']} goes on after epoch {line['epoch'] - 1}")
            going.add(line["member"])
            _line(line)

        model = train(
            options.data,
            out,
            options=chosen,
            workers=workers,
            progress=bar,
            restart=restart,
            each_epoch=None if as_json else each_epoch,
        )
    draw_trained(out, model)
    _show(model, out, as_json)


def _line(line: dict[str, Any]) -> None:
    errors = ", ".join(f"{name} {error:.4g}" for name, error in line["val"].items())
    print(
        f"member {line['member']}  epoch {line['epoch']:>3}  loss {line['loss']:.4f}  validation: {errors}"
        f"  ({line['crystals_per_second']:.0f} crystals/s)",
        flush=True,
    )


def _show(model: Any, out: Path, as_json: bool) -> None:
    if as_json:
        from lodewell.cli.screen import print_json_text

        print_json_text((out / "summary.json").read_text(encoding="utf-8"))
        return
    from rich.table import Table

    from lodewell.cli.tables import console, marked

    card = model.card
    counts = card["crystals"]
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title=f"{counts['train']:,} crystals trained on, {counts['test']:,} held out → {out}",
        title_justify="left",
    )
    for title, side in (("property", "left"), ("unit", "left"), ("mean |error|, held out", "right")):
        table.add_column(title, justify=side)  # type: ignore[arg-type]
    for target in model.targets:
        error = card.get("errors", {}).get(target.name)
        table.add_row(target.name, target.unit, f"{error:.4g}" if error is not None else "–")
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    screen = console()
    screen.print(table)
    for warning in summary["notes"]:
        screen.print(marked("yellow", "look:", f" {warning}"))
    refused = summary["results"]["refused"]
    for row in refused[:_LISTED]:
        screen.print(marked("red", "refused:", f" {row['file']}, frame {row['frame']}: {row['why']}"))
    if len(refused) > _LISTED:
        screen.print(f"… and {len(refused) - _LISTED:,} more refused (summary.json tells each)")
    screen.print(f"written: {out}")
