"""Labelled crystals laid out for a spline MEAM fit: residuals, and normal equations a crystal at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.labels.read import Labelled
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.crystals.types import type_table
from lodewell.fit.meam._rows import crystal_rows
from lodewell.fit.meam.model import Layout
from lodewell.potentials.meam.meam import MEAM

KINDS = ("energy", "force", "stress")
_SIX = [0, 4, 8, 5, 2, 1]  # xx yy zz yz xz xy of a flat 3 x 3 matrix


@dataclass(frozen=True)
class Targets:
    """Crystals with their labels, packed once and used in every step.

    | field | shape | meaning |
    |---|---|---|
    | `batch`, `neighbours` | | crystals, and all their pairs (full list) |
    | `types_n` | (N,) | element of each atom, counted in the layout's order |
    | `energy_b` | (B,) | energy an atom in eV less the references; NaN where there is none |
    | `forces_nc` | (N, 3) | eV/Å; NaN where there are none |
    | `stress_bx` | (B, 6) | xx yy zz yz xz xy in eV/Å^3; NaN where there is none |
    | `stress_rows` | (m, 6) | what of the stress counts |
    | `weight_b` | (B,) | of each crystal |
    """

    batch: Batch
    neighbours: Neighbours
    types_n: Ints
    energy_b: Floats
    forces_nc: Floats
    stress_bx: Floats
    stress_rows: Floats
    weight_b: Floats

    def residuals(self, energies_n: Floats, forces_nc: Floats, virial_bcc: Floats) -> tuple[Floats, Floats, Floats]:
        """Return computed less labelled: energies an atom (B,), forces (N, 3), stress rows (B, m); NaN stays."""
        energy_b = np.add.reduceat(energies_n, self.batch.first_b[:-1]) / self.batch.count_b
        stress_bx = -virial_bcc.reshape(-1, 9)[:, _SIX] / self.volume_b[:, None]
        return energy_b - self.energy_b, forces_nc - self.forces_nc, (stress_bx - self.stress_bx) @ self.stress_rows.T

    @property
    def volume_b(self) -> Floats:
        """Volumes in Å^3, 1 where there is none (and no stress either)."""
        volume_b = self.batch.volume_b
        return np.where(volume_b > 0.0, volume_b, 1.0)

    def squares(self, residuals: tuple[Floats, Floats, Floats]) -> Floats:
        """Return the weighted mean square of each kind of residual, (3,); zero where there are none."""
        weight_n = self.weight_b[self.batch.crystal_n]
        out = np.zeros(3)
        weights = (self.weight_b, weight_n[:, None], self.weight_b[:, None])
        for kind, (found, weight) in enumerate(zip(residuals, weights, strict=True)):
            known = np.isfinite(found)
            total = np.broadcast_to(weight, found.shape)[known].sum()
            if total > 0.0:
                out[kind] = (np.broadcast_to(weight, found.shape)[known] * found[known] ** 2).sum() / total
        return out

    def spread(self) -> Floats:
        """Return the mean square of each kind of label about its mean (forces: about zero), (3,)."""
        known = self.energy_b[np.isfinite(self.energy_b)]
        stress_bx = self.stress_bx - (np.nanmean(self.stress_bx, axis=0) if np.isfinite(self.stress_bx).any() else 0.0)
        zero_b = self.energy_b - (known.mean() if len(known) else 0.0)
        return self.squares((zero_b, self.forces_nc, stress_bx @ self.stress_rows.T))

    def of(self, potential: MEAM) -> tuple[tuple[Floats, Floats, Floats], Floats]:
        """Return the residuals of a potential whose references are zero, and the density of every atom."""
        e_n, f_nc, virial_bcc, n_n = potential.sweep(self.batch, self.neighbours)
        return self.residuals(e_n, f_nc, virial_bcc), n_n


def targets(
    frames: Sequence[Labelled],
    symbols: Sequence[str],
    cutoff: float,
    reference: Callable[[Ints], float],
    stress_rows: Floats,
    weight: Callable[[Labelled], float],
) -> Targets:
    """Lay labelled crystals out; `reference` gives the energy to take off by atomic numbers."""
    from ase.data import atomic_numbers

    batch = Batch.from_atoms([f.atoms for f in frames])
    nothing_nc = [np.full((len(f.atoms), 3), np.nan) for f in frames]
    energies = [np.nan if f.energy is None else f.energy - reference(f.atoms.numbers) for f in frames]
    return Targets(
        batch=batch,
        neighbours=Neighbours.build(batch, cutoff, half=False),
        types_n=type_table(atomic_numbers[s] for s in symbols)[batch.species_n],
        energy_b=np.array(energies) / batch.count_b,
        forces_nc=np.concatenate(
            [none if f.forces_nc is None else f.forces_nc for f, none in zip(frames, nothing_nc, strict=True)]
        ),
        stress_bx=np.array([np.full(6, np.nan) if f.stress_cc is None else f.stress_cc.ravel()[_SIX] for f in frames]),
        stress_rows=stress_rows,
        weight_b=np.array([weight(f) for f in frames]),
    )


@dataclass(frozen=True)
class Normal:
    """Normal equations by kind of label: the mean of JᵀJ (3, P, P) and of Jᵀr (3, P), and mean squares of r (3,).

    `density_n` holds n of every atom.
    """

    matrix_kpp: Floats
    right_kp: Floats
    squares_k: Floats
    density_n: Floats


def normal_equations(data: Targets, layout: Layout, x_c: Floats, nonlinear: bool = True) -> Normal:
    """Sum JᵀJ and Jᵀr a crystal at a time; without `nonlinear` the columns of ρ, f and g are zero.

    What is varied are the free numbers of the layout (`Layout.free_cp`).
    """
    n, size = data.neighbours, layout.size
    matrix, right, square, total = np.zeros((3, size, size)), np.zeros((3, size)), np.zeros(3), np.zeros(3)
    density_n = np.zeros(len(data.types_n))
    most = int(data.batch.count_b.max())
    value, rows = np.empty(3 * most + 7), np.empty((3 * most + 7, size))
    for b, s in enumerate(data.batch.slices):
        count = s.stop - s.start
        value_r, rows_rc = value[: 3 * count + 7], rows[: 3 * count + 7]
        crystal_rows(
            layout.cutoff, layout.angular_cutoff, layout.linear, nonlinear, x_c, *layout.tables,
            data.batch.positions_nc[s], data.batch.cell_bcc[b], data.types_n[s], n.first_n[s], n.last_n[s], n.j_p,
            n.image_p, n.wraps_nc[s], n.reach_bc[b : b + 1], value_r, rows_rc, density_n[s],
        )  # fmt: skip
        weight, forces = data.weight_b[b], data.forces_nc[s].ravel()
        per_volume = -data.stress_rows / data.volume_b[b]
        kinds = (
            (rows_rc[:1] / count, value_r[:1] / count - data.energy_b[b]),
            (rows_rc[1:-6], value_r[1:-6] - forces),
            (per_volume @ rows_rc[-6:], per_volume @ value_r[-6:] - data.stress_rows @ data.stress_bx[b]),
        )
        for kind, (j_rc, r_r) in enumerate(kinds):
            if len(r_r) and np.isfinite(r_r).all():
                matrix[kind] += weight * (j_rc.T @ j_rc)
                right[kind] += weight * (j_rc.T @ r_r)
                square[kind] += weight * (r_r @ r_r)
                total[kind] += weight * len(r_r)
    total = np.where(total > 0.0, total, 1.0)
    free = layout.free_cp
    return Normal(
        np.array([free.T @ m @ free / t for m, t in zip(matrix, total, strict=True)]),
        np.array([free.T @ r / t for r, t in zip(right, total, strict=True)]),
        square / total, density_n,
    )  # fmt: skip
