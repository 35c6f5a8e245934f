"""What can be asked of `lodewell check`: the one source of flags, keywords, defaults and documentation."""

from __future__ import annotations

from dataclasses import dataclass

from lodewell.errors import BadOption


@dataclass(frozen=True)
class CheckOptions:
    """Options of `lodewell.check` and of `lodewell check`.

    Attributes:
        elements: elements to look at, such as Li,O; empty means those of the crystals, or all that the potential
            knows if they are four or fewer.
        temperature: of the hot run, in K; 0 means k_B T = B V / 100 from bulk modulus and volume of an atom, which is
            near where most crystals melt.
        steps: of the hot run at constant energy; a third as many before that to heat.
        laws: hold the potential against the laws of physics.
        elastic: compute elastic constants.
        phonons: compute phonons, where phonopy is installed.
        dynamics: do the hot run.
        seed: of all random numbers.
    """

    elements: str = ""
    temperature: float = 0.0
    steps: int = 2000
    laws: bool = True
    elastic: bool = True
    phonons: bool = True
    dynamics: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise BadOption(f"the temperature must be 0 or a positive number of K, not {self.temperature}")
        if self.steps < 10:
            raise BadOption(f"the hot run needs 10 steps at least, not {self.steps}")
