"""Curves of pairs and surfaces of triples in cubic B-splines, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.potentials.bspline import Axis

if TYPE_CHECKING:
    pass

Pair = tuple[int, int]
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Spline2:
    """A curve: `coefficients_m` (size of the axis,) in eV. Below the axis it goes on with its slope there."""

    axis: Axis
    coefficients_m: Floats

    def __call__(self, r: Floats, derivative: int = 0) -> Floats:
        """Return the curve, or a derivative of it, at distances of any shape: eV, eV/Å, ..."""
        r = np.asarray(r, dtype=float)
        inside = np.maximum(r, self.axis.low).ravel()
        value = self.axis.design(inside, derivative) @ self.coefficients_m
        if derivative < 2:
            slope = self.axis.design(inside, 1) @ self.coefficients_m
            value = value + (r.ravel() - inside) * slope if derivative == 0 else slope
        return np.asarray(value.reshape(r.shape))


@dataclass(frozen=True)
class Spline3:
    """A three-body function V3(r_ij, r_ik, r_jk) of the central atom i: coefficients (sizes of the three axes) in eV.

    It is zero where a distance lies off its axis.
    """

    axes: tuple[Axis, Axis, Axis]
    coefficients_xyz: Floats

    def __call__(self, r_ij: Floats, r_ik: Floats, r_jk: Floats) -> Floats:
        """Return the function at distances of one common shape, eV."""
        shape = np.broadcast_shapes(np.shape(r_ij), np.shape(r_ik), np.shape(r_jk))
        x, y, z = (
            axis.design(np.broadcast_to(r, shape).ravel())
            for axis, r in zip(self.axes, (r_ij, r_ik, r_jk), strict=True)
        )
        value = np.einsum("mx,my,mz,xyz->m", x, y, z, self.coefficients_xyz, optimize=True)
        return np.asarray(value.reshape(shape))


def name(species: Sequence[int]) -> str:
    """Return "Si-O" for (14, 8)."""
    return "-".join(chemical_symbols[z] for z in species)


def numbers(named: str) -> tuple[int, ...]:
    """Return (14, 8) for "Si-O"."""
    return tuple(atomic_numbers[s] for s in named.split("-"))
