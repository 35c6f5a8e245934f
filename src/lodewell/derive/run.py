"""The verb: databases in, a statistical potential out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Floats
from lodewell.crystals.given import given_list
from lodewell.crystals.paths import find_files, passed_over
from lodewell.crystals.read import Chunk, chunks
from lodewell.derive.calibrate import energy_scale
from lodewell.derive.chunk import ChunkCounts, HoldOut, mine_chunk
from lodewell.derive.derivation import Derivation
from lodewell.derive.known import known_energies
from lodewell.derive.options import DeriveOptions
from lodewell.derive.pair_sums import PairSums
from lodewell.derive.tables import build
from lodewell.errors import BadFile, BadOption
from lodewell.files import check_writable
from lodewell.interrupts import uninterrupted
from lodewell.options import options_of
from lodewell.potentials.statistical.statistical import BIN, Statistical, table_points
from lodewell.progress import Progress, silent
from lodewell.record import Checkpoint, Run, fingerprint, write_summary

logger = logging.getLogger(__name__)

PAPER = "Antypov et al., ChemPhysChem (2024), doi:10.1002/cphc.202400254"
_CHUNK = 500


@options_of(DeriveOptions)
def derive(
    crystals: Atoms | str | Path | Iterable[Atoms | str | Path],
    *,
    out: str | Path | None = None,
    hold_out: HoldOut | None = None,
    calibrate: str | Path | Sequence[str | Path] | None = None,
    workers: int | None = 1,
    cluster: str | None = None,
    progress: Progress = silent,
    restart: bool = False,
    options: DeriveOptions,
) -> Statistical:
    """Mine a statistical potential from known crystals.

    Args:
        crystals: files, folders, patterns (streamed, never all in memory), or ASE atoms.
        out: write the potential to this file, and a summary beside it; an interrupted derivation leaves a `.partial`
            there, from which the next one goes on.
        hold_out: crystals to keep back.
        calibrate: crystals with a bulk modulus (`K_vrh`, GPa) that fix the energy scale in eV ("spp" alone).
        workers: processes; None for every core.
        cluster: where Dask is to be found, see `lodewell.workers`.
        progress: told the stage, and the crystals or steps done.
        restart: forget what an interrupted derivation of the same inputs and options has left.
        options: a `DeriveOptions`, or its fields as keywords:

    Returns:
        The potential, with counts, errors and provenance in `.about`.

    Raises:
        BadFile: when no crystal can be used, or an input or output is out of reach.
        BadOption: when options are out of range, or something given is no crystal.
    """
    table_points(options.cutoff)  # refuses a cutoff between two bins before the work, not after
    kept_back = hold_out or HoldOut()
    given = _given(crystals)
    paths = _paths(given)
    if out is not None:
        check_writable(out)
    with Run("derive", workers=workers, cluster=cluster, progress=progress, restart=restart) as run:
        run.fingerprint = _fingerprint(paths, options, kept_back)
        checkpoint = Checkpoint.beside(out if paths else None, run.fingerprint)
        derivation, resumed = _mine_all(paths or given, options, kept_back, checkpoint, run)
        if not len(derivation.sums.rows):
            raise BadFile(_why_nothing(derivation))
        run.lap("mining")
        table, notes = build(derivation, options, run)
        derivation.sums = PairSums(derivation.sums.bins)  # the sums are in the table now
        if calibrate is not None and not options.faithful:
            scale, how = energy_scale(table, calibrate)
            table, notes["energy_scale"] = table.in_eV(scale), how
        run.lap("table")
        table = table.with_known(known_energies(table, derivation, run))
        run.lap("known energies")
        notes["passed_over"] = passed_over(paths)
        table.about = _about(derivation, options, run, notes)
        if out is not None:
            file = table.save(out, licence="derived data; attribution as in about", paper=PAPER)
            write_summary(file, _summary(run, table, paths, calibrate, options, resumed, file))
            checkpoint.done()
    return table


def _given(crystals: Any) -> Iterator[Atoms] | list[Atoms | str | Path]:
    """Return a list, or a stream of crystals that need not all fit in memory."""
    if not isinstance(crystals, Iterator):
        return given_list(crystals)
    first = list(islice(crystals, 1))
    whole = chain(first, crystals)
    return whole if first and isinstance(first[0], Atoms) else given_list(whole)


def _fingerprint(paths: Sequence[str], options: DeriveOptions, hold_out: HoldOut) -> str:
    files = [(Path(found.path), found.format) for found in find_files(paths)] if paths else []
    return fingerprint(options, hold_out.about(), files)


def _mine_all(
    crystals: Any, options: DeriveOptions, hold_out: HoldOut, checkpoint: Checkpoint, run: Run
) -> tuple[Derivation, int]:
    """Stream every chunk through the workers and add up; return the sums, and how many crystals were there already."""
    paths = _paths(crystals)
    old = None if run.restart else checkpoint.load()
    derivation = Derivation(PairSums(round(options.cutoff / BIN))) if old is None else Derivation.from_state(*old)
    resumed = derivation.met
    if derivation.chunks:
        logger.info("going on after %d chunks", derivation.chunks)
    tasks: Iterator[Any] = chunks(paths, _CHUNK, strict=options.strict_formula) if paths else _grouped(crystals)
    for _ in range(derivation.chunks):
        next(tasks, None)
    try:
        for outcome in run.workers.map(partial(mine_chunk, options=options, hold_out=hold_out), tasks):
            if outcome.value is None:
                _add_lost(derivation, outcome.task, outcome.error or "the chunk was lost")
                derivation.chunks += 1
            else:
                with uninterrupted():  # half a chunk in the sums would be saved, and added again on resuming
                    _add(derivation, outcome.value, options)
                    derivation.chunks += 1
            run.progress("mining crystals", derivation.met)
            if checkpoint.due:
                checkpoint.keep(*derivation.state())
    except KeyboardInterrupt:
        if derivation.chunks:
            checkpoint.keep(*derivation.state())
        raise
    return derivation, resumed


def _paths(given: Any) -> list[str]:
    """Return the paths of crystals in files, none for crystals in memory."""
    are_paths = isinstance(given, Sequence) and all(isinstance(c, str | Path) for c in given)
    return [str(path) for path in given] if are_paths else []


def _grouped(crystals: Iterable[Any]) -> Iterator[list[Atoms]]:
    """Yield crystals in memory by the chunk."""
    group: list[Atoms] = []
    for k, atoms in enumerate(crystals):
        if not isinstance(atoms, Atoms):
            raise BadOption(f"crystal {k} is of the type {type(atoms).__name__}: give ase.Atoms alone, or paths alone")
        group.append(atoms)
        if len(group) == _CHUNK:
            yield group
            group = []
    if group:
        yield group


def _add(derivation: Derivation, result: ChunkCounts, options: DeriveOptions) -> None:
    """Add one chunk: families first, so that near-duplicates weigh nothing where the recipe counts them once."""
    derivation.met += result.met
    derivation.left_out = dict(Counter(derivation.left_out) + Counter(result.left_out))
    derivation.refused += result.refused[: max(0, 1000 - len(derivation.refused))]
    found = result.counts
    if found is None:
        return
    begin = np.searchsorted(found.crystal_s, np.arange(len(found.batch) + 1))
    firsts = [
        derivation.families.find(formula, found.fingerprint_sf[begin[b] : begin[b + 1]].astype(np.float64))[1]
        for b, formula in enumerate(found.formula_b)
    ]
    weight_b: Floats = np.ones(len(firsts)) if options.faithful else np.array(firsts, dtype=float)
    derivation.sums.add(found, weight_b, classes=options.environments)
    derivation.batches.append(found.batch)
    derivation.systems += found.system_b
    derivation.formulas += found.formula_b
    derivation.firsts += firsts


def _add_lost(derivation: Derivation, task: Chunk | list[Atoms], why: str) -> None:
    """Count the crystals of a chunk whose worker died, each as refused."""
    places = task.entries() if isinstance(task, Chunk) else [("memory", k) for k in range(len(task))]
    derivation.met += len(places)
    derivation.refused += [(*place, why) for place in places[: max(0, 1000 - len(derivation.refused))]]


def _why_nothing(derivation: Derivation) -> str:
    reasons = [f"{n} {why}" for why, n in derivation.left_out.items()]
    if derivation.refused:
        file, frame, why = derivation.refused[0]
        reasons.append(f"{len(derivation.refused)} refused (the first: {file}, frame {frame}: {why})")
    return f"none of the {derivation.met} crystals met can be used: {'; '.join(reasons) or 'there are none'}"


def _about(derivation: Derivation, options: DeriveOptions, run: Run, notes: dict[str, Any]) -> dict[str, Any]:
    return {
        "recipe": options.recipe,
        "options": asdict(options),
        "paper": PAPER,
        "crystals_met": derivation.met,
        "crystals_used": len(derivation.systems),
        "families": derivation.families.count,
        "left_out": derivation.left_out,
        "refused": derivation.met - len(derivation.systems) - sum(derivation.left_out.values()),
        "first_refused": [list(r) for r in derivation.refused[:20]],
        "inputs": run.fingerprint,
        "seconds": round(sum(run.laps.values()), 1),
        **notes,
    }


def _summary(
    run: Run, table: Statistical, paths: Sequence[str], calibrate: Any, options: DeriveOptions, resumed: int, file: Path
) -> dict[str, Any]:
    about = {
        name: value for name, value in table.about.items() if name not in ("options", "inputs", "seconds", "paper")
    }
    given = {"crystals": paths or "memory", "calibrate": calibrate, "passed_over": about.pop("passed_over")}
    return run.summary(
        inputs=given, options=options, results=about, seed=options.seed, resumed=resumed, outputs=[file],
    )  # fmt: skip
