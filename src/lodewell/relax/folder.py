"""A run of `relax` kept in a folder: resumable, in memory that does not grow.

The workers send back one line and one frame of extended XYZ a crystal. These are kept in a ledger; the files of results
are made from it at the end, or when the run is interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from pathlib import Path

from ase import Atoms

from lodewell.crystals.formats.extxyz.write import extxyz_text
from lodewell.crystals.read import Chunk
from lodewell.crystals.write import FORMATS
from lodewell.errors import BadOption
from lodewell.files import check_writable, write_failure
from lodewell.ledger import Item, Ledger
from lodewell.potentials.base import Potential
from lodewell.potentials.families import in_workers
from lodewell.potentials.given import AnyPotential, as_potential, identity
from lodewell.potentials.store import find, load
from lodewell.record import Run, fingerprint
from lodewell.relax.options import RelaxOptions, check_pressure
from lodewell.relax.output import Files, Output, write_all, write_run
from lodewell.relax.result import Relaxation
from lodewell.relax.stream import Task, finished, lost, relax_task, tasks
from lodewell.text import SPELT_OUT

_OF_ALL = ("index", "rank", "duplicate_of", "above_hull")  # what only all results together tell
_LIGHT = tuple(f.name for f in fields(Relaxation) if f.name not in ("atoms", "trajectory", *_OF_ALL))


@dataclass(frozen=True)
class FolderResults:
    """What came of a run: the results without their atoms, in input order, and what the user should know of them."""

    results: list[Relaxation]
    notes: list[str]


def relax_folder(
    given: list[Atoms | str | Path],
    potential: AnyPotential,
    options: RelaxOptions,
    out: Path,
    run: Run,
    files: Files = Files(),  # noqa: B008 frozen
    duplicates: bool = True,
) -> FolderResults:
    """Relax everything that was given, see `lodewell.crystals.given`, and write the results.

    An interruption leaves valid files of what is finished, and the next run of the same job goes on from there.

    Raises:
        BadFile: when inputs are missing or the folder cannot be written.
        BadOption: when options contradict each other or the potential.
    """
    engine = as_potential(potential)
    check_pressure(engine, options)
    for form in (files.format, files.best.format):
        if form not in FORMATS:
            raise BadOption(f"there is no format '{form}': choose one of {', '.join(FORMATS)}")
    paths = [str(c) for c in given if isinstance(c, str | Path)]
    _prepare(paths, out)
    known = identity(potential)
    run.fingerprint = fingerprint(options, known["sha256"] or os.urandom(16).hex())
    with Ledger(out / "ledger.sqlite") as ledger:
        if run.restart:
            ledger.keep_only([])
        # On this machine every worker loads the potential from its file; only to a cluster does it travel.
        local = isinstance(potential, str | Path) and not run.clustered and in_workers(engine.kind)
        store = _LedgerStore(ledger, str(find(str(potential)).resolve()) if local else engine, options, run.fingerprint)
        keys: list[str] = []
        done = resumed = 0

        def write() -> FolderResults:
            run.lap("relaxing")
            run.progress("comparing and ranking")
            output = Output.collect(out, ledger, keys, options, duplicates, engine.calibrated)
            run.progress("writing")
            notes = write_all(output, files, options)
            run.lap("writing")
            write_run(output, run, files, options, paths, known, resumed, notes)
            return FolderResults(list(output.results), notes)

        try:
            for key, old in finished(tasks(given, options), store, run):
                keys.append(key)
                count = len(ledger.texts(key))
                done, resumed = done + count, resumed + (count if old else 0)
                run.progress("relaxing crystals", done)
        except KeyboardInterrupt:
            # What is finished becomes valid files; the rest is done by the next run.
            write()
            raise
        found = write()
        ledger.keep_only(keys)
    return found


def _prepare(paths: Sequence[str | Path], folder: Path) -> None:
    """Make the folder and see that it can be written, before any work."""
    out = folder.resolve()
    for path in paths:
        if Path(path).is_dir() and out.is_relative_to(Path(path).resolve()):
            raise BadOption(
                f"the results would go to {folder}, inside the input {path}, and be read as input by the next run: "
                "choose another folder with --out"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_failure(folder, error) from error
    check_writable(folder / "ledger.sqlite")


class _LedgerStore:
    """Keeps results in a ledger; see `lodewell.relax.stream.Store`."""

    def __init__(self, ledger: Ledger, potential: Potential | str, options: RelaxOptions, salt: str) -> None:
        self.work = partial(relax_to_items, potential=potential, options=options)
        self._ledger, self._salt = ledger, salt

    def key(self, task: Task) -> str:
        """Return what a chunk is known by: its content, and how it is worked on."""
        return chunk_key(task, self._salt)

    def has(self, key: str) -> bool:
        """Tell whether its results are in the ledger."""
        return self._ledger.has(key)

    def put(self, key: str, found: list[Item]) -> None:
        """Keep the items of a chunk."""
        self._ledger.put(key, found)

    def put_lost(self, key: str, task: Task, why: str) -> None:
        """Keep the reason; the next run tries again."""
        self._ledger.put(key, lost_items(task, why), failed=True)


def chunk_key(chunk: Task, salt: str) -> str:
    """Return what a chunk is known by: its content, or the size and date of its files, and how it is worked on."""
    mark = hashlib.sha256(salt.encode())
    if not isinstance(chunk, Chunk):
        for record in chunk:
            told = "" if record.atoms is None else extxyz_text([record.atoms])
            mark.update(f"{record.file} {record.frame} {record.error} {told}".encode("utf-8", SPELT_OUT))
        return mark.hexdigest()
    mark.update(repr((chunk.kind, chunk.files, chunk.formats, chunk.first, chunk.last)).encode())
    mark.update(chunk.text)
    if chunk.kind in ("files", "rows"):
        for file in chunk.files:
            with suppress(OSError):
                status = os.stat(file)
                mark.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return mark.hexdigest()


_loaded = lru_cache(maxsize=2)(load)


def relax_to_items(chunk: Task, potential: Potential | str, options: RelaxOptions) -> list[Item]:
    """Read and relax a chunk; return what the ledger keeps of each crystal (runs in the workers)."""
    engine = _loaded(potential) if isinstance(potential, str) else potential
    items: list[Item] = []
    for result in relax_task(chunk, engine, options):
        frame = extxyz_text([result.atoms]).encode("utf-8", SPELT_OUT) if result.atoms is not None else None
        film = extxyz_text(result.trajectory).encode("utf-8", SPELT_OUT) if result.trajectory else None
        items.append((_line(result), frame, film))
    return items


def lost_items(chunk: Task, why: str) -> list[Item]:
    """Return rows for the crystals of a chunk whose worker died, without reading it again."""
    return [(_line(result), None, None) for result in lost(chunk, why)]


def _line(result: Relaxation) -> str:
    return json.dumps({name: getattr(result, name) for name in _LIGHT}, allow_nan=False)
