"""Symmetry operations: read from text, made of Hall symbols, looked at as a group."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from lodewell.errors import BadCrystal

Floats = NDArray[np.float64]

SAME_SHIFT = 0.006  # a third is published as 0.33, too
SAME_METRIC = 0.03  # of an edge squared; names of space groups stand beside cells that fit to many digits
MAX_OPERATIONS = 10_000  # there are 192 in a conventional cell; a supercell can list those of its parent
MAX_IN_GROUP = 400  # more are not checked for products


@dataclass(frozen=True, eq=False)
class Operations:
    """Rotations (m, 3, 3) and shifts (m, 3) of fractional coordinates, the identity first."""

    rotations: Floats
    shifts: Floats

    def __len__(self) -> int:
        return len(self.rotations)

    def fit(self, cell: Floats) -> bool:
        """Tell whether every rotation leaves the metric of a cell (rows are vectors) as it is."""
        metric = cell @ cell.T
        moved = np.einsum("kji,jl,klm->kim", self.rotations, metric, self.rotations)
        size = np.sqrt(np.outer(metric.diagonal(), metric.diagonal()))
        return bool((np.abs(moved - metric) < SAME_METRIC * size).all())


_MIX = np.random.default_rng(0).integers(1 << 62, size=12, dtype=np.int64)
IDENTITY = Operations(np.eye(3)[None], np.zeros((1, 3)))


@lru_cache(maxsize=4096)
def operation(text: str) -> tuple[Floats, Floats]:
    """Turn `-x+1/2, y, z` into a rotation (3, 3) and a shift (3,); raises `BadCrystal` for anything else."""
    rotation, shift = np.zeros((3, 3)), np.zeros(3)
    parts = text.lower().replace(" ", "").split(",")
    if len(parts) != 3:
        raise BadCrystal(f"{text!r} is no symmetry operation; correct it")
    for row, part in enumerate(parts):
        terms = re.findall(r"([+-]?)(?:(\d*\.?\d+)(?:/([1-9]\d*))?\*?([xyz]?)|([xyz])(?:/([1-9]\d*))?)", part)
        if "".join(_spelled(t) for t in terms) != part.replace("*", "") or not part:
            raise BadCrystal(f"{text!r} is no symmetry operation; correct it")
        for sign, top, bottom, axis, lone, lone_bottom in terms:
            size = (float(top) / float(bottom or 1) if top else 1 / float(lone_bottom or 1)) * (
                -1 if sign == "-" else 1
            )
            letter = axis or lone
            if letter:
                rotation[row, "xyz".index(letter)] += size
            else:
                shift[row] += size
    if abs(abs(np.linalg.det(rotation)) - 1) > 1e-6:
        raise BadCrystal(f"{text!r} is no symmetry operation; correct it")
    exact = np.round(shift * 24) / 24
    return rotation, np.where(np.abs(exact - shift) < SAME_SHIFT, exact, shift)


def _spelled(term: tuple[str, ...]) -> str:
    sign, top, bottom, axis, lone, lone_bottom = term
    return f"{sign}{top}{'/' + bottom if bottom else ''}{axis}{lone}{'/' + lone_bottom if lone_bottom else ''}"


@lru_cache(maxsize=512)
def from_texts(texts: tuple[str, ...]) -> Operations:
    """Turn a list as it stands in a file into operations; a missing identity is put first, repeats are left out."""
    if len(texts) > MAX_OPERATIONS:
        raise BadCrystal(f"it lists {len(texts):,} symmetry operations, more than any crystal has; correct the list")
    pairs = [operation(text) for text in texts]
    return _in_order(np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs]))


@lru_cache(maxsize=512)
def from_magnetic(texts: tuple[str, ...], centrings: tuple[str, ...]) -> Operations:
    """Turn operations and centrings of a magnetic group, `x,y,z,+1`, into those that act on the atoms' places."""
    first = from_texts(tuple(_in_space(text) for text in texts))
    second = from_texts(tuple(_in_space(text) for text in centrings))
    if len(first) * len(second) > MAX_OPERATIONS:
        raise BadCrystal("the magnetic group has more operations than any crystal can have; correct its lists")
    rotations = np.einsum("aij,bjk->abik", second.rotations, first.rotations).reshape(-1, 3, 3)
    shifts = np.einsum("aij,bj->abi", second.rotations, first.shifts) + second.shifts[:, None]
    return _in_order(rotations, shifts.reshape(-1, 3))


def _in_space(text: str) -> str:
    """Drop the time reversal `+1` or `-1`."""
    return ",".join(text.split(",")[:3])


@lru_cache(maxsize=1024)
def from_hall(symbol: str) -> Operations:
    """Return the operations that a Hall symbol generates (Hall, Acta Cryst. A37, 517 (1981)).

    Raises:
        BadCrystal: when the text is no Hall symbol.
    """
    try:
        made = list(gemmi.symops_from_hall(symbol.strip()))
    except (RuntimeError, ValueError) as err:
        raise BadCrystal(f"{symbol!r} is no Hall symbol ({err}); correct it, or list the symmetry operations") from err
    rotations = np.array([op.rot for op in made], float) / gemmi.Op.DEN
    return _in_order(rotations, np.array([op.tran for op in made], float) / gemmi.Op.DEN)


def _in_order(rotations: Floats, shifts: Floats) -> Operations:
    """Put the identity first and leave out repeats."""
    rotations = np.concatenate([np.eye(3)[None], rotations])
    shifts = np.concatenate([np.zeros((1, 3)), shifts])
    _, first = np.unique(_codes(rotations, shifts), return_index=True)
    kept = np.sort(first)
    return Operations(rotations[kept], shifts[kept])


def _codes(rotations: Floats, shifts: Floats) -> NDArray[np.int64]:
    """Return one number for every operation, the same where shifts differ by lattice vectors alone."""
    turns = np.round(rotations * 12).astype(np.int64).reshape(-1, 9)
    steps = np.round(shifts * 720).astype(np.int64).reshape(-1, 3) % 720  # 720: halves, thirds, fifths and their kin
    with np.errstate(over="ignore"):
        code: NDArray[np.int64] = np.concatenate([turns, steps], axis=1) @ _MIX
    return code


@lru_cache(maxsize=1024)
def form_group(operations: Operations) -> bool:
    """Tell whether the product of any two operations is among them again, but for lattice vectors."""
    if len(operations) > MAX_IN_GROUP:
        return True
    rotations, shifts = operations.rotations, operations.shifts
    products = np.einsum("aij,bjk->abik", rotations, rotations).reshape(-1, 3, 3)
    moved = (np.einsum("aij,bj->abi", rotations, shifts) + shifts[:, None]).reshape(-1, 3)
    return bool(np.isin(_codes(products, moved), _codes(rotations, shifts)).all())
