"""Labels in wrong units or of the wrong sign: what they would look like, and which of them explains what was measured.

Three ratios can be measured, each 1 where all is well: energies over what forces say, stresses over what forces say,
energies over what stresses say. A label that is a factor off leaves a pattern in them that tells label and factor.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from ase.units import GPa

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.keys import LabelKeys

LEAST_MATCH = 0.75  # correlation
SIGNIFICANT = 6.0  # Student's t of the correlation
LARGEST_SPREAD = 0.35  # of a ratio, by leaving out a tenth of the frames in turn
OFF = 3.3  # a quick model, or strain to second order, is never so wrong: silicon has 1.7
TOLERANCE = {"forces": math.log(2.2), "stress": math.log(1.6)}  # of a ratio over these against one that a unit makes

NEARLY = 0.3  # explanations that fit so much worse than the best are named beside it, more where labels match less
CERTAIN = 0.95  # correlation from which on a ratio deserves a note although no unit explains it

HARTREE, RYDBERG, KCAL, KJ = 27.211386, 13.605693, 1 / 23.060548, 1 / 96.485332  # eV, the latter per mol
BOHR = 0.52917721  # Å
UNITS = {  # in eV, eV/Å and eV/Å^3
    "energy": (("Hartree", HARTREE), ("Rydberg", RYDBERG), ("kcal/mol", KCAL), ("kJ/mol", KJ)),
    "forces": (("Hartree/Bohr", HARTREE / BOHR), ("Rydberg/Bohr", RYDBERG / BOHR), ("kcal/mol/Å", KCAL),
               ("kJ/mol/Å", KJ)),
    "stress": (("GPa", GPa), ("kbar", 0.1 * GPa), ("Rydberg/Bohr^3", RYDBERG / BOHR**3),
               ("Hartree/Bohr^3", HARTREE / BOHR**3)),
}  # fmt: skip
SHEARS = ("yz", "xz", "xy")
ORDERS: dict[tuple[str, ...], str] = {
    ("xy", "yz", "xz"): "VASP's order xx yy zz xy yz zx",
    ("xy", "xz", "yz"): "the order xx yy zz xy xz yz",
}


@dataclass(frozen=True)
class Ratio:
    """One label over what another says of it, and how sure that is.

    above, below: the labels, "energy", "forces" or "stress". spread: relative, when a tenth is left out. match: their
    correlation. count: of frames or pairs. volume: of a typical cell, Å^3.
    """

    above: str
    below: str
    value: float
    spread: float
    match: float
    count: int
    volume: float

    @property
    def sure(self) -> bool:
        """Whether it can be relied on."""
        return (
            abs(self.match) >= LEAST_MATCH
            and abs(self.match) * math.sqrt(self.count) >= SIGNIFICANT * math.sqrt(max(1.0 - self.match**2, 0.0))
            and self.count >= 3
            and self.spread <= LARGEST_SPREAD
            and math.isfinite(self.value)
            and self.value != 0.0
        )

    @property
    def fine(self) -> bool:
        """Whether the labels agree as well as can be told."""
        return 1.0 / OFF < self.value < OFF

    def misfit(self, faults: tuple[Fault, ...]) -> float:
        """Return how far it is from what these faults make of it, 1 at the limit of what can be believed."""
        wanted = 1.0
        for fault in faults:
            wanted *= fault.factor(self.volume) ** ((fault.label == self.above) - (fault.label == self.below))
        if self.value * wanted <= 0.0:
            return math.inf
        return abs(math.log(self.value / wanted)) / TOLERANCE[self.below]

    def __str__(self) -> str:
        verb = {"energy": "energies change {} times as much as {} say", "stress": "stresses are {} times what {} imply"}
        seen = f"{self.count} {'frames' if self.below == 'forces' else 'pairs of strained frames'}"
        below = "forces" if self.below == "forces" else "stresses"
        return f"{verb[self.above].format(f'{self.value:.3g}', below)} ({seen})"


@dataclass(frozen=True)
class Fault:
    """A label that is `scale` volume^`power` times what it should be, what that is called, and the cure."""

    label: str
    scale: float
    what: str
    cure: str
    power: int = 0

    def factor(self, volume: float) -> float:
        """Return how many times too large the label is in a cell of this volume (Å^3)."""
        return float(self.scale * volume**self.power)


def contradiction(found: Iterable[Ratio | None], order: tuple[str, ...], names: LabelKeys) -> str | None:
    """Say which label is in another unit or of another sign, and the cure; None where all agree or too little is known.

    order: the components that stand in the places of yz, xz and xy, where that is not those. names: in the file.
    """
    ratios = _sure(found)
    if all(ratio.fine for ratio in ratios):
        return _disorder(order, names) if order else None
    faults = _faults(names)
    for count in range(1, min(len(ratios), 2) + 1):  # three labels make two ratios that are independent
        explained = [(misfit, some) for some in _sets(faults, count) if (misfit := _misfit(some, ratios)) < 1.0]
        if explained:
            return _words(sorted(explained, key=lambda item: item[0]), ratios, names)
    return None


def disagreement(found: Iterable[Ratio | None]) -> str | None:
    """Say that labels do not agree where no unit explains it."""
    off = [str(ratio) for ratio in _sure(found) if not ratio.fine and abs(ratio.match) > CERTAIN]
    return f"{', '.join(off)}, and no unit explains it; look at both" if off else None


def _sure(found: Iterable[Ratio | None]) -> list[Ratio]:
    return [ratio for ratio in found if ratio is not None and ratio.sure]


def _sets(faults: list[Fault], count: int) -> Iterable[tuple[Fault, ...]]:
    for some in itertools.combinations(faults, count):
        if len({fault.label for fault in some}) == count:
            yield some


def _misfit(faults: tuple[Fault, ...], ratios: list[Ratio]) -> float:
    """Return how far ratios are from what faults make of them; infinite where one of the faults leaves no trace."""
    if any(all(fault.label not in (ratio.above, ratio.below) for ratio in ratios) for fault in faults):
        return math.inf
    each = [ratio.misfit(faults) for ratio in ratios]
    return math.inf if max(each) >= 1.0 else math.sqrt(sum(x * x for x in each) / len(each))


def _faults(names: LabelKeys) -> list[Fault]:
    virial = bool(names.virial and not names.stress)
    out = [
        Fault("forces", -1.0, "of the wrong sign (the gradient of the energy)", "multiply by -1"),
        Fault("energy", -1.0, "of the wrong sign", "multiply by -1"),
        *(_virials() if virial else _stresses(names.stress or "stress")),
    ]
    for label, units in UNITS.items():
        for name, unit in units if label != "stress" or not virial else ():
            cure = f"multiply by {unit:.6g}" if unit > 1.0 else f"divide by {1.0 / unit:.6g}"
            out.append(Fault(label, 1.0 / unit, f"in {name}", cure))
            if label == "stress":
                out.append(Fault(label, -1.0 / unit, f"in {name} and of the wrong sign", cure.replace(" by ", " by -")))
    return out


def _stresses(key: str) -> list[Fault]:
    return [
        Fault("stress", -1.0, "of the wrong sign", "positive under tension is wanted, so multiply by -1"),
        Fault("stress", -1.0, "a virial (eV)", f"give it as --virial-key {key}, or divide by minus the volume", 1),
        Fault("stress", 1.0, "the stress times the volume (eV)", "divide by the volume of the cell", 1),
    ]


def _virials() -> list[Fault]:
    return [
        Fault("stress", -1.0, "of the wrong sign", "minus stress times volume is wanted, so multiply by -1"),
        Fault("stress", -1.0, "a stress (eV/Å^3)", "give it as --stress-key", -1),
        Fault("stress", 1.0, "minus the stress (eV/Å^3)", "multiply by the volume of the cell", -1),
    ]


def _words(explained: list[tuple[float, tuple[Fault, ...]]], ratios: list[Ratio], names: LabelKeys) -> str:
    least = explained[0][0] + 2.0 * (1.0 - min(abs(ratio.match) for ratio in ratios))
    texts = [_named(faults, names) for misfit, faults in explained[:3] if misfit < least + NEARLY]
    return f"labels contradict each other: {', '.join(map(str, ratios))}. {'; or '.join(texts)}"


def _named(faults: tuple[Fault, ...], names: LabelKeys) -> str:
    keys = {"energy": names.energy or "energy", "forces": names.forces or "forces",
            "stress": names.stress or names.virial or "stress"}  # fmt: skip
    return " and ".join(f"'{keys[fault.label]}' seems to be {fault.what}: {fault.cure}" for fault in faults)


def _disorder(order: tuple[str, ...], names: LabelKeys) -> str:
    key = names.stress or names.virial or "stress"
    name = ORDERS.get(order, f"the order xx yy zz {' '.join(order)}")
    return (
        f"the shears of '{key}' are not those of forces and strains: they seem to stand in {name};"
        " write xx yy zz yz xz xy, or nine numbers"
    )


def shear_order(cross_kk: Floats) -> tuple[str, ...]:
    """Return which components stand in the places of yz, xz and xy, "" where they are those, or nothing is clear.

    cross_kk: likeness of each given component (row) with each true one, (3, 3), of correlations or moduli.
    """
    total = {perm: sum(float(cross_kk[k, m]) for k, m in enumerate(perm)) for perm in itertools.permutations(range(3))}
    best = max(total, key=lambda perm: abs(total[perm]))
    others = max(abs(value) for perm, value in total.items() if perm != best)
    if best == (0, 1, 2) or abs(total[best]) < 1.5 * others or total[best] <= 0.0:
        return ()
    return tuple(SHEARS[k] for k in best)
