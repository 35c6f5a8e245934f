"""From what was mined to a table, by either recipe."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.derive.chunk import hashed
from lodewell.derive.curves import curve, shrunk
from lodewell.derive.derivation import Derivation
from lodewell.derive.features import Features, features
from lodewell.derive.options import DeriveOptions
from lodewell.derive.pair_sums import PairSums
from lodewell.derive.refine import RefineOptions, refine
from lodewell.derive.similar import radius_z, similarity
from lodewell.derive.start import coefficients, first_contacts, mixed_correlations, tabulate, walled
from lodewell.potentials.statistical.statistical import NOTHING_KNOWN, Evidence, Statistical, table_points
from lodewell.record import Run

logger = logging.getLogger(__name__)

_LARGEST = 40  # atoms; larger crystals say little more about short distances, and cost more
_HELD_OUT = 0.03  # share of formulas that judge the refinement
_FEWEST = 30.0  # independent crystals that an anion's own curve needs


def build(derivation: Derivation, options: DeriveOptions, run: Run) -> tuple[Statistical, dict[str, Any]]:
    """Make the table of the chosen recipe; return it with notes for its provenance."""
    mined = derivation.sums
    if options.faithful:
        keys = sorted(k for k in mined.rows if mined.weight_p[mined.rows[k]] > 0)
        rows = np.array([mined.rows[k] for k in keys])
        u_pk = curve(mined.smooth_ph[rows] / mined.weight_p[rows, None], options.cutoff)
        return _table(keys, u_pk, np.zeros(len(keys)), mined, options), {}
    keys = sorted(k for k in mined.rows if k[2] < 0)
    elements = np.unique([k[:2] for k in keys])
    kernel = similarity(elements)
    rows = np.array([mined.rows[k] for k in keys])
    weight_p = mined.weight_p[rows]
    g_ph = mined.smooth_ph[rows] / np.maximum(weight_p, 1e-12)[:, None]
    pairs = np.array([k[:2] for k in keys])
    g_eex, share_ee = mixed_correlations(pairs, g_ph, weight_p, elements, kernel, options.prior)
    coefficients_eek, notes = coefficients(g_eex), {}
    if options.refine:
        training, judges = _feature_sets(derivation, options, run)
        if training and judges:
            coefficients_eek, history = refine(
                coefficients_eek,
                elements,
                kernel,
                training,
                judges,
                RefineOptions(),
                run.progress,
            )
            notes["refinement"] = {
                "training": int(sum(len(f.count_b) for f in training)),
                "held_out": int(sum(len(f.count_b) for f in judges)),
                "score_before": round(history[0][2], 4),
                "history": [[step, round(loss, 1), round(score, 4)] for step, loss, score in history[1:]],
            }
        else:
            notes["refinement"] = {"left out": "too few crystals to learn from some and judge by others"}
    all_keys = [(int(a), int(b), -1) for i, a in enumerate(elements) for b in elements[i:]]
    place = {int(z): e for e, z in enumerate(elements)}
    u_pk = np.array(
        [tabulate(coefficients_eek[place[a], place[b]], np.array([a, b]), options.cutoff) for a, b, _ in all_keys]
    )
    all_pairs = np.array([k[:2] for k in all_keys])
    contact_ph = np.array(
        [mined.contact_ph[mined.rows[k]] if k in mined.rows else np.zeros(mined.bins) for k in all_keys]
    )
    u_pk = walled(u_pk, all_pairs, first_contacts(all_pairs, contact_ph, elements, kernel), options.cutoff)
    prior_p = np.array([share_ee[place[a], place[b]] for a, b, _ in all_keys])
    if options.environments:
        own_keys, own_u, own_prior = _class_curves(all_keys, u_pk, mined, options)
        all_keys, u_pk, prior_p = all_keys + own_keys, np.vstack([u_pk, own_u]), np.concatenate([prior_p, own_prior])
    return _table(all_keys, u_pk, prior_p, mined, options), notes


def _class_curves(
    keys: list[tuple[int, int, int]], u_pk: Floats, mined: PairSums, options: DeriveOptions
) -> tuple[list[tuple[int, int, int]], Floats, Floats]:
    """Return curves of single anion classes: the pair's own curve plus what the class's statistics say differently."""
    place = {k: p for p, k in enumerate(keys)}
    own = sorted(k for k, row in mined.rows.items() if k[2] >= 0 and mined.weight_p[row] >= _FEWEST)
    if not own:
        return [], np.zeros((0, u_pk.shape[1])), np.zeros(0)
    rows = np.array([mined.rows[k] for k in own])
    base = np.array([mined.rows[k[0], k[1], -1] for k in own])
    mean = mined.smooth_ph[base] / mined.weight_p[base, None]
    mixed, share_p = shrunk(
        mined.smooth_ph[rows] / mined.weight_p[rows, None], mined.weight_p[rows], mean, options.prior
    )
    r_k = table_points(options.cutoff)
    floor = np.exp(-3.0)
    change = -np.log(np.maximum(mixed, floor)) + np.log(np.maximum(mean, floor))
    # Differences fade where the curves themselves do, and never reach into the wall.
    length = np.array([radius_z()[list(k[:2])].sum() for k in own])
    fade = np.clip((2.4 - r_k[1:-1] / length[:, None]) / 0.9, 0.0, 1.0) * np.clip(
        (r_k[1:-1] / length[:, None] - 0.5) / 0.2, 0.0, 1.0
    )
    out = u_pk[[place[k[0], k[1], -1] for k in own]]
    out[:, 1:-1] += fade * change
    return own, out, share_p


def _table(
    keys: list[tuple[int, int, int]], u_pk: Floats, prior_p: Floats, mined: PairSums, options: DeriveOptions
) -> Statistical:
    """Join curves with the evidence behind them."""
    bins = mined.bins
    known = np.array([mined.rows.get(k, -1) for k in keys])
    has = known >= 0
    rows = known[has]
    weight_p, structures_p = np.zeros(len(keys)), np.zeros(len(keys), dtype=np.int64)
    g_ph, contact_ph = np.zeros((len(keys), bins)), np.zeros((len(keys), bins))
    error_pk = np.full((len(keys), bins + 2), np.inf)
    weight_p[has], structures_p[has] = mined.weight_p[rows], mined.structures_p[rows].astype(np.int64)
    safe = np.maximum(mined.weight_p[rows], 1e-12)[:, None]
    g_ph[has], contact_ph[has] = mined.g_ph[rows] / safe, mined.contact_ph[rows]
    error_pk[has] = _errors(mined.smooth_ph[rows] / safe, mined.square_ph[rows] / safe, mined.weight_p[rows])
    error_pk = np.minimum(error_pk, 99.0)  # an error that means "unknown"
    error_pk[u_pk == 0.0] = 0.0  # beyond its end a curve is zero by construction
    evidence = Evidence(structures_p, weight_p, prior_p, error_pk, g_ph, contact_ph)
    pairs = np.array([k[:2] for k in keys])
    variant_p = np.array([k[2] for k in keys])
    return Statistical(pairs, u_pk, evidence, NOTHING_KNOWN, cutoff=options.cutoff, variant_p=variant_p)


def _errors(mean_ph: Floats, square_ph: Floats, weight_p: Floats) -> Floats:
    """Return the standard error of U = -ln ḡ at the table's points.

    The bootstrap over structures of a mean has the closed form s/√n; through the logarithm it becomes relative. One
    crystal alone says nothing about scatter: it is given the error of its own size.
    """
    scatter = np.maximum(square_ph - mean_ph**2, 0.0) / np.maximum(weight_p - 1.0, 1.0)[:, None]
    scatter = np.where(weight_p[:, None] < 2.0, mean_ph**2, scatter)
    relative = np.sqrt(scatter) / np.maximum(mean_ph, 1e-3)
    return np.hstack([relative[:, :1], relative, np.zeros((len(mean_ph), 1))])


def _feature_sets(derivation: Derivation, options: DeriveOptions, run: Run) -> tuple[list[Features], list[Features]]:
    """Return features of training crystals and of held-out ones: families counted once, no formula in both."""
    everything = derivation.batch()
    usable = np.flatnonzero(np.array(derivation.firsts) & (everything.count_b <= _LARGEST))
    fate = np.array([hashed(f"judge {options.seed} {derivation.formulas[b]}") for b in usable])
    rng = np.random.default_rng(options.seed)
    judges = usable[fate < _HELD_OUT][:2000]
    training = usable[fate >= _HELD_OUT]
    if len(training) > options.refine_on:
        training = np.sort(rng.choice(training, options.refine_on, replace=False))
    sets: list[list[Features]] = []
    done = 0
    for chosen in (training, judges):
        tasks = [(everything.take(part), options.seed + k) for k, part in enumerate(_parts(chosen, 250))]
        out: list[Features] = []
        for outcome in run.workers.map(partial(_features_of, cutoff=options.cutoff), tasks):
            if outcome.value is not None:
                out.append(outcome.value)
            done += len(outcome.task[0])
            run.progress("features", done, len(training) + len(judges))
        sets.append(out)
    return sets[0], sets[1]


def _parts(chosen: Ints, size: int) -> list[Ints]:
    return [chosen[k : k + size] for k in range(0, len(chosen), size)]


def _features_of(task: tuple[Batch, int], cutoff: float) -> Features:
    return features(task[0], cutoff, task[1])
