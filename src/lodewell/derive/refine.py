"""Refinement against decoys: observed crystals become minima, held-out crystals say when to stop.

All curves of all pairs are corrected together. The energy is linear in the coefficients of a curve, so forces, stress
and decoys are (see `lodewell.derive.features`); the loss asks that

* forces and shear stresses of observed crystals are small against their stiffness,
* strained, rattled and swapped decoys lie above their crystal by a share of what its stiffness promises,
* the stiffness does not fade away to please the first two.

Corrections of similar elements are correlated (a Gaussian-process prior), so that rare pairs learn from rich ones.
The idea of training on decoys is that of Hofmann and Apostolakis, J. Mol. Struct. 647, 17 (2003).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from lodewell.compiled import kernel
from lodewell.crystals.batch import Floats, Ints
from lodewell.crystals.types import type_table
from lodewell.derive.features import (
    BULK,
    COUNT,
    ENDING,
    HESSIAN,
    PROJECTIONS,
    RATTLED,
    ROWS,
    SPACING,
    START,
    STRAINED,
    STRAINS,
    STRESS,
    SWAPPED,
    Features,
)
from lodewell.progress import Progress, silent

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefineOptions:
    """Weights of the refinement; the defaults were chosen on held-out crystals (docs/theory/statistical.md).

    Attributes:
        forces: weight of forces and shear stresses, in units of a displacement of 0.05 Å and a shear of 1 %.
        decoys: weight of decoys.
        swaps: weight of swapped decoys relative to the others.
        margin: share of the promised rise that a decoy must reach.
        temperature: softness of that demand, in the same unit.
        swap_margin: rise, in units of U, that exchanging two atoms must cost.
        stiffness: weight of keeping the stiffness.
        freedom: standard deviation of corrections relative to the built-in profile.
        rounds: at most this many steps of the optimiser.
        patience: stop when held-out crystals have not improved for this many judgements.
    """

    forces: float = 0.3
    decoys: float = 3.0
    swaps: float = 1.0
    margin: float = 0.6
    temperature: float = 1.0
    swap_margin: float = 4.0
    stiffness: float = 0.3
    freedom: float = 1.0
    rounds: int = 80
    patience: int = 8


@dataclass
class _Set:
    """Features of a chunk of crystals, with the row of coefficients of each slot and their stiffness at the start."""

    features: Features
    row_s: Ints
    spring_b: Floats
    bulk_b: Floats


def refine(
    start_eek: Floats,
    elements: Ints,
    kernel_ee: Floats,
    training: Sequence[Features],
    held_out: Sequence[Features],
    options: RefineOptions,
    progress: Progress = silent,
) -> tuple[Floats, list[tuple[int, float, float]]]:
    """Correct the coefficients of all curves together.

    Args:
        start_eek: coefficients of every pair of elements, symmetric, (E, E, COUNT).
        elements: their atomic numbers (E,).
        kernel_ee: likeness of elements (E, E).
        training: features of the crystals learned from.
        held_out: features of crystals that judge; none of their formulas may be in training.
        options: weights.
        progress: told the step at every judgement.

    Returns:
        The coefficients at the best judgement, and the history of (step, loss, held-out score).
    """
    place_z = type_table(elements)
    flat = start_eek.reshape(-1, COUNT)
    train = [_prepared(f, place_z, len(elements), flat) for f in training]
    judges = [_prepared(f, place_z, len(elements), flat) for f in held_out]
    prior = _Prior(kernel_ee, options.freedom)
    history = [(0, float("nan"), judge(flat, judges))]
    best = (history[0][2], start_eek)
    losses: list[float] = []

    def objective(z: Floats) -> tuple[float, Floats]:
        loss, gradient = _loss((start_eek + prior.expand(z)).reshape(-1, COUNT), train, options)
        losses.append(loss)
        return loss + 0.5 * float(z @ z), prior.pull_back(gradient) + z

    steps = 0

    def after_step(z: Floats) -> None:
        nonlocal best, steps
        steps += 1
        if steps % 10:
            return
        now = start_eek + prior.expand(z)
        score = judge(now.reshape(-1, COUNT), judges)
        history.append((steps, losses[-1], score))
        logger.info("refinement step %d: loss %.1f, held-out %.4f", steps, losses[-1], score)
        progress("refining", steps, options.rounds)
        if score > best[0]:
            best = (score, now)
        last_best = max(range(len(history)), key=lambda k: history[k][2])
        if len(history) - 1 - last_best >= options.patience:
            raise StopIteration  # how scipy's callbacks end a minimisation

    minimize(
        objective, np.zeros(start_eek.size), jac=True, method="L-BFGS-B", callback=after_step,
        options={"maxiter": options.rounds, "maxcor": 10},
    )  # fmt: skip
    return best[1], history


def judge(coefficients_xk: Floats, sets: Sequence[_Set]) -> float:
    """Return the share of crystals that lie below all their decoys, less the median volume error of a parabola fit.

    One number in which both targets count: being the best of the decoys, and sitting at the right volume.
    """
    best, error = [], []
    for one in sets:
        y = _apply(one.features.value_srk, one.features.first_b, one.row_s, coefficients_xk)
        decoys = np.delete(y[:, STRAINED:], [3, 4], axis=1)  # strains of 2 % are no decoys of the benchmark
        pure = np.diff(one.features.first_b) == 1
        swaps = slice(len(STRAINS) - 2, len(STRAINS) - 2 + RATTLED - SWAPPED)
        decoys[pure, swaps] = 1.0  # one element has nothing to swap
        best.append((decoys > 0).all(axis=1))
        shrink, grow = y[:, STRAINED + 3], y[:, STRAINED + 4]
        curvature = np.maximum(shrink + grow, 1e-9)
        error.append(np.abs(np.clip(1.5 * STRAINS[4] * (shrink - grow) / curvature, -0.3, 0.3)))
    return float(np.concatenate(best).mean() - np.median(np.concatenate(error)))


class _Prior:
    """Corrections as white noise seen through the likeness of elements, smoothness in r, and a profile of freedom."""

    def __init__(self, kernel_ee: Floats, freedom: float) -> None:
        values, vectors = np.linalg.eigh(kernel_ee)
        self.mix = vectors * np.sqrt(np.maximum(values, 1e-10)) @ vectors.T
        k = np.arange(COUNT)
        correlation = np.exp(-0.5 * ((k[:, None] - k) / 1.2) ** 2) + 1e-4 * np.eye(COUNT)
        centre = START + SPACING * (k + 2)
        profile = 0.1 + np.exp(-np.maximum(centre - 0.75, 0) / 0.25) + 2.0 * np.exp(-np.maximum(centre - 0.6, 0) / 0.1)
        profile[-ENDING:] = 0.0
        self.along = freedom * profile[:, None] * np.linalg.cholesky(correlation)
        self.shape = (len(kernel_ee), len(kernel_ee), COUNT)

    def expand(self, z: Floats) -> Floats:
        """Return corrections (E, E, COUNT), symmetric in the elements."""
        return self._mixed(z.reshape(self.shape) @ self.along.T)

    def pull_back(self, gradient_xk: Floats) -> Floats:
        """Return the gradient by white noise of a gradient by coefficients (E·E, COUNT)."""
        return np.asarray((self._mixed(gradient_xk.reshape(self.shape)) @ self.along).ravel())

    def _mixed(self, y: Floats) -> Floats:
        """Return K y K, symmetric in the elements: its own transpose, which `pull_back` relies on."""
        size = len(self.mix)
        y = (self.mix @ y.reshape(size, -1)).reshape(self.shape)
        turned = (self.mix @ y.transpose(1, 0, 2).reshape(size, -1)).reshape(self.shape)
        return np.asarray(0.5 * (turned + turned.transpose(1, 0, 2)))


def _prepared(features: Features, place_z: Ints, count: int, start_xk: Floats) -> _Set:
    low, high = place_z[features.pair_sz].T
    row_s = low * count + high
    y = _apply(features.value_srk, features.first_b, row_s, start_xk)
    atoms = features.count_b
    spring_b = np.maximum(y[:, HESSIAN] / (3 * atoms), 15.0)
    bulk_b = np.clip(y[:, BULK] / atoms, 150.0, 15.0 * spring_b)
    return _Set(features, row_s, spring_b, np.maximum(bulk_b, 150.0))


def _loss(x: Floats, sets: Sequence[_Set], o: RefineOptions) -> tuple[float, Floats]:
    """Return the loss over all crystals and its gradient by the coefficients."""
    total, gradient = 0.0, np.zeros_like(x)
    for one in sets:
        atoms = one.features.count_b.astype(float)
        y = _apply(one.features.value_srk, one.features.first_b, one.row_s, x)
        dy = np.zeros_like(y)
        total += _force_terms(y, dy, atoms, one, o) + _decoy_terms(y, dy, atoms, one, o)
        _pull(one.features.value_srk, one.features.first_b, one.row_s, dy, gradient)
    return total, gradient


def _force_terms(y: Floats, dy: Floats, atoms: Floats, one: _Set, o: RefineOptions) -> float:
    """Add the squares of forces, shear stresses and lost stiffness in natural units."""
    weight = (o.forces / PROJECTIONS / (atoms * (0.05 * one.spring_b) ** 2))[:, None]
    forces = y[:, :PROJECTIONS]
    dy[:, :PROJECTIONS] = weight * forces
    total = 0.5 * float((weight * forces**2).sum())
    stress = y[:, STRESS : STRESS + 6].copy()
    stress[:, :3] -= stress[:, :3].mean(axis=1, keepdims=True)  # the isotropic part is what strained decoys judge
    weight = (o.forces / (atoms * one.bulk_b / 3 * 0.02) ** 2)[:, None] * np.array([1, 1, 1, 2, 2, 2])
    dy[:, STRESS : STRESS + 6] = weight * stress
    total += 0.5 * float((weight * stress**2).sum())
    softer = np.minimum(y[:, HESSIAN] / (3 * atoms * one.spring_b) - 1.0, 0.0)
    dy[:, HESSIAN] = o.stiffness * softer / (3 * atoms * one.spring_b)
    return total + 0.5 * o.stiffness * float((softer**2).sum())


def _decoy_terms(y: Floats, dy: Floats, atoms: Floats, one: _Set, o: RefineOptions) -> float:
    """Softly demand that every decoy lies above its crystal by a margin."""
    promised = np.empty((len(atoms), ROWS - STRAINED))
    promised[:, : len(STRAINS)] = 0.5 * (atoms * one.bulk_b)[:, None] * STRAINS**2
    promised[:, SWAPPED - STRAINED : RATTLED - STRAINED] = o.swap_margin / o.margin
    promised[:, RATTLED - STRAINED :] = 0.5 * one.spring_b[:, None] * one.features.shaken_bj
    z = (y[:, STRAINED:] / promised - o.margin) / o.temperature
    weight = np.full(ROWS - STRAINED, o.decoys)
    weight[SWAPPED - STRAINED : RATTLED - STRAINED] *= o.swaps
    active = np.ones_like(z)
    active[np.diff(one.features.first_b) == 1, SWAPPED - STRAINED : RATTLED - STRAINED] = 0.0
    dy[:, STRAINED:] = -active * weight / (1.0 + np.exp(np.clip(z, -50, 50))) / promised
    return float((active * weight * o.temperature * np.logaddexp(0.0, -z)).sum())


@kernel(fastmath=True)
def _apply(value, first_b, row_s, x):
    """Return every row of every crystal: features times coefficients; (B, ROWS)."""
    out = np.zeros((len(first_b) - 1, value.shape[1]))
    for b in range(len(first_b) - 1):
        for s in range(first_b[b], first_b[b + 1]):
            for r in range(value.shape[1]):
                total = 0.0
                for k in range(value.shape[2]):
                    total += value[s, r, k] * x[row_s[s], k]
                out[b, r] += total
    return out


@kernel(fastmath=True)
def _pull(value, first_b, row_s, dy, gradient):
    """Add the transpose: the gradient by coefficients of a gradient by rows."""
    for b in range(len(first_b) - 1):
        for s in range(first_b[b], first_b[b + 1]):
            for r in range(value.shape[1]):
                factor = dy[b, r]
                if factor != 0.0:
                    for k in range(value.shape[2]):
                        gradient[row_s[s], k] += value[s, r, k] * factor
