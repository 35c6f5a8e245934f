"""From a data set to a model file: the members of an ensemble, their errors, and how far they can be trusted."""

from __future__ import annotations

import logging
import platform
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols

from lodewell.crystals.paths import passed_over
from lodewell.errors import BadOption, LodewellError
from lodewell.files import atomic_path, check_writable, make_folder
from lodewell.options import options_of
from lodewell.predict.architecture import Architecture, make_architecture
from lodewell.predict.calibrate import combine, fit_calibration
from lodewell.predict.model import SUFFIX, Description, Model
from lodewell.predict.novelty import fit_novelty
from lodewell.predict.process import own_torch
from lodewell.predict.train.cache import cache_folder
from lodewell.predict.train.dataset import Crystals, Dataset, read_dataset
from lodewell.predict.train.loop import (
    Listener,
    Member,
    Task,
    find_rate,
    mean_errors,
    pick_device,
    train_member,
)
from lodewell.predict.train.options import TrainOptions
from lodewell.progress import Progress, silent
from lodewell.record import Run, fingerprint, write_summary
from lodewell.text import json_text
from lodewell.version import __version__

logger = logging.getLogger(__name__)

_PLACES = ("table", "cache", "threads", "about")  # what a card has no use for, or says elsewhere
_IN_SUMMARY = ("lodewell", "data", "options")  # of the card, under other names


@options_of(TrainOptions)
def train(
    crystals: Crystals,
    out: str | Path,
    *,
    workers: int | None = 1,
    progress: Progress = silent,
    restart: bool = False,
    each_epoch: Listener | None = None,
    options: TrainOptions,
) -> Model:
    """Train a model of properties of crystals; writes OUT/model.safetensors and what led to it.

    Threads and random numbers of torch are as before when it is done. `lodewell train` is faster on a CPU: it lets the
    process keep its memory, see `lodewell.predict.process.keep_memory`.

    Args:
        crystals: `ase.Atoms` with properties in their `info`, or files, folders and patterns, or a list of either.
        out: a folder; checkpoints are kept there, and the same call goes on from them.
        workers: processes that compute features; None is every core.
        progress: told the stage, and the crystals or epochs done.
        restart: forget the checkpoints that are there.
        each_epoch: called with a dict an epoch: member, epoch, loss, errors on the validation part, speed.
        options: a `TrainOptions`, or its fields as keywords; `properties` at least:

    Raises:
        BadFile: when data or table cannot be read, or the checkpoints are of another training.
        BadOption: when data, table and options do not fit together.
    """
    with Run("train", workers=workers, progress=progress, restart=restart) as run:
        dataset, architecture = _read(crystals, options, run)
        run.lap("features")
        return fit(dataset, architecture, options, out, run, each_epoch)


def _read(crystals: Crystals, options: TrainOptions, run: Run) -> tuple[Dataset, Architecture]:
    """Read the data, with their features; what is doubtful in them goes to the log.

    Raises:
        BadFile, BadOption: as `read_dataset`.
    """
    if not options.properties:
        raise BadOption("properties are wanted: what is learnt of the crystals")
    architecture = make_architecture(options.architecture, options.settings)
    dataset = read_dataset(
        crystals, options.properties, architecture, table=options.table, id_key=options.id_key,
        split=options.split, validation=options.validation, test=options.test, seed=options.seed,
        cache=cache_folder(options.cache), run=run,
    )  # fmt: skip
    for sentence in dataset.warnings:
        logger.warning("look: %s", sentence)
    return dataset, architecture


def fit(
    dataset: Dataset,
    architecture: Architecture,
    options: TrainOptions,
    out: str | Path | None = None,
    run: Run | None = None,
    each_epoch: Listener | None = None,
) -> Model:
    """Train the ensemble on a data set; see `train`. With `options.member` only that one is trained and returned."""
    device, folder = pick_device(options.device), None if out is None else make_folder(out)
    if folder is not None:
        check_writable(folder / f"model{SUFFIX}")
    with Run("train") if run is None else nullcontext(run) as mine, own_torch(options.threads, device):
        task = Task.prepare(dataset, architecture, device)
        numbers = range(options.members) if options.member is None else [options.member]
        members = [train_member(task, options, k, mine, folder, each_epoch) for k in numbers]
        mine.lap("training")
        model = Model(architecture, task.targets, [member.average.cpu() for member in members])
        task.device = torch.device("cpu")
        _judge(model, task, options)
        model.card |= {
            "lodewell": __version__,
            "about": options.about,
            "data": [Path(name).name for name in dataset.source],
            "options": {
                n: str(v) for n, v in asdict(options).items() if n not in _PLACES and v not in (None, "", {}, ())
            },
            "seeds": [member.seed for member in members],
            "parameters": model.parameters,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU ({platform.machine()})",
            "seconds": round(sum(member.seconds for member in members), 1),
        }
        mine.lap("error bars")
        if folder is not None:
            _write(model, dataset, members, folder, options, mine)
    return model


def _judge(model: Model, task: Task, options: TrainOptions) -> None:
    """Fill the card: crystals and elements trained on, errors on the test part, calibration and novelty."""
    dataset = task.dataset
    part = {name: dataset.part(name) for name in ("train", "val", "test")}
    numbers = Counter[str]()
    for b in part["train"]:
        numbers.update({chemical_symbols[z] for z in dataset.crystals([b])[0]["number"]})
    model.card["crystals"] = {name: len(found) for name, found in part.items()}
    model.card["elements"] = dict(sorted(numbers.items()))
    values, seen = {}, {}
    for name in ("val", "test"):
        values[name] = np.stack([task.predict(member, part[name]) for member in model.members])
        if not np.isfinite(values[name]).all():
            raise LodewellError(
                f"predictions of the {name} part are no finite numbers, and no model is written: look at the values "
                "trained on, or take a lower lr"
            )
    some = np.random.default_rng(options.seed).permutation(part["train"])[:4000]
    for name, chosen in (("train", some), ("val", part["val"])):
        batches = [model.evaluate(dataset.crystals(chosen[k : k + 256]))[1] for k in range(0, len(chosen), 256)]
        seen[name] = Description.joined(batches)
    fit_calibration(model, values["val"], dataset.values_bt[part["val"]])
    fit_novelty(model, seen["train"], seen["val"])
    if len(part["test"]):
        truth = dataset.values_bt[part["test"]]
        mean, sigma = combine(model, values["test"])
        model.card["errors"] = mean_errors(model.targets, mean, truth)
        model.card["errors_of_members"] = [mean_errors(model.targets, v, truth) for v in values["test"]]
        model.arrays["heldout_truth"] = truth.astype(np.float32)
        model.arrays["heldout_value"] = mean.astype(np.float32)
        model.arrays["heldout_sigma"] = sigma.astype(np.float32)


def _write(
    model: Model, dataset: Dataset, members: list[Member], folder: Path, options: TrainOptions, run: Run
) -> None:
    """Write model, history and summary."""
    history = [{"seed": member.seed, "epochs": member.history} for member in members]
    outputs = [folder / "history.json"]
    with atomic_path(outputs[0]) as temporary:
        temporary.write_text(json_text(history, indent=1), encoding="utf-8")
    if options.member is None:
        outputs.append(folder / f"model{SUFFIX}")
        model.save(outputs[-1])
    run.fingerprint = fingerprint([member.fingerprint for member in members])
    refused = [{"file": r.file, "frame": r.frame, "id": r.id, "why": r.error} for r in dataset.refused]
    summary = run.summary(
        inputs={
            "crystals": dataset.source or "memory",
            "table": options.table,
            "passed_over": passed_over(dataset.source),
        },
        options=options,
        seed=options.seed,
        resumed=sum(member.resumed for member in members),
        notes=dataset.warnings,
        outputs=outputs,
        results={name: said for name, said in model.card.items() if name not in _IN_SUMMARY} | {"refused": refused},
    )
    write_summary(folder, summary)


@options_of(TrainOptions)
def suggest_rate(
    crystals: Crystals, *, workers: int | None = 1, progress: Progress = silent, options: TrainOptions
) -> tuple[float, list[tuple[float, float]]]:
    """Look for a learning rate; returns it, and the smoothed loss at each rate that was tried.

    Raises:
        BadFile, BadOption: as `train`.
    """
    with Run("train", workers=workers, progress=progress) as run:
        dataset, architecture = _read(crystals, options, run)
    device = pick_device(options.device)
    with own_torch(options.threads, device):
        return find_rate(Task.prepare(dataset, architecture, device), options, options.seed)
