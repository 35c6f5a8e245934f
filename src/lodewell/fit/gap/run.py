"""Gaussian approximation potentials from labelled crystals: kernels, sparse points, rows that stream by, one solve."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lodewell.errors import BadOption, did_you_mean
from lodewell.fit.data import Folds, LabelledSource
from lodewell.fit.distances import Distances
from lodewell.fit.gap.calibrate import knowledge
from lodewell.fit.gap.facts import facts, notes
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.prior import lone_energies
from lodewell.fit.gap.rows import GAPRows
from lodewell.fit.gap.start import Begun, digest
from lodewell.fit.gap.stream import stream
from lodewell.fit.gap.weights import Weighing, weigh
from lodewell.fit.linear.least_squares import Solution, solve
from lodewell.fit.run import Fitted, Report, doubts
from lodewell.potentials.gap.design import Design
from lodewell.potentials.gap.gap import GAP, Term
from lodewell.progress import silent

logger = logging.getLogger(__name__)

_MOST_BYTES = 600e6  # of all squares: beyond it config_types share theirs, and then there are no folds


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
    begun = Begun.of(train, options, distances, report)
    design, references, prior = begun.design, begun.references, begun.prior
    sorts, folds = _kept_apart(train, design.columns, options)
    maker = GAPRows(design, prior, begun.baseline, options, sorts, folds)
    partial = None if out is None else out.with_name(f"{out.stem}.lodewell.partial")
    streamed = stream(maker, train, partial, _identity(design, options, train), workers, cluster, report)
    if begun.earlier is not None:
        streamed = begun.earlier.merge(streamed)
    start = begun.proposal.sigmas if begun.proposal else {}
    free, spread = [one.free for one in begun.wanted], train.spread.per_root
    weighing = weigh(streamed, design.slices(), free, start, spread, options, report)
    report("solving", 0, None)
    solution = solve(streamed, weighing.weights(options), prior.pin(weighing.penalty(design.slices())))
    potential = _potential(begun, weighing, solution, options)
    potential.distances, potential.seen = begun.counted(distances), dict(begun.seen)
    if options.uncertainty:
        report("calibrating uncertainties", 0, None)
        potential.knowledge = knowledge(potential, maker, streamed, solution, weighing, options, train)
    if options.keep_rows and out is not None:
        deltas = [one.delta for one in begun.wanted]
        streamed.save(out.with_suffix(".rows"), deltas=deltas, points=digest(design), prior=prior.state())
    told = facts(potential, weighing, streamed, references, train, options)
    return Fitted(potential, told, (*notes(begun, folds), *doubts(weighing.held_out, spread, "eV/√atom")))


def _check(options: GAPOptions, train: LabelledSource) -> None:
    """Refuse quotas and σ of config_types that no frame has."""
    there = [kind for kind in train.survey.config_types if kind]
    for kind in options.quotas:
        if kind not in there:
            known = f"there are {', '.join(there)}" if there else "no frame has one"
            raise BadOption(f"--quotas {kind}: no frame has this config_type{did_you_mean(kind, there)}; {known}")


def _kept_apart(train: LabelledSource, columns: int, options: GAPOptions) -> tuple[frozenset[str], Folds | None]:
    """Return the config_types whose σ are chosen on their own, and the folds, as far as memory allows."""
    kinds = train.large_config_types()
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
    return {"design": digest(design), "options": repr(asdict(options)), "data": repr(train.survey.about())}


def _potential(begun: Begun, weighing: Weighing, solution: Solution, options: GAPOptions) -> GAP:
    """Make the potential: a prior scaled by s is δ s and weights over s²."""
    design = begun.design
    alpha = design.weights(solution.coefficients_p) + begun.prior.weights_m
    terms = [
        Term(kernel.descriptor, kernel.delta * scale, kernel.points_md, kernel.cutoff_m, alpha[m] / scale**2)
        for kernel, scale, m in zip(design.kernels, weighing.scales, design.slices(), strict=True)
    ]
    energies, known = begun.prior.energies, begun.prior.known
    # What jitter and rounding leave of a lone atom's energy is taken off, so that it is what it should be.
    left = lone_energies(GAP(dict.fromkeys(known, 0.0), terms, begun.baseline), known)
    return GAP({**energies, **{z: e - left[z] for z, e in known.items()}}, terms, begun.baseline, options.single)
