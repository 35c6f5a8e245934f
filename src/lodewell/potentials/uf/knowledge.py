"""What a fit knows of its own errors: standard deviations and the extrapolation grade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from lodewell.crystals.batch import Floats
from lodewell.potentials.base import Uncertainty

if TYPE_CHECKING:
    from lodewell.potentials.uf.basis import UFBasis
from lodewell.potentials.uf.splines import Pair


@dataclass(frozen=True)
class Knowledge:
    """What a fit knows of its errors: the covariance of its coefficients, and an error model found on data.

    The variance of a number with row φ is scale · φᵀ (RᵀR)⁻¹ φ + floor: what more data would mend, and what they would
    not, because the form cannot follow the truth.

    | field | meaning |
    |---|---|
    | `factor_pp` | upper triangle R (P, P) |
    | `energy`, `force`, `stress` | scale and floor: of energy per atom (eV²), force (eV²/Å²), stress (eV²/Å⁶) |
    | `grade` | the largest standard deviation of an atom's energy in the training data, before the scale |
    """

    factor_pp: NDArray[np.floating[Any]]
    energy: tuple[float, float] = (1.0, 0.0)
    force: tuple[float, float] = (1.0, 0.0)
    stress: tuple[float, float] = (1.0, 0.0)
    grade: float = 1.0

    def spread(self, rows_mp: Floats) -> Floats:
        """Return φᵀ (RᵀR)⁻¹ φ of each row, (M,)."""
        rows = rows_mp.T.astype(self.factor_pp.dtype)
        solved = solve_triangular(self.factor_pp, rows, trans="T", check_finite=False)
        return np.asarray(np.einsum("pm,pm->m", solved, solved, dtype=float))

    def of(self, basis: UFBasis, atoms: Atoms) -> Uncertainty:
        """Return the standard deviations on one crystal."""
        rows, count = basis.rows(atoms, each_atom=True), len(atoms)
        volume = atoms.get_volume() if atoms.pbc.all() else 0.0
        energy = self.spread(rows.energy_np.mean(axis=0)[None])[0]
        stress_cc = None
        if volume:
            stress_v = _deviation(self.spread(rows.virial_vp) / volume**2, self.stress)
            stress_cc = stress_v[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        return Uncertainty(
            energy=count * float(_deviation(energy, self.energy)),
            forces_nc=_deviation(self.spread(rows.forces_ncp.reshape(-1, basis.columns)), self.force).reshape(-1, 3),
            stress_cc=stress_cc,
            grade_n=np.sqrt(self.spread(rows.energy_np)) / self.grade,
        )


def _deviation(spread: Any, model: tuple[float, float]) -> Any:
    return np.sqrt(model[0] * spread + model[1])


@dataclass(frozen=True, eq=False)
class UFRecord:
    """What a fit has left beside the coefficients.

    Attributes:
        knowledge: of its own errors, if it was asked for.
        distances: how often each distance of a pair was met in the training data, on the grid of
            `lodewell.fit.distances`.
    """

    knowledge: Knowledge | None = None
    distances: Mapping[Pair, Floats] = field(default_factory=dict)
