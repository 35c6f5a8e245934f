"""Symmetry found once and kept: the gradient is averaged over the space group of the starting crystal."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from scipy.linalg import sqrtm

from lodewell.crystals.batch import Floats, Ints
from lodewell.errors import BadCrystal


@dataclass(frozen=True)
class Group:
    """The space group of one crystal.

    | field | shape | meaning |
    |---|---|---|
    | `number` | | of the International Tables |
    | `rotation_kcc` | (K, 3, 3) | orthogonal, Cartesian: vectors turn by R v |
    | `maps_kn` | (K, N) | where each operation brings each atom |
    """

    number: int
    rotation_kcc: Floats
    maps_kn: Ints


@dataclass(frozen=True)
class Symmetry:
    """Operations of every crystal of a batch, packed.

    | field | shape | meaning |
    |---|---|---|
    | `first_b` | (B + 1,) | operations of crystal b are `first_b[b]:first_b[b + 1]` |
    | `rotation_kcc` | (K, 3, 3) | orthogonal, Cartesian |
    | `maps` | (M,) | for each operation in turn: where it brings each atom, counted within the crystal |
    | `map_b` | (B + 1,) | maps of crystal b begin at `map_b[b]` |
    """

    first_b: Ints
    rotation_kcc: Floats
    maps: Ints
    map_b: Ints

    @classmethod
    def pack(cls, groups: Sequence[Group | None]) -> Symmetry | None:
        """Pack one group a crystal; None stands for no symmetry to keep, for all of them: return None."""
        if all(g is None for g in groups):
            return None
        return cls(
            np.cumsum([0, *(0 if g is None else len(g.rotation_kcc) for g in groups)]),
            np.concatenate([np.zeros((0, 3, 3)), *(g.rotation_kcc for g in groups if g is not None)]),
            np.concatenate([np.zeros(0, np.int64), *(g.maps_kn.ravel() for g in groups if g is not None)]),
            np.cumsum([0, *(0 if g is None else g.maps_kn.size for g in groups)]),
        )

    def take(self, kept: Ints) -> Symmetry:
        """Keep these crystals."""
        operations = [np.arange(self.first_b[b], self.first_b[b + 1]) for b in kept]
        maps = [np.arange(self.map_b[b], self.map_b[b + 1]) for b in kept]
        return Symmetry(
            np.cumsum([0, *map(len, operations)]),
            self.rotation_kcc[np.concatenate([np.zeros(0, np.int64), *operations])],
            self.maps[np.concatenate([np.zeros(0, np.int64), *maps])],
            np.cumsum([0, *map(len, maps)]),
        )


def symmetrised(atoms: Atoms, symprec: float) -> tuple[Atoms, Group]:
    """Return the crystal made exactly symmetric, and its space group, found by spglib within `symprec` (Å).

    The metric of the cell and the positions are averaged over the operations; the cell keeps its orientation.

    Raises:
        BadCrystal: when no symmetry can be determined, or the crystal is not periodic in three directions.
    """
    if not atoms.pbc.all():
        raise BadCrystal("symmetry is kept only for crystals periodic in three directions; leave out keep_symmetry")
    cell, fractional = atoms.cell.array, atoms.get_scaled_positions(wrap=False)
    found = _dataset(cell, fractional, atoms.numbers, symprec)
    if found is None:
        raise BadCrystal(
            f"spglib finds no symmetry within {symprec} Å: choose another symprec, or do not keep symmetry"
        )
    maps = _maps(fractional, atoms.numbers, cell, found.rotations, found.translations)
    better = _mean_cell(cell, found.rotations)
    mean = np.zeros_like(fractional)
    for W, w, to in zip(found.rotations, found.translations, maps, strict=True):
        # Operation (W, w) brings atom n onto atom to[n]: what it says about that one's place, in that one's cell.
        image = fractional @ W.T + w
        mean[to] += image - np.round(image - fractional[to])
    out = atoms.copy()
    out.set_constraint()
    out.cell[:] = better
    out.positions[:] = (mean / len(maps)) @ better
    columns = better.T
    rotations = np.einsum("ab,kbc,cd->kad", columns, found.rotations, np.linalg.inv(columns))
    out.constraints = atoms.copy().constraints
    return out, Group(int(found.number), rotations, maps)


def space_group(atoms: Atoms, symprec: float) -> int | None:
    """Return the number of the space group that spglib finds."""
    found = _dataset(atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers, symprec)
    return None if found is None else int(found.number)


def _dataset(cell: Floats, fractional: Floats, numbers: Ints, symprec: float) -> Any:
    """Ask spglib; None where it finds nothing, whichever way its version has of saying so."""
    import spglib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            crystal: Any = (cell, fractional, numbers)
            return spglib.get_symmetry_dataset(crystal, symprec=symprec)
        except Exception:  # newer versions raise errors of their own
            return None


def _mean_cell(cell: Floats, rotations: Ints) -> Floats:
    """Return the cell whose metric is the mean over the operations, the same way round as before."""
    metric = cell @ cell.T
    mean = np.mean([W.T @ metric @ W for W in rotations], axis=0)
    inverse = np.linalg.inv(cell)
    stretch = np.real(sqrtm(inverse @ mean @ inverse.T))
    return np.asarray(cell @ stretch)


def _maps(fractional: Floats, numbers: Ints, cell: Floats, rotations: Ints, translations: Floats) -> Ints:
    """Return, for each operation, the atom that each atom is brought onto: the nearest of its kind, shape (K, N)."""
    maps = np.empty((len(rotations), len(fractional)), np.int64)
    for k, (W, w) in enumerate(zip(rotations, translations, strict=True)):
        image = fractional @ W.T + w
        apart = image[:, None] - fractional[None]
        apart -= np.round(apart)
        square = ((apart @ cell) ** 2).sum(axis=2)
        square[numbers[:, None] != numbers[None]] = np.inf
        maps[k] = square.argmin(axis=1)
        if len(set(maps[k].tolist())) != len(fractional):
            raise BadCrystal("the symmetry found brings two atoms onto one: choose a smaller symprec")
    return maps
