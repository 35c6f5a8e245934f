"""Make the candidate crystals of `examples/candidates` from crystals of the Materials Project.

    python examples/make_candidates.py PATH/TO/crystals

PATH/TO/crystals holds `mp`, `mp-experimental`, `mp-li-fe-p-o`, `mp-li-co-ni-o` and `mp-na-fe-p-o` as `.extxyz.gz`.
What a search for new battery materials would hand over is imitated: known crystals are strained and rattled, and
sodium compounds are turned into lithium compounds at their old volume. The random numbers are fixed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms

from lodewell.crystals.chemistry import element_set
from lodewell.crystals.read import read_crystals
from lodewell.crystals.write import write_crystals

OUT = Path(__file__).parent / "candidates"
RATTLE, STRAIN = 0.2, 0.04  # Å, and relative, both standard deviations

# What is taken: the element set, how many, the file, and what is replaced by what.
TAKEN = (
    ("Li-O-P", 3, "mp", {}),
    ("Li-P-S", 2, "mp", {}),
    ("Co-Li-O", 5, "mp-li-co-ni-o", {}),
    ("Li-Ni-O", 4, "mp-li-co-ni-o", {}),
    ("Co-Li-Ni-O", 3, "mp-li-co-ni-o", {}),
    ("Fe-Li-O-P", 5, "mp-li-fe-p-o", {}),
    ("Na-O-P", 4, "mp", {"Na": "Li"}),
    ("Na-P-S", 3, "mp", {"Na": "Li"}),
    ("Fe-Na-O-P", 4, "mp-na-fe-p-o", {"Na": "Li"}),
    ("Cl-Li-O", 1, "mp", {}),
    ("La-Li-O-Zr", 1, "mp", {}),
    ("Li-Mn-O", 2, "mp", {}),
    ("Li-O-Ti", 2, "mp", {}),
)  # fmt: skip


def chosen(folder: Path, system: str, count: int, name: str) -> Iterator[Atoms]:
    """Yield crystals of an element set with 6 to 60 atoms and different formulas, near the hull where that is known."""
    formulas: set[str] = set()
    names = [name, "mp-experimental"] if name == "mp" else [name]
    for record in read_crystals([folder / f"{n}.extxyz.gz" for n in names]):
        atoms = record.atoms
        if atoms is None or not 6 <= len(atoms) <= 60 or element_set(atoms.numbers) != system:
            continue
        formula = atoms.get_chemical_formula(empirical=True)
        if atoms.info.get("energy_above_hull", 0.0) > 0.1 or formula in formulas:
            continue
        formulas.add(formula)
        yield atoms
        if len(formulas) == count:
            return


def perturbed(atoms: Atoms, replaced: dict[str, str], rng: np.random.Generator) -> Atoms:
    """Return a candidate: elements replaced, the cell strained, the atoms rattled."""
    symbols = [replaced.get(s, s) for s in atoms.symbols]
    strain = rng.normal(0, STRAIN, (3, 3))
    cell = atoms.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T))
    out = Atoms(symbols, scaled_positions=atoms.get_scaled_positions(), cell=cell, pbc=True)
    out.positions += rng.normal(0, RATTLE, out.positions.shape)
    origin = str(atoms.info["id"]).split("-GGA")[0]
    out.info["id"] = origin + "".join(f"-{a}-to-{b}" for a, b in replaced.items())
    return out


def main() -> None:
    """Write each candidate as CIF, every sixth as POSCAR, and every seventh into one extended XYZ file."""
    folder = Path(sys.argv[1])
    rng = np.random.default_rng(2024)
    OUT.mkdir(exist_ok=True)
    together = []
    number = 0
    for system, count, name, replaced in TAKEN:
        for atoms in chosen(folder, system, count, name):
            candidate = perturbed(atoms, replaced, rng)
            label = f"{candidate.get_chemical_formula(empirical=True)}_{candidate.info['id']}"
            if number % 7 == 6:
                together.append(candidate)
            elif number % 6 == 5:
                write_crystals(OUT / f"{label}.vasp", candidate)
            else:
                write_crystals(OUT / f"{label}.cif", candidate)
            number += 1
    write_crystals(OUT / "several.extxyz", together)
    print(f"{number} candidates in {OUT}, {len(together)} of them in several.extxyz")


if __name__ == "__main__":
    main()
