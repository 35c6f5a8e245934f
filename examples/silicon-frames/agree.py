"""Hold the last step of a LAMMPS run of in.silicon against lodewell: python agree.py POTENTIAL FOLDER."""

import sys
from pathlib import Path

import ase.io
import numpy as np

import lodewell


def differences(potential: str, folder: str) -> tuple[float, float]:
    """Return by how much energies (eV) and forces (eV/Å) differ."""
    model = lodewell.load(potential)
    last = ase.io.read(Path(folder) / "last.dump")
    (ours,) = model.evaluate(last)
    lone = sum(model.energies[z] for z in last.numbers)  # LAMMPS leaves these out
    theirs = float((Path(folder) / "last.energy").read_text()) + lone
    return abs(ours.energy - theirs), float(np.abs(ours.forces_nc - last.get_forces()).max())


if __name__ == "__main__":
    energy, force = differences(*sys.argv[1:])
    print(f"energies differ by {energy:.0e} eV, forces by {force:.0e} eV/Å at most")
