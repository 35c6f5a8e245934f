"""Small made-up crystals with a property that follows from their structure."""

import numpy as np
from ase import Atoms
from ase.build import bulk

RADII = {"Li": 0.76, "Na": 1.02, "K": 1.38, "Mg": 0.72, "Ca": 1.0, "O": 1.40, "F": 1.33, "S": 1.84, "Cl": 1.81}
STRUCTURES = {"rocksalt": 2.0, "zincblende": 2.22, "cesiumchloride": 1.12}


def salts(each: int = 2, seed: int = 0, strain: float = 0.03) -> list[Atoms]:
    """Binary salts, strained; `info` has an id and the density in g/cm^3."""
    rng = np.random.default_rng(seed)
    out = []
    for cation in ("Li", "Na", "K", "Mg", "Ca"):
        for anion in ("O", "F", "S", "Cl"):
            for name, edge in STRUCTURES.items():
                for _ in range(each):
                    atoms = bulk(cation + anion, name, a=edge * (RADII[cation] + RADII[anion]))
                    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, strain, (3, 3))), scale_atoms=True)
                    atoms.info["id"] = f"salt-{len(out)}"
                    atoms.info["density"] = float(atoms.get_masses().sum() / atoms.get_volume() * 1.66053907)
                    out.append(atoms)
    return out
