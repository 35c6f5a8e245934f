"""How tables look on a terminal and in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from lodewell.text import printable

if TYPE_CHECKING:
    from rich.table import Table

WIDTH_IN_PIPE = 160
NONE = "–"


class Screen(Console):
    """A console that takes every string as it stands: no markup, no emoji, no control characters.

    Strings come from files and paths as well, so colours are said apart from them: with `style=`, or `marked`.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as rich draws it, here and in the cells of tables."""
        return super().render_str(printable(text), **options | {"markup": False, "emoji": False})

    def on_broken_pipe(self) -> None:
        """Leave a closed pipe to the command line, which ends quietly."""
        raise  # noqa: PLE0704 called where the error is handled


def console() -> Screen:
    """Return the screen; in a pipe or a file it is wide, so that no table is cut."""
    return Screen(highlight=False, soft_wrap=not sys.stdout.isatty(),
                  width=None if sys.stdout.isatty() else WIDTH_IN_PIPE)  # fmt: skip


def marked(style: str, word: str, rest: str = "") -> Text:
    """Return a word in a style, and what follows plainly: `marked("red", "refused:", " why")`."""
    return Text.assemble((printable(word), style), printable(rest))


def say_remarks(screen: Screen, said: Sequence[tuple[str, str]]) -> None:
    """Print what readers remarked on crystals, name and remark, the first eight of them."""
    for name, remark in said[:8]:
        screen.print(marked("yellow", "remark:", f" {name}: {remark}"))
    if len(said) > 8:
        screen.print(f"… and {len(said) - 8:,} more crystals with remarks (--json tells each)")


def table_of(columns: Mapping[str, Sequence[str]], left: Collection[str]) -> Table:
    """Return a table of headed columns, those named in `left` to the left; a column without any value is left out."""
    from rich.table import Table

    filled = {name: cells for name, cells in columns.items() if any(cell not in ("", NONE) for cell in cells)}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in filled:
        table.add_column(name, justify="left" if name in left else "right", overflow="fold")
    for row in zip(*filled.values(), strict=True):
        table.add_row(*row)
    return table


def fixed(value: float | None, digits: int, sign: str = "") -> str:
    """Write a number with so many digits behind the point, a dash for none; `sign` "+" shows it always."""
    return NONE if value is None else f"{value:{sign}.{digits}f}"
