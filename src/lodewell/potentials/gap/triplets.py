"""The normalised kernel of triplets of distances, as in the published potentials of carbon: evaluated, not fitted.

Deringer & Csányi, PRB 95, 094203 (2017); the normalisation was found by holding against quippy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from lodewell.crystals.batch import Floats, Ints
from lodewell.descriptors.environments import Triplet
from lodewell.descriptors.legs import Legs
from lodewell.errors import BadOption
from lodewell.potentials.gap._triplets import EXCHANGES, triplet_sums, triplets
from lodewell.potentials.gap.kernel import Environments, Kernel, Rows


class TripletKernel(Kernel):
    """Triplets around each of their atoms that has both legs in reach; a third of the energy is at each atom."""

    descriptor: Triplet

    @cached_property
    def _exchanges(self) -> Ints:
        return exchanges(self.descriptor)

    @cached_property
    def _lengths(self) -> Floats:
        lengths = np.array(self.descriptor.lengths)
        return np.full(3, lengths.mean()) if len(self._exchanges) > 1 else lengths

    def _found(self, legs: Legs) -> Iterator[tuple[Any, ...]]:
        """Yield the triplets around each element."""
        d = self.descriptor
        for z in sorted(set(d.species)):
            others = list(d.species)
            others.remove(z)
            type_z = np.zeros(119, dtype=np.int64)
            type_z[others] = (3, 3) if others[0] == others[1] else (1, 2)
            yield triplets(
                legs.of_species(z), legs.begin, legs.start_k, legs.r_p, legs.j_p, legs.vector_pc,
                type_z[legs.species_n], d.cutoff, d.width,
            )  # fmt: skip

    def environments(self, legs: Legs) -> Environments:
        """Return the distances (E, 3) of the triplets, at their centres."""
        found = list(self._found(legs))
        x_ed, fades, atom_e = (np.concatenate([one[k] for one in found]) for k in (1, 2, 3))
        return Environments(x_ed, fades[:, 0] * fades[:, 2], atom_e)

    def covariance(self, x_ed: Floats, y_ed: Floats) -> Floats:
        """Return the normalised kernel times δ²."""
        norm = np.sqrt(self._norm(x_ed)[:, None] * self._norm(y_ed))
        summed = sum(_gaussian(x_ed[:, None, p] - y_ed, self._lengths) for p in self._exchanges)
        return np.asarray(self.delta**2 * summed / norm)

    def _norm(self, x_ed: Floats) -> Floats:
        return np.asarray(sum(_gaussian(x_ed[:, p] - x_ed, self._lengths) for p in self._exchanges))

    def add(self, legs: Legs, weights_m: Floats, energies: Floats, forces: Floats, virials: Floats) -> None:
        """Sum over triplets and sparse points."""
        points = np.concatenate([self.points_md[:, p] for p in self._exchanges])
        weights = self.delta**2 * weights_m * self.cutoff_m / np.sqrt(self._norm(self.points_md))
        for pair, x_ed, fades, atom_e in self._found(legs):
            triplet_sums(
                pair, x_ed, fades, atom_e, legs.vector_pc, legs.j_p, self._lengths, self._exchanges, points,
                np.tile(weights, len(self._exchanges)), legs.crystal_n, energies, forces, virials,
            )  # fmt: skip

    def rows(self, legs: Legs, rows: Rows, derivatives: bool) -> NoReturn:
        """Refuse: fits use angles, whose kernel does the same without norms."""
        raise BadOption(f"{self.descriptor.name}: such terms are read from files, not fitted: fit with angles")

    def self_covariance(self, environments: Environments, count: int) -> NoReturn:
        """Refuse as `rows` does."""
        raise BadOption(f"{self.descriptor.name}: such terms come without uncertainties: fit with angles")


def exchanges(d: Triplet) -> Ints:
    """Return how the slots (r_ij, r_ik, r_jk) change when equal atoms are exchanged, (P, 3)."""
    return EXCHANGES if len(set(d.species)) == 1 else EXCHANGES[:1]


def _gaussian(difference: Floats, lengths: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * ((difference / lengths) ** 2).sum(axis=-1)))
