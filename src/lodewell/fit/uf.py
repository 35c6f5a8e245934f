"""Ultra-fast potentials from labelled crystals: lay out splines, stream rows, weigh, solve, build walls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels import Labelled, LabelledChunk
from lodewell.errors import BadOption, LodewellError
from lodewell.fit.balance import Balance, choose
from lodewell.fit.data import LabelledSource, stress_rows
from lodewell.fit.distances import Distances
from lodewell.fit.error_model import error_model
from lodewell.fit.least_squares import Solution, Streamed, Undetermined, merged, solve
from lodewell.fit.run import Fitted, Report, silent
from lodewell.fit.uf_options import UFOptions
from lodewell.fit.uf_space import lay_out, roughness, undetermined
from lodewell.fit.walls import walled
from lodewell.potentials.uf import UF, Knowledge
from lodewell.potentials.uf_basis import UFBasis
from lodewell.workers import open_workers

ENERGY, FORCE, STRESS = "energy", "force", "stress"
_START = {ENERGY: 3e3, FORCE: 1.0, STRESS: 1e4, "strength": 1.0}
_CHUNK = 50
_SAMPLE = 80  # frames on which uncertainties are calibrated
_VOIGT = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)


def fit_uf(train: LabelledSource, options: UFOptions = UFOptions(), **how: Any) -> UF:  # noqa: B008 frozen
    """Fit an ultra-fast potential to labelled crystals; see `fit_uf_files` for what else can be said."""
    fitted = fit_uf_files(train, options, **how).potential
    assert isinstance(fitted, UF)
    return fitted


def fit_uf_files(
    train: LabelledSource,
    options: UFOptions,
    *,
    out: Path | None = None,
    workers: int | None = 1,
    cluster: str | None = None,
    report: Report = silent,
) -> Fitted:
    """Fit an ultra-fast potential.

    Raises:
        BadOption: when the options leave coefficients undetermined, named, or do not fit the data.
        BadFile: when the data cannot be used.
    """
    report("distances", 0, None)
    distances = Distances.of(train)
    basis = lay_out(distances, sorted(train.survey.elements), options)
    streamed = _stream(train, basis, options, workers, cluster, report)
    if options.extend:
        streamed = _extended(streamed, basis, options)
    if options.keep_rows and out is not None:
        streamed.save(out.with_suffix(".rows"), **_identity(basis))
    notes = [
        *train.references.notes(),
        *(f"{n}: there it is a wall or a guess" for n in undetermined(basis, streamed.seen_p())),
    ]
    penalty_pp = roughness(basis) + options.ridge * _ridge(basis, train)
    importance = {ENERGY: 1.0, FORCE: options.balance, STRESS: 0.5}
    factors = {ENERGY: options.energy_weight, FORCE: options.force_weight, STRESS: options.stress_weight}
    if FORCE not in streamed.kinds:
        importance = {ENERGY: 1.0, STRESS: 0.5}
    balance = choose(
        streamed, penalty_pp, importance, _START, factors, options.smoothness,
        lambda trial: report("choosing weights", trial, None),
    )  # fmt: skip
    report("solving", 0, None)
    solution = _solved(streamed, basis, balance, penalty_pp)
    coefficients = solution.coefficients_p.copy()
    coefficients[: len(basis.species)] += [train.references.energies[z] for z in basis.species]
    potential = walled(basis.potential(coefficients), distances, options.wall)
    potential.distances = dict(distances.count_k)
    if options.uncertainty:
        report("calibrating uncertainties", 0, None)
        potential.knowledge = _knowledge(basis, solution, balance, train, stress_rows(options))
    facts = {
        "coefficients": basis.columns,
        "cutoffs_A": {"pair": max(a.high for a in basis.pairs.values()),
                      "triple": max((b.axes[0].high for b in basis.blocks.values()), default=0.0)},
        "weights": dict(balance.weights), "smoothness": balance.strength,
        "held_out_rmse": dict(balance.held_out),
        "rows": {kind: streamed.count(kind) for kind in streamed.kinds},
        "references": train.references.about(),
    }  # fmt: skip
    return Fitted(potential, facts, tuple(notes))


def _stream(
    train: LabelledSource, basis: UFBasis, options: UFOptions, workers: int | None, cluster: str | None, report: Report
) -> Streamed:
    """Fold the rows of all frames into triangles."""
    folds = train.folds()
    work = partial(fold_chunk, basis=basis, train=train, fold_of=folds.of, stress_vr=stress_rows(options))
    done, total = 0, len(train)

    def parts() -> Iterator[Streamed]:
        nonlocal done
        with open_workers(workers, cluster) as pool:
            for outcome in pool.map(work, train.chunks(_CHUNK)):
                if outcome.value is None:
                    raise LodewellError(f"{outcome.task.chunk.files[0]}: {outcome.error}")
                done += outcome.value[1]
                report("rows", done, total)
                yield outcome.value[0]

    if workers == 1 and cluster is None:
        streamed = Streamed(basis.columns, exact=False)  # one set of triangles, into which every frame folds
        for frame in train:
            add_frame(streamed, frame, basis, train, folds.of(frame), stress_rows(options))
            done += 1
            report("rows", done, total)
        return streamed
    whole = merged(parts())
    assert whole is not None
    return whole


def fold_chunk(
    chunk: LabelledChunk, basis: UFBasis, train: LabelledSource, fold_of: Any, stress_vr: Floats
) -> tuple[Streamed, int]:
    """Fold the rows of some frames; return them and the number of frames (runs in the workers)."""
    streamed = Streamed(basis.columns, exact=False)
    frames = chunk.read()[0]
    for frame in frames:
        add_frame(streamed, frame, basis, train, fold_of(frame), stress_vr)
    return streamed, len(frames)


def add_frame(
    streamed: Streamed, frame: Labelled, basis: UFBasis, train: LabelledSource, fold: int, stress_vr: Floats
) -> None:
    """Fold in the rows of one frame."""
    for kind, rows_mp, targets_m in frame_rows(frame, basis, train, stress_vr):
        streamed.add(kind, fold, rows_mp, targets_m, train.weight(frame))


def frame_rows(
    frame: Labelled, basis: UFBasis, train: LabelledSource, stress_vr: Floats
) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield the rows (M, P) and labels (M,) of a frame's energy per atom, forces and stress."""
    rows, count = basis.rows(frame.atoms), len(frame.atoms)
    if frame.energy is not None:
        binding = frame.energy - train.references.energy_of(frame.atoms.numbers)
        yield ENERGY, rows.energy_np / count, np.array([binding / count])
    if frame.forces_nc is not None:
        yield FORCE, rows.forces_ncp.reshape(-1, basis.columns), frame.forces_nc.ravel()
    if frame.stress_cc is not None and len(stress_vr):
        stress_vp = -rows.virial_vp / frame.atoms.get_volume()
        yield STRESS, stress_vr @ stress_vp, stress_vr @ frame.stress_cc[_VOIGT]


def _ridge(basis: UFBasis, train: LabelledSource) -> Floats:
    """Return the penalty on the coefficients themselves; energies of lone atoms are free unless they are known."""
    diagonal = np.ones(basis.columns)
    for t, z in enumerate(basis.species):
        diagonal[t] = 1e-7 if train.references.sources[z] == "fitted" else 1e7
    return np.diag(diagonal)


def _solved(streamed: Streamed, basis: UFBasis, balance: Balance, penalty_pp: Floats) -> Solution:
    try:
        return solve(streamed, balance.weights, balance.strength * penalty_pp)
    except Undetermined as error:
        named = undetermined(basis, streamed.seen_p()) or ["some combinations of the coefficients"]
        raise BadOption(
            f"the fit is singular without regularisation: {'; '.join(named[:5])}; raise --ridge or --smoothness, lower "
            "the cutoff, or add frames"
        ) from error


def _knowledge(
    basis: UFBasis, solution: Solution, balance: Balance, train: LabelledSource, stress_vr: Floats
) -> Knowledge:
    """Fit the error model to the residuals of some frames, raised to the size of held-out errors."""
    known = Knowledge(solution.factor_pp.astype(np.float32))
    every = max(1, len(train) // _SAMPLE)
    spreads: dict[str, list[Floats]] = {ENERGY: [], FORCE: [], STRESS: []}
    squares: dict[str, list[Floats]] = {ENERGY: [], FORCE: [], STRESS: []}
    grade = 0.0
    for k, frame in enumerate(train):
        if k % every:
            continue
        each_np = basis.rows(frame.atoms, each_atom=True).energy_np
        grade = max(grade, float(known.spread(each_np).max()))
        for kind, rows_mp, targets_m in frame_rows(frame, basis, train, stress_vr):
            spreads[kind].append(known.spread(rows_mp))
            squares[kind].append((rows_mp @ solution.coefficients_p - targets_m) ** 2)

    def model(kind: str) -> tuple[float, float]:
        if not spreads[kind]:
            return 1.0, 0.0
        square_m = np.concatenate(squares[kind])
        raised = max(1.0, balance.held_out[kind] ** 2 / max(float(square_m.mean()), 1e-300))
        return error_model(np.concatenate(spreads[kind]), raised * square_m)

    return replace(known, energy=model(ENERGY), force=model(FORCE), stress=model(STRESS), grade=float(np.sqrt(grade)))


def _extended(streamed: Streamed, basis: UFBasis, options: UFOptions) -> Streamed:
    """Fold in the rows of an earlier fit; refuse those of other splines."""
    earlier, meta = Streamed.load(options.extend)
    if meta != _identity(basis):
        raise BadOption(
            f"{options.extend}: rows of other splines; give the same --cutoff, --cutoff-3body, --intervals ... and "
            "--knots as then, and frames that are not closer than those were"
        )
    return earlier.merge(streamed)


def _identity(basis: UFBasis) -> dict[str, Any]:
    """Return what must be equal for rows to be of the same coefficients."""
    return {
        "species": list(basis.species),
        "pairs": {str(pair): axis.knots_k.tolist() for pair, axis in basis.pairs.items()},
        "triples": {str(t): [a.knots_k.tolist() for a in b.axes] for t, b in basis.blocks.items()},
    }
