"""Options of `lodewell derive`: one dataclass is the source of defaults, flags and documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lodewell.errors import BadOption


@dataclass(frozen=True)
class DeriveOptions:
    """How curves are mined.

    Attributes:
        recipe: "spp-2024" is faithful to the paper; "spp" counts near-duplicates once, shrinks thin statistics towards
            what similar elements do, and refines the curves against decoys.
        cutoff: distance in Å at which every curve ends.
        smoothing: width σ in Å of the Gaussian that smooths mean pair correlations.
        max_above_hull: crystals known to lie higher above the convex hull (eV/atom) are left out.
        strict_formula: leave out crystals that their own file contradicts (formula, multiplicities, density, symmetry).
        experimental: keep only crystals whose file says that they were observed.
        environments: also make curves for each kind of anion, where enough crystals speak for them.
        prior: weight of the prior in independent crystals ("spp" alone).
        refine: refine against decoys ("spp" alone).
        refine_on: at most this many crystals serve as training for the refinement.
        seed: of the choice of training crystals, of held-out ones and of decoys.
    """

    recipe: Literal["spp", "spp-2024"] = "spp"
    cutoff: float = 11.0
    smoothing: float = 0.1
    max_above_hull: float = 0.1
    strict_formula: bool = False
    experimental: bool = False
    environments: bool = False
    prior: float = 5.0
    refine: bool = True
    refine_on: int = 50_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.recipe not in ("spp", "spp-2024"):
            raise BadOption(f"there is no recipe '{self.recipe}': choose spp or spp-2024")
        if not 4.0 <= self.cutoff <= 20.0:
            raise BadOption(f"the cutoff must lie between 4 and 20 Å, not {self.cutoff}")
        if not 0.0 < self.smoothing <= 1.0:
            raise BadOption(f"the smoothing must lie between 0 and 1 Å, not {self.smoothing}")

    @property
    def faithful(self) -> bool:
        """Whether the published recipe is followed without additions."""
        return self.recipe == "spp-2024"
