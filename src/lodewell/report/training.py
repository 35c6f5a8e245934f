"""Figures of a training: how errors fell, how far predictions are from held-out values, and the search for a rate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lodewell.files import read_bytes
from lodewell.report.model_card import draw_model, write_card
from lodewell.report.style import COLOURS, GREY, INK, PALE, figure, save

if TYPE_CHECKING:
    from lodewell.predict.model import Model

_COLUMNS = 4


def draw_trained(folder: str | Path, model: Model) -> None:
    """Draw what `lodewell.train` left in a folder, beside it: `training.png`, `heldout.png`, and the card of a model.

    model: what was returned by the call, one member of the ensemble or all.

    Raises:
        BadFile: when something cannot be read or written.
    """
    place = Path(folder)
    draw_training(place, json.loads(read_bytes(place / "history.json")), model)
    if "heldout_truth" in model.arrays:
        draw_model(model, place / "heldout.png")
    if "member" not in model.card["options"]:  # the ensemble is whole
        write_card(model, place / "card.md")


def draw_training(folder: Path, history: list[dict[str, Any]], model: Model) -> Path:
    """Draw loss and validation errors of every member against the epochs in `training.png`."""
    names = [target.name for target in model.targets]
    columns = min(_COLUMNS, 1 + len(names))
    rows = -(-(1 + len(names)) // columns)
    with figure(3.6 * columns, 2.9 * rows) as drawn:
        axes = drawn.subplots(rows, columns, squeeze=False).ravel()
        for unused in axes[1 + len(names) :]:
            unused.set_visible(False)
        for k, member in enumerate(history):
            colour, epochs = COLOURS[k % len(COLOURS)], member["epochs"]
            number = [line["epoch"] for line in epochs]
            axes[0].semilogy(number, [line["loss"] for line in epochs], color=colour, label=f"seed {member['seed']}")
            for axis, name in zip(axes[1:], names, strict=False):
                axis.semilogy(number, [line["val"].get(name) for line in epochs], color=colour)
        axes[0].set(title="Training loss", xlabel="epoch", ylabel="Huber loss (standard deviations)")
        axes[0].legend()
        for axis, target in zip(axes[1:], model.targets, strict=False):
            unit = f" ({target.unit})" if target.unit else ""
            axis.set(title=target.name.replace("_", " "), xlabel="epoch", ylabel=f"mean |error|, validation{unit}")
        return save(drawn, folder / "training.png")


def draw_rates(path: Path, curve: list[tuple[float, float]], rate: float) -> Path:
    """Draw the loss against the learning rate, and the rate that is suggested."""
    with figure(5.0, 3.4) as drawn:
        axis = drawn.add_subplot()
        axis.semilogx([r for r, _ in curve], [loss for _, loss in curve])
        axis.axvline(rate, color=GREY, linestyle="--", linewidth=1.0)
        axis.annotate(
            f"suggested: {rate:.1e}", (rate, max(loss for _, loss in curve)), xytext=(6, -4), color=INK,
            textcoords="offset points", va="top",
        )  # fmt: skip
        axis.grid(True, color=PALE, linewidth=0.5)
        axis.set(title="Search for the learning rate", xlabel="learning rate", ylabel="loss, smoothed")
        return save(drawn, path)
