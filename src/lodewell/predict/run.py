"""Predict properties of crystals, each with an error bar and a word on how unusual the crystal is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from lodewell.batching import greedy
from lodewell.crystals.chemistry import reduced_formula
from lodewell.crystals.dimensions import dimensions
from lodewell.crystals.given import given_list, in_memory
from lodewell.crystals.read import Chunk, Record, chunks
from lodewell.crystals.remarks import remarks_on
from lodewell.crystals.validate import validate
from lodewell.errors import BadOption, LodewellError, did_you_mean
from lodewell.options import options_of
from lodewell.predict.architecture import Architecture, Arrays, make_architecture
from lodewell.predict.identity import given_id
from lodewell.predict.model import SHIPPED, Model, load_model
from lodewell.predict.options import PredictOptions
from lodewell.progress import Progress, silent
from lodewell.record import Run
from lodewell.workers.base import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

Crystals: TypeAlias = Atoms | str | Path | Sequence[Atoms | str | Path]
STAGE = "predicting"
CHUNK = 100  # crystals a task
FEW = 6  # chunks that are done here sooner than worker processes would have started
BATCH, BATCH_BYTES = 128, 1 << 24  # most crystals that the networks see at a time, and bytes of their features

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """What is said of one crystal.

    | field | meaning |
    |---|---|
    | `file`, `frame` | where it came from (no file: in memory); frames count from zero |
    | `formula` | reduced, symbols sorted |
    | `id` | its own name, if the file gave one |
    | `values`, `sigma` | property -> value and standard deviation, in `units` |
    | `units` | property -> unit |
    | `warnings` | why the crystal is unusual to the model |
    | `remark` | what the reader said of it: sites left out, what its file says against it |
    | `unusual` | how far from the crystals trained on, by states or distances: 1 is as far as 99 % of held-out ones |
    | `error` | why nothing can be said; None when something can |
    | `stated` | property -> value that the file itself gives, for comparison |
    """

    file: str
    frame: int
    formula: str | None
    id: str | None = None
    values: dict[str, float] = field(default_factory=dict)
    sigma: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    remark: str = ""
    unusual: float | None = None
    error: str | None = None
    stated: dict[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "file": self.file,
            "frame": self.frame,
            "id": self.id,
            "formula": self.formula,
            "properties": {
                name: {"value": value, "sigma": self.sigma[name], "unit": self.units[name]}
                | ({"stated": self.stated[name]} if name in self.stated else {})
                for name, value in self.values.items()
            },
            "warnings": list(self.warnings),
            "remark": self.remark,
            "unusual": self.unusual,
            "error": self.error,
        }


@options_of(PredictOptions)
def predict(
    crystals: Crystals,
    model: str | Path | Model | None = None,
    *,
    workers: int | None = 1,
    progress: Progress = silent,
    options: PredictOptions,
) -> list[Prediction]:
    """Predict properties of crystals; one result a crystal, in the order they came, refused ones included.

    Args:
        crystals: `ase.Atoms`, or files, folders and patterns, or a list of either.
        model: what `load_model` reads, or what it returns; None is the shipped one.
        workers: processes that compute features; None is every core.
        progress: told the stage, and the crystals done.
        options: a `PredictOptions`, or its fields as keywords:

    Raises:
        BadFile: when a path or the model does not exist.
        BadOption: when the model does not predict a property.
        LodewellError: when torch is missing.
    """
    return list(predict_stream(crystals, model, workers=workers, progress=progress, options=options))


@options_of(PredictOptions)
def predict_stream(
    crystals: Crystals,
    model: str | Path | Model | None = None,
    *,
    workers: int | None = 1,
    progress: Progress = silent,
    options: PredictOptions,
) -> Iterator[Prediction]:
    """Predict crystals one after the other in constant memory; see `predict`."""
    opened = model if isinstance(model, Model) else load_model(model or SHIPPED)
    wanted = wanted_targets(opened, options.properties)
    with Run("predict", workers=workers, progress=progress) as run:
        done = 0
        for some in _entries(given_list(crystals), opened, wanted, options.strict_formula, run):
            for prediction in _judge(some, opened, wanted):
                done += 1
                run.progress(STAGE, done)
                yield prediction


def _entries(
    given: list[Atoms | str | Path], model: Model, wanted: list[int], strict_formula: bool, run: Run
) -> Iterator[list[Entry]]:
    """Yield crystals with their features, some at a time, those in memory computed here, those of files by workers."""
    names, about = tuple(model.targets[t].name for t in wanted), model.architecture
    records = in_memory(given)
    if records is not None:
        while some := list(islice(records, CHUNK)):
            yield [_featurise(record, about, names) for record in some]
        return
    recipes = chunks(given, CHUNK, strict=strict_formula)
    first = list(islice(recipes, FEW))
    if len(first) < FEW:
        run.alone()
    task = partial(_featurise_chunk, name=about.name, settings=about.settings, properties=names)
    for outcome in run.workers.map(task, chain(first, recipes)):
        if outcome.value is None:
            lost = outcome.task.entries()
            yield [(Prediction(file, frame, None, error=outcome.error), None) for file, frame in lost]
        else:
            yield outcome.value


def wanted_targets(model: Model, properties: Sequence[str]) -> list[int]:
    """Return the numbers of the targets asked for, all of them for none.

    Raises:
        BadOption: when the model does not predict a property.
    """
    names = [target.name for target in model.targets]
    for name in properties:
        if name not in names:
            raise BadOption(f"the model does not predict '{name}'{did_you_mean(name, names)}, but {', '.join(names)}")
    return [names.index(name) for name in properties] if properties else list(range(len(names)))


Entry: TypeAlias = tuple[Prediction, Arrays | None]


def _featurise_chunk(chunk: Chunk, name: str, settings: dict[str, Any], properties: tuple[str, ...]) -> list[Entry]:
    """Read and featurise some crystals, in a worker."""
    architecture = make_architecture(name, settings)
    return [_featurise(record, architecture, properties) for record in chunk.read()]


def _featurise(record: Record, architecture: Architecture, properties: tuple[str, ...]) -> Entry:
    if record.atoms is None:
        return Prediction(record.file, record.frame, None, error=record.error), None
    atoms, name = record.atoms, given_id(record.atoms.info)
    if (why := validate(atoms)) is not None:
        return Prediction(record.file, record.frame, None, name, error=why), None
    about = Prediction(record.file, record.frame, reduced_formula(atoms.numbers), name, remark=remarks_on(atoms))
    try:
        arrays = architecture.features(atoms)
        return replace(about, stated=_stated(atoms, properties), warnings=_vacuum(atoms)), arrays
    except LodewellError as err:
        return replace(about, error=str(err)), None
    except Exception as err:  # whatever a crystal does, it costs its own row only
        logger.debug("%s, frame %d", record.file, record.frame, exc_info=True)
        return replace(about, error=f"its features cannot be computed ({one_line(err)})"), None


def _vacuum(atoms: Atoms) -> tuple[str, ...]:
    """Return a sentence on what stands in vacuum though its cell is periodic; CIF and POSCAR know no other cells."""
    along = dimensions(atoms)
    what = ("a molecule", "a chain", "a slab", "")[along]
    return (f"{what} in vacuum (gaps of over 6 Å): outside, unless the model was trained on such",) if what else ()


def _stated(atoms: Atoms, properties: tuple[str, ...]) -> dict[str, float]:
    """Return the values that the file itself gives."""
    found = {name: atoms.info.get(name) for name in properties}
    numbers = (int, float, np.integer, np.floating)
    stated = {name: v for name, v in found.items() if isinstance(v, numbers) and not isinstance(v, bool)}
    return {name: float(v) for name, v in stated.items() if np.isfinite(v)}


def _judge(found: list[Entry], model: Model, wanted: list[int]) -> Iterator[Prediction]:
    """Let the networks say what they can about some crystals, in order."""
    for part in _batches(_known_elements(item, model) for item in found):
        arrays = [a for _, a in part if a is not None]
        answers = iter(_answers(arrays, model, wanted) if arrays else ())
        for prediction, features in part:
            if features is None:
                yield prediction
                continue
            answer = next(answers)
            yield replace(prediction, **answer | {"warnings": prediction.warnings + answer["warnings"]})


def _batches(found: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Cut crystals into batches that are small in number and in memory."""
    return greedy(found, lambda item: sum(a.nbytes for a in (item[1] or {}).values()), BATCH_BYTES, BATCH)


def _known_elements(item: Entry, model: Model) -> Entry:
    """Refuse a crystal with an element that the model never saw."""
    from lodewell.predict.novelty import unknown_elements

    prediction, arrays = item
    missing = unknown_elements(model, _symbols(arrays["number"])) if arrays is not None else []
    if not missing:
        return item
    why = f"the model was never trained on {', '.join(missing)}: train one that was, or take another method"
    return replace(prediction, error=why), None


def _symbols(number_o: NDArray[Any]) -> set[str]:
    return {chemical_symbols[z] for z in number_o}


def _answers(arrays: list[Arrays], model: Model, wanted: list[int]) -> Iterator[dict[str, Any]]:
    """Yield values, error bars and warnings of each crystal."""
    from lodewell.predict.calibrate import combine
    from lodewell.predict.novelty import strangeness, warnings

    values_mbt, seen = model.evaluate(arrays)
    value_bt, sigma_bt = combine(model, values_mbt)
    targets = [(t, model.targets[t]) for t in wanted]
    for b, strange in enumerate(strangeness(model, seen)):
        yield {
            "values": {target.name: float(value_bt[b, t]) for t, target in targets},
            "sigma": {target.name: float(sigma_bt[b, t]) for t, target in targets},
            "units": {target.name: target.unit for _, target in targets},
            "warnings": tuple(warnings(model, _symbols(arrays[b]["number"]), strange)),
            "unusual": float(strange.max()),
        }
