"""Gaussian approximation potentials from labelled crystals: kernels, sparse points, rows that stream by, one solve."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from lodewell.errors import BadFile, BadOption, did_you_mean
from lodewell.fit.data import Folds, LabelledSource
from lodewell.fit.distances import Distances
from lodewell.fit.gap_calibrate import knowledge
from lodewell.fit.gap_options import GAPOptions
from lodewell.fit.gap_points import Sample, choose, sample
from lodewell.fit.gap_rows import GIVEN, GAPRows
from lodewell.fit.gap_space import Proposal, Wanted, lay_out, propose, subset_of
from lodewell.fit.gap_stream import stream
from lodewell.fit.gap_weights import Weighing, weigh
from lodewell.fit.least_squares import Solution, Streamed, solve
from lodewell.fit.reference import References
from lodewell.fit.run import Fitted, Report, silent
from lodewell.fit.walls import repulsion
from lodewell.potentials.base import Potential
from lodewell.potentials.gap.descriptors import Soap
from lodewell.potentials.gap.design import JITTER, Design
from lodewell.potentials.gap.gap import GAP, Seen, Term
from lodewell.potentials.store import load

logger = logging.getLogger(__name__)

_MOST_BYTES = 300e6  # of all squares: beyond it config_types share theirs, and there are no folds
_LEAST_OF_A_SORT = 10  # frames
_SHOWN = 500  # environments of the training data that the potential keeps for figures
_COMPARED = 5  # frames on which precisions are compared


def fit_gap(train: LabelledSource, options: GAPOptions = GAPOptions(), **how: Any) -> GAP:  # noqa: B008 frozen
    """Fit a Gaussian approximation potential to labelled crystals; see `fit_gap_files` for what else can be said."""
    fitted = fit_gap_files(train, options, **how).potential
    assert isinstance(fitted, GAP)
    return fitted


def fit_gap_files(
    train: LabelledSource,
    options: GAPOptions,
    *,
    out: Path | None = None,
    workers: int | None = 1,
    cluster: str | None = None,
    report: Report = silent,
) -> Fitted:
    """Fit a Gaussian approximation potential.

    Raises:
        BadOption: for options that do not fit the data, such as a quota of a config_type that no frame has.
        BadFile: when the data cannot be used.
    """
    options = options.settled()
    _check(options, train)
    report("distances", 0, None)
    distances = Distances.of(train)
    begun = _Begun.of(train, options, distances, report)
    design, references, baseline = begun.design, begun.references, begun.baseline
    sorts, folds = _kept_apart(train, design.columns, options)
    maker = GAPRows(design, references, baseline, options, sorts, folds)
    partial = None if out is None else out.with_suffix(".partial")
    streamed = stream(maker, train, partial, _identity(design, options, train), workers, cluster, report)
    if begun.earlier is not None:
        streamed = begun.earlier.merge(streamed)
    start = begun.proposal.sigmas if begun.proposal else {}
    weighing = weigh(streamed, design.slices(), [one.free for one in begun.wanted], start, options, report)
    report("solving", 0, None)
    solution = solve(streamed, weighing.weights(options), weighing.penalty(design.slices()))
    potential = _potential(begun, weighing, solution, options)
    potential.distances, potential.seen = dict(distances.count_k), dict(begun.seen)
    if options.uncertainty:
        report("calibrating uncertainties", 0, None)
        potential.knowledge = knowledge(potential, maker, streamed, solution, weighing, options, train)
    if options.keep_rows and out is not None:
        deltas = [one.delta for one in begun.wanted]
        streamed.save(out.with_suffix(".rows"), deltas=deltas, points=_digest(design))
    return Fitted(potential, _facts(potential, weighing, streamed, references, train), tuple(_notes(begun)))


def _check(options: GAPOptions, train: LabelledSource) -> None:
    """Refuse quotas and σ of config_types that no frame has."""
    there = [kind for kind in train.survey.config_types if kind]
    for kind in options.quotas:
        if kind not in there:
            known = f"there are {', '.join(there)}" if there else "no frame has one"
            raise BadOption(f"--quotas {kind}: no frame has this config_type{did_you_mean(kind, there)}; {known}")


def _baseline(options: GAPOptions, distances: Distances) -> Potential | None:
    if options.baseline == "none":
        return None
    if options.baseline in ("wall", "zbl"):
        return repulsion(distances, "spp" if options.baseline == "wall" else "zbl")
    return load(options.baseline)


@dataclass(frozen=True)
class _Begun:
    """Kernels with their sparse points, what is taken off the labels, and the rows of a fit if it is extended."""

    wanted: list[Wanted]
    design: Design
    references: References
    baseline: Potential | None
    proposal: Proposal | None = None
    seen: Mapping[int, Seen] = field(default_factory=dict)
    earlier: Streamed | None = None

    @classmethod
    def of(cls, train: LabelledSource, options: GAPOptions, distances: Distances, report: Report) -> _Begun:
        """Propose kernels and choose sparse points, or take all from an earlier fit."""
        if options.extend:
            return cls.again(options.extend, train)
        baseline = _baseline(options, distances)
        wanted = lay_out(options, distances, train.survey.elements)
        report("likelihood", 0, None)
        frames = subset_of(train, options.seed)
        proposal = propose(
            wanted, options, frames, train.references, baseline, lambda k: report("likelihood", k, None)
        )  # fmt: skip
        wanted = proposal.wanted
        report("sparse points", 0, None)
        kinds = {kind: k for k, kind in enumerate(train.survey.config_types)}
        empty = [one.kernel() for one in wanted]
        samples = sample(empty, train, kinds, options.seed)
        rng = np.random.default_rng(options.seed)
        kernels = []
        for one, kernel, found in zip(wanted, empty, samples, strict=True):
            _enough(one, len(found.x_ed), options)
            kernels.append(one.kernel(*choose(kernel, found, one.points, options, kinds, rng)))
        names = list(train.survey.config_types)
        seen = {
            k: _shown(found, names, rng) for k, found in enumerate(samples) if isinstance(wanted[k].descriptor, Soap)
        }
        return cls(wanted, Design(kernels), train.references, baseline, proposal, seen)

    @classmethod
    def again(cls, rows: str, train: LabelledSource) -> _Begun:
        """Take kernels, points, reference energies and baseline from the potential beside the rows of a fit."""
        earlier, meta = Streamed.load(rows)
        beside = Path(rows).with_suffix(".lodewell")
        potential = load(beside)
        if not isinstance(potential, GAP) or len(meta.get("deltas", ())) != len(potential.terms):
            raise BadFile(f"{rows}: the rows of another fit than {beside}; a GAP is extended by what its fit left")
        wanted = [
            Wanted(term.descriptor, delta, True, len(term.points_md))
            for term, delta in zip(potential.terms, meta["deltas"], strict=True)
        ]
        design = Design([one.kernel(t.points_md, t.cutoff_m) for one, t in zip(wanted, potential.terms, strict=True)])
        if _digest(design) != meta["points"]:
            raise BadFile(f"{rows}: these are not the rows of {beside}; give the two files that one fit wrote")
        if new := [chemical_symbols[z] for z in train.survey.elements if z not in potential.energies]:
            raise BadOption(f"{beside} has no {', '.join(new)}: a GAP is extended by frames of its elements; fit anew")
        references = References(potential.energies, dict.fromkeys(potential.energies, "earlier fit"))
        return cls(wanted, design, references, potential.baseline, seen=potential.seen, earlier=earlier)


def _shown(found: Sample, names: Sequence[str], rng: np.random.Generator) -> Seen:
    """Return some environments of a sample, for figures."""
    some = rng.permutation(len(found.x_ed))[:_SHOWN]
    return Seen(found.x_ed[some], tuple(names[k] for k in found.kind_e[some]))


def _enough(one: Wanted, there: int, options: GAPOptions) -> None:
    """Refuse more sparse points than environments, if they were asked for."""
    asked = {"soap": options.points, "distance": 0, "angle": options.points_3body if options.three_body else 0}
    if asked[one.descriptor.kind] and one.points > there:
        raise BadOption(
            f"{one.descriptor.name}: {one.points:,} sparse points are wanted, and the data hold {there:,} different"
            " environments; take fewer points, or add frames"
        )


def _kept_apart(train: LabelledSource, columns: int, options: GAPOptions) -> tuple[frozenset[str], Folds | None]:
    """Return the config_types whose σ are chosen on their own, and the folds, as far as memory allows."""
    kinds = {kind for kind, frames in train.survey.config_types.items() if kind and frames >= _LEAST_OF_A_SORT}
    square = 3 * 8.0 * columns**2
    folds = None
    if options.folds * square <= _MOST_BYTES:
        try:
            folds = train.folds()
        except BadOption as error:
            logger.info("no cross-validation: %s", error)  # too few groups of frames
    parts = options.folds if folds else 1
    return frozenset(kinds) if (len(kinds) + 1) * parts * square <= _MOST_BYTES else frozenset(), folds


def _identity(design: Design, options: GAPOptions, train: LabelledSource) -> dict[str, str]:
    """Return what must be equal for an interrupted fit to go on."""
    return {"design": _digest(design), "options": repr(asdict(options)), "data": repr(train.survey.about())}


def _potential(begun: _Begun, weighing: Weighing, solution: Solution, options: GAPOptions) -> GAP:
    """Make the potential: a prior scaled by s is δ s and weights over s²."""
    design = begun.design
    alpha = design.weights(solution.coefficients_p)
    terms = [
        Term(kernel.descriptor, kernel.delta * scale, kernel.points_md, kernel.cutoff_m, alpha[m] / scale**2)
        for kernel, scale, m in zip(design.kernels, weighing.scales, design.slices(), strict=True)
    ]
    return GAP(begun.references.energies, terms, begun.baseline, options.single)


def _facts(
    potential: GAP, weighing: Weighing, streamed: Streamed, references: References, train: LabelledSource
) -> dict[str, Any]:
    return {
        "coefficients": len(potential.weights_m),
        "terms": {
            t.descriptor.name: {"points": len(t.points_md), "delta_eV": t.delta, "cutoff_A": t.descriptor.cutoff}
            for t in potential.terms
        },
        "sigmas": {name: sigma for name, sigma in weighing.sigmas.items() if not name.endswith(GIVEN)},
        "held_out_rmse": dict(weighing.held_out),
        "rows": {kind: streamed.count(kind) for kind in streamed.kinds},
        "references": references.about(),
        "single_precision_differs_by": _rounding(potential, train),
    }


def _rounding(potential: GAP, train: LabelledSource) -> dict[str, float]:
    """Return the largest differences between single and double precision on a few frames."""
    atoms = [frame.atoms for frame in islice(train, _COMPARED)]
    single = potential.in_single_precision().evaluate(atoms)
    double = potential.in_single_precision(False).evaluate(atoms)
    return {
        "energy_meV_atom": max(
            1e3 * abs(s.energy - d.energy) / len(a) for s, d, a in zip(single, double, atoms, strict=True)
        ),
        "force_eV_A": max(float(np.abs(s.forces_nc - d.forces_nc).max()) for s, d in zip(single, double, strict=True)),
    }


def _notes(begun: _Begun) -> list[str]:
    notes = [*begun.references.notes(), *(begun.proposal.notes() if begun.proposal else [])]
    for kernel, jitter in zip(begun.design.kernels, begun.design.jitters, strict=True):
        if jitter > JITTER:
            notes.append(
                f"{kernel.descriptor.name}: some sparse points are nearly alike, so {jitter:.0e} eV² was added to the"
                " diagonal of their covariance; fewer points would do as well"
            )
    return notes


def _digest(design: Design) -> str:
    parts = [k.points_md.tobytes() + repr((k.descriptor, k.delta)).encode() for k in design.kernels]
    return hashlib.sha256(b"".join(parts)).hexdigest()
