"""The full measurement, resumable: one line a crystal and contender in results/quality/SPLIT-CONTENDER.jsonl."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import lodewell
from benchmarks.baselines import lennard_jones_by_radii, overlaps, push_apart
from benchmarks.harness import RESULTS
from benchmarks.quality.crystals import assert_unseen, held_out
from benchmarks.quality.decoys import best_of_decoys, decoys
from benchmarks.quality.relax import Relaxer, by_potential, disturbed, relaxed, same_structure
from benchmarks.quality.tables import table_file
from lodewell.crystals.chemistry import reduced_formula
from lodewell.potentials.base import Potential
from lodewell.potentials.statistical.statistical import Statistical

RAW = RESULTS / "quality"
CONTENDERS = ("spp-2024", "spp", "push-apart", "lennard-jones")
_PART = 50


@dataclass(frozen=True)
class Contender:
    """Something that scores and relaxes; `key` says which version of it, so that old results are not mixed in."""

    name: str
    key: str
    potential: Potential
    relaxer: Relaxer


def contender(name: str, split: str, folder: Path) -> Contender:
    """Return a contender; tables are checked to be without the crystals of the split."""
    everything = range(1, 97)
    if name == "push-apart":
        return Contender(name, "factor 0.85", overlaps(everything), pushed)
    if name == "lennard-jones":
        potential = lennard_jones_by_radii(everything)
        return Contender(name, "radii", potential, by_potential(potential))
    file = table_file(folder, name, split)
    table = lodewell.load(file)
    assert isinstance(table, Statistical)
    assert_unseen(table, split, held_out(split))
    digest = hashlib.sha256(table.pairs_pz.tobytes() + table.u_pk.tobytes()).hexdigest()[:16]
    scale = shipped_scale(name)
    if scale is not None:
        table = table.in_eV(scale)
    return Contender(name, f"{digest} {table.energy_scale:.6g} eV", table, by_potential(table))


def shipped_scale(name: str) -> float | None:
    """Return the energy scale of the shipped table of that name: 0.01 eV/Å then means what it means to users."""
    if name not in lodewell.shipped():
        return None
    shipped = lodewell.load(name)
    return shipped.energy_scale if isinstance(shipped, Statistical) and shipped.calibrated else None


def pushed(crystals: Sequence[Atoms]) -> list[tuple[str, Atoms | None, int]]:
    """Push overlapping atoms apart in each crystal."""
    out: list[tuple[str, Atoms | None, int]] = []
    for atoms in crystals:
        try:
            out.append(("converged", push_apart(atoms), 0))
        except RuntimeError:
            out.append(("exploded", None, 0))
    return out


def raw_rows(split: str, name: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the key and the rows so far of a contender."""
    path = RAW / f"{split}-{name}.jsonl"
    if not path.exists():
        return "", []
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    rows = [row | {k: math.inf if row[k] is None else row[k] for k in ("volume", "displacement")} for row in lines[1:]]
    return (lines[0]["key"], rows) if lines else ("", [])


def run(splits: Sequence[str], names: Sequence[str], folder: Path, most: int, seconds: float) -> None:
    """Measure every contender on every held-out crystal, skipping what is done, until time is up."""
    RAW.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds
    for split in splits:
        crystals = held_out(split)
        contenders = [contender(name, split, folder) for name in names]
        done = {c.name: _begin(split, c) for c in contenders}
        for first in range(0, min(most, len(crystals)), _PART):
            part = range(first, min(first + _PART, most, len(crystals)))
            if time.monotonic() > end:
                print("time is up; run again to go on")
                return
            sets: dict[int, list[tuple[str, Atoms]]] = {}
            for c in contenders:
                left = [k for k in part if k not in done[c.name] and not c.potential.unsupported(crystals[k].numbers)]
                sets |= {k: decoys(crystals[k], k) for k in left if k not in sets}
                if left:
                    _measure(split, c, left, [crystals[k] for k in left], [sets[k] for k in left])
            if sets:
                print(f"{split}: {part.stop} of {len(crystals)}", flush=True)


def _begin(split: str, c: Contender) -> set[int]:
    """Return which crystals are done; results of another version are thrown away."""
    key, rows = raw_rows(split, c.name)
    if key == c.key:
        return {row["k"] for row in rows}
    (RAW / f"{split}-{c.name}.jsonl").write_text(json.dumps({"key": c.key}) + "\n")
    return set()


def _measure(split: str, c: Contender, part: list[int], crystals: list[Atoms], sets: list[Any]) -> None:
    found = best_of_decoys(c.potential, crystals, sets)
    starts = [disturbed(a, k) for k, a in zip(part, crystals, strict=True)]
    rows, results = relaxed(c.relaxer, crystals, starts)
    lines = []
    for k, atoms, decoy, row, result in zip(part, crystals, found, rows, results, strict=True):
        same = same_structure(atoms, result)
        numbers = {n: round(row[n], 6) if np.isfinite(row[n]) else None for n in ("volume", "displacement", "s")}
        lines.append(
            {"k": k, "id": str(atoms.info["id"]), "formula": reduced_formula(atoms.numbers), "atoms": len(atoms),
             "decoys": decoy.tolist(), "status": row["status"], "steps": int(row["steps"]), "same": same, **numbers}
        )  # fmt: skip
    with (RAW / f"{split}-{c.name}.jsonl").open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
