"""Labelled crystals: energies, forces and stresses beside positions, from every format, as a stream.

`read_labels` is the door. `cut_labels` cuts the same stream into recipes that any process can read. The names of labels
are settled once a file (see `LabelKeys`). Of vasprun.xml, OUTCAR and .castep every step is read, and the steps of one
file are one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ase import Atoms

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.frame import frame_names, label_frame
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.steps import CALCULATIONS, read_steps
from lodewell.crystals.read import Chunk, Record, chunks
from lodewell.errors import BadCrystal, BadFile

__all__ = [
    "LabelKeys",
    "Labelled",
    "LabelledChunk",
    "Refusal",
    "cut_labels",
    "keys_in",
    "label_record",
    "names_in",
    "read_labels",
]


@dataclass(frozen=True, eq=False)
class Labelled:
    """One labelled crystal.

    | field | meaning |
    |---|---|
    | `atoms` | the crystal, without calculator and without labels in `info` and `arrays` |
    | `energy` | total energy in eV, or None |
    | `forces_nc` | (N, 3) eV/Å, or None |
    | `stress_cc` | (3, 3) eV/Å^3, positive under tension (ASE's sign), or None; only of crystals periodic all around |
    | `config_type` | kind of frame, "" where there is none |
    | `group` | frames of one group never stand on both sides of a split |
    | `weight` | of the frame |
    | `file`, `frame` | where it was read; frames count from 0 |
    """

    atoms: Atoms
    energy: float | None
    forces_nc: Floats | None
    stress_cc: Floats | None
    config_type: str = ""
    group: str = ""
    weight: float = 1.0
    file: str = ""
    frame: int = 0

    @property
    def where(self) -> str:
        """File and frame, for messages."""
        return f"{self.file}, frame {self.frame}" if self.file else f"frame {self.frame}"


@dataclass(frozen=True)
class Refusal:
    """A frame that cannot be used, and why."""

    file: str
    frame: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}, frame {self.frame}: {self.why}"


@dataclass(frozen=True)
class LabelledChunk:
    """A picklable recipe for reading some labelled frames, in this process or another.

    chunk: of crystals. keys: the names asked for; names: those settled for its file, or None to settle them file by
    file (whole small files). left_out: frames to skip, as (file, frame).
    """

    chunk: Chunk
    keys: LabelKeys
    names: LabelKeys | None = None
    left_out: frozenset[tuple[str, int]] = field(default_factory=frozenset)

    def read(self) -> tuple[list[Labelled], list[Refusal]]:
        """Read the frames: those that can be used, and those that cannot."""
        good, bad, _ = self.read_named()
        return good, bad

    def read_named(self) -> tuple[list[Labelled], list[Refusal], list[LabelKeys]]:
        """Read the frames, and return also under which names their labels stand, once a file."""
        good: list[Labelled] = []
        bad: list[Refusal] = []
        settled: list[LabelKeys] = []
        for records, names, together in self._files():
            settled.append(names)
            for record in records:
                if (record.file, record.frame) in self.left_out:
                    continue
                try:
                    good.append(label_record(record, names, together))
                except BadCrystal as err:
                    bad.append(Refusal(record.file, record.frame, str(err)))
        return good, bad, settled

    def all_names(self) -> set[str]:
        """Return every name in `info`, `arrays` and results of its frames, whatever it means."""
        return {name for records, _, _ in self._files() for name in names_in(records)}

    def _files(self) -> Iterator[tuple[list[Record], LabelKeys, bool]]:
        """Yield the records of each file, the names of its labels, and whether its frames are one group."""
        if self.chunk.kind != "files":
            records = self.chunk.read()
            yield records, self.names or self.keys.found_in(names_in(records)), False
            return
        for path, form in zip(self.chunk.files, self.chunk.formats, strict=True):
            if form in CALCULATIONS:
                records = read_steps(path, form)
            else:
                records = replace(self.chunk, files=(path,), formats=(form,)).read()
            yield records, self.keys.found_in(names_in(records)), form in CALCULATIONS


def names_in(records: Iterable[Record]) -> set[str]:
    """Return every name in `info`, `arrays` and results of these records."""
    names: set[str] = set()
    for record in records:
        if record.atoms is not None:
            names |= frame_names(record.atoms)
    return names


def label_record(record: Record, names: LabelKeys, together: bool) -> Labelled:
    """Take the labels off a record; `together` keeps the frames of its file in one group. Raises `BadCrystal`."""
    if record.atoms is None:
        raise BadCrystal(record.error or "it cannot be read")
    found = label_frame(record.atoms, names)
    own = record.file if together else f"{record.file}#{record.frame}"
    return Labelled(
        record.atoms, found.energy, found.forces_nc, found.stress_cc, found.config_type, found.group or own,
        found.weight, record.file, record.frame,
    )  # fmt: skip


def cut_labels(
    paths: str | Path | Sequence[str | Path], keys: LabelKeys = LabelKeys(), size: int = 200  # noqa: B008 frozen
) -> Iterator[LabelledChunk]:  # fmt: skip
    """Cut files, folders and patterns into recipes of up to `size` labelled frames, in order and in constant memory.

    Raises `BadFile` for a missing path, a folder without crystals, and a pattern that matches nothing.
    """
    settled: dict[str, LabelKeys] = {}
    for chunk in chunks(paths, size):
        if chunk.kind in ("files", "error"):
            yield LabelledChunk(chunk, keys)
            continue
        file = chunk.files[0]
        if file not in settled:
            names = keys.found_in(names_in(chunk.read()))
            if names.nothing():  # perhaps further down in the file
                yield LabelledChunk(chunk, keys, names)
                continue
            settled[file] = names
        yield LabelledChunk(chunk, keys, settled[file])


def keys_in(paths: str | Path | Sequence[str | Path], keys: LabelKeys = LabelKeys()) -> LabelKeys:  # noqa: B008 frozen
    """Return under which names the labels of the first file stand."""
    for chunk in cut_labels(paths, keys):
        return chunk.names or keys.found_in(chunk.all_names())
    return keys


def read_labels(
    paths: str | Path | Sequence[str | Path],
    keys: LabelKeys = LabelKeys(),  # noqa: B008 frozen
    refused: list[Refusal] | None = None,
) -> Iterator[Labelled]:
    """Yield every labelled crystal of files, folders and patterns, in order, as a stream.

    keys: names of the labels, where they should not be found by themselves.
    refused: a list to which frames that cannot be used are added with the reason; without it the first one is raised.

    Raises `BadFile` for a missing path, a folder without crystals, a pattern that matches nothing, and for the first
    frame that cannot be used: not readable, no label, NaN, a wrong shape, forces that do not sum to zero, units that
    cannot be right.
    """
    for chunk in cut_labels(paths, keys):
        good, bad = chunk.read()
        if bad and refused is None:
            raise BadFile(str(bad[0]))
        if refused is not None:
            refused += bad
        yield from good
