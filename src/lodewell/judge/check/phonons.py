"""Phonons of a crystal through phonopy: bands, density of states, and whether anything is imaginary."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Floats
from lodewell.errors import BadCrystal, BadOption
from lodewell.potentials.base import Potential

_STEP = 0.01  # Å, of an atom that is displaced
_LEAST, _MOST = 10.0, 14.0  # Å: supercells reach twice the cutoff, within these heights
_ATOMS, _CELLS = 500, 300  # largest supercell, and most of them
_FEW = 6  # atoms: up to here all displacements cost less than the search for symmetry in the supercell
_POINTS, _MESH = 160, 3000  # along the path; in the whole zone
_NOISE = 0.01  # imaginary frequencies below this share of the highest one are rounding near the zone's centre


@dataclass(frozen=True)
class Phonons:
    """Frequencies in THz, imaginary ones as negative numbers.

    | field | shape | meaning |
    |---|---|---|
    | `mesh_qm` | (Q, M) | over the Brillouin zone |
    | `path_qm` | (K, M) | along the path; K = 0 where the cell has none |
    | `distance_q` | (K,) | length along the path, 1/Å |
    | `ticks`, `labels` | | where the special points lie on it, and their names |
    | `supercell` | | atoms in the supercell |
    """

    mesh_qm: Floats
    path_qm: Floats
    distance_q: Floats
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    supercell: int

    @property
    def lowest(self) -> float:
        """Lowest frequency (THz)."""
        return float(min(self.mesh_qm.min(), self.path_qm.min(initial=np.inf)))

    @property
    def highest(self) -> float:
        """Highest frequency (THz)."""
        return float(self.mesh_qm.max())

    @property
    def imaginary(self) -> float:
        """Share of the modes in the zone that are imaginary, beyond rounding."""
        return float((self.mesh_qm < -_NOISE * abs(self.highest)).mean())

    @property
    def real(self) -> bool:
        """Whether nothing is imaginary beyond rounding, in the zone and along the path."""
        return self.lowest >= -_NOISE * abs(self.highest)

    def density(self, points: int = 300) -> tuple[Floats, Floats]:
        """Return frequencies (THz) and states per THz and atom, smeared by 1.5 % of the highest frequency."""
        width = 0.015 * max(abs(self.highest), 1e-12)
        at = np.linspace(min(0.0, self.lowest) - 4.0 * width, self.highest + 4.0 * width, points)
        counts, edges = np.histogram(self.mesh_qm, bins=4 * points, range=(at[0], at[-1]))
        middle = 0.5 * (edges[1:] + edges[:-1])
        peaks = np.exp(-0.5 * ((at[:, None] - middle) / width) ** 2) / (width * np.sqrt(2.0 * np.pi))
        return at, 3.0 * peaks @ counts / max(counts.sum(), 1)


def has_phonopy() -> bool:
    """Tell whether the extra `lodewell[phonons]` is installed."""
    return find_spec("phonopy") is not None


def phonons(potential: Potential, atoms: Atoms) -> Phonons:
    """Compute the phonons of a crystal at rest from finite displacements of 0.01 Å in a supercell.

    Raises:
        BadOption: when phonopy is not there.
        BadCrystal: when the crystal is not periodic or so large that this would take very long.
    """
    if not has_phonopy():
        raise BadOption("phonons need phonopy: pip install 'lodewell[phonons]'")
    if not atoms.pbc.all():
        raise BadCrystal("phonons need a crystal that is periodic in three directions")
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(), cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )
    work = Phonopy(cell, np.diag(_repeats(atoms, potential.cutoff)), primitive_matrix=np.eye(3),
                   is_symmetry=len(atoms) > _FEW)  # fmt: skip
    work.generate_displacements(distance=_STEP)
    cells = [c for c in work.supercells_with_displacements if c is not None]
    if len(cells) > _CELLS:
        raise BadCrystal(f"phonons of {len(atoms)} atoms need {len(cells)} supercells: give a smaller crystal")
    still = potential.evaluate(_as_atoms(work.supercell)).pop().forces_nc
    moved = [_as_atoms(c) for c in cells]
    a_time = max(1, 20_000 // len(moved[0]))
    forces: list[Floats] = []
    for k in range(0, len(moved), a_time):
        forces += [r.forces_nc - still for r in potential.evaluate(moved[k : k + a_time])]
    work.forces = np.array(forces)
    work.produce_force_constants()
    work.symmetrize_force_constants()
    path_q, distance_q, ticks, labels = _path(atoms)
    mesh_qm = _frequencies(work, _mesh(atoms))
    path_qm = _frequencies(work, path_q) if len(path_q) else np.zeros((0, mesh_qm.shape[1]))
    return Phonons(mesh_qm, path_qm, distance_q, ticks, labels, len(moved[0]))


def _as_atoms(cell: Any) -> Atoms:
    return Atoms(cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)


def _frequencies(work: Any, points_q: Floats) -> Floats:
    work.run_qpoints(points_q)
    return np.asarray(work.qpoints.frequencies, dtype=np.float64)


def _repeats(atoms: Atoms, cutoff: float) -> list[int]:
    """Return how often the cell is repeated: as far as forces reach, but no larger than is sane."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    wanted = float(np.clip(2.0 * cutoff, _LEAST, _MOST))
    repeats = [max(1, int(np.ceil(wanted / h - 1e-9))) for h in heights]
    while len(atoms) * int(np.prod(repeats)) > _ATOMS and max(repeats) > 1:
        longest = int(np.argmax([n * h if n > 1 else 0.0 for n, h in zip(repeats, heights, strict=True)]))
        repeats[longest] -= 1
    return repeats


def _mesh(atoms: Atoms) -> Floats:
    """Return points spread evenly over half of the Brillouin zone; the other half is the same by time reversal."""
    widths = np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    counts = np.maximum(1, np.round(widths * (_MESH / len(atoms) / widths.prod()) ** (1.0 / 3.0))).astype(int)
    axes = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    q = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return q[: (len(q) + 1) // 2]


def _path(atoms: Atoms) -> tuple[Floats, Floats, tuple[float, ...], tuple[str, ...]]:
    """Return points of the standard path through the zone (Setyawan & Curtarolo 2010, through ASE)."""
    try:
        path = atoms.cell.bandpath(npoints=_POINTS)
    except (ValueError, RuntimeError, AssertionError):  # a cell whose lattice ASE cannot name
        return np.zeros((0, 3)), np.zeros(0), (), ()
    distance, ticks, labels = path.get_linear_kpoint_axis()
    return path.kpts, distance, tuple(float(t) for t in ticks), tuple(labels)
