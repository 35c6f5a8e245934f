"""What a GAP fit begins with: kernels, their sparse points, and what is taken off the labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.descriptors.environments import Soap
from lodewell.errors import BadFile, BadOption
from lodewell.fit.data import LabelledData
from lodewell.fit.distances import Distances
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.points import Sample, choose, sample
from lodewell.fit.gap.prior import Prior
from lodewell.fit.gap.space import KernelPlan, Proposal, lay_out, propose, subset_of
from lodewell.fit.linear.least_squares import LinearSystem
from lodewell.fit.reference import References, binding_energies
from lodewell.fit.walls import repulsion
from lodewell.potentials.base import Potential
from lodewell.potentials.gap.design import Design
from lodewell.potentials.gap.gap import GAP, TrainingSample
from lodewell.potentials.store import load
from lodewell.progress import Progress

_SHOWN = 500  # environments of the training data that the potential keeps for figures


@dataclass(frozen=True)
class Start:
    """Kernels with their sparse points, what is taken off the labels, and the rows of a fit if it is extended."""

    wanted: list[KernelPlan]
    design: Design
    references: References
    prior: Prior
    baseline: Potential | None
    proposal: Proposal | None = None
    seen: Mapping[int, TrainingSample] = field(default_factory=dict)
    earlier: LinearSystem | None = None
    distances: Mapping[tuple[int, int], Floats] = field(default_factory=dict)

    def counted(self, distances: Distances) -> dict[tuple[int, int], Floats]:
        """Return the distances of these frames, and of those of the fit that is extended."""
        counts = dict(self.distances)
        for pair, count_k in distances.count_k.items():
            counts[pair] = counts[pair] + count_k if pair in counts else count_k
        return counts

    @classmethod
    def of(cls, train: LabelledData, options: GAPOptions, distances: Distances, progress: Progress) -> Start:
        """Propose kernels and choose sparse points, or take all from an earlier fit."""
        if options.extend:
            return cls.again(options.extend, train)
        baseline = _baseline(options, distances)
        wanted = lay_out(options, distances, train.survey.elements)
        binding = binding_energies(train.survey, train.references)
        progress("likelihood")
        frames = subset_of(train, options.seed)
        proposal = propose(
            wanted, options, frames, train.references, binding, baseline, train.spread.per_root,
            progress,
        )  # fmt: skip
        wanted = proposal.wanted
        progress("sparse points")
        kinds = {kind: k for k, kind in enumerate(train.survey.config_types)}
        empty = [one.kernel() for one in wanted]
        samples = sample(empty, train, kinds, options.seed)
        rng = np.random.default_rng(options.seed)
        kernels = []
        for one, kernel, found in zip(wanted, empty, samples, strict=True):
            _enough(one, len(found.x_ed), options)
            kernels.append(one.kernel(*choose(kernel, found, one.points, options, kinds, rng, binding)))
        names = list(train.survey.config_types)
        seen = {
            k: _shown(found, names, rng) for k, found in enumerate(samples) if isinstance(wanted[k].descriptor, Soap)
        }
        design = Design(kernels)
        prior = Prior.of(design, train.references, binding, baseline)
        return cls(wanted, design, train.references, prior, baseline, proposal, seen)

    @classmethod
    def again(cls, rows: str, train: LabelledData) -> Start:
        """Take kernels, points, reference energies and baseline from the potential beside the rows of a fit."""
        earlier, meta = LinearSystem.load(rows)
        beside = Path(rows).with_suffix(".lodewell")
        potential = load(beside)
        if not isinstance(potential, GAP) or len(meta.get("deltas", ())) != len(potential.terms):
            raise BadFile(f"{rows}: the rows of another fit than {beside}; a GAP is extended by what its fit left")
        wanted = [
            KernelPlan(term.descriptor, delta, True, len(term.points_md))
            for term, delta in zip(potential.terms, meta["deltas"], strict=True)
        ]
        design = Design([one.kernel(t.points_md, t.cutoff_m) for one, t in zip(wanted, potential.terms, strict=True)])
        if digest(design) != meta["points"]:
            raise BadFile(f"{rows}: these are not the rows of {beside}; give the two files that one fit wrote")
        if new := [chemical_symbols[z] for z in train.survey.elements if z not in potential.energies]:
            raise BadOption(f"{beside} has no {', '.join(new)}: a GAP is extended by frames of its elements; fit anew")
        # Rows of before 0.1.0 do not tell: their lone atoms were not sparse points.
        prior = Prior.from_state(
            design, meta.get("prior", {"energies": potential.energies, "binding": {}, "known": {}})
        )
        energies = {**prior.energies, **prior.known}
        references = References(energies, dict.fromkeys(energies, "earlier fit"))
        return cls(
            wanted,
            design,
            references,
            prior,
            potential.baseline,
            seen=potential.seen,
            earlier=earlier,
            distances=potential.distances,
        )


def _shown(found: Sample, names: Sequence[str], rng: np.random.Generator) -> TrainingSample:
    """Return some environments of a sample, for figures."""
    some = rng.permutation(len(found.x_ed))[:_SHOWN]
    return TrainingSample(found.x_ed[some], tuple(names[k] for k in found.kind_e[some]))


def _baseline(options: GAPOptions, distances: Distances) -> Potential | None:
    if options.baseline == "none":
        return None
    if options.baseline in ("wall", "zbl"):
        return repulsion(distances, "spp" if options.baseline == "wall" else "zbl")
    return load(options.baseline)


def _enough(one: KernelPlan, there: int, options: GAPOptions) -> None:
    """Refuse more sparse points than environments, if they were asked for."""
    asked = {"soap": options.points, "distance": 0, "angle": options.points_3body if options.three_body else 0}
    if asked[one.descriptor.kind] and one.points > there:
        raise BadOption(
            f"{one.descriptor.name}: {one.points:,} sparse points are wanted, and the data hold {there:,} different"
            " environments; take fewer points, or add frames"
        )


def digest(design: Design) -> str:
    """Return a fingerprint of the sparse points."""
    parts = [k.points_md.tobytes() + repr((k.descriptor, k.delta)).encode() for k in design.kernels]
    return hashlib.sha256(b"".join(parts)).hexdigest()
