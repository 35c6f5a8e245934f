"""The verb: databases in, a statistical potential out."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Floats
from lodewell.crystals.paths import passed_over
from lodewell.crystals.read import Chunk, chunks
from lodewell.derive import checkpoint
from lodewell.derive.calibrate import energy_scale
from lodewell.derive.checkpoint import Progress
from lodewell.derive.chunk import HoldOut, Mined1, mine_chunk
from lodewell.derive.known import known_energies
from lodewell.derive.mined import Mined
from lodewell.derive.options import DeriveOptions
from lodewell.derive.tables import build
from lodewell.errors import BadFile
from lodewell.files import check_writable
from lodewell.interrupts import uninterrupted
from lodewell.potentials.statistical.statistical import BIN, Statistical, table_points
from lodewell.workers.base import Workers
from lodewell.workers.open import open_workers

logger = logging.getLogger(__name__)

PAPER = "Antypov et al., ChemPhysChem (2024), doi:10.1002/cphc.202400254"
_CHUNK = 500
_SAVE_EVERY = 60.0  # seconds between checkpoints

Report = Callable[[str, int], None]  # stage and how many crystals or steps are done


def derive(
    crystals: str | Path | Sequence[str | Path] | Iterable[Atoms],
    *,
    out: str | Path | None = None,
    hold_out: HoldOut | None = None,
    calibrate: str | Path | Sequence[str | Path] | None = None,
    workers: int | None = 1,
    cluster: str | None = None,
    report: Report | None = None,
    resume: bool = True,
    **options: Any,
) -> Statistical:
    """Mine a statistical potential from known crystals.

    Args:
        crystals: files, folders, patterns (streamed, never all in memory), or ASE atoms.
        out: write the potential to this file; an interrupted derivation leaves a `.partial` beside it and resumes.
        hold_out: crystals to keep back.
        calibrate: crystals with a bulk modulus (`K_vrh`, GPa) that fix the energy scale in eV ("spp" alone).
        workers: processes; None for every core.
        cluster: where Dask is to be found, see `lodewell.workers`.
        report: called with a stage and a count as the work goes on.
        resume: go on with an interrupted derivation of the same inputs and options.
        **options: fields of `DeriveOptions`.

    Returns:
        The potential, with counts, errors and provenance in `.about`.

    Raises:
        BadFile: when no crystal can be used, or an input or output is out of reach.
        BadOption: when options are out of range.
    """
    chosen = DeriveOptions(**options)
    table_points(chosen.cutoff)  # refuses a cutoff between two bins before the work, not after
    started = time.perf_counter()
    tell: Report = report or (lambda stage, done: None)
    if out is not None:
        check_writable(out)
    with open_workers(workers, cluster) as pool:
        progress = _mine_all(crystals, chosen, hold_out or HoldOut(), out, resume, pool, tell)
        if not len(progress.mined.rows):
            raise BadFile(_why_nothing(progress))
        table, notes = build(progress, chosen, pool, tell)
        progress.mined = Mined(progress.mined.bins)  # the sums are in the table now
        if calibrate is not None and not chosen.faithful:
            scale, how = energy_scale(table, calibrate)
            table, notes["energy_scale"] = table.in_eV(scale), how
        table = table.with_known(known_energies(table, progress, pool, tell))
    notes["passed_over"] = passed_over(_paths(crystals))
    table.about = _about(progress, chosen, notes, time.perf_counter() - started)
    if out is not None:
        table.save(out, licence="derived data; attribution as in about", paper=PAPER)
        _partial(out).unlink(missing_ok=True)
    return table


def _partial(out: str | Path) -> Path:
    return Path(f"{out}.partial")


def _mine_all(
    crystals: Any, options: DeriveOptions, hold_out: HoldOut, out: str | Path | None, resume: bool, pool: Workers,
    tell: Report,
) -> Progress:  # fmt: skip
    """Stream every chunk through the workers and add up, checkpointing on the way."""
    paths = _paths(crystals)
    key = checkpoint.fingerprint(paths, asdict(options) | {"hold_out": hold_out and hold_out.about()})
    progress = (checkpoint.load(_partial(out), key) if out is not None and resume and paths else None) or Progress(
        key, Mined(round(options.cutoff / BIN))
    )
    if progress.chunks:
        logger.info("going on after %d chunks", progress.chunks)
    tasks: Iterator[Any] = chunks(paths, _CHUNK, strict=options.strict_formula) if paths else _grouped(crystals)
    for _ in range(progress.chunks):
        next(tasks, None)
    saved = time.monotonic()
    try:
        for outcome in pool.map(partial(mine_chunk, options=options, hold_out=hold_out), tasks):
            if outcome.value is None:
                _add_lost(progress, outcome.task, outcome.error or "the chunk was lost")
                progress.chunks += 1
            else:
                with uninterrupted():  # half a chunk in the sums would be saved, and added again on resuming
                    _add(progress, outcome.value, options)
                    progress.chunks += 1
            tell("mining", progress.met)
            if out is not None and paths and time.monotonic() - saved > _SAVE_EVERY:
                checkpoint.save(progress, _partial(out))
                saved = time.monotonic()
    except KeyboardInterrupt:
        if out is not None and paths and progress.chunks:
            checkpoint.save(progress, _partial(out))
        raise
    return progress


def _paths(crystals: Any) -> list[str]:
    """Return the paths of crystals in files, none for crystals in memory."""
    given = [crystals] if isinstance(crystals, str | Path) else crystals
    are_paths = isinstance(given, Sequence) and all(isinstance(c, str | Path) for c in given)
    return [str(path) for path in given] if are_paths else []


def _grouped(crystals: Iterable[Atoms]) -> Iterator[list[Atoms]]:
    group: list[Atoms] = []
    for atoms in crystals:
        group.append(atoms)
        if len(group) == _CHUNK:
            yield group
            group = []
    if group:
        yield group


def _add(progress: Progress, result: Mined1, options: DeriveOptions) -> None:
    """Add one chunk: families first, so that near-duplicates weigh nothing where the recipe counts them once."""
    progress.met += result.met
    progress.left_out = dict(Counter(progress.left_out) + Counter(result.left_out))
    progress.refused += result.refused[: max(0, 1000 - len(progress.refused))]
    found = result.mine
    if found is None:
        return
    begin = np.searchsorted(found.crystal_s, np.arange(len(found.batch) + 1))
    firsts = [
        progress.families.find(formula, found.fingerprint_sf[begin[b] : begin[b + 1]].astype(np.float64))[1]
        for b, formula in enumerate(found.formula_b)
    ]
    weight_b: Floats = np.ones(len(firsts)) if options.faithful else np.array(firsts, dtype=float)
    progress.mined.add(found, weight_b, classes=options.environments)
    progress.batches.append(found.batch)
    progress.systems += found.system_b
    progress.formulas += found.formula_b
    progress.firsts += firsts


def _add_lost(progress: Progress, task: Chunk | list[Atoms], why: str) -> None:
    """Count the crystals of a chunk whose worker died, each as refused."""
    places = task.entries() if isinstance(task, Chunk) else [("memory", k) for k in range(len(task))]
    progress.met += len(places)
    progress.refused += [(*place, why) for place in places[: max(0, 1000 - len(progress.refused))]]


def _why_nothing(progress: Progress) -> str:
    reasons = [f"{n} {why}" for why, n in progress.left_out.items()]
    if progress.refused:
        file, frame, why = progress.refused[0]
        reasons.append(f"{len(progress.refused)} refused (the first: {file}, frame {frame}: {why})")
    return f"none of the {progress.met} crystals met can be used: {'; '.join(reasons) or 'there are none'}"


def _about(progress: Progress, options: DeriveOptions, notes: dict[str, Any], seconds: float) -> dict[str, Any]:
    return {
        "recipe": options.recipe,
        "options": asdict(options),
        "paper": PAPER,
        "crystals_met": progress.met,
        "crystals_used": len(progress.systems),
        "families": progress.families.count,
        "left_out": progress.left_out,
        "refused": progress.met - len(progress.systems) - sum(progress.left_out.values()),
        "first_refused": [list(r) for r in progress.refused[:20]],
        "inputs": progress.key,
        "seconds": round(seconds, 1),
        **notes,
    }
