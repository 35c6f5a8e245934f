"""Any lodewell potential as an ASE calculator, and any ASE calculator as a lodewell potential."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.crystals.voigt import FLAT
from lodewell.errors import BadCrystal, UnsupportedElement
from lodewell.potentials.base import Potential

NOT_FINITE = "its energy or forces are not finite: atoms are too close, or the potential is flawed"


class LodewellCalculator(Calculator):  # type: ignore[misc]
    """Energy (eV), forces (eV/Å), stress (eV/Å^3) and per-atom energies of a lodewell potential.

    Neighbours are kept with a skin (Å) between calls, so dynamics and relaxations rebuild them only when needed.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, potential: Potential, skin: float = 0.5) -> None:
        super().__init__()
        self.potential, self.skin = potential, skin
        self._computed: Potential | None = None  # the potential whose results these are
        self._kept: tuple[Batch, Neighbours] | None = None

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Say what has changed since the last computation: exactly, and in a fifth of the time ASE takes for it."""
        old = self.atoms
        if old is None or len(old) != len(atoms) or self._computed is not self.potential:
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
        """Compute everything at once; ASE calls this when atoms have changed.

        Nothing is taken from `system_changes`: after a refusal ASE reports no change, and the crystal is still refused.

        Raises:
            UnsupportedElement: when an element has no parameters.
            BadCrystal: when the potential is not defined for the crystal, when two atoms stand in one place, and when
                positions, cell or what comes of them are not finite.
        """
        super().calculate(atoms, properties, system_changes)
        self.results, self._computed = {}, None
        batch = Batch.from_atoms(self.atoms)
        if why := self.potential.refuses(self.atoms):
            kind = UnsupportedElement if self.potential.unsupported(batch.species_n) else BadCrystal
            raise kind(f"{self._formula}: {why}")
        neighbours = self._near(batch)
        if found := neighbours.refusal(batch):
            raise BadCrystal(f"{self._formula}: {found[1]}")
        e_n, f_nc, virial_bcc = self.potential.compute(batch, neighbours)
        energy = float(e_n.sum())
        if not math.isfinite(energy + float(np.vdot(f_nc, f_nc))):
            raise BadCrystal(f"{self._formula}: {NOT_FINITE}")
        results = {"energy": energy, "free_energy": energy, "energies": e_n, "forces": f_nc}
        volume = float(batch.volume_b[0])
        if volume > 0.0:
            stress = -virial_bcc[0] / volume
            results["stress"] = stress.ravel().take(FLAT)
        self.results, self._computed = results, self.potential
        if "stress" in properties and "stress" not in results:
            raise PropertyNotImplementedError("stress needs a cell with a volume: this crystal has none")

    @property
    def _formula(self) -> str:
        return str(self.atoms.get_chemical_formula())

    def _near(self, batch: Batch) -> Neighbours:
        """Return the neighbours: those kept, brought up to date, where they belong to such a crystal and cutoff."""
        kept, potential = self._kept, self.potential
        self._kept = None  # until it is known to be whole
        if kept is not None and _serves(*kept, batch, potential, self.skin):
            neighbours = kept[1]
            neighbours.update(batch)
        else:
            neighbours = potential.neighbours(batch, self.skin)
        self._kept = batch, neighbours
        return neighbours


def _serves(old: Batch, neighbours: Neighbours, new: Batch, potential: Potential, skin: float) -> bool:
    """Tell whether a list made for one crystal can be brought up to date for another."""
    wanted = (potential.cutoff, potential.half_list, skin)
    if (neighbours.cutoff, neighbours.half, neighbours.skin) != wanted:
        return False
    return len(old.species_n) == len(new.species_n) and old.pbc_bc.tolist() == new.pbc_bc.tolist()


class FromCalculator(Potential):
    """An ASE calculator behind lodewell's contract, one crystal at a time, so that `relax` serves it too."""

    kind: ClassVar[str] = "ase"
    cutoff = 0.0  # it finds its own neighbours
    most_crystals = 1

    def __init__(self, calculator: Any) -> None:
        self.behind = calculator

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Ask the calculator for each crystal; an energy without atomic shares is spread evenly."""
        energies, forces = np.zeros(len(batch.species_n)), np.zeros((len(batch.species_n), 3))
        virials = np.zeros((len(batch), 3, 3))
        for b, (s, atoms) in enumerate(zip(batch.slices, batch.to_atoms(), strict=True)):
            atoms.calc = self.behind
            try:
                forces[s] = atoms.get_forces()
                energies[s] = atoms.get_potential_energy() / len(atoms)
                if atoms.pbc.any() and atoms.cell.rank == 3:
                    virials[b] = -atoms.get_volume() * atoms.get_stress(voigt=False)
            except Exception:
                # Else it may take the crystal that it has just refused for one that it has computed.
                if hasattr(self.behind, "reset"):
                    self.behind.reset()
                raise
        return energies, forces, virials
