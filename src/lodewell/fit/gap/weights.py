"""What errors a GAP fit expects of its rows, and how much it expects each kernel to explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.rows import ENERGY, FORCE, GIVEN, STRESS
from lodewell.fit.gap.space import START, sigma_limits
from lodewell.fit.linear.balance import Goal, choose
from lodewell.fit.linear.evidence import Products, maximise
from lodewell.fit.linear.held_out import HeldOut
from lodewell.fit.linear.least_squares import LinearSystem, kind_of
from lodewell.progress import Progress


@dataclass(frozen=True)
class Weighing:
    """σ by name of rows (eV/√atom, eV/Å; 1 where rows were divided by it), and the scale of each kernel's prior.

    held_out: root mean square errors of each kind on frames left out of the fit, in the same units.
    """

    sigmas: Mapping[str, float]
    scales: tuple[float, ...]
    held_out: Mapping[str, float]

    def penalty(self, blocks: Sequence[slice]) -> Floats:
        """Return the penalty on white coordinates, diagonal (M, M)."""
        precisions = [np.full(b.stop - b.start, 1.0 / s**2) for b, s in zip(blocks, self.scales, strict=True)]
        return np.diag(np.concatenate(precisions))

    def weights(self, options: GAPOptions) -> dict[str, float]:
        """Return the weight of each name of rows: one over σ², times what the user asks for."""
        factor = _factors(options)
        return {name: factor[kind_of(name)] / sigma**2 for name, sigma in self.sigmas.items()}


def _factors(options: GAPOptions) -> dict[str, float]:
    return {ENERGY: options.energy_weight, FORCE: options.force_weight, STRESS: options.stress_weight}


def weigh(
    streamed: LinearSystem, blocks: Sequence[slice], free: Sequence[bool], start: Mapping[str, float], spread: float,
    options: GAPOptions, progress: Progress,
) -> Weighing:  # fmt: skip
    """Choose what is left open: σ of each kind and config_type and the scales by the evidence of all rows.

    Where no σ at all is given, the kinds are then weighed against each other by cross-validation: the evidence
    believes that errors are independent, but those of a frame's atoms are not, and it trusts energies too little.
    spread: what compositions alone leave of the energies, eV/√atom.
    """
    names = streamed.kinds
    fixed = frozenset(name for name in names if name.endswith(f"/{GIVEN}"))
    sigmas = {name: 1.0 if name in fixed else start.get(kind_of(name), START[kind_of(name)]) for name in names}
    scales: tuple[float, ...] = (1.0,) * len(blocks)
    if any(free) or len(fixed) < len(names):
        found = maximise(
            Products(streamed),
            blocks,
            sigmas,
            free,
            fixed,
            progress=progress,
            most=sigma_limits(names, spread),
        )
        sigmas, scales = dict(found.sigmas), found.scales
    weighing = Weighing(_bounded(sigmas, fixed, streamed, options.config_balance), scales, {})
    if fixed or len(streamed.folds) < 2:
        return _judged(weighing, streamed, blocks, options)
    return _balanced(weighing, streamed, blocks, spread, options, progress)


def _means(sigmas: Mapping[str, float], fixed: frozenset[str], streamed: LinearSystem) -> dict[str, float]:
    """Return the root mean square of σ of each kind."""
    squares, counts = dict[str, float](), dict[str, int]()
    for name, sigma in sigmas.items():
        if name not in fixed:
            kind, count = kind_of(name), streamed.count(name)
            squares[kind] = squares.get(kind, 0.0) + count * sigma**2
            counts[kind] = counts.get(kind, 0) + count
    return {kind: float(np.sqrt(squares[kind] / counts[kind])) for kind in squares}


def _bounded(
    sigmas: Mapping[str, float], fixed: frozenset[str], streamed: LinearSystem, most: float
) -> dict[str, float]:
    mean = _means(sigmas, fixed, streamed)
    return {n: s if n in fixed else max(float(s), mean[kind_of(n)] / most) for n, s in sigmas.items()}


def _balanced(
    weighing: Weighing,
    streamed: LinearSystem,
    blocks: Sequence[slice],
    spread: float,
    options: GAPOptions,
    progress: Progress,
) -> Weighing:
    """Weigh kinds against each other and against the prior by errors on the folds."""
    mean = _means(weighing.sigmas, frozenset(), streamed)
    goal = Goal(
        {ENERGY: 1.0, FORCE: options.balance, STRESS: 0.5},
        {kind: 1.0 / sigma**2 for kind, sigma in mean.items()} | {"strength": 1.0},
        _factors(options),
        bounds={ENERGY: spread},
    )
    sorts = {name: (mean[kind_of(name)] / sigma) ** 2 for name, sigma in weighing.sigmas.items()}
    penalty = weighing.penalty(blocks)
    chosen = choose(streamed, penalty, goal, progress, sorts)
    factor = _factors(options)
    sigmas = dict(weighing.sigmas)
    for name, weight in chosen.weights(streamed.kinds).items():
        own = factor[kind_of(name)]
        if weight > 0.0 and own > 0.0:
            sigmas[name] = float(np.sqrt(own * chosen.strength / weight))
    return Weighing(sigmas, weighing.scales, chosen.held_out)


def _judged(weighing: Weighing, streamed: LinearSystem, blocks: Sequence[slice], options: GAPOptions) -> Weighing:
    """Note the errors on the folds, of rows that are in units of their own."""
    if len(streamed.folds) < 2:
        return weighing
    weights = weighing.weights(options)
    mean = {
        kind: max(w for name, w in weights.items() if kind_of(name) == kind) or 1.0 for kind in map(kind_of, weights)
    }
    held = HeldOut(streamed, {name: w / mean[kind_of(name)] for name, w in weights.items()})
    errors = held.errors(mean, weighing.penalty(blocks))
    # Rows with a σ of their own are divided by it: one that holds for all frames is put back.
    given = {ENERGY: options.energy_sigma, FORCE: options.force_sigma, STRESS: options.virial_sigma}
    plain = {}
    for name, error in errors.items():
        sigma = given[kind_of(name)] if name.endswith(f"/{GIVEN}") else 1.0
        if sigma is not None and not (options.config_sigmas and name.endswith(f"/{GIVEN}")):
            plain[name] = sigma * error
    out: dict[str, float] = {}
    for kind in {kind_of(name) for name in plain}:
        mine = [name for name in plain if kind_of(name) == kind]
        count = sum(streamed.count(name) for name in mine)
        out[kind] = float(np.sqrt(sum(streamed.count(n) * plain[n] ** 2 for n in mine) / count))
    return Weighing(weighing.sigmas, weighing.scales, out)
