"""Predictions in a figure: against what the files state, or in order of their value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.errors import BadOption
from lodewell.predict.targets import known
from lodewell.report.model_card import draw_parity
from lodewell.report.style import BLUE, VERMILION, figure, save

if TYPE_CHECKING:
    from lodewell.predict.run import Prediction


def draw_predictions(rows: Sequence[Prediction], path: str | Path) -> Path:
    """Draw a panel a property: parity where files state it, else values in order; unusual crystals stand out.

    Raises:
        BadOption: when there is nothing to draw, or the path ends otherwise than figures do.
        BadFile: when it cannot be written.
    """
    good = [row for row in rows if row.error is None]
    if not good:
        raise BadOption("there is no prediction to draw: every crystal was refused")
    names = list(good[0].values)
    with figure(3.5 * len(names), 3.5) as drawn:
        for axis, name in zip(drawn.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            _panel(axis, name, good)
        return save(drawn, path)


def _panel(axis: Any, name: str, rows: list[Prediction]) -> None:
    unit, compared = rows[0].units[name], [row for row in rows if name in row.stated]
    rows = compared or sorted(rows, key=lambda row: row.values[name])
    value, sigma, alarm = (
        np.array([getattr(row, part)[name] for row in rows]) if part else np.array([bool(row.warnings) for row in rows])
        for part in ("values", "sigma", "")
    )
    found = known(name)
    log = found is not None and found.logarithmic
    if compared:
        truth = np.array([row.stated[name] for row in rows])
        draw_parity(axis, name, unit, truth, value, sigma, log, "state it", alarm)
        return
    number = np.arange(1, len(rows) + 1)
    for chosen, colour, label in ((~alarm, BLUE, "usual"), (alarm, VERMILION, "unusual")):
        if chosen.any():
            axis.errorbar(
                number[chosen], value[chosen], yerr=sigma[chosen], fmt="o", markersize=2.8, color=colour,
                elinewidth=0.5, linewidth=0, label=label,
            )  # fmt: skip
    axis.set(title=name.replace("_", " "), xlabel="crystal, by value", ylabel=unit, yscale="log" if log else "linear")
    if alarm.any():
        axis.legend(loc="upper left")
