"""Gaussian approximation potentials made up for tests: sparse points from random crystals, random weights."""

from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from hypothesis import strategies as st

from lodewell import ZBL
from lodewell.descriptors.environments import Angle, Descriptor, Distance, Soap
from lodewell.descriptors.legs import Legs
from lodewell.potentials.gap.design import Design
from lodewell.potentials.gap.gap import GAP, Term
from lodewell.potentials.gap.knowledge import Knowledge

CUTOFF = 4.2


def random_crystal(numbers, rng: np.random.Generator, most: int = 8, pbc=True, edge: float = 2.7) -> Atoms:
    """Few atoms in a small skewed cell, none closer than 1.2 Å to another if that can be had."""
    count = int(rng.integers(1, most + 1))
    cell = edge * count ** (1 / 3) * (np.eye(3) + 0.3 * rng.uniform(-1, 1, (3, 3)))
    for _ in range(50):
        places = rng.uniform(size=(count, 3))
        atoms = Atoms(rng.choice(numbers, count), scaled_positions=places, cell=cell, pbc=pbc)
        apart = atoms.get_all_distances(mic=bool(np.any(pbc))) + 9.0 * np.eye(count)
        if apart.min() > 1.2:
            break
    return atoms


def crystals(numbers, most: int = 8):
    """Crystals, slabs, chains and molecules of a few elements, for hypothesis."""
    return st.builds(
        lambda seed, pbc, edge: random_crystal(numbers, np.random.default_rng(seed), most, pbc, edge),
        st.integers(0, 10_000), st.tuples(*[st.booleans()] * 3), st.floats(2.4, 3.4),
    )  # fmt: skip


def descriptors(*symbols: str, zeta: float = 4.0) -> list[Descriptor]:
    """Every term that these elements allow, with odd hyperparameters."""
    species = tuple(sorted(atomic_numbers[s] for s in symbols))
    pairs = list(combinations_with_replacement(species, 2))
    return [
        *(Distance(pair, CUTOFF, 1.3, 0.8) for pair in pairs),
        *(Angle(i, pair, 3.1, 0.7, (1.1, 0.6, 1.3)) for i in species for pair in pairs),
        *(Soap(z, species, CUTOFF, 1.0, 4 if len(species) == 1 else 3, 4, 0.5, zeta) for z in species),
    ]


def points(descriptor: Descriptor, count: int = 8, seed: int = 0):
    """Descriptors (M, D) met in random crystals, and their cutoff factors (M,)."""
    blank = Term(descriptor, 1.0, np.zeros((0, descriptor.size)), np.zeros(0), np.zeros(0)).kernel()
    rng = np.random.default_rng(seed)
    numbers = sorted(
        {descriptor.centre, *descriptor.species} if isinstance(descriptor, Soap) else
        {descriptor.centre, *descriptor.others} if isinstance(descriptor, Angle) else descriptor.species
    )  # fmt: skip
    found = []
    while sum(len(e.x_ed) for e in found) < 3 * count:
        atoms = random_crystal(numbers, rng)
        found += [blank.environments(legs) for legs in Legs.of_atoms(atoms, descriptor.cutoff)]
    x, f = np.concatenate([e.x_ed for e in found]), np.concatenate([e.fade_e for e in found])
    chosen = rng.choice(len(x), count, replace=False)
    return x[chosen], f[chosen]


def made_up_gap(*symbols: str, seed: int = 0, zeta: float = 4.0, baseline: bool = False, count: int = 8) -> GAP:
    """A potential with every term of these elements."""
    rng = np.random.default_rng(seed)
    terms = []
    for k, descriptor in enumerate(descriptors(*symbols, zeta=zeta)):
        delta = {"distance": 0.5, "angle": 0.2, "soap": 0.3}[descriptor.kind]
        x, f = points(descriptor, count, seed + k)
        terms.append(Term(descriptor, delta, x, f, rng.normal(size=count)))
    lone = {atomic_numbers[s]: float(rng.normal()) for s in symbols}
    return GAP(lone, terms, ZBL() if baseline else None)


def with_knowledge(potential: GAP, seed: int = 0) -> GAP:
    """Give a potential a made-up posterior."""
    design = Design(potential.kernels)
    rows = np.random.default_rng(seed).normal(size=(3 * design.columns, design.columns))
    factor = np.linalg.cholesky(np.eye(design.columns) + rows.T @ rows).T
    potential = potential.with_record(knowledge=Knowledge(design, factor, (2.0, 1e-6), (3.0, 1e-4), (0.5, 1e-8), 0.7))
    return potential
