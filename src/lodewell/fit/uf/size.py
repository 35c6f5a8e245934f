"""How large a UF fit is, known before a row is made: the intervals it can afford, and the memory it takes."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace

import numpy as np

from lodewell.crystals.batch import Flags
from lodewell.crystals.labels.columns import Columns
from lodewell.errors import BadOption
from lodewell.fit.linear.least_squares import LOOSE, MOST_PARAMETERS, square_bytes
from lodewell.fit.uf.options import UFOptions
from lodewell.potentials.uf.basis import UFBasis

INTERVALS = 10  # of a leg, where they can be afforded
LEAST = 3
AFFORDABLE = 5_000  # coefficients of a fit of which nothing was said: 0.2 GB a square, a second a solve
MOST_BYTES = 3e9  # beyond it config_types share their squares
_PROGRAM = 4e8  # bytes of Python, its libraries and compiled loops
_OTHER_SQUARES = 4  # the penalty, the sum of all, the one that is factorised, and room to work


def affordable(lay_out: Callable[[UFOptions], UFBasis], options: UFOptions) -> tuple[UFBasis, list[str]]:
    """Lay out splines with as many intervals as options ask for or can be afforded; also say if they are few.

    Raises:
        BadOption: for more coefficients than a dense solve can hold, with numbers that it could.
    """
    if options.knots_3body or not options.three_body:
        return _held(lay_out, options, lay_out(options)), []
    if options.intervals_3body:
        return _held(lay_out, options, lay_out(options)), []
    first = basis = lay_out(replace(options, intervals_3body=INTERVALS))
    intervals = INTERVALS
    while basis.columns > AFFORDABLE and intervals > LEAST:
        intervals -= 1
        basis = lay_out(replace(options, intervals_3body=intervals))
    basis = _held(lay_out, replace(options, intervals_3body=LEAST), basis)
    if intervals == INTERVALS:
        return basis, []
    return basis, [
        f"triples have {intervals} spline intervals a leg, which make {basis.columns:,} coefficients; the usual"
        f" {INTERVALS} would make {first.columns:,} of {len(basis.species)} elements; --intervals-3body takes more or"
        " fewer"
    ]


def _held(lay_out: Callable[[UFOptions], UFBasis], options: UFOptions, basis: UFBasis) -> UFBasis:
    """Return the basis, or refuse it."""
    if basis.columns <= MOST_PARAMETERS:
        return basis
    fewer = range(options.intervals_3body - 1, LEAST - 1, -1) if options.three_body and not options.knots_3body else ()
    cures = ((n, lay_out(replace(options, intervals_3body=n)).columns) for n in fewer)
    cure = next((f"--intervals-3body {n} makes {size:,}" for n, size in cures if size <= MOST_PARAMETERS), "")
    cure = cure or f"--no-three-body makes {lay_out(replace(options, three_body=False)).columns:,}"
    raise BadOption(
        f"{basis.columns:,} coefficients of {len(basis.species)} elements are more than the {MOST_PARAMETERS:,} that a"
        f" dense solve can hold; {cure}"
    )


def needed_bytes(columns: Columns, parameters: int, sorts: Set[str], folds: int) -> float:
    """Return the memory of a fit, above all of squares: of each kind of label, config_type kept apart, and fold."""
    kind_f = np.array([k if name in sorts else -1 for k, name in enumerate(columns.config_types)])[columns.config_f]
    rows = 0.0
    labels: tuple[tuple[Flags, int | np.ndarray], ...] = (
        (np.isfinite(columns.energy_f), 1),
        (np.isfinite(columns.force_square_f), 3 * columns.atoms_f),
        (np.isfinite(columns.stress_square_f), 6),
    )
    for kind in np.unique(kind_f):
        for has_f, each in labels:
            count = float(np.sum((kind_f == kind) * has_f * each)) / folds
            rows += folds * (count if count <= LOOSE else parameters + 1)
    return _PROGRAM + 8.0 * rows * (parameters + 1) + _OTHER_SQUARES * square_bytes(parameters)
