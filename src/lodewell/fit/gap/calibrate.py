"""Error bars of a GAP: the posterior of its weights, and an error model found on frames that were held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.read import Labelled
from lodewell.errors import BadOption
from lodewell.fit.data import LabelledData
from lodewell.fit.error_model import error_model
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.rows import ENERGY, FORCE, STRESS, GAPRows
from lodewell.fit.gap.weights import Weighing
from lodewell.fit.linear.least_squares import LinearSystem, Solution, kind_of, solve
from lodewell.potentials.gap.design import Design
from lodewell.potentials.gap.gap import GAP
from lodewell.potentials.gap.knowledge import Knowledge

_FRAMES = 25  # held-out frames that are looked at


def knowledge(
    potential: GAP, maker: GAPRows, streamed: LinearSystem, solution: Solution, weighing: Weighing, options: GAPOptions,
    train: LabelledData,
) -> Knowledge:  # fmt: skip
    """Keep the posterior, and fit the error model to residuals of a fit that did not see the first fold."""
    blocks = maker.design.slices()
    scale_m = np.concatenate([np.full(b.stop - b.start, s) for b, s in zip(blocks, weighing.scales, strict=True)])
    known = Knowledge(Design(potential.kernels), solution.factor_pp * scale_m)
    blind = None
    if len(streamed.folds) > 1:
        rest = {key: folded for key, folded in streamed.folded.items() if key[1] != 0}
        try:
            blind = solve(
                LinearSystem(streamed.parameters, False, rest),
                weighing.weights(options),
                maker.prior.pin(weighing.penalty(blocks)),
            )
        except (BadOption, KeyError):
            blind = None
    spreads: dict[str, list[Floats]] = {ENERGY: [], FORCE: [], STRESS: []}
    squares: dict[str, list[Floats]] = {ENERGY: [], FORCE: [], STRESS: []}
    grade = 0.0
    for frame in _frames(maker, train):
        rows = known.design.rows(frame.atoms, derivatives=False).energies_nm
        grade = max(grade, float(known.atomic_of(rows, known.design.prior(frame.atoms)).max()))
        if blind is not None:
            for kind, spread, square in _compared(maker, Knowledge(maker.design, blind.factor_pp), blind, frame):
                spreads[kind].append(spread)
                squares[kind].append(square)

    def model(kind: str) -> tuple[float, float]:
        if not spreads[kind]:
            return 1.0, 0.0
        return error_model(np.concatenate(spreads[kind]), np.concatenate(squares[kind]))

    return replace(known, energy=model(ENERGY), force=model(FORCE), stress=model(STRESS), grade=grade or 1.0)


def _frames(maker: GAPRows, train: LabelledData) -> Iterator[Labelled]:
    """Yield some frames of the first fold, evenly spaced."""
    parts = 1 if maker.folds is None else maker.folds.count
    every, met = max(1, len(train) // parts // _FRAMES), 0
    for frame in train:
        if maker.folds is None or maker.folds.of(frame) == 0:
            if met % every == 0:
                yield frame
            met += 1


def _compared(
    maker: GAPRows, known: Knowledge, blind: Solution, frame: Labelled
) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield the variances and squared errors of each kind, per atom, in eV/Å, in eV/Å^3."""
    count = len(frame.atoms)
    for block in maker.blocks(frame):
        kind = kind_of(block.name)
        unit = 1.0
        if kind == ENERGY:
            unit = 1.0 / np.sqrt(count)
        elif kind == STRESS:
            unit = np.sqrt(count) / frame.atoms.get_volume()
        factor = np.asarray(block.sigma) * unit
        white = maker.white(block)
        error = (white @ blind.coefficients_p - block.targets_x) * factor
        yield kind, known.white_spread(white) * factor**2, error**2
