"""Labelled crystals as people give them: paths, or crystals in memory with their labels on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from ase import Atoms

from lodewell.crystals.given import spread
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.read import Labelled, LabelledChunk, Refusal, cut_labels, label_record, names_in
from lodewell.crystals.read import Chunk, Record
from lodewell.errors import BadCrystal, BadOption

MEMORY = "memory"  # stands for the file of crystals in memory

GivenLabels: TypeAlias = "list[str | Path] | list[Atoms | Labelled]"


@dataclass(frozen=True)
class MemoryChunk(LabelledChunk):
    """A recipe that holds its crystals, of which the first has the number `first`."""

    crystals: tuple[Atoms | Labelled, ...] = ()
    first: int = 0

    def read_named(self) -> tuple[list[Labelled], list[Refusal], list[LabelKeys]]:
        """Return the crystals that can be used, those that cannot, and the names of the labels."""
        names = self.names or LabelKeys()
        good: list[Labelled] = []
        bad: list[Refusal] = []
        for k, crystal in enumerate(self.crystals, self.first):
            if (MEMORY, k) in self.left_out:
                continue
            if isinstance(crystal, Labelled):
                good.append(replace(crystal, group=crystal.group or f"{MEMORY}#{k}", file=MEMORY, frame=k))
                continue
            try:
                good.append(label_record(Record(MEMORY, k, _copy(crystal), None), names, together=False))
            except BadCrystal as error:
                bad.append(Refusal(MEMORY, k, str(error)))
        return good, bad, [names]

    def all_names(self) -> set[str]:
        """Return every name in `info`, `arrays` and results of the crystals."""
        return _names(self.crystals)


def given_labels(data: Any) -> GivenLabels:
    """Return what was given as a list of paths, or of crystals in memory.

    Raises:
        BadOption: for anything else, with its place and the cure, and for paths among crystals.
    """
    given = spread(data)
    if all(isinstance(item, str | Path) for item in given):
        return given
    for k, item in enumerate(given):
        if isinstance(item, str | Path):
            raise BadOption(f"crystal {k} is the path '{item}' among crystals in memory: give one or the other")
        if not isinstance(item, Atoms | Labelled):
            cure = "paths, ase.Atoms with energies and forces, or lodewell.Labelled"
            if hasattr(item, "to_ase_atoms"):
                cure = "its to_ase_atoms(), with energies and forces"
            raise BadOption(f"crystal {k} is of the type {type(item).__name__}: give {cure}")
    return given


def cut_given(given: GivenLabels, keys: LabelKeys = LabelKeys(), size: int = 200) -> Iterator[LabelledChunk]:  # noqa: B008 frozen
    """Cut what was given into recipes of up to `size` labelled frames, in order; see `cut_labels`."""
    crystals = [item for item in given if not isinstance(item, str | Path)]
    if not crystals:
        yield from cut_labels([item for item in given if isinstance(item, str | Path)], keys, size)
        return
    names = keys.found_in(_names(crystals))
    chunk = Chunk("entries", (MEMORY,))
    for first in range(0, len(crystals), size):
        yield MemoryChunk(chunk, keys, names, crystals=tuple(crystals[first : first + size]), first=first)


def _names(crystals: Sequence[Atoms | Labelled]) -> set[str]:
    return names_in(Record(MEMORY, k, c, None) for k, c in enumerate(crystals) if isinstance(c, Atoms))


def _copy(atoms: Atoms) -> Atoms:
    """Return a copy that keeps the calculator, whose results are read: labels are taken off it, not off the user's."""
    copy = atoms.copy()
    copy.calc = atoms.calc
    return copy
