"""SOAP and its kernel: vectors of atoms, energies and forces by the adjoint, rows of a fit."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.descriptors._soap import soap_vectors
from lodewell.descriptors._soap_gradients import scatter_rows, soap_forces, soap_gradients
from lodewell.descriptors.environments import Soap
from lodewell.descriptors.legs import Legs
from lodewell.descriptors.soap import geometry
from lodewell.potentials.gap.kernel import Environments, Kernel, Rows

_GEMM = 512  # rows of gradients multiplied at once


class SoapKernel(Kernel):
    """δ² (p · p')^ζ between an atom's power spectrum and the sparse points' (M, D), each of length 1."""

    descriptor: Soap

    def _geometry(self, legs: Legs) -> tuple[Any, ...]:
        return geometry(self.descriptor, legs)

    def environments(self, legs: Legs) -> Environments:
        """Return the power spectra (E, D) of the atoms of its element."""
        centre_k = legs.of_species(self.descriptor.centre)
        p_kd, _, _ = soap_vectors(centre_k, *self._geometry(legs))
        return Environments(p_kd, np.ones(len(centre_k)), centre_k)

    def covariance(self, x_ed: Floats, y_ed: Floats) -> Floats:
        """Return δ² (x · y)^ζ, (E, E')."""
        return np.asarray(self.delta**2 * np.maximum(x_ed @ y_ed.T, 0.0) ** self.descriptor.zeta)

    def add(self, legs: Legs, weights_m: Floats, energies: Floats, forces: Floats, virials: Floats) -> None:
        """Add Σ_m w_m k(p, p_m) of each atom, its forces and virials: dE/dp first, then back to the atoms."""
        centre_k = legs.of_species(self.descriptor.centre)
        if not len(centre_k):
            return
        geometry = self._geometry(legs)
        p_kd, norm_k, c = soap_vectors(centre_k, *geometry)
        points, zeta = self._points(weights_m), self.descriptor.zeta
        dots = np.maximum(p_kd.astype(points.dtype, copy=False) @ points.T, 0.0)
        weights = self.delta**2 * weights_m
        lower = _power(dots, zeta - 1.0)
        energies[centre_k] += np.einsum("km,km,m->k", lower, dots, weights, optimize=True)
        lower *= (zeta * weights).astype(points.dtype)
        g_kd = np.asarray(lower @ points, dtype=np.float64)
        soap_forces(centre_k, *geometry, p_kd, norm_k, c, g_kd, legs.crystal_n, forces, virials)

    def _points(self, weights_m: Floats) -> NDArray[np.floating[Any]]:
        return self._single if self.single else self.points_md

    @cached_property
    def _single(self) -> NDArray[np.float32]:
        return self.points_md.astype(np.float32)

    def rows(self, legs: Legs, rows: Rows, derivatives: bool) -> None:
        """Add to the rows of a fit: one product of gradients and points a few atoms."""
        centre_k = legs.of_species(self.descriptor.centre)
        if not len(centre_k):
            return
        geometry = self._geometry(legs)
        p_kd, norm_k, c = soap_vectors(centre_k, *geometry)
        dots = np.maximum(p_kd @ self.points_md.T, 0.0)
        zeta = self.descriptor.zeta
        lower = self.delta**2 * _power(dots, zeta - 1.0)
        rows.energies_nm[centre_k - rows.first] += lower * dots
        if not derivatives:
            return
        slope_km = zeta * lower
        most = int(np.diff(legs.start_k).max(initial=0))
        together = max(1, _GEMM // max(1, 3 * most))
        out = np.empty((together * 3 * most, p_kd.shape[1]))
        pair_km = np.empty((together, most + 4), dtype=np.int64)
        for first in range(0, len(centre_k), together):
            used: list[int] = []
            at = [0]
            for k in range(first, min(first + together, len(centre_k))):
                room = out[at[-1] : at[-1] + 3 * most]
                used.append(
                    soap_gradients(
                        int(centre_k[k]), *geometry, p_kd[k], norm_k[k], c[k], room, pair_km[k - first]
                    )
                )  # fmt: skip
                at.append(at[-1] + 3 * used[-1])
            products = out[: at[-1]] @ self.points_md.T
            for n, count in enumerate(used):
                k = first + n
                scatter_rows(
                    int(centre_k[k]), count, pair_km[n], legs.j_p, legs.vector_pc, products[at[n] : at[n + 1]],
                    slope_km[k], legs.crystal_n, rows.forces_ncm, rows.virials_bccm, rows.first,
                )  # fmt: skip

    def self_covariance(self, environments: Environments, count: int) -> Floats:
        """Return k(p, p) = δ² of the atoms that have a spectrum, (N,)."""
        out = np.zeros(count)
        out[environments.atom_e] = self.delta**2
        return out


def _power(x: NDArray[Any], zeta: float) -> NDArray[Any]:
    """Return x^ζ; whole powers by multiplication."""
    if zeta == int(zeta) and 0 <= zeta <= 8:
        out = np.ones_like(x)
        for _ in range(int(zeta)):
            out *= x
        return out
    return np.asarray(x**zeta)
