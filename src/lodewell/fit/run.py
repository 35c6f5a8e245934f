"""One fit from files to a file, the same for every family: look, refuse, fit, save, test, and leave a summary.

A family brings a function of the type `FitFunction`: it gets a stream of labelled crystals and its options, and returns
a `Fitted`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lodewell import __version__
from lodewell.files import atomic_path, check_writable
from lodewell.fit.data import LabelledSource, check_together
from lodewell.fit.labelled_options import LabelledOptions
from lodewell.potentials.base import Potential
from lodewell.progress import Progress, silent
from lodewell.text import json_text

if TYPE_CHECKING:
    from lodewell.judge.test.errors import Errors

Report = Progress


@dataclass(frozen=True)
class Fitted:
    """What a family returns.

    potential: the fit. facts: what the user should see of it, such as coefficients and training errors, JSON-like.
    notes: sentences that the user should read. about: more for the file of the potential and `summary.json`.
    """

    potential: Potential
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def doubts(held_out: Mapping[str, float], spread: float, unit: str) -> list[str]:
    """Say when energies of frames left out of the fit are predicted no better than by compositions alone."""
    error = held_out.get("energy", 0.0)
    if error < spread:
        return []
    return [
        f"energies held out of the fit are predicted worse than by composition alone: they are {error:.3g} {unit} off,"
        f" and a sum of energies of the elements is {spread:.3g} off; check the labels, add frames, or take more"
        " flexible terms"
    ]


class FitFunction(Protocol):
    """What a family brings: `fit_uf_files` and its like.

    train: the labelled crystals; iterate over it, or send its `chunks()` to workers, as often as need be.
    options: of the family. out: the file to be written, beside which an interrupted fit may keep its state.
    """

    def __call__(
        self,
        train: LabelledSource,
        options: Any,
        *,
        out: Path,
        workers: int | None,
        cluster: str | None,
        report: Report,
    ) -> Fitted:
        """Fit."""


@dataclass(frozen=True)
class FitJob:
    """Where a fit reads and writes, and with what."""

    family: str
    train: Sequence[str | Path]
    test: Sequence[str | Path]
    out: Path
    options: LabelledOptions
    workers: int | None = None
    cluster: str | None = None


@dataclass(frozen=True)
class FitOutcome:
    """What came of a job; `errors` on the test data, if there were any."""

    fitted: Fitted
    file: Path
    summary: Mapping[str, Any]
    errors: Errors | None


def run_fit(
    job: FitJob,
    fit: FitFunction,
    report: Report = silent,
    looked: Callable[[LabelledSource, LabelledSource | None], None] = lambda train, test: None,
) -> FitOutcome:
    """Look at the data, fit, save, test, and write `NAME.summary.json` beside the potential.

    looked: called with the training and the test data once they are known to be sound.
    Raises `BadFile` and `BadOption` for data and options that cannot be used, before anything is computed.
    """
    clock = _Clock()
    job.out.parent.mkdir(parents=True, exist_ok=True)
    check_writable(job.out)
    train = LabelledSource(job.train, job.options, report)
    test = LabelledSource(job.test, job.options, report, testing=True) if job.test else None
    survey = train.survey  # reads everything once, and refuses what cannot be used
    if test is not None:
        test = check_together(train, test)
    looked(train, test)
    clock.lap("reading")
    fitted = fit(train, job.options, out=job.out, workers=job.workers, cluster=job.cluster, report=report)
    clock.lap("fitting")
    about = {"data": survey.about(), "options": asdict(job.options), **fitted.facts, **fitted.about}
    file = fitted.potential.save(job.out, **about)
    errors = None
    if test is not None:
        from lodewell.judge.test.comparison import errors_of

        errors = errors_of(fitted.potential, test, name=file.stem, progress=report, total=test.survey.frames)
        clock.lap("testing")
    summary = {
        "command": sys.argv[1:] if Path(sys.argv[0]).name.startswith("lodewell") else None,
        "lodewell": __version__,
        "versions": _versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "family": job.family,
        "potential": str(file),
        "train": survey.about(),
        "test": None if test is None else test.survey.about(),
        "options": asdict(job.options),
        "seed": job.options.seed,
        **fitted.facts,
        **fitted.about,
        "notes": [*survey.notes, *fitted.notes, *(errors.doubts() if errors is not None else ())],
        "errors": None if errors is None else errors.json(),
        "seconds": clock.laps,
    }
    with atomic_path(summary_path(file)) as temporary:
        temporary.write_text(json_text(summary, indent=1) + "\n", encoding="utf-8")
    return FitOutcome(fitted, file, summary, errors)


def summary_path(potential: Path) -> Path:
    """Return where the summary of a fit stands: beside the potential, under its name."""
    return potential.with_name(f"{potential.stem}.summary.json")


class _Clock:
    """Seconds of each part of a run."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now


def _versions() -> dict[str, str]:
    import platform

    import ase
    import numba
    import numpy
    import scipy

    modules = {module.__name__: str(module.__version__) for module in (numpy, scipy, numba, ase)}
    return {"python": platform.python_version(), **modules}
