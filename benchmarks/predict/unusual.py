"""What the shipped model finds unusual: held-out crystals, left as they are and changed in ways that it must notice.

python -m benchmarks.predict.unusual
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms

from benchmarks.harness import DATA, report
from lodewell.crystals.read import read_crystals
from lodewell.predict.identity import given_id
from lodewell.predict.model import Model, load_model
from lodewell.predict.run import predict
from lodewell.predict.train.cache import cache_folder
from lodewell.predict.train.dataset import read_dataset
from lodewell.record import Run

CRYSTALS, LARGEST = 400, 40
SHARE, SEED = 0.05, 0  # of properties.yaml
REASONS = {"states": "unlike the crystals trained on", "distances": "distances between atoms", "vacuum": "in vacuum"}


def main() -> None:
    """Change crystals, ask, and write the table."""
    model = load_model()
    crystals = heldout(model, DATA / "properties" / "mp.extxyz.gz")
    changes: dict[str, Callable[[Atoms], Atoms | None]] = {
        "as they are": lambda a: a,
        "blown up by 10 % in each direction": lambda a: scaled(a, 1.1),
        "blown up by 20 %": lambda a: scaled(a, 1.2),
        "blown up by 50 %": lambda a: scaled(a, 1.5),
        "squeezed by 10 %": lambda a: scaled(a, 0.9),
        "squeezed by 20 %": lambda a: scaled(a, 0.8),
        "atoms moved by 0.2 Å along each axis": lambda a: shaken(a, 0.2),
        "atoms moved by 0.4 Å": lambda a: shaken(a, 0.4),
        "the first and the last element exchanged": exchanged,
        "12 Å of vacuum between slabs": slab,
    }
    rows = []
    for name, change in changes.items():
        given = [new for atoms in crystals if (new := change(atoms)) is not None]
        found = [row for row in predict(given, model) if row.error is None]
        told = [[any(begin in said for said in row.warnings) for begin in REASONS.values()] for row in found]
        reasons = np.mean(told, axis=0)
        any_reason = np.mean([bool(row.warnings) for row in found])
        rows.append([name, len(found), *(f"{100 * share:.0f} %" for share in (*reasons, any_reason))])
    report(
        "predict_unusual",
        "Warnings for crystals that the shipped model never saw",
        ["crystals", "how many", *REASONS, "any"],
        rows,
        f"Crystals of up to {LARGEST} atoms that took no part in the training; those refused (atoms within 0.3 Å) do "
        "not count.",
    )


def heldout(model: Model, source: Path) -> list[Atoms]:
    """Return crystals that took no part in the training of the shipped model."""
    names = [target.name for target in model.targets]
    with Run("train", workers=None) as run:
        dataset = read_dataset(
            source, names, model.architecture, validation=SHARE, test=SHARE, seed=SEED, cache=cache_folder(), run=run
        )
    wanted = {dataset.ids[b] for b in dataset.part("test")}
    records = (record.atoms for record in read_crystals(source))
    found = [atoms for atoms in records if atoms is not None and given_id(atoms.info) in wanted]
    return [atoms for atoms in found if len(atoms) <= LARGEST][:CRYSTALS]


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """Scale cell and positions."""
    new = atoms.copy()
    new.set_cell(factor * atoms.cell.array, scale_atoms=True)
    return new


def shaken(atoms: Atoms, width: float) -> Atoms:
    """Move every atom."""
    new = atoms.copy()
    new.positions += np.random.default_rng(len(atoms)).normal(0.0, width, new.positions.shape)
    return new


def exchanged(atoms: Atoms) -> Atoms | None:
    """Exchange the elements of lowest and of highest number; None for elements."""
    new, numbers = atoms.copy(), atoms.numbers
    low, high = numbers.min(), numbers.max()
    new.numbers = np.where(numbers == low, high, np.where(numbers == high, low, numbers))
    return new if low != high else None


def slab(atoms: Atoms) -> Atoms:
    """Put vacuum between the layers along the third vector."""
    new = atoms.copy()
    new.wrap()
    new.center(vacuum=6.0, axis=2)
    return new


if __name__ == "__main__":
    main()
