"""Crystals and their properties: from extended XYZ, a folder, or a table beside either, to features and numbers.

One bad crystal costs one row; what a table says wrongly is refused by line.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.crystals.chemistry import reduced_formula
from lodewell.crystals.given import given_list, in_memory
from lodewell.crystals.read import Chunk, Record, chunks
from lodewell.crystals.validate import validate
from lodewell.errors import BadCrystal, BadFile, BadOption, did_you_mean
from lodewell.files import bare_name, make_folder, text_file
from lodewell.predict.architecture import Architecture, Arrays
from lodewell.predict.identity import given_id
from lodewell.predict.targets import doubts, number
from lodewell.predict.train.cache import Shard, content, shard_name, write_shard
from lodewell.predict.train.table import Line, read_table
from lodewell.record import Run
from lodewell.text import printable
from lodewell.workers.base import one_line

SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
CHUNK = 500
STAGE = "reading crystals, computing features"
_FIRST = 20  # crystals whose keys are named where a property is none of them

logger = logging.getLogger(__name__)

Crystals: TypeAlias = Atoms | str | Path | Iterable[Atoms | str | Path]
Given: TypeAlias = list[Atoms | str | Path]
Work: TypeAlias = Chunk | list[Record]


@dataclass(frozen=True)
class Row:
    """What a worker says about one crystal: `error`, or where its features are; neither where it has no value."""

    file: str
    frame: int
    id: str
    formula: str = ""
    values: tuple[float, ...] = ()
    split: str = ""
    place: int = -1
    error: str | None = None

    @property
    def says_something(self) -> bool:
        """Whether any value is there."""
        return any(map(math.isfinite, self.values))


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
    | `warnings` | | sentences about what to look at |
    | `source` | | the paths that were read; none for crystals in memory |
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
    source: tuple[str, ...] = ()

    def part(self, split: str) -> NDArray[np.int64]:
        """Return the crystals of `train`, `val` or `test`."""
        return np.flatnonzero(self.split_b == split)

    def crystals(self, indices: Sequence[int] | NDArray[np.int64]) -> list[Arrays]:
        """Return the features of some crystals."""
        return [self.shards[self.shard_b[b]].crystal(self.place_b[b]) for b in indices]


def read_dataset(
    crystals: Crystals,
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
    run: Run | None = None,
) -> Dataset:
    """Read crystals and properties, and compute the features that the cache does not hold.

    Args:
        crystals: files, folders or patterns, or `ase.Atoms`.
        properties: keys of the crystals' info, or columns of the table.
        architecture: what the features are for.
        table: a CSV with a column of ids; the first column, or `id_key`.
        id_key: key of the crystals' info that is their id; else a usual one, else the file's name, or their place.
        split: key or column that says train, val or test; None shares reduced formulas out at random.
        validation: share of the formulas, where `split` is None.
        test: likewise.
        seed: of the sharing.
        cache: folder of the features.
        run: what it is done with; alone and in silence by default.

    Raises:
        BadFile: for a path or a table that cannot be read.
        BadOption: for a property or a split that no crystal has.
    """
    given = given_list(crystals)
    lines = read_table(table, properties, id_key, split) if table is not None else None
    task = partial(
        read_chunk, architecture=architecture, names=tuple(properties), id_key=id_key, split=split, cache=str(cache),
        wanted=frozenset(lines) if lines is not None else None,
    )  # fmt: skip
    with Run("train") if run is None else nullcontext(run) as mine:
        rows, shards = _with_features(task, given, architecture, mine)
    refused = [row for row, _ in rows if row.error is not None]
    usable = [(row, shard) for row, shard in rows if row.error is None]
    if lines is not None:
        usable, more = _from_table(usable, lines, {row.id for row in refused}, str(table))
        refused += more
    if refused and not usable:
        raise BadFile(f"no crystal can be trained on: {refused[0].file}: {refused[0].error}")
    kept = [(row, shard) for row, shard in usable if row.says_something]
    values_bt = np.array([row.values for row, _ in kept], dtype=np.float64).reshape(len(kept), len(properties))
    ids, formulas = [row.id for row, _ in kept], [row.formula for row, _ in kept]
    warnings = []
    for t, name in enumerate(properties):
        count = int(np.isfinite(values_bt[:, t]).sum())
        if count == 0:
            raise BadOption(f"no crystal has a value of '{name}'{'' if lines else _instead(name, given)}")
        warnings += doubts(name, values_bt[:, t], ids)
        if count < len(usable):
            warnings.append(f"{name}: {count:,} of {len(usable):,} crystals have a number; nothing and nan are none")
    source = tuple(str(path) for path in given if not isinstance(path, Atoms))
    split_b = _splits([row for row, _ in kept], split, formulas, validation, test, seed)
    return Dataset(
        ids, formulas, tuple(properties), values_bt, split_b, shards,
        np.array([shard for _, shard in kept]), np.array([row.place for row, _ in kept]), refused, warnings, source,
    )  # fmt: skip


def _with_features(
    task: Callable[[Work], tuple[str | None, list[Row]]], given: Given, architecture: Architecture, run: Run
) -> tuple[list[tuple[Row, int]], list[Shard]]:
    """Let workers read crystals and compute features; return each row with the number of its shard, and the shards."""
    rows: list[tuple[Row, int]] = []
    shards: list[Shard] = []
    for outcome in run.workers.map(task, _tasks(given, CHUNK)):
        if outcome.value is None:
            rows += [(Row(file, frame, "", error=outcome.error), -1) for file, frame in _places(outcome.task)]
        else:
            path, found = outcome.value
            if path is not None:
                shards.append(Shard(path, dict(architecture.fields)))
            rows += [(row, len(shards) - 1) for row in found]
        run.progress(STAGE, len(rows))
    return rows, shards


def _tasks(given: Given, size: int) -> Iterator[Work]:
    """Cut crystals in memory, or the contents of paths, into pieces for workers."""
    records = in_memory(given)
    if records is None:
        yield from chunks(given, size)
        return
    while some := list(islice(records, size)):
        yield some


def _records(task: Work) -> list[Record]:
    return task if isinstance(task, list) else task.read()


def _places(task: Work) -> list[tuple[str, int]]:
    return [(record.file, record.frame) for record in task] if isinstance(task, list) else task.entries()


def read_chunk(
    chunk: Work,
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
    for record in _records(chunk):
        row = _row(record, names, id_key, split, wanted)
        if row is None:
            continue
        if record.atoms is not None and row.error is None and (wanted is not None or row.says_something):
            kept.append((record.atoms, row))
        else:
            rows.append(row)
    if not kept:
        return None, rows
    path, reasons = _see_to_features([atoms for atoms, _ in kept], architecture, Path(cache))
    place = 0
    for k, (_, row) in enumerate(kept):
        if k in reasons:
            rows.append(replace(row, error=reasons[k]))
        else:
            rows.append(replace(row, place=place))
            place += 1
    return (str(path) if place else None), rows


def _see_to_features(crystals: list[Atoms], architecture: Architecture, cache: Path) -> tuple[Path, dict[int, str]]:
    """Return the file of the crystals' features, made where it is not there, and the reason why of those left out."""
    name = shard_name(architecture, [content(atoms) for atoms in crystals])
    path = cache / f"{architecture.name}-{architecture.version}" / name
    note = path.with_suffix(".refused")
    reasons = _read_reasons(note)
    if Shard(path, dict(architecture.fields)).sound(len(crystals) - len(reasons)):
        return path, reasons
    reasons, found, lasting = {}, [], True
    for k, atoms in enumerate(crystals):
        try:
            found.append(architecture.features(atoms))
        except BadCrystal as err:
            reasons[k] = str(err)
        except Exception as err:  # whatever a crystal does, it costs its own row only; the next run tries again
            logger.debug("crystal %d of a chunk", k, exc_info=True)
            reasons[k], lasting = f"its features cannot be computed ({one_line(err)})", False
    if found:
        write_shard(path, dict(architecture.fields), found)
    if reasons and lasting:
        make_folder(path.parent)
        with text_file(note) as handle:
            handle.write("\n".join(f"{k}\t{printable(' '.join(why.split()))}" for k, why in reasons.items()))
    return path, reasons


def _read_reasons(path: Path) -> dict[int, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {int(place): why for place, _, why in (line.partition("\t") for line in lines)}
    except (OSError, ValueError):
        return {}


def _row(
    record: Record, names: tuple[str, ...], id_key: str | None, split: str | None, wanted: frozenset[str] | None
) -> Row | None:
    """Return what a record says, None for a crystal that the table does not name."""
    found = next((name for name in _ids(record, id_key) if wanted is None or name in wanted), None)
    if record.atoms is None:
        return Row(record.file, record.frame, found or "", error=record.error)
    if found is None:
        return None
    atoms = record.atoms
    if (why := validate(atoms)) is not None:
        return Row(record.file, record.frame, found, error=why)
    formula = reduced_formula(atoms.numbers)
    if wanted is not None:  # the table knows the rest
        return Row(record.file, record.frame, found, formula)
    try:
        values = tuple(number(name, atoms.info.get(name)) for name in names)
    except BadCrystal as err:
        return Row(record.file, record.frame, found, formula, error=str(err))
    word = str(atoms.info.get(split, "")) if split is not None else ""
    return Row(record.file, record.frame, found, formula, values, word)


def _ids(record: Record, id_key: str | None) -> list[str]:
    """Return what the file calls a crystal, and what the file is called."""
    found = given_id(record.atoms.info, id_key) if record.atoms is not None else None
    stem = Path(bare_name(record.file)).stem or "crystal"
    return [*([found] if found else []), stem if record.frame == 0 else f"{stem}:{record.frame}"]


def _instead(name: str, given: Given) -> str:
    """Return which numbers the first crystals state instead, the nearest name first."""
    infos = [record.atoms.info for record in _records(next(_tasks(given, _FIRST))) if record.atoms is not None]
    keys = sorted({key for info in infos for key, value in info.items() if _is_stated(key, value)})
    return f"{did_you_mean(name, keys)}; the first ones state {', '.join(keys) or 'no numbers: give a table of them'}"


def _is_stated(key: str, value: object) -> bool:
    try:
        return math.isfinite(number(key, value))
    except BadCrystal:
        return False


def _from_table(
    kept: list[tuple[Row, int]], lines: Mapping[str, Line], known: set[str], table: str
) -> tuple[list[tuple[Row, int]], list[Row]]:
    """Give crystals the values of their lines; bad lines, and those without a crystal here or `known`, are refused."""
    seen: dict[str, Row] = {}
    out, refused = [], []
    for row, shard in kept:
        if row.id in seen:
            other = seen[row.id]
            raise BadFile(
                f"two crystals have the id '{row.id}' ({other.file}, frame {other.frame}; {row.file}, frame"
                f" {row.frame}); tell them apart, or name the key of the id with id_key"
            )
        seen[row.id] = row
        if lines[row.id].error is None:
            out.append((replace(row, values=lines[row.id].values, split=lines[row.id].word), shard))
    for name, line in lines.items():
        if line.error is not None:
            refused.append(Row(table, line.number, name, error=line.error))
        elif name not in seen and name not in known:
            why = f"line {line.number}: there is no crystal with the id '{name}'"
            refused.append(Row(table, line.number, name, error=why))
    return out, refused


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
