"""Elastic constants: stresses of slightly strained crystals whose atoms have come to rest."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.crystals.voigt import SIX, six
from lodewell.errors import BadCrystal
from lodewell.potentials.base import Potential
from lodewell.relax.run import relax

_ALIKE = 0.02  # share of the largest constant by which those that symmetry makes equal may differ


@dataclass(frozen=True)
class ElasticConstants:
    """Elastic constants of one crystal at rest, in Voigt's order xx, yy, zz, yz, xz, xy, along the axes of its cell.

    | field | shape | unit |
    |---|---|---|
    | `c_vv` | (6, 6) | eV/Å^3, atoms relaxed in each strained cell |
    | `clamped_vv` | (6, 6) | eV/Å^3, atoms moved with the cell alone |
    | `asymmetry` | | largest difference between C_ij and C_ji as computed, over the largest constant |
    """

    c_vv: Floats
    clamped_vv: Floats
    asymmetry: float

    @property
    def stable(self) -> bool:
        """Whether every strain costs energy (Born's criterion)."""
        return bool(np.linalg.eigvalsh(self.c_vv)[0] > 0.0)

    @property
    def softest(self) -> float:
        """The smallest eigenvalue, eV/Å^3."""
        return float(np.linalg.eigvalsh(self.c_vv)[0])

    def constants(self) -> dict[str, float]:
        """Return the independent constants (eV/Å^3): three of a cubic crystal, five of a hexagonal one, else 21."""
        c = self.c_vv
        means = {
            "C11": float(c[[0, 1, 2], [0, 1, 2]].mean()),
            "C12": float(c[[0, 0, 1], [1, 2, 2]].mean()),
            "C44": float(c[[3, 4, 5], [3, 4, 5]].mean()),
        }
        if self._like(_cubic(means["C11"], means["C12"], means["C44"])):
            return means
        c11, c12 = 0.5 * (c[0, 0] + c[1, 1]), c[0, 1]
        five = {
            "C11": float(c11), "C12": float(c12), "C13": float(0.5 * (c[0, 2] + c[1, 2])), "C33": float(c[2, 2]),
            "C44": float(0.5 * (c[3, 3] + c[4, 4])),
        }  # fmt: skip
        if self._like(_hexagonal(*five.values())):
            return five
        return {f"C{i + 1}{j + 1}": float(c[i, j]) for i in range(6) for j in range(i, 6)}

    def _like(self, pattern: Floats) -> bool:
        return bool(np.abs(self.c_vv - pattern).max() <= _ALIKE * np.abs(self.c_vv).max())

    def averages(self) -> dict[str, float]:
        """Return bulk and shear modulus (eV/Å^3) of a polycrystal, Voigt's and Reuss's bounds and Hill's mean.

        Hill, Proc. Phys. Soc. A 65, 349 (1952).
        """
        c = self.c_vv
        a, b, shear = np.trace(c[:3, :3]), c[0, 1] + c[0, 2] + c[1, 2], np.trace(c[3:, 3:])
        bulk_v, shear_v = (a + 2.0 * b) / 9.0, (a - b + 3.0 * shear) / 15.0
        if not self.stable:
            return {"bulk_voigt": float(bulk_v), "shear_voigt": float(shear_v)}
        s = np.linalg.inv(c)
        a, b, shear = np.trace(s[:3, :3]), s[0, 1] + s[0, 2] + s[1, 2], np.trace(s[3:, 3:])
        bulk_r, shear_r = 1.0 / (a + 2.0 * b), 15.0 / (4.0 * a - 4.0 * b + 3.0 * shear)
        return {
            "bulk_voigt": float(bulk_v), "bulk_reuss": float(bulk_r), "bulk": float(0.5 * (bulk_v + bulk_r)),
            "shear_voigt": float(shear_v), "shear_reuss": float(shear_r), "shear": float(0.5 * (shear_v + shear_r)),
        }  # fmt: skip


def elastic_constants(
    potential: Potential, atoms: Atoms, *, strain: float = 0.002, fmax: float = 1e-5, max_steps: int = 1000
) -> ElasticConstants:
    """Strain a crystal at rest by ± `strain` in six ways, relax its atoms in each cell, and difference the stresses.

    Args:
        potential: any.
        atoms: a crystal without stress, periodic in three directions.
        strain: engineering strain of each way.
        fmax: forces (eV/Å) at which the atoms count as relaxed.
        max_steps: of each relaxation.

    Raises:
        BadCrystal: when the crystal is not periodic, or its atoms do not come to rest.
    """
    if not atoms.pbc.all():
        raise BadCrystal("elastic constants need a crystal that is periodic in three directions")
    cells = [strained(atoms, v, s) for v in range(6) for s in (strain, -strain)]
    results = relax(cells, potential, cell="fixed", fmax=fmax, max_steps=max_steps, duplicates=False)
    relaxed = []
    for result in results:
        if not result.sane or result.atoms is None:
            raise BadCrystal(f"strained by {strain:g} it does not come to rest: {result.message}")
        relaxed.append(result.atoms)
    c_vv = _differences(potential, relaxed, strain)
    asymmetry = float(np.abs(c_vv - c_vv.T).max() / np.abs(c_vv).max())
    clamped = _differences(potential, cells, strain)
    return ElasticConstants(0.5 * (c_vv + c_vv.T), 0.5 * (clamped + clamped.T), asymmetry)


def strained(atoms: Atoms, way: int, amount: float) -> Atoms:
    """Return the crystal under one of the six strains; shears are engineering strains, twice the tensor's entry."""
    i, j = SIX[0][way], SIX[1][way]
    deformation = np.eye(3)
    deformation[i, j] += 0.5 * amount
    deformation[j, i] += 0.5 * amount
    out = atoms.copy()
    out.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return out


def _differences(potential: Potential, cells: list[Atoms], strain: float) -> Floats:
    """Return dσ_i/dε_j of pairs of cells, shape (6, 6), eV/Å^3."""
    stress_kv = np.array([six(_stress(r.stress_cc)) for r in potential.evaluate(cells)])
    columns: Floats = (stress_kv[0::2] - stress_kv[1::2]) / (2.0 * strain)
    return columns.T


def _stress(stress_cc: Floats | None) -> Floats:
    assert stress_cc is not None
    return stress_cc


def _cubic(c11: float, c12: float, c44: float) -> Floats:
    out: NDArray[np.float64] = np.diag([c11 - c12] * 3 + [c44] * 3)
    out[:3, :3] += c12
    return out


def _hexagonal(c11: float, c12: float, c13: float, c33: float, c44: float) -> Floats:
    out: NDArray[np.float64] = np.diag([c11, c11, c33, c44, c44, 0.5 * (c11 - c12)])
    out[0, 1] = out[1, 0] = c12
    out[:2, 2] = out[2, :2] = c13
    return out


def standard_axes(atoms: Atoms) -> Atoms:
    """Return the primitive cell of a crystal in the orientation in which elastic constants are tabulated (spglib)."""
    import spglib

    cell: Any = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found: Any = None
    with warnings.catch_warnings(), suppress(Exception):  # versions differ in how they say that they find nothing
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=False, symprec=1e-3)
    if found is None:
        return atoms.copy()
    lattice, places, numbers = found
    return Atoms(numbers, scaled_positions=places, cell=lattice, pbc=True)
