"""From a data set to a model file: the members of an ensemble, their errors, and how far they can be trusted."""

from __future__ import annotations

import logging
import platform
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from lodewell import __version__
from lodewell.errors import BadOption, LodewellError
from lodewell.files import atomic_path, check_writable, make_folder
from lodewell.predict.architecture import Architecture, make_architecture
from lodewell.predict.calibrate import combine, fit_calibration
from lodewell.predict.model import SUFFIX, Description, Model
from lodewell.predict.novelty import fit_novelty
from lodewell.predict.process import own_torch
from lodewell.predict.train.cache import cache_folder
from lodewell.predict.train.dataset import Dataset, read_dataset
from lodewell.predict.train.loop import (
    Member,
    Report,
    Task,
    find_rate,
    mean_errors,
    pick_device,
    train_member,
)
from lodewell.predict.train.options import TrainOptions
from lodewell.text import json_text

logger = logging.getLogger(__name__)

_PLACES = ("data", "table", "cache", "workers", "threads", "about")  # what a card has no use for, or says elsewhere


def train(options: TrainOptions, out: str | Path, resume: bool = True, report: Report = lambda _: None) -> Model:
    """Train a model of properties on a file or folder of crystals; writes OUT/model.safetensors and what led to it.

    Args:
        options: what to train, on what, and how.
        out: a folder; checkpoints are kept there, and the same call goes on from them.
        resume: False begins anew.
        report: called with a dict an epoch.

    Raises:
        BadFile, BadOption: when data, table or options do not fit.
    """
    dataset, architecture = read(options)
    return fit(dataset, architecture, options, Path(out), resume, report)


def read(options: TrainOptions) -> tuple[Dataset, Architecture]:
    """Read the data that the options name, with their features; what is doubtful in them goes to the log.

    Raises:
        BadFile, BadOption: as `read_dataset`.
    """
    if not options.data or not options.properties:
        raise BadOption("data and properties are wanted: which crystals, and what is learnt of them")
    architecture = make_architecture(options.architecture, options.settings)
    dataset = read_dataset(
        options.data, options.properties, architecture, table=options.table, id_key=options.id_key,
        split=options.split, validation=options.validation, test=options.test, seed=options.seed,
        cache=cache_folder(options.cache), workers=options.workers,
    )  # fmt: skip
    for sentence in dataset.warnings:
        logger.warning("look: %s", sentence)
    return dataset, architecture


def fit(
    dataset: Dataset,
    architecture: Architecture,
    options: TrainOptions,
    out: Path | None = None,
    resume: bool = True,
    report: Report = lambda _: None,
) -> Model:
    """Train the ensemble on a data set; see `train`. With `options.member` only that one is trained and returned."""
    device = pick_device(options.device)
    if out is not None:
        check_writable(make_folder(out) / f"model{SUFFIX}")
    with own_torch(options.threads, device):
        return _fit(dataset, architecture, options, device, out, resume, report)


def _fit(
    dataset: Dataset,
    architecture: Architecture,
    options: TrainOptions,
    device: torch.device,
    out: Path | None,
    resume: bool,
    report: Report,
) -> Model:
    task = Task.prepare(dataset, architecture, device)
    members = range(options.members) if options.member is None else [options.member]
    runs = [train_member(task, options, k, out, resume, report) for k in members]
    model = Model(architecture, task.targets, [run.average.cpu() for run in runs])
    task.device = torch.device("cpu")
    _judge(model, task, options)
    model.card |= {
        "lodewell": __version__,
        "about": options.about,
        "data": [Path(name).name for name in options.data],
        "options": {n: str(v) for n, v in asdict(options).items() if n not in _PLACES and v not in (None, "", {}, ())},
        "seeds": [run.seed for run in runs],
        "parameters": model.parameters,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU ({platform.machine()})",
        "seconds": round(sum(run.seconds for run in runs), 1),
    }
    if out is not None:
        _write(model, dataset, runs, out, options)
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


def _write(model: Model, dataset: Dataset, runs: list[Member], out: Path, options: TrainOptions) -> None:
    """Write model, history and summary."""
    history = [{"seed": run.seed, "epochs": run.history} for run in runs]
    summary: dict[str, Any] = {
        **model.card,
        "refused": [{"file": r.file, "frame": r.frame, "id": r.id, "why": r.error} for r in dataset.refused],
        "warnings": dataset.warnings,
    }
    for name, content in (("history.json", history), ("summary.json", summary)):
        with atomic_path(out / name) as temporary:
            temporary.write_text(json_text(content, indent=1), encoding="utf-8")
    if options.member is None:
        model.save(out / f"model{SUFFIX}")


def suggest_rate(options: TrainOptions) -> tuple[float, list[tuple[float, float]]]:
    """Look for a learning rate; returns it, and the smoothed loss at each rate that was tried.

    Raises:
        BadFile, BadOption: as `train`.
    """
    dataset, architecture = read(options)
    device = pick_device(options.device)
    with own_torch(options.threads, device):
        return find_rate(Task.prepare(dataset, architecture, device), options, options.seed)
