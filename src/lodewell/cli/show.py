"""`lodewell show`: a figure of the curves of a potential."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    potential: Annotated[
        str,
        typer.Argument(metavar="POTENTIAL", help="Shipped name, .lodewell file, or model (.safetensors)."),
    ],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PAIRS...",
            help="Pairs such as Li-O, triples such as Si-O-O (central element first); several make a grid.",
            show_default="a few, or all",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="PNG, SVG or PDF.", show_default="POTENTIAL-PAIR.png here"),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--variant", metavar="CLASS", help="Only the curve of one anion class, such as oxide."),
    ] = None,
) -> None:
    """Draw curves: U(r) with its standard error and its data, three-body functions, and splines of densities.

    Of a model of properties (.safetensors, or the shipped one, `properties`): predictions of held-out crystals, and
    whether its error bars hold.
    """
    from lodewell.predict.model import load_model, shipped_model

    if potential.endswith(".safetensors") or shipped_model(potential) is not None:
        from lodewell.report.model_card import draw_model

        print(draw_model(load_model(potential), out or Path(f"{Path(potential).stem}.png")))
        return
    from lodewell.report.curves import show

    print(show(potential, pairs or [], out, variant))
