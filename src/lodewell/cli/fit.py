"""`lodewell fit FAMILY`: the group of commands that fit a potential to labelled crystals.

To add a family, write `cli/fit_family.py` with a function `command` (see `lodewell.cli._fit_common`) and add it to
`FAMILIES`.
"""

from __future__ import annotations

import importlib

import typer

FAMILIES: tuple[str, ...] = ("uf", "meam", "gap")

app = typer.Typer(
    help="Fit a potential to crystals with energies, forces and stresses.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

for _name in FAMILIES:
    app.command(_name)(importlib.import_module(f"lodewell.cli.fit_{_name}").command)
