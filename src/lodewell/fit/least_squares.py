"""Linear least squares on rows that stream by: the data fold into squares, and every later choice is made on those.

Rows of one kind (energy, force, stress) and one fold of the cross-validation share a `Folded`, of the size of the
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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs, dtpqrt

from lodewell.archive import read_archive
from lodewell.crystals.batch import Floats
from lodewell.errors import BadFile, BadOption
from lodewell.files import atomic_path

logger = logging.getLogger(__name__)

MOST_PARAMETERS = 20_000  # a triangle of so many is 3.2 GB
_BLOCK = 128  # columns LAPACK works on at once
_LOOSE = 256  # rows whose products are taken together
_LEAST = 1e-15  # reciprocal condition number of normal equations: below, even the first digit may be wrong


class Folded:
    """Rows [a | y] with P parameters, kept as they are while they are few, then folded."""

    def __init__(self, parameters: int, exact: bool) -> None:
        self.parameters = parameters
        self.exact = exact
        self.count = 0
        self._most_loose = parameters + 1 if exact else min(parameters + 1, _LOOSE)
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

    def merge(self, other: Folded) -> None:
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
                out += weight * self._square
        if parts:
            dsyrk(weight, np.concatenate(parts).T, beta=1.0, c=out, overwrite_c=1)

    def square_of(self, x: Floats) -> float:
        """Return the sum of squares of all rows times (x, -1), x (P,)."""
        v = np.append(x, -1.0)
        total = sum(float(np.sum((rows @ v) ** 2)) for rows in self._loose)
        if self._square is not None and self.exact:
            total += float(np.sum((np.triu(self._square) @ v) ** 2))
        elif self._square is not None:
            upper = np.triu(self._square, 1) @ v
            total += float(2.0 * v @ upper + v**2 @ np.diag(self._square))
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
class Streamed:
    """Everything a linear fit needs to know of its data: rows folded by kind and fold.

    Raises:
        BadOption: for more than `MOST_PARAMETERS` parameters, with the cure.
    """

    parameters: int
    exact: bool = True
    folded: dict[tuple[str, int], Folded] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.parameters > MOST_PARAMETERS:
            raise BadOption(
                f"{self.parameters:,} coefficients are more than the {MOST_PARAMETERS:,} that a dense solve can hold: "
                "take fewer intervals, fewer elements, or two-body terms alone"
            )

    def add(self, kind: str, fold: int, rows_mp: Floats, targets_m: Floats, weight: float = 1.0) -> None:
        """Fold in rows (M, P) of one kind and fold; `weight` multiplies their squares."""
        if weight == 0.0 or not len(targets_m):
            return
        root = np.sqrt(weight)
        self._of(kind, fold).add(root * rows_mp, root * targets_m)

    def merge(self, other: Streamed) -> Streamed:
        """Fold in the rows of another worker, and return this."""
        for key, folded in other.folded.items():
            self._of(*key).merge(folded)
        return self

    def _of(self, kind: str, fold: int) -> Folded:
        return self.folded.setdefault((kind, fold), Folded(self.parameters, self.exact))

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

    def save(self, path: str | Path, **meta: Any) -> None:
        """Write everything, so that a later fit can add frames without reading these again."""
        counts = {f"{kind}.{fold}": folded.count for (kind, fold), folded in self.folded.items()}
        header = {"parameters": self.parameters, "exact": self.exact, "counts": counts, "meta": meta}
        with atomic_path(Path(path)) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as z:
            z.writestr("meta.json", json.dumps(header))
            for (kind, fold), folded in self.folded.items():
                for name, array in folded.state().items():
                    buffer = io.BytesIO()
                    np.save(buffer, array, allow_pickle=False)
                    z.writestr(f"{kind}.{fold}.{name}.npy", buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> tuple[Streamed, dict[str, Any]]:
        """Read what `save` wrote, and its `meta`.

        Raises:
            BadFile: when it is something else, or cut short.
        """
        header, arrays = read_archive(path, "the rows of a fit", "fit again from the data")
        try:
            streamed = cls(header["parameters"], header["exact"])
            for key, count in header["counts"].items():
                kind, fold = key.rsplit(".", 1)
                loose, square = arrays[f"{key}.loose"], arrays.get(f"{key}.square")
                size = streamed.parameters + 1
                if loose.ndim != 2 or loose.shape[1] != size or (square is not None and square.shape != (size, size)):
                    raise ValueError(f"{key} has not {size} columns")
                streamed._of(kind, int(fold)).restore(loose, square, int(count))
            meta = dict(header["meta"])
        except Exception as error:  # a damaged file may fail anywhere
            raise BadFile(f"{path}: not the rows of a fit, or cut short ({error}): fit again from the data") from error
        return streamed, meta


def merged(parts: Iterable[Streamed]) -> Streamed | None:
    """Merge what many workers folded as a tree: as each comes, never more than the logarithm of their number."""
    waiting: list[tuple[int, Streamed]] = []
    for part in parts:
        level, one = 0, part
        while waiting and waiting[-1][0] == level:
            one = waiting.pop()[1].merge(one)
            level += 1
        waiting.append((level, one))
    whole: Streamed | None = None
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


def solve(streamed: Streamed, weights: Mapping[str, float], penalty_pp: Floats) -> Solution:
    """Minimise Σ_kinds weight · |rows x - y|² + xᵀ penalty x, by orthogonal transformations if the rows are `exact`.

    Raises:
        Undetermined: when data and penalty leave a direction open.
    """
    used = [(weights[kind], folded) for (kind, _), folded in streamed.folded.items() if weights.get(kind, 0.0) > 0.0]
    if streamed.exact:
        whole = Folded(streamed.parameters, exact=True)
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
    normal = np.zeros((streamed.parameters + 1,) * 2, order="F")
    for weight, folded in used:
        folded.add_products(weight, normal)
    matrix = normal[:-1, :-1] + np.triu(penalty_pp)
    found = _by_cholesky(matrix, normal[:-1, -1])
    logger.info("reciprocal condition number %.1e", found[2] if found else 0.0)
    if found is None or found[2] < _LEAST:
        raise Undetermined
    x, r, _ = found
    return Solution(x, r)


class Undetermined(BadOption):
    """Some combination of parameters is free."""

    def __init__(self) -> None:
        super().__init__("the fit is singular: some combinations of its coefficients are free")


class HeldOut:
    """Held-out errors for any weights and penalty, without the data: each fold is predicted by a fit to the others.

    Names of rows such as "force/Elastic" share the weight of their kind, "force", times a factor of their own that
    stays the same. These many solves use normal equations, which is good enough to choose weights and penalties by.
    """

    def __init__(self, streamed: Streamed, factors: Mapping[str, float] | None = None) -> None:
        self._streamed = streamed
        self._factors = {name: (factors or {}).get(name, 1.0) for name in streamed.kinds}
        size = streamed.parameters + 1
        self._total: dict[str, Floats] = {}
        for (name, _), folded in streamed.folded.items():
            total = self._total.setdefault(kind_of(name), np.zeros((size, size), order="F"))
            folded.add_products(self._factors[name], total)

    def errors(self, weights: Mapping[str, float], penalty_pp: Floats) -> dict[str, float]:
        """Return the root mean square error of each name on held-out rows; infinite where a solve fails.

        `weights` are by kind; kinds without one are not fitted, but judged.
        """
        streamed = self._streamed
        square = dict.fromkeys(self._factors, 0.0)
        whole = np.zeros((streamed.parameters + 1,) * 2, order="F")
        whole[:-1, :-1] = np.triu(penalty_pp)
        for kind, total in self._total.items():
            whole += weights.get(kind, 0.0) * total
        for fold in streamed.folds:
            normal = np.array(whole, order="F")
            mine = {name: folded for (name, f), folded in streamed.folded.items() if f == fold}
            for name, folded in mine.items():
                weight = weights.get(kind_of(name), 0.0) * self._factors[name]
                if weight > 0.0:
                    folded.add_products(-weight, normal)
            found = _by_cholesky(normal[:-1, :-1], normal[:-1, -1])
            if found is None:
                return dict.fromkeys(self._factors, np.inf)
            for name, folded in mine.items():
                square[name] += folded.square_of(found[0])
        return {name: float(np.sqrt(square[name] / max(1, streamed.count(name)))) for name in square}


def kind_of(name: str) -> str:
    """Return the kind of rows of this name: "force" of "force/Elastic"."""
    return name.partition("/")[0]


def _root(penalty_pp: Floats) -> Floats:
    """Return rows (P, P) whose products are the penalty."""
    values, vectors = np.linalg.eigh(penalty_pp)
    return np.asarray(np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T)


def _by_cholesky(upper: Floats, right: Floats) -> tuple[Floats, Floats, float] | None:
    """Solve with the upper triangle of a symmetric matrix, scaled to a unit diagonal; None where it is singular.

    Returns the solution, the factor R (RᵀR = the matrix), and the reciprocal condition number of the scaled matrix.
    """
    diagonal = np.diag(upper)
    if not (diagonal > 0.0).all():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    scaled = np.asfortranarray(upper * scale[:, None] * scale)
    size = np.abs(np.triu(scaled, 1))
    norm = float((size.sum(axis=0) + size.sum(axis=1) + 1.0).max())
    r, info = dpotrf(scaled, lower=0, clean=1, overwrite_a=1)
    if info:
        return None
    x, _ = dpotrs(r, scale * right, lower=0)
    rcond, _ = dpocon(r, norm, uplo="U")
    return np.asarray(scale * x), np.asarray(r / scale), float(rcond)
