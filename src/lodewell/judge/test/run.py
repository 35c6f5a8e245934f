"""`lodewell.test`: how far a potential is from labelled crystals, in energy, force and stress."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ase import Atoms

from lodewell.crystals.labels.consistency import CheckedFrames, Contradictions
from lodewell.crystals.labels.given import GivenLabels, cut_given, given_labels
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.read import Labelled, Refusal, keys_in, read_labels
from lodewell.crystals.labels.survey import unread_labels
from lodewell.errors import BadFile
from lodewell.judge.test.comparison import errors_of
from lodewell.judge.test.errors import Errors
from lodewell.options import keywords_checked
from lodewell.potentials.given import AnyPotential, as_potential
from lodewell.progress import Progress, silent

Data: TypeAlias = str | Path | Atoms | Labelled | Iterable[str | Path] | Iterable[Atoms | Labelled]

_KEYS = {"energy": "energy", "force": "forces", "stress": "stress"}


@keywords_checked
def test(
    potential: AnyPotential,
    data: Data,
    *,
    keys: LabelKeys = LabelKeys(),  # noqa: B008 frozen
    uncertainty: bool = True,
    points: int = 100_000,
    contradictions: Contradictions = "refuse",
    progress: Progress = silent,
) -> Errors:
    """Compare a potential with labelled crystals, as a stream.

    Args:
        potential: an object, the name of one that is shipped, the path of a file, or any ASE calculator.
        data: files, folders or patterns, or crystals with labels on them: `ase.Atoms`, or `lodewell.Labelled`.
        keys: names of the labels in files, where they should not be found by themselves.
        uncertainty: judge the error bars as well, where the potential has any.
        points: size of the sample that is kept for figures: of atoms, of frames, of stresses.
        contradictions: what becomes of labels that contradict each other, as by a wrong unit; "note" goes on.
        progress: told the number of frames done.

    Raises:
        BadFile: when a path is not there, no frame could be compared, or labels contradict each other.
    """
    name = Path(potential).stem if isinstance(potential, str | Path) else getattr(potential, "kind", "calculator")
    refused: list[Refusal] = []
    paths, frames = split(data, keys)
    labelled = iter(frames) if paths is None else read_labels(paths, keys, refused)
    names = keys if paths is None else keys_in(paths, keys)
    watched = CheckedFrames(labelled, names, contradictions)
    errors = errors_of(
        as_potential(potential), watched, name=name, refused=refused, uncertainty=uncertainty, points=points,
        progress=progress,
    )  # fmt: skip
    missing = [key for kind, key in _KEYS.items() if not getattr(errors, kind).count]
    notes = [] if paths is None else unread_labels(paths, names, missing)
    return replace(errors, notes=(*notes, *watched.notes))


# pytest collects functions of this name from every module that imports it.
test.__test__ = False  # type: ignore[attr-defined]


def split(data: Data, keys: LabelKeys) -> tuple[list[str | Path] | None, Iterable[Labelled]]:
    """Tell paths from frames in memory, which are read.

    Raises:
        BadOption: for what is neither, with its place and the cure.
        BadFile: for a crystal without a label.
    """
    given = given_labels(data)
    paths = [item for item in given if isinstance(item, str | Path)]
    return (paths, ()) if paths else (None, _frames(given, keys))


def _frames(given: GivenLabels, keys: LabelKeys) -> Iterator[Labelled]:
    for k, item in enumerate(given):
        if isinstance(item, Labelled):
            yield item
            continue
        for chunk in cut_given([item], keys):
            good, bad = chunk.read()
            if bad:
                raise BadFile(f"crystal {k}: {bad[0].why}")
            yield from good
