"""Options that every fitted family shares: the one source of flags, YAML keys, defaults and documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lodewell.crystals.labels.keys import LabelKeys
from lodewell.errors import BadOption


@dataclass(frozen=True)
class LabelledOptions:
    """What is read from labelled crystals, and what each label counts.

    Attributes:
        energy_key: name of the total energy (eV) in the files; by itself found are REF_energy, dft_energy, energy ...
        forces_key: name of the forces (eV/Å).
        stress_key: name of the stress (eV/Å^3, positive under tension; 3x3, 9 numbers, or 6 as xx yy zz yz xz xy).
        virial_key: name of the virial (eV, minus stress times volume), for frames without a stress.
        config_type_key: name of the kind of frame.
        group_key: name of what keeps frames together, so that they never stand on both sides of a split.
        energy_weight: weight of energies, per atom, relative to what is chosen automatically; 0 leaves them out.
        force_weight: weight of forces, relative to what is chosen automatically; 0 leaves them out.
        stress_weight: weight of stresses, relative to what is chosen automatically; 0 leaves them out.
        config_weights: factors on frames of a config_type, such as Vacancy=2.
        reference_energies: energy in eV of a lone atom of an element, such as Si=-0.8; those not given are taken from
            lone atoms among the training data, or else fitted.
        stress: what of the stress is fitted; "deviatoric" leaves out the pressure, which a small plane-wave basis
            shifts (Pulay stress).
        duplicates: what becomes of test frames that are training frames as well; "drop" leaves them out of the test.
        contradictions: what becomes of data whose energies, forces and stresses contradict each other, as by a wrong
            unit or sign; "note" says so and goes on.
        max_bad: share of frames that may be left out because they cannot be used; beyond it the data are refused.
        folds: number of parts in cross-validation.
        seed: of the splits and of everything else that is drawn.
    """

    energy_key: str = ""
    forces_key: str = ""
    stress_key: str = ""
    virial_key: str = ""
    config_type_key: str = ""
    group_key: str = ""
    energy_weight: float = 1.0
    force_weight: float = 1.0
    stress_weight: float = 1.0
    config_weights: Mapping[str, float] = field(default_factory=dict)
    reference_energies: Mapping[str, float] = field(default_factory=dict)
    stress: Literal["full", "deviatoric", "none"] = "full"
    duplicates: Literal["refuse", "drop", "keep"] = "refuse"
    contradictions: Literal["refuse", "note"] = "refuse"
    max_bad: float = 0.1
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("energy_weight", "force_weight", "stress_weight"):
            _not_negative(name, getattr(self, name))
        for kind, factor in self.config_weights.items():
            _not_negative(f"the weight of config_type {kind}", factor)
        for element, energy in self.reference_energies.items():
            if not math.isfinite(energy):
                raise BadOption(f"the reference energy of {element} must be a number of eV, not {energy}")
        _one_of("stress", self.stress, ("full", "deviatoric", "none"))
        _one_of("duplicates", self.duplicates, ("refuse", "drop", "keep"))
        _one_of("contradictions", self.contradictions, ("refuse", "note"))
        if not 0.0 <= self.max_bad <= 1.0:
            raise BadOption(f"max_bad is a share between 0 and 1, not {self.max_bad}")
        if self.folds < 2:
            raise BadOption(f"cross-validation needs 2 folds or more, not {self.folds}")

    @property
    def keys(self) -> LabelKeys:
        """Names of the labels in the files; "" finds them by themselves."""
        return LabelKeys(
            self.energy_key, self.forces_key, self.stress_key, self.virial_key, self.config_type_key, self.group_key
        )


def _not_negative(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0.0):
        raise BadOption(f"{name} must be a number of 0 or more, not {value}")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BadOption(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, not '{value}'")
