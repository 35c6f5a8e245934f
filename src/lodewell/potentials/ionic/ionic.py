"""Charges, dispersion and repulsion summed over the whole crystal: the terms of ionic models, which add with `+`.

None has a cutoff. They are defined for crystals, periodic in three directions. An atom's energy is right within
`tolerance` · ½ max |C| f((V/N)^(1/3)), C being the term's coefficients, V/N the volume per atom; how the sums are split
and cut: docs/theory/lattice-sums.md.
"""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.images import lower_triangle
from lodewell.crystals.neighbours.lists import list_pairs
from lodewell.crystals.neighbours.neighbours import COINCIDENT, Neighbours, in_one_place
from lodewell.crystals.types import type_table
from lodewell.errors import BadCrystal, BadOption
from lodewell.potentials.base import Potential
from lodewell.potentials.ionic import _sums as kernels
from lodewell.potentials.ionic._functions import POWER, bare
from lodewell.potentials.ionic._plans import plan, reduced
from lodewell.potentials.ionic.lattice_sums import OUTSIDE
from lodewell.potentials.pairs.pair import pair_species

logger = logging.getLogger(__name__)

COULOMB = 14.3996454784  # e²/(4πε0) in eV Å, CODATA 2018
_NEUTRAL = 1e-8  # e; more than this a cell is called charged
_DENSITY = 2.3  # reciprocal vectors against images, times N^(1/3): the quickest split measured for 1,000 ions


class LatticePotential(Potential):
    """½ Σ_ij Σ'_R C_ij f(r) over all images, without a cutoff; a term supplies `_add`.

    Raises (from every computation):
        BadCrystal: for molecules, chains and slabs.
    """

    cutoff = 0.0
    half_list = True

    def __init__(self, species: Sequence[int], tolerance: float) -> None:
        if not 1e-14 <= tolerance <= 1e-2:
            raise BadOption(f"the tolerance of a lattice sum must lie between 1e-14 and 0.01, not {tolerance}")
        self.tolerance = float(tolerance)
        self.species = frozenset(species)
        self._type_z = type_table(sorted(species))

    def refuses(self, atoms: Atoms) -> str | None:
        """Say why this crystal cannot be computed: its elements, missing periodicity, or coincident atoms."""
        if why := self.unsupported(atoms.numbers):
            return why
        if not atoms.pbc.all():
            return OUTSIDE
        cell, positions = np.array(atoms.cell.array, dtype=float), np.array(atoms.positions, dtype=float)
        # Looked for within 1 Å: a list of a tiny cutoff would divide a large cell into very many boxes.
        i_p, j_p, _, vector_pc, sane = list_pairs(positions, cell, np.ones(3, np.bool_), 1.0, True)
        together: Ints = np.flatnonzero(np.linalg.norm(vector_pc, axis=1) < COINCIDENT)
        if sane and len(together):
            return in_one_place(int(i_p[together[0]]), int(j_p[together[0]]))
        return None

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Sum crystal by crystal; the neighbour list is not needed.

        Raises:
            BadCrystal: for molecules, chains and slabs.
        """
        for outside in np.flatnonzero(~batch.pbc_bc.all(axis=1)):
            raise BadCrystal(f"crystal {outside}: {OUTSIDE}")
        energies, forces = np.zeros(len(batch.species_n)), np.zeros((len(batch.species_n), 3))
        virials = np.zeros((len(batch), 3, 3))
        for b, s in enumerate(batch.slices):
            if neighbours.no_place_b[b]:
                energies[s] = np.nan
            elif s.stop > s.start:
                type_n = self._type_z[batch.species_n[s]]
                self._add(
                    batch.positions_nc[s], batch.cell_bcc[b], type_n, (energies[s], forces[s], virials[b])
                )  # fmt: skip
        return energies, forces, virials

    @abstractmethod
    def pair_energy(self, first: int, second: int, r: Floats) -> Floats:
        """Return C f(r) of one pair of atoms (eV) by their atomic numbers, at distances r (Å)."""

    def _between(self, first: int, second: int, table_tt: Floats) -> float:
        return float(table_tt[self._type_z[first], self._type_z[second]])

    @abstractmethod
    def _add(self, positions_nc: Floats, cell_cc: Floats, type_n: Ints, out: tuple[Floats, Floats, Floats]) -> None:
        """Add energies (N,), forces (N, 3) and virial (3, 3) of one crystal."""

    def _add_split(
        self, kind: int, a: float, coefficient_tt: Floats, positions_nc: Floats, cell_cc: Floats, type_n: Ints,
        out: tuple[Floats, Floats, Floats],
    ) -> None:  # fmt: skip
        """Add ½ Σ C S by images and reciprocal vectors."""
        count, volume = len(type_n), abs(float(np.linalg.det(cell_cc)))
        budget = self.tolerance * float(bare(kind, a, (volume / count) ** (1 / 3))) / count
        eta, radius, recip, n_gk, square_g = plan(kind, a, reduced(cell_cc), _DENSITY * count ** (1 / 3), budget)
        i_p, j_p, _, vector_pc, _ = list_pairs(positions_nc, cell_cc, np.ones(3, np.bool_), radius, True)
        kernels.add_images(kind, a, eta, coefficient_tt, type_n, i_p, j_p, vector_pc, *out)
        kernels.add_waves(
            kind, a, eta, coefficient_tt, type_n, positions_nc, volume, recip, n_gk, square_g, *out
        )  # fmt: skip


class Coulomb(LatticePotential):
    """Point charges, ½ Σ q_i q_j e²/(4πε0 r), by Ewald summation.

    A cell whose charges do not add up to zero is computed in a uniform background that neutralises it, and said so in
    the log, once a potential. Forces and differences of energy at a fixed cell keep their meaning then; energies of
    different cells cannot be compared, and the stress holds the background's own.

    Args:
        charges: charge of each element in e, such as ``{"Na": 1.0, "Cl": -1.0}``.
        tolerance: see the module; from 1e-14 to 0.01.
    """

    kind: ClassVar[str] = "coulomb"

    def __init__(self, charges: Mapping[str, float], tolerance: float = 1e-10) -> None:
        self.charges = {
            symbol: _number(charge, f"the charge of {symbol}")
            for symbol, charge in _mapping(charges, "charges", '{"Na": 1.0, "Cl": -1.0}').items()
        }
        for symbol in self.charges:
            if symbol not in atomic_numbers:
                raise BadOption(f"'{symbol}' is no element: charges are given as Na: 1.0")
        super().__init__([atomic_numbers[symbol] for symbol in charges], tolerance)
        q_t = np.array([q for _, q in sorted((atomic_numbers[s], q) for s, q in self.charges.items())])
        self._charge_t = q_t
        self._coefficient_tt = COULOMB * np.outer(q_t, q_t)
        self._said = False

    def excess_charge(self, atoms: Atoms) -> float:
        """Return what the charges of a cell add up to (e), exactly 0 where they do but for rounding."""
        return self._excess(self._type_z[atoms.numbers])

    def _excess(self, type_n: Ints) -> float:
        excess = float(self._charge_t[type_n].sum())
        return excess if abs(excess) > _NEUTRAL else 0.0

    def pair_energy(self, first: int, second: int, r: Floats) -> Floats:
        """Return q_i q_j e²/(4πε0 r)."""
        return self._between(first, second, self._coefficient_tt) / r

    def _add(self, positions_nc: Floats, cell_cc: Floats, type_n: Ints, out: tuple[Floats, Floats, Floats]) -> None:
        excess = self._excess(type_n)
        if excess and not self._said:
            self._said = True
            logger.warning(
                "charges of a cell add up to %+.3g e: it is computed in a neutralising background, which makes "
                "energies of different cells incomparable and adds to the stress",
                excess,
            )
        self._add_split(POWER, 1.0, self._coefficient_tt, positions_nc, cell_cc, type_n, out)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold the charges."""
        return {"charges": self.charges, "tolerance": self.tolerance}, {}

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> Coulomb:
        """Make it from the charges."""
        return cls(meta["charges"], meta["tolerance"])


def _number(given: Any, what: str) -> float:
    """Return a finite number."""
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise BadOption(f"{what} must be a number, not {given!r}")
    return value


def _mapping(given: Any, what: str, example: str) -> Mapping[str, Any]:
    """Return a mapping from names."""
    if not isinstance(given, Mapping) or not given or not all(isinstance(name, str) for name in given):
        raise BadOption(f"{what} must be a mapping such as {example}, not {given!r}")
    return given


def _named_pairs(pairs: Mapping[str, Any]) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the elements in order, and for each pair the places of its two elements among them."""
    both = [pair_species(name) for name in pairs]
    species = sorted({z for pair in both for z in pair})
    return species, [(species.index(a), species.index(b)) for a, b in both]


class London(LatticePotential):
    """Dispersion, -C6/r^6, undamped. Pairs of elements that are not named do not interact.

    An element that stands in no pair is refused: name a pair of it with 0.

    Args:
        c6: C6 in eV Å^6 by pair of elements, such as ``{"Ar-Ar": 63.8}``.
        tolerance: see the module; from 1e-14 to 0.01.
    """

    kind: ClassVar[str] = "london"

    def __init__(self, c6: Mapping[str, float], tolerance: float = 1e-10) -> None:
        species, places = _named_pairs(_mapping(c6, "C6", '{"Ar-Ar": 63.8}'))
        super().__init__(species, tolerance)
        self.c6 = {name: _number(value, f"C6 of {name}") for name, value in c6.items()}
        self._coefficient_tt = np.zeros((len(species), len(species)))
        for value, (t, u) in zip(self.c6.values(), places, strict=True):
            self._coefficient_tt[t, u] = self._coefficient_tt[u, t] = -value

    def pair_energy(self, first: int, second: int, r: Floats) -> Floats:
        """Return -C6/r^6."""
        return self._between(first, second, self._coefficient_tt) / r**6

    def _add(self, positions_nc: Floats, cell_cc: Floats, type_n: Ints, out: tuple[Floats, Floats, Floats]) -> None:
        self._add_split(POWER, 6.0, self._coefficient_tt, positions_nc, cell_cc, type_n, out)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold the coefficients."""
        return {"c6": self.c6, "tolerance": self.tolerance}, {}

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> London:
        """Make it from the coefficients."""
        return cls(meta["c6"], meta["tolerance"])


class BornMayer(LatticePotential):
    """Repulsion, A exp(-r/ρ). Pairs of elements that are not named do not interact.

    An element that stands in no pair is refused: name a pair of it with 0.

    Args:
        pairs: A in eV and ρ in Å by pair of elements, such as ``{"Mg-O": (1428.5, 0.2945)}``.
        tolerance: see the module; from 1e-14 to 0.01.
    """

    kind: ClassVar[str] = "born-mayer"

    def __init__(self, pairs: Mapping[str, Sequence[float]], tolerance: float = 1e-10) -> None:
        species, places = _named_pairs(_mapping(pairs, "pairs", '{"Mg-O": (1428.5, 0.2945)}'))
        super().__init__(species, tolerance)
        self.pairs: dict[str, tuple[float, float]] = {}
        self._height_tt, self._rate_tt = np.zeros((2, len(species), len(species)))
        for (name, values), (t, u) in zip(pairs.items(), places, strict=True):
            try:
                height, length = (float(value) for value in values)
            except (TypeError, ValueError):
                height, length = math.nan, math.nan
            if not (math.isfinite(height) and 0.0 < length < math.inf):
                raise BadOption(f"{name} needs A in eV and a positive ρ in Å, not {values!r}")
            self.pairs[name] = (height, length)
            self._height_tt[t, u] = self._height_tt[u, t] = height
            self._rate_tt[t, u] = self._rate_tt[u, t] = 1.0 / length

    def pair_energy(self, first: int, second: int, r: Floats) -> Floats:
        """Return A exp(-r/ρ)."""
        height, rate = (self._between(first, second, table) for table in (self._height_tt, self._rate_tt))
        return height * np.exp(-rate * r)

    def _add(self, positions_nc: Floats, cell_cc: Floats, type_n: Ints, out: tuple[Floats, Floats, Floats]) -> None:
        L = lower_triangle(reduced(cell_cc), np.arange(3))
        count, volume = len(type_n), abs(float(np.linalg.det(cell_cc)))
        radius_tt = np.zeros_like(self._rate_tt)
        for t, u in np.argwhere(self._rate_tt > 0.0):
            a = float(self._rate_tt[t, u])
            budget = self.tolerance * math.exp(-a * (volume / count) ** (1 / 3)) / count
            radius_tt[t, u] = kernels.direct_radius(a, L, max(budget, 1e-300))
        i_p, j_p, _, vector_pc, _ = list_pairs(
            positions_nc, cell_cc, np.ones(3, np.bool_), float(radius_tt.max(initial=0.0)), True
        )
        kernels.add_exponentials(self._height_tt, self._rate_tt, radius_tt, type_n, i_p, j_p, vector_pc, *out)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold the parameters."""
        return {"pairs": {name: list(values) for name, values in self.pairs.items()}, "tolerance": self.tolerance}, {}

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> BornMayer:
        """Make it from the parameters."""
        return cls(meta["pairs"], meta["tolerance"])
