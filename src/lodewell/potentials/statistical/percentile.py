"""Where the energy of a crystal stands among the known crystals of its chemistry."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from ase.data import atomic_numbers

from lodewell.crystals.chemistry import ANION_CLASSES, anion_of
from lodewell.potentials.statistical.statistical import Statistical

ENOUGH = 20  # known crystals below which a group says too little
_SLACK = 2e-6  # relative: energies of known crystals are kept in single precision


@dataclass(frozen=True)
class Percentile:
    """The share of known crystals whose energy is as low or lower: low values look most like known crystals.

    | field | meaning |
    |---|---|
    | `value` | 0 to 100 % |
    | `among` | who they are: the same element set such as "Li-O-P", else "oxides" and the like, else "all" |
    | `count` | how many they are |
    """

    value: float
    among: str
    count: int

    @property
    def label(self) -> str:
        """Say among whom: "Li-O-P (213 crystals)"."""
        return f"{self.among} ({self.count:,} crystals)"


def percentile(table: Statistical, energy_per_atom: float, numbers: Sequence[int] | Any) -> Percentile | None:
    """Rank an energy among the known crystals of the same element set: the percentage with a lower or equal one.

    Fewer than 20 of the same set: those of the same anion class (told from the elements alone); fewer than 20 of
    these: all. About 2 µs a call once the table has been seen. None when the table keeps no known energies, or the
    energy is not finite.

    Args:
        table: the statistical potential, which keeps the energies of the crystals it was made from.
        energy_per_atom: under this table, `energy_scale` included (eV).
        numbers: atomic numbers of the crystal.
    """
    ranks = _RANKS.get(table)
    if ranks is None:
        ranks = _RANKS[table] = _Ranks(table)
    return ranks.of(energy_per_atom, numbers)


class _Ranks:
    """The known energies (dimensionless), sorted, of each element set, each class, and all."""

    def __init__(self, table: Statistical) -> None:
        known = table.known
        self.scale = table.energy_scale
        energies = np.asarray(known.energy_x, dtype=np.float64)
        systems = [frozenset(atomic_numbers[s] for s in name.split("-")) for name in known.systems]
        classes = np.array([anion_of(s) for s in systems], dtype=np.int64)
        self.all = _Group("all", energies)
        order = np.argsort(known.system_x, kind="stable")
        bounds = np.searchsorted(known.system_x[order], np.arange(len(systems) + 1))
        self.by_system: dict[frozenset[int], _Group] = {}
        for k, elements in enumerate(systems):
            if bounds[k + 1] - bounds[k] >= ENOUGH:
                self.by_system[elements] = _Group(known.systems[k], energies[order[bounds[k] : bounds[k + 1]]])
        class_x = classes[known.system_x] if systems else np.zeros(0, np.int64)
        self.by_class = [
            _Group(f"{name}s" if name != "other" else "crystals without a common anion", energies[class_x == k])
            for k, name in enumerate(ANION_CLASSES)
        ]

    def of(self, energy: float, numbers: Sequence[int] | Any) -> Percentile | None:
        plain: Iterable[int] = numbers.tolist() if isinstance(numbers, np.ndarray) else numbers
        elements = frozenset(plain)
        group = self.by_system.get(elements)
        if group is None:
            group = self.by_class[anion_of(elements)]
            if len(group.energies) < ENOUGH:
                group = self.all
        return group.of(energy / self.scale)


class _Group:
    def __init__(self, name: str, energies: Any) -> None:
        self.name = name
        self.energies = array("d", np.sort(energies).tobytes())

    def of(self, energy: float) -> Percentile | None:
        count = len(self.energies)
        if not count or math.isnan(energy):
            return None
        lower = bisect_right(self.energies, energy + _SLACK * max(1.0, abs(energy)))
        return Percentile(100.0 * lower / count, self.name, count)


# Built once a table and dropped with it: relaxing asks for every one of ten thousand crystals.
_RANKS: WeakKeyDictionary[Statistical, _Ranks] = WeakKeyDictionary()
