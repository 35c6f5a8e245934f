"""Do energies and stresses agree with forces? A quick potential made of the forces tells, whatever the crystals are.

Forces are in the frame where a potential is best determined: no reference energies, no composition, no volume. What is
left of energies once a constant for each composition and a parabola in the volume are taken away must be what the
potential says, and so must shear stresses (pressures it does not know).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.model import QuickModel, fit_forces
from lodewell.crystals.labels.units import SHEARS, Ratio, shear_order

if TYPE_CHECKING:
    from lodewell.crystals.labels.read import Labelled

KEPT = 240  # frames, drawn evenly from all
FRAMES, ATOMS, LARGEST = 60, 3000, 600  # that are looked at, together and one
SMALLEST = 1e-4  # of the largest force of a frame: less is rounding, in any unit
LEAST_FRAMES = 8
DENSITY = 0.4  # logarithm of the volume per atom, about its median
RATTLED = 0.25  # of the larger forces: frames nearly at rest say little
COLUMNS = 500
EXPLAINED = 0.6  # share of the squares of forces
SIX = np.array([[0, 0], [1, 1], [2, 2], [1, 2], [0, 2], [0, 1]])


@dataclass(frozen=True)
class ForceAgreement:
    """Energies and shear stresses over what forces say, and in which order the shears stand."""

    ratios: tuple[Ratio | None, ...]
    order: tuple[str, ...]


class ForceCheck:
    """Keeps some frames with forces, drawn evenly from a stream."""

    def __init__(self) -> None:
        self._frames: list[Labelled] = []
        self._seen = 0
        self._rng = np.random.default_rng(0)

    def add(self, frame: Labelled) -> None:
        """Look at a frame."""
        atoms, forces_nc = frame.atoms, frame.forces_nc
        if forces_nc is None or not 2 <= len(atoms) <= LARGEST or not atoms.pbc.all() or atoms.cell.rank < 3:
            return
        if (frame.energy is None and frame.stress_cc is None) or float(np.abs(forces_nc).max()) < SMALLEST:
            return
        self._seen += 1
        place = len(self._frames) if len(self._frames) < KEPT else int(self._rng.integers(self._seen))
        if place < KEPT:
            self._frames[place : place + 1] = [frame]

    def agreement(self, without: Set[tuple[str, int]] = frozenset()) -> ForceAgreement | None:
        """Return what the frames say, or None when they are too few or too unlike each other.

        without: frames that do not count, as (file, frame).
        """
        frames = _alike([f for f in self._frames if (f.file, f.frame) not in without])
        model = QuickModel.of([f.atoms for f in frames]) if len(frames) >= LEAST_FRAMES else None
        if model is None or model.columns > COLUMNS:
            return None
        rows = [model.rows(f.atoms) for f in frames]
        forces = [f.forces_nc for f in frames if f.forces_nc is not None]
        x_m, explained = fit_forces(model, rows, forces)
        if explained < EXPLAINED:
            return None
        energy_f = np.array([row.energy_m @ x_m for row in rows])
        strain_fk = np.array([(row.strain_ccm @ x_m)[SIX[3:, 0], SIX[3:, 1]] for row in rows])
        stress, order = _stresses(frames, strain_fk)
        return ForceAgreement((_energies(frames, energy_f), stress), order)


def _alike(frames: list[Labelled]) -> list[Labelled]:
    """Return frames of like density and forces, of one chemical system if there are many, and not too many atoms."""
    if not frames:
        return []
    volume_f = np.log([f.atoms.get_volume() / len(f.atoms) for f in frames])
    force_f = np.array([np.sqrt(np.mean(f.forces_nc**2)) for f in frames if f.forces_nc is not None])
    good = (np.abs(volume_f - np.median(volume_f)) < DENSITY) & (force_f > RATTLED * np.percentile(force_f, 75))
    chosen = [f for f, yes in zip(frames, good, strict=True) if yes]
    systems = [frozenset(f.atoms.numbers.tolist()) for f in chosen]
    if systems and len(frozenset.union(*systems)) > 8:
        common = max(set(systems), key=lambda system: (systems.count(system), sorted(system)))
        chosen = [f for f, system in zip(chosen, systems, strict=True) if system <= common]
    size = np.cumsum([len(f.atoms) for f in chosen])
    return [f for k, f in enumerate(chosen) if k < LEAST_FRAMES or (k < FRAMES and size[k] <= ATOMS)]


def _energies(frames: list[Labelled], energy_f: Floats) -> Ratio | None:
    """Compare energies, less a constant for each composition (or each element) and a parabola in the volume."""
    have = [k for k, f in enumerate(frames) if f.energy is not None]
    if len(have) < LEAST_FRAMES:
        return None
    atoms = [frames[k].atoms for k in have]
    count_f = np.array([len(a) for a in atoms])
    formulas = [a.get_chemical_formula() for a in atoms]
    again_f = np.array([formulas.count(formula) > 1 for formula in formulas])
    if 2 * again_f.sum() >= len(atoms):
        kinds = sorted(set(formulas))
        nuisance_fk = np.array([[formula == kind for kind in kinds] for formula in formulas], dtype=float)
    else:
        again_f[:] = True
        elements = sorted({z for a in atoms for z in a.numbers.tolist()})
        nuisance_fk = np.array([[np.mean(a.numbers == z) for z in elements] for a in atoms])
    size_f = np.log([a.get_volume() for a in atoms]) - np.log(count_f)
    size_f -= size_f.mean()
    nuisance_fk = np.column_stack([nuisance_fk, size_f, size_f**2])[again_f]
    given_f = np.array([frames[k].energy for k in have], dtype=float)[again_f] / count_f[again_f]
    said_f = energy_f[have][again_f] / count_f[again_f]
    free = len(given_f) - int(np.linalg.matrix_rank(nuisance_fk))
    volume = float(np.median([a.get_volume() for a in atoms]))
    return ratio(("energy", "forces"), _less(nuisance_fk, said_f), _less(nuisance_fk, given_f), free, volume)


def _stresses(frames: list[Labelled], strain_fk: Floats) -> tuple[Ratio | None, tuple[str, ...]]:
    """Compare shears, eV per atom, in whichever order they stand."""
    have = [k for k, f in enumerate(frames) if f.stress_cc is not None]
    if len(have) < LEAST_FRAMES:
        return None, ()
    per_atom = [
        np.asarray(f.stress_cc)[SIX[3:, 0], SIX[3:, 1]] * f.atoms.get_volume() / len(f.atoms)
        for f in (frames[k] for k in have)
    ]
    given_fk = np.array(per_atom)
    said_fk = strain_fk[have] / np.array([len(frames[k].atoms) for k in have])[:, None]
    if not (given_fk.std(axis=0) > 0.0).all() or not (said_fk.std(axis=0) > 0.0).all():
        return None, ()
    likeness_kk = np.corrcoef(given_fk.T, said_fk.T)[:3, 3:]
    order = shear_order(likeness_kk) or shear_order(-likeness_kk)
    places = [SHEARS.index(name) for name in order] or [0, 1, 2]
    volume = float(np.median([frames[k].atoms.get_volume() for k in have]))
    found = ratio(("stress", "forces"), said_fk[:, places].ravel(), given_fk.ravel(), len(have), volume)
    return found, order if found is not None and found.sure else ()


def _less(nuisance_fk: Floats, y_f: Floats) -> Floats:
    return np.asarray(y_f - nuisance_fk @ np.linalg.lstsq(nuisance_fk, y_f, rcond=None)[0])


def ratio(labels: tuple[str, str], said_f: Floats, given_f: Floats, count: int, volume: float) -> Ratio | None:
    """Return given over said by least absolute deviations; None where either does not vary.

    labels: those above and below. count: of what is independent. volume: of a typical cell, Å^3.
    """
    if len(said_f) < 3 or count < 1 or not said_f.std() > 0.0 or not given_f.std() > 0.0:
        return None
    value = float(least_absolute(said_f[:, None], given_f)[0])
    parts = []
    for k in range(10):
        keep = np.arange(len(said_f)) % 10 != k
        if keep.sum() >= 3 and said_f[keep].any():
            parts.append(float(least_absolute(said_f[keep][:, None], given_f[keep])[0]))
    spread = (max(parts) - min(parts)) / max(abs(value), 1e-300) if parts else np.inf
    return Ratio(*labels, value, spread, float(np.corrcoef(said_f, given_f)[0, 1]), count, volume)


def least_absolute(a_mk: Floats, b_m: Floats) -> Floats:
    """Return x with the least sum of |a x - b|, by least squares weighted anew with the deviations."""
    weight_m = np.ones(len(b_m))
    x_k: Floats = np.zeros(a_mk.shape[1])
    for _ in range(30):
        x_k = np.asarray(np.linalg.lstsq(a_mk * weight_m[:, None], b_m * weight_m, rcond=None)[0])
        deviation_m = np.abs(a_mk @ x_k - b_m)
        weight_m = 1.0 / np.sqrt(np.maximum(deviation_m, 1e-3 * float(np.median(deviation_m)) + 1e-12))
    return x_k
