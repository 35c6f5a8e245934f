"""What a CIF says of its crystal beside the atoms, and whether the atoms agree."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ase.data import atomic_masses, atomic_numbers

from lodewell.crystals.elements import element_of
from lodewell.crystals.formats.cif.grammar import Block

SAME_SHARE = 0.02  # of an element's count
SAME_DENSITY = 0.05
SAME_VOLUME = 0.02
GRAMS = 1.66053906660  # g/cm^3 of one atomic mass unit per Å^3
PART = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)")
UNITS = ("_cell_formula_units_z", "_symmetry_formula_units_z", "_cell_formula_units")
DENSITIES = ("_exptl_crystal_density_diffrn", "_exptl_crystal_density_calc")


@dataclass(frozen=True)
class Statements:
    """What a block states; empty and 0 where it is silent.

    Attributes:
        formula: atoms of each element in a formula unit.
        units: formula units a cell (Z).
        density: g/cm^3.
        volume: of the cell, Å^3.
        text: the formula as it stands.
    """

    formula: Mapping[str, float]
    units: float
    density: float
    volume: float
    text: str

    def contradictions(self, counts: Mapping[str, float], volume: float) -> list[str]:
        """Return what speaks against a cell with `counts` atoms of each element and a volume in Å^3."""
        if self.volume and abs(volume / self.volume - 1) > SAME_VOLUME:
            return [f"the volume of its cell is {volume:.5g} Å^3, the file says {self.volume:.5g}"]
        if self.formula:
            found = self._of_formula(counts)
            if found or self.hydrogen_lost(counts):
                return found
        mass = sum(atomic_masses[atomic_numbers[element]] * count for element, count in counts.items())
        density = GRAMS * mass / volume if volume else 0.0
        if self.density and abs(density / self.density - 1) > SAME_DENSITY:
            return [f"the density of its atoms is {density:.3g} g/cm^3, the file says {self.density:.3g}"]
        return []

    def hydrogen_lost(self, counts: Mapping[str, float]) -> float:
        """Return how many atoms of hydrogen were never located, where all else agrees with the formula."""
        units = _units(_heavy(self.formula), _heavy(counts))
        lost = units * self.formula.get("H", 0.0) - counts.get("H", 0.0)
        return lost if lost > SAME_SHARE * units * self.formula.get("H", 0.0) else 0.0

    def _of_formula(self, counts: Mapping[str, float]) -> list[str]:
        lost = self.hydrogen_lost(counts)
        units = _units(_heavy(self.formula), _heavy(counts)) if lost else _units(self.formula, counts)
        if not units:
            return [f"its atoms make {_spelled(counts)}, the file's formula is {self.text}"]
        of_cell = abs(units - 1) < SAME_SHARE and _whole_units(self.formula) % max(self.units, 1) == 0  # pymatgen's way
        if self.units and not of_cell and abs(units / self.units - 1) > SAME_SHARE:
            return [f"its atoms make {units:g} formula units of {self.text} a cell, the file says {self.units:g}"]
        return []


def _heavy(counts: Mapping[str, float]) -> dict[str, float]:
    return {element: count for element, count in counts.items() if element != "H"}


def _units(formula: Mapping[str, float], counts: Mapping[str, float]) -> float:
    """Return how many formula units the counts are, 0 when they are something else."""
    if not formula or set(formula) != set(counts):
        return 0.0
    shares = [counts[element] / formula[element] for element in formula]
    mean = sum(shares) / len(shares)
    return mean if all(abs(share / mean - 1) < SAME_SHARE for share in shares) else 0.0


def _whole_units(formula: Mapping[str, float]) -> int:
    """Return how many reduced formulas a formula holds, 1 where its counts are not whole."""
    counts = list(formula.values())
    return max(1, math.gcd(*map(int, counts))) if all(count == int(count) for count in counts) else 1


def _spelled(counts: Mapping[str, float]) -> str:
    return "".join(f"{element}{'' if count == 1 else f'{count:g}'}" for element, count in counts.items())


def stated_by(block: Block) -> Statements:
    """Read what a block states."""
    text = " ".join(block.first("_chemical_formula_sum").split())
    return Statements(
        formula_of(text),
        _number(block.first(*UNITS)),
        _number(block.first(*DENSITIES)),
        _number(block.first("_cell_volume")),
        text,
    )


def _number(text: str) -> float:
    match = re.match(r"\d+\.?\d*|\.\d+", text)
    return float(match.group()) if match else 0.0


def formula_of(text: str) -> dict[str, float]:
    """Turn `Ca H4 O6 S` or `Fe0.5 Mn0.5 O` into counts; empty when it is no such formula."""
    counts: Counter[str] = Counter()
    for word in text.split():
        parts = PART.findall(word)
        if "".join(symbol + number for symbol, number in parts) != word:
            return {}
        for symbol, number in parts:
            element = element_of(symbol)
            if element is None:
                return {}
            counts[element] += float(number or 1)  # type: ignore[assignment]
    return {element: count for element, count in counts.items() if count}
