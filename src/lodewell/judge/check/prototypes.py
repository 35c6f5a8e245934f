"""Crystals of a few common structures, each at the volume that a potential wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import gcd

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols, covalent_radii

from lodewell.crystals.batch import Floats
from lodewell.crystals.chemistry import anion_of
from lodewell.judge.check import observed
from lodewell.potentials.base import Potential
from lodewell.relax.run import relax

# Nearest distance over lattice constant; atoms in the cubic cell. ASE builds the first nine.
_OF_ELEMENTS = {"fcc": (0.5**0.5, 4), "bcc": (0.75**0.5, 2), "hcp": (1.0, 0), "diamond": (0.1875**0.5, 8),
                "sc": (1.0, 1)}  # fmt: skip
_OF_PAIRS = {"rocksalt": (0.5, 8), "cesiumchloride": (0.75**0.5, 2), "zincblende": (0.1875**0.5, 8)}
_OF_ONE_AND_TWO = {"fluorite": (0.1875**0.5, 12)}
_OF_ONE_AND_THREE = {"L12": (0.5**0.5, 4)}
_CUBIC = {name: sites for d in (_OF_ELEMENTS, _OF_PAIRS, _OF_ONE_AND_TWO, _OF_ONE_AND_THREE)
          for name, (_, sites) in d.items()}  # fmt: skip
_NAMES = {"cesiumchloride": "CsCl", "L12": "L1₂"}

_CLOSEST, _WIDEST, _SIZES = 0.5, 2.2, 120  # of the scan, in sums of covalent radii; points


@dataclass(frozen=True)
class Prototype:
    """One structure of one composition, relaxed with its symmetry kept.

    Attributes:
        name: "fcc", "rocksalt" ..., or what a crystal of the user's own is called.
        formula: such as "Si" or "NaCl".
        atoms: the relaxed primitive cell; None where the potential does not hold it together.
        message: why there is none; else empty.
        energy_per_atom: eV.
        volume_per_atom: Å^3.
        nearest: nearest distance, Å.
        lattice: lattice constants by name, Å: "a", and "c" of hcp.
        formation: energy per atom (eV) over the best structures of the elements; None for elements themselves.
        above: energy per atom (eV) over the best structure of this composition.
        observed: lattice constants that this element is known to have in this structure at low pressure, Å.
        volume_k: volumes per atom (Å^3) to which the crystal was scaled as it is, shape (K,).
        energy_k: energies per atom there (eV).
    """

    name: str
    formula: str
    atoms: Atoms | None = None
    message: str = ""
    energy_per_atom: float | None = None
    volume_per_atom: float | None = None
    nearest: float | None = None
    lattice: dict[str, float] | None = None
    formation: float | None = None
    above: float | None = None
    observed: dict[str, float] | None = None
    volume_k: Floats | None = None
    energy_k: Floats | None = None

    @property
    def title(self) -> str:
        """Composition and structure, such as "Si diamond"."""
        return f"{self.formula} {self.name}".strip()

    def wells(self) -> list[float]:
        """Return the volumes per atom (Å^3) at which the energy has a minimum when the crystal is scaled."""
        if self.energy_k is None or self.volume_k is None:
            return []
        e = self.energy_k
        dips = np.flatnonzero((e[1:-1] < e[:-2]) & (e[1:-1] <= e[2:])) + 1
        return [float(v) for v in self.volume_k[dips]]


def relaxed_prototypes(potential: Potential, elements: Sequence[int]) -> list[Prototype]:
    """Return the common structures of these elements and of each two of them, at rest under the potential.

    The size of each is first scanned from half the sum of the covalent radii to the cutoff, so that neither a guess
    nor an experiment decides which well is found; then positions and cell are relaxed with the symmetry kept.
    """
    shapes = [
        (n, a)
        for n, a in _shapes(elements)
        if potential.unsupported(a.numbers) is None and not potential.excess_charge(a)  # a background has no size
    ]
    sized = [_sized(potential, atoms) for _, atoms in shapes]
    bound = [a for a in sized if isinstance(a, Atoms)]
    results = iter(
        relax(bound, potential, keep_symmetry=True, fmax=1e-5, max_steps=400, duplicates=False) if bound else []
    )
    found = []
    for (name, shape), outcome in zip(shapes, sized, strict=True):
        shown, formula = _NAMES.get(name, name), formula_of(shape)
        if not isinstance(outcome, Atoms):
            found.append(Prototype(shown, formula, message=outcome))
            continue
        result = next(results)
        if not result.sane or result.atoms is None:
            found.append(Prototype(shown, formula, message=result.message))
            continue
        found.append(described(shown, potential, result.atoms, result.energy_per_atom, name))
    return with_ordering(found)


def described(
    name: str, potential: Potential, atoms: Atoms, energy_per_atom: float | None, kind: str = ""
) -> Prototype:
    """Return what is to be known of a relaxed crystal; `kind` names its structure as this module does."""
    volume_k = energy_k = None
    if atoms.pbc.all():
        share_k = np.linspace(0.6, 1.7, 56)
        volume_k = share_k * float(atoms.get_volume()) / len(atoms)
        energy_k = np.array([r.energy for r in potential.evaluate([scaled(atoms, s ** (1 / 3)) for s in share_k])])
        energy_k /= len(atoms)
    volume = float(atoms.get_volume()) / len(atoms) if atoms.pbc.all() else None
    return Prototype(
        name, formula_of(atoms), atoms, energy_per_atom=energy_per_atom,
        volume_per_atom=volume, nearest=nearest_distance(atoms),
        lattice=_lattice(kind, atoms), observed=_observed(atoms, kind), volume_k=volume_k, energy_k=energy_k,
    )  # fmt: skip


def formula_of(atoms: Atoms) -> str:
    """Write the reduced formula as chemists do, anions last: "MgO", "Li2O", "SiO2"."""
    counts = Counter(int(z) for z in atoms.numbers)
    divisor = gcd(*counts.values())
    order = sorted(counts, key=lambda z: (-anion_of([z]), chemical_symbols[z]))
    return "".join(f"{chemical_symbols[z]}{counts[z] // divisor if counts[z] > divisor else ''}" for z in order)


def _shapes(elements: Sequence[int]) -> Iterator[tuple[str, Atoms]]:
    """Yield every structure with a nearest distance of 1 Å."""
    for z in elements:
        for name, (nearest, _) in _OF_ELEMENTS.items():
            extra = {"c": (8.0 / 3.0) ** 0.5} if name == "hcp" else {}
            yield name, bulk(chemical_symbols[z], name, a=1.0 / nearest, **extra)
    for first, second in combinations(elements, 2):
        a, b = chemical_symbols[first], chemical_symbols[second]
        for name, (nearest, _) in _OF_PAIRS.items():
            yield name, bulk(a + b, name, a=1.0 / nearest)
        for one, two in ((a, b), (b, a)):
            for name, (nearest, _) in _OF_ONE_AND_TWO.items():
                yield name, bulk(one + two + two, name, a=1.0 / nearest)
            for name, (nearest, _) in _OF_ONE_AND_THREE.items():
                sites = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
                cell = np.eye(3) / nearest
                yield name, Atoms([one, two, two, two], scaled_positions=sites, cell=cell, pbc=True)


def _sized(potential: Potential, shape: Atoms) -> Atoms | str:
    """Scale a structure to its deepest energy well, or say why there is none."""
    touching = 2.0 * float(np.mean(covalent_radii[shape.numbers]))
    widest = max(_WIDEST * touching, 0.95 * potential.cutoff)
    size_k = np.geomspace(_CLOSEST * touching, widest, _SIZES)
    energy_k = np.array([r.energy / len(shape) for r in potential.evaluate([scaled(shape, s) for s in size_k])])
    wells = np.flatnonzero((energy_k[1:-1] < energy_k[:-2]) & (energy_k[1:-1] <= energy_k[2:])) + 1
    deep = [k for k in wells if energy_k[k] < energy_k[-1] - 1e-6 * max(1.0, abs(energy_k[-1]))]
    if not deep:
        return f"no energy well between nearest distances of {size_k[0]:.2f} and {size_k[-1]:.2f} Å"
    best = min(deep, key=lambda k: float(energy_k[k]))
    return scaled(shape, float(size_k[best]))


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """Return the same crystal with every length multiplied."""
    out = atoms.copy()
    out.set_cell(factor * atoms.cell.array, scale_atoms=True)
    return out


def nearest_distance(atoms: Atoms) -> float:
    """Return the shortest distance between two atoms, images included (Å)."""
    from lodewell.crystals.neighbours.neighbours import neighbour_list

    reach = 1.2 * float(atoms.get_volume() / len(atoms)) ** (1.0 / 3.0) if atoms.pbc.all() else 2.0
    while reach < 1e3:
        vector_pc: Floats = neighbour_list(atoms, reach, half=True)[3]
        if len(vector_pc):
            return float(np.linalg.norm(vector_pc, axis=1).min())
        reach *= 1.5
    return float("inf")


def _lattice(kind: str, atoms: Atoms) -> dict[str, float]:
    if _CUBIC.get(kind):
        return {"a": float(_CUBIC[kind] * atoms.get_volume() / len(atoms)) ** (1.0 / 3.0)}
    a, b, c = (float(length) for length in atoms.cell.lengths())
    return {"a": a, "c": c} if kind == "hcp" else {"a": a, "b": b, "c": c}


def _observed(atoms: Atoms, kind: str) -> dict[str, float] | None:
    return observed.lattice(int(atoms.numbers[0]), kind) if kind in _OF_ELEMENTS else None


def with_ordering(found: Sequence[Prototype]) -> list[Prototype]:
    """Fill in energies over the best structure of each composition, and energies of formation from the elements."""
    best: dict[str, float] = {}
    for p in found:
        if p.energy_per_atom is not None:
            best[p.formula] = min(best.get(p.formula, np.inf), p.energy_per_atom)
    out = []
    for p in found:
        if p.atoms is None or p.energy_per_atom is None:
            out.append(p)
            continue
        elements = p.atoms.get_chemical_symbols()
        pure = [best.get(s) for s in elements]
        formation = None
        if len(set(elements)) > 1 and None not in pure:
            formation = p.energy_per_atom - float(np.mean([e for e in pure if e is not None]))
        out.append(replace(p, above=p.energy_per_atom - best[p.formula], formation=formation))
    return out
