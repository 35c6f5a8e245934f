"""`lodewell.relax`: crystals from memory or files, one potential, any number of workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from ase import Atoms

from lodewell.crystals.given import given_list, in_memory
from lodewell.crystals.read import Chunk, Record, chunks
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential
from lodewell.potentials.calculator import FromCalculator
from lodewell.potentials.store import load
from lodewell.relax.chunk import refused, relax_chunk
from lodewell.relax.options import RelaxOptions
from lodewell.relax.rank import Comparison, ranked
from lodewell.relax.result import Relaxed
from lodewell.workers.open import open_workers

Crystals: TypeAlias = Atoms | str | Path | Sequence[Atoms] | Sequence[str | Path]
AnyPotential: TypeAlias = Potential | str | Path | Any

_CRYSTALS_A_TASK = 400


def relax(
    crystals: Crystals,
    potential: AnyPotential = "spp",
    *,
    workers: int | None = 1,
    cluster: str | None = None,
    duplicates: bool = True,
    **options: Any,
) -> list[Relaxed]:
    """Relax crystals, and rank those of each reduced formula by energy per atom.

    `lodewell.relax.rank.best_first` puts crystals of different formulas in order.

    Args:
        crystals: one `Atoms`, a list of them, or paths of files and folders.
        potential: an object, the name of one that is shipped, the path of a file, or any ASE calculator.
        workers: processes, 1 for this one, None for every core.
        cluster: as in `lodewell.workers.open_workers`.
        duplicates: mark equal crystals.
        options: the fields of `RelaxOptions`.

    Returns:
        One `Relaxed` a crystal, in input order, so that `results[k].index` is k; bad ones carry the reason instead of
        a geometry.

    Raises:
        BadOption: when options contradict each other or the potential.
        BadFile: when a path or the potential is not there.
    """
    settings = RelaxOptions(**options)
    engine = as_potential(potential)
    check_pressure(engine, settings)
    work = partial(relax_task, potential=engine, options=settings)
    results: list[Relaxed] = []
    with open_workers(workers, cluster) as pool:
        for outcome in pool.map(work, _tasks(crystals, settings.strict_formula)):
            if outcome.value is not None:
                results += outcome.value
            else:
                results += lost(outcome.task, outcome.error or "the worker failed")
    comparison = Comparison(lambda k: _atoms(results[k])) if duplicates else None
    out = ranked(results, settings.pressure, comparison, engine.calibrated)
    for result in out:
        for atoms in (result.atoms, *(result.trajectory or ())):
            if atoms is not None:
                atoms.info.update(result.tags())
    return out


def _atoms(result: Relaxed) -> Atoms:
    assert result.atoms is not None
    return result.atoms


def as_potential(given: AnyPotential) -> Potential:
    """Return a potential from an object, a name, a path, or an ASE calculator.

    Raises:
        BadOption: for anything else.
        BadFile: when there is no such name or file.
    """
    if isinstance(given, Potential):
        return given
    if isinstance(given, str | Path):
        return load(given)
    if hasattr(given, "get_property"):
        return FromCalculator(given)
    raise BadOption(
        f"{type(given).__name__} is no potential: give a lodewell potential, its name or file, or an ASE calculator"
    )


def check_pressure(potential: Potential, options: RelaxOptions) -> None:
    """Refuse a pressure where energies have no true unit."""
    if options.pressure and not potential.calibrated:
        raise BadOption(
            "this potential was never fitted to energies, so a pressure in GPa means nothing to it: leave the pressure "
            "out, use a calibrated table such as spp, or give it a unit with potential.in_eV(scale)"
        )


def relax_task(task: Chunk | list[Record], potential: Potential, options: RelaxOptions) -> list[Relaxed]:
    """Read what must be read, and relax it (runs in the workers)."""
    return relax_chunk(task.read() if isinstance(task, Chunk) else task, potential, options)


def lost(task: Chunk | list[Record], why: str) -> list[Relaxed]:
    """Return the results of a chunk whose worker failed: every crystal is reported with the reason."""
    if isinstance(task, Chunk):  # not read again: that may be what ended the worker
        return [refused(Record(file, frame, None, why), "bad input", why) for file, frame in task.entries()]
    return [refused(record, "bad input", why) for record in task]


def _tasks(crystals: Crystals, strict: bool) -> Iterator[Chunk | list[Record]]:
    given = given_list(crystals)
    records = in_memory(given)
    if records is None:
        yield from chunks(given, _CRYSTALS_A_TASK, strict=strict) if given else ()
        return
    while some := list(islice(records, _CRYSTALS_A_TASK)):
        yield some
