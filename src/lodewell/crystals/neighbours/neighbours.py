"""Neighbour lists of whole batches, with a Verlet skin so that relaxations and dynamics do not pay each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.crystals.batch import Batch, Flags, Floats, Ints, complete_cells
from lodewell.crystals.neighbours.lists import (
    list_pairs,
    most_images,
    moved_far,
    pair_in_one_place,
    shift_vectors,
    wrapped_positions,
)
from lodewell.crystals.neighbours.pairs import any_large, batch_pairs, fill_pairs
from lodewell.crystals.neighbours.skew import compact_cells
from lodewell.errors import BadCrystal

__all__ = [
    "COINCIDENT",
    "NO_PLACE",
    "Neighbours",
    "most_images",
    "neighbour_list",
    "shift_vectors",
    "wrapped_positions",
]

NO_PLACE = "positions or cell are not finite, or its cell has no volume: mend or leave out this crystal"
COINCIDENT = 1e-6  # Å; two atoms this close stand in one place, where no potential has a force
_SLACK = 0.12  # room each crystal's segment keeps, so that an update rarely moves the others


@dataclass
class Neighbours:
    """All pairs of a batch closer than `cutoff + skin`, grouped by their central atom.

    | field | shape | meaning |
    |---|---|---|
    | `first_n`, `last_n` | (N,) | pairs of atom n are `first_n[n]:last_n[n]` |
    | `j_p` | (P,) | the other atom, counted from the first atom of its crystal |
    | `image_p` | (P,) | code of its lattice translation, a row of `shift_vectors` |
    | `wraps_nc` | (N, 3) | whole cells that bring each atom into its cell |
    | `reach_bc` | (B, 3) | translations run from -reach to +reach along each vector; -1 for a crystal of `no_place_b` |
    | `nearest_b` | (B,) | least distance of a pair when the list was built, Å; -1 until somebody asks |

    With `half` every pair stands once, else at both of its atoms. The list stays valid while
    `update` is called with each new geometry: it rebuilds a crystal only when a pair could have come in unseen.
    """

    cutoff: float
    skin: float
    half: bool
    first_n: Ints
    last_n: Ints
    j_p: NDArray[np.int32]
    image_p: NDArray[np.int32]
    wraps_nc: NDArray[np.int32]
    reach_bc: Ints
    segment_b: Ints
    reference_nc: Floats
    reference_bcc: Floats
    nearest_b: Floats
    rebuilds: int = 0

    @classmethod
    def build(cls, batch: Batch, cutoff: float, skin: float = 0.0, half: bool = True) -> Neighbours:
        """Find all pairs; `cutoff` and `skin` in Å."""
        cells = complete_cells(batch.cell_bcc, batch.pbc_bc)
        j_p, image_p, first_n, last_n, wraps_nc, reach_bc, segment_b = batch_pairs(
            batch.positions_nc, cells, batch.pbc_bc, batch.first_b, cutoff + skin, half, _SLACK if skin else 0.0
        )
        return cls(
            cutoff, skin, half, first_n, last_n, j_p, image_p, wraps_nc, reach_bc, segment_b,
            batch.positions_nc.copy(), cells, np.full(len(batch), -1.0),
        )  # fmt: skip

    @property
    def no_place_b(self) -> Flags:
        """Crystals without neighbours because positions or cell are not finite, or the cell has no volume; (B,)."""
        return np.asarray(self.reach_bc[:, 0] < 0)

    def refusal(self, batch: Batch, coincident: bool = False) -> tuple[int, str] | None:
        """Return a crystal without a place in space, or with two atoms in one, and why it cannot be computed.

        coincident: leave two atoms in one place alone.
        """
        if (no_place_b := self.no_place_b).any():
            return int(no_place_b.argmax()), NO_PLACE
        if coincident:
            return None
        cells = complete_cells(batch.cell_bcc, batch.pbc_bc)
        b, i, j = pair_in_one_place(
            batch.positions_nc, cells, batch.first_b, COINCIDENT, self.reference_nc, self.reference_bcc, self.nearest_b,
            self.first_n, self.last_n, self.j_p, self.image_p, self.wraps_nc, self.reach_bc,
        )  # fmt: skip
        return None if b < 0 else (int(b), in_one_place(int(i), int(j)))

    def update(self, batch: Batch) -> None:
        """Make the list valid for the moved crystals of `batch`, rebuilding only those that moved too far."""
        cells = complete_cells(batch.cell_bcc, batch.pbc_bc)
        if not self._updated(batch, cells):
            self.__dict__.update(
                Neighbours.build(batch, self.cutoff, self.skin, self.half).__dict__, rebuilds=self.rebuilds + 1
            )

    def _updated(self, batch: Batch, cells_bcc: Floats) -> bool:
        """Rebuild the crystals that moved too far where their pairs stand; False when one no longer fits there."""
        if not self.skin:
            return False
        far_b = moved_far(
            batch.positions_nc, cells_bcc, batch.first_b, self.cutoff, self.skin,
            self.reference_nc, self.reference_bcc, self.nearest_b,
        )  # fmt: skip
        if not far_b.any():
            return True
        *_, fitted = fill_pairs(
            batch.positions_nc, cells_bcc, batch.pbc_bc, batch.first_b, far_b, self.cutoff + self.skin, self.half,
            True, 0.0, any_large(batch.first_b), self.j_p, self.image_p, self.first_n, self.last_n,
            self.wraps_nc, self.reach_bc, self.segment_b,
        )  # fmt: skip
        return bool(fitted)

    def take(self, batch: Batch, crystals: Ints) -> Neighbours:
        """Keep the pairs of these crystals; `batch` is the one before `Batch.take`."""
        none = np.zeros(0, np.int64)
        atoms = np.concatenate([none, *(np.arange(batch.first_b[b], batch.first_b[b + 1]) for b in crystals)])
        pairs = np.concatenate([none, *(np.arange(self.segment_b[b], self.segment_b[b + 1]) for b in crystals)])
        length_b = np.diff(self.segment_b)[crystals]
        segment_b = np.zeros(len(crystals) + 1, np.int64)
        np.cumsum(length_b, out=segment_b[1:])
        offset_n = np.repeat(segment_b[:-1] - self.segment_b[:-1][crystals], batch.count_b[crystals])
        return Neighbours(
            self.cutoff, self.skin, self.half,
            self.first_n[atoms] + offset_n, self.last_n[atoms] + offset_n,
            self.j_p[pairs], self.image_p[pairs], self.wraps_nc[atoms], self.reach_bc[crystals], segment_b,
            self.reference_nc[atoms], self.reference_bcc[crystals], self.nearest_b[crystals],
            self.rebuilds,
        )  # fmt: skip


def in_one_place(i: int, j: int) -> str:
    """Say that two atoms, counted from 0, coincide; people count from 1."""
    return f"atoms {i + 1} and {j + 1} stand in the same place: take one of them out"


def neighbour_list(atoms: Atoms, cutoff: float, half: bool = False) -> tuple[Ints, Ints, NDArray[np.int64], Floats]:
    """List every pair of one crystal closer than `cutoff` (Å), in the layout of ASE's ``neighbor_list("ijSD")``.

    Returns `i_p`, `j_p` (P,), the cells between them `shift_pc` (P, 3) and `vector_pc` = x_j + S·h - x_i (P, 3) in Å.
    With `half` each pair stands once.

    Raises:
        BadCrystal: when positions or cell are not finite, or a periodic cell has no volume.
    """
    cell, pbc = np.ascontiguousarray(atoms.cell.array, dtype=np.float64), np.asarray(atoms.pbc)
    if not pbc.all():
        cell = complete_cells(cell[None], pbc[None])[0]
    positions = np.ascontiguousarray(atoms.positions, dtype=np.float64)
    compact = compact_cells(cell[None], pbc[None])[0]
    i_p, j_p, cells_pc, vector_pc, sane = list_pairs(positions, compact, pbc, float(cutoff), half)
    if not sane:
        raise BadCrystal(f"{atoms.get_chemical_formula()}: {NO_PLACE}")
    if not np.array_equal(compact, cell):
        cells_pc = cells_pc @ np.rint(compact @ np.linalg.inv(cell)).astype(np.int64)
    return i_p, j_p, cells_pc, vector_pc
