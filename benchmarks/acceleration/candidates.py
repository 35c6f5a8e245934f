"""The candidate crystals of the acceleration benchmark, made from Materials Project parents with fixed seeds."""

from __future__ import annotations

import gzip
import io
import re
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from math import gcd
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from ase.io import read

RATTLE = 0.20  # Å per component: a displacement of 0.35 Å
STRAIN = 0.05
# (system, kind, parent, atoms wanted, {old: new}, volume per atom or None)
XTB: list[tuple[str, str, str, int, dict[str, str], float | None]] = [
    ("Li-P-O", "perturbed", "mp-28450", 52, {}, None),
    ("Li-P-O", "perturbed", "mp-13725", 64, {}, None),
    ("Li-P-O", "perturbed", "mp-28450", 52, {}, None),
    ("Li-P-O", "perturbed", "mp-13725", 64, {}, None),
    ("Li-P-O", "perturbed", "mp-28450", 52, {}, None),
    ("Li-P-O", "shuffled", "mp-28450", 52, {}, None),
    ("Li-P-O", "substituted", "mp-38200", 48, {"S": "O"}, 13.5),
    ("Li-P-O", "random", "mp-13725", 48, {}, 12.0),
    ("Li-P-S", "perturbed", "mp-641703", 42, {}, None),
    ("Li-P-S", "perturbed", "mp-38200", 48, {}, None),
    ("Li-P-S", "perturbed", "mp-641703", 42, {}, None),
    ("Li-P-S", "perturbed", "mp-38200", 48, {}, None),
    ("Li-P-S", "perturbed", "mp-641703", 42, {}, None),
    ("Li-P-S", "shuffled", "mp-38200", 48, {}, None),
    ("Li-P-S", "substituted", "mp-13725", 48, {"O": "S"}, 16.0),
    ("Li-P-S", "random", "mp-641703", 42, {}, 20.0),
    ("Li-M-O", "perturbed", "mp-22526", 48, {}, None),
    ("Li-M-O", "perturbed", "mp-850062", 40, {}, None),
    ("Li-M-O", "perturbed", "mp-556550", 48, {}, None),
    ("Li-M-O", "perturbed", "mp-22526", 48, {}, None),
    ("Li-M-O", "perturbed", "mp-850062", 40, {}, None),
    ("Li-M-O", "shuffled", "mp-850062", 40, {}, None),
    ("Li-M-O", "substituted", "mp-850062", 40, {"Ni": "Co"}, 10.0),
    ("Li-M-O", "random", "mp-850062", 40, {}, 9.5),
]
# Oxides and a carbide of light elements: good LDA pseudopotentials exist for them in Debian's set.
DFT: list[tuple[str, str, str, int, dict[str, str], float | None]] = [
    ("DFT", "perturbed", "mp-1143", 10, {}, None),  # Al2O3, corundum
    ("DFT", "perturbed", "mp-6945", 12, {}, None),  # SiO2, cristobalite
    ("DFT", "perturbed", "mp-3536", 14, {}, None),  # MgAl2O4, spinel
    ("DFT", "perturbed", "mp-7631", 12, {}, None),  # SiC, 6H
    ("DFT", "perturbed", "mp-554663", 14, {}, None),  # Mg2SiO4, spinel
]


def parents(folder: Path, wanted: set[str]) -> dict[str, Atoms]:
    """Read the crystals with these `id`s, in either file of the Materials Project."""
    found: dict[str, Atoms] = {}
    for name in ("mp-experimental", "mp"):
        with gzip.open(folder / f"{name}.extxyz.gz", "rt") as stream:
            while (line := stream.readline()) and len(found) < len(wanted):
                count, header = int(line), stream.readline()
                rows = [stream.readline() for _ in range(count)]
                match = re.search(r"\bid=(\S+)", header)
                if match and match[1] in wanted and match[1] not in found:
                    found[match[1]] = read(io.StringIO(line + header + "".join(rows)), format="extxyz")
    if missing := wanted - set(found):
        raise SystemExit(f"{folder} lacks the parents {sorted(missing)}; is it the crystals folder of the data?")
    return found


def _hermite(count: int) -> Iterator[np.ndarray]:
    for a in (a for a in range(1, count + 1) if count % a == 0):
        for c in (c for c in range(1, count // a + 1) if (count // a) % c == 0):
            f = count // a // c
            for b in range(c):
                for d in range(f):
                    for e in range(f):
                        yield np.array([[a, 0, 0], [b, c, 0], [d, e, f]])


def roundest_supercell(atoms: Atoms, count: int) -> Atoms:
    """Return the supercell of `count` primitive cells whose shortest lattice vector is longest, reduced."""
    best, best_length = None, 0.0
    for h in _hermite(count):
        cell = minkowski_reduce(h @ atoms.cell.array)[0]
        length = np.linalg.norm(cell, axis=1).min()
        if length > best_length + 1e-6:
            best, best_length = h, length
    from ase.build import make_supercell

    out = make_supercell(atoms, best)
    out.set_cell(minkowski_reduce(out.cell.array)[0])
    out.wrap()
    return out


def _random_placement(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Scatter the same atoms in a slightly irregular cube, no two closer than 1.2 Å."""
    out = Atoms(atoms.numbers, pbc=True)
    edge = atoms.get_volume() ** (1 / 3)
    cell = edge * (np.eye(3) + rng.uniform(-0.05, 0.05, (3, 3)))
    out.set_cell(cell * (atoms.get_volume() / abs(np.linalg.det(cell))) ** (1 / 3))
    placed = Atoms(cell=out.cell, pbc=True)
    while len(placed) < len(atoms):
        trial = placed + Atoms([out.numbers[len(placed)]], [rng.random(3) @ out.cell.array])
        if len(trial) == 1 or trial.get_distances(-1, range(len(placed)), mic=True).min() > 1.2:
            placed = trial
    return placed


def make(kind: str, parent: Atoms, count: int, swap: dict[str, str], volume: float | None, seed: int) -> Atoms:
    """Return one candidate: a perturbed supercell, elements replaced, cations shuffled or all atoms scattered."""
    rng = np.random.default_rng(seed)
    out = roundest_supercell(Atoms(parent.symbols, parent.positions, cell=parent.cell, pbc=True), count // len(parent))
    out.symbols = [swap.get(s, s) for s in out.get_chemical_symbols()]
    if volume is not None:
        out.set_cell(out.cell.array * (volume * len(out) / out.get_volume()) ** (1 / 3), scale_atoms=True)
    if kind == "random":
        return _random_placement(out, rng)
    if kind == "shuffled":
        cations = [k for k, s in enumerate(out.get_chemical_symbols()) if s not in ("O", "S")]
        out.numbers[cations] = rng.permutation(out.numbers[cations])
    strain = rng.uniform(-STRAIN, STRAIN, (3, 3))
    out.set_cell(out.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    out.positions += rng.normal(scale=RATTLE, size=out.positions.shape)
    out.wrap()
    return out


def formula(atoms: Atoms) -> str:
    """Write the reduced formula, symbols sorted: Li3O4P."""
    count = Counter(atoms.get_chemical_symbols())
    divisor = reduce(gcd, count.values())
    return "".join(f"{s}{n // divisor if n > divisor else ''}" for s, n in sorted(count.items()))


def all_candidates(folder: Path) -> list[Atoms]:
    """Return every candidate, `info` naming it, its system, kind, parent and the engine it is meant for."""
    rows = [("xtb", *row) for row in XTB] + [("dft", *row) for row in DFT]
    found = parents(folder, {row[3] for row in rows})
    out = []
    counters: Counter[str] = Counter()
    for n, (engine, system, kind, parent, count, swap, volume) in enumerate(rows):
        atoms = make(kind, found[parent], count, swap, volume, 1000 + n)
        counters[system] += 1
        atoms.info = {"id": f"{system}-{counters[system]}", "engine": engine, "system": system, "kind": kind,
                      "parent": parent, "parent_formula": formula(found[parent]),
                      "formula": formula(atoms)}  # fmt: skip
        out.append(atoms)
    return out
