"""Any lodewell potential as an ASE calculator, and any ASE calculator as a lodewell potential."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.neighbours import NO_PLACE, Neighbours
from lodewell.errors import BadCrystal, UnsupportedElement
from lodewell.potentials.base import Potential


class LodewellCalculator(Calculator):  # type: ignore[misc]
    """Energy (eV), forces (eV/Å), stress (eV/Å^3) and per-atom energies of a lodewell potential.

    Neighbours are kept with a skin (Å) between calls, so dynamics and relaxations rebuild them only when needed.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, potential: Potential, skin: float = 0.5) -> None:
        super().__init__()
        self.potential, self.skin = potential, skin
        self._kept: tuple[Batch, Neighbours] | None = None

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Say what has changed since the last computation: exactly, and in a fifth of the time ASE takes for it."""
        old = self.atoms
        if old is None or len(old) != len(atoms):
            return list(all_changes)
        changed = [
            name for name in ("positions", "numbers") if not np.array_equal(old.arrays[name], atoms.arrays[name])
        ]
        if not np.array_equal(old.cell.array, atoms.cell.array):
            changed.append("cell")
        if not np.array_equal(old.pbc, atoms.pbc):
            changed.append("pbc")
        return changed

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Compute everything at once; ASE calls this when atoms have changed."""
        super().calculate(atoms, properties, system_changes)
        batch = Batch.from_atoms(self.atoms)
        same = not {"numbers", "pbc"} & set(system_changes)
        if same and self._kept is not None and len(self._kept[0].species_n) == len(batch.species_n):
            neighbours = self._kept[1]
            neighbours.update(batch)
        else:
            if why := self.potential.unsupported(batch.species_n):
                raise UnsupportedElement(f"{self.atoms.get_chemical_formula()}: {why}")
            if why := self.potential.refuses(self.atoms):
                raise BadCrystal(f"{self.atoms.get_chemical_formula()}: {why}")
            neighbours = self.potential.neighbours(batch, self.skin)
        self._kept = (batch, neighbours)
        if neighbours.no_place_b[0]:
            raise BadCrystal(f"{self.atoms.get_chemical_formula()}: {NO_PLACE}")
        e_n, f_nc, virial_bcc = self.potential.compute(batch, neighbours)
        energy = float(e_n.sum())
        self.results = {"energy": energy, "free_energy": energy, "energies": e_n, "forces": f_nc}
        volume = float(batch.volume_b[0])
        if volume > 0.0:
            stress = -virial_bcc[0] / volume
            self.results["stress"] = stress.flat[[0, 4, 8, 5, 2, 1]]
        elif "stress" in properties:
            raise PropertyNotImplementedError("stress needs a cell with a volume: this crystal has none")


class FromCalculator(Potential):
    """An ASE calculator behind lodewell's contract, one crystal at a time, so that `relax` serves it too."""

    kind: ClassVar[str] = "ase"
    cutoff = 0.0

    def __init__(self, calculator: Any) -> None:
        self.calculator_ = calculator

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Ask the calculator for each crystal; an energy without atomic shares is spread evenly."""
        energies, forces = np.zeros(len(batch.species_n)), np.zeros((len(batch.species_n), 3))
        virials = np.zeros((len(batch), 3, 3))
        for b, (s, atoms) in enumerate(zip(batch.slices, batch.to_atoms(), strict=True)):
            atoms.calc = self.calculator_
            forces[s] = atoms.get_forces()
            energies[s] = atoms.get_potential_energy() / len(atoms)
            if atoms.pbc.any() and atoms.cell.rank == 3:
                virials[b] = -atoms.get_volume() * atoms.get_stress(voigt=False)
        return energies, forces, virials
