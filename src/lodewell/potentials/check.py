"""The laws of physics that every potential must keep, as a public check: run it on your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from scipy.spatial.transform import Rotation

from lodewell.crystals.batch import Batch, Floats
from lodewell.potentials.base import Potential, Result


@dataclass(frozen=True)
class Violation:
    """One law that does not hold on one crystal, by how much, and how much is allowed (both in the law's own unit)."""

    law: str
    crystal: str
    error: float
    allowed: float

    def __str__(self) -> str:
        return f"{self.law} ({self.crystal}): off by {self.error:.2e}, at most {self.allowed:.1e} is allowed"


def check_potential(
    potential: Potential, crystals: Sequence[Atoms] | None = None, *, tolerance: float = 1e-8, seed: int = 0
) -> list[Violation]:
    """Hold a potential against the laws of physics and return what it breaks: an empty list is a pass.

    The laws: computing changes nothing; a one-atom cell works; energy is additive over a supercell; invariance to
    translation, lattice translation of single atoms, rotation and permutation; forces sum to zero; F = -dE/dx;
    stress = dE/dstrain / V; nothing jumps at the cutoff; a batch gives what its crystals give one by one.

    Args:
        potential: what to check.
        crystals: where to check it; by default random ones of the potential's elements.
        tolerance: allowed error relative to the scale of energies and forces met; derivatives allow 1e4 times more.
        seed: of the random crystals and motions.
    """
    rng = np.random.default_rng(seed)
    chosen = list(crystals) if crystals is not None else random_crystals(potential, rng)
    found: list[Violation] = []
    alone = [_result(potential, a) for a in chosen]
    together = potential.evaluate_batch(Batch.from_atoms(chosen))
    for atoms, one, many in zip(chosen, alone, together, strict=True):
        check = _Check(potential, atoms, one, tolerance, rng, found)
        check.equal("batch = one by one", _numbers(many), _numbers(one))
        check.no_mutation()
        check.invariances()
        check.forces()
        check.stress()
    _smooth_at_cutoff(potential, chosen[0], tolerance, found)
    return found


def random_crystals(potential: Potential, rng: np.random.Generator, count: int = 3) -> list[Atoms]:
    """Make a one-atom cell and a few skewed random cells of the potential's elements, at sane distances."""
    species = sorted(potential.species)[:4] if potential.species else [6, 14, 8]
    out = []
    for k in range(count + 1):
        size = 1 if k == 0 else 3 + 2 * k
        numbers = rng.choice(species, size)
        edge = 2.2 * float(np.mean(covalent_radii[numbers])) * max(1.0, size) ** (1 / 3)
        cell = edge * (np.eye(3) + 0.25 * rng.uniform(-1, 1, (3, 3)))
        atoms = Atoms(numbers, scaled_positions=rng.uniform(size=(size, 3)), cell=cell, pbc=True)
        for _ in range(60):  # push apart what sits too close, so that steep walls do not drown every other number
            d = atoms.get_all_distances(mic=True, vector=True)
            r = np.linalg.norm(d, axis=2) + 9 * np.eye(size)
            push = np.clip(0.75 * edge / max(1.0, size) ** (1 / 3) - r, 0, None)
            atoms.positions -= 0.5 * (d / r[..., None] * push[..., None]).sum(axis=1)
        out.append(atoms)
    return out


def _result(potential: Potential, atoms: Atoms) -> Result:
    return potential.evaluate_batch(Batch.from_atoms(atoms))[0]


def _numbers(result: Result) -> Floats:
    return np.concatenate([[result.energy], result.energies_n, result.forces_nc.ravel(), result.virial_cc.ravel()])


@dataclass
class _Check:
    potential: Potential
    atoms: Atoms
    result: Result
    tolerance: float
    rng: np.random.Generator
    found: list[Violation]

    def __post_init__(self) -> None:
        r = self.result
        self.scale = max(1.0, float(np.abs(r.energies_n).max()), float(np.abs(r.forces_nc).max()))
        self.scale = max(self.scale, float(np.abs(r.virial_cc).max()) / len(self.atoms))

    def equal(self, law: str, got: Floats, wanted: Floats, looser: float = 1.0) -> None:
        error = float(np.abs(np.asarray(got) - wanted).max()) / self.scale
        allowed = self.tolerance * looser
        if not error <= allowed:
            self.found.append(Violation(law, self.atoms.get_chemical_formula(), error, allowed))

    def again(self, atoms: Atoms) -> Result:
        return _result(self.potential, atoms)

    def no_mutation(self) -> None:
        batch = Batch.from_atoms(self.atoms)
        before = batch.positions_nc.copy(), batch.cell_bcc.copy(), batch.species_n.copy()
        self.potential.compute(batch, self.potential.neighbours(batch))
        changed = max(
            float(np.abs(a - b).max())
            for a, b in zip(before, (batch.positions_nc, batch.cell_bcc, batch.species_n), strict=True)
        )
        self.equal("computing changes nothing", np.array([changed]), np.zeros(1))

    def invariances(self) -> None:
        count = len(self.atoms)
        moved = self.atoms.copy()
        moved.positions += self.rng.normal(size=3)
        moved.positions[0] += moved.cell.array.T @ (self.rng.integers(-3, 4, 3) * moved.pbc)
        law = "translation, and of one atom by a lattice vector"
        self.equal(law, _numbers(self.again(moved)), _numbers(self.result))
        order = self.rng.permutation(count)
        swapped = self.again(self.atoms[order])
        self.equal("permutation", swapped.forces_nc, self.result.forces_nc[order])
        turn = Rotation.random(random_state=int(self.rng.integers(1 << 31))).as_matrix()
        turned_atoms = self.atoms.copy()
        turned_atoms.set_cell(self.atoms.cell.array @ turn.T)
        turned_atoms.positions = self.atoms.positions @ turn.T
        turned = self.again(turned_atoms)
        self.equal("rotation of the energy", turned.energies_n, self.result.energies_n)
        self.equal("rotation of forces", turned.forces_nc, self.result.forces_nc @ turn.T)
        self.equal("rotation of the virial", turned.virial_cc, turn @ self.result.virial_cc @ turn.T)
        if self.atoms.pbc.any():
            repeats = np.where(self.atoms.pbc, [2, 1, 2], 1)
            larger = self.again(self.atoms.repeat(repeats))
            self.equal("supercell additivity", np.array([larger.energy]), repeats.prod() * self.result.energy, 10.0)
        self.equal("forces sum to zero", self.result.forces_nc.sum(axis=0), np.zeros(3), 10.0)

    def forces(self) -> None:
        direction = self.rng.normal(size=(len(self.atoms), 3))
        direction /= np.linalg.norm(direction)

        def energy(step: float) -> float:
            atoms = self.atoms.copy()
            atoms.positions += step * direction
            return self.again(atoms).energy

        slope = -float((self.result.forces_nc * direction).sum())
        self.equal("F = -dE/dx", np.array([_slope(energy)]), np.array([slope]), 1e4)

    def stress(self) -> None:
        strain = self.rng.normal(size=(3, 3))
        strain = (strain + strain.T) / np.linalg.norm(strain)

        def energy(step: float) -> float:
            atoms = self.atoms.copy()
            deformation = np.eye(3) + step * strain
            atoms.set_cell(self.atoms.cell.array @ deformation)
            atoms.positions = self.atoms.positions @ deformation
            return self.again(atoms).energy

        slope = -float((self.result.virial_cc * strain).sum())
        self.equal("stress = dE/dstrain / V", np.array([_slope(energy)]), np.array([slope]), 1e4)
        self.equal("the virial is symmetric", self.result.virial_cc, self.result.virial_cc.T)


def _slope(energy: object, step: float = 1e-4) -> float:
    """Differentiate at 0 by central differences of fourth order."""
    e = [energy(k * step) for k in (-2, -1, 1, 2)]  # type: ignore[operator]
    return float((e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * step))


def _smooth_at_cutoff(potential: Potential, atoms: Atoms, tolerance: float, found: list[Violation]) -> None:
    """Walk a dimer through the cutoff: neither its energy nor its force may jump."""
    if potential.cutoff <= 0.0:
        return
    numbers = [atoms.numbers[0], atoms.numbers[-1]]
    if potential.refuses(Atoms(numbers, positions=[[0, 0, 0], [potential.cutoff, 0, 0]])) is not None:
        return  # lattice sums know no dimer
    gap = 1e-7
    inside, outside = (
        _result(potential, Atoms(numbers, positions=[[0, 0, 0], [potential.cutoff + s, 0, 0]])) for s in (-gap, gap)
    )
    alone = sum(_result(potential, Atoms([z], positions=[[0, 0, 0]])).energy for z in numbers)
    scale = max(1.0, abs(alone))
    for law, error in (
        ("smooth at the cutoff: energy", abs(inside.energy - outside.energy) / scale),
        ("smooth at the cutoff: force", float(np.abs(inside.forces_nc - outside.forces_nc).max())),
    ):
        if not error <= 1e3 * tolerance:
            found.append(Violation(law, Atoms(numbers).get_chemical_formula(), error, 1e3 * tolerance))
