"""What a GAP fit takes for granted of lone atoms and of binding, before it looks at anything else.

Where the energy of a lone atom is known, an atom's energy is e + c (1 - k(x, lone)) + f(x) with f(lone) = 0: e is the
known energy, c the binding energy per atom that compositions alone tell, k the SOAP kernel over δ², and f what is
fitted. Without c the few energies of a set, all of them far from lone atoms, would have to earn some eV per atom
against a thousand forces, and likelihood would rather give them up. k is one of the sparse points, the first of its
term, so the whole is a GAP like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Flags, Floats
from lodewell.crystals.labels.columns import is_lone_atom
from lodewell.crystals.labels.read import Labelled
from lodewell.descriptors.environments import Soap
from lodewell.descriptors.legs import Legs
from lodewell.fit.reference import References
from lodewell.potentials.base import Potential
from lodewell.potentials.gap.design import Design
from lodewell.potentials.gap.kernel import Kernel

_KEPT = ("energies", "binding", "known")
PINNED = 1e12  # precision of a white coordinate that is known


@dataclass(frozen=True)
class Prior:
    """The mean from which the weights of the sparse points are fitted.

    | field | shape | meaning |
    |---|---|---|
    | `energies` | | what each atom adds whatever its environment, eV, by atomic number |
    | `weights_m` | (M,) | weights α of the mean |
    | `pinned_m` | (M,) | white coordinates that are zero: those of lone atoms |
    | `binding` | | c above, eV, of the elements whose lone atom is a sparse point |
    | `known` | | energies of lone atoms that the potential must have, eV, by atomic number |
    """

    energies: Mapping[int, float]
    weights_m: Floats
    pinned_m: Flags
    binding: Mapping[int, float]
    known: Mapping[int, float]

    @classmethod
    def of(
        cls, design: Design, references: References, binding: Mapping[int, float], baseline: Potential | None
    ) -> Prior:
        """Make the mean of reference energies and `binding` (eV per atom, of elements whose lone atom is a point)."""
        energies = dict(references.energies)
        for z, below in lone_energies(baseline, energies).items():
            energies[z] += binding.get(z, 0.0) - below
        return cls._made(design, energies, binding, references.known)

    @classmethod
    def _made(
        cls, design: Design, energies: Mapping[int, float], binding: Mapping[int, float], known: Mapping[int, float]
    ) -> Prior:
        weights_m, pinned_m = np.zeros(design.columns), np.zeros(design.columns, dtype=bool)
        for kernel, m in zip(design.kernels, design.slices(), strict=True):
            soap = kernel.descriptor
            if isinstance(soap, Soap) and soap.centre in binding:
                weights_m[m.start] = -binding[soap.centre] / kernel.delta**2
                pinned_m[m.start] = True
        return cls(energies, weights_m, pinned_m, binding, known)

    def state(self) -> dict[str, Any]:
        """Return what makes it again with the same sparse points, JSON-like."""
        return {name: {str(z): e for z, e in getattr(self, name).items()} for name in _KEPT}

    @classmethod
    def from_state(cls, design: Design, state: Mapping[str, Any]) -> Prior:
        """Make it again."""
        return cls._made(design, *({int(z): float(e) for z, e in state[name].items()} for name in _KEPT))

    def settles(self, frame: Labelled) -> bool:
        """Tell whether a frame is a lone atom of which everything is known, so that it has nothing to add."""
        return is_lone_atom(frame.atoms, frame.config_type) and int(frame.atoms.numbers[0]) in self.known

    def pin(self, penalty_mm: Floats) -> Floats:
        """Return a penalty on white coordinates (M, M) that leaves those of lone atoms no freedom."""
        return penalty_mm + np.diag(PINNED * self.pinned_m)

    def energy_of(self, numbers_n: object) -> float:
        """Return the sum over atoms, eV."""
        return References(self.energies, {}).energy_of(numbers_n)


def lone_energies(potential: Potential | None, species: Sequence[int] | Mapping[int, float]) -> dict[int, float]:
    """Return the energy that a potential has for a lone atom of each element, eV; 0 without a potential."""
    if potential is None:
        return dict.fromkeys(species, 0.0)
    found = potential.evaluate([Atoms([z], [[0.0, 0.0, 0.0]]) for z in species])
    return {z: float(one.energy) for z, one in zip(species, found, strict=True)}


def lone_point(kernel: Kernel) -> Floats:
    """Return the descriptor of a lone atom, (1, D)."""
    assert isinstance(kernel.descriptor, Soap)
    lone = Atoms([kernel.descriptor.centre], [[0.0, 0.0, 0.0]])
    return np.concatenate([kernel.environments(legs).x_ed for legs in Legs.of_atoms(lone, kernel.descriptor.cutoff)])
