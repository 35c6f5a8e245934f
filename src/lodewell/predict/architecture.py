"""What a network is to everything around it: arrays of a crystal go in, one number a target comes out.

Features, cache, training and prediction know an architecture by this alone. To add one, write its features (without
torch) and its module, and add the class to `ARCHITECTURES`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.errors import BadOption, did_you_mean

if TYPE_CHECKING:
    import torch

Arrays = dict[str, NDArray[Any]]

ARCHITECTURES: Mapping[str, str] = {
    "invariant": "lodewell.predict.invariant:InvariantNetwork",
    "published": "lodewell.predict.published:PublishedNetwork",
}


@dataclass(frozen=True)
class Field:
    """One array of a crystal's features, and how those of several crystals become one.

    | field | meaning |
    |---|---|
    | `axis` | what its rows are: `crystal` (one row), `orbit`, `pair` ... Crystals are put one after the other |
    | `refers` | for integers: the axis whose rows they count from the crystal's first; in a batch from the batch's |
    """

    axis: str
    refers: str | None = None


def _setting(name: str, given: Any, default: Any, least: int) -> Any:
    """Return a setting as what its default is: a word, a whole number from the least on, or a share below 1."""
    if isinstance(default, str):
        return str(given)
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(default, int):
        if value >= least and value.is_integer():
            return int(value)
        raise BadOption(f"{name} is {given!r}, but a whole number from {least} on is wanted")
    if 0.0 <= value < 1.0:
        return value
    raise BadOption(f"{name} is {given!r}, but a share from 0 to below 1 is wanted")


class Architecture(ABC):
    """A network with its features. `settings` are plain numbers and words, so that a model file can hold them.

    Every architecture has the fields `number` (atomic number) and `weight` (share of the crystal's atoms), both on the
    axis `orbit`: symmetry-equivalent atoms stand once.

    | attribute | meaning |
    |---|---|
    | `name` | its word in `ARCHITECTURES` |
    | `version` | counts changes of its features or its module: old caches and old models are refused by it |
    | `fields` | its arrays |
    | `may_be_zero` | the whole numbers among its settings that need not be 1 at least |
    | `settings` | what its module and its features depend on |
    | `feature_settings` | the part of them that the features depend on, with `version` the key of the cache |
    """

    name: ClassVar[str]
    version: ClassVar[int]
    fields: ClassVar[Mapping[str, Field]]
    may_be_zero: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, **settings: Any) -> None:
        known = self.defaults()
        for key in settings:
            if key not in known:
                raise BadOption(f"the architecture {self.name} has no setting '{key}'{did_you_mean(key, known)}")
        self.settings: dict[str, Any] = {
            key: _setting(key, settings.get(key, default), default, 0 if key in self.may_be_zero else 1)
            for key, default in known.items()
        }

    @classmethod
    @abstractmethod
    def defaults(cls) -> dict[str, Any]:
        """Return every setting with its default."""

    @property
    @abstractmethod
    def feature_settings(self) -> dict[str, Any]:
        """Return the settings that the features depend on."""

    @abstractmethod
    def features(self, atoms: Atoms) -> Arrays:
        """Return the arrays of one crystal; floats are float32, integers int32.

        Raises:
            BadCrystal: when the crystal is not periodic in three directions, or has coincident atoms.
        """

    @abstractmethod
    def surroundings(self, arrays: Arrays) -> NDArray[np.floating[Any]]:
        """Return how many atoms stand how far from an atom, on the crystal's average; (S,), none below 0."""

    @abstractmethod
    def module(self, targets: int) -> torch.nn.Module:
        """Return the network, freshly initialised from torch's generator.

        Its `forward(batch)` gives (B, targets); `embed(batch)` the (B, D) that its last layers read.
        `batch` holds the fields as tensors and, for each axis, `crystal_of_<axis>`, the crystal of each row.
        """


def make_architecture(name: str, settings: Mapping[str, Any] | None = None) -> Architecture:
    """Make an architecture by name.

    Raises:
        BadOption: for a name or a setting that is unknown.
    """
    if name not in ARCHITECTURES:
        raise BadOption(
            f"there is no architecture '{name}'{did_you_mean(name, ARCHITECTURES)}; known are"
            f" {', '.join(ARCHITECTURES)}"
        )
    module, _, cls = ARCHITECTURES[name].partition(":")
    made: Architecture = getattr(import_module(module), cls)(**(settings or {}))
    return made


def collate(fields: Mapping[str, Field], crystals: list[Arrays]) -> Arrays:
    """Put the features of crystals one after the other and shift what counts rows; adds `crystal_of_<axis>`."""
    rows: dict[str, list[int]] = {"crystal": [1] * len(crystals)}
    for name, field in fields.items():
        rows.setdefault(field.axis, [len(arrays[name]) for arrays in crystals])
    start = {axis: np.concatenate([[0], np.cumsum(counts)[:-1]]) for axis, counts in rows.items()}
    batch: Arrays = {}
    for name, field in fields.items():
        parts = [arrays[name] for arrays in crystals]
        batch[name] = np.concatenate(parts)
        if field.refers is not None:
            shifts = np.repeat(start[field.refers], rows[field.axis])
            batch[name] = batch[name].astype(np.int64) + shifts.reshape(-1, *[1] * (batch[name].ndim - 1))
    for axis, counts in rows.items():
        batch[f"crystal_of_{axis}"] = np.repeat(np.arange(len(crystals)), counts)
    return batch
