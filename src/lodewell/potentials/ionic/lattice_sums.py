"""Infinite sums over a crystal's lattice, exact to a stated tolerance, for all its pairs of atoms.

S_ij = Σ' f(|x_j - x_i + R|) over all lattice vectors R, where the prime drops an atom's term with itself, for
f = r^-p (p = 1, and any p > 3), exp(-a r) and exp(-a r)/r. How they are split and cut: docs/theory/lattice-sums.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Floats
from lodewell.crystals.given import given_atoms
from lodewell.crystals.neighbours.images import determinant
from lodewell.crystals.neighbours.neighbours import COINCIDENT, in_one_place
from lodewell.errors import BadCrystal, BadOption
from lodewell.potentials.ionic import _lattice_sums as kernels

_DENSITY = 2.5  # reciprocal vectors against images: balances what pairs and what atoms have for themselves
_LOUDEST = 100.0  # f(V^(1/3)), the most that the part summed over reciprocal vectors may be at r = 0
OUTSIDE = (
    "lattice sums are defined for crystals, periodic in three directions: molecules, chains and slabs are outside; "
    "a slab with its vacuum can be computed as a crystal once `pbc` is set to True"
)
_FASTEST = 300.0  # exp(-a V^(1/3)) must not vanish


@dataclass(frozen=True)
class LatticeSum:
    """The sums of all ordered pairs of a crystal, and how they change; unit: Å^-p, or 1 for exp(-a r), or 1/Å.

    | field | shape | meaning |
    |---|---|---|
    | `sum_nn` | (n, n) | S_ij, symmetric |
    | `slope_nnc` | (n, n, 3) | dS_ij/dx_j = -dS_ij/dx_i, per Å |
    | `strain_nncc` | (n, n, 3, 3) | dS_ij/dε where positions and cell are deformed by 1 + ε |

    With fractional coordinates held, dS_ij/dcell is `np.linalg.inv(cell) @ strain_nncc[i, j]`.
    """

    sum_nn: Floats
    slope_nnc: Floats
    strain_nncc: Floats


@overload
def lattice_sum(
    atoms: Atoms,
    power: float = ...,
    *,
    decay: float | None = ...,
    screening: float | None = ...,
    tolerance: float = ...,
) -> Floats: ...
@overload
def lattice_sum(  # type: ignore[overload-cannot-match]  # ASE carries no types, so that Atoms is anything to mypy
    atoms: Sequence[Atoms],
    power: float = ...,
    *,
    decay: float | None = ...,
    screening: float | None = ...,
    tolerance: float = ...,
) -> list[Floats]: ...
def lattice_sum(
    atoms: Atoms | Sequence[Atoms],
    power: float = 1,
    *,
    decay: float | None = None,
    screening: float | None = None,
    tolerance: float = 1e-12,
) -> Floats | list[Floats]:
    """Sum r^-power, or exp(-decay r), or exp(-screening r)/r, over the lattice, for all pairs of a crystal's atoms.

    Every value is right within `tolerance` times the larger of the sum itself and f(V^(1/3)), V being the cell's
    volume, down to rounding (some 1e-14). With power 1 the sum is the analytic continuation: that of a charge in a
    neutralising background, so that its mean over the cell is zero.

    Args:
        atoms: a crystal, or several.
        power: 1, or any number above 3.
        decay: a in exp(-a r), 1/Å.
        screening: a in exp(-a r)/r, 1/Å.
        tolerance: from 1e-14 to 0.01.

    Returns:
        One symmetric array (n, n) a crystal, in Å^-power (1 for `decay`, Å^-1 for `screening`).

    Raises:
        BadOption: when the sum does not converge, two kinds are asked for, or the tolerance is out of range.
        BadCrystal: when a crystal is not periodic in three directions, has no volume or coincident atoms.
    """
    kind, a = kind_of(power, decay, screening, tolerance)
    results = [_sums(crystal, name, kind, a, tolerance, False).sum_nn for crystal, name in _named(atoms)]
    return results[0] if isinstance(atoms, Atoms) else results


def lattice_sum_gradients(
    atoms: Atoms,
    power: float = 1,
    *,
    decay: float | None = None,
    screening: float | None = None,
    tolerance: float = 1e-12,
) -> LatticeSum:
    """Return the sums of `lattice_sum` and their derivatives by positions and cell.

    Raises:
        BadOption, BadCrystal: as `lattice_sum`.
    """
    kind, a = kind_of(power, decay, screening, tolerance)
    return _sums(atoms, "", kind, a, tolerance, True)


def _named(atoms: Atoms | Sequence[Atoms]) -> list[tuple[Atoms, str]]:
    if isinstance(atoms, Atoms):
        return [(atoms, "")]
    given = given_atoms(atoms)
    return [(crystal, f"crystal {k} ({crystal.get_chemical_formula()}): ") for k, crystal in enumerate(given)]


def kind_of(power: float, decay: float | None, screening: float | None, tolerance: float) -> tuple[int, float]:
    """Return the kind of sum and its parameter.

    Raises:
        BadOption: as `lattice_sum`.
    """
    if not 1e-14 <= tolerance <= 1e-2:
        raise BadOption(f"the tolerance of a lattice sum must lie between 1e-14 and 0.01, not {tolerance}")
    if decay is not None and screening is not None:
        raise BadOption("decay and screening are two different sums: ask for one at a time")
    rate, name = (decay, "decay") if decay is not None else (screening, "screening")
    if rate is None:
        if not (power == 1 or 3 < power <= 100):
            raise BadOption(f"Σ r^-{power:g} is not offered: the power must be 1, or above 3 and at most 100")
        return kernels.POWER, float(power)
    if power != 1:
        raise BadOption(f"{name} comes with a form of its own: leave the power out")
    if not (rate > 0.0 and math.isfinite(rate)):
        raise BadOption(f"{name} must be a positive number of 1/Å, not {rate}")
    return kernels.EXPONENTIAL if name == "decay" else kernels.SCREENED, float(rate)


def _sums(atoms: Atoms, name: str, kind: int, a: float, tolerance: float, gradients: bool) -> LatticeSum:
    cell = np.array(atoms.cell.array, dtype=np.float64, order="C")
    positions = np.array(atoms.positions, dtype=np.float64, order="C")
    if not atoms.pbc.all():
        raise BadCrystal(f"{name}{OUTSIDE}")
    basis, fractional, budget = prepared(positions, cell, kind, a, tolerance, name)
    return LatticeSum(*kernels.all_pairs(kind, a, fractional, basis, density(kind, a), budget, gradients))


def prepared(
    positions_nc: Floats, cell_cc: Floats, kind: int, a: float, tolerance: float, name: str
) -> tuple[Floats, Floats, float]:
    """Return a reduced basis (3, 3), fractional coordinates in it (n, 3) and the error allowed to any pair's sum.

    Raises:
        BadOption, BadCrystal: as `lattice_sum`; `name` says which crystal.
    """
    volume = abs(float(determinant(cell_cc)))
    length = math.sqrt(float((cell_cc * cell_cc).sum(axis=1).prod()))
    if length == 0.0:
        raise BadCrystal(
            f"{name}a cell vector is zero, and lattice sums are defined for crystals, periodic in three directions: "
            "give a slab its third vector, vacuum included"
        )
    if not (np.isfinite(positions_nc).all() and math.isfinite(length) and volume > 1e-9 * length):
        raise BadCrystal(f"{name}positions or cell are not finite, or the cell has no volume")
    if kind != kernels.POWER and a * volume ** (1 / 3) > _FASTEST:
        raise BadOption(f"{name}exp(-{a:g} r) vanishes within the cell: use a longer range than {1 / a:g} Å")
    basis, fractional, smallest, closest, i, j = kernels.prepare(kind, a, positions_nc, cell_cc)
    if closest < COINCIDENT:
        raise BadCrystal(f"{name}{in_one_place(i, j)}")
    if len(positions_nc) and _worth_a_look(kind, a, basis, volume):
        rough, _, _ = kernels.all_pairs(kind, a, fractional, basis, density(kind, a), 0.01 * smallest, False)
        smallest = max(smallest, float(np.maximum(rough - 0.01 * smallest, _unit(kind, a, volume)).min()))
    return basis, fractional, tolerance * smallest


def density(kind: int, a: float) -> float:
    """Return how densely reciprocal vectors are taken, against images, for `plan`.

    At r = 0 the part of r^-a that they hold is η^(a/2)/Γ(a/2 + 1). For high powers the quickest split would make it so
    large that small sums were lost in its rounding.
    """
    if kind != kernels.POWER:
        return _DENSITY
    return min(_DENSITY, math.pow(_LOUDEST * math.gamma(0.5 * a + 1.0), 2.0 / a) / math.pi)


def _unit(kind: int, a: float, volume: float) -> float:
    """Return f(V^(1/3)), the unit in which small sums are judged."""
    return float(kernels.bare(kind, a, volume ** (1 / 3)))


def _worth_a_look(kind: int, a: float, basis: Floats, volume: float) -> bool:
    """Say whether sums may be much larger than their nearest terms: then a rough sum saves half the work or more."""
    if kind == kernels.POWER and a == 1.0:
        return False
    slow = a < 5.0 if kind == kernels.POWER else a * volume ** (1 / 3) < 4.0
    return bool(slow or basis[2] @ basis[2] > 9.0 * (basis[0] @ basis[0]))
