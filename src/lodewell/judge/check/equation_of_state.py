"""Energy against volume: the third-order equation of Birch and Murnaghan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Floats
from lodewell.errors import BadCrystal
from lodewell.judge.check.prototypes import scaled
from lodewell.potentials.base import Potential
from lodewell.relax.run import relax


@dataclass(frozen=True)
class EquationOfState:
    """Volumes and energies of one crystal, per atom.

    | field | shape | unit |
    |---|---|---|
    | `volume_k`, `energy_k` | (K,) | Å^3, eV: relaxed at each volume; the fit goes through these |
    | `volume`, `energy` | | Å^3, eV: the minimum of the fit |
    | `modulus` | | eV/Å^3: bulk modulus there |
    | `slope` | | its derivative by pressure |
    | `misfit` | | eV: root mean square of what the fit leaves |
    """

    volume_k: Floats
    energy_k: Floats
    volume: float
    energy: float
    modulus: float
    slope: float
    misfit: float

    def fitted(self, volume: Floats) -> Floats:
        """Return the fitted energy per atom (eV) at volumes per atom (Å^3)."""
        x = (self.volume / np.asarray(volume)) ** (2.0 / 3.0)
        bend = 6.0 - 4.0 * x
        return self.energy + 9.0 / 16.0 * self.volume * self.modulus * (
            (x - 1.0) ** 3 * self.slope + (x - 1.0) ** 2 * bend
        )


def equation_of_state(potential: Potential, atoms: Atoms, *, span: float = 0.04, points: int = 11) -> EquationOfState:
    """Fit energy against volume around a relaxed crystal, everything else relaxed at each volume, symmetry kept.

    Args:
        potential: any.
        atoms: a crystal at rest.
        span: largest change of the volume, as a share of it.
        points: volumes computed.

    Raises:
        BadCrystal: when energy has no minimum near the volume of the crystal.
    """
    share_k = np.linspace(1.0 - span, 1.0 + span, points)
    cells = [scaled(atoms, s ** (1.0 / 3.0)) for s in share_k]
    results = relax(cells, potential, cell="volume", keep_symmetry=True, fmax=1e-4, max_steps=300, duplicates=False)
    bad = next((r for r in results if not r.sane), None)
    if bad is not None:
        raise BadCrystal(f"a volume within {100 * span:.0f} % of its own cannot be computed: {bad.message}")
    volume_k = share_k * float(atoms.get_volume()) / len(atoms)
    energy_k = np.array([r.energy_per_atom for r in results], dtype=np.float64)
    return EquationOfState(volume_k, energy_k, *birch_murnaghan(volume_k, energy_k))


def birch_murnaghan(volume_k: Floats, energy_k: Floats) -> tuple[float, float, float, float, float]:
    """Fit the third-order equation; return volume, energy, bulk modulus, its pressure derivative, and the misfit.

    In x = V^(-2/3) it is a cubic polynomial, so that one linear solve does it.
    Birch, Phys. Rev. 71, 809 (1947).

    Raises:
        BadCrystal: when the fitted curve has no minimum within the volumes given.
    """
    middle = float(np.mean(volume_k))
    x_k = (np.asarray(volume_k) / middle) ** (-2.0 / 3.0)
    curve = np.polynomial.Polynomial.fit(x_k, energy_k, 3).convert()
    turns = curve.deriv().roots()
    turns = np.real(turns[np.abs(np.imag(turns)) < 1e-12])
    minima = [t for t in turns if curve.deriv(2)(t) > 0.0 and x_k.min() <= t <= x_k.max()]
    if not minima:
        raise BadCrystal("energy against volume has no minimum: the crystal is not at rest or does not hold together")
    x = float(minima[0])
    v = middle * x**-1.5
    # Derivatives of x = (V / middle)^(-2/3) by V.
    d1, d2 = -2.0 / 3.0 * x / v, 10.0 / 9.0 * x / v**2
    second = float(curve.deriv(2)(x)) * d1**2
    third = float(curve.deriv(3)(x)) * d1**3 + 3.0 * float(curve.deriv(2)(x)) * d1 * d2
    misfit = float(np.sqrt(np.mean((curve(x_k) - energy_k) ** 2)))
    return v, float(curve(x)), v * second, -1.0 - v * third / second, misfit
