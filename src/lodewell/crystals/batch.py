"""Many crystals packed in flat arrays, the form in which every compiled loop sees them.

Suffixes, here and everywhere: ``_n`` atoms, ``_b`` crystals of a batch, ``_c`` Cartesian components, ``_p`` pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.crystals.neighbours.skew import compact_cells

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


_KINDS = (
    ("species_n", np.dtype(np.int64)),
    ("positions_nc", np.dtype(np.float64)),
    ("cell_bcc", np.dtype(np.float64)),
    ("pbc_bc", np.dtype(np.bool_)),
    ("first_b", np.dtype(np.int64)),
)


@dataclass(frozen=True)
class Batch:
    """Crystals, molecules and slabs side by side in flat arrays.

    | field | shape | unit |
    |---|---|---|
    | `species_n` | (N,) | atomic numbers |
    | `positions_nc` | (N, 3) | Å |
    | `cell_bcc` | (B, 3, 3) | Å, rows are lattice vectors, as in ASE |
    | `pbc_bc` | (B, 3) | periodic along each lattice vector |
    | `first_b` | (B + 1,) | atoms of crystal b are `first_b[b]:first_b[b + 1]` |
    """

    species_n: Ints
    positions_nc: Floats
    cell_bcc: Floats
    pbc_bc: Flags
    first_b: Ints

    def __post_init__(self) -> None:
        """Copy arrays of another type, order or without leave to write: each would compile every kernel once more."""
        for name, kind in _KINDS:
            array = getattr(self, name)
            if array.dtype != kind or not (array.flags.c_contiguous and array.flags.writeable):
                object.__setattr__(self, name, np.array(array, dtype=kind, order="C"))

    @classmethod
    def from_atoms(cls, crystals: Atoms | Sequence[Atoms]) -> Batch:
        """Pack ASE atoms; nothing is checked here, see `lodewell.crystals.validate`.

        Of a cell sheared to a needle the compact one of the same lattice is taken: see `compact_cells`.
        """
        if isinstance(crystals, Atoms):
            crystals = [crystals]
        counts = [len(a) for a in crystals]
        first_b = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=first_b[1:])
        if not counts:
            return cls(
                np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros((0, 3), np.bool_), first_b
            )
        pbc_bc = np.array([a.pbc for a in crystals], dtype=np.bool_)
        return cls(
            species_n=np.concatenate([a.numbers for a in crystals]).astype(np.int64),
            positions_nc=np.concatenate([a.positions for a in crystals]).astype(np.float64),
            cell_bcc=compact_cells(np.array([a.cell.array for a in crystals], dtype=np.float64), pbc_bc),
            pbc_bc=pbc_bc,
            first_b=first_b,
        )

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """Put batches one after the other."""
        if not batches:
            return cls.from_atoms([])
        count_b = np.concatenate([b.count_b for b in batches])
        return cls(
            np.concatenate([b.species_n for b in batches]),
            np.concatenate([b.positions_nc for b in batches]),
            np.concatenate([b.cell_bcc for b in batches]),
            np.concatenate([b.pbc_bc for b in batches]),
            np.concatenate([[0], np.cumsum(count_b)]).astype(np.int64),
        )

    def to_atoms(self) -> list[Atoms]:
        """Unpack into one `Atoms` a crystal."""
        return [
            Atoms(numbers=self.species_n[s], positions=self.positions_nc[s], cell=cell, pbc=pbc)
            for s, cell, pbc in zip(self.slices, self.cell_bcc, self.pbc_bc, strict=True)
        ]

    def __len__(self) -> int:
        """Count the crystals."""
        return len(self.first_b) - 1

    @property
    def slices(self) -> list[slice]:
        """The atoms of each crystal."""
        return [slice(int(a), int(b)) for a, b in zip(self.first_b[:-1], self.first_b[1:], strict=True)]

    @cached_property
    def count_b(self) -> Ints:
        """Atoms in each crystal, shape (B,)."""
        return np.diff(self.first_b)

    @cached_property
    def crystal_n(self) -> Ints:
        """The crystal that each atom belongs to, shape (N,)."""
        return np.repeat(np.arange(len(self)), self.count_b)

    @property
    def volume_b(self) -> Floats:
        """Volume of each cell in Å^3, shape (B,); 0 where the cell is incomplete."""
        return np.asarray(np.abs(np.linalg.det(self.cell_bcc)))

    def take(self, crystals: Sequence[int] | Ints | Flags) -> Batch:
        """Keep these crystals (indices or a mask), in this order."""
        chosen = np.arange(len(self))[np.asarray(crystals) if len(crystals) else slice(0)]
        runs = [np.arange(self.first_b[b], self.first_b[b + 1]) for b in chosen]
        index = np.concatenate([np.zeros(0, np.int64), *runs])
        first_b = np.zeros(len(chosen) + 1, dtype=np.int64)
        np.cumsum(self.count_b[chosen], out=first_b[1:])
        return Batch(
            self.species_n[index], self.positions_nc[index], self.cell_bcc[chosen], self.pbc_bc[chosen], first_b
        )

    def moved(self, positions_nc: Floats, cell_bcc: Floats | None = None) -> Batch:
        """Return the same crystals with other positions, and cells if given."""
        return replace(self, positions_nc=positions_nc, cell_bcc=self.cell_bcc if cell_bcc is None else cell_bcc)

    def permuted(self, order_n: Ints) -> Batch:
        """Return the same crystals with their atoms in another order; `order_n` must not mix crystals."""
        return replace(self, species_n=self.species_n[order_n], positions_nc=self.positions_nc[order_n])


def complete_cells(cell_bcc: Floats, pbc_bc: Flags) -> Floats:
    """Replace the lattice vectors of non-periodic directions so that every cell can be inverted.

    A non-periodic vector that is missing or dependent becomes a unit vector normal to the others: fractional
    coordinates then exist for molecules and slabs, and no image is ever taken along it. Shape (B, 3, 3), Å.
    """
    cells = np.array(cell_bcc, dtype=np.float64, order="C")
    if pbc_bc.all():
        return cells
    norm_bc = np.linalg.norm(cells, axis=2)
    flat_b = np.abs(np.linalg.det(cells)) < 1e-9 * np.maximum(norm_bc.prod(axis=1), 1e-300)
    finite_b = np.isfinite(norm_bc).all(axis=1)
    for b in np.flatnonzero((flat_b | ~pbc_bc.all(axis=1)) & finite_b):
        kept = [k for k in range(3) if pbc_bc[b, k]]
        basis = np.linalg.svd(cells[b, kept])[2][len(kept) :] if kept else np.eye(3)
        free = [k for k in range(3) if not pbc_bc[b, k]]
        for k, normal in zip(free, basis, strict=False):
            cells[b, k] = normal
    return cells
