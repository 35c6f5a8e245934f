"""What can be asked of `lodewell map`: the one source of flags, keywords, defaults and documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lodewell.errors import BadOption


@dataclass(frozen=True)
class MapOptions:
    """Options of `lodewell.map_crystals` and of `lodewell map`.

    Attributes:
        by: a point a crystal, by the mean density of all its atoms, or a point an atom; by default crystals, and
            atoms where a GAP or an element is given.
        colour: energy (per atom, as labelled), volume, density, config_type, elements, class (such as oxide),
            formula, element (of atoms), uncertainty (of a GAP that knows it), or any other name that stands beside the
            crystals in their file; by default what tells most.
        cutoff: of SOAP, in Å; by default 1.85 times the cube root of the median volume of an atom: 5 Å for silicon.
        sigma: width of the Gaussian that stands for an atom, in Å; by default a tenth of the cutoff.
        n_max: radial functions of SOAP an element.
        l_max: highest angular momentum of SOAP.
        zeta: power of the kernel (p · p')^ζ: large ones tell near environments apart.
        species: tell elements apart, or take all atoms for the same; by default apart up to 8 elements.
        element: only atoms of this element; of a GAP its SOAP term.
        landmarks: crystals or atoms by which the axes are laid; a seeded sample of so many where there are more.
        seed: of the sample.
    """

    by: Literal["crystals", "atoms"] | None = None
    colour: str | None = None
    cutoff: float | None = None
    sigma: float | None = None
    n_max: int = 8
    l_max: int = 6
    zeta: float = 4.0
    species: bool | None = None
    element: str | None = None
    landmarks: int = 3000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.landmarks < 3:
            raise BadOption(f"a map needs 3 landmarks at least, not {self.landmarks}")
        if self.zeta < 1.0:
            raise BadOption(f"the power of the kernel must be 1 at least, not {self.zeta}")
        if self.element is not None:
            _check_element(self.element)


def _check_element(symbol: str) -> None:
    from ase.data import atomic_numbers

    if symbol not in atomic_numbers:
        raise BadOption(f"'{symbol}' is no element: write a symbol such as Si")
