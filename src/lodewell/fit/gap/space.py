"""Which kernels a GAP has: by the options, the distances in the data, and likelihood on a part of the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from lodewell.crystals.labels.read import Labelled
from lodewell.descriptors.environments import Angle, Descriptor, Distance, Soap
from lodewell.fit.distances import Distances
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.points import choose, sample
from lodewell.fit.gap.prior import Prior
from lodewell.fit.gap.rows import ENERGY, FORCE, GIVEN, STRESS, GAPRows
from lodewell.fit.linear.evidence import Evidence, Products, maximise
from lodewell.fit.linear.least_squares import LinearSystem, kind_of
from lodewell.fit.reference import References
from lodewell.potentials.base import Potential
from lodewell.potentials.gap.design import Design
from lodewell.potentials.gap.gap import Term
from lodewell.potentials.gap.kernel import Kernel
from lodewell.progress import Progress

START = {ENERGY: 0.005, FORCE: 0.1, STRESS: 0.05}  # σ before anything is known: eV, eV/Å, eV
_SOAP_NEIGHBOURS, _PAIR_NEIGHBOURS, _TRIPLET_NEIGHBOURS = 30, 60, 12
_POINTS = {1: 1000, 2: 1500}  # by the number of elements; 2000 for more
_DELTA = {"soap": 1.0, "distance": 1.0, "angle": 0.1}
_ATOM_SIGMAS = (0.5, 0.4, 0.65)  # tried in this order, Å
_LENGTHS = (1.0, 0.6, 1.6)
_RESOLVED = 0.1  # of the spread of the energies; a potential that leaves more is of no use
_SUBSET_ATOMS, _SUBSET_POINTS = 1_500, 120


@dataclass(frozen=True)
class KernelPlan:
    """A kernel that is wanted: its descriptor, δ (eV), whether δ may be scaled, and the number of sparse points."""

    descriptor: Descriptor
    delta: float
    free: bool
    points: int

    def kernel(self, points_md: Any = None, cutoff_m: Any = None) -> Kernel:
        """Return the kernel, with sparse points if there are any."""
        none = np.zeros((0, self.descriptor.size))
        points, cutoffs = (none, np.zeros(0)) if points_md is None else (points_md, cutoff_m)
        return Term(self.descriptor, self.delta, points, cutoffs, np.zeros(len(points))).kernel()


def lay_out(options: GAPOptions, distances: Distances, elements: Mapping[int, int]) -> list[KernelPlan]:
    """Return the kernels that the options and the distances in the data ask for.

    elements: atoms of each, by atomic number.
    """
    species = tuple(sorted(elements))
    cutoff = options.cutoff or distances.radius_of(_SOAP_NEIGHBOURS)
    soap_points = options.points or _POINTS.get(len(species), 2000)
    total = sum(elements.values())
    wanted: list[KernelPlan] = []
    if options.two_body:
        cutoff_2 = options.cutoff_2body or max(cutoff, distances.radius_of(_PAIR_NEIGHBOURS))
        for pair in combinations_with_replacement(species, 2):
            if pair in distances.count_k and options.points_2body:
                d2 = Distance(pair, cutoff_2, min(options.width, cutoff_2), options.length_2body or _LENGTHS[0])
                delta = options.delta_2body
                wanted.append(KernelPlan(d2, delta or _DELTA["distance"], not delta, options.points_2body))
    if options.three_body and options.points_3body:
        cutoff_3 = options.cutoff_3body or distances.radius_of(_TRIPLET_NEIGHBOURS)
        length = options.length_3body or _LENGTHS[0]
        for centre in species:
            for others in combinations_with_replacement(species, 2):
                if all(tuple(sorted((centre, z))) in distances.count_k for z in others):
                    d3 = Angle(centre, others, cutoff_3, min(options.width, cutoff_3), (length,) * 3)
                    delta = options.delta_3body
                    wanted.append(KernelPlan(d3, delta or _DELTA["angle"], not delta, options.points_3body))
    for z in species:
        # Shares by the root of the number of atoms, so that a rare element has enough.
        share = np.sqrt(elements[z]) / sum(np.sqrt(n) for n in elements.values()) if total else 1.0
        soap = Soap(
            z, species, cutoff, min(options.width, cutoff), options.n_max, options.l_max,
            options.atom_sigma or _ATOM_SIGMAS[0], options.zeta,
        )  # fmt: skip
        wanted.append(KernelPlan(soap, options.delta or _DELTA["soap"], not options.delta, round(share * soap_points)))
    return [one for one in wanted if one.points]


@dataclass(frozen=True)
class Proposal:
    """Kernels by likelihood, and why.

    tried: name and value of each hyperparameter that was tried, and the logarithm of the evidence it gave.
    """

    wanted: list[KernelPlan]
    sigmas: Mapping[str, float]
    tried: tuple[tuple[str, float, float], ...] = ()
    frames: int = 0

    def notes(self) -> list[str]:
        """Say what was chosen and by how much, for a person."""
        out = []
        for name in dict.fromkeys(name for name, _, _ in self.tried):
            values = {value: evidence for other, value, evidence in self.tried if other == name}
            best = max(values, key=values.__getitem__)
            others = ", ".join(
                f"{v:g} Å is e^{values[best] - e:.0f} times less likely" for v, e in values.items() if v != best
            )
            out.append(f"{name} {best:g} Å by likelihood of {self.frames} frames: {others}")
        return out


def propose(
    wanted: list[KernelPlan], options: GAPOptions, frames: Sequence[Labelled], references: References,
    binding: Mapping[int, float], baseline: Potential | None, spread: float, progress: Progress,
) -> Proposal:  # fmt: skip
    """Choose length scales by the evidence on a part of the data, one after the other; start σ and δ as well."""
    if _all_given(wanted, options):
        return Proposal(wanted, START)
    subset = _Subset(options, frames, references, binding, baseline, spread)
    progress("likelihood")
    best, evidence = wanted, subset.evidence(wanted)
    tried: list[tuple[str, float, float]] = []
    for name, kind, values, given in (
        ("width of the atoms", Soap, _ATOM_SIGMAS, options.atom_sigma),
        ("length of distances", Distance, _LENGTHS, options.length_2body),
        ("length of triplets", Angle, _LENGTHS, options.length_3body),
    ):
        if given or not any(isinstance(one.descriptor, kind) for one in wanted):
            continue
        tried.append((name, values[0], evidence.log_evidence))
        for value in values[1:]:
            progress("likelihood", len(tried))
            other = [_changed(one, kind, value) for one in best]
            found = subset.evidence(other)
            tried.append((name, value, found.log_evidence))
            if found.log_evidence > evidence.log_evidence:
                best, evidence = other, found
    return Proposal(best, evidence.sigmas, tuple(tried), len(frames))


def sigma_limits(names: Iterable[str], spread: float) -> dict[str, float]:
    """Return the largest σ (eV/√atom) of names of energies, of which compositions alone leave `spread`.

    Forces are a hundred times as many, and likelihood would rather take energies for noise than give up any of them.
    """
    return {name: _RESOLVED * spread for name in names if kind_of(name) == ENERGY}


def _all_given(wanted: list[KernelPlan], options: GAPOptions) -> bool:
    """Tell whether nothing is left to choose."""
    sigmas = (options.energy_sigma, options.force_sigma, options.virial_sigma)
    kinds = {one.descriptor.kind for one in wanted}
    lengths = {"soap": options.atom_sigma, "distance": options.length_2body, "angle": options.length_3body}
    return None not in sigmas and all(lengths[kind] for kind in kinds) and not any(one.free for one in wanted)


def _changed(one: KernelPlan, kind: type, value: float) -> KernelPlan:
    if not isinstance(one.descriptor, kind):
        return one
    if isinstance(one.descriptor, Soap):
        return replace(one, descriptor=replace(one.descriptor, sigma=value))
    if isinstance(one.descriptor, Angle):
        return replace(one, descriptor=replace(one.descriptor, lengths=(value,) * 3))
    assert isinstance(one.descriptor, Distance)
    return replace(one, descriptor=replace(one.descriptor, length=value))


def subset_of(train: Any, seed: int) -> list[Labelled]:
    """Draw frames of about `_SUBSET_ATOMS` atoms, as many of one config_type as of another."""
    rng = np.random.default_rng(seed)
    columns = train.survey.columns
    ticket = rng.random(len(columns))
    order: list[int] = []
    by_kind = [np.flatnonzero(columns.config_f == kind) for kind in np.unique(columns.config_f)]
    queues = [mine[np.argsort(ticket[mine])].tolist() for mine in by_kind]
    atoms = 0
    while any(queues) and atoms < _SUBSET_ATOMS:
        for queue in queues:
            if queue and atoms < _SUBSET_ATOMS:
                order.append(queue.pop(0))
                atoms += int(columns.atoms_f[order[-1]])
    places = {columns.place(k) for k in order}
    return [frame for frame in train if (frame.file, frame.frame) in places]


class _Subset:
    """The evidence of kernels on some frames, with few sparse points."""

    def __init__(
        self, options: GAPOptions, frames: Sequence[Labelled], references: References, binding: Mapping[int, float],
        baseline: Potential | None, spread: float,
    ) -> None:  # fmt: skip
        self.options = replace(options, sparse="random", quotas={})
        self.frames, self.references, self.binding = frames, references, binding
        self.baseline, self.spread = baseline, spread

    def evidence(self, wanted: list[KernelPlan]) -> Evidence:
        """Return the largest evidence, over σ and δ."""
        rng = np.random.default_rng(self.options.seed)
        empty = [one.kernel() for one in wanted]
        samples = sample(empty, self.frames, {}, self.options.seed)
        kernels = []
        for one, kernel, found in zip(wanted, empty, samples, strict=True):
            points = choose(kernel, found, min(one.points, _SUBSET_POINTS), self.options, {}, rng, self.binding)
            kernels.append(one.kernel(*points))
        design = Design(kernels)
        prior = Prior.of(design, self.references, self.binding, self.baseline)
        maker = GAPRows(design, prior, self.baseline, self.options)
        streamed = LinearSystem(design.columns)
        for frame in self.frames:
            maker.fold(frame, streamed)
        products = Products(streamed)
        names = products.square
        fixed = frozenset(name for name in names if name.endswith(f"/{GIVEN}"))
        sigmas = {name: 1.0 if name in fixed else START[name] for name in names}
        return maximise(
            products,
            design.slices(),
            sigmas,
            [one.free for one in wanted],
            fixed,
            most=sigma_limits(names, self.spread),
        )
