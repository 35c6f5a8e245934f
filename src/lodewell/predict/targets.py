"""The properties that a network learns: their units, what is plausible, and how they are made numbers of order one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.errors import BadCrystal, BadOption

ELEMENTS = 119  # columns of a composition; column 0 stays empty
_RIDGE = 0.1  # crystals' worth of doubt in an element's reference
_LARGEST = 1e30  # beyond it, single precision overflows
_FAR = 100.0  # times what 95 % of the values of an unknown property stay below


@dataclass(frozen=True)
class Property:
    """What is known of a property by its name: `low` and `high` enclose nearly every honest value in `unit`.

    `others` are units that people mix it up with, each with what one of them is in `unit`.
    """

    unit: str
    low: float
    high: float
    logarithmic: bool = False
    others: Mapping[str, float] = field(default_factory=dict)
    title: str = ""


_ENERGY = {"kJ/mol": 0.010364, "kcal/mol": 0.043364, "meV/atom": 1e-3, "Ry/atom": 13.6057, "Ha/atom": 27.2114}
_MODULUS = {"eV/Å^3": 160.2177, "kbar": 0.1, "MPa": 1e-3, "Pa": 1e-9, "Mbar": 100.0}
PROPERTIES: Mapping[str, Property] = {
    "formation_energy_per_atom": Property("eV/atom", -5.0, 5.0, False, _ENERGY, "formation energy"),
    "e_above_hull": Property("eV/atom", 0.0, 6.0, False, _ENERGY, "energy above the hull"),
    "band_gap": Property("eV", 0.0, 18.0, False, {"meV": 1e-3, "Ha": 27.2114}, "band gap"),
    "K_vrh": Property("GPa", 0.3, 600.0, True, _MODULUS, "bulk modulus"),
    "G_vrh": Property("GPa", 0.3, 600.0, True, _MODULUS, "shear modulus"),
    "density": Property("g/cm^3", 0.1, 25.0, False, {"kg/m^3": 1e-3}, "density"),
    "volume_per_atom": Property("Å^3", 4.0, 150.0, True, {"bohr^3": 0.148185, "nm^3": 1e3}, "volume per atom"),
}


def known(name: str) -> Property | None:
    """Return what is known of a property; names of other label sets (`mp2018_band_gap`) end like the property's."""
    for key, found in PROPERTIES.items():
        if name == key or name.endswith(f"_{key}"):
            return found
    return None


def number(name: str, given: Any) -> float:
    """Return a property's value as a number, NaN where there is none: nothing, an empty cell, nan, a truth value.

    Raises:
        BadCrystal: for what cannot be learnt: other text, a number without bounds, a modulus that is not positive.
    """
    if given is None or given == "" or isinstance(given, (bool, np.bool_)):
        return math.nan
    try:
        value = float(given)
    except (TypeError, ValueError, OverflowError):
        raise BadCrystal(f"{name} is {str(given)[:40]!r}, which is no number; correct it or leave it out") from None
    if abs(value) > _LARGEST:
        raise BadCrystal(f"{name} is {value:g}, beyond all bounds; correct it or leave it out")
    found = known(name)
    if found is not None and found.logarithmic and value <= 0.0:
        raise BadCrystal(f"{name} is {value:g}, but it is learnt as a logarithm: correct what is not above 0")
    return value


def doubts(name: str, values_b: Floats, ids: Sequence[str]) -> list[str]:
    """Return sentences on what looks wrong in a property's values: another unit, or some that lie far outside."""
    if unit := doubt_unit(name, values_b):
        return [unit]
    found, there = known(name), np.isfinite(values_b)
    if found is not None:
        low, high = found.low, found.high
    else:
        high = _FAR * float(np.quantile(np.abs(values_b[there]), 0.95)) if there.any() else 0.0
        low = -high
    beyond_b = np.where(there, np.maximum(low - values_b, values_b - high), 0.0)
    outside, worst = int((beyond_b > 1e-9).sum()), int(beyond_b.argmax()) if len(beyond_b) else 0
    if outside == 0 or high == 0.0:
        return []
    unit = f" {found.unit}" if found is not None else ""
    return [
        f"{name}: {outside:,} of {int(there.sum()):,} values lie outside {low:.4g} to {high:.4g}{unit}, the furthest is"
        f" {values_b[worst]:.4g} of {ids[worst]}: check them"
    ]


def doubt_unit(name: str, values: Floats) -> str | None:
    """Return a sentence when the values of a property of known name look like ones of another unit, else None."""
    found, values = known(name), values[np.isfinite(values)]
    if found is None or len(values) == 0:
        return None

    def outside(factor: float) -> float:
        scaled = values * factor
        return float(np.mean((scaled < found.low - 1e-9) | (scaled > found.high)))

    largest = float(np.quantile(np.abs(values), 0.95))
    strange = outside(1.0) > 0.2 or (found.logarithmic and largest < found.low * 10.0)
    if not strange:
        return None
    fitting = sorted((outside(factor), abs(np.log(largest * factor / found.high)), unit)
                     for unit, factor in found.others.items())  # fmt: skip
    guess = f"; they would fit if they were in {fitting[0][2]}" if fitting and fitting[0][0] < 0.05 else ""
    return (
        f"{name} is expected in {found.unit}, between {found.low:g} and {found.high:g}, but 95 % of its values reach"
        f" {largest:.4g}{guess}: check the unit"
    )


@dataclass(frozen=True)
class Target:
    """One property, and how it is made a number of order one for the network.

    The network gives (t - reference·composition - shift) / scale, with t the value, or its log10 where `log`.

    | field | meaning |
    |---|---|
    | `reference_z` | what each element adds; (119,) |
    | `low`, `high` | range of the values trained on |
    """

    name: str
    unit: str
    log: bool
    reference_z: tuple[float, ...]
    shift: float
    scale: float
    low: float
    high: float

    @classmethod
    def fit(cls, name: str, values_b: Floats, composition_bz: Floats) -> Target:
        """Choose reference, shift and scale from the values that are there (NaN: not there).

        Raises:
            BadOption: when fewer than two values are there, or a modulus is not positive.
        """
        there = np.isfinite(values_b)
        if there.sum() < 2:
            raise BadOption(f"{name} has {int(there.sum())} values to train on: two are the least")
        found, values = known(name), values_b[there]
        log = bool(found and found.logarithmic)
        if log and values.min() <= 0.0:
            raise BadOption(f"{name} is fitted as a logarithm, but {int((values <= 0).sum())} values are not above 0")
        t, C = (np.log10(values) if log else values), composition_bz[there]
        shift = float(t.mean())
        reference = np.linalg.solve(C.T @ C + _RIDGE * np.eye(ELEMENTS), C.T @ (t - shift))
        scale = float((t - shift - C @ reference).std()) or float(t.std()) or 1.0
        unit = found.unit if found else ""
        return cls(name, unit, log, tuple(reference), shift, scale, float(values.min()), float(values.max()))

    def normalise(self, values_b: Floats, composition_bz: Floats) -> Floats:
        """Return what the network is to give."""
        t = np.log10(values_b) if self.log else values_b
        return np.asarray((t - composition_bz @ np.array(self.reference_z) - self.shift) / self.scale)

    def restore(self, raw_b: NDArray[np.floating[Any]], composition_bz: Floats) -> Floats:
        """Return values from what the network gives; never below 0 where none trained on was."""
        t = np.asarray(raw_b, np.float64) * self.scale + composition_bz @ np.array(self.reference_z) + self.shift
        values = 10.0**t if self.log else t
        return np.asarray(np.maximum(values, 0.0) if self.low >= 0.0 else values)

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers and words."""
        return asdict(self)


def composition(number_r: NDArray[Any], weight_r: NDArray[Any], crystal_r: NDArray[Any], count: int) -> Floats:
    """Return the share of each element in each crystal, from rows of orbits; (count, 119)."""
    out = np.zeros((count, ELEMENTS))
    np.add.at(out, (crystal_r, number_r), weight_r)
    return out
