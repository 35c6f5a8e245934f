"""Options of training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lodewell.errors import BadOption

_LEAST = {"members": 1, "epochs": 1, "batch_size": 1, "threads": 1, "patience": 0, "seed": 0, "weight_decay": 0}
_SHARES = ("validation", "test", "warm_up", "ema")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How a model of properties is trained.

    Attributes:
        properties: What is learnt; keys of the crystals' info, or columns of the table.
        table: CSV with a column of ids and columns of properties, for crystals that carry none.
        id_key: Key of the crystals' info that is their id; else a usual one, else the name of the file.
        split: Key or column that says train, val or test; without it reduced formulas are shared out at random.
        validation: Share of the formulas kept for validation, without a split.
        test: Share of the formulas kept for the test, without a split.
        architecture: Network; `invariant` or `published`.
        settings: Settings of the network, such as width=64,layers=3.
        members: Networks of the ensemble, trained from seeds one apart.
        member: Train this one only (from 0), for several processes that share the work.
        epochs: Passes over the training crystals.
        batch_size: Crystals a step.
        lr: Largest learning rate, or `auto` to look for it first.
        warm_up: Share of the steps in which the learning rate rises; it falls as a cosine after.
        weight_decay: Weight decay of AdamW.
        clip: Largest norm of the gradient.
        ema: Memory of the moving average of the weights, which is what is validated and kept.
        patience: Stop after so many epochs without a better validation, and keep the best epoch; 0 never stops.
        weights: Weight of a property in the loss; 1 where nothing is said.
        device: `auto` takes a GPU where there is one.
        threads: Threads of torch on a CPU.
        seed: Seed of everything that is random.
        cache: Folder of the features; the user's cache folder by default.
        about: Where the data come from, under which licence, and what the values are, for the model's card.
    """

    properties: tuple[str, ...] = ()
    table: Path | None = None
    id_key: str | None = None
    split: str | None = None
    validation: float = 0.1
    test: float = 0.1
    architecture: str = "invariant"
    settings: Mapping[str, float | str] = field(default_factory=dict)
    members: int = 3
    member: int | None = None
    epochs: int = 100
    batch_size: int = 64
    lr: Literal["auto"] | float = 3e-3
    warm_up: float = 0.1
    weight_decay: float = 0.05
    clip: float = 1.0
    ema: float = 0.998
    patience: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 1
    seed: int = 0
    cache: Path | None = None
    about: str = ""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if not least <= getattr(self, name) < math.inf:
                raise BadOption(f"{name} is {getattr(self, name)}, but at least {least} is wanted")
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) < 1.0:
                raise BadOption(f"{name} is {getattr(self, name)}, but a share from 0 to below 1 is wanted")
        if not self.clip > 0.0:
            raise BadOption(f"clip is {self.clip}, but a number above 0 is wanted")
        if len(set(self.properties)) < len(self.properties):
            raise BadOption(f"a property is named twice in {', '.join(self.properties)}: name each once")
        if self.validation == 0.0 and self.split is None:
            raise BadOption("validation is 0: some formulas must be kept to see how far the training is")
        if self.lr != "auto" and not 0.0 < self.lr < 1.0:
            raise BadOption(f"lr is {self.lr}, but a number between 0 and 1, or auto, is wanted")
        if self.member is not None and not 0 <= self.member < self.members:
            raise BadOption(f"member is {self.member}, but the ensemble has the members 0 to {self.members - 1}")
        for name in self.weights:
            if name not in self.properties:
                raise BadOption(f"there is a weight for '{name}', which is none of the properties")
