"""What relaxing does to a disturbed crystal, and whether it comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms

import lodewell
from lodewell.potentials.base import Potential

RATTLE = 0.1  # Å, standard deviation of each coordinate, as `ase.Atoms.rattle` has it
STRAIN = 0.03  # standard deviation of each of the six components of a symmetric strain
Relaxer = Callable[[Sequence[Atoms]], list[tuple[str, Atoms | None, int]]]  # status, result, steps


def disturbed(atoms: Atoms, seed: int) -> Atoms:
    """Return a copy that is rattled and strained."""
    rng = np.random.default_rng(seed)
    out = atoms.copy()
    out.positions += rng.normal(scale=RATTLE, size=(len(out), 3))
    strain = np.triu(rng.normal(scale=STRAIN, size=(3, 3)))
    strain = strain + np.triu(strain, 1).T
    out.set_cell(out.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return out


def by_potential(potential: Potential) -> Relaxer:
    """Return what relaxes crystals with a potential, as a user would."""

    def run(crystals: Sequence[Atoms]) -> list[tuple[str, Atoms | None, int]]:
        results = lodewell.relax(list(crystals), potential, max_steps=500, duplicates=False)
        return [(r.status, r.atoms, r.steps or 0) for r in results]

    return run


def compared(atoms: Atoms, status: str, result: Atoms | None) -> tuple[float, float]:
    """Return the relative change of volume and the RMS displacement in Å; infinite where there is no geometry.

    Displacements are those of fractional coordinates, without their mean, in the cell of the original.
    """
    if result is None or status == "exploded":
        return float("inf"), float("inf")
    moved = result.get_scaled_positions(wrap=False) - atoms.get_scaled_positions(wrap=False)
    moved -= moved[0]
    moved -= np.round(moved)
    moved -= moved.mean(axis=0)
    displacement = float(np.sqrt(((moved @ atoms.cell.array) ** 2).sum(axis=1).mean()))
    return result.get_volume() / atoms.get_volume() - 1.0, displacement


def relaxed(
    relaxer: Relaxer, crystals: Sequence[Atoms], starts: Sequence[Atoms]
) -> tuple[list[dict[str, Any]], list[Atoms | None]]:
    """Relax the starts; return a row a crystal, and the geometries."""
    begun = time.perf_counter()
    outcomes = relaxer(starts)
    seconds = (time.perf_counter() - begun) / max(1, len(starts))
    rows = []
    for atoms, (status, result, steps) in zip(crystals, outcomes, strict=True):
        volume, displacement = compared(atoms, status, result)
        rows.append({"status": status, "steps": steps, "volume": volume, "displacement": displacement, "s": seconds})
    return rows, [result if status != "exploded" else None for status, result, _ in outcomes]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return medians over all crystals, failures counted as infinitely wrong, and the share converged."""
    volume = np.array([r["volume"] for r in rows])
    displacement = np.array([r["displacement"] for r in rows])
    return {
        "volume": float(np.median(np.abs(volume))),
        "bias": float(np.median(volume)),
        "displacement": float(np.median(displacement)),
        "converged": float(np.mean([r["status"] == "converged" for r in rows])),
        "steps": float(np.median([r["steps"] for r in rows])),
        "seconds": float(np.mean([r["s"] for r in rows])),
    }


def same_structure(atoms: Atoms, result: Atoms | None) -> bool:
    """Tell whether a relaxed crystal is still the same to pymatgen's StructureMatcher with its default tolerances."""
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.io.ase import AseAtomsAdaptor

    if result is None:
        return False
    adaptor = AseAtomsAdaptor()
    one, other = (adaptor.get_structure(Atoms(a.numbers, a.positions, cell=a.cell, pbc=True)) for a in (atoms, result))
    return bool(StructureMatcher().fit(one, other))
