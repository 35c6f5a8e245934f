"""Rows of a report: a number, its unit, and whether it is as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from lodewell.judge.check import observed
from lodewell.judge.check.clusters import Dimer, Trimer
from lodewell.judge.check.dynamics import Dynamics
from lodewell.judge.check.elastic import ElasticConstants
from lodewell.judge.check.equation_of_state import EquationOfState
from lodewell.judge.check.phonons import Phonons
from lodewell.judge.check.prototypes import Prototype
from lodewell.judge.check.units import Units
from lodewell.potentials.check import Violation

Verdict: TypeAlias = Literal["ok", "look", "bad", "skipped"]
WORST_FIRST: tuple[Verdict, ...] = ("bad", "look", "ok", "skipped")

_LATTICE = (0.03, 0.12)  # relative errors of a lattice constant from which on one should look, and it is bad
_MODULUS = (0.25, 1.0)  # relative errors of an elastic constant from which on one should look, and it is bad
_SAME_MODULUS = 0.03  # between the curve of energies and the elastic constants
_SLOPES = (1.5, 10.0)  # what dB/dp is for crystals
_SOFT_WALL = 0.6  # of the distance at the well: the wall should there be higher than
_WALL = 1.0  # times the depth of the well
_DRIFT = (1e-3, 1e-2)  # of k_B T, a ps and atom
_EXTREMA = 4  # of an angle curve
_MELTED = 0.4  # of the nearest distance: atoms that moved farther no longer sit on sites


@dataclass(frozen=True)
class Row:
    """One finding.

    | field | meaning |
    |---|---|
    | `part` | "laws", "pairs", "angles", "structures", "equation of state", "elastic", "phonons" or "hot run" |
    | `about` | crystal, pair or triple |
    | `quantity`, `value`, `unit` | what was computed; `value` is None where a text says it all |
    | `verdict` | ok, look (a person should), bad (it will hurt), skipped |
    | `note` | why, and what else is to be known |
    | `reference` | what is known from experiment, in the same unit |
    """

    part: str
    about: str
    quantity: str
    value: float | None
    unit: str
    verdict: Verdict
    note: str = ""
    reference: float | None = None

    def row(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def of_laws(violations: Sequence[Violation]) -> list[Row]:
    """Judge what `check_potential` has found: a broken law is bad."""
    if not violations:
        return [
            Row("laws", "", "laws broken", 0.0, "", "ok", "F = -dE/dx, stress = dE/dstrain / V, invariances, cutoff")
        ]
    worst: dict[str, Violation] = {}
    for v in violations:
        if v.law not in worst or v.error > worst[v.law].error:
            worst[v.law] = v
    return [
        Row("laws", v.crystal, v.law, v.error, "relative", "bad", f"at most {v.allowed:.1e} is allowed")
        for v in worst.values()
    ]


def of_dimer(d: Dimer, units: Units) -> list[Row]:
    """Judge the curve of a pair: a hole in the wall is bad; a soft wall and several wells need a look."""
    verdict, notes = _wall(d)
    if len(d.wells) > 1:
        verdict = "look" if verdict == "ok" else verdict
        notes.append("several wells, at " + ", ".join(f"{r:.2f}" for r in d.wells[:4]) + " Å")
    if d.r_min is None:
        if verdict == "ok":
            notes.append("no well: the two repel each other, or do not interact, at all distances")
        return [Row("pairs", d.pair, "depth of the well", 0.0, units.energy, verdict, "; ".join(notes))]
    notes.insert(0, f"at {d.r_min:.3f} Å")
    return [Row("pairs", d.pair, "depth of the well", d.depth, units.energy, verdict, "; ".join(notes))]


def _wall(d: Dimer) -> tuple[Verdict, list[str]]:
    if not np.isfinite(d.energy_k).all():
        return "bad", [f"the energy is not finite inside {d.hole:.2f} Å"]
    if not d.energy_k.any():
        return "ok", []
    if d.hole is not None:
        top = float(d.energy_k.max())
        deep = float(d.energy_k[d.r_k < d.hole].min())
        hurts = deep < top - max(0.5 * abs(top), 2.0 * d.depth)
        return "bad" if hurts else "look", [f"no wall inside {d.hole:.2f} Å: atoms attract each other there (add ZBL)"]
    if d.r_min is not None and d.depth > 0.0:
        at = float(np.interp(_SOFT_WALL * d.r_min, d.r_k, d.energy_k))
        if at < _WALL * d.depth:
            return "look", [f"soft wall: {at:.2g} at {_SOFT_WALL * d.r_min:.2f} Å"]
    return "ok", []


def of_trimer(t: Trimer, units: Units) -> list[Row]:
    """Judge an angle curve: it must be finite, and not wave."""
    if not np.isfinite(t.energy_sk).all():
        return [Row("angles", t.name, "three-body energy", None, units.energy, "bad", "not finite")]
    size = float(np.abs(t.energy_sk).max())
    if size < 1e-9:
        return [Row("angles", t.name, "three-body energy", 0.0, units.energy, "ok", "nothing beyond pairs")]
    turns = max(_extrema(curve, 0.02 * size) for curve in t.energy_sk)
    lowest = float(t.angle_k[np.argmin(t.energy_sk[len(t.bond_s) // 2])])
    note = f"lowest at {lowest:.0f}°, bonds of {t.bond_s[len(t.bond_s) // 2]:.2f} Å"
    if turns > _EXTREMA:
        return [Row("angles", t.name, "three-body energy, largest", size, units.energy, "look",
                    f"{note}; it turns {turns} times")]  # fmt: skip
    return [Row("angles", t.name, "three-body energy, largest", size, units.energy, "ok", note)]


def _extrema(curve: np.ndarray[Any, np.dtype[np.float64]], least: float) -> int:
    """Count turns of a curve, those smaller than `least` left out."""
    count, direction, extreme = 0, 0, float(curve[0])
    for value in curve.tolist():
        if (direction >= 0 and value > extreme) or (direction <= 0 and value < extreme):
            if direction == 0 and abs(value - extreme) > least:
                direction = 1 if value > extreme else -1
                extreme = value
            elif direction != 0:
                extreme = value
        elif abs(value - extreme) > least:
            count, direction, extreme = count + 1, -direction or 1, value
    return count


def of_structures(found: Sequence[Prototype], units: Units) -> list[Row]:
    """Judge the order of common structures, and lattice constants of elements against experiment."""
    rows = []
    for formula in dict.fromkeys(p.formula for p in found):
        here = [p for p in found if p.formula == formula]
        bound = sorted((p for p in here if p.above is not None), key=lambda p: p.above or 0.0)
        if not bound:
            # A potential of compounds need not hold their elements together; one that holds nothing is bad.
            nothing = all(p.above is None for p in found)
            names = ", ".join(p.name for p in here)
            said = f"none of {names} is bound: {here[0].message}" if here[1:] else f"{names} is not bound"
            rows.append(Row("structures", formula, "lowest energy", None, "", "bad" if nothing else "look", said))
            continue
        rows.append(_lowest(formula, here, bound, units))
        for p in bound:
            for name, known in (p.observed or {}).items():
                value = (p.lattice or {})[name]
                off = abs(value / known - 1.0)
                verdict: Verdict = "ok" if off < _LATTICE[0] else "look" if off < _LATTICE[1] else "bad"
                rows.append(Row("structures", p.title, f"lattice constant {name}", value, "Å", verdict,
                                f"{100 * (value / known - 1.0):+.1f} %", known))  # fmt: skip
    return rows


def _little(energy: float | None, units: Units) -> str:
    """Write a small energy an atom."""
    if units.energy == "eV":
        return f"{1e3 * (energy or 0.0):.1f} meV/atom"
    return f"{energy or 0.0:.3f} {units.energy}/atom"


def _lowest(formula: str, here: list[Prototype], bound: list[Prototype], units: Units) -> Row:
    best = bound[0]
    apart = f"{_little(bound[1].above, units)} below {bound[1].name}" if bound[1:] else ""
    unbound = [p.name for p in here if p.above is None]
    notes = [f"{best.name}, {apart}" if apart else best.name]
    verdict: Verdict = "ok"
    real = next((p for p in bound if p.observed), None)
    if real is not None and (real.above or 0.0) > 1e-3 * abs(best.energy_per_atom or 1.0):
        verdict = "look"
        notes.append(f"found in nature: {real.name}, here {_little(real.above, units)} higher")
    if unbound:
        verdict = "look"
        notes.append(f"not bound: {', '.join(unbound)}")
    return Row("structures", formula, "lowest energy", best.energy_per_atom, f"{units.energy}/atom", verdict,
               "; ".join(notes))  # fmt: skip


def of_equation(p: Prototype, e: EquationOfState, units: Units) -> list[Row]:
    """Judge energy against volume: one well, and a sane modulus and slope."""
    others = [v for v in p.wells() if abs(v / e.volume - 1.0) > 0.06]
    notes = [f"at {e.volume:.2f} Å³/atom, dB/dp = {e.slope:.1f}"]
    verdict: Verdict = "ok"
    if not _SLOPES[0] < e.slope < _SLOPES[1]:
        verdict = "look"
        notes.append(f"dB/dp is between {_SLOPES[0]:g} and {_SLOPES[1]:g} in crystals")
    if others:
        assert p.volume_k is not None
        assert p.energy_k is not None
        deepest = min(float(np.interp(v, p.volume_k, p.energy_k)) for v in others)
        deeper = deepest < e.energy - 1e-3 * abs(e.energy)
        verdict = "bad" if deeper else "look"
        notes.append("another well at " + ", ".join(f"{v:.1f}" for v in others[:3]) + " Å³/atom"
                     + (", and deeper" if deeper else ""))  # fmt: skip
    value = e.modulus * units.per_pressure
    row = Row("equation of state", p.title, "bulk modulus", value, units.pressure, verdict, "; ".join(notes))
    return [_with_reference(row, _known(p, units).get("bulk modulus"))]


def of_elastic(p: Prototype, c: ElasticConstants, e: EquationOfState | None, units: Units) -> list[Row]:
    """Judge elastic constants: every strain must cost energy, and the bulk modulus must be that of the energies."""
    about, known = p.title, _known(p, units)
    averages = c.averages()
    verdict: Verdict = "ok" if c.stable else "bad"
    rows = []
    independent = c.constants()
    if len(independent) < 7:
        for name, value in independent.items():
            clamped = float(c.clamped_vv[int(name[1]) - 1, int(name[2]) - 1]) * units.per_pressure
            note = f"{clamped:.1f} with atoms clamped" if abs(clamped - value * units.per_pressure) > 0.05 else ""
            row = Row("elastic", about, name, value * units.per_pressure, units.pressure, verdict, note)
            rows.append(_with_reference(row, known.get(name)))
    if not c.stable:
        return [*rows, Row("elastic", about, "softest strain", c.softest * units.per_pressure, units.pressure, "bad",
                           "unstable: a strain lowers the energy")]  # fmt: skip
    note, agreed = "", verdict
    if e is not None and abs(averages["bulk_reuss"] / e.modulus - 1.0) > _SAME_MODULUS:
        agreed, note = "look", f"the equation of state says {e.modulus * units.per_pressure:.1f}"
    if len(independent) > 6:
        rows.append(Row("elastic", about, "bulk modulus (Hill)", averages["bulk"] * units.per_pressure, units.pressure,
                        agreed, note))  # fmt: skip
    elif note:
        rows.append(Row("elastic", about, "bulk modulus (Reuss)", averages["bulk_reuss"] * units.per_pressure,
                        units.pressure, agreed, note))  # fmt: skip
    rows.append(Row("elastic", about, "shear modulus (Hill)", averages["shear"] * units.per_pressure, units.pressure,
                    verdict))  # fmt: skip
    return rows


def _known(p: Prototype, units: Units) -> dict[str, float]:
    """Return measured elastic constants, if this is the structure in which the element is found."""
    if p.atoms is None or p.observed is None or units.pressure != "GPa":
        return {}
    return observed.elastic(int(p.atoms.numbers[0]))


def _with_reference(row: Row, known: float | None) -> Row:
    """Compare a modulus with experiment: far off needs a look."""
    if known is None or row.value is None:
        return row
    off = row.value / known - 1.0
    verdict: Verdict = "bad" if abs(off) > _MODULUS[1] else "look" if abs(off) > _MODULUS[0] else "ok"
    verdict = min(verdict, row.verdict, key=WORST_FIRST.index)
    note = f"{100.0 * off:+.0f} %" + (f"; {row.note}" if row.note else "")
    return replace(row, reference=known, verdict=verdict, note=note)


def of_phonons(about: str, p: Phonons, units: Units) -> list[Row]:
    """Judge phonons: imaginary modes mean that the crystal would leave this structure by itself."""
    note = f"up to {p.highest:.1f}; {p.supercell} atoms in the supercell"
    if p.real:
        return [Row("phonons", about, "lowest frequency", p.lowest, units.frequency, "ok", note)]
    share = 100.0 * p.imaginary
    return [Row("phonons", about, "lowest frequency", p.lowest, units.frequency, "bad" if share > 0.1 else "look",
                f"imaginary: {share:.2g} % of all modes; {note}")]  # fmt: skip


def of_dynamics(about: str, d: Dynamics, units: Units) -> list[Row]:
    """Judge the hot run: it must hold, and conserve energy."""
    at = f"{d.wanted * units.per_temperature:,.0f} K" if units.temperature == "K" else f"{d.wanted:.3g} {units.energy}"
    if d.blown_up:
        return [
            Row("hot run", about, "held together", None, "", "bad", f"{d.blown_up}; heated to {at}, {d.atoms} atoms")
        ]
    length = float(d.time_k[-1])
    share = abs(d.drift) / d.wanted
    verdict: Verdict = "ok" if share < _DRIFT[0] else "look" if share < _DRIFT[1] else "bad"
    temperature = float(np.mean(d.kinetic_k)) * units.per_temperature
    left = ", they left their sites" if d.moved > _MELTED * d.spacing else ""
    return [
        Row("hot run", about, "temperature", temperature, units.temperature, "ok",
            f"heated to {at}, then {length:.1f} {units.time} at constant energy; {d.atoms} atoms, moved "
            f"{d.moved:.2f} Å{left}; contacts down to {100 * d.nearest:.0f} % of those at rest"),
        Row("hot run", about, "drift of the energy", 1e6 * d.drift, f"µ{units.energy}/atom/{units.time}", verdict,
            f"{share:.1e} of k_B T; noise {1e6 * d.noise:.0f} µ{units.energy}/atom; steps of {d.step:.1f} fs"),
    ]  # fmt: skip
