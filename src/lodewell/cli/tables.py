"""How tables look on a terminal and in a pipe."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_IN_PIPE = 160


def console() -> Console:
    """Return the screen; in a pipe or a file it is wide, so that no table is cut."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(),
                   width=None if sys.stdout.isatty() else WIDTH_IN_PIPE)  # fmt: skip


def places(rows: Sequence[Any]) -> list[str]:
    """Name each crystal briefly: by its file where that holds one, else by its own name, else by file and frame.

    A row has `file`, `frame` and `id`.
    """
    count = Counter(row.file for row in rows)
    out = []
    for row in rows:
        short = Path(row.file).name if row.file else "crystal"
        out.append(short if row.file and count[row.file] == 1 else row.id or f"{short}:{row.frame}")
    return out
