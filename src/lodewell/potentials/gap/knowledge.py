"""What a Gaussian approximation potential knows of its own errors.

The weights have the posterior covariance Σ⁻¹, Σ = K_MM + K_MN Λ⁻¹ K_NM. An atom's energy has the variance
k** - k_*M (K_MM⁻¹ - Σ⁻¹) k_M* (Quiñonero-Candela & Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005), eq. 24b); total
energies, forces and stresses have the projected part k_*M Σ⁻¹ k_M*, because the rest would need every pair of atoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from lodewell.crystals.batch import Floats
from lodewell.potentials.base import Uncertainty
from lodewell.potentials.gap.design import Design

if TYPE_CHECKING:
    from lodewell.potentials.gap.gap import GAP


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The posterior of the weights in white coordinates, and an error model found on held-out frames.

    The variance of a number with row φ is scale · φᵀ (RᵀR)⁻¹ φ + floor.

    | field | meaning |
    |---|---|
    | `design` | the sparse points |
    | `factor_mm` | upper triangle R (M, M): RᵀR = 1 + Σ rows' products over their variances |
    | `energy`, `force`, `stress` | scale and floor: of energy per atom (eV²), force (eV²/Å²), stress (eV²/Å⁶) |
    | `grade` | the largest standard deviation of an atom's energy in the training data, eV |
    """

    design: Design
    factor_mm: NDArray[np.floating[Any]]
    energy: tuple[float, float] = (1.0, 0.0)
    force: tuple[float, float] = (1.0, 0.0)
    stress: tuple[float, float] = (1.0, 0.0)
    grade: float = 1.0

    def spread(self, rows_xm: Floats) -> Floats:
        """Return the projected variance of rows (X, M) by the weights, (X,)."""
        return self.white_spread(self.design.whitened(rows_xm))

    def white_spread(self, white_xm: Floats) -> Floats:
        """Return the projected variance of rows that are white already, (X,)."""
        white = white_xm.T.astype(self.factor_mm.dtype)
        solved: Floats = solve_triangular(self.factor_mm, white, trans="T", check_finite=False)
        return np.asarray(np.einsum("mx,mx->x", solved, solved, dtype=float))

    @cached_property
    def _known_mm(self) -> Floats:
        """W with K_MM⁻¹ - Σ⁻¹ = W Wᵀ."""
        r = np.asarray(self.factor_mm, dtype=np.float64)
        inverse = solve_triangular(r, np.eye(len(r)), check_finite=False)
        values, vectors = np.linalg.eigh(np.eye(len(r)) - inverse @ inverse.T)
        white = vectors * np.sqrt(np.clip(values, 0.0, None))
        out: Floats = np.empty_like(white)
        for root, m in zip(self.design.roots, self.design.slices(), strict=True):
            out[m] = solve_triangular(root, white[m], check_finite=False)
        return np.asarray(out)

    def atomic(self, potential: GAP, atoms: Atoms) -> Floats:
        """Return the full standard deviation of each atom's energy, (N,) in eV."""
        return self.atomic_of(self.design.rows(atoms, derivatives=False).energies_nm, self.design.prior(atoms))

    def atomic_of(self, energies_nm: Floats, prior_n: Floats) -> Floats:
        """Return the same from the rows of the atoms and their prior variances."""
        told = energies_nm @ self._known_mm
        variance_n: Floats = prior_n - np.einsum("nm,nm->n", told, told)
        return np.sqrt(np.maximum(variance_n, 0.0))

    def of(self, potential: GAP, atoms: Atoms) -> Uncertainty:
        """Return the standard deviations on one crystal."""
        rows, count = self.design.rows(atoms), len(atoms)
        volume = atoms.get_volume() if atoms.pbc.all() else 0.0
        energy = self.spread(rows.energies_nm.mean(axis=0)[None])[0]
        stress_cc = None
        if volume:
            virials = rows.virials_bccm[0].reshape(9, -1)
            stress_cc = _deviation(self.spread(virials) / volume**2, self.stress).reshape(3, 3)
        forces = _deviation(self.spread(rows.forces_ncm.reshape(3 * count, -1)), self.force)
        return Uncertainty(
            energy=count * float(_deviation(energy, self.energy)),
            forces_nc=forces.reshape(count, 3),
            stress_cc=stress_cc,
            grade_n=self.atomic_of(rows.energies_nm, self.design.prior(atoms)) / self.grade,
        )

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold the triangle in single precision, and the error model."""
        meta = {k: getattr(self, k) for k in ("energy", "force", "stress", "grade")}
        size = len(self.factor_mm)
        return meta, {"factor": self.factor_mm[np.triu_indices(size)].astype(np.float32)}

    @classmethod
    def from_state(cls, potential: GAP, meta: dict[str, Any], arrays: dict[str, Any]) -> Knowledge:
        """Make it again; the potential has the sparse points."""
        design = Design([term.kernel() for term in potential.terms])
        factor = np.zeros((design.columns, design.columns), dtype=np.float32)
        factor[np.triu_indices(design.columns)] = arrays["factor"]
        energy, force, stress = ((float(a), float(b)) for a, b in (meta[k] for k in ("energy", "force", "stress")))
        return cls(design, factor, energy, force, stress, meta["grade"])


def _deviation(spread: Any, model: tuple[float, float]) -> Any:
    return np.sqrt(model[0] * spread + model[1])
