"""Linear least squares on rows that stream by: the data fold into squares, and every later choice is made on those.

Rows of one kind (energy, force, stress) and one fold of the cross-validation share a `FoldedRows`, of the size of the
parameters squared however many rows went in; those of different workers merge; weights and regularisation are chosen
without the data. Two ways to fold: `exact` keeps the R of a QR factorisation by Householder updates (LAPACK's tpqrt),
and with it the condition number of the rows; products (normal equations) square that number and cost a fifth. They are
safe where the penalty bounds it, which `solve` measures: weak combinations of coefficients then lose digits, but
predictions do not, for a Cholesky solve is exact for a problem that differs by rounding (a test compares the two).
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dsymv, dsyrk
from scipy.linalg.lapack import dpocon, dpotrf, dtpqrt

from lodewell.archive import read_archive, read_meta
from lodewell.crystals.batch import Floats
from lodewell.errors import BadFile, BadOption
from lodewell.files import atomic_path

logger = logging.getLogger(__name__)

MOST_PARAMETERS = 20_000  # a triangle of so many is 3.2 GB
_BLOCK = 128  # columns LAPACK works on at once
_TOGETHER = 512  # columns added at once
LOOSE = 256  # rows whose products are taken together
_LEAST = 1e-15  # reciprocal condition number of normal equations: below, even the first digit may be wrong


class FoldedRows:
    """Rows [a | y] with P parameters, kept as they are while they are few, then folded."""

    def __init__(self, parameters: int, exact: bool) -> None:
        self.parameters = parameters
        self.exact = exact
        self.count = 0
        self._most_loose = parameters + 1 if exact else min(parameters + 1, LOOSE)
        self._loose: list[Floats] = []
        self._waiting = 0
        self._square: Floats | None = None  # R, or the products of all columns (their upper triangle)

    def add(self, rows_mp: Floats, targets_m: Floats) -> None:
        """Fold in rows (M, P) and their right-hand sides (M,)."""
        self.fold(np.column_stack([rows_mp, targets_m]))
        self.count += len(targets_m)

    def fold(self, rows: Floats) -> None:
        """Fold in augmented rows (M, P + 1) without counting them."""
        self._loose.append(rows)
        self._waiting += len(rows)
        if self._waiting > self._most_loose:
            self._settle()

    def merge(self, other: FoldedRows) -> None:
        """Fold in the rows of another."""
        for rows in other._loose:
            self.fold(rows)
        if other._square is not None:
            if self.exact:
                self.fold(np.triu(other._square))
            else:
                mine = 0.0 if self._square is None else self._square
                self._square = np.asfortranarray(mine + other._square)
        self.count += other.count

    @property
    def thin(self) -> bool:
        """Whether there are so few rows that they were kept."""
        return self._square is None

    @property
    def rows(self) -> Floats:
        """Rows (at most about 2 (P + 1), P + 1) with the same products; of products, only while `thin`."""
        if self._square is not None and not self.exact:
            raise ValueError("products keep no rows")
        kept = ([] if self._square is None else [np.triu(self._square)]) + self._loose
        return np.concatenate(kept) if kept else np.zeros((0, self.parameters + 1))

    @property
    def factor(self) -> Floats:
        """The triangle R of all rows, (P + 1, P + 1); of an exact one."""
        self._settle()
        return np.zeros((self.parameters + 1,) * 2) if self._square is None else np.triu(self._square)

    def add_products(self, weight: float, out: Floats) -> None:
        """Add weight times the products of all columns to the upper triangle of `out` (P + 1, P + 1), Fortran order."""
        assert out.flags.f_contiguous  # else BLAS would work on a copy
        parts = list(self._loose)
        if self._square is not None:
            if self.exact:
                parts.append(np.triu(self._square))
            else:
                for c in column_blocks(len(out)):
                    out[:, c] += weight * self._square[:, c]
        if parts:
            dsyrk(weight, np.concatenate(parts).T, beta=1.0, c=out, overwrite_c=1)

    def square_of(self, x: Floats) -> float:
        """Return the sum of squares of all rows times (x, -1), x (P,)."""
        v = np.append(x, -1.0)
        total = sum(float(np.sum((rows @ v) ** 2)) for rows in self._loose)
        if self._square is not None and self.exact:
            total += float(np.sum((np.triu(self._square) @ v) ** 2))
        elif self._square is not None:
            total += float(v @ dsymv(1.0, self._square, v))
        return max(0.0, total)

    def squares_p(self) -> Floats:
        """Return the sum of squares of each column, (P,)."""
        total = sum((np.einsum("mp,mp->p", rows, rows) for rows in self._loose), np.zeros(self.parameters + 1))
        if self._square is not None:
            total = total + (np.sum(np.triu(self._square) ** 2, axis=0) if self.exact else np.diag(self._square))
        return np.asarray(total[:-1])

    def state(self) -> dict[str, Floats]:
        """Return all there is as arrays."""
        loose = np.concatenate(self._loose) if self._loose else np.zeros((0, self.parameters + 1))
        return {"loose": loose} | ({} if self._square is None else {"square": self._square})

    def restore(self, loose: Floats, square: Floats | None, count: int) -> None:
        """Take on a `state`."""
        self._loose, self._waiting, self.count = [loose], len(loose), count
        self._square = None if square is None else np.asfortranarray(square)

    def _settle(self) -> None:
        size = self.parameters + 1
        if not self._loose:
            return
        if self._square is None:
            self._square = np.zeros((size, size), order="F")
        rows = np.concatenate(self._loose)
        self._loose, self._waiting = [], 0
        if not self.exact:
            self._square = dsyrk(1.0, rows.T, beta=1.0, c=self._square, overwrite_c=1)
            return
        block = np.asfortranarray(rows)
        self._square, _, _, info = dtpqrt(0, min(_BLOCK, size), self._square, block, overwrite_a=1, overwrite_b=1)
        if info:
            raise ArithmeticError(f"LAPACK's tpqrt failed with {info}")


@dataclass
class LinearSystem:
    """Everything a linear fit needs to know of its data: rows folded by kind and fold.

    Raises:
        BadOption: for more than `MOST_PARAMETERS` parameters, with the cure.
    """

    parameters: int
    exact: bool = False
    folded: dict[tuple[str, int], FoldedRows] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.parameters > MOST_PARAMETERS:
            raise BadOption(
                f"{self.parameters:,} coefficients are more than the {MOST_PARAMETERS:,} that a dense solve can hold:"
                " take fewer terms or points"
            )

    def add(self, kind: str, fold: int, rows_mp: Floats, targets_m: Floats, weight: float = 1.0) -> None:
        """Fold in rows (M, P) of one kind and fold; `weight` multiplies their squares."""
        if weight == 0.0 or not len(targets_m):
            return
        root = np.sqrt(weight)
        self._of(kind, fold).add(root * rows_mp, root * targets_m)

    def merge(self, other: LinearSystem) -> LinearSystem:
        """Fold in the rows of another worker, and return this."""
        for key, folded in other.folded.items():
            self._of(*key).merge(folded)
        return self

    def _of(self, kind: str, fold: int) -> FoldedRows:
        return self.folded.setdefault((kind, fold), FoldedRows(self.parameters, self.exact))

    @property
    def kinds(self) -> list[str]:
        """Kinds of rows that there are."""
        return sorted({kind for kind, _ in self.folded})

    @property
    def folds(self) -> list[int]:
        """Folds that there are."""
        return sorted({fold for _, fold in self.folded})

    def count(self, kind: str) -> int:
        """Count the rows of one kind."""
        return sum(t.count for (k, _), t in self.folded.items() if k == kind)

    def seen_p(self) -> Floats:
        """Return the sum of squares of each column over all rows, (P,): zero where no data speak."""
        return sum((folded.squares_p() for folded in self.folded.values()), np.zeros(self.parameters))

    def state(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """Return all there is: a header that JSON takes, and arrays by name."""
        counts = {f"{kind}.{fold}": folded.count for (kind, fold), folded in self.folded.items()}
        arrays = {
            f"{kind}.{fold}.{name}": array
            for (kind, fold), folded in self.folded.items()
            for name, array in folded.state().items()
        }
        return {"parameters": self.parameters, "exact": self.exact, "counts": counts}, arrays

    @classmethod
    def from_state(cls, header: Mapping[str, Any], arrays: Mapping[str, Floats]) -> LinearSystem:
        """Make it again; raises KeyError or ValueError for a `state` that is not whole."""
        streamed = cls(header["parameters"], header["exact"])
        for key, count in header["counts"].items():
            kind, fold = key.rsplit(".", 1)
            loose, square = arrays[f"{key}.loose"], arrays.get(f"{key}.square")
            size = streamed.parameters + 1
            if loose.ndim != 2 or loose.shape[1] != size or (square is not None and square.shape != (size, size)):
                raise ValueError(f"{key} has not {size} columns")
            streamed._of(kind, int(fold)).restore(loose, square, int(count))
        return streamed

    def save(self, path: str | Path, **meta: Any) -> None:
        """Write everything, so that a later fit can add frames without reading these again."""
        header, arrays = self.state()
        with atomic_path(Path(path)) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as z:
            z.writestr("meta.json", json.dumps({**header, "meta": meta}))
            for name, array in arrays.items():
                buffer = io.BytesIO()
                np.save(buffer, array, allow_pickle=False)
                z.writestr(f"{name}.npy", buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> tuple[LinearSystem, dict[str, Any]]:
        """Read what `save` wrote, and its `meta`.

        Raises:
            BadFile: when it is something else, or cut short.
        """
        header, arrays = read_archive(path, "the rows of a fit", "fit again from the data")
        try:
            streamed, meta = cls.from_state(header, arrays), dict(header["meta"])
        except Exception as error:  # a damaged file may fail anywhere
            raise BadFile(f"{path}: not the rows of a fit, or cut short ({error}): fit again from the data") from error
        return streamed, meta

    @staticmethod
    def meta(path: str | Path) -> dict[str, Any]:
        """Read the `meta` that `save` wrote, and nothing else; raises `BadFile` as `load` does."""
        try:
            return dict(read_meta(path, "the rows of a fit", "fit again from the data")["meta"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(f"{path}: not the rows of a fit ({error}): fit again from the data") from error


def merged(parts: Iterable[LinearSystem]) -> LinearSystem | None:
    """Merge what many workers folded as a tree: as each comes, never more than the logarithm of their number."""
    waiting: list[tuple[int, LinearSystem]] = []
    for part in parts:
        level, one = 0, part
        while waiting and waiting[-1][0] == level:
            one = waiting.pop()[1].merge(one)
            level += 1
        waiting.append((level, one))
    whole: LinearSystem | None = None
    for _, one in reversed(waiting):
        whole = one if whole is None else one.merge(whole)
    return whole


@dataclass(frozen=True)
class Solution:
    """What a solve found.

    | field | shape | meaning |
    |---|---|---|
    | `coefficients_p` | (P,) | the parameters |
    | `factor_pp` | (P, P) | upper triangle R; RᵀR = Σ weight · rowsᵀ rows + penalty is the inverse covariance |
    """

    coefficients_p: Floats
    factor_pp: Floats


def solve(streamed: LinearSystem, weights: Mapping[str, float], penalty_pp: Floats) -> Solution:
    """Minimise Σ_kinds weight · |rows x - y|² + xᵀ penalty x, by orthogonal transformations if the rows are `exact`.

    Raises:
        Undetermined: when data and penalty leave a direction open.
    """
    used = [(weights[kind], folded) for (kind, _), folded in streamed.folded.items() if weights.get(kind, 0.0) > 0.0]
    if streamed.exact:
        whole = FoldedRows(streamed.parameters, exact=True)
        for weight, folded in used:
            whole.fold(np.sqrt(weight) * folded.rows)
        root = _root(penalty_pp)
        whole.fold(np.column_stack([root, np.zeros(len(root))]))
        factor = whole.factor
        r, z = factor[:-1, :-1], factor[:-1, -1]
        diagonal = np.abs(np.diag(r))
        if not (diagonal > 1e-13 * diagonal.max(initial=0.0)).all():
            raise Undetermined
        return Solution(solve_triangular(r, z), r)
    normal = empty_square(streamed.parameters)
    normal[:-1, :-1] = penalty_pp
    for weight, folded in used:
        folded.add_products(weight, normal)
    found = by_cholesky(normal, measured=True)
    logger.info("reciprocal condition number %.1e", found[2] if found else 0.0)
    if found is None or found[2] < _LEAST:
        raise Undetermined
    x, r, _ = found
    return Solution(x, r)


class Undetermined(BadOption):
    """Some combination of parameters is free."""

    def __init__(self) -> None:
        super().__init__("the fit is singular: some combinations of its coefficients are free")


def square_bytes(parameters: int) -> float:
    """Return the size of a square of the parameters and the right-hand side."""
    return 8.0 * (parameters + 1) ** 2


def empty_square(parameters: int) -> Floats:
    """Return room for products of all columns (P + 1, P + 1), in Fortran's order."""
    return np.zeros((parameters + 1,) * 2, order="F")


def column_blocks(count: int) -> Iterator[slice]:
    """Yield blocks of columns, so that sums of squares need no third one."""
    for first in range(0, count, _TOGETHER):
        yield slice(first, min(first + _TOGETHER, count))


def kind_of(name: str) -> str:
    """Return the kind of rows of this name: "force" of "force/Elastic"."""
    return name.partition("/")[0]


def _root(penalty_pp: Floats) -> Floats:
    """Return rows (P, P) whose products are the penalty."""
    values, vectors = np.linalg.eigh(penalty_pp)
    return np.asarray(np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T)


def by_cholesky(normal: Floats, measured: bool = False) -> tuple[Floats, Floats, float] | None:
    """Solve normal equations, given by the upper triangle of the products of all columns; None where it is singular.

    The matrix is scaled to a unit diagonal, and overwritten. Returns the solution, the factor R (RᵀR = the matrix
    without its last column), and if `measured` the reciprocal condition number of the scaled matrix, else 1.
    """
    diagonal = np.diag(normal).copy()
    if not (diagonal[:-1] > 0.0).all():
        return None
    # The last column is factorised with the others, as a corner that is large enough: what comes of it is R⁻ᵀ right.
    normal[-1, -1] = diagonal[-1] = 2.0 * abs(diagonal[-1]) + 1e-300
    scale = 1.0 / np.sqrt(diagonal)
    for c in column_blocks(len(normal)):
        normal[:, c] *= scale[:, None] * scale[c]
    norm = _norm(normal) if measured else 1.0
    r, info = dpotrf(normal, lower=0, clean=1, overwrite_a=1)
    if info and info < len(normal):
        return None
    x = scale[:-1] / scale[-1] * solve_triangular(r[:-1, :-1], r[:-1, -1], check_finite=False)
    rcond = float(dpocon(r[:-1, :-1], norm, uplo="U")[0]) if measured else 1.0
    for c in column_blocks(len(r)):
        r[:, c] /= scale[c]
    return np.asarray(x), np.asarray(r[:-1, :-1]), rcond


def _norm(scaled: Floats) -> float:
    """Return the largest sum of sizes in a row of a symmetric matrix, of its upper triangle and one column more."""
    total = np.zeros(len(scaled) - 1)
    for c in column_blocks(len(total)):
        size = np.abs(np.triu(scaled[:-1, c], -c.start))
        total += size.sum(axis=1)
        total[c] += size.sum(axis=0)
    return float((total - 1.0).max(initial=1.0))  # the diagonal was counted twice
