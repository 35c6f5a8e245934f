"""One fit from labelled crystals to a potential, the same for every family: look, refuse, fit, save, test, sum up.

A family brings a function of the type `FitFunction`: it gets a stream of labelled crystals and its options, and returns
a `FitResult`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lodewell.crystals.paths import passed_over
from lodewell.errors import BadOption
from lodewell.files import check_writable
from lodewell.fit.data import LabelledData, check_together
from lodewell.fit.labelled_options import LabelledOptions
from lodewell.potentials.base import Potential
from lodewell.progress import Progress
from lodewell.record import Run, fingerprint, plain, write_summary


@dataclass(frozen=True)
class FitResult:
    """What a family returns.

    potential: the fit. facts: what the user should see of it, such as coefficients and training errors, JSON-like.
    notes: sentences that the user should read. about: more for the file of the potential and `summary.json`. resumed:
    how many steps an interrupted fit had done.
    """

    potential: Potential
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    resumed: int = 0


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

    train: the labelled crystals; iterate over it, or send its `chunks()` to `run.workers`, as often as need be.
    options: of the family. out: the file to be written, beside which an interrupted fit may keep its state under the
    key `run.fingerprint`; None for a potential in memory. run: workers, progress and clock of this fit.
    """

    def __call__(self, train: LabelledData, options: Any, /, *, out: Path | None, run: Run) -> FitResult:
        """Fit."""


class TestErrors(Protocol):
    """Errors of a potential on test data, such as `lodewell.test` returns them."""

    def doubts(self) -> list[str]:
        """Say what is worse than a guess."""

    def json(self) -> dict[str, Any]:
        """Return the errors as plain values."""


Judge = Callable[[Potential, LabelledData, str, Progress], TestErrors]  # the potential, the data, its name


@dataclass(frozen=True)
class FitJob:
    """What a fit reads and where it writes: labelled crystals as `LabelledSource` takes them, and a file, or None."""

    family: str
    train: Any
    test: Any
    out: Path | None
    options: LabelledOptions


@dataclass(frozen=True)
class FitOutcome:
    """What came of a job; `errors` on the test data, if there were any."""

    fitted: FitResult
    file: Path | None
    summary: Mapping[str, Any]
    errors: TestErrors | None


def look(job: FitJob, run: Run) -> tuple[LabelledData, LabelledData | None]:
    """Read the training and the test data once.

    Raises `BadFile` and `BadOption` for data and options that cannot be used, before anything is computed.
    """
    options = job.options
    _check_used(job)
    if job.out is not None:
        job.out.parent.mkdir(parents=True, exist_ok=True)
        check_writable(job.out)
    train = LabelledData(job.train, options, run.progress)
    test = LabelledData(job.test, options, run.progress, testing=True) if job.test else None
    survey = train.survey  # reads everything once, and refuses what cannot be used
    if test is not None:
        test = check_together(train, test)
    files = [Path(value) for value in vars(options).values() if isinstance(value, str) and Path(value).is_file()]
    run.fingerprint = fingerprint(job.family, options, survey.columns.fingerprint(), files)
    run.lap("reading")
    return train, test


def _check_used(job: FitJob) -> None:
    """Refuse options that nothing of this job would heed."""
    options = job.options
    if not job.test and options.duplicates != "refuse":
        raise BadOption(f"duplicates is '{options.duplicates}', which is about test data, and there are none")
    if job.out is None and getattr(options, "keep_rows", False):
        raise BadOption("keep_rows writes NAME.rows beside the potential: say where with out=")


def run_fit(
    job: FitJob,
    fit: FitFunction,
    run: Run,
    data: tuple[LabelledData, LabelledData | None] | None = None,
    judge: Judge | None = None,
) -> FitOutcome:
    """Look at the data if that is still to be done, fit, and test; save and write `NAME.summary.json` beside the file.

    Raises `BadFile` and `BadOption` as `look` does.
    """
    train, test = look(job, run) if data is None else data
    survey = train.survey
    fitted = fit(train, job.options, out=job.out, run=run)
    run.lap("fitting")
    about = {"data": survey.about(), "options": plain(_settled(job.options)), **fitted.facts, **fitted.about}
    file = None if job.out is None else fitted.potential.save(job.out, **about)
    errors = None
    if test is not None and judge is not None:
        errors = judge(fitted.potential, test, job.family if file is None else file.stem, run.progress)
        run.lap("testing")
    summary = run.summary(
        inputs={
            "train": survey.about(),
            "test": None if test is None else test.survey.about(),
            "passed_over": passed_over([*train.paths, *(test.paths if test is not None else ())]),
        },
        options=_settled(job.options),
        results={
            "family": job.family,
            **fitted.facts,
            **fitted.about,
            "errors": None if errors is None else errors.json(),
        },
        seed=job.options.seed,
        resumed=fitted.resumed,
        notes=[*survey.notes, *fitted.notes, *(errors.doubts() if errors is not None else ())],
        outputs=[] if file is None else [file],
    )
    if file is not None:
        write_summary(file, summary)
    return FitOutcome(fitted, file, summary, errors)


def fit_to(
    fit: FitFunction,
    family: str,
    data: Any,
    options: LabelledOptions,
    *,
    out: str | Path | None = None,
    **how: Any,
) -> FitResult:
    """Fit one family to whatever labelled crystals were given; `how` is for the `Run`: workers, progress and so on."""
    with Run(f"fit {family}", **how) as run:
        return run_fit(FitJob(family, data, None, None if out is None else Path(out), options), fit, run).fitted


def _settled(options: LabelledOptions) -> LabelledOptions:
    """Return the options as they hold, presets filled in."""
    settled = getattr(options, "settled", None)
    found: LabelledOptions = options if settled is None else settled()
    return found
