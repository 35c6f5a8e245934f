"""Crystals from every format, through one door, as a stream.

`chunks` cuts the input into recipes that any process can read; `read_crystals` reads them here. A bad entry becomes a
record with the reason, and never ends the run. Of calculations (vasprun.xml, OUTCAR, .castep) the last frame is read.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms

from lodewell.crystals.formats.ase import check_database
from lodewell.crystals.formats.extxyz.read import cut_frames, parse_frames
from lodewell.crystals.formats.json.lines import cut_lines
from lodewell.crystals.formats.json.stream import cut_entries, parse_entries
from lodewell.crystals.paths import READ_FORMATS, CrystalFile, find_files, is_compressed
from lodewell.crystals.remarks import CONTRADICTION
from lodewell.crystals.single import read_single
from lodewell.errors import BadFile
from lodewell.files import blocks, open_regular, read_bytes

LARGEST_FILE = 200_000_000  # bytes of one CIF, POSCAR ... ; anything honest is far smaller
LARGE_JSON = 50_000_000  # bytes from which a JSON is cut into its entries on the way
BYTES_A_CHUNK = 20_000_000


@dataclass(frozen=True)
class Record:
    """One entry met in an input: `atoms`, or the `error` that says why there are none; never both."""

    file: str
    frame: int
    atoms: Atoms | None
    error: str | None


@dataclass(frozen=True)
class Chunk:
    """A picklable recipe for reading some entries, in this process or another.

    | field | meaning |
    |---|---|
    | `kind` | `text` (frames of extended XYZ), `entries` (of a large JSON), `files` (whole small files), \
      `rows` (of a db or traj), `error` |
    | `files` | the file, or the files |
    | `formats` | the format of each file |
    | `first` | number of the first entry within its file; for `rows` the first row |
    | `last` | for `text`, `entries` and `rows`: one past the last entry |
    | `text` | for `text` and `entries`: the text; for `error`: the reason |
    | `strict` | refuse crystals that their own file contradicts |
    """

    kind: Literal["text", "entries", "files", "rows", "error"]
    files: tuple[str, ...]
    formats: tuple[str | None, ...] = ()
    first: int = 0
    last: int = 0
    text: bytes = b""
    strict: bool = False

    def entries(self) -> list[tuple[str, int]]:
        """Return file and number of every entry, as far as they can be told without reading."""
        if self.kind == "files":
            return [(file, 0) for file in self.files]
        return [(self.files[0], number) for number in range(self.first, max(self.last, self.first + 1))]

    def read(self) -> list[Record]:
        """Read the entries, each as atoms or as the reason why not."""
        records = self._records()
        return [_uncontradicted(record) for record in records] if self.strict else records

    def _records(self) -> list[Record]:
        if self.kind == "text":
            frames = enumerate(parse_frames(self.text), self.first)
            return [_record(self.files[0], number, outcome) for number, outcome in frames]
        if self.kind == "entries":
            entries = enumerate(parse_entries(self.text), self.first)
            return [_record(self.files[0], number, outcome) for number, outcome in entries]
        if self.kind == "rows":
            return _read_rows(self.files[0], self.formats[0], self.first, self.last)
        if self.kind == "error":
            return [Record(self.files[0], self.first, None, self.text.decode("utf-8", "surrogatepass"))]
        return [
            record for path, form in zip(self.files, self.formats, strict=True) for record in _read_file(path, form)
        ]


def _uncontradicted(record: Record) -> Record:
    """Refuse a crystal that its own file contradicts."""
    said = record.atoms.info.get(CONTRADICTION) if record.atoms is not None else None
    return record if said is None else Record(record.file, record.frame, None, f"{said}; correct the file")


def _record(path: str, number: int, outcome: Atoms | str) -> Record:
    """Refuse what no format may bring in: nothing at all, and numbers that are none."""
    if isinstance(outcome, str):
        return Record(path, number, None, outcome)
    if len(outcome) == 0:
        return Record(path, number, None, "there are no atoms; remove the entry")
    positions_nc, cell = outcome.positions, outcome.cell.array
    if not math.isfinite(np.vdot(positions_nc, positions_nc) + np.vdot(cell, cell)):  # a quick look first
        bad = np.flatnonzero(~np.isfinite(positions_nc).all(axis=1))
        if len(bad) or not np.isfinite(cell).all():
            where = f"the position of atom {bad[0] + 1}" if len(bad) else "the cell"
            return Record(path, number, None, f"{where} is not a finite number (NaN or infinite); correct the entry")
    return Record(path, number, outcome, None)


def _read_file(path: str, form: str | None) -> list[Record]:
    if form is None:
        return [Record(path, 0, None, f"neither the name nor the content tells the format. Read are {READ_FORMATS}")]
    try:
        raw = read_bytes(path, LARGEST_FILE)
    except BadFile as err:
        return [Record(path, 0, None, str(err).removeprefix(f"{path}: "))]
    return [_record(path, number, outcome) for number, outcome in enumerate(read_single(raw, form))]


def _read_rows(path: str, form: str | None, first: int, last: int) -> list[Record]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read_db_rows(path, first, last) if form == "db" else _read_traj_rows(path, first, last)


def _read_db_rows(path: str, first: int, last: int) -> list[Record]:
    from ase.db import connect

    records: list[Record] = []
    try:
        with connect(path, type="db", use_lock_file=False) as database:
            for number, row in enumerate(database.select(sort="id", limit=last - first, offset=first), first):
                try:
                    atoms = row.toatoms()
                    atoms.info.update(row.key_value_pairs)
                    atoms.info.update(row.data if isinstance(row.data, dict) else {})
                    records.append(_record(path, number, atoms))
                except Exception as err:
                    records.append(Record(path, number, None, f"row {row.id} cannot be read ({err})"))
    except Exception as err:  # a damaged database may fail anywhere
        reason = (
            f"the database is damaged ({type(err).__name__}: {err}); its rows from {first + len(records)} on are lost"
        )
        records.append(Record(path, first + len(records), None, reason))
    return records


def _read_traj_rows(path: str, first: int, last: int) -> list[Record]:
    from ase.io.trajectory import TrajectoryReader

    records = []
    with open_regular(path) as handle, TrajectoryReader(handle) as frames:
        for number in range(first, last):
            try:
                records.append(_record(path, number, frames[number]))
            except Exception as err:
                records.append(
                    Record(path, number, None, f"frame {number} cannot be read ({err}); it may be cut short")
                )
    return records


def _error(path: str, number: int, reason: str) -> Chunk:
    return Chunk(
        "error", (path,), (None,), number, text=reason.removeprefix(f"{path}: ").encode("utf-8", "surrogatepass")
    )


def _streamed(found: CrystalFile) -> bool:
    """Tell whether a file is cut into pieces by content: extended XYZ, and JSON when it is large."""
    if found.format in ("json", "jsonl"):
        return _size(found.path) * (10 if is_compressed(found.path) else 1) > LARGE_JSON
    return found.format == "extxyz"


def _cut_text(found: CrystalFile, size: int) -> Iterator[Chunk]:
    number = 0
    json = found.format != "extxyz"
    cut = cut_lines if found.format == "jsonl" else cut_entries if json else cut_frames
    try:
        for first, count, text in cut(blocks(found.path), size):
            yield Chunk("entries" if json else "text", (found.path,), (found.format,), first, first + count, text)
            number = first + count
    except BadFile as err:
        yield _error(found.path, number, str(err))
        return
    if number == 0:
        yield _error(found.path, 0, "there are no crystals in it; write or download it again")


def _cut_rows(found: CrystalFile, size: int) -> Iterator[Chunk]:
    if is_compressed(found.path):
        yield _error(found.path, 0, f"a compressed .{found.format} cannot be read in place; decompress it first")
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            count = count_rows(found)
    except BadFile as err:
        yield _error(found.path, 0, str(err))
        return
    except Exception as err:
        yield _error(found.path, 0, f"not a readable {found.format} of ASE ({err}); it may be cut short")
        return
    if count == 0:
        yield _error(found.path, 0, "it holds no crystals")
    for first in range(0, count, size):
        yield Chunk("rows", (found.path,), (found.format,), first, min(first + size, count))


def count_rows(found: CrystalFile) -> int:
    """Count the rows of an ASE database or trajectory, from what it says of itself."""
    if found.format == "db":
        from ase.db import connect

        check_database(found.path)
        with connect(found.path, type="db", use_lock_file=False) as database:
            return int(database.count())
    from ase.io.trajectory import TrajectoryReader

    with open_regular(found.path) as handle, TrajectoryReader(handle) as frames:
        return len(frames)


def chunks(paths: str | Path | Sequence[str | Path], size: int = 500, *, strict: bool = False) -> Iterator[Chunk]:
    """Cut files, folders and patterns into recipes of up to `size` entries, in order and in constant memory.

    With `strict`, crystals that their own file contradicts are refused.

    Raises `BadFile` for a missing path, a folder without crystals, and a pattern that matches nothing.
    """
    for chunk in _chunks(paths, size):
        yield replace(chunk, strict=strict)


def _chunks(paths: str | Path | Sequence[str | Path], size: int) -> Iterator[Chunk]:
    waiting: list[CrystalFile] = []
    weight = 0
    for found in find_files(paths):
        streamed = _streamed(found)
        if not streamed and found.format not in ("db", "traj"):
            waiting.append(found)
            weight += _size(found.path)
            if len(waiting) >= size or weight > BYTES_A_CHUNK:
                yield _files(waiting)
                waiting, weight = [], 0
            continue
        if waiting:
            yield _files(waiting)
            waiting, weight = [], 0
        yield from _cut_text(found, size) if streamed else _cut_rows(found, size)
    if waiting:
        yield _files(waiting)


def _files(waiting: list[CrystalFile]) -> Chunk:
    return Chunk("files", tuple(f.path for f in waiting), tuple(f.format for f in waiting))


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def read_crystals(paths: str | Path | Sequence[str | Path]) -> Iterator[Record]:
    """Yield every entry of files, folders and patterns as a `Record`, in order, as a stream.

    Raises `BadFile` for a missing path, a folder without crystals, and a pattern that matches nothing.
    """
    for chunk in chunks(paths, size=200):
        yield from chunk.read()
