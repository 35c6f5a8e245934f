"""Do energies, forces and stresses of labelled crystals belong together? Wrong units, signs and orders tell by this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from lodewell.crystals.labels.forces import ForceCheck
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.strain import StrainCheck
from lodewell.crystals.labels.units import contradiction, disagreement
from lodewell.errors import BadFile

if TYPE_CHECKING:
    from lodewell.crystals.labels.read import Labelled

Contradictions: TypeAlias = Literal["refuse", "note"]
CURE = "correct the file, leave that label out, or go on as it is with --contradictions note"


class Consistency:
    """Collects what frames say of each other, in little memory; labels that do not matter are not looked at."""

    def __init__(self, *, energies: bool = True, forces: bool = True, stresses: bool = True) -> None:
        self._wanted = energies, forces, stresses
        self._forces, self._strain = ForceCheck(), StrainCheck()

    def add(self, frame: Labelled) -> None:
        """Look at a frame."""
        energies, forces, stresses = self._wanted
        if not (energies and forces and stresses):
            frame = replace(
                frame, energy=frame.energy if energies else None, forces_nc=frame.forces_nc if forces else None,
                stress_cc=frame.stress_cc if stresses else None,
            )  # fmt: skip
        self._forces.add(frame)
        self._strain.add(frame)

    def verdict(
        self, names: LabelKeys = LabelKeys(), without: Set[tuple[str, int]] = frozenset()  # noqa: B008 frozen
    ) -> tuple[str | None, list[str]]:  # fmt: skip
        """Return what contradicts, or None, and what deserves a note.

        names: of the labels in the file. without: frames that do not count, as (file, frame).
        """
        by_force, by_strain = self._forces.agreement(without), self._strain.agreement(without)
        ratios = [ratio for found in (by_force, by_strain) if found is not None for ratio in found.ratios]
        order = next((found.order for found in (by_force, by_strain) if found is not None and found.order), ())
        if why := contradiction(ratios, order, names):
            return f"{why}; {CURE}", []
        notes = [disagreement(ratios), None if by_strain is None else by_strain.note()]
        return None, [note for note in notes if note][:1]


class CheckedFrames:
    """Frames as they come, looked at on the way: behind the last one labels that contradict each other are refused.

    names: of the labels in the file. contradictions: "note" puts them into `notes` instead.

    Raises `BadFile`, once the frames are read.
    """

    def __init__(self, frames: Iterable[Labelled], names: LabelKeys, contradictions: Contradictions) -> None:
        self._frames, self._names, self._contradictions = frames, names, contradictions
        self.notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Labelled]:
        consistency, first = Consistency(), ""
        for frame in self._frames:
            first = first or frame.file
            consistency.add(frame)
            yield frame
        why, notes = consistency.verdict(self._names)
        if why is not None and self._contradictions == "refuse":
            raise BadFile(f"{first or 'the labelled crystals'}: {why}")
        self.notes = tuple(notes) if why is None else (why,)
