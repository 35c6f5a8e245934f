"""The card of the shipped model of properties: its errors and error bars on crystals that took no part in its training.

Read from the file itself, which keeps what it said of them; writes the table and docs/images/model-card.png.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness import report
from lodewell.predict.calibrate import coverage
from lodewell.predict.predict import SHIPPED, open_model, shipped_model
from lodewell.report.model_card import draw_model, heldout

FIGURE = Path(__file__).parents[1] / "docs" / "images" / "model-card.png"


def main() -> None:
    """Write table and figure."""
    model, path = open_model(SHIPPED), shipped_model(SHIPPED)
    assert path is not None
    card, rows = model.card, []
    for t, target in enumerate(model.targets):
        truth, value, sigma = heldout(model, t)
        error = value - truth
        wide = card["calibration"][target.name]["wide"]
        one, far = coverage(error, sigma, np.array([1.0, wide]))
        mean = np.abs(truth - truth.mean()).mean()
        rows.append(
            [target.name, target.unit, len(truth), f"{np.abs(error).mean():.3g}", f"{np.sqrt((error**2).mean()):.3g}",
             f"{mean:.3g}", f"{100 * one:.0f} %", f"{100 * far:.0f} % ({wide:.1f} σ)"]
        )  # fmt: skip
    counts = card["crystals"]
    report(
        "model-card",
        "The shipped model on crystals whose reduced formulas it never saw",
        ["property", "unit", "crystals", "mean absolute error", "rms error", "mean |deviation| of the data", "within σ",
         "within the 95 % interval"],
        rows,
        f"{len(model.members)} networks '{model.architecture.name}' of {model.parameters:,} parameters (seeds "
        f"{', '.join(map(str, card['seeds']))}), {path.stat().st_size / 1e6:.1f} MB; {counts['train']:,} crystals "
        f"trained on, {counts['val']:,} for the error bars, {counts['test']:,} held out; {len(card['elements'])} "
        "elements.",
    )  # fmt: skip
    draw_model(model, FIGURE)


if __name__ == "__main__":
    main()
