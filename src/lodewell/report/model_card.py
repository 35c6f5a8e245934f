"""What a model of properties is worth: its card in words and a table, held-out crystals and error bars in figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.errors import BadFile
from lodewell.files import text_file
from lodewell.report.style import BLUE, GREY, INK, PALE, VERMILION, figure, save

if TYPE_CHECKING:
    from lodewell.predict.model import Model

_MULTIPLES = np.linspace(0.0, 4.0, 81)
_MANY = 600  # points from which on they are drawn smaller


def draw_model(model: Model, path: str | Path) -> Path:
    """Draw a column a property: above its parity with the mean error, below the share of errors within k sigma.

    Raises:
        BadFile: when the model holds no held-out crystals.
    """
    if "heldout_truth" not in model.arrays:
        raise BadFile("the model was trained without held-out crystals: there is nothing to draw")
    count = len(model.targets)
    with figure(3.5 * count, 6.6) as drawn:
        axes = drawn.subplots(2, count, squeeze=False, height_ratios=(1.25, 1.0))
        for t in range(count):
            _parity(axes[0, t], model, t)
            _calibration(axes[1, t], model, t)
        return save(drawn, path)


ERRORS = (
    "property", "unit", "crystals", "mean absolute error", "rms error", "mean deviation of the data", "within σ",
    "within the 95 % interval",
)  # fmt: skip
_LIMITS = """\
- Crystals only: molecules, chains and slabs are outside. So is any element that is not named above.
- Structures near equilibrium, as the data are: relax first. Values are those of the method that made the data.
- Error bars hold on average over crystals like those held out. Trust no number that comes with a warning."""


def error_rows(model: Model) -> list[list[str]]:
    """Return the cells of `ERRORS` for each property, on the held-out crystals."""
    from lodewell.predict.calibrate import coverage

    rows = []
    for t, target in enumerate(model.targets):
        truth, value, sigma = heldout(model, t)
        if not len(truth):
            continue
        error, wide = value - truth, model.card["calibration"][target.name]["wide"]
        one, far = coverage(error, sigma, np.array([1.0, wide]))
        sizes = np.abs(error).mean(), np.sqrt((error**2).mean()), np.abs(truth - truth.mean()).mean()
        rows.append(
            [target.name, target.unit, f"{len(truth):,}", *(f"{size:.3g}" for size in sizes), f"{100 * one:.0f} %",
             f"{100 * far:.0f} % ({wide:.1f} σ)"]
        )  # fmt: skip
    return rows


def write_card(model: Model, path: str | Path) -> Path:
    """Write the card in Markdown: data, network, elements, errors on held-out crystals, limits.

    Raises:
        BadFile: when it cannot be written.
    """
    card, target = model.card, Path(path)
    counts, settings = card["crystals"], model.architecture.settings
    facts = {
        "data": ", ".join(card.get("data", ())),
        "crystals": "{train:,} trained on, {val:,} for the error bars, {test:,} held out".format(**counts),
        "elements": ", ".join(f"{element} ({count:,})" for element, count in card["elements"].items()),
        "networks": f"{len(model.members)} of '{model.architecture.name}', {model.parameters:,} parameters each",
        "settings": ", ".join(f"{name} {value}" for name, value in settings.items()),
        "seeds": ", ".join(map(str, card["seeds"])),
        "trained by": f"lodewell {card['lodewell']} on {card['device']}",
    }
    lines = [f"# {', '.join(t.name for t in model.targets)}", "", card.get("about") or "No word on the data was given."]
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items())]
    if "heldout_truth" in model.arrays:
        cells = [ERRORS, ["---"] * len(ERRORS), *error_rows(model)]
        lines += ["", "## Errors on held-out crystals", "", *(f"| {' | '.join(row)} |" for row in cells)]
    lines += ["", "## Limits", "", _LIMITS, ""]
    with text_file(target) as handle:
        handle.write("\n".join(lines))
    return target


def heldout(model: Model, t: int) -> tuple[Any, Any, Any]:
    """Return truth, prediction and standard deviation of the held-out crystals that have a property."""
    truth, value, sigma = (
        model.arrays[f"heldout_{name}"][:, t].astype(np.float64) for name in ("truth", "value", "sigma")
    )
    there = np.isfinite(truth)
    return truth[there], value[there], sigma[there]


def _parity(axis: Any, model: Model, t: int) -> None:
    target = model.targets[t]
    draw_parity(axis, target.name, target.unit, *heldout(model, t), target.log, "held out")


def draw_parity(
    axis: Any, name: str, unit: str, truth: Any, value: Any, sigma: Any, log: bool, what: str, alarm: Any = None
) -> None:
    """Draw predictions with error bars against reference values, (B,) each; those of `alarm` (B,) stand out."""
    low, high = float(min(truth.min(), value.min())), float(max(truth.max(), value.max()))
    axis.plot([low, high], [low, high], color=GREY, linewidth=0.8, zorder=1)
    alarm = np.zeros(len(truth), bool) if alarm is None else alarm
    many = len(truth) > _MANY
    for chosen, colour in ((~alarm, BLUE), (alarm, VERMILION)):
        axis.errorbar(
            truth[chosen], value[chosen], yerr=sigma[chosen], fmt="o", markersize=1.8 if many else 2.8, color=colour,
            ecolor=colour, elinewidth=0.5, alpha=0.3 if many else 0.45, linewidth=0, zorder=2,
        )  # fmt: skip
    if log and low > 0.0:
        axis.set(xscale="log", yscale="log")
    suffix = f" ({unit})" if unit else ""
    axis.set(title=name.replace("_", " "), xlabel=f"reference{suffix}", ylabel=f"predicted{suffix}")
    axis.text(
        0.04, 0.96, f"mean |error| {np.abs(value - truth).mean():.3g} {unit}\n{len(truth):,} crystals {what}",
        transform=axis.transAxes, va="top", color=INK, fontsize=8,
    )  # fmt: skip


def _calibration(axis: Any, model: Model, t: int) -> None:
    from scipy.special import erf

    from lodewell.predict.calibrate import coverage

    truth, value, sigma = heldout(model, t)
    found = coverage(value - truth, sigma, _MULTIPLES)
    axis.plot(_MULTIPLES, erf(_MULTIPLES / np.sqrt(2.0)), color=GREY, linestyle="--", linewidth=1.0, label="normal")
    axis.plot(_MULTIPLES, found, color=VERMILION, label="held-out crystals")
    (one,) = coverage(value - truth, sigma, np.array([1.0]))
    axis.axvline(1.0, color=PALE, linewidth=0.8, zorder=0)
    axis.annotate(f"{100 * one:.0f} %", (1.0, one), xytext=(6, -10), textcoords="offset points", fontsize=8)
    axis.set(xlabel="multiple of sigma", ylabel="share of errors within", ylim=(0, 1.02))
    if t == 0:
        axis.legend(loc="lower right")
