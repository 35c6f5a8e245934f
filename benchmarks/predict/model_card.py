"""The card of the shipped model of properties: its errors and error bars on crystals that took no part in its training.

Read from the file itself, which keeps what it said of them; writes the table, docs/images/model-card.png, and the card
in words beside the model.
"""

from __future__ import annotations

from benchmarks.harness import IMAGES, report
from lodewell.predict.model import SHIPPED, load_model, shipped_model
from lodewell.report.model_card import ERRORS, draw_model, error_rows, write_card

FIGURE = IMAGES / "model-card.png"


def main() -> None:
    """Write table, figure and card."""
    model, path = load_model(), shipped_model(SHIPPED)
    assert path is not None
    card = model.card
    counts = card["crystals"]
    report(
        "model-card",
        "The shipped model on crystals whose reduced formulas it never saw",
        ERRORS,
        error_rows(model),
        f"{len(model.members)} networks '{model.architecture.name}' of {model.parameters:,} parameters (seeds "
        f"{', '.join(map(str, card['seeds']))}), {path.stat().st_size / 1e6:.1f} MB; {counts['train']:,} crystals "
        f"trained on, {counts['val']:,} for the error bars, {counts['test']:,} held out; {len(card['elements'])} "
        "elements.",
    )
    draw_model(model, FIGURE)
    write_card(model, path.with_suffix(".md"))


if __name__ == "__main__":
    main()
