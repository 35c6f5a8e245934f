"""`lodewell fit FAMILY`: a command a family that can be fitted, made from its row in `lodewell.potentials.families`."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from lodewell.cli._fit_common import OutPotential, TestPaths, TrainPaths, fit_and_show
from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, ClusterSpec, Restart, WorkerCount
from lodewell.potentials.families import Family, families, find_family, imported


class Families(TyperGroup):
    """Commands that are made when they are asked for: a family's options are imported for its own command alone."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the families that can be fitted."""
        return [kind for kind, row in families().items() if row.fit]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Make the command of a family."""
        row = find_family(cmd_name)
        if row is None or not row.fit:
            return None
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(row.kind)(command_of(row))
        made = typer.main.get_command(alone)
        made.context_settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
        return made


def command_of(row: Family) -> Any:
    """Return the command of a family: flags from its options, help from its row."""
    kind = imported(row.options)
    standard = kind()

    def command(
        train: TrainPaths,
        out: OutPotential,
        test: TestPaths = None,
        options: Any = standard,
        workers: WorkerCount = None,
        cluster: ClusterSpec = None,
        restart: Restart = False,
        as_json: AsJson = False,
    ) -> None:
        fit_and_show(row.kind, imported(row.fit), train, test, out, options, workers, cluster, as_json, restart)

    command.__doc__ = row.fit_help or f"Fit a potential of the family {row.kind}: {row.description}."
    return takes(kind, config=True)(command)


app = typer.Typer(
    cls=Families,
    help="Fit a potential to crystals with energies, forces and stresses.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def _group() -> None:
    pass
