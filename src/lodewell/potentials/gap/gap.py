"""Gaussian approximation potentials (Bartók, Payne, Kondor & Csányi, PRL 104, 136403 (2010)).

E = Σ_i e_0(Z_i) + Σ_terms Σ_descriptors f Σ_m α_m f_m k(x, x_m) + baseline: each term has a descriptor, a kernel and
sparse points x_m, whose weights α_m were fitted to energies, forces and stresses (see `lodewell.fit.gap.run`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.descriptors.environments import Angle, Descriptor, Distance, Soap, Triplet
from lodewell.descriptors.legs import Legs
from lodewell.errors import BadFile, BadOption
from lodewell.potentials.base import Potential, Uncertainty
from lodewell.potentials.gap.kernel import Kernel
from lodewell.potentials.gap.soap import SoapKernel
from lodewell.potentials.gap.squared_exponential import AngleKernel, DistanceKernel
from lodewell.potentials.gap.triplets import TripletKernel

if TYPE_CHECKING:
    from lodewell.potentials.gap.knowledge import Knowledge

_KERNELS: dict[str, type[Kernel]] = {
    "soap": SoapKernel,
    "distance": DistanceKernel,
    "angle": AngleKernel,
    "triplet": TripletKernel,
}
_DESCRIPTORS: dict[str, Any] = {"soap": Soap, "distance": Distance, "angle": Angle, "triplet": Triplet}


@dataclass(frozen=True, eq=False)
class Term:
    """A descriptor with its sparse points.

    | field | shape | meaning |
    |---|---|---|
    | `delta` | | standard deviation of the prior, eV |
    | `points_md` | (M, D) | the descriptors of the sparse points |
    | `cutoff_m` | (M,) | their cutoff factors; 1 for SOAP |
    | `weights_m` | (M,) | α, 1/eV |
    """

    descriptor: Descriptor
    delta: float
    points_md: Floats
    cutoff_m: Floats
    weights_m: Floats

    def __post_init__(self) -> None:
        count = len(self.weights_m)
        if not 0.0 < self.delta < np.inf:
            raise BadOption(f"{self.descriptor.name}: delta must be a positive number, not {self.delta}")
        if self.points_md.shape != (count, self.descriptor.size) or self.cutoff_m.shape != (count,):
            raise BadOption(
                f"{self.descriptor.name}: {count} weights need points ({count}, {self.descriptor.size}), not "
                f"{self.points_md.shape}, and as many cutoff factors, not {self.cutoff_m.shape}"
            )

        if not all(np.isfinite(part).all() for part in (self.points_md, self.cutoff_m, self.weights_m)):
            raise BadOption(f"{self.descriptor.name}: sparse points and weights must be finite numbers")

    def kernel(self, single: bool = False) -> Kernel:
        """Return the kernel of the sparse points."""
        make = _KERNELS[self.descriptor.kind]
        return make(self.descriptor, self.delta, self.points_md, self.cutoff_m, single)


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """Some environments of the training data: descriptors (E, D), and the config_type each is from."""

    x_ed: Floats
    kinds: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class GAPRecord:
    """What a fit has left beside the coefficients.

    Attributes:
        knowledge: of its own errors, if it was asked for.
        distances: how often each distance of a pair was met in the training data.
        seen: environments of the training data, by the number of the term.
    """

    knowledge: Knowledge | None = None
    distances: Mapping[tuple[int, int], Floats] = field(default_factory=dict)
    seen: Mapping[int, TrainingSample] = field(default_factory=dict)


class GAP(Potential):
    """A Gaussian approximation potential; `lodewell.fit_gap` makes one from labelled crystals.

    Args:
        energies: what an atom adds whatever its environment, by atomic number, eV.
        terms: descriptors with their sparse points and weights.
        baseline: a potential that is added, such as a wall.
        single: multiply matrices in single precision: half the time, and errors of some tenths of a meV/atom, because
            an energy is what is left of large numbers of both signs.
    """

    kind = "gap"
    record: GAPRecord

    def __init__(
        self,
        energies: Mapping[int, float],
        terms: Sequence[Term],
        baseline: Potential | None = None,
        single: bool = False,
        record: GAPRecord = GAPRecord(),
    ) -> None:
        self.energies = dict(energies)
        if not all(1 <= z <= 118 and np.isfinite(energy) for z, energy in self.energies.items()):
            raise BadOption("energies of lone atoms must be finite numbers, by atomic number")
        self.terms = tuple(terms)
        self.baseline = baseline
        self.single = single
        self.species = frozenset(self.energies)
        ends = [term.descriptor.cutoff for term in self.terms] + ([baseline.cutoff] if baseline is not None else [])
        self.cutoff = max(ends, default=0.0)
        self.record = record or GAPRecord()

    @property
    def knowledge(self) -> Knowledge | None:
        """What the fit knows of its own errors."""
        return self.record.knowledge

    @property
    def distances(self) -> Mapping[tuple[int, int], Floats]:
        """How often each distance was met in the training data."""
        return self.record.distances

    @property
    def seen(self) -> Mapping[int, TrainingSample]:
        """Environments of the training data, by the number of the term."""
        return self.record.seen

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernel of each term."""
        return tuple(term.kernel(self.single) for term in self.terms)

    @property
    def weights_m(self) -> Floats:
        """The weights of all terms one after the other, (M,)."""
        return np.concatenate([np.zeros(0), *(term.weights_m for term in self.terms)])

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Add the terms a block of atoms at a time, so that no more descriptors than those of a block are held."""
        if self.baseline is None:
            energies, forces = np.zeros(len(batch.species_n)), np.zeros((len(batch.species_n), 3))
            virials = np.zeros((len(batch), 3, 3))
        else:
            energies, forces, virials = self.baseline.compute(batch, neighbours)
        energies += self._lone_z[batch.species_n]
        for legs in Legs.of(batch, neighbours, self.cutoff):
            for term, kernel in zip(self.terms, self.kernels, strict=True):
                kernel.add(legs, term.weights_m, energies, forces, virials)
        energies[neighbours.no_place_b[batch.crystal_n]] = np.nan
        return energies, forces, virials

    @cached_property
    def lone_energies(self) -> dict[int, float]:
        """Energy of a lone atom by atomic number, eV: `energies` with what terms and baseline add."""
        found = self.evaluate([Atoms([z], [[0.0, 0.0, 0.0]]) for z in self.energies])
        return {z: float(one.energy) for z, one in zip(self.energies, found, strict=True)}

    @cached_property
    def _lone_z(self) -> Floats:
        lone_z = np.full(119, np.nan)
        for z, energy in self.energies.items():
            lone_z[z] = energy
        return lone_z

    def unsupported(self, species_n: Any) -> str | None:
        """Say which element is missing, here or in the baseline."""
        why = super().unsupported(species_n)
        if why is None and self.baseline is not None and (why := self.baseline.unsupported(species_n)):
            why = f"the baseline: {why}"
        return why

    @property
    def uncertain(self) -> bool:
        """Whether the posterior of the weights is known."""
        return self.knowledge is not None

    def uncertainty(self, crystals: Atoms | Sequence[Atoms]) -> list[Uncertainty]:
        """Return standard deviations of energy, forces and stress by the posterior of the weights, and grades.

        Raises:
            BadOption: when the potential was fitted without --uncertainty, or read from another code's file.
        """
        known = self._known()
        return [known.of(self, a) for a in ([crystals] if isinstance(crystals, Atoms) else crystals)]

    def atomic_deviations(self, crystals: Atoms | Sequence[Atoms]) -> list[Floats]:
        """Return the standard deviation of each atom's energy (N,) in eV: the full variance of the sparse process.

        Raises:
            BadOption: as `uncertainty`.
        """
        known = self._known()
        return [known.atomic(self, a) for a in ([crystals] if isinstance(crystals, Atoms) else crystals)]

    def _known(self) -> Knowledge:
        if self.knowledge is None:
            raise BadOption("this potential was made without uncertainties: fit it again with --uncertainty")
        return self.knowledge

    def in_single_precision(self, single: bool = True) -> GAP:
        """Return the same potential with matrix products in single, or double, precision."""
        return GAP(self.energies, self.terms, self.baseline, single, self.record)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold hyperparameters, sparse points and weights of every term, and the baseline."""
        meta: dict[str, Any] = {
            "energies": {chemical_symbols[z]: e for z, e in sorted(self.energies.items())},
            "terms": [
                {"kind": t.descriptor.kind, "delta": t.delta, "descriptor": asdict(t.descriptor)} for t in self.terms
            ],
            "single": self.single,
        }
        arrays: dict[str, Any] = {}
        for k, t in enumerate(self.terms):
            arrays |= {f"{k}.points": t.points_md, f"{k}.cutoffs": t.cutoff_m, f"{k}.weights": t.weights_m}
        for (a, b), counts in self.distances.items():
            arrays[f"distances.{a}.{b}"] = counts
        meta["seen"] = {str(k): seen.kinds for k, seen in self.seen.items()}
        arrays |= {f"seen.{k}": seen.x_ed.astype(np.float32) for k, seen in self.seen.items()}
        if self.baseline is not None:
            below, parts = self.baseline.state()
            meta["baseline"] = {"kind": self.baseline.kind, "meta": below}
            arrays |= {f"baseline.{name}": part for name, part in parts.items()}
        if self.knowledge is not None:
            meta["knowledge"], parts = self.knowledge.state()
            arrays |= {f"knowledge.{name}": part for name, part in parts.items()}
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> GAP:
        """Make the potential from its terms."""
        from lodewell.potentials.gap.knowledge import Knowledge
        from lodewell.potentials.store import family

        def part(start: str) -> dict[str, Any]:
            return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}

        terms = []
        for k, entry in enumerate(meta["terms"]):
            parameters = {n: tuple(v) if isinstance(v, list) else v for n, v in entry["descriptor"].items()}
            own = part(f"{k}.")
            if entry["kind"] not in _DESCRIPTORS:
                raise BadFile(f"it has a term of the unknown kind '{entry['kind']}': upgrade lodewell")
            descriptor: Any = _DESCRIPTORS[entry["kind"]](**parameters)
            terms.append(Term(descriptor, entry["delta"], own["points"], own["cutoffs"], own["weights"]))
        baseline = None
        if below := meta.get("baseline"):
            baseline = family(below["kind"]).from_state(below["meta"], part("baseline."))
        energies = {atomic_numbers[s]: float(e) for s, e in meta["energies"].items()}
        distances = {}
        for name, counts in part("distances.").items():
            a, b = map(int, name.split("."))
            distances[a, b] = counts
        seen = {
            int(k): TrainingSample(arrays[f"seen.{k}"].astype(np.float64), tuple(kinds))
            for k, kinds in meta.get("seen", {}).items()
        }
        record = GAPRecord(distances=distances, seen=seen)
        potential = cls(energies, terms, baseline, meta.get("single", False), record)
        if "knowledge" in meta:
            known = Knowledge.from_state(potential, meta["knowledge"], part("knowledge."))
            potential = potential.with_record(knowledge=known)
        return potential


def with_weights(terms: Sequence[Term], weights_m: Floats) -> list[Term]:
    """Return terms with other weights, given one after the other (M,)."""
    out, at = [], 0
    for term in terms:
        count = len(term.points_md)
        out.append(replace(term, weights_m=np.ascontiguousarray(weights_m[at : at + count])))
        at += count
    return out
