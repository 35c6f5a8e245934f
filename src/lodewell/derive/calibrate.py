"""The energy scale of a statistical table, from the stiffness of real crystals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units

from lodewell.crystals.batch import Batch
from lodewell.crystals.read import read_crystals
from lodewell.errors import BadFile
from lodewell.potentials.statistical.statistical import Statistical

MODULUS_KEYS = ("K_vrh", "k_vrh", "bulk_modulus", "bulk_modulus_vrh")
_STRAIN = 0.01  # in length
_MOST = 4000


def energy_scale(
    table: Statistical, paths: str | Path | Sequence[str | Path], most: int = _MOST
) -> tuple[float, dict[str, Any]]:
    """Return the eV that one unit of U stands for, so that bulk moduli come out right in the median.

    K = V d²E/dV² at the crystal's own volume is compared with the modulus in its data (GPa). Crystals that the table
    finds unstable there do not count.

    Raises:
        BadFile: when fewer than ten crystals carry a modulus.
    """
    crystals: list[Atoms] = []
    moduli: list[float] = []
    for record in read_crystals(paths):
        if record.atoms is None or table.unsupported(record.atoms.numbers):
            continue
        known = next((record.atoms.info[k] for k in MODULUS_KEYS if k in record.atoms.info), None)
        if known is not None and np.isfinite(float(known)) and 1.0 < float(known) < 600.0 and len(record.atoms) <= 40:
            crystals.append(record.atoms)
            moduli.append(float(known))
    if len(crystals) < 10:
        raise BadFile(
            f"only {len(crystals)} crystals carry a bulk modulus ({', '.join(MODULUS_KEYS)}, GPa): the energy scale "
            "needs at least ten, or leave calibration out"
        )
    step = max(1, len(crystals) // most)
    batch = Batch.from_atoms(crystals[::step])
    k_table = bulk_moduli(table, batch)
    ratio = np.array(moduli[::step]) / k_table
    good = (k_table > 0.0) & np.isfinite(ratio)
    scale = float(np.median(ratio[good]))
    low, high = np.percentile(ratio[good], [25, 75])
    how = {
        "by": "bulk moduli",
        "crystals": int(good.sum()),
        "unstable": int((~good).sum()),
        "quartiles_eV": [round(float(low), 5), round(float(high), 5)],
    }
    return scale, how


def bulk_moduli(table: Statistical, batch: Batch) -> Any:
    """Return K = V d²E/dV² of each crystal in GPa for an energy scale of 1, from isotropic strains of 1 %; (B,)."""
    energies = []
    for strain in (-_STRAIN, 0.0, _STRAIN):
        moved = batch.moved(batch.positions_nc * (1 + strain), batch.cell_bcc * (1 + strain))
        e_n, _, _ = table.compute(moved, table.neighbours(moved))
        energies.append(np.bincount(batch.crystal_n, e_n, len(batch)) / table.energy_scale)
    # dE/dV at constant shape: with V ∝ (1 + s)^3, V d²E/dV² = (d²E/ds² - 2 dE/ds) / 9 V at s = 0.
    first = (energies[2] - energies[0]) / (2 * _STRAIN)
    second = (energies[2] - 2 * energies[1] + energies[0]) / _STRAIN**2
    return (second - 2 * first) / (9 * batch.volume_b) / units.GPa
