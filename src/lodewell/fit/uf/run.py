"""Ultra-fast potentials from labelled crystals: lay out splines, stream rows, weigh, solve, build walls."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.errors import BadOption, LodewellError
from lodewell.fit.data import LabelledData
from lodewell.fit.distances import Distances
from lodewell.fit.error_model import error_model
from lodewell.fit.linear.balance import Balance, Goal, choose, judged
from lodewell.fit.linear.least_squares import LinearSystem, Solution, Undetermined, merged, solve, square_bytes
from lodewell.fit.reference import References
from lodewell.fit.run import FitResult, doubts, fit_to
from lodewell.fit.uf.embedding import Shells, embeddings
from lodewell.fit.uf.options import UFOptions
from lodewell.fit.uf.rows import ENERGY, FORCE, STRESS, UFRows
from lodewell.fit.uf.size import MOST_BYTES, affordable, needed_bytes
from lodewell.fit.uf.space import lay_out, roughness, undetermined
from lodewell.fit.walls import walled
from lodewell.options import options_of
from lodewell.potentials.uf.basis import UFBasis
from lodewell.potentials.uf.embedding import Embedding
from lodewell.potentials.uf.knowledge import Knowledge
from lodewell.potentials.uf.uf import UF
from lodewell.progress import Progress, silent
from lodewell.record import Run

logger = logging.getLogger(__name__)

_START = {ENERGY: 3e3, FORCE: 1.0, STRESS: 1e4, "strength": 1.0}
_CHUNK = 50
_MOST_SORTS = 6  # config_types
_LARGE = 100e6  # bytes of a square
_TOLD = 1e9  # bytes of all, from which on they are worth a word
_SAMPLE = 80  # frames on which uncertainties are calibrated


@options_of(UFOptions)
def fit_uf(
    train: Any,
    options: UFOptions,
    *,
    out: str | Path | None = None,
    workers: int | None = 1,
    cluster: str | None = None,
    progress: Progress = silent,
    restart: bool = False,
) -> UF:
    """Fit an ultra-fast potential, two- and three-body splines, to labelled crystals.

    Args:
        train: paths, ASE atoms with energies and forces, `Labelled` frames, or a `LabelledSource`; one or several.
        options: a `UFOptions`, or its fields as keywords:
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
    potential = fit_to(fit_uf_files, "uf", train, options, out=out, **how).potential
    assert isinstance(potential, UF)
    return potential


def fit_uf_files(
    train: LabelledData,
    options: UFOptions,
    /,
    *,
    out: Path | None,
    run: Run,
) -> FitResult:
    """Fit an ultra-fast potential.

    Raises:
        BadOption: when the options leave coefficients undetermined, named, or do not fit the data.
        BadFile: when the data cannot be used.
    """
    run.progress("distances")
    distances = Distances.of(train)
    best: Candidate | None = None
    rng, shells = np.random.default_rng(options.seed), Shells()
    for trial in range(1 + options.embed_trials * options.embed):
        tried = shells.moved(rng) if trial else shells
        candidate = _candidate(train, distances, tried, options, best, run)
        if best is None or candidate.balance.loss < best.balance.loss:
            best, shells = candidate, tried
    assert best is not None
    basis, streamed, balance, penalty_pp = best.maker.basis, best.streamed, best.balance, best.penalty_pp
    references = best.maker.references
    if options.keep_rows and out is not None:
        streamed.save(out.with_suffix(".rows"), **_identity(basis), references=references.about())
    silent_parts = undetermined(basis, streamed.seen_p())
    notes = [*references.notes(), *best.notes, *(f"{part}: there it is a wall or a guess" for part in silent_parts)]
    run.progress("solving")
    solution = _solved(streamed, basis, balance, penalty_pp)
    coefficients = solution.coefficients_p.copy()
    coefficients[: len(basis.species)] += [references.energies[z] for z in basis.species]
    potential = walled(basis.potential(coefficients), distances, options.wall)
    potential = potential.with_record(distances=dict(distances.count_k))
    if options.uncertainty:
        run.progress("calibrating uncertainties")
        potential = potential.with_record(knowledge=_knowledge(best.maker, solution, balance, train))
    facts = {
        "coefficients": basis.columns, "memory_GB": round(best.memory / 1e9, 3),
        **({"shells": asdict(shells)} if options.embed else {}),
        "cutoffs_A": {"pair": max(a.high for a in basis.pairs.values()),
                      "triple": max((b.axes[0].high for b in basis.blocks.values()), default=0.0)},
        "weights": balance.weights(streamed.kinds), "smoothness": balance.strength,
        "held_out_rmse": dict(balance.held_out),
        "rows": {kind: streamed.count(kind) for kind in streamed.kinds},
        "references": references.about(),
    }  # fmt: skip
    notes += doubts(balance.held_out, train.spread.per_atom, "eV/atom")
    return FitResult(potential, facts, tuple(notes))


@dataclass(frozen=True)
class Candidate:
    """A space of splines, the data as rows in it, and how well it does on held-out rows."""

    maker: UFRows
    streamed: LinearSystem
    penalty_pp: Floats
    balance: Balance
    memory: float  # bytes
    notes: tuple[str, ...]


def _candidate(
    train: LabelledData, distances: Distances, shells: Shells, options: UFOptions, best: Candidate | None, run: Run
) -> Candidate:
    """Lay out splines, fold the data into rows and weigh them; where there is a `best`, by its weights."""
    species = tuple(sorted(train.survey.elements))
    spaces = embeddings(distances, train, species, shells, options.embed_intervals) if options.embed else {}
    basis, notes = affordable(lambda tried: lay_out(distances, species, tried, spaces), options)
    sorts, memory = _kept_apart(train, basis, options)
    references = _references(train, options)
    maker = UFRows(basis, references, options, train.folds(), sorts)
    streamed = _stream(maker, train, run)
    if options.extend:
        streamed = _extended(streamed, basis, options)
    penalty_pp = _penalty(basis, references, options.ridge)
    goal = Goal(
        {ENERGY: 1.0, FORCE: options.balance, STRESS: 0.5},
        _START,
        {ENERGY: options.energy_weight, FORCE: options.force_weight, STRESS: options.stress_weight},
        options.smoothness,
        options.config_balance,
        {ENERGY: train.spread.per_atom},
    )

    if best is not None:
        balance = judged(streamed, penalty_pp, goal, best.balance)
    else:
        balance = choose(streamed, penalty_pp, goal, run.progress)
    return Candidate(maker, streamed, penalty_pp, balance, memory, tuple(notes))


def _kept_apart(train: LabelledData, basis: UFBasis, options: UFOptions) -> tuple[frozenset[str], float]:
    """Return the config_types to keep apart, those that have some frames if they are few, and the memory in bytes."""
    kinds = frozenset(train.large_config_types())
    if len(kinds) > _MOST_SORTS:
        kinds = frozenset()
    columns = train.survey.columns
    memory = needed_bytes(columns, basis.columns, kinds, options.folds)
    if memory > MOST_BYTES and kinds:
        kinds = frozenset()
        memory = needed_bytes(columns, basis.columns, kinds, options.folds)
    if memory > _TOLD:
        logger.warning("%s coefficients: the fit takes about %.1f GB of memory", f"{basis.columns:,}", memory / 1e9)
    return kinds, memory


def _stream(maker: UFRows, train: LabelledData, run: Run) -> LinearSystem:
    """Fold the rows of all frames."""
    done, total = 0, len(train)
    # One set of squares, into which every frame folds: when they are large, copies in workers cost more than they gain.
    if not run.clustered and (run.count == 1 or square_bytes(maker.basis.columns) > _LARGE):
        streamed = LinearSystem(maker.basis.columns)
        for frame in train:
            maker.fold(frame, streamed)
            done += 1
            run.progress("rows", done, total)
        return streamed

    def parts() -> Iterator[LinearSystem]:
        nonlocal done
        for outcome in run.workers.map(maker.fold_chunk, train.chunks(_CHUNK)):
            if outcome.value is None:
                raise LodewellError(f"{outcome.task.chunk.files[0]}: {outcome.error}")
            done += outcome.value[1]
            run.progress("rows", done, total)
            yield outcome.value[0]

    whole = merged(parts())
    assert whole is not None
    return whole


def _references(train: LabelledData, options: UFOptions) -> References:
    """Return reference energies: those that were taken off the earlier rows, if there are such."""
    about = LinearSystem.meta(options.extend).get("references") if options.extend else None
    if about is None:
        return train.references
    earlier = References.of_about(about)
    for z, energy in train.references.energies.items():
        if train.references.sources[z] == "given" and abs(energy - earlier.energies.get(z, energy)) > 1e-9:
            raise BadOption(
                f"--reference-energies {chemical_symbols[z]}={energy:g}: the rows of {options.extend} were made with"
                f" {earlier.energies[z]:g} eV; leave it out, or fit everything anew"
            )
    return earlier


def _penalty(basis: UFBasis, references: References, ridge: float) -> Floats:
    """Return the penalty on second differences and, `ridge` times, on coefficients: little on fitted energies."""
    diagonal_p = np.full(basis.columns, ridge)
    for t, z in enumerate(basis.species):
        diagonal_p[t] = 1.0 if z in references.known else 1e-3 * ridge  # rows say nothing of those that are known
    for columns in basis.embedding_columns.values():
        diagonal_p[columns] = 1e-2 * ridge
    penalty_pp = roughness(basis)
    penalty_pp[np.diag_indices(basis.columns)] += diagonal_p
    return penalty_pp


def _solved(streamed: LinearSystem, basis: UFBasis, balance: Balance, penalty_pp: Floats) -> Solution:
    try:
        if not np.isfinite(balance.loss):
            raise Undetermined
        return solve(streamed, balance.weights(streamed.kinds), balance.strength * penalty_pp)
    except Undetermined as error:
        named = undetermined(basis, streamed.seen_p()) or [
            "two- and three-body terms that the frames cannot tell apart"
        ]
        raise BadOption(
            f"the fit is singular without regularisation: {'; '.join(named[:5])}; raise --ridge or --smoothness, lower "
            "the cutoff, or add frames"
        ) from error


def _knowledge(maker: UFRows, solution: Solution, balance: Balance, train: LabelledData) -> Knowledge:
    """Fit the error model to the residuals of some frames, raised to the size of held-out errors."""
    known = Knowledge(solution.factor_pp.astype(np.float32))
    every = max(1, len(train) // _SAMPLE)
    spreads: dict[str, list[Floats]] = {ENERGY: [], FORCE: [], STRESS: []}
    squares: dict[str, list[Floats]] = {ENERGY: [], FORCE: [], STRESS: []}
    grade = 0.0
    for k, frame in enumerate(train):
        if k % every:
            continue
        each_np = maker.basis.rows(frame.atoms, each_atom=True).energy_np
        grade = max(grade, float(known.spread(each_np).max()))
        for kind, rows_mp, targets_m in maker.rows(frame):
            spreads[kind].append(known.spread(rows_mp))
            squares[kind].append((rows_mp @ solution.coefficients_p - targets_m) ** 2)

    def model(kind: str) -> tuple[float, float]:
        if not spreads[kind]:
            return 1.0, 0.0
        square_m = np.concatenate(squares[kind])
        raised = max(1.0, balance.held_out[kind] ** 2 / max(float(square_m.mean()), 1e-300))
        return error_model(np.concatenate(spreads[kind]), raised * square_m)

    return replace(known, energy=model(ENERGY), force=model(FORCE), stress=model(STRESS), grade=float(np.sqrt(grade)))


def _extended(streamed: LinearSystem, basis: UFBasis, options: UFOptions) -> LinearSystem:
    """Fold in the rows of an earlier fit; refuse those of other splines."""
    earlier, meta = LinearSystem.load(options.extend)
    identity = _identity(basis)
    if {key: meta.get(key, {}) for key in identity} != identity:
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
        "embeddings": {str(z): _state(embedding) for z, embedding in basis.embeddings.items()},
    }


def _state(embedding: Embedding) -> list[Any]:
    """Return the densities of an embedding, the knots of its functions, and the pairs that these are of."""
    knots = [[axis.knots_k.tolist() for axis in (d.radial, d.values)] for d in embedding.densities]
    densities = [[d.neighbour, d.order] for d in embedding.densities]
    return [densities, knots, [list(pair) for pair in embedding.pairs]]
