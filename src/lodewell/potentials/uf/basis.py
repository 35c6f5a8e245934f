"""The coefficients of a UF potential in one row, and what energies, forces and stresses are as functions of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.crystals.types import type_table
from lodewell.potentials.bspline import Axis
from lodewell.potentials.uf._embedding_sums import embedding_rows
from lodewell.potentials.uf._rows import uf_rows
from lodewell.potentials.uf.embedding import Embedding, FlatEmbedding
from lodewell.potentials.uf.flat import Axes
from lodewell.potentials.uf.splines import Pair, Spline2, Spline3, Triple
from lodewell.potentials.uf.uf import UF


@dataclass(frozen=True)
class Rows:
    """Energies (eV), forces (eV/Å) and virial (eV) of one crystal per unit of each of P coefficients.

    | field | shape |
    |---|---|
    | `energy_np` | (N, P) of each atom, or (1, P) of all |
    | `forces_ncp` | (N, 3, P) |
    | `virial_vp` | (6, P): xx yy zz yz xz xy |
    """

    energy_np: Floats
    forces_ncp: Floats
    virial_vp: Floats


@dataclass(frozen=True)
class Block:
    """The coefficients of one three-body function: those of functions x, y begin at `base_xy` and are of z in a range.

    Only functions that some triangle reaches have a coefficient; the two orders of two equal legs share theirs. Indices
    count three functions that do not exist before the first.
    """

    axes: tuple[Axis, Axis, Axis]
    base_xy: Ints
    range_xyz: Ints
    first: int
    count: int

    @classmethod
    def reachable(cls, axes: tuple[Axis, Axis, Axis], symmetric: bool, first: int) -> Block:
        """Give the coefficients numbers from `first` on."""
        x, y, z = axes
        base_xy = np.full((x.size + 6, y.size + 6), -1)
        range_xyz = np.zeros((x.size + 6, y.size + 6, 2), dtype=np.int64)
        count = 0
        for m in range(x.size):
            for n in range(m if symmetric else 0, y.size):
                nearest = max(0.0, x.knots_k[m] - y.knots_k[n + 4], y.knots_k[n] - x.knots_k[m + 4])
                farthest = x.knots_k[m + 4] + y.knots_k[n + 4]
                here = np.flatnonzero((z.knots_k[4:] > nearest) & (z.knots_k[:-4] < farthest))
                if not len(here):
                    continue
                for a, b in ((m, n), (n, m)) if symmetric else ((m, n),):
                    base_xy[a + 3, b + 3] = first + count
                    range_xyz[a + 3, b + 3] = here[0] + 3, here[-1] + 4
                count += len(here)
        return cls(axes, base_xy, range_xyz, first, count)

    @cached_property
    def place_xyz(self) -> Ints:
        """The column of each coefficient, -1 where there is none; (sizes of the three axes)."""
        x, y, z = (axis.size for axis in self.axes)
        place = np.full((x, y, z), -1)
        for m in range(x):
            for n in range(y):
                if (base := self.base_xy[m + 3, n + 3]) >= 0:
                    begin, end = self.range_xyz[m + 3, n + 3] - 3
                    place[m, n, begin:end] = base + np.arange(end - begin)
        return place


class UFBasis:
    """The space of UF potentials on given axes.

    Columns: energies of lone atoms by species, then the curves in order of `pairs`, then the blocks of `triples`, then
    the embeddings by species.
    """

    def __init__(
        self,
        species: tuple[int, ...],
        pairs: Mapping[Pair, Axis],
        triples: Mapping[Triple, tuple[Axis, Axis, Axis]] | None = None,
        embeddings: Mapping[int, Embedding] | None = None,
    ) -> None:
        self.species = tuple(sorted(species))
        self.pairs = dict(pairs)
        self.columns_of: dict[Pair, slice] = {}
        at = len(self.species)
        for pair, axis in self.pairs.items():
            self.columns_of[pair] = slice(at, at + axis.size)
            at += axis.size
        self.blocks: dict[Triple, Block] = {}
        for triple, axes in (triples or {}).items():
            block = self.blocks[triple] = Block.reachable(axes, triple[1] == triple[2], at)
            at += block.count
        self.pair_and_triple_columns = at
        self.embeddings = {z: (embeddings or {})[z] for z in self.species if z in (embeddings or {})}
        self.embedding_columns: dict[int, slice] = {}
        for z, embedding in self.embeddings.items():
            self.embedding_columns[z] = slice(at, at + embedding.count)
            at += embedding.count
        self.columns = at
        ends = [axis.high for axis in self.pairs.values()]
        ends += [axis.high for block in self.blocks.values() for axis in block.axes[:2]]
        ends += [embedding.cutoff for embedding in self.embeddings.values()]
        self.cutoff = max(ends, default=0.0)

    @classmethod
    def of(cls, potential: UF) -> UFBasis:
        """Return the space that a potential lies in."""
        pairs = {pair: s.axis for pair, s in potential.pairs.items()}
        triples = {triple: s.axes for triple, s in potential.triples.items()}
        return cls(tuple(potential.energies), pairs, triples, potential.embeddings)

    def potential(self, coefficients_p: Floats) -> UF:
        """Return the potential of these coefficients."""
        energies = {z: float(e) for z, e in zip(self.species, coefficients_p, strict=False)}
        pairs = {pair: Spline2(self.pairs[pair], coefficients_p[s].copy()) for pair, s in self.columns_of.items()}
        triples = {}
        for triple, block in self.blocks.items():
            c = np.where(block.place_xyz >= 0, coefficients_p[block.place_xyz], 0.0)
            triples[triple] = Spline3(block.axes, c)
        embeddings = {
            z: self.embeddings[z].with_coefficients(coefficients_p[s]) for z, s in self.embedding_columns.items()
        }
        return UF(energies, pairs, triples, embeddings)

    def coefficients(self, potential: UF) -> Floats:
        """Return the coefficients (P,) of a potential on the same axes."""
        out = np.zeros(self.columns)
        out[: len(self.species)] = [potential.energies[z] for z in self.species]
        for pair, s in self.columns_of.items():
            out[s] = potential.pairs[pair].coefficients_m
        for triple, block in self.blocks.items():
            known = block.place_xyz >= 0
            out[block.place_xyz[known]] = potential.triples[triple].coefficients_xyz[known]
        for z, s in self.embedding_columns.items():
            out[s] = potential.embeddings[z].flat_p
        return out

    def rows(self, atoms: Atoms, each_atom: bool = False) -> Rows:
        """Return energies, forces and virial of a crystal per coefficient."""
        batch = Batch.from_atoms([atoms])
        n = Neighbours.build(batch, self.cutoff, half=False)
        type_z, arrays = self._flat
        energy, forces, virial = uf_rows(
            batch.positions_nc, batch.cell_bcc[0], type_z[batch.species_n], n.first_n, n.last_n, n.j_p, n.image_p,
            n.wraps_nc, n.reach_bc[0], self.cutoff, arrays[0], each_atom, self.columns, *arrays[1:],
        )  # fmt: skip
        if self.embeddings:
            self._embed(batch, n, each_atom, Rows(energy, forces, virial))
        return Rows(energy, forces, virial)

    def densities(self, atoms: Atoms) -> Floats:
        """Return the densities of each atom's embedding, (N, most densities of an element)."""
        batch = Batch.from_atoms([atoms])
        n = Neighbours.build(batch, self.cutoff, half=False)
        at, none = self.pair_and_triple_columns, np.zeros((0, 3, 0))
        return self._embed(batch, n, False, Rows(np.zeros((0, at)), none, none[:, 0]))

    def _embed(self, batch: Batch, n: Neighbours, each_atom: bool, rows: Rows) -> Floats:
        """Add the columns of the embeddings to the rows; return the densities."""
        zero_p, arrays = self._flat_embedding
        values = np.zeros((len(batch.species_n), max(len(e.densities) for e in self.embeddings.values())))
        embedding_rows(
            batch.positions_nc, batch.cell_bcc[0], self._flat[0][batch.species_n], n.first_n, n.last_n, n.j_p,
            n.image_p, n.wraps_nc, n.reach_bc[0], self.cutoff, each_atom, self.pair_and_triple_columns, zero_p,
            rows.energy_np, rows.forces_ncp, rows.virial_vp, values, *arrays,
        )  # fmt: skip
        return values

    @cached_property
    def _flat_embedding(self) -> tuple[Floats, tuple[Any, ...]]:
        axes = Axes()
        flat = FlatEmbedding.of(self.embeddings, self.species, axes)
        zero_p = np.concatenate([embedding.zero_p for embedding in self.embeddings.values()])
        return zero_p, (*axes.arrays(), *flat.arrays)

    @cached_property
    def _flat(self) -> tuple[Ints, tuple[Any, ...]]:
        count = len(self.species)
        type_of = {z: t for t, z in enumerate(self.species)}
        type_z = type_table(self.species)
        axes = Axes()
        pair_axis, pair_column, pair_size = (np.full((count, count), -1) for _ in range(3))
        for (a, b), axis in self.pairs.items():
            for i, j in ((type_of[a], type_of[b]), (type_of[b], type_of[a])):
                pair_axis[i, j], pair_column[i, j] = axes.index(axis), self.columns_of[a, b].start
                pair_size[i, j] = axis.size
        leg_tt, table = np.zeros((count, count)), np.full((count, count, count), -1)
        triple_axes = np.zeros((len(self.blocks), 3), np.int64)
        widest = max((max(b.base_xy.shape) for b in self.blocks.values()), default=0)
        base_txy = np.full((len(self.blocks), widest, widest), -1)
        range_txy = np.zeros((len(self.blocks), widest, widest, 2), np.int64)
        for t, (triple, block) in enumerate(self.blocks.items()):
            i, j, k = (type_of[z] for z in triple)
            table[i, j, k] = t
            triple_axes[t] = [axes.index(axis) for axis in block.axes]
            leg_tt[i, j] = max(leg_tt[i, j], block.axes[0].high)
            leg_tt[i, k] = max(leg_tt[i, k], block.axes[1].high)
            x, y = block.base_xy.shape
            base_txy[t, :x, :y], range_txy[t, :x, :y] = block.base_xy, block.range_xyz
        arrays = (
            leg_tt, *axes.arrays(), pair_axis, pair_column, pair_size, triple_axes, table, base_txy, range_txy
        )  # fmt: skip
        return type_z, arrays
