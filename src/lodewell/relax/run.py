"""`lodewell.relax`: crystals from memory or files, one potential, any number of workers, kept in memory or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from ase import Atoms

from lodewell.crystals.given import given_list
from lodewell.options import options_of
from lodewell.potentials.given import AnyPotential, as_potential
from lodewell.progress import Progress, silent
from lodewell.record import Run
from lodewell.relax.folder import relax_folder
from lodewell.relax.options import RelaxOptions, check_pressure
from lodewell.relax.output import Files
from lodewell.relax.rank import DuplicateSearch, ranked
from lodewell.relax.result import Relaxation
from lodewell.relax.stream import Memory, finished, tasks

Crystals: TypeAlias = Atoms | str | Path | Sequence[Atoms] | Sequence[str | Path]

_CRYSTALS_A_TASK = 400  # in memory nothing is kept on the way, so that pieces may be larger


@options_of(RelaxOptions)
def relax(
    crystals: Crystals,
    potential: AnyPotential = "spp",
    *,
    out: str | Path | None = None,
    files: Files = Files(),  # noqa: B008 frozen
    duplicates: bool = True,
    workers: int | None = 1,
    cluster: str | None = None,
    progress: Progress = silent,
    restart: bool = False,
    options: RelaxOptions,
) -> list[Relaxation]:
    """Relax crystals, and rank those of each reduced formula by energy per atom.

    `lodewell.relax.rank.best_first` puts crystals of different formulas in order.

    Args:
        crystals: one `Atoms`, a list of them, or paths of files and folders.
        potential: an object, the name of one that is shipped, the path of a file, or any ASE calculator.
        out: folder for tables, relaxed crystals and a summary. What is finished is kept there, so that an interrupted
            run goes on, and memory does not grow: the results come without their atoms.
        files: which files the folder gets beside the usual ones.
        duplicates: mark equal crystals.
        workers: processes, 1 for this one, None for every core.
        cluster: as in `lodewell.workers.open_workers`.
        progress: told how many crystals are done.
        restart: forget what an earlier run in the folder has finished.
        options: a `RelaxOptions`, or its fields as keywords:

    Returns:
        One `Relaxation` a crystal, in input order, so that `results[k].index` is k; bad ones carry the reason instead
        of a geometry.

    Raises:
        BadOption: when options contradict each other or the potential.
        BadFile: when a path or the potential is not there, or the folder cannot be written.
    """
    with Run("relax", workers=workers, cluster=cluster, progress=progress, restart=restart) as run:
        given = given_list(crystals)
        if out is not None:
            return relax_folder(given, potential, options, Path(out), run, files, duplicates).results
        engine = as_potential(potential)
        check_pressure(engine, options)
        memory = Memory(engine, options)
        done = 0
        for key, _ in finished(tasks(given, options, _CRYSTALS_A_TASK), memory, run):
            done += len(memory.results[key])
            run.progress("relaxing crystals", done)
    results = [result for some in memory.results.values() for result in some]
    search = DuplicateSearch(lambda k: _atoms(results[k])) if duplicates else None
    ranking = ranked(results, options.pressure, search, engine.calibrated)
    for result in ranking:
        for atoms in (result.atoms, *(result.trajectory or ())):
            if atoms is not None:
                atoms.info.update(result.tags())
    return ranking


def _atoms(result: Relaxation) -> Atoms:
    assert result.atoms is not None
    return result.atoms
