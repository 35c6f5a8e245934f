"""What every descriptor brings: its environments, the covariance between them, energies and forces, rows of a fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from lodewell.crystals.batch import Floats, Ints
from lodewell.descriptors.environments import Descriptor
from lodewell.descriptors.legs import Legs


@dataclass(frozen=True)
class Environments:
    """Descriptors found in a block: values (E, D), their cutoff factors (E,), and the atoms they belong to (E,)."""

    x_ed: Floats
    fade_e: Floats
    atom_e: Ints


@dataclass(frozen=True)
class Rows:
    """Derivatives of energies, forces and virials by the weights of the sparse points, of atoms from `first` on.

    | field | shape |
    |---|---|
    | `energies_nm` | (N, M) |
    | `forces_ncm` | (N, 3, M) |
    | `virials_bccm` | (B, 3, 3, M) |
    """

    energies_nm: Floats
    forces_ncm: Floats
    virials_bccm: Floats
    first: int = 0

    def columns(self, m: slice) -> Rows:
        """Return the part of some sparse points."""
        return Rows(self.energies_nm[:, m], self.forces_ncm[..., m], self.virials_bccm[..., m], self.first)


class Kernel(ABC):
    """A descriptor with its sparse points (M, D), δ in eV, and the points' cutoff factors (M,).

    single: multiply matrices in single precision, which halves the time of a prediction.
    """

    def __init__(
        self, descriptor: Descriptor, delta: float, points_md: Floats, cutoff_m: Floats, single: bool = False
    ) -> None:
        self.descriptor = descriptor
        self.delta = float(delta)
        self.points_md = np.ascontiguousarray(points_md, dtype=np.float64)
        self.cutoff_m = np.ascontiguousarray(cutoff_m, dtype=np.float64)
        self.single = single

    @abstractmethod
    def environments(self, legs: Legs) -> Environments:
        """Return the descriptors of the atoms of a block."""

    @abstractmethod
    def covariance(self, x_ed: Floats, y_ed: Floats) -> Floats:
        """Return the covariance (eV²) between descriptors (E, D) and (E', D), without cutoff factors."""

    @abstractmethod
    def add(self, legs: Legs, weights_m: Floats, energies: Floats, forces: Floats, virials: Floats) -> None:
        """Add energies (N,), forces (N, 3) and virials (B, 3, 3) of a block; `weights_m` (M,) in 1/eV."""

    @abstractmethod
    def rows(self, legs: Legs, rows: Rows, derivatives: bool) -> None:
        """Add to energies, and if asked to forces and virials, by each sparse point."""

    @abstractmethod
    def self_covariance(self, environments: Environments, count: int) -> Floats:
        """Return the prior variance of the energy of each of `count` atoms, (N,) in eV²."""

    def points_covariance(self) -> Floats:
        """Return the covariance between sparse points with their cutoff factors, (M, M)."""
        return self.covariance(self.points_md, self.points_md) * self.cutoff_m[:, None] * self.cutoff_m
