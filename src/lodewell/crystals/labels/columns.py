"""A few numbers for each labelled frame, kept in columns: what a survey needs to know of a million frames."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Set
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats, Ints

if TYPE_CHECKING:
    from ase import Atoms

    from lodewell.crystals.labels.read import Labelled

Hashes = NDArray[np.uint64]
Composition = tuple[tuple[int, int], ...]  # atomic number and count, in order
T = TypeVar("T")

LONELY = 10.0  # Å between the images of an atom that is alone
STEP = 0.002  # Å: positions that agree so far are the same
_ODD = 0.1234  # of a step: keeps cells with round edges, such as 4.5 Å, away from where the number of steps changes
SHIFTS = (0.25, 0.75)  # two grids, so that no crystal has an atom on an edge of both
MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Columns:
    """Numbers a frame (`_f`): where it is, its labels in brief, and two fingerprints of its geometry.

    `energy_f` is in eV/atom; NaN stands for a label that is not there. `force_square_f` and `stress_square_f` are sums
    over components. `formula_f`, `reduced_f`: compositions with and without their size, by number. `group_f`: -1 for a
    frame of its own. `lone_f`: 1 for a lone atom. `geometry_fs`: crystals that agree in either column are equal.
    """

    files: tuple[str, ...]
    config_types: tuple[str, ...]
    groups: tuple[str, ...]
    compositions: tuple[Composition, ...]
    file_f: Ints
    frame_f: Ints
    atoms_f: Ints
    formula_f: Ints
    reduced_f: Ints
    config_f: Ints
    group_f: Ints
    lone_f: Ints
    energy_f: Floats
    force_max_f: Floats
    force_square_f: Floats
    stress_max_f: Floats
    stress_square_f: Floats
    weight_f: Floats
    geometry_fs: Hashes

    def __len__(self) -> int:
        return len(self.frame_f)

    def place(self, k: int) -> tuple[str, int]:
        """Return file and frame."""
        return self.files[self.file_f[k]], int(self.frame_f[k])

    def elements(self) -> dict[int, int]:
        """Return the number of atoms of each element, by atomic number."""
        count: dict[int, int] = {}
        number = np.bincount(self.formula_f, minlength=len(self.compositions))
        for composition, frames in zip(self.compositions, number.tolist(), strict=True):
            for z, n in composition if frames else ():
                count[z] = count.get(z, 0) + n * frames
        return dict(sorted(count.items()))

    def without(self, places: Set[tuple[str, int]]) -> Columns:
        """Leave out some frames, given as (file, frame)."""
        if not places:
            return self
        keep = np.array([self.place(k) not in places for k in range(len(self))], dtype=bool)
        return replace(
            self, **{f.name: getattr(self, f.name)[keep] for f in fields(self) if f.name.endswith(("_f", "_fs"))}
        )

    def first_f(self) -> Ints:
        """Return for each frame the first one with its geometry, itself if it is new."""
        found = [np.unique(self.geometry_fs[:, s], return_index=True, return_inverse=True) for s in range(2)]
        return np.asarray(np.minimum(*(index[inverse] for _, index, inverse in found)))

    def shared(self, other: Columns) -> list[tuple[int, int]]:
        """Return the pairs (frame here, frame of the other) with the same geometry, one pair a frame here."""
        found: dict[int, int] = {}
        for s in range(2):
            place = {int(key): k for k, key in reversed(list(enumerate(other.geometry_fs[:, s].tolist())))}
            for k, key in enumerate(self.geometry_fs[:, s].tolist()):
                if key in place:
                    found.setdefault(k, place[key])
        return sorted(found.items())

    def fingerprint(self) -> str:
        """Return a short hash of all geometries and energies, by which the data can be recognised."""
        digest = hashlib.blake2b(self.geometry_fs.tobytes(), digest_size=12)
        digest.update(np.round(np.nan_to_num(self.energy_f), 6).tobytes())
        return digest.hexdigest()


class Collector:
    """Fills the columns frame by frame."""

    def __init__(self) -> None:
        self._numbers: list[tuple[float, ...]] = []
        self._hashes: list[tuple[int, int]] = []
        self._files: dict[str, int] = {}
        self._configs: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._formulas: dict[Composition, int] = {}
        self._reduced: dict[Composition, int] = {}

    def add(self, frame: Labelled) -> None:
        """Take down one frame."""
        n = len(frame.atoms)
        forces_nc, stress_cc = frame.forces_nc, frame.stress_cc
        formula, reduced = composition(frame.atoms.numbers)
        own = frame.group == f"{frame.file}#{frame.frame}"
        self._numbers.append((
            _index(self._files, frame.file),
            frame.frame,
            n,
            _index(self._formulas, formula),
            _index(self._reduced, reduced),
            _index(self._configs, frame.config_type),
            -1 if own else _index(self._groups, frame.group),
            is_lone_atom(frame.atoms, frame.config_type),
            np.nan if frame.energy is None else frame.energy / n,
            *_sizes(forces_nc),
            *_sizes(stress_cc),
            frame.weight,
        ))  # fmt: skip
        self._hashes.append(geometry(frame.atoms))

    def columns(self) -> Columns:
        """Return what was taken down."""
        names = [f.name for f in fields(Columns) if f.name.endswith("_f")]
        table = np.array(self._numbers, dtype=np.float64).reshape(-1, len(names))
        whole = names.index("energy_f")
        arrays: dict[str, Any] = {
            name: table[:, k].astype(np.int64 if k < whole else np.float64) for k, name in enumerate(names)
        }
        return Columns(
            tuple(self._files), tuple(self._configs), tuple(self._groups), tuple(self._formulas),
            geometry_fs=np.array(self._hashes, dtype=np.uint64).reshape(-1, 2), **arrays,
        )  # fmt: skip


def _index(known: dict[T, int], item: T) -> int:
    return known.setdefault(item, len(known))


def _sizes(values: Floats | None) -> tuple[float, float]:
    """Return the largest component and the sum of squares."""
    if values is None:
        return np.nan, 0.0
    flat = values.ravel()
    return float(np.abs(flat).max(initial=0.0)), float(flat @ flat)


def composition(numbers_n: Ints) -> tuple[Composition, Composition]:
    """Return how many atoms of each element there are, and the same reduced to the smallest whole numbers."""
    found, counts = np.unique(numbers_n, return_counts=True)
    whole, common = tuple(zip(found.tolist(), counts.tolist(), strict=True)), math.gcd(*counts.tolist())
    return whole, tuple((z, count // common) for z, count in whole)


def is_lone_atom(atoms: Atoms, config_type: str = "") -> bool:
    """Tell a lone atom, which has the reference energy of its element: by its name, or by the room around it."""
    if len(atoms) != 1:
        return False
    if not atoms.pbc.any() or config_type.lower().replace("_", "").startswith("isolated"):
        return True
    reciprocal = np.linalg.norm(np.linalg.pinv(atoms.cell.array), axis=0)
    return bool((reciprocal[atoms.pbc] * LONELY <= 1.0).all())


def geometry(atoms: Atoms) -> tuple[int, int]:
    """Return two fingerprints of a crystal, indifferent to rotation, wrapping into the cell, and the order of atoms.

    Equal crystals agree in at least one; they are made of positions and cell rounded to 0.002 Å on two shifted grids.
    """
    cell, positions_nc = atoms.cell.array, atoms.positions
    if atoms.cell.rank == 3:
        edges = np.linalg.norm(np.stack([cell, cell + np.roll(cell, 1, axis=0)]), axis=2).ravel()
        fractional_nc = np.linalg.solve(cell.T, positions_nc.T).T
    else:
        edges, fractional_nc = np.zeros(6), (positions_nc - positions_nc.mean(axis=0)) / STEP
    first, second = (_hash(fractional_nc, edges, atoms, shift) for shift in SHIFTS)
    return first, second


def _hash(fractional_nc: Floats, edges: Floats, atoms: Atoms, shift: float) -> int:
    # A multiple of 12 puts special positions such as 1/3 and 1/4 on points of the grid, far from its edges.
    parts = np.ones(3)
    if atoms.cell.rank == 3:
        parts = 12.0 * np.maximum(1.0, np.floor(edges[:3] / (12.0 * STEP) + shift + _ODD))
    place_nc, period = fractional_nc * parts, np.where(atoms.pbc & (parts > 1.0), parts, 1e15)
    grid = np.empty((len(atoms), 4), dtype=np.uint64)
    grid[:, :3] = (np.floor(place_nc + shift) % period).astype(np.int64).view(np.uint64)
    grid[:, 3] = atoms.numbers
    mixed = _scramble((grid * MIX).sum(axis=1, dtype=np.uint64)).sum(dtype=np.uint64)
    outside = np.floor(edges / STEP + shift).astype(np.int64).view(np.uint64)
    for number in outside:
        mixed = _scramble(mixed ^ number)
    return int(mixed)


def _scramble(x: Hashes) -> Hashes:
    """Spread every bit over all others (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
