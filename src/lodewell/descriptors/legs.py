"""A block of atoms with the vectors to their neighbours, the form in which every descriptor sees a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.blocks import blocks, gather, wrapped
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.crystals.types import type_table


@dataclass(frozen=True)
class Legs:
    """Atoms `begin` to `end` of a batch and their neighbours within a cutoff, one after the other.

    | field | shape | meaning |
    |---|---|---|
    | `start_k` | (end - begin + 1,) | neighbours of atom i are `start_k[i - begin]:start_k[i - begin + 1]` |
    | `r_p`, `vector_pc` | (P,), (P, 3) | distance and vector to the neighbour, Å |
    | `j_p` | (P,) | the neighbour, counted in the batch |
    | `species_n`, `crystal_n` | (N,) | atomic number and crystal of every atom of the batch |
    """

    begin: int
    end: int
    start_k: Ints
    r_p: Floats
    j_p: Ints
    vector_pc: Floats
    species_n: Ints
    crystal_n: Ints

    @classmethod
    def of(cls, batch: Batch, neighbours: Neighbours, cutoff: float, pairs: int = 1 << 14) -> Iterator[Legs]:
        """Yield the atoms of a batch in blocks of about `pairs` pairs; the list must hold each pair at both atoms."""
        n = neighbours
        x_nc = wrapped(batch.positions_nc, batch.cell_bcc, batch.first_b, n.wraps_nc)
        for begin, end in blocks(n.first_n, n.last_n, pairs):
            r_p, i_p, j_p, vector_pc = gather(
                begin, end, x_nc, batch.cell_bcc, batch.crystal_n, batch.first_b, cutoff,
                n.first_n, n.last_n, n.j_p, n.image_p, n.reach_bc,
            )  # fmt: skip
            start_k = np.searchsorted(i_p, np.arange(begin, end + 1))
            yield cls(begin, end, start_k, r_p, j_p, vector_pc, batch.species_n, batch.crystal_n)

    @classmethod
    def of_atoms(cls, atoms: Atoms, cutoff: float, pairs: int = 1 << 14) -> Iterator[Legs]:
        """Yield the atoms of one crystal in blocks."""
        batch = Batch.from_atoms(atoms)
        yield from cls.of(batch, Neighbours.build(batch, cutoff, 0.0, half=False), cutoff, pairs)

    def of_species(self, species: int) -> Ints:
        """Return the atoms of the block with this atomic number."""
        return self.begin + np.flatnonzero(self.species_n[self.begin : self.end] == species)

    def types(self, species: tuple[int, ...]) -> Ints:
        """Return the place of each atom's element in `species`, -1 for others; (N,)."""
        return np.asarray(type_table(species)[self.species_n])
