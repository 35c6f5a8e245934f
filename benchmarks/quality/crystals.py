"""Which crystals judge a table: those that its derivation never saw, each family of near-duplicates once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

from benchmarks import harness
from lodewell.crystals.chemistry import element_set, reduced_formula
from lodewell.crystals.read import read_crystals
from lodewell.derive.chunk import CLOSEST, HoldOut
from lodewell.descriptors.duplicates import duplicate_labels
from lodewell.potentials.statistical.statistical import Statistical

CRYSTALS = harness.DATA / "crystals"
CACHE = harness.CACHE / "quality"
SPLITS = {"formula": HoldOut(share=0.04), "system": HoldOut(share=0.04, by_system=True)}
MAX_ABOVE_HULL = 0.1  # eV/atom; a crystal without the number may serve
MAX_ATOMS = 60


def held_out(split: str, data: Path = CRYSTALS) -> list[Atoms]:
    """Return every crystal that may judge: held out, not too large, not too far above the hull, families once.

    Kept in the cache; the order is fixed and random, so that the first n are a sample.
    """
    path, notes = CACHE / f"{split}.extxyz", CACHE / f"{split}.json"
    if not (path.exists() and notes.exists()):
        _collect(data)
    crystals = read(path, ":")
    assert isinstance(crystals, list)
    for atoms in crystals:
        assert SPLITS[split].holds(atoms.numbers), f"{atoms.info['id']} is not held out"
    return crystals


def _collect(data: Path) -> None:
    """Read the data once and write the judges of both splits, and how many crystals each split holds."""
    chosen: dict[str, list[Atoms]] = {split: [] for split in SPLITS}
    counts = dict.fromkeys(SPLITS, 0)
    for name, atoms in _near_hull(data):
        for split, hold_out in SPLITS.items():
            if hold_out.holds(atoms.numbers):
                counts[split] += 1
                if len(atoms) <= MAX_ATOMS and _sound(atoms):
                    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
                    bare.info["id"] = name
                    chosen[split].append(bare)
    CACHE.mkdir(parents=True, exist_ok=True)
    for split, crystals in chosen.items():
        labels = duplicate_labels(crystals, scale_free=True)
        firsts = np.flatnonzero(labels == np.arange(len(crystals)))
        order = np.random.default_rng(20).permutation(firsts)
        write(CACHE / f"{split}.extxyz", [crystals[k] for k in order])
        notes = {"held_out": counts[split], "small_enough": len(crystals), "families": len(firsts)}
        (CACHE / f"{split}.json").write_text(json.dumps(notes) + "\n")


def _near_hull(data: Path) -> Iterator[tuple[str, Atoms]]:
    """Yield the crystals that a derivation would look at, with a name each."""
    for record in read_crystals(data):
        if record.atoms is None:
            continue
        above = record.atoms.info.get("energy_above_hull", record.atoms.info.get("e_above_hull"))
        if above is None or float(above) <= MAX_ABOVE_HULL:
            name = str(record.atoms.info.get("id") or f"{Path(record.file).name.split('.')[0]}:{record.frame}")
            yield name, record.atoms


def _sound(atoms: Atoms) -> bool:
    """Tell whether a derivation would take it: three-dimensional, with a volume, no atoms on top of each other."""
    if not atoms.pbc.all() or abs(np.linalg.det(atoms.cell.array)) < 1.0:
        return False
    distances = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
    return bool(min([*atoms.cell.lengths(), *distances]) > CLOSEST)


def assert_unseen(table: Statistical, split: str, crystals: list[Atoms]) -> None:
    """Check that a table was derived without the judges: the counts agree, and no element set of theirs is known.

    Raises AssertionError otherwise.
    """
    met = json.loads((CACHE / f"{split}.json").read_text())["held_out"]
    left_out = table.about.get("left_out", {}).get("held out", 0)
    assert left_out == met, f"the table left out {left_out} crystals, the split {split} holds {met}"
    if split == "system":
        shared = {element_set(a.numbers) for a in crystals} & set(table.known.systems)
        assert not shared, f"element sets on both sides: {sorted(shared)[:5]}"
    else:
        assert len({reduced_formula(a.numbers) for a in crystals}) > 1
