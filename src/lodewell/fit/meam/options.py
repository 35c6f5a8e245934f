"""Options of `lodewell fit meam`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lodewell.errors import BadOption
from lodewell.fit.labelled_options import LabelledOptions


@dataclass(frozen=True)
class MEAMOptions(LabelledOptions):
    """How a spline MEAM is made.

    Attributes:
        knots: of every spline, evenly spaced; those of φ, ρ and f between the shortest distance in the data and the
            cutoff, those of U over the range of n that the data visit, those of g from -1 to 1.
        cutoff: where φ and ρ end, Å; 0 takes the distance within which an atom has 36 neighbours on average.
        angular_cutoff: where f ends, and with it all that depends on angles, Å; 0 takes the distance within which an
            atom has 16 neighbours, and not more than the cutoff.
        restarts: number of random beginnings, most of which are given up early; more find better minima.
        members: how many of the best minima are followed to the end; the best is the potential, all of them together
            give its uncertainty.
        search: how a beginning is drawn; "random" draws densities, "cma-es" lets an evolution strategy improve each
            draw first (needs the package cma).
        start: name or file of a potential to begin with; a MEAM is one of the beginnings, the pair curves of any other
            stand where the data are silent.
        most_steps: of least squares on all data, for each member.
        tolerance: stop when ten steps gain less than this share of the error.
        smoothness: penalty on the curvature of splines, relative to the error; it decides only where data do not.
        wall: what repels atoms closer than any in the data; "zbl" adds the screened repulsion of nuclei to φ there,
            "none" goes on with straight lines.
        energy_weight: weight of energies per atom; at 1, 0.04 eV/atom count as much as 1 eV/Å in every force.
        force_weight: weight of forces; 0 leaves them out.
        stress_weight: weight of stresses; at 1, 0.5 eV/Å^3 times the volume an atom count as much as 1 eV/Å.
    """

    knots: int = 7
    cutoff: float = 0.0
    angular_cutoff: float = 0.0
    restarts: int = 24
    members: int = 4
    search: Literal["random", "cma-es"] = "random"
    start: str = ""
    most_steps: int = 120
    tolerance: float = 2e-3
    smoothness: float = 1e-6
    wall: Literal["zbl", "none"] = "zbl"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 4 <= self.knots <= 50:
            raise BadOption(f"knots must be from 4 to 50, not {self.knots}")
        for name in ("cutoff", "angular_cutoff"):
            value = getattr(self, name)
            if value and not 1.0 <= value <= 20.0:
                raise BadOption(f"{name} must lie between 1 and 20 Å, or be 0 to be chosen, not {value}")
        if self.cutoff and self.angular_cutoff > self.cutoff:
            raise BadOption(f"angular_cutoff is {self.angular_cutoff} Å: it cannot exceed the cutoff, {self.cutoff} Å")
        if not 1 <= self.members <= self.restarts:
            raise BadOption(f"members must be from 1 to the number of restarts, {self.restarts}, not {self.members}")
        if self.most_steps < 1:
            raise BadOption(f"most_steps must be 1 or more, not {self.most_steps}")
        if not 0.0 < self.tolerance < 1.0:
            raise BadOption(f"tolerance is a share between 0 and 1, not {self.tolerance}")
        if not 0.0 <= self.smoothness < 1.0:
            raise BadOption(f"smoothness must be from 0 to 1, not {self.smoothness}")
        if self.search not in ("random", "cma-es"):
            raise BadOption(f"search must be random or cma-es, not '{self.search}'")
        if self.wall not in ("zbl", "none"):
            raise BadOption(f"wall must be zbl or none, not '{self.wall}'")
        if not (self.energy_weight or self.force_weight or self.stress_weight):
            raise BadOption("all weights are zero: give one of --energy-weight, --force-weight, --stress-weight")
