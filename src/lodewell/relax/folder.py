"""The command's job: a stream of crystals relaxed into a folder of results, resumable, in memory that does not grow.

Chunks of input go to the workers, which send back one line and one frame of extended XYZ a crystal. These are kept in a
ledger; the files of results are made from it at the end, or when the run is interrupted.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ase import Atoms

from lodewell import __version__
from lodewell.crystals.extxyz import parse_frames
from lodewell.crystals.extxyz_write import extxyz_text
from lodewell.crystals.read import Chunk, chunks
from lodewell.crystals.write import FORMATS, file_names, write_crystals
from lodewell.errors import BadOption
from lodewell.files import atomic_path, check_writable, text_file, write_failure
from lodewell.ledger import Item, Ledger
from lodewell.potentials.base import Potential
from lodewell.potentials.store import find, load
from lodewell.relax.chunk import relax_chunk
from lodewell.relax.options import RelaxOptions
from lodewell.relax.rank import Comparison, ranked
from lodewell.relax.result import Relaxed
from lodewell.relax.run import check_pressure
from lodewell.text import SPELT_OUT, json_text
from lodewell.workers import open_workers

_CRYSTALS_A_CHUNK = 200
_HEAVY = ("atoms", "trajectory", "rank", "duplicate_of")
_LIGHT = tuple(f.name for f in fields(Relaxed) if f.name not in _HEAVY)
_TABLE = (
    "rank", "file", "frame", "id", "formula", "status", "message", "steps", "energy_per_atom", "percentile",
    "max_force", "volume_per_atom", "duplicate_of", "start_energy_per_atom", "start_volume_per_atom",
)  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """What is wanted of a run.

    Attributes:
        paths: files, folders and patterns of crystals.
        potential: name of a shipped potential, or a file.
        options: of the relaxation.
        out: folder for the results.
        format: of the relaxed crystals, beside extended XYZ.
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
    restart: bool = False
    duplicates: bool = True
    workers: int | None = None
    cluster: str | None = None


def relax_folder(job: Folder, advance: Callable[[int], None] = lambda n: None) -> list[Relaxed]:
    """Relax everything and write the results; return them without their atoms, in input order.

    `advance` is told how many crystals each finished chunk held. An interruption leaves valid files of what is
    finished, and the next run of the same job goes on from there.

    Raises:
        BadFile: when inputs are missing or the folder cannot be written.
        BadOption: when options contradict each other or the potential.
    """
    began = time.time()
    check_pressure(load(job.potential), job.options)
    if job.format not in FORMATS:
        raise BadOption(f"there is no format '{job.format}': choose one of {', '.join(FORMATS)}")
    _prepare(job)
    digest = hashlib.sha256(find(job.potential).read_bytes()).hexdigest()
    about = {"options": asdict(job.options), "potential": digest, "lodewell": __version__}
    salt = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).digest()
    with Ledger(job.out / "ledger.sqlite") as ledger:
        if job.restart:
            ledger.keep_only([])
        keys: list[str] = []
        resumed = 0
        try:
            for key, count, old in _work(job, ledger, salt):
                keys.append(key)
                resumed += count if old else 0
                advance(count)
        except KeyboardInterrupt:
            # What is finished becomes valid files; the rest is done by the next run.
            _write(job, ledger, keys, about, began, resumed)
            raise
        results = _write(job, ledger, keys, about, began, resumed)
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
        for chunk in chunks(job.paths, _CRYSTALS_A_CHUNK):
            key = chunk_key(chunk, salt)
            old = ledger.has(key)
            order.append((key, old))
            if not old:
                yield chunk

    reported = 0
    # On this machine every worker loads the potential from its file; only to a cluster does it travel.
    potential = str(find(job.potential).resolve()) if job.cluster is None else load(job.potential)
    work = partial(relax_to_items, potential=potential, options=job.options)
    with open_workers(job.workers, job.cluster) as pool:
        for outcome in pool.map(work, unfinished()):
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


def _write(
    job: Folder, ledger: Ledger, keys: Sequence[str], about: dict[str, Any], began: float, resumed: int
) -> list[Relaxed]:
    """Write every file of results from the ledger; return the results without their atoms."""
    results: list[Relaxed] = []
    home: list[tuple[str, int]] = []
    for key in keys:
        for place, text in enumerate(ledger.texts(key)):
            results.append(Relaxed(**json.loads(text)))
            home.append((key, place))

    def atoms_of(k: int) -> Atoms:
        raw = ledger.piece(*home[k]) or b""
        found = next(parse_frames(raw))
        assert isinstance(found, Atoms)
        return found

    results = ranked(results, job.options.pressure, Comparison(atoms_of) if job.duplicates else None)
    sane = iter([r.sane for r in results])
    with atomic_path(job.out / "relaxed.extxyz") as temporary, open(temporary, "wb") as stream:
        for key in keys:
            for frame in ledger.data(key):
                if next(sane) and frame is not None:
                    stream.write(frame)
    with text_file(job.out / "table.csv", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(_TABLE)
        for r in results:
            writer.writerow(["" if (v := getattr(r, name)) is None else v for name in _TABLE])
    with atomic_path(job.out / "results.json") as temporary:
        temporary.write_text(rows_json(results), encoding="utf-8")
    if job.format != "extxyz":
        _write_format(job, results, atoms_of)
    if job.options.trajectory:
        _write_trajectories(job, ledger, keys, results)
    seconds = time.time() - began
    with atomic_path(job.out / "summary.json") as temporary:
        summary = {
            "command": "relax", "inputs": [str(p) for p in job.paths], **about,
            "potential": {"name": job.potential, "sha256": about["potential"]},
            "versions": {n: version(n) for n in ("lodewell", "numpy", "scipy", "numba", "ase", "spglib")}
            | {"python": platform.python_version()},
            "seed": None, "crystals": len(results), "counts": dict(Counter(r.status for r in results)),
            "resumed": resumed, "workers": job.workers, "cluster": job.cluster,
            "timings": {"started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(began)),
                        "seconds": round(seconds, 3),
                        "crystals_per_second": round((len(results) - resumed) / max(seconds, 1e-9), 1)},
        }  # fmt: skip
        temporary.write_text(json_text(summary, indent=1), encoding="utf-8")
    return results


def rows_json(results: Sequence[Relaxed]) -> str:
    """Return the rows of all results as JSON, one a line."""
    rows = [json_text(r.row()) for r in results]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def _write_format(job: Folder, results: Sequence[Relaxed], atoms_of: Callable[[int], Atoms]) -> None:
    """Write the relaxed crystals in another format too: a folder of CIFs or POSCARs, or one file."""
    crystals = [atoms_of(k) for k, r in enumerate(results) if r.sane]
    name = {"cif": "relaxed-cif", "poscar": "relaxed-poscar", "db": "relaxed.db"}.get(
        job.format, f"relaxed.{job.format}.json"
    )
    if job.format in ("cif", "poscar"):
        (job.out / name).mkdir(exist_ok=True)
        if job.format == "cif":
            crystals = [a for a in crystals if a.pbc.all()]
    write_crystals(job.out / name, crystals, format=job.format)


def _write_trajectories(job: Folder, ledger: Ledger, keys: Sequence[str], results: Sequence[Relaxed]) -> None:
    """Write one file a crystal, named by its id or its place in the input."""
    folder = job.out / "trajectories"
    folder.mkdir(exist_ok=True)
    names = iter(file_names([Atoms(info={"id": r.id} if r.id else {}) for r in results]))
    for key in keys:
        for film in ledger.data(key, extra=True):
            name = next(names)
            if film is not None:
                with atomic_path(folder / f"{name}.extxyz") as temporary:
                    temporary.write_bytes(film)
