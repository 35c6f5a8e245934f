"""Labelled crystals whose labels belong together: those of Girifalco and Weizer's Morse copper."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from lodewell import Morse

COPPER = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=6.0)
EDGE = 3.6548  # Å, where it has no pressure


def rattled(
    count: int, seed: int = 0, repeat: tuple[int, int, int] = (1, 1, 1), strain: float = 0.03, rattle: float = 0.1
) -> list[Atoms]:
    """Cubic cells of copper, strained and rattled; every second one is called Strained, the others Rattled."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        atoms = bulk("Cu", a=EDGE, cubic=True) * repeat
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, strain, (3, 3))), scale_atoms=True)
        if k % 2 == 0:
            atoms.positions += rng.normal(0, rattle, atoms.positions.shape)
        atoms.info["config_type"] = "Strained" if k % 2 else "Rattled"
        out.append(atoms)
    return out


def labelled(
    crystals: list[Atoms], prefix: str = "REF_", stress: float = 1.0, pressure: float = 0.0, reference: float = -2.0
) -> list[Atoms]:
    """Put labels beside the atoms; the stress gets `pressure` (eV/Å^3) on its diagonal and is multiplied by a unit."""
    out = []
    for atoms, result in zip(crystals, COPPER.evaluate(crystals), strict=True):
        new = atoms.copy()
        new.info[f"{prefix}energy"] = result.energy + reference * len(atoms)
        new.info[f"{prefix}stress"] = stress * (result.stress_cc + pressure * np.eye(3))
        new.arrays[f"{prefix}forces"] = result.forces_nc
        out.append(new)
    return out


def write(path: Path, crystals: list[Atoms]) -> Path:
    """Write extended XYZ by ASE, everything under the name it has."""
    import ase.io

    ase.io.write(path, crystals, format="extxyz")
    return path
