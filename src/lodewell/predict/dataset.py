"""Crystals and their properties: from extended XYZ, a folder, or a table beside either, to features and numbers.

One bad crystal costs one row; what a table says wrongly is refused by line.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.crystals.chemistry import reduced_formula
from lodewell.crystals.read import Chunk, Record, chunks
from lodewell.crystals.validate import validate
from lodewell.errors import BadCrystal, BadFile, BadOption, did_you_mean
from lodewell.files import atomic_path
from lodewell.predict.architecture import Architecture, Arrays
from lodewell.predict.cache import Shard, content, shard_name, write_shard
from lodewell.predict.identity import ID_KEYS, given_id
from lodewell.predict.targets import doubt_unit
from lodewell.workers import open_workers

SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
CHUNK = 500


@dataclass(frozen=True)
class Row:
    """What a worker says about one crystal: `error`, or where its features are."""

    file: str
    frame: int
    id: str
    formula: str = ""
    values: tuple[float, ...] = ()
    split: str = ""
    place: int = -1
    error: str | None = None


@dataclass
class Dataset:
    """Crystals with features and properties.

    | field | shape | meaning |
    |---|---|---|
    | `ids`, `formulas` | (B,) | name and reduced formula of each crystal |
    | `names` | (T,) | the properties |
    | `values_bt` | (B, T) | their values; NaN where not there |
    | `split_b` | (B,) | `train`, `val` or `test` |
    | `shards`, `shard_b`, `place_b` | | where the features are |
    | `refused` | | rows that cannot be used |
    | `warnings` | | sentences about what looks wrong |
    """

    ids: list[str]
    formulas: list[str]
    names: tuple[str, ...]
    values_bt: Floats
    split_b: NDArray[np.str_]
    shards: list[Shard]
    shard_b: NDArray[np.int64]
    place_b: NDArray[np.int64]
    refused: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def part(self, split: str) -> NDArray[np.int64]:
        """Return the crystals of `train`, `val` or `test`."""
        return np.flatnonzero(self.split_b == split)

    def crystals(self, indices: Sequence[int] | NDArray[np.int64]) -> list[Arrays]:
        """Return the features of some crystals."""
        return [self.shards[self.shard_b[b]].crystal(self.place_b[b]) for b in indices]


def read_dataset(
    paths: str | Path | Sequence[str | Path],
    properties: Sequence[str],
    architecture: Architecture,
    *,
    table: str | Path | None = None,
    id_key: str | None = None,
    split: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    cache: Path,
    workers: int | None = None,
    report: Callable[[int], None] = lambda _: None,
) -> Dataset:
    """Read crystals and properties, and compute the features that the cache does not hold.

    Args:
        paths: files, folders or patterns of crystals.
        properties: keys of the crystals' info, or columns of the table.
        architecture: what the features are for.
        table: a CSV with a column of ids; the first column, or `id_key`.
        id_key: key of the crystals' info that is their id; else a usual one, else the file's name.
        split: key or column that says train, val or test; None shares reduced formulas out at random.
        validation: share of the formulas, where `split` is None.
        test: likewise.
        seed: of the sharing.
        cache: folder of the features.
        workers: processes; None is every core.
        report: called with the number of crystals done.

    Raises:
        BadFile: for a path or a table that cannot be read.
        BadOption: for a property or a split that no crystal has.
    """
    lines = read_table(table, properties, id_key, split) if table is not None else None
    task = partial(
        read_chunk, architecture=architecture, names=tuple(properties), id_key=id_key, split=split, cache=str(cache),
        wanted=frozenset(lines) if lines is not None else None,
    )  # fmt: skip
    rows: list[Row] = []
    shards: list[Shard] = []
    shard_of: list[int] = []
    with open_workers(workers) as pool:
        for outcome in pool.map(task, chunks(paths, CHUNK)):
            if outcome.value is None:
                rows.append(Row(outcome.task.files[0], outcome.task.first, "", error=outcome.error))
                shard_of.append(-1)
                continue
            path, found = outcome.value
            if path is not None:
                shards.append(Shard(path, dict(architecture.fields)))
            rows += found
            shard_of += [len(shards) - 1] * len(found)
            report(sum(row.error is None for row in found))
    refused = [row for row in rows if row.error is not None]
    kept = [(row, shard) for row, shard in zip(rows, shard_of, strict=True) if row.error is None]
    if lines is not None:
        kept, missing = _from_table(kept, lines, str(table))
        refused += missing
    if not kept:
        why = f": {refused[0].file}: {refused[0].error}" if refused else ""
        raise BadFile(f"no crystal can be trained on{why}")
    values_bt = np.array([row.values for row, _ in kept], dtype=np.float64).reshape(len(kept), len(properties))
    for t, name in enumerate(properties):
        if not np.isfinite(values_bt[:, t]).any():
            raise BadOption(f"no crystal has a value of '{name}': check the name of the property")
    warnings = [w for t, name in enumerate(properties) if (w := doubt_unit(name, values_bt[:, t]))]
    formulas = [row.formula for row, _ in kept]
    split_b = _splits([row for row, _ in kept], split, formulas, validation, test, seed)
    return Dataset(
        [row.id for row, _ in kept], formulas, tuple(properties), values_bt, split_b, shards,
        np.array([shard for _, shard in kept]), np.array([row.place for row, _ in kept]), refused, warnings,
    )  # fmt: skip


def read_chunk(
    chunk: Chunk,
    architecture: Architecture,
    names: tuple[str, ...],
    id_key: str | None,
    split: str | None,
    cache: str,
    wanted: frozenset[str] | None,
) -> tuple[str | None, list[Row]]:
    """Read some crystals and see to it that their features are on disk; runs in a worker."""
    kept: list[tuple[Atoms, Row]] = []
    rows: list[Row] = []
    for record in chunk.read():
        row = _row(record, names, id_key, split, wanted)
        if row is not None and record.atoms is not None and row.error is None:
            kept.append((record.atoms, row))
        elif row is not None:
            rows.append(row)
    if not kept:
        return None, rows
    name = shard_name(architecture, [content(atoms) for atoms, _ in kept])
    path = Path(cache) / f"{architecture.name}-{architecture.version}" / name
    note = path.with_suffix(".refused")
    shard = Shard(path, dict(architecture.fields))
    reasons = _read_reasons(note)
    if not shard.sound(len(kept) - len(reasons)):
        reasons, crystals = {}, []
        for k, (atoms, _) in enumerate(kept):
            try:
                crystals.append(architecture.features(atoms))
            except BadCrystal as err:
                reasons[k] = str(err)
        if crystals:
            write_shard(path, dict(architecture.fields), crystals)
        if reasons:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(note) as temporary:
                temporary.write_text("\n".join(f"{k}\t{why}" for k, why in reasons.items()), encoding="utf-8")
    place = 0
    for k, (_, row) in enumerate(kept):
        if k in reasons:
            rows.append(Row(row.file, row.frame, row.id, row.formula, error=reasons[k]))
        else:
            rows.append(Row(row.file, row.frame, row.id, row.formula, row.values, row.split, place))
            place += 1
    return (str(path) if place else None), rows


def _read_reasons(path: Path) -> dict[int, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {int(number): why for number, _, why in (line.partition("\t") for line in lines)}
    except (OSError, ValueError):
        return {}


def _row(
    record: Record, names: tuple[str, ...], id_key: str | None, split: str | None, wanted: frozenset[str] | None
) -> Row | None:
    """Return what a record says, None for a crystal that the table does not name."""
    if record.atoms is None:
        return Row(record.file, record.frame, "", error=record.error)
    atoms = record.atoms
    found = next((name for name in _ids(record, id_key) if wanted is None or name in wanted), None)
    if found is None:
        return None
    if (why := validate(atoms)) is not None:
        return Row(record.file, record.frame, found, error=why)
    formula = reduced_formula(atoms.numbers)
    values = []
    for name in names if wanted is None else ():
        value = atoms.info.get(name, math.nan)
        try:
            values.append(float(value))
        except (TypeError, ValueError):
            return Row(record.file, record.frame, found, formula, error=f"{name} is {value!r}, which is no number")
    word = str(atoms.info.get(split, "")) if split is not None and wanted is None else ""
    if wanted is None and not any(math.isfinite(v) for v in values):
        return None
    return Row(record.file, record.frame, found, formula, tuple(values), word)


def _ids(record: Record, id_key: str | None) -> list[str]:
    """Return what the file calls a crystal, and what the file is called."""
    assert record.atoms is not None
    found, stem = given_id(record.atoms.info, id_key), Path(record.file).name.partition(".")[0]
    return [*([found] if found else []), stem if record.frame == 0 else f"{stem}:{record.frame}"]


def read_table(
    path: str | Path, properties: Sequence[str], id_key: str | None, split: str | None
) -> dict[str, tuple[int, tuple[float, ...], str]]:
    """Read a CSV: id -> line, values and word of the split. Without a line of names, columns are id and properties.

    Raises:
        BadFile: for ids that come twice or are missing, and values that are no numbers, each with its line.
        BadOption: for a property that is no column.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            cells = [(handle_line, row) for handle_line, row in enumerate(csv.reader(handle), 1) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise BadFile(f"{path}: cannot be read as a CSV ({err}); check the path and the format") from err
    if not cells:
        raise BadFile(f"{path}: the table is empty")
    header, body = [name.strip() for name in cells[0][1]], cells[1:]
    if len(header) == 1 + len(properties) and _is_number(header[1]):  # no line of names
        header, body = [id_key or "id", *properties], cells
    for name in (*properties, *([split] if split else []), *([id_key] if id_key else [])):
        if name not in header:
            raise BadOption(
                f"{path}: there is no column '{name}'{did_you_mean(name, header)}; there are {', '.join(header)}"
            )
    id_column = header.index(id_key or next((key for key in ID_KEYS if key in header), header[0]))
    columns = [header.index(name) for name in properties]
    found: dict[str, tuple[int, tuple[float, ...], str]] = {}
    for line, row in body:
        where = f"{path}, line {line}"
        if len(row) != len(header):
            raise BadFile(f"{where}: {len(row)} values, but there are {len(header)} columns; mend the line")
        name = row[id_column].strip()
        if not name:
            raise BadFile(f"{where}: the id is missing; give one or take the line out")
        if name in found:
            raise BadFile(f"{where}: the id '{name}' stood on line {found[name][0]} already; keep one")
        values = tuple(_value(row[column].strip(), header[column], where) for column in columns)
        found[name] = (line, values, row[header.index(split)].strip() if split else "")
    return found


def _value(text: str, name: str, where: str) -> float:
    """Return the number in a cell, NaN for an empty one."""
    if text and not _is_number(text):
        raise BadFile(f"{where}: {name} is '{text}', which is no number; leave it empty")
    return float(text) if text else math.nan


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _from_table(
    kept: list[tuple[Row, int]], lines: Mapping[str, tuple[int, tuple[float, ...], str]], table: str
) -> tuple[list[tuple[Row, int]], list[Row]]:
    """Give crystals the values of their lines; lines without a crystal are refused."""
    seen: dict[str, Row] = {}
    out = []
    for row, shard in kept:
        if row.id in seen:
            other = seen[row.id]
            raise BadFile(
                f"two crystals have the id '{row.id}' ({other.file}, frame {other.frame}; {row.file}, frame"
                f" {row.frame}); tell them apart, or name the key of the id with id_key"
            )
        seen[row.id] = row
        _, values, word = lines[row.id]
        if any(math.isfinite(v) for v in values):
            out.append((Row(row.file, row.frame, row.id, row.formula, values, word, row.place), shard))
    missing = [
        Row(table, line, name, error=f"line {line}: there is no crystal with the id '{name}'")
        for name, (line, _, _) in lines.items()
        if name not in seen
    ]
    return out, missing


def _splits(
    rows: list[Row], split: str | None, formulas: list[str], validation: float, test: float, seed: int
) -> NDArray[np.str_]:
    """Return train, val or test of each crystal."""
    if split is not None:
        words = [SPLIT_WORDS.get(row.split.lower(), "") for row in rows]
        for row, word in zip(rows, words, strict=True):
            if not word:
                raise BadOption(f"{row.file}, {row.id}: {split} is '{row.split}', but train, val or test is wanted")
        out = np.array(words)
    else:
        groups = sorted(set(formulas))
        order = np.random.default_rng(seed).permutation(len(groups))
        share = dict(zip(groups, order / len(groups), strict=True))
        out = np.array(
            ["test" if share[f] < test else "val" if share[f] < test + validation else "train" for f in formulas]
        )
    for word in ("train", "val"):
        if not (out == word).any():
            raise BadOption(f"no crystal is left to be '{word}': give more crystals, or another split")
    return out
