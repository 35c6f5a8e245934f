"""The command's job: a stream of crystals relaxed into a folder of results, resumable, in memory that does not grow.

Chunks of input go to the workers, which send back one line and one frame of extended XYZ a crystal. These are kept in a
ledger; the files of results are made from it at the end, or when the run is interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path

from lodewell import __version__
from lodewell.crystals.formats.extxyz.write import extxyz_text
from lodewell.crystals.read import Chunk, chunks
from lodewell.crystals.write import FORMATS
from lodewell.errors import BadOption
from lodewell.files import check_writable, write_failure
from lodewell.ledger import Item, Ledger
from lodewell.potentials.base import Potential
from lodewell.potentials.store import find, load
from lodewell.relax.chunk import relax_chunk
from lodewell.relax.options import RelaxOptions
from lodewell.relax.output import Best, Output, write_all, write_summary
from lodewell.relax.result import Relaxed
from lodewell.relax.run import check_pressure
from lodewell.text import SPELT_OUT
from lodewell.workers.open import open_workers

_CRYSTALS_A_CHUNK = 200
_FEW = 20  # chunks below which all of them together may hold so few crystals that workers would start for nothing
_OF_ALL = ("index", "rank", "duplicate_of", "above_hull")  # what only all results together tell
_LIGHT = tuple(f.name for f in fields(Relaxed) if f.name not in ("atoms", "trajectory", *_OF_ALL))


@dataclass(frozen=True)
class Folder:
    """What is wanted of a run.

    Attributes:
        paths: files, folders and patterns of crystals.
        potential: name of a shipped potential, or a file.
        options: of the relaxation.
        out: folder for the results.
        format: of the relaxed crystals, beside extended XYZ.
        best: which of them are written once more, into the folder `best`.
        restart: forget what an earlier run in this folder has finished.
        duplicates: mark equal crystals.
        workers: processes, None for every core.
        cluster: as in `lodewell.workers.open_workers`.
    """

    paths: Sequence[str]
    potential: str
    options: RelaxOptions
    out: Path
    format: str = "extxyz"
    best: Best = field(default_factory=Best)
    restart: bool = False
    duplicates: bool = True
    workers: int | None = None
    cluster: str | None = None


def relax_folder(
    job: Folder,
    advance: Callable[[int], None] = lambda n: None,
    note: Callable[[str], None] = lambda text: None,
    stage: Callable[[str], None] = lambda name: None,
) -> list[Relaxed]:
    """Relax everything and write the results; return them without their atoms, in input order.

    `advance` is told how many crystals each finished chunk held, `note` what was left out of which files, `stage` what
    follows when all are relaxed. An
    interruption leaves valid files of what is finished, and the next run of the same job goes on from there.

    Raises:
        BadFile: when inputs are missing or the folder cannot be written.
        BadOption: when options contradict each other or the potential.
    """
    began = time.time()
    potential = load(job.potential)
    check_pressure(potential, job.options)
    for form in (job.format, job.best.format):
        if form not in FORMATS:
            raise BadOption(f"there is no format '{form}': choose one of {', '.join(FORMATS)}")
    _prepare(job)
    digest = hashlib.sha256(find(job.potential).read_bytes()).hexdigest()
    about = {"options": asdict(job.options), "potential": digest, "lodewell": __version__}
    salt = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).digest()
    with Ledger(job.out / "ledger.sqlite") as ledger:
        if job.restart:
            ledger.keep_only([])
        keys: list[str] = []
        resumed = 0

        def write() -> list[Relaxed]:
            stage("comparing and ranking")
            output = Output.collect(job, ledger, keys, potential.calibrated, note)
            stage("writing")
            write_all(output, job)
            write_summary(output, job, about, began, resumed)
            return list(output.results)

        try:
            for key, count, old in _work(job, ledger, salt):
                keys.append(key)
                resumed += count if old else 0
                advance(count)
        except KeyboardInterrupt:
            # What is finished becomes valid files; the rest is done by the next run.
            write()
            raise
        results = write()
        ledger.keep_only(keys)
    return results


def _prepare(job: Folder) -> None:
    """Make the folder and see that it can be written, before any work."""
    out = job.out.resolve()
    for path in job.paths:
        if Path(path).is_dir() and out.is_relative_to(Path(path).resolve()):
            raise BadOption(
                f"the results would go to {job.out}, inside the input {path}, and be read as input by the next run: "
                "choose another folder with --out"
            )
    try:
        job.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_failure(job.out, error) from error
    check_writable(job.out / "ledger.sqlite")


def _work(job: Folder, ledger: Ledger, salt: bytes) -> Iterator[tuple[str, int, bool]]:
    """Yield the key of each chunk in order, once it is in the ledger, how many crystals it holds, and if it is old."""
    order: list[tuple[str, bool]] = []

    def unfinished() -> Iterator[Chunk]:
        for chunk in chunks(job.paths, _CRYSTALS_A_CHUNK, strict=job.options.strict_formula):
            key = chunk_key(chunk, salt)
            old = ledger.has(key)
            order.append((key, old))
            if not old:
                yield chunk

    reported = 0
    # On this machine every worker loads the potential from its file; only to a cluster does it travel.
    potential = str(find(job.potential).resolve()) if job.cluster is None else load(job.potential)
    work = partial(relax_to_items, potential=potential, options=job.options)
    tasks = unfinished()
    first = list(islice(tasks, _FEW))
    few = len(first) < _FEW and sum(len(chunk.entries()) for chunk in first) <= _CRYSTALS_A_CHUNK
    alone = few and job.workers is None and job.cluster is None
    with open_workers(1 if alone else job.workers, job.cluster) as pool:
        for outcome in pool.map(work, chain(first, tasks)):
            if outcome.value is not None:
                items, failed = outcome.value, False
            else:
                items, failed = lost_items(outcome.task, outcome.error or "the worker failed"), True
            key = chunk_key(outcome.task, salt)
            ledger.put(key, items, failed)
            while reported < len(order) and (order[reported][1] or order[reported][0] == key):
                done, old = order[reported]
                reported += 1
                yield done, len(ledger.texts(done)), old
                if done == key:
                    break
    for done, old in order[reported:]:
        yield done, len(ledger.texts(done)), old


def chunk_key(chunk: Chunk, salt: bytes) -> str:
    """Return what a chunk is known by: its content, or the size and date of its files, and how it is worked on."""
    mark = hashlib.sha256(salt)
    mark.update(repr((chunk.kind, chunk.files, chunk.formats, chunk.first, chunk.last)).encode())
    mark.update(chunk.text)
    if chunk.kind in ("files", "rows"):
        for file in chunk.files:
            with suppress(OSError):
                status = os.stat(file)
                mark.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return mark.hexdigest()


_loaded = lru_cache(maxsize=2)(load)


def relax_to_items(chunk: Chunk, potential: Potential | str, options: RelaxOptions) -> list[Item]:
    """Read and relax a chunk; return what the ledger keeps of each crystal (runs in the workers)."""
    engine = _loaded(potential) if isinstance(potential, str) else potential
    items: list[Item] = []
    for result in relax_chunk(chunk.read(), engine, options):
        line = json.dumps({name: getattr(result, name) for name in _LIGHT}, allow_nan=False)
        frame = extxyz_text([result.atoms]).encode("utf-8", SPELT_OUT) if result.atoms is not None else None
        film = extxyz_text(result.trajectory).encode("utf-8", SPELT_OUT) if result.trajectory else None
        items.append((line, frame, film))
    return items


def lost_items(chunk: Chunk, why: str) -> list[Item]:
    """Return rows for the crystals of a chunk whose worker died, without reading it again."""
    rows = [Relaxed(file, frame, None, None, "bad input", why) for file, frame in chunk.entries()]
    return [(json.dumps({name: getattr(row, name) for name in _LIGHT}), None, None) for row in rows]
