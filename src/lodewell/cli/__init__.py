"""The command line: one file a command, named like the verb; this file finds them and turns refusals into one line.

To add a command, write `cli/verb.py` with a function `command`, or an `app` that is a group of commands, and add the
verb to `COMMANDS`. Its top level may import `typer` and `lodewell.cli.options` only; science is imported inside the
function, so that `lodewell --help` stays quick.
"""

from __future__ import annotations

import importlib
import logging
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lodewell.cli.progress import compiling_said
from lodewell.cli.screen import leave_quietly, tolerant
from lodewell.errors import LodewellError
from lodewell.text import printable

COMMANDS: tuple[str, ...] = (
    "check", "cite", "compare", "derive", "export", "fit", "list", "map", "predict", "relax", "score", "show", "test",
    "train", "warmup",
)  # fmt: skip

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130


class Commands(TyperGroup):
    """The group of commands, with one line on stderr for everything that is not a fault of the program."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name commands and groups of commands in one order."""
        return sorted(super().list_commands(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a refusal exits with 2, Ctrl-C with 130, a closed pipe with 0."""
        try:
            with compiling_said():
                outcome = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe or a full disk shows here, not while the interpreter ends
            return outcome
        except LodewellError as error:
            say(str(error))
            raise typer.Exit(EXIT_REFUSED) from error
        except KeyboardInterrupt as error:
            say("interrupted; what was finished is kept")
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except BrokenPipeError as error:
            leave_quietly()  # the reader (`| head`) has what it wanted
            raise typer.Exit(0) from error
        except OSError as error:
            say(f"{error.filename or 'output'}: {error.strerror or error}")
            leave_quietly()
            raise typer.Exit(EXIT_REFUSED) from error


def say(message: str) -> None:
    """Print a message as one line on stderr."""
    with suppress(OSError):  # nobody may be listening
        print("lodewell: " + printable(" ".join(message.split())), file=sys.stderr, flush=True)


app = typer.Typer(
    cls=Commands,
    name="lodewell",
    help="From crystal structures to interatomic potentials, and from potentials to materials.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lodewell import __version__

        print(f"lodewell {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, with tracebacks.")] = False,
) -> None:
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("lodewell").setLevel(logging.DEBUG)


for _name in COMMANDS:
    _module = importlib.import_module(f"lodewell.cli.{_name}")
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_name)
    else:
        app.command(_name)(_module.command)


def main() -> None:
    """Run the command line (the entry point of the package)."""
    tolerant()
    try:
        app(prog_name="lodewell")
    except KeyboardInterrupt:  # before the command itself began
        say("interrupted")
        sys.exit(EXIT_INTERRUPTED)
