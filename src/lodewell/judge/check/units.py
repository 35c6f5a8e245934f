"""In which units the numbers of a potential can be told: true eV and GPa, or units of its own."""

from __future__ import annotations

from dataclasses import dataclass

from ase.units import GPa, kB

from lodewell.potentials.base import Potential


@dataclass(frozen=True)
class Units:
    """Names and factors: a value in eV and Å times the factor is a value in the named unit.

    Attributes:
        energy: "eV", or "kT" for a table that was never fitted to energies.
        pressure: "GPa", or "kT/Å³".
        per_pressure: from eV/Å^3.
        temperature: "K", or "kT".
        per_temperature: from eV.
        time: "ps"; that of a table without energies holds if its kT was 1 eV.
        frequency: "THz", likewise.
    """

    energy: str
    pressure: str
    per_pressure: float
    temperature: str
    per_temperature: float
    time: str
    frequency: str


IN_EV = Units("eV", "GPa", 1.0 / GPa, "K", 1.0 / kB, "ps", "THz")
IN_KT = Units("kT", "kT/Å³", 1.0, "kT", 1.0, "ps (kT = 1 eV)", "THz (kT = 1 eV)")


def units_of(potential: Potential) -> Units:
    """Return the units that mean something for this potential."""
    return IN_EV if potential.calibrated else IN_KT
