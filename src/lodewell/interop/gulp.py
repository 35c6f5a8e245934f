"""GULP: a library of `spline` potentials, one file a pair, as published for statistical proxy potentials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lodewell.files import atomic_path
from lodewell.interop.curves import alphabetical, chosen_elements, folder, grid, pairs_of
from lodewell.potentials.base import Potential


def write_library(
    potential: Potential, elements: str | Sequence[str] | None, out: str | Path, *, variant: str | None = None
) -> list[Path]:
    """Write `LI-O/LI-O.POT` for each pair: a `spline` header, the atoms with shift, inner and outer cutoff, then r U.

    The word `reverse` tells GULP that the distance comes first; without it the energy would. Å and eV, the energy
    scale included. The points are those of the table itself (every 0.05 Å), or every 0.02 Å of other potentials;
    GULP joins them by cubic splines, as lodewell does.

    Raises:
        UnsupportedElement: for an element without a curve.
        BadFile: when the folder cannot be written.
    """
    numbers = chosen_elements(potential, elements)
    place = folder(out)
    r = grid(potential)
    written = []
    for first, second in pairs_of(numbers):
        a, b = alphabetical(first, second)
        u, _ = potential.pair_curve(first, second, r, variant)
        name = f"{a}-{b}".upper()
        lines = ["spline cubic reverse", f"{a} core {b} core 0.0 0.0 {potential.cutoff:.6g}"]
        lines += [f"{x:.6f} {e:.10g}" for x, e in zip(r, u, strict=True)]
        with atomic_path(folder(place / name) / f"{name}.POT") as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        written.append(place / name / f"{name}.POT")
    return written
