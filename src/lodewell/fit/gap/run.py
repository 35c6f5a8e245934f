"""Gaussian approximation potentials from labelled crystals: kernels, sparse points, rows that stream by, one solve."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from lodewell.errors import BadOption, did_you_mean
from lodewell.fit.data import Folds, LabelledData
from lodewell.fit.distances import Distances
from lodewell.fit.gap.calibrate import knowledge
from lodewell.fit.gap.facts import facts, notes
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.prior import lone_energies
from lodewell.fit.gap.rows import GAPRows
from lodewell.fit.gap.start import Start, digest
from lodewell.fit.gap.stream import stream
from lodewell.fit.gap.weights import Weighing, weigh
from lodewell.fit.linear.least_squares import Solution, solve
from lodewell.fit.run import FitResult, doubts, fit_to
from lodewell.options import options_of
from lodewell.potentials.gap.design import Design
from lodewell.potentials.gap.gap import GAP, Term
from lodewell.progress import Progress, silent
from lodewell.record import Checkpoint, Run, fingerprint

logger = logging.getLogger(__name__)

_MOST_BYTES = 600e6  # of all squares: beyond it config_types share theirs, and then there are no folds


@options_of(GAPOptions)
def fit_gap(
    train: Any,
    options: GAPOptions,
    *,
    out: str | Path | None = None,
    workers: int | None = 1,
    cluster: str | None = None,
    progress: Progress = silent,
    restart: bool = False,
) -> GAP:
    """Fit a Gaussian approximation potential to labelled crystals.

    Args:
        train: paths, ASE atoms with energies and forces, `Labelled` frames, or a `LabelledSource`; one or several.
        options: a `GAPOptions`, or its fields as keywords:
        out: write the potential to this file, and a summary beside it.
        workers: processes; None for every core.
        cluster: where Dask is to be found, see `lodewell.workers`.
        progress: told the stage, and the steps done.
        restart: forget what an interrupted fit of the same data and options has left beside `out`.

    Returns:
        The potential.

    Raises:
        BadFile: when the data cannot be used, or `out` cannot be written.
        BadOption: when options are out of range, or do not fit the data.
    """
    how = {"workers": workers, "cluster": cluster, "progress": progress, "restart": restart}
    potential = fit_to(fit_gap_files, "gap", train, options, out=out, **how).potential
    assert isinstance(potential, GAP)
    return potential


def fit_gap_files(
    train: LabelledData,
    options: GAPOptions,
    /,
    *,
    out: Path | None,
    run: Run,
) -> FitResult:
    """Fit a Gaussian approximation potential.

    Raises:
        BadOption: for options that do not fit the data, such as a quota of a config_type that no frame has.
        BadFile: when the data cannot be used.
    """
    options = options.settled()
    _check(options, train)
    run.progress("distances")
    distances = Distances.of(train)
    start = Start.of(train, options, distances, run.progress)
    design, references, prior = start.design, start.references, start.prior
    sorts, folds = _kept_apart(train, design.columns, options)
    maker = GAPRows(design, prior, start.baseline, options, sorts, folds)
    checkpoint = Checkpoint.beside(None if out is None else out.with_suffix(".lodewell"), _key(run, design))
    streamed, resumed = stream(maker, train, checkpoint, run)
    if start.earlier is not None:
        streamed = start.earlier.merge(streamed)
    sigmas = start.proposal.sigmas if start.proposal else {}
    free, spread = [one.free for one in start.wanted], train.spread.per_root
    weighing = weigh(streamed, design.slices(), free, sigmas, spread, options, run.progress)
    run.progress("solving")
    solution = solve(streamed, weighing.weights(options), prior.pin(weighing.penalty(design.slices())))
    potential = _potential(start, weighing, solution, options)
    potential = potential.with_record(distances=start.counted(distances), seen=dict(start.seen))
    if options.uncertainty:
        run.progress("calibrating uncertainties")
        known = knowledge(potential, maker, streamed, solution, weighing, options, train)
        potential = potential.with_record(knowledge=known)
    if options.keep_rows and out is not None:
        deltas = [one.delta for one in start.wanted]
        streamed.save(out.with_suffix(".rows"), deltas=deltas, points=digest(design), prior=prior.state())
    told = facts(potential, weighing, streamed, references, train, options)
    said = (*notes(start, folds), *doubts(weighing.held_out, spread, "eV/√atom"))
    return FitResult(potential, told, said, resumed=resumed)


def _check(options: GAPOptions, train: LabelledData) -> None:
    """Refuse quotas and σ of config_types that no frame has."""
    there = [kind for kind in train.survey.config_types if kind]
    for kind in options.quotas:
        if kind not in there:
            known = f"there are {', '.join(there)}" if there else "no frame has one"
            raise BadOption(f"--quotas {kind}: no frame has this config_type{did_you_mean(kind, there)}; {known}")


def _kept_apart(train: LabelledData, columns: int, options: GAPOptions) -> tuple[frozenset[str], Folds | None]:
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


def _key(run: Run, design: Design) -> str:
    """Return what must be equal for an interrupted fit to go on: data and options, and the points found for them."""
    return fingerprint(run.fingerprint, digest(design))


def _potential(start: Start, weighing: Weighing, solution: Solution, options: GAPOptions) -> GAP:
    """Make the potential: a prior scaled by s is δ s and weights over s²."""
    design = start.design
    alpha = design.weights(solution.coefficients_p) + start.prior.weights_m
    terms = [
        Term(kernel.descriptor, kernel.delta * scale, kernel.points_md, kernel.cutoff_m, alpha[m] / scale**2)
        for kernel, scale, m in zip(design.kernels, weighing.scales, design.slices(), strict=True)
    ]
    energies, known = start.prior.energies, start.prior.known
    # What jitter and rounding leave of a lone atom's energy is taken off, so that it is what it should be.
    left = lone_energies(GAP(dict.fromkeys(known, 0.0), terms, start.baseline), known)
    return GAP({**energies, **{z: e - left[z] for z, e in known.items()}}, terms, start.baseline, options.single)
