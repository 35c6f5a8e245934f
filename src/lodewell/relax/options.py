"""What can be asked of a relaxation: the one source of flags, keywords, defaults and documentation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lodewell.errors import BadOption

if TYPE_CHECKING:
    from lodewell.potentials.base import Potential


@dataclass(frozen=True)
class RelaxOptions:
    """Options of `lodewell.relax` and of `lodewell relax`.

    Attributes:
        fmax: stop when every force is below this (eV/Å), and every principal value of the virial per atom (eV), so
            that what ASE's cell filters would go on with is never called converged.
        max_steps: steps after which a crystal is given back as it is, with the status "max steps".
        pressure: external pressure in GPa; needs a potential whose energies are true eV, and crystals periodic in
            three directions.
        cell: what the cell may do: change freely, stay fixed, keep its shape (and change its volume), or keep its
            volume.
        keep_symmetry: make each crystal exactly symmetric at the start, and keep its space group.
        symprec: distance in Å within which atoms count as symmetric, when symmetry is kept.
        trajectory: keep every step of every crystal.
        strict_formula: refuse crystals that their own file contradicts (formula, multiplicities, density, symmetry)
            instead of remarking on them.
        skin: extra reach of the neighbour lists in Å, so that they last several steps; changes the speed, never the
            results.
    """

    fmax: float = 0.01
    max_steps: int = 500
    pressure: float = 0.0
    cell: Literal["free", "fixed", "shape", "volume"] = "free"
    keep_symmetry: bool = False
    symprec: float = 0.01
    trajectory: bool = False
    strict_formula: bool = False
    skin: float = 0.8

    def __post_init__(self) -> None:
        if not self.fmax > 0.0:
            raise BadOption(f"fmax must be a positive number of eV/Å, not {self.fmax}")
        if self.max_steps < 0:
            raise BadOption(f"max_steps must be 0 or more, not {self.max_steps}")
        if self.cell not in ("free", "fixed", "shape", "volume"):
            raise BadOption(f"cell must be free, fixed, shape or volume, not '{self.cell}'")
        if not math.isfinite(self.pressure):
            raise BadOption(f"the pressure must be a finite number of GPa, not {self.pressure}")
        if not self.skin > 0.0:
            raise BadOption(f"the skin must be a positive length in Å, not {self.skin}")
        if not self.symprec > 0.0:
            raise BadOption(f"symprec must be a positive length in Å, not {self.symprec}")


def check_pressure(potential: Potential, options: RelaxOptions) -> None:
    """Refuse a pressure where energies have no true unit."""
    if options.pressure and not potential.calibrated:
        raise BadOption(
            "this potential was never fitted to energies, so a pressure in GPa means nothing to it: leave the pressure "
            "out, use a calibrated table such as spp, or give it a unit with potential.in_eV(scale)"
        )
