"""Training: from a data set to a model, one epoch at a time, going on where it was stopped.

Everything random is drawn anew for each epoch from the seed, the member and the epoch; so a run that goes on from a
checkpoint makes the same steps as one that was never stopped.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lodewell.crystals.batch import Floats
from lodewell.errors import BadFile, BadOption, LodewellError
from lodewell.files import atomic_path
from lodewell.predict.architecture import Architecture, collate
from lodewell.predict.targets import Target, composition
from lodewell.predict.train.dataset import Dataset
from lodewell.predict.train.options import TrainOptions
from lodewell.record import Run, fingerprint

VERSION = 2  # of checkpoints
_BETA = 0.05  # of the Huber loss, in standard deviations
_WATCH = 50  # steps between looks at the loss on a GPU
STAGE = "training"
Listener = Callable[[dict[str, Any]], None]  # told of each epoch


class NotANumber(LodewellError):
    """The loss is no finite number."""


@dataclass
class Task:
    """A data set made ready: targets as numbers of order one, and batches as tensors on the device."""

    dataset: Dataset
    architecture: Architecture
    targets: list[Target]
    fractions_bz: Floats
    normal_bt: Tensor
    device: torch.device

    @classmethod
    def prepare(cls, dataset: Dataset, architecture: Architecture, device: torch.device) -> Task:
        """Fit the targets to the training part."""
        train = dataset.part("train")
        everyone = range(len(dataset.ids))
        parts = [dataset.crystals([b])[0] for b in everyone]
        crystal = np.repeat(np.arange(len(parts)), [len(part["number"]) for part in parts])
        fractions = composition(
            np.concatenate([p["number"] for p in parts]), np.concatenate([p["weight"] for p in parts]), crystal,
            len(parts),
        )  # fmt: skip
        targets = [
            Target.fit(name, dataset.values_bt[train, t], fractions[train]) for t, name in enumerate(dataset.names)
        ]
        with np.errstate(invalid="ignore", divide="ignore"):
            normal = [t.normalise(dataset.values_bt[:, k], fractions) for k, t in enumerate(targets)]
        return cls(
            dataset, architecture, targets, fractions,
            torch.from_numpy(np.stack(normal, axis=1).astype(np.float32)).to(device), device,
        )  # fmt: skip

    def batch(self, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return the features of some crystals on the device."""
        arrays = collate(self.architecture.fields, self.dataset.crystals(indices))
        return {name: torch.from_numpy(array).to(self.device, non_blocking=True) for name, array in arrays.items()}

    def predict(self, module: torch.nn.Module, indices: NDArray[np.int64], size: int = 256) -> Floats:
        """Return values in the targets' units; (B, T)."""
        module.eval()
        raw = []
        with torch.inference_mode():
            for begin in range(0, len(indices), size):
                raw.append(module(self.batch(indices[begin : begin + size])).cpu().numpy())
        if not raw:
            return np.zeros((0, len(self.targets)))
        raw_bt, fractions = np.concatenate(raw), self.fractions_bz[indices]
        return np.stack([t.restore(raw_bt[:, k], fractions) for k, t in enumerate(self.targets)], axis=1)

    def errors(self, module: torch.nn.Module, part: str) -> dict[str, float]:
        """Return the mean absolute error of each target on a part of the crystals."""
        indices = self.dataset.part(part)
        return mean_errors(self.targets, self.predict(module, indices), self.dataset.values_bt[indices])


def mean_errors(targets: list[Target], values_bt: Floats, truth_bt: Floats) -> dict[str, float]:
    """Return the mean absolute error of each target over the crystals that have it."""
    with np.errstate(invalid="ignore"):
        return {
            t.name: float(np.nanmean(np.abs(values_bt[:, k] - truth_bt[:, k])))
            for k, t in enumerate(targets)
            if np.isfinite(truth_bt[:, k]).any()
        }


def pick_device(name: str) -> torch.device:
    """Return the device asked for.

    Raises:
        BadOption: when there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise BadOption("device is cuda, but torch sees no GPU here: use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def learning_rate(step: int, total: int, highest: float, warm_up: float) -> float:
    """Return the rate of a step: a line up, then half a cosine down to a thousandth."""
    rise = max(1, round(warm_up * total))
    if step < rise:
        return highest * (step + 1) / rise
    return highest * (0.001 + 0.999 * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, total - rise))))


class Member:
    """One network of the ensemble in training; it seeds torch, which `own_torch` undoes."""

    def __init__(self, task: Task, options: TrainOptions, seed: int) -> None:
        self.task, self.options, self.seed = task, options, seed
        self.train = task.dataset.part("train")
        torch.manual_seed(seed)
        self.module = task.architecture.module(len(task.targets)).to(task.device)
        self.average = copy.deepcopy(self.module).requires_grad_(False)
        self.parameters = list(self.module.parameters())
        self.tensors, self.averaged = _floats(self.module), _floats(self.average)
        decayed = [p for p in self.parameters if p.ndim > 1]
        others = [p for p in self.parameters if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=1e-3,
            fused=True,
        )
        weights = [options.weights.get(t.name, 1.0) for t in task.targets]
        self.weight_t = torch.tensor(weights, dtype=torch.float32, device=task.device)
        self.history: list[dict[str, Any]] = []
        self.steps = self.resumed = 0
        self.best: dict[str, Tensor] = {}
        self.watch = 1 if task.device.type == "cpu" else _WATCH
        self._watched: list[tuple[int, Tensor, NDArray[np.int64]]] = []

    @cached_property
    def fingerprint(self) -> str:
        """What decides the course of the training, as one word."""
        options, data = self.options, self.task.dataset
        names = ("epochs", "batch_size", "lr", "warm_up", "weight_decay", "clip", "ema", "patience")
        chosen: dict[str, Any] = {name: getattr(options, name) for name in names} | {"weights": dict(options.weights)}
        network = self.task.architecture
        arrays = (data.values_bt, data.shard_b, data.place_b)
        shards = [Path(shard.path).name for shard in data.shards]
        return fingerprint(
            {"seed": self.seed, "options": chosen, "network": [network.name, network.version, network.settings]},
            {"ids": data.ids, "split": data.split_b.tolist(), "shards": shards},
            *(np.ascontiguousarray(array).tobytes() for array in arrays),
        )

    @property
    def steps_an_epoch(self) -> int:
        """Whole batches only, unless there is less than one."""
        return max(1, len(self.train) // self.options.batch_size)

    @property
    def crystals_an_epoch(self) -> int:
        """Crystals trained on in an epoch."""
        return self.steps_an_epoch * min(self.options.batch_size, len(self.train))

    @property
    def seconds(self) -> float:
        """Time spent in training, however often it was stopped."""
        return float(sum(self.crystals_an_epoch / line["crystals_per_second"] for line in self.history))

    def batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Yield the crystals of each batch of an epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.train)
        for k in range(self.steps_an_epoch):
            yield order[k * self.options.batch_size : (k + 1) * self.options.batch_size]

    def loss(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the Huber loss of a batch over the values that are there."""
        difference = self.module(self.task.batch(indices)) - self.task.normal_bt[indices]
        there = torch.isfinite(self.task.normal_bt[indices])
        size = torch.where(there, difference, torch.zeros_like(difference))
        each = torch.nn.functional.smooth_l1_loss(size, torch.zeros_like(size), reduction="none", beta=_BETA)
        return (each * self.weight_t).sum() / len(indices)

    def step(self, indices: NDArray[np.int64], rate: float) -> Tensor:
        """Make one step; returns the loss before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = self.loss(indices)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
        self._watch(loss.detach(), indices)
        self.optimiser.step()
        self.steps += 1
        memory = min(self.options.ema, (1.0 + self.steps) / (10.0 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self.averaged, self.tensors, 1.0 - memory)
        return loss.detach()

    def _watch(self, loss: Tensor, indices: NDArray[np.int64]) -> None:
        """Keep a loss to be looked at, on a GPU with others since each look waits for the device."""
        self._watched.append((self.steps + 1, loss, indices))
        if len(self._watched) == self.watch:
            self._look()

    def _look(self) -> None:
        """Stop at a loss that is no number, and say in which batch."""
        for (step, _, indices), fine in zip(
            self._watched, torch.isfinite(torch.stack([loss for _, loss, _ in self._watched])).tolist(), strict=True
        ):
            if not fine:
                ids = [self.task.dataset.ids[b] for b in indices]
                raise NotANumber(
                    f"the loss is no finite number at step {step}, in the batch of {', '.join(ids[:8])}"
                    f"{' ...' if len(ids) > 8 else ''}: look at these crystals and their values, or take a lower lr"
                )
        self._watched.clear()

    def epoch(self, highest: float) -> dict[str, Any]:
        """Train one epoch and validate."""
        number, start = len(self.history), time.perf_counter()
        torch.manual_seed(int(np.random.default_rng([self.seed, number, 1]).integers(2**62)))
        total = self.options.epochs * self.steps_an_epoch
        self.module.train()
        losses = [
            self.step(indices, learning_rate(self.steps, total, highest, self.options.warm_up))
            for indices in self.batches(number)
        ]
        if self._watched:
            self._look()
        trained = time.perf_counter() - start
        line = {
            "epoch": number + 1,
            "loss": float(torch.stack(losses).mean()),
            "val": self.task.errors(self.average, "val"),
            "crystals_per_second": round(self.crystals_an_epoch / trained, 1),
        }
        self.history.append(line)
        if self.options.patience and self.best_epoch() == number:
            self.best = copy.deepcopy(self.average.state_dict())
        return line

    def best_epoch(self) -> int:
        """Return the epoch with the best validation, from 0."""
        return int(np.argmin([self.score(line) for line in self.history]))

    def score(self, line: dict[str, Any]) -> float:
        """Return one number to judge an epoch by: errors in standard deviations, weighted."""
        spread = {t.name: (t.scale if not t.log else t.high - t.low) for t in self.task.targets}
        weights = self.options.weights
        return float(sum(weights.get(name, 1.0) * error / spread[name] for name, error in line["val"].items()))

    def should_stop(self) -> bool:
        """Say whether `patience` is over."""
        patience = self.options.patience
        return bool(self.history) and 0 < patience <= len(self.history) - 1 - self.best_epoch()

    def finish(self) -> None:
        """With `patience`, take the weights of the best epoch."""
        if self.best:
            self.average.load_state_dict(self.best)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
            "history": json.dumps(self.history),
            "steps": self.steps,
        }

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            BadFile: when it is damaged, of another version, or of another training.
        """
        cure = "give --restart to begin anew, or another --out"
        try:
            state = torch.load(path, map_location=self.task.device, weights_only=True)
            version, mark = state["version"], state["fingerprint"]
        except Exception as err:  # a damaged archive fails in many ways
            raise BadFile(f"{path}: the checkpoint cannot be read ({type(err).__name__}); {cure}") from err
        if version != VERSION:
            raise BadFile(f"{path}: a checkpoint of version {version}, but this lodewell writes {VERSION}; {cure}")
        if mark != self.fingerprint:
            raise BadFile(
                f"{path}: the checkpoint is of a training with other options or other data, or of another version of"
                f" lodewell; {cure}"
            )
        self.module.load_state_dict(state["module"])
        self.average.load_state_dict(state["average"])
        self.best = state.get("best", {})
        self.optimiser.load_state_dict(state["optimiser"])
        self.history, self.steps = json.loads(state["history"]), state["steps"]
        self.resumed = len(self.history)

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        with atomic_path(path) as temporary:
            torch.save(self.state(), temporary)


def _floats(module: torch.nn.Module) -> list[Tensor]:
    """Return what is averaged: parameters, and what a batch normalisation has seen."""
    return [t.data for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]


def find_rate(task: Task, options: TrainOptions, seed: int, steps: int = 80) -> tuple[float, list[tuple[float, float]]]:
    """Raise the learning rate from 1e-6 to 0.3 until the loss leaves; returns a rate, and (rate, smoothed loss).

    The rate is a tenth of the one at which the loss is least.
    """
    member = Member(task, replace(options, ema=0.0), seed)
    member.module.train()
    curve: list[tuple[float, float]] = []
    smooth = 0.0
    batches = (indices for epoch in itertools.count() for indices in member.batches(epoch))
    for k, indices in enumerate(itertools.islice(batches, steps)):
        rate = 1e-6 * 3e5 ** (k / (steps - 1))
        try:
            loss = float(member.step(indices, rate))
        except NotANumber:
            break
        smooth = 0.8 * smooth + 0.2 * loss
        curve.append((rate, smooth / (1.0 - 0.8 ** (k + 1))))
        if curve[-1][1] > 3.0 * min(value for _, value in curve):
            break
    losses = np.array([value for _, value in curve])
    best = int(np.argmin(losses))
    return curve[best][0] / 10.0, curve


def train_member(
    task: Task,
    options: TrainOptions,
    number: int,
    run: Run,
    folder: Path | None = None,
    each_epoch: Listener | None = None,
) -> Member:
    """Train one network to its end, from its checkpoint in the folder if there is one.

    Raises:
        BadFile: when the checkpoint is of another training.
    """
    member = Member(task, options, options.seed + number)
    checkpoint = folder / f"member-{number}.checkpoint" if folder is not None else None
    if checkpoint is not None and checkpoint.exists() and not run.restart:
        member.restore(checkpoint)
    highest = options.lr
    if highest == "auto":
        highest = find_rate(task, options, member.seed)[0]
    before, total = (number, options.members) if options.member is None else (0, 1)
    while len(member.history) < options.epochs and not member.should_stop():
        line = member.epoch(float(highest))
        if checkpoint is not None:
            member.save(checkpoint)
        run.progress(STAGE, before * options.epochs + line["epoch"], total * options.epochs)
        if each_epoch is not None:
            each_epoch({"member": number, **line})
    member.finish()
    return member
