"""Squared-exponential kernels of distances and of triplets."""

from __future__ import annotations

from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats, Ints
from lodewell.descriptors.environments import Angle, Distance
from lodewell.descriptors.legs import Legs
from lodewell.descriptors.soap_radial import through_chebyshev
from lodewell.potentials.gap._squared_exponential import (
    angle_rows,
    angle_sums,
    angles,
    distance_rows,
    distance_sums,
    distances,
    double_sums,
)
from lodewell.potentials.gap.kernel import Environments, Kernel, Rows

_NONE = -9  # an atom that no pair has


class DistanceKernel(Kernel):
    """δ² f(r) f(r') exp(-(r - r')² / 2 θ²) over ordered pairs: half of each pair's energy is at each atom."""

    descriptor: Distance
    _tabulated: tuple[Floats, Floats, float] | None = None  # weights, and the curve they make

    def _types(self, legs: Legs) -> Ints:
        first, second = self.descriptor.species
        type_z = np.full(119, _NONE, dtype=np.int64)
        type_z[[first, second]] = (2, 2) if first == second else (0, 1)
        return np.asarray(type_z[legs.species_n])

    def _geometry(self, legs: Legs) -> tuple[Any, ...]:
        return legs.begin, legs.end, legs.start_k, legs.r_p, legs.j_p

    def environments(self, legs: Legs) -> Environments:
        """Return the distances (E, 1) of the ordered pairs."""
        d = self.descriptor
        r_e, fade_e, atom_e = distances(*self._geometry(legs), self._types(legs), d.cutoff, d.width)
        return Environments(r_e[:, None], fade_e, atom_e)

    def covariance(self, x_ed: Floats, y_ed: Floats) -> Floats:
        """Return δ² exp(-(r - r')² / 2 θ²)."""
        return np.asarray(self.delta**2 * np.exp(-0.5 * ((x_ed - y_ed.T) / self.descriptor.length) ** 2))

    def add(self, legs: Legs, weights_m: Floats, energies: Floats, forces: Floats, virials: Floats) -> None:
        """Add the curve that the sparse points make together."""
        d = self.descriptor
        poly, step = self.curve(weights_m)
        distance_sums(
            *self._geometry(legs), legs.vector_pc, self._types(legs), d.cutoff, d.width, poly, step, legs.crystal_n,
            energies, forces, virials,
        )  # fmt: skip

    def curve(self, weights_m: Floats) -> tuple[Floats, float]:
        """Return Σ_m w_m k(r, r_m) without the cutoff as polynomials on equal intervals (K, POWERS), and their step."""
        if self._tabulated is None or not np.array_equal(self._tabulated[0], weights_m):
            d, w = self.descriptor, weights_m * self.cutoff_m
            poly, step = through_chebyshev(
                lambda r: self.covariance(r[:, None], self.points_md) @ w, d.cutoff, 0.2 * d.length
            )
            self._tabulated = weights_m.copy(), np.ascontiguousarray(poly), step
        return self._tabulated[1:]

    def energy(self, weights_m: Floats, r: Floats) -> Floats:
        """Return the energy of a dimer at distances r, eV: both of its ordered pairs."""
        d = self.descriptor
        fade = 0.5 + 0.5 * np.cos(np.pi * np.clip((r - d.cutoff + d.width) / d.width, 0.0, 1.0))
        sums = self.covariance(r.reshape(-1, 1), self.points_md) @ (weights_m * self.cutoff_m)
        return np.asarray(2.0 * fade * sums.reshape(r.shape))

    def rows(self, legs: Legs, rows: Rows, derivatives: bool) -> None:
        """Add to the rows of a fit."""
        d = self.descriptor
        distance_rows(
            *self._geometry(legs), legs.vector_pc, self._types(legs), d.cutoff, d.width, d.length,
            np.ascontiguousarray(self.points_md[:, 0]), self.cutoff_m, self.delta, legs.crystal_n, rows.first,
            derivatives, rows.energies_nm, rows.forces_ncm, rows.virials_bccm,
        )  # fmt: skip

    def self_covariance(self, environments: Environments, count: int) -> Floats:
        """Return the double sum over the pairs of each atom."""
        return _prior(self.delta, environments, np.array([self.descriptor.length]), count)


class AngleKernel(Kernel):
    """δ² f f' exp(-½ |(x - x') / θ|²) of triplets, both orders of the legs: all of its energy is at the centre."""

    descriptor: Angle

    def _types(self, legs: Legs) -> Ints:
        first, second = self.descriptor.others
        type_z = np.zeros(119, dtype=np.int64)
        type_z[[first, second]] = (3, 3) if first == second else (1, 2)
        return np.asarray(type_z[legs.species_n])

    def _geometry(self, legs: Legs) -> tuple[Any, ...]:
        d = self.descriptor
        centres = legs.of_species(d.centre)
        return (
            centres, legs.begin, legs.start_k, legs.r_p, legs.j_p, legs.vector_pc, self._types(legs), d.cutoff, d.width
        )  # fmt: skip

    def environments(self, legs: Legs) -> Environments:
        """Return the coordinates (E, 3) of every triplet, once."""
        x_ed, fade_e, atom_e = angles(*self._geometry(legs), 0)
        return Environments(x_ed, fade_e, atom_e)

    def covariance(self, x_ed: Floats, y_ed: Floats) -> Floats:
        """Return δ² exp(-½ |(x - x') / θ|²)."""
        x, y = x_ed / self.descriptor.lengths, y_ed / self.descriptor.lengths
        square = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2.0 * x @ y.T
        return np.asarray(self.delta**2 * np.exp(-0.5 * np.maximum(square, 0.0)))

    def add(self, legs: Legs, weights_m: Floats, energies: Floats, forces: Floats, virials: Floats) -> None:
        """Sum over triplets and sparse points."""
        weights = self.delta**2 * weights_m * self.cutoff_m
        angle_sums(
            *self._geometry(legs), self.descriptor.lengths, self.points_md, weights, legs.crystal_n,
            energies, forces, virials,
        )  # fmt: skip

    def rows(self, legs: Legs, rows: Rows, derivatives: bool) -> None:
        """Add to the rows of a fit."""
        angle_rows(
            *self._geometry(legs), self.descriptor.lengths, self.points_md, self.cutoff_m, self.delta, legs.crystal_n,
            rows.first, derivatives, rows.energies_nm, rows.forces_ncm, rows.virials_bccm,
        )  # fmt: skip

    def self_covariance(self, environments: Environments, count: int) -> Floats:
        """Return the double sum over the triplets of each atom, both orders of their legs."""
        return 4.0 * _prior(self.delta, environments, np.array(self.descriptor.lengths), count)


def _prior(delta: float, environments: Environments, lengths: Floats, count: int) -> Floats:
    """Return δ² Σ_ef f_e f_f exp(-½ |(x_e - x_f) / θ|²) over the descriptors of each of `count` atoms."""
    out = np.zeros(count)
    double_sums(environments.x_ed, environments.fade_e, environments.atom_e, lengths, out)
    return delta**2 * out
