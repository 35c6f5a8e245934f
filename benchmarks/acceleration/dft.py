"""Quantum ESPRESSO (Debian `quantum-espresso quantum-espresso-data`) as a reference method."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.espresso import Espresso, EspressoProfile

PSEUDO_DIR = Path("/usr/share/espresso/pseudo")
# One functional (LDA, Perdew-Zunger) for all five.
PSEUDO = {"O": "O.pz-rrkjus.UPF", "C": "C.pz-rrkjus.UPF", "Al": "Al.pz-vbc.UPF", "Si": "Si.pz-vbc.UPF",
          "Mg": "Mg.pz-n-vbc.UPF"}  # fmt: skip
ECUT_RY, ECUT_RHO_RY = 25.0, 150.0
# One mean-value point for all: the same Hamiltonian for either start, at a fifth of the price of a 2x2x2 grid.
KPTS = np.array([[0.25, 0.25, 0.25, 1.0]])


def espresso(atoms: Atoms) -> Espresso:
    """Return a calculator with forces and stress: LDA, 25 Ry (150 Ry density), one k-point, smearing of 0.01 Ry."""
    data = {
        "control": {"tprnfor": True, "tstress": True, "disk_io": "none"},
        "system": {"ecutwfc": ECUT_RY, "ecutrho": ECUT_RHO_RY, "occupations": "smearing", "smearing": "gaussian",
                   "degauss": 0.01},
        "electrons": {"conv_thr": 1e-6, "mixing_beta": 0.7, "electron_maxstep": 80},
    }  # fmt: skip
    return Espresso(
        profile=EspressoProfile(command="pw.x", pseudo_dir=PSEUDO_DIR),
        pseudopotentials={s: PSEUDO[s] for s in set(atoms.get_chemical_symbols())},
        input_data=data,
        kpts=KPTS,
        directory=tempfile.mkdtemp(prefix="acceleration-"),
    )
