"""What a Gaussian approximation potential sees of an atom: SOAP, distances of pairs, sides of triplets.

Each is a frozen set of hyperparameters with the meaning that the field's model files give them (Bartók et al., Chem.
Rev. 121, 10073 (2021), section 3), so that models can be exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias

from ase.data import chemical_symbols

from lodewell.errors import BadOption


@dataclass(frozen=True)
class Soap:
    """Smooth overlap of atomic positions around atoms of one element; kernel δ² (p · p')^ζ.

    Attributes:
        centre: atomic number of the central atom.
        species: atomic numbers of the neighbours that are seen, each with a density of its own.
        cutoff: in Å.
        width: of the cosine by which neighbours fade out before the cutoff, Å.
        n_max, l_max: radial functions an element, and highest angular momentum.
        sigma: width of the Gaussian that stands for an atom, Å.
        zeta: power of the kernel.
        central_weight: of the central atom in its own density.
    """

    centre: int
    species: tuple[int, ...]
    cutoff: float
    width: float
    n_max: int
    l_max: int
    sigma: float
    zeta: float = 4.0
    central_weight: float = 1.0
    kind: ClassVar[str] = "soap"

    def __post_init__(self) -> None:
        _check_radii(self, self.cutoff, self.width)
        if not (1 <= self.n_max <= 30 and 0 <= self.l_max <= 20):
            raise BadOption(f"{self.name}: n_max must lie between 1 and 30, l_max between 0 and 20")
        if not (self.sigma > 0.0 and self.zeta >= 1.0):
            raise BadOption(f"{self.name}: the atoms' width must be above 0 and ζ at least 1")
        if len(set(self.species)) != len(self.species) or not self.species:
            raise BadOption(f"{self.name}: each element once, and at least one")

    @property
    def name(self) -> str:
        """Such as "soap Si"."""
        return f"soap {chemical_symbols[self.centre]}"

    @property
    def centres(self) -> frozenset[int]:
        """Atoms that have this descriptor."""
        return frozenset((self.centre,))

    @property
    def size(self) -> int:
        """Length of the power spectrum."""
        channels = len(self.species) * self.n_max
        return channels * (channels + 1) // 2 * (self.l_max + 1)


@dataclass(frozen=True)
class Distance:
    """Distance of two atoms; kernel δ² f(r) f(r') exp(-(r - r')² / 2 θ²), f the cosine cutoff.

    species: two atomic numbers, the smaller first. cutoff, width: in Å. length: θ, in Å.
    """

    species: tuple[int, int]
    cutoff: float
    width: float
    length: float
    kind: ClassVar[str] = "distance"
    size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_radii(self, self.cutoff, self.width)
        _check_lengths(self, (self.length,))
        if self.species[0] > self.species[1]:
            raise BadOption(f"{self.name}: the smaller atomic number first")

    @property
    def name(self) -> str:
        """Such as "distance Si-O"."""
        return "distance " + "-".join(chemical_symbols[z] for z in self.species)


@dataclass(frozen=True)
class Angle:
    """A central atom i and two others j, k, by r_ij + r_ik, (r_ij - r_ik)², r_jk.

    Kernel δ² f f' exp(-Σ_d (q_d - q'_d)² / 2 θ_d²), f the product of the cosine cutoffs of both legs.

    centre: atomic number of i. others: of j and k, the smaller first. cutoff of the legs, width: in Å. lengths: θ, in
    Å, Å², Å.
    """

    centre: int
    others: tuple[int, int]
    cutoff: float
    width: float
    lengths: tuple[float, float, float]
    kind: ClassVar[str] = "angle"
    size: ClassVar[int] = 3

    def __post_init__(self) -> None:
        _check_radii(self, self.cutoff, self.width)
        _check_lengths(self, self.lengths)
        if self.others[0] > self.others[1]:
            raise BadOption(f"{self.name}: of the two others the smaller atomic number first")

    @property
    def name(self) -> str:
        """Such as "angle Si-O-Si", the central atom in the middle."""
        return "angle " + "-".join(chemical_symbols[z] for z in (self.others[0], self.centre, self.others[1]))


@dataclass(frozen=True)
class Triplet:
    """Three atoms by the distances r_ij, r_ik, r_jk, around each of them that has the other two within the cutoff.

    Kernel δ² f f' Σ_P g(Pq, q') / √(Σ_P g(Pq, q) Σ_P g(Pq', q')), g = exp(-Σ_d (q_d - q'_d)² / 2 θ²), P the exchanges
    of equal atoms, f the product of the cosine cutoffs of r_ij and r_ik. Such terms are read from files, not fitted.

    species: three equal or three different atomic numbers, in rising order. cutoff, width: in Å. lengths: θ of r_ij,
    r_ik, r_jk in Å; with equal atoms their mean counts.
    """

    species: tuple[int, int, int]
    cutoff: float
    width: float
    lengths: tuple[float, float, float]
    kind: ClassVar[str] = "triplet"
    size: ClassVar[int] = 3

    def __post_init__(self) -> None:
        _check_radii(self, self.cutoff, self.width)
        _check_lengths(self, self.lengths)
        if len(set(self.species)) == 2 or list(self.species) != sorted(self.species):
            raise BadOption(f"{self.name}: three equal or three different elements, in rising order")

    @property
    def name(self) -> str:
        """Such as "triplet Si-Si-Si"."""
        return "triplet " + "-".join(chemical_symbols[z] for z in self.species)


Descriptor: TypeAlias = Soap | Distance | Angle | Triplet


def _check_types(descriptor: Descriptor) -> None:
    """Raise `BadOption` for elements that there are not, and for what should be a number and is none."""
    for field in fields(descriptor):
        value = getattr(descriptor, field.name)
        several, kind = value if isinstance(value, tuple) else (value,), int if "int" in str(field.type) else float
        wide = kind is float and all(isinstance(x, int) for x in several)
        if any(isinstance(x, bool) or not (wide or isinstance(x, kind)) for x in several):
            raise BadOption(f"{descriptor.kind}: {field.name} is {value!r}, but {field.type} is wanted")
        # 0 stands for atoms of any element, where a map does not tell them apart.
        if field.name in ("centre", "species", "others") and not all(0 <= x <= 118 for x in several):
            raise BadOption(f"{descriptor.kind}: {field.name} is {value!r}, but atomic numbers are wanted")


def _check_radii(descriptor: Descriptor, cutoff: float, width: float) -> None:
    _check_types(descriptor)
    if not 0.0 < cutoff <= 20.0 or not 0.0 < width <= cutoff:
        raise BadOption(f"{descriptor.name}: the cutoff must lie in 0 to 20 Å, its width within it: {cutoff}, {width}")


def _check_lengths(descriptor: Descriptor, lengths: tuple[float, ...]) -> None:
    if not all(length > 0.0 for length in lengths):
        raise BadOption(f"{descriptor.name}: length scales must be above 0, not {lengths}")
