"""`lodewell cite`: what to cite."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    potential: Annotated[
        str | None,
        typer.Argument(
            metavar="[POTENTIAL]",
            help="Shipped name, file of a potential, or a kind such as gap or properties; none is lodewell alone.",
        ),
    ] = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print entries for a .bib file.")] = False,
) -> None:
    """Say how to cite lodewell, and the papers behind a potential and its data."""
    from lodewell.report.citations import references

    found = references(potential)
    if bibtex:
        print("\n\n".join(reference.bibtex() for reference in found))
        return
    for reference in found:
        print(f"{reference.why}: {reference.text()}")
