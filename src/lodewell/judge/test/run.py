"""`lodewell.test`: how far a potential is from labelled crystals, in energy, force and stress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from lodewell.crystals.labels.consistency import CheckedFrames, Contradictions
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.read import Labelled, Refusal, keys_in, read_labels
from lodewell.crystals.labels.survey import unread_labels
from lodewell.errors import BadOption
from lodewell.judge.test.comparison import errors_of
from lodewell.judge.test.errors import Errors
from lodewell.potentials.given import AnyPotential, as_potential
from lodewell.progress import Progress, silent

Data: TypeAlias = str | Path | Sequence[str | Path] | Iterable[Labelled]

_KEYS = {"energy": "energy", "force": "forces", "stress": "stress"}


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
        data: files, folders or patterns, or labelled crystals.
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
    paths, frames = split(data)
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


def split(data: Data) -> tuple[list[str | Path] | None, Iterable[Labelled]]:
    """Tell paths from frames."""
    if isinstance(data, str | Path):
        return [data], ()
    if isinstance(data, Sequence) and data and all(isinstance(d, str | Path) for d in data):
        return [d for d in data if isinstance(d, str | Path)], ()
    return None, (_checked(d) for d in data)


def _checked(frame: Any) -> Labelled:
    if not isinstance(frame, Labelled):
        raise BadOption(f"{type(frame).__name__} is no labelled crystal: give lodewell.Labelled, or paths alone")
    return frame
