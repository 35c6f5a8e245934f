"""The families that are drawn and described in a way of their own; all others are sums over pairs, see `curves`.

Such a family brings a module with `show` and `describe` as in `Figures`, and names it in its row of
`lodewell.potentials.families`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lodewell.potentials.families import find_family, imported

GPA = 0.0062415091  # eV/Å^3


class Alarm(str):
    """The text of a cell that deserves a look; on a screen it has a colour."""


@dataclass(frozen=True)
class Description:
    """What `lodewell list POTENTIAL` tells: sentences, and a row a spline.

    | field | meaning |
    |---|---|
    | `lines` | sentences |
    | `rows` | plain values by name; None where there is nothing to say |
    | `columns` | of the printed table: heading, and what to print of a row, an `Alarm` where it deserves a look |

    A row has `elements`, the symbols of a spline, and `flagged`: whether it rests on too little.
    """

    lines: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    columns: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...]

    def only(self, elements: str | Sequence[str] | None = None, flagged: bool = False) -> Description:
        """Return the description with only the splines of some elements, such as "Li,O", or those flagged."""
        symbols = elements.replace(",", " ").split() if isinstance(elements, str) else elements
        kept = tuple(
            row
            for row in self.rows
            if (symbols is None or set(row["elements"]) <= set(symbols)) and (row["flagged"] or not flagged)
        )
        return replace(self, rows=kept)


class Figures(Protocol):
    """What the module of a family brings."""

    def show(self, potential: Any, name: str, wanted: Sequence[str], out: str | Path | None) -> Path:
        """Draw the splines named in `wanted`, or all; None for `out` names the file in the current folder."""

    def describe(self, potential: Any, about: Mapping[str, Any]) -> Description:
        """Describe a potential with the metadata of its file."""


def figures_of(kind: str) -> Figures | None:
    """Return the module that draws and describes a family in its own way, or None for sums over pairs."""
    row = find_family(kind)
    found: Any = imported(row.figures) if row is not None and row.figures else None
    return found  # type: ignore[no-any-return]


_NOTED = {"energy": (1e3, "meV/atom"), "force": (1.0, "eV/Å"), "stress": (1.0 / GPA, "GPa")}


def fit_lines(about: Mapping[str, Any], units: Mapping[str, tuple[float, str]] = _NOTED) -> tuple[str, ...]:
    """Say what `lodewell fit` noted in a file: coefficients, and errors on frames that were held out.

    units: factor and unit of the errors, where a family notes them otherwise than in eV/atom, eV/Å and eV/Å^3.
    """
    lines = []
    if "coefficients" in about:
        lines.append(f"{about['coefficients']:,} coefficients")
    held = about.get("held_out_rmse") or {}
    if held:
        shown = [f"{kind} {held[kind] * factor:.3g} {unit}" for kind, (factor, unit) in units.items() if kind in held]
        lines.append("root mean square errors on frames held out: " + ", ".join(shown))
    return tuple(lines)
