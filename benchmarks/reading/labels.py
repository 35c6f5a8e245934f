"""Which faults of labels are recognised: every labelled set as it is, and with each fault put in; a few minutes.

`python -m benchmarks.reading.labels [NAME ...]`: only sets with NAME in their name. In the table, `yes` is the right
label and the right fault named first, `also` named beside another, `wrong` refused with another fault only, `note` a
note, `–` silence. The row of a set as it is must be silent: `ALARM` is a false one. Small sets labelled by ASE's EMT
join in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from benchmarks.harness import DATA, one_thread, report

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.calculators.emt import EMT  # noqa: E402
from ase.units import Bohr, GPa, Hartree, Rydberg, kcal, kJ, mol  # noqa: E402

from lodewell.crystals.labels.consistency import Consistency  # noqa: E402
from lodewell.crystals.labels.keys import LabelKeys  # noqa: E402
from lodewell.crystals.labels.read import Labelled, read_labels  # noqa: E402

Frames = list[Labelled]
FOLDERS = ("mlearn", "alloys", "silicon-random", "boron-random", "carbon-random", "molecular", "crystals")
MOST = 3000  # frames of a file
VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
SIX = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
UNITS = {
    "energy": {"Hartree": Hartree, "Rydberg": Rydberg, "kcal/mol": kcal / mol, "kJ/mol": kJ / mol, "wrong sign": -1.0},
    "forces": {"Hartree/Bohr": Hartree / Bohr, "Rydberg/Bohr": Rydberg / Bohr, "kcal/mol/Å": kcal / mol,
               "kJ/mol/Å": kJ / mol, "wrong sign": -1.0},
    "stress": {"GPa": GPa, "kbar": 0.1 * GPa, "Hartree/Bohr^3": Hartree / Bohr**3, "wrong sign": -1.0,
               "GPa and of the wrong sign": -GPa, "kbar and of the wrong sign": -0.1 * GPa},
}  # fmt: skip


def times(frame: Labelled, label: str, factor: float) -> Labelled:
    """Return a frame with one label times a factor."""
    field = {"energy": "energy", "forces": "forces_nc", "stress": "stress_cc"}[label]
    value = getattr(frame, field)
    return frame if value is None else replace(frame, **{field: value * factor})


def disordered(frame: Labelled, places: list[int]) -> Labelled:
    """Return a frame whose stress was written in another order of Voigt components."""
    if frame.stress_cc is None:
        return frame
    given = np.array([frame.stress_cc[i] for i in SIX])[places]
    return replace(frame, stress_cc=given[VOIGT])


def faults() -> dict[str, tuple[str, str, Callable[[Labelled], Labelled]]]:
    """Return for each fault the label, words that must stand in the refusal, and what makes it."""
    out: dict[str, tuple[str, str, Callable[[Labelled], Labelled]]] = {}
    for label, units in UNITS.items():
        for name, unit in units.items():
            words = (
                f"'{label}' seems to be of the wrong sign"
                if name == "wrong sign"
                else f"'{label}' seems to be in {name}:"
            )
            out[f"{label} {name}"] = (label, words, lambda f, label=label, unit=unit: times(f, label, 1.0 / unit))
    out["virial as stress"] = (
        "stress", "'stress' seems to be a virial", lambda f: times(f, "stress", -f.atoms.get_volume())
    )  # fmt: skip
    out["order of VASP"] = ("stress", "VASP's order", lambda f: disordered(f, [0, 1, 2, 5, 3, 4]))
    out["order xy xz yz"] = ("stress", "order xx yy zz xy xz yz", lambda f: disordered(f, [0, 1, 2, 5, 4, 3]))
    return out


def sets(wanted: list[str]) -> Iterator[tuple[str, Frames]]:
    """Yield every set of labelled frames by name."""
    for folder in FOLDERS:
        for path in sorted((DATA / folder).glob("*.extxyz*")):
            name = f"{folder}/{path.name.partition('.')[0]}"
            if not wanted or any(word in name for word in wanted):
                frames: Frames = []
                for frame in read_labels(path, refused=[]):
                    frames.append(frame)
                    if len(frames) >= MOST:
                        break
                if frames:
                    yield name, frames
    for name, frames in made():
        if not wanted or any(word in name for word in wanted):
            yield name, frames


def made() -> Iterator[tuple[str, Frames]]:
    """Yield small sets of two and three elements: ordered and random, strained by 3 %, rattled, or both."""
    rng = np.random.default_rng(7)
    ordered = bulk("Cu", a=3.7, cubic=True)
    ordered.numbers[0] = 13
    layered = bulk("Ni", a=3.7, cubic=True)
    layered.numbers[:2] = 13
    for name, cell in {"Cu3Al": ordered, "NiAl layers": layered, "Cu3Al x2": ordered * (2, 1, 1)}.items():
        for kind, strain, rattle in (("strained", 0.03, 0.0), ("strained, rattled", 0.03, 0.1), ("rattled", 0.0, 0.1)):
            for count in (12, 30):
                yield f"EMT/{name}, {kind}, {count}", [_made(cell, rng, strain, rattle, k) for k in range(count)]
    for elements in ((29, 13), (29, 13, 28)):
        frames = []
        for k in range(30):
            cell = bulk("Cu", a=3.8, cubic=True) * (2, 2, 1)
            cell.numbers[:] = rng.choice(elements, len(cell))
            frames.append(_made(cell, rng, 0.03, 0.1, k))
        yield f"EMT/random, {len(elements)} elements, 30", frames
        yield f"EMT/random, {len(elements)} elements, 30, no stress", [replace(f, stress_cc=None) for f in frames]


def _made(cell: Atoms, rng: Any, strain: float, rattle: float, k: int) -> Labelled:
    atoms = cell.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0.0, strain, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0.0, rattle, (len(atoms), 3))
    atoms.calc = EMT()
    energy, forces_nc, stress_cc = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)
    return Labelled(atoms, energy, forces_nc, stress_cc, file="made", frame=k)


def verdict(frames: Frames) -> tuple[str | None, list[str]]:
    """Return refusal and notes."""
    consistency = Consistency()
    for frame in frames:
        consistency.add(frame)
    return consistency.verdict(LabelKeys(energy="energy", forces="forces", stress="stress"))


def judged(why: str | None, notes: list[str], words: str) -> str:
    """Say how well a fault was recognised."""
    if why is None:
        return "note" if any("times" in note for note in notes) else "–"
    if words not in why:
        return "wrong"
    return "yes" if words in why.partition("; or ")[0] else "also"


def main() -> None:
    """Try every fault on every set."""
    rows: list[dict[str, Any]] = []
    for name, frames in sets(sys.argv[1:]):
        rows.append(row_of(name, frames))
        print(" ".join(f"{key}: {value};" for key, value in rows[-1].items() if value not in ("yes", "")), flush=True)
    kinds = ("yes", "also", "note", "–", "wrong")
    table = [[fault, *([row.get(fault) for row in rows].count(kind) for kind in kinds)] for fault in faults()]
    alarms = [row["set"] for row in rows if row["as it is"] != "–"]
    report(
        "labels", "Faults of labels: sets of which each is recognised", ("fault", *kinds), table,
        f"{len(rows)} sets as they are, {len(alarms)} false alarms {alarms or ''}; yes: named first, also: with others",
        sets=rows,
    )  # fmt: skip


def row_of(name: str, frames: Frames) -> dict[str, Any]:
    """Return what becomes of a set as it is, and with each fault that changes anything."""
    have = {
        "energy": any(f.energy is not None for f in frames),
        "forces": any(f.forces_nc is not None and np.abs(f.forces_nc).max() > 1e-6 for f in frames),
        "stress": any(f.stress_cc is not None for f in frames),
    }
    why, _ = verdict(frames)
    row = {"set": name, "frames": len(frames), "as it is": "–" if why is None else f"ALARM {why}"}
    if sum(have.values()) > 1:
        for fault, (label, words, spoil) in faults().items():
            row[fault] = judged(*verdict([spoil(f) for f in frames]), words) if have[label] else ""
    return row


if __name__ == "__main__":
    main()
