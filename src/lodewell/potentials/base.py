"""The contract that every family of potentials keeps, and what it gives in return.

A family says what its `cutoff` and `species` are and turns a packed batch and its neighbours into numbers:

| `compute` returns | shape | unit |
|---|---|---|
| energy of each atom | (N,) | eV |
| force on each atom | (N, 3) | eV/Å |
| virial of each crystal, Σ r ⊗ f = -dE/dstrain | (B, 3, 3) | eV |

Everything else (totals, stress, results, ASE, sums, scaling, storage) is made here from that one call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.given import given_atoms
from lodewell.crystals.neighbours.neighbours import NO_PLACE, Neighbours
from lodewell.errors import BadCrystal, BadOption, UnsupportedElement

if TYPE_CHECKING:
    from lodewell.potentials.calculator import LodewellCalculator
    from lodewell.potentials.sum import Sum

# From this size on, atoms are visited in the order of their place in space: their neighbours then share cache lines.
_SORT_FROM = 20_000
_NAMED = 8  # elements that a repr tells one by one


@dataclass(frozen=True)
class Result:
    """Energy, forces and stress of one crystal.

    | field | shape | unit |
    |---|---|---|
    | `energy` | | eV |
    | `energies_n` | (N,) | eV |
    | `forces_nc` | (N, 3) | eV/Å |
    | `virial_cc` | (3, 3) | eV, -dE/dstrain |
    | `stress_cc` | (3, 3) | eV/Å^3, positive under tension; None without a volume |
    """

    energy: float
    energies_n: Floats
    forces_nc: Floats
    virial_cc: Floats
    stress_cc: Floats | None


@dataclass(frozen=True)
class Uncertainty:
    """What a potential fitted to data knows of its own error on one crystal: one standard deviation each.

    | field | shape | unit |
    |---|---|---|
    | `energy` | | eV, of the total energy |
    | `forces_nc` | (N, 3) | eV/Å |
    | `stress_cc` | (3, 3) | eV/Å^3; None without a volume |
    | `grade_n` | (N,) | extrapolation grade of each atom: above 1 it is unlike every atom of the training data |
    """

    energy: float
    forces_nc: Floats
    stress_cc: Floats | None
    grade_n: Floats


def charged(excess: float) -> str:
    """Return the beginning of a sentence on a cell with an excess charge (e)."""
    return f"charges of the cell add up to {excess:+.3g} e, and the background that neutralises them is in its energy"


class Potential(ABC):
    """A potential: subclass it, set `cutoff`, write `compute`; `check_potential` tells whether the laws hold.

    Attributes:
        kind: name of the family in files and tables.
        cutoff: beyond this distance in Å two atoms do not see each other.
        species: atomic numbers it knows, or None for all.
        half_list: whether `compute` wants each pair once (pair families) or at both atoms.
        most_crystals: how many crystals `compute` likes to have at once; 1 where they are computed one by one.
        pair_bytes: memory that `compute` takes for each pair of atoms within the cutoff, its place in a list included.
        record: what a fit has left beside the coefficients, a frozen dataclass of the family; None where there is none.
        behind: the ASE calculator that it passes everything on to, if it is no more than that.
        calibrated: whether its energies are true eV; a statistical table that was never fitted to energies is not,
            and refuses whatever needs real units, such as a pressure.
    """

    kind: ClassVar[str]
    half_list: bool = False
    cutoff: float
    species: frozenset[int] | None = None
    most_crystals: int = 512
    pair_bytes: float = 8.0
    behind: Any = None
    record: Any = None
    calibrated: bool = True

    @abstractmethod
    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Return energies (N,), forces (N, 3) and virials (B, 3, 3); `neighbours` may hold pairs beyond the cutoff."""

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a file must hold: JSON-like metadata, and arrays by name."""
        raise BadCrystal(f"{type(self).__name__} potentials cannot be stored: they define no state()")

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> Potential:
        """Make the potential again from what `state` returned."""
        raise BadCrystal(f"{cls.__name__} potentials cannot be loaded: they define no from_state()")

    def with_record(self, **changes: Any) -> Self:
        """Return the same potential with other entries in what a fit has left beside the coefficients."""
        other = copy(self)
        other.record = replace(self.record, **changes)
        return other

    def unsupported(self, species_n: Any) -> str | None:
        """Say why atoms of these atomic numbers cannot be computed, or None if they can."""
        if self.species is None:
            return None
        missing = sorted(set(np.unique(species_n).tolist()) - self.species)
        if not missing:
            return None
        names = ", ".join(chemical_symbols[z] for z in missing)
        return f"this potential has no curve for {names}{self._alternatives(missing)}"

    def refuses(self, atoms: Atoms) -> str | None:
        """Say why this crystal cannot be computed, or None if it can; most families look at its elements alone."""
        return self.unsupported(atoms.numbers)

    def excess_charge(self, atoms: Atoms) -> float:
        """Return what the charges of a cell add up to (e); where that is not 0, energies of cells do not compare."""
        return 0.0

    @property
    def sums_pairs(self) -> bool:
        """Whether it is a sum of curves over pairs of atoms, which `pair_curve` returns."""
        return False

    def pair_curve(self, first: int, second: int, r: Floats, variant: str | None = None) -> tuple[Floats, Floats]:
        """Return u (eV) and du/dr (eV/Å) between two elements at distances r > 0 (Å), energy scale included.

        `variant` is an anion class such as "oxide": its own curve where a statistical table has one, else that of all.

        Raises:
            BadOption: when the potential is no sum over pairs, or there is no such class.
        """
        raise BadOption(f"a potential of the kind '{self.kind}' is no sum over pairs: it has no table to export")

    def __repr__(self) -> str:
        known = [chemical_symbols[z] for z in sorted(self.species or ())]
        return f"{type(self).__name__}({', '.join(known) if len(known) <= _NAMED else f'{len(known)} elements'})"

    def _alternatives(self, missing: list[int]) -> str:
        return ""

    def neighbours(self, batch: Batch, skin: float = 0.0) -> Neighbours:
        """Find the pairs this potential needs."""
        return Neighbours.build(batch, self.cutoff, skin, self.half_list)

    def evaluate(self, crystals: Atoms | Sequence[Atoms]) -> list[Result]:
        """Compute energy, forces and stress of one crystal or of many.

        Raises:
            UnsupportedElement: when an element has no parameters, naming the crystal.
            BadCrystal: when positions or cell are not finite, a periodic cell has no volume, two atoms stand in one
                place, or the family is not defined for such a crystal.
        """
        atoms = given_atoms(crystals)
        for k, a in enumerate(atoms):
            if why := self.unsupported(a.numbers):
                raise UnsupportedElement(f"crystal {k} ({a.get_chemical_formula()}): {why}")
            if why := self.refuses(a):
                raise BadCrystal(f"crystal {k} ({a.get_chemical_formula()}): {why}")
        return self.evaluate_batch(Batch.from_atoms(atoms), coincident=False)

    def evaluate_batch(self, batch: Batch, *, coincident: bool = True) -> list[Result]:
        """Compute energy, forces and stress of every crystal of a packed batch.

        coincident: whether two atoms may stand in one place, as at the origin of curves that are drawn.

        Raises:
            BadCrystal: when positions or cell are not finite, a cell has no volume, or atoms coincide that may not.
        """
        order = spatial_order(batch) if batch.count_b.max(initial=0) >= _SORT_FROM else None
        work = batch if order is None else batch.permuted(order)
        neighbours = self.neighbours(work)
        if neighbours.refusal(work, coincident):
            b, why = self.neighbours(batch).refusal(batch, coincident) or (0, NO_PLACE)  # atoms as they were numbered
            raise BadCrystal(f"crystal {b} ({Atoms(batch.species_n[batch.slices[b]]).get_chemical_formula()}): {why}")
        e_n, f_nc, virial_bcc = self.compute(work, neighbours)
        if order is not None:
            unsorted_e, unsorted_f = np.empty_like(e_n), np.empty_like(f_nc)
            unsorted_e[order], unsorted_f[order] = e_n, f_nc
            e_n, f_nc = unsorted_e, unsorted_f
        return [
            Result(
                energy=float(e_n[s].sum()),
                energies_n=e_n[s],
                forces_nc=f_nc[s],
                virial_cc=virial,
                stress_cc=-virial / volume if volume > 0 else None,
            )
            for s, virial, volume in zip(batch.slices, virial_bcc, batch.volume_b, strict=True)
        ]

    @property
    def uncertain(self) -> bool:
        """Whether `uncertainty` can be asked for."""
        return type(self).uncertainty is not Potential.uncertainty

    def uncertainty(self, crystals: Atoms | Sequence[Atoms]) -> list[Uncertainty]:
        """Return the standard deviations of energy, forces and stress, and the extrapolation grade of each atom.

        Raises:
            BadOption: when the potential knows nothing of its errors.
        """
        raise BadOption(f"a {self.kind} potential does not know its own errors: fit one that does, such as uf")

    def calculator(self, skin: float = 0.5) -> LodewellCalculator:
        """Return an ASE calculator of this potential, for ASE itself and everything that drives it."""
        from lodewell.potentials.calculator import LodewellCalculator

        return LodewellCalculator(self, skin=skin)

    def save(self, path: str | Path, **about: Any) -> Path:
        """Write one self-describing file; `about` joins its metadata (data, licence, how it was made)."""
        from lodewell.potentials.store import save

        return save(self, path, **about)

    def __add__(self, other: Potential) -> Sum:
        from lodewell.potentials.sum import Sum

        return Sum([(1.0, self), (1.0, other)])

    def __mul__(self, factor: float) -> Sum:
        from lodewell.potentials.sum import Sum

        return Sum([(float(factor), self)])

    __rmul__ = __mul__

    def __sub__(self, other: Potential) -> Sum:
        return self + (-1.0) * other


def spatial_order(batch: Batch) -> Any:
    """Return an order of the atoms, within each crystal, in which neighbours in space are near in memory; (N,)."""
    inverse = np.linalg.pinv(batch.cell_bcc)[batch.crystal_n]
    fractional = np.einsum("nc,nck->nk", batch.positions_nc, inverse)
    fractional -= np.floor(fractional) * batch.pbc_bc[batch.crystal_n]
    edge = np.linalg.norm(batch.cell_bcc, axis=2)[batch.crystal_n]
    block_nk = np.floor(fractional * edge / 6.0).astype(np.int64)
    return np.lexsort((fractional[:, 2], block_nk[:, 2], block_nk[:, 1], block_nk[:, 0], batch.crystal_n))
