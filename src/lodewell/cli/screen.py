"""What reaches the screen: words of files as they stand, on any terminal, into any pipe."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lodewell.text import json_text, printable


def tolerant() -> None:
    """Let stdout and stderr stand in for characters they cannot show (an ASCII terminal, names that are not UTF-8)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="lodewell.plain")


def print_json(value: Any) -> None:
    """Print JSON for machines; where stdout is not UTF-8, in ASCII with escapes, which means the same."""
    print_json_text(json_text(value, indent=1))


def print_json_text(text: str) -> None:
    """Print a text that is JSON already; beyond ASCII only where stdout is UTF-8."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    if encoding != "utf8":
        units = ((c, c.encode("utf-16-be", "surrogatepass").hex()) for c in text)
        text = "".join(
            c if c.isascii() else "".join(f"\\u{h[k : k + 4]}" for k in range(0, len(h), 4)) for c, h in units
        )
    print(text)


def print_passed_over(paths: Sequence[str | Path]) -> None:
    """Say on stderr how many files in the folders searched are of no format that is read, and of what kinds."""
    from lodewell.crystals.paths import passed_over_text

    if said := passed_over_text(paths):
        print(printable(said), file=sys.stderr)


def leave_quietly() -> None:
    """Send what is still to come nowhere: the interpreter must not try to flush into a closed pipe or a full disk."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
