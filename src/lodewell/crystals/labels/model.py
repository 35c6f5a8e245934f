"""A quick potential for judging labels: forces alone determine it, and it then says what energies and stresses must be.

It is linear in its coefficients: splines of the distance for each pair of elements, and for each element functions of
its surroundings, √ρ and ρ² of a density, and the squares of the dipole and the quadrupole of two densities, which know
angles (the partial densities of Baskes, Phys. Rev. B 46, 2727 (1992)). It need not be good: units and signs differ by
factors of ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Floats, Ints
from lodewell.crystals.neighbours.neighbours import neighbour_list

SPLINES = 8  # a pair
ABOUT = 6  # functions of the surroundings, an element
RANGE = (0.75, 2.1)  # of the splines, in nearest distances
LONGEST = 6.5  # Å
DENSITY = 4.0  # decay over a nearest distance
POLES = (3.0, 6.0)
RIDGE = 1e-3  # of the mean square of a column, so that pairs that are hardly seen predict nothing


@dataclass(frozen=True, eq=False)
class Rows:
    """What each function adds to a crystal: energy (M,), forces (N, 3, M), and dE/dstrain (3, 3, M)."""

    energy_m: Floats
    forces_ncm: Floats
    strain_ccm: Floats


@dataclass(frozen=True, eq=False)
class Legs:
    """Pairs of a crystal, each at both of its atoms: centre, other atom, distance, unit vector, fade and its slope."""

    i_p: Ints
    j_p: Ints
    r_p: Floats
    unit_pc: Floats
    fade_p: Floats
    slope_p: Floats


@dataclass(frozen=True, eq=False)
class QuickModel:
    """The functions, for some elements and a nearest distance (Å)."""

    elements: tuple[int, ...]
    nearest: float

    @classmethod
    def of(cls, crystals: Sequence[Atoms]) -> QuickModel | None:
        """Return the model for some crystals, or None where no atom has a neighbour."""
        near: list[Floats] = []
        for atoms in crystals:
            i_p, _, _, vector_pc = neighbour_list(atoms, LONGEST)
            near_n = np.full(len(atoms), np.inf)
            np.minimum.at(near_n, i_p, np.linalg.norm(vector_pc, axis=1))
            near.append(near_n[np.isfinite(near_n)])
        found = np.concatenate(near)
        elements = sorted({int(z) for atoms in crystals for z in np.unique(atoms.numbers)})
        return cls(tuple(elements), float(np.median(found))) if len(found) else None

    @property
    def cutoff(self) -> float:
        """Å."""
        return float(np.clip(RANGE[1] * self.nearest, 3.0, LONGEST))

    @property
    def pairs(self) -> int:
        """Pairs of elements."""
        return len(self.elements) * (len(self.elements) + 1) // 2

    @property
    def columns(self) -> int:
        """How many functions there are."""
        return self.pairs * SPLINES + ABOUT * len(self.elements)

    def scale(self, square_m: Floats) -> Floats:
        """Return what functions of one kind are measured by: the largest root of mean squares among them; (M,)."""
        kind_m = np.concatenate(
            [np.zeros(self.pairs * SPLINES, np.int64), 1 + np.repeat(np.arange(ABOUT), len(self.elements))]
        )
        largest = np.zeros(1 + ABOUT)
        np.maximum.at(largest, kind_m, np.sqrt(square_m))
        return np.asarray(np.maximum(largest, 1e-12)[kind_m])

    def rows(self, atoms: Atoms) -> Rows:
        """Return what every function adds to a crystal."""
        i_p, j_p, _, vector_pc = neighbour_list(atoms, self.cutoff)
        r_p = np.linalg.norm(vector_pc, axis=1)
        legs = Legs(i_p, j_p, r_p, vector_pc / r_p[:, None], *_fade(r_p, self.cutoff))
        type_n = np.searchsorted(self.elements, atoms.numbers)
        out = Rows(np.zeros(self.columns), np.zeros((len(atoms), 3, self.columns)), np.zeros((3, 3, self.columns)))
        self._add_pairs(legs, type_n, out)
        self._add_surroundings(legs, type_n, out)
        return out

    def _add_pairs(self, legs: Legs, type_n: Ints, out: Rows) -> None:
        value_pk, slope_pk = _splines(legs.r_p, RANGE[0] * self.nearest, self.cutoff)
        slope_pk = slope_pk * legs.fade_p[:, None] + value_pk * legs.slope_p[:, None]
        value_pk = value_pk * legs.fade_p[:, None]
        low, high = np.sort(np.stack([type_n[legs.i_p], type_n[legs.j_p]]), axis=0)
        pair_p = high * (high + 1) // 2 + low
        for pair in np.unique(pair_p):
            mine = pair_p == pair
            columns = slice(pair * SPLINES, (pair + 1) * SPLINES)
            out.energy_m[columns] = 0.5 * value_pk[mine].sum(axis=0)
            push_pck = slope_pk[mine][:, None, :] * legs.unit_pc[mine][:, :, None]
            np.add.at(out.forces_ncm[:, :, columns], legs.i_p[mine], push_pck)
            arm_pc = 0.5 * legs.r_p[mine][:, None] * legs.unit_pc[mine]
            out.strain_ccm[:, :, columns] = np.einsum("pa,pbk->abk", arm_pc, push_pck)

    def _add_surroundings(self, legs: Legs, type_n: Ints, out: Rows) -> None:
        """Add functions G of each atom; `gradient_pc` is the derivative of the centre's by the vector to the other."""
        count = len(type_n)
        density_p, slope_p = _decay(legs, DENSITY, self.nearest)
        rho_n = np.bincount(legs.i_p, density_p, count)
        root_n = np.sqrt(rho_n + 1e-4)
        along_pc = slope_p[:, None] * legs.unit_pc
        parts = [
            (root_n, (0.5 / root_n)[legs.i_p, None] * along_pc),
            (0.01 * rho_n**2, (0.02 * rho_n)[legs.i_p, None] * along_pc),
        ]
        for pole in POLES:
            parts += [*_poles(legs, *_decay(legs, pole, self.nearest), count)]
        column = self.pairs * SPLINES
        for value_n, gradient_pc in parts:
            for kind in range(len(self.elements)):
                out.energy_m[column] = value_n[type_n == kind].sum()
                mine = type_n[legs.i_p] == kind
                i_p, j_p, pull_pc = legs.i_p[mine], legs.j_p[mine], gradient_pc[mine]
                for c in range(3):
                    pull = np.bincount(i_p, pull_pc[:, c], count) - np.bincount(j_p, pull_pc[:, c], count)
                    out.forces_ncm[:, c, column] = pull
                out.strain_ccm[:, :, column] = (legs.r_p[mine][:, None] * legs.unit_pc[mine]).T @ pull_pc
                column += 1


def _fade(r_p: Floats, cutoff: float) -> tuple[Floats, Floats]:
    """Return a step of zero slope and curvature from 1 to 0 over the last third before the cutoff, and its slope."""
    width = 0.35 * cutoff
    t_p = np.clip((r_p - cutoff + width) / width, 0.0, 1.0)
    value_p = 1.0 - t_p**3 * (10.0 - 15.0 * t_p + 6.0 * t_p**2)
    return value_p, -30.0 * t_p**2 * (1.0 - t_p) ** 2 / width


def _splines(r_p: Floats, begin: float, end: float) -> tuple[Floats, Floats]:
    """Return cubic B-splines centred on equal steps from begin to end, and their slopes; (P, SPLINES)."""
    step = (end - begin) / (SPLINES - 1)
    t_pk = (r_p[:, None] - begin) / step - np.arange(SPLINES)
    x_pk = np.abs(t_pk)
    near, far = x_pk < 1.0, x_pk < 2.0
    value_pk = np.where(near, (4.0 - 6.0 * x_pk**2 + 3.0 * x_pk**3) / 6.0, np.where(far, (2.0 - x_pk) ** 3 / 6.0, 0.0))
    slope_pk = np.where(near, -2.0 * x_pk + 1.5 * x_pk**2, np.where(far, -0.5 * (2.0 - x_pk) ** 2, 0.0))
    return value_pk, slope_pk * np.sign(t_pk) / step


def _decay(legs: Legs, rate: float, nearest: float) -> tuple[Floats, Floats]:
    """Return exp(-rate (r / nearest - 1)) with the fade, and its slope."""
    value_p = np.exp(-rate * (legs.r_p / nearest - 1.0))
    return value_p * legs.fade_p, value_p * (legs.slope_p - rate / nearest * legs.fade_p)


def _poles(
    legs: Legs, value_p: Floats, slope_p: Floats, count: int
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Return the squares of dipole Σ f e and quadrupole Σ f (e e - 1/3) of each atom, and their gradients."""
    unit_pc, i_p, turn_p = legs.unit_pc, legs.i_p, value_p / legs.r_p
    dipole_nc, quadrupole_ncc = np.zeros((count, 3)), np.zeros((count, 3, 3))
    np.add.at(dipole_nc, i_p, value_p[:, None] * unit_pc)
    np.add.at(quadrupole_ncc, i_p, value_p[:, None, None] * (unit_pc[:, :, None] * unit_pc[:, None, :] - np.eye(3) / 3))
    one_pc, two_pc = dipole_nc[i_p], np.einsum("pab,pb->pa", quadrupole_ncc[i_p], unit_pc)
    out = []
    for square_n, side_pc, weight in (
        ((dipole_nc**2).sum(axis=1), one_pc, 2.0),
        ((quadrupole_ncc**2).sum(axis=(1, 2)), two_pc, 4.0),
    ):
        along_p = (side_pc * unit_pc).sum(axis=1)
        across_pc = side_pc - along_p[:, None] * unit_pc
        gradient_pc = 2.0 * (slope_p * along_p)[:, None] * unit_pc + weight * turn_p[:, None] * across_pc
        out.append((square_n, gradient_pc))
    return out[0], out[1]


def fit_forces(model: QuickModel, rows: Sequence[Rows], forces: Sequence[Floats]) -> tuple[Floats, float]:
    """Return the coefficients (M,) that forces determine, and the share of their squares that is explained."""
    a_qm = np.concatenate([row.forces_ncm.reshape(-1, model.columns) for row in rows])
    b_q = np.concatenate([forces_nc.ravel() for forces_nc in forces])
    scale_m = model.scale((a_qm**2).mean(axis=0))
    a_qm = a_qm / scale_m
    normal_mm = a_qm.T @ a_qm + RIDGE * len(b_q) * np.eye(model.columns)
    x_m = np.linalg.solve(normal_mm, a_qm.T @ b_q)
    left = float(((a_qm @ x_m - b_q) ** 2).sum() / max(float((b_q**2).sum()), 1e-300))
    return x_m / scale_m, 1.0 - left
