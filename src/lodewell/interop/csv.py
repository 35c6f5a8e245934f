"""CSV: one file a pair, for spreadsheets and plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.files import atomic_path
from lodewell.interop.curves import (
    alphabetical,
    chosen_elements,
    folder,
    grid,
    pairs_of,
)
from lodewell.potentials.base import Potential
from lodewell.potentials.statistical.statistical import Statistical

HEADER = "r_A,U,standard_error"


def write_curves(
    potential: Potential, elements: str | Sequence[str] | None, out: str | Path, *, variant: str | None = None
) -> list[Path]:
    """Write `Na-Ti.csv` for each pair, symbols in alphabetical order: distance (Å), energy (eV), its standard error.

    The energy scale is included, in the error as well; the error stays empty where a potential knows none.

    Raises:
        UnsupportedElement: for an element without a curve.
        BadFile: when the folder cannot be written.
    """
    numbers = chosen_elements(potential, elements)
    place = folder(out)
    r = grid(potential)
    written = []
    for first, second in pairs_of(numbers):
        u, _ = potential.pair_curve(first, second, r, variant)
        error = _error(potential, first, second, variant)
        rows = [f"{x:.6g},{e:.10g},{'' if np.isnan(s) else f'{s:.6g}'}" for x, e, s in zip(
            r, u, np.full_like(r, np.nan) if error is None else error, strict=True)]  # fmt: skip
        path = place / f"{'-'.join(alphabetical(first, second))}.csv"
        with atomic_path(path) as temporary:
            temporary.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
        written.append(path)
    return written


def _error(potential: Potential, first: int, second: int, variant: str | None) -> Floats | None:
    if not isinstance(potential, Statistical):
        return None
    p = potential.curve_index(first, second, variant)
    error: Floats = potential.energy_scale * potential.evidence.error_pk[p]
    return error
