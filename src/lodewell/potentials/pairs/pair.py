"""Analytic pair potentials, and the helper that makes a whole potential from u(r) and u'(r).

The simplest families: Lennard-Jones, Morse, Buckingham, and the screened nuclear repulsion of Ziegler, Biersack
and Littmark. A new one supplies `radial` alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import ArrayLike, NDArray

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.blocks import blocks, gather, scatter, switch, wrapped
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.crystals.types import type_table
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential
from lodewell.potentials.pairs import _radial
from lodewell.potentials.pairs._sums import sum_pairs

# Pairs handled at a time: their distances, energies and slopes then stay in the processor's cache.
_BLOCK = 1 << 16


def pair_species(name: str) -> tuple[int, int]:
    """Return the two atomic numbers of a pair such as ``"Li-O"``.

    Raises:
        BadOption: when a symbol is unknown.
    """
    symbols = name.replace("–", "-").split("-")
    if len(symbols) != 2 or any(s not in atomic_numbers for s in symbols):
        raise BadOption(f"'{name}' is no pair of elements: write two symbols and a hyphen, such as Li-O")
    first, second = sorted((atomic_numbers[symbols[0]], atomic_numbers[symbols[1]]))
    return first, second


class PairPotential(Potential):
    """E = Σ_{i<j} u(r_ij) S(r_ij), where u and u' come from `radial`.

    S goes from 1 to 0 over the last `switch` Å before the cutoff with continuous first and second derivatives;
    `switch=0` cuts sharply. Pairs of elements that are not named do not interact.
    """

    half_list = True
    parameter_names: ClassVar[tuple[str, ...]]
    # Families with a compiled twin of `radial` name it, and parameters that make it vanish for pairs not named.
    form: ClassVar[int | None] = None
    silent: ClassVar[tuple[float, ...]] = ()

    def __init__(self, pairs: Mapping[str, Sequence[float]], cutoff: float, switch: float = 1.0) -> None:
        if not 0.0 <= switch < cutoff < np.inf:
            raise BadOption(f"the switch must lie between 0 and the cutoff of {cutoff} Å, not {switch}")
        self.cutoff, self.switch = float(cutoff), float(switch)
        self.pairs = {name: tuple(float(v) for v in values) for name, values in pairs.items()}
        species = sorted({z for name in pairs for z in pair_species(name)})
        self.species = frozenset(species)
        self._type_z = type_table(species)
        self._parameters = np.full((len(self.parameter_names), len(species), len(species)), np.nan)
        for name, values in self.pairs.items():
            if len(values) != len(self.parameter_names):
                raise BadOption(f"{name} needs {', '.join(self.parameter_names)}: got {len(values)} numbers")
            if not np.isfinite(values).all():
                raise BadOption(f"{name} needs finite numbers, not {values}")
            a, b = self._type_z[list(pair_species(name))]
            self._parameters[:, a, b] = self._parameters[:, b, a] = values

    @abstractmethod
    def radial(self, r_p: Floats, parameters_xp: Floats) -> tuple[Floats, Floats]:
        """Return u in eV and du/dr in eV/Å at distances `r_p` (P,), with the parameters of each pair (X, P)."""

    @property
    def sums_pairs(self) -> bool:
        """It is one."""
        return True

    def pair_curve(self, first: int, second: int, r: Floats, variant: str | None = None) -> tuple[Floats, Floats]:
        """Return the curve of a pair, zero for one that is not named; see `Potential.pair_curve`."""
        r = np.asarray(r, dtype=np.float64)
        if self.species is not None and not {first, second} <= self.species:
            return np.zeros_like(r), np.zeros_like(r)
        u, du = self.curve(pair_name(first, second), r)
        return np.where(np.isnan(u), 0.0, u), np.where(np.isnan(u), 0.0, du)

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Sum over pairs: in one compiled loop where the family has one, else a block of pairs at a time."""
        if self.form is None:
            return self._compute_blocks(batch, neighbours)
        n = neighbours
        energies, forces, virials = sum_pairs(
            self.form, self._numbers, self._row_vtt, 0.0, 1.0, 0, self.cutoff, self.switch, 1.0,
            batch.positions_nc, batch.cell_bcc, batch.first_b, self._types(batch.species_n),
            np.zeros(len(batch), np.int64), n.half, n.first_n, n.last_n, n.j_p, n.image_p, n.wraps_nc, n.reach_bc,
        )  # fmt: skip
        return energies, forces, virials

    @cached_property
    def _numbers(self) -> Floats:
        """The parameters of every pair of types one after the other, flat."""
        rows = self._parameters.reshape(len(self._parameters), -1).T
        return np.where(np.isnan(rows), self.silent, rows).ravel()

    @cached_property
    def _row_vtt(self) -> NDArray[np.int32]:
        """Where the parameters of each pair of types begin in `_numbers`, shape (1, T, T)."""
        width, types = self._parameters.shape[:2]
        return (width * np.arange(types * types, dtype=np.int32)).reshape(1, types, types)

    def _compute_blocks(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        energies = np.where(neighbours.no_place_b[batch.crystal_n], np.nan, 0.0)
        forces = np.zeros((len(batch.species_n), 3))
        virials = np.zeros((len(batch), 3, 3))
        x_nc = wrapped(batch.positions_nc, batch.cell_bcc, batch.first_b, neighbours.wraps_nc)
        types_n = self._types(batch.species_n)
        scale = 1.0 if neighbours.half else 0.5
        for begin, end in blocks(neighbours.first_n, neighbours.last_n, _BLOCK):
            r_p, i_p, j_p, vector_pc = gather(
                begin, end, x_nc, batch.cell_bcc, batch.crystal_n, batch.first_b, self.cutoff,
                neighbours.first_n, neighbours.last_n, neighbours.j_p, neighbours.image_p, neighbours.reach_bc,
            )  # fmt: skip
            u_p, du_p = self.radial(r_p, self._parameters[:, types_n[i_p], types_n[j_p]])
            switch(r_p, u_p, du_p, self.cutoff, self.switch, scale)
            scatter(r_p, i_p, j_p, vector_pc, u_p, du_p, batch.crystal_n, energies, forces, virials)
        return energies, forces, virials

    def curve(self, pair: str, r: ArrayLike) -> tuple[Floats, Floats]:
        """Return u (eV) and du/dr (eV/Å) of one pair at distances of any shape (Å), switched off and cut."""
        distances = np.asarray(r, dtype=np.float64)
        a, b = self._types(np.array(pair_species(pair)))
        r_p = np.minimum(distances.ravel(), self.cutoff)
        u_p, du_p = (np.array(v) for v in self.radial(r_p, self._parameters[:, [a], [b]].repeat(len(r_p), axis=1)))
        switch(r_p, u_p, du_p, self.cutoff, self.switch, 1.0)
        inside = distances < self.cutoff
        return np.where(inside, u_p.reshape(inside.shape), 0.0), np.where(inside, du_p.reshape(inside.shape), 0.0)

    def _types(self, species_n: Ints) -> Ints:
        return self._type_z[species_n]

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold the parameters."""
        return {"pairs": self.pairs, "cutoff": self.cutoff, "switch": self.switch}, {}

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> PairPotential:
        """Make it from its parameters."""
        return cls(**meta)


class LennardJones(PairPotential):
    """u = 4 ε [(σ/r)^12 - (σ/r)^6]; `pairs` maps "Ar-Ar" to (ε in eV, σ in Å).

    Jones, Proc. R. Soc. A 106, 463 (1924).
    """

    kind = "lennard-jones"
    parameter_names = ("epsilon", "sigma")
    form = _radial.LENNARD_JONES
    silent = (0.0, 1.0)

    def radial(self, r_p: Floats, parameters_xp: Floats) -> tuple[Floats, Floats]:
        """Return u and u'."""
        epsilon, sigma = parameters_xp
        x6 = (sigma / r_p) ** 6
        return 4.0 * epsilon * x6 * (x6 - 1.0), -24.0 * epsilon * x6 * (2.0 * x6 - 1.0) / r_p


class Morse(PairPotential):
    """u = D [(1 - e^{-α(r - r0)})^2 - 1]; `pairs` maps "Cu-Cu" to (D in eV, α in 1/Å, r0 in Å).

    Morse, Phys. Rev. 34, 57 (1929).
    """

    kind = "morse"
    parameter_names = ("depth", "alpha", "r0")
    form = _radial.MORSE
    silent = (0.0, 1.0, 1.0)

    def radial(self, r_p: Floats, parameters_xp: Floats) -> tuple[Floats, Floats]:
        """Return u and u'."""
        depth, alpha, r0 = parameters_xp
        decay = np.exp(-alpha * (r_p - r0))
        return depth * decay * (decay - 2.0), -2.0 * depth * alpha * decay * (decay - 1.0)


class Buckingham(PairPotential):
    """u = A e^{-r/ρ} - C/r^6; `pairs` maps "O-O" to (A in eV, ρ in Å, C in eV Å^6).

    It falls to minus infinity below its inner maximum, as the form does: add `ZBL` where atoms may come that close.
    Buckingham, Proc. R. Soc. A 168, 264 (1938).
    """

    kind = "buckingham"
    parameter_names = ("A", "rho", "C")
    form = _radial.BUCKINGHAM
    silent = (0.0, 1.0, 0.0)

    def radial(self, r_p: Floats, parameters_xp: Floats) -> tuple[Floats, Floats]:
        """Return u and u'."""
        amplitude, rho, dispersion = parameters_xp
        wall, tail = amplitude * np.exp(-r_p / rho), dispersion / r_p**6
        return wall - tail, -wall / rho + 6.0 * tail / r_p


class ZBL(PairPotential):
    """Universal screened nuclear repulsion for all elements.

    u = (e²/4πε0) Z1 Z2 / r · φ(r/a), a = 0.46850 Å / (Z1^0.23 + Z2^0.23).
    Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Solids (1985).
    """

    kind = "zbl"
    parameter_names = ("charges", "length")
    form = _radial.ZBL
    silent = (0.0, 1.0)

    def __init__(self, cutoff: float = 2.5, switch: float = 1.0) -> None:
        super().__init__({}, cutoff, switch)
        self.species = None
        z = np.arange(119.0)
        self._parameters = np.array([z[:, None] * z, 0.46850 / np.maximum(z[:, None] ** 0.23 + z**0.23, 1.0)])

    def _types(self, species_n: Ints) -> Ints:
        return species_n

    def radial(self, r_p: Floats, parameters_xp: Floats) -> tuple[Floats, Floats]:
        """Return u and u'."""
        charges, length = parameters_xp
        terms = [(c * np.exp(-b * r_p / length), b / length) for c, b in _radial.SCREENING]
        screen = sum(t for t, _ in terms)
        slope = -sum(t * rate for t, rate in terms)
        bare = _radial.COULOMB * charges / r_p
        return bare * screen, bare * (slope - screen / r_p)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold the cutoff."""
        return {"cutoff": self.cutoff, "switch": self.switch}, {}


def pair_name(z1: int, z2: int) -> str:
    """Write a pair of atomic numbers as ``Li-O``, the less electronegative symbol's usual place being the smaller Z."""
    return f"{chemical_symbols[min(z1, z2)]}-{chemical_symbols[max(z1, z2)]}"
