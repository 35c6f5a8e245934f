"""Every family of potentials against every law of physics. A new family is one line in `potentials`."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from lodewell import (
    ZBL,
    BornMayer,
    Buckingham,
    Coulomb,
    LennardJones,
    London,
    Morse,
    PairPotential,
    PairTable,
    Potential,
    check_potential,
    load,
    shipped,
)
from lodewell.potentials.calculator import FromCalculator
from lodewell.potentials.families import families
from lodewell.potentials.sum import Sum
from tests.conftest import made_up_crystals, mined
from tests.potentials.gap.made_up_gap import made_up_gap
from tests.potentials.made_up_meam import made_up_meam
from tests.potentials.made_up_uf import embedded_uf, made_up_uf


class Gaussian(PairPotential):
    """A family written by a user: `radial` alone, in NumPy."""

    kind = "gaussian"
    parameter_names = ("height", "width")

    def radial(self, r_p, parameters_xp):
        height, width = parameters_xp
        u = height * np.exp(-0.5 * (r_p / width) ** 2)
        return u, -r_p / width**2 * u


def through_ase(inner: Potential) -> Potential:
    """A potential seen through its own ASE calculator: the units and signs of both doors."""
    outer = FromCalculator(inner.calculator())
    outer.species = inner.species
    return outer


def points(depth: float, r0: float, cutoff: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth well that ends at the cutoff."""
    r = np.linspace(0.5, cutoff, 150)
    return r, depth * ((np.exp(-1.5 * (r - r0)) - 1) ** 2 - 1) * np.cos(0.5 * np.pi * r / cutoff) ** 2


lj = LennardJones({"Ar-Ar": (0.0104, 3.4), "Ar-Ne": (0.006, 3.1), "Ne-Ne": (0.003, 2.8)}, cutoff=7.0)
morse = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866), "Cu-O": (0.5, 1.6, 1.95)}, cutoff=6.0, switch=2.0)  # no O-O
table = PairTable({"Li-Li": points(0.2, 2.9), "Li-O": points(1.0, 2.0), "O-O": points(0.1, 3.0)})

potentials = {
    "Lennard-Jones": lj,
    "Morse": morse,
    "Buckingham": Buckingham({"Mg-O": (1428.5, 0.2945, 0.0), "O-O": (22764.0, 0.149, 27.88)}, cutoff=6.0),
    "ZBL": ZBL(),
    "table": table,
    "user's own": Gaussian({"C-Si": (2.0, 0.9), "C-C": (3.0, 0.7)}, cutoff=4.0),
    "statistical": mined(made_up_crystals()),
    **{name: load(name) for name in shipped()},
    "UF": made_up_uf("Si"),
    "UF of two elements, uneven knots": made_up_uf("O", "Ti", even=False),
    "UF with an embedding": embedded_uf("O", "Ti"),
    "MEAM": made_up_meam("Si"),
    "MEAM of two elements, uneven knots": made_up_meam("O", "Ti", even=False),
    "GAP": made_up_gap("Si"),
    "GAP of two elements over a wall": made_up_gap("O", "Ti", baseline=True),
    "Coulomb, London and Born–Mayer": Coulomb({"Mg": 2.0, "O": -2.0})
    + London({"O-O": 27.88, "Mg-O": 0.0})
    + BornMayer({"Mg-O": (1428.5, 0.2945), "O-O": (22764.0, 0.149)}),
    "sum of pairs": lj + 0.5 * ZBL(),
    "difference of a table and a pair": table - 0.1 * Morse({"Li-O": (1.0, 1.5, 2.0)}, cutoff=4.0),
    "full list": Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=5.0) + through_ase(ZBL()),
    "through ASE": through_ase(table),
}


def kinds_of(potential: Potential) -> set[str]:
    """The family of a potential, and those of the terms of a sum."""
    terms = potential.terms if isinstance(potential, Sum) else ()
    return {potential.kind}.union(*(kinds_of(term) for _, term in terms))


def test_every_family_is_held_against_the_laws():
    tried = set().union(*map(kinds_of, potentials.values()))
    assert set(families()) - tried == set()


@pytest.mark.parametrize("name", potentials)
def test_every_law_holds_on_random_crystals(name):
    assert check_potential(potentials[name]) == []


def settings_of(potential: Potential) -> list[Atoms]:
    """Molecule, chain, slab, short edge, left-handed cell, of elements the potential knows."""
    numbers = sorted(potential.species or (6, 14))
    chain = Atoms([numbers[0], numbers[-1]], positions=[[0, 0, 0], [0.3, 1.9, 0]], cell=[2.6, 0, 0], pbc=[1, 0, 0])
    slab = bulk("Cu", cubic=True) * (1, 2, 1)
    slab.pbc = [True, True, False]
    drop = molecule("CH3OH")
    drop.positions *= 1.8
    short = bulk("Cu", "sc", a=2.0)
    left = bulk("Cu", cubic=True)
    left.set_cell(left.cell.array[[1, 0, 2]])
    left.rattle(0.2, seed=1)
    for k, atoms in enumerate((slab, drop, short, left)):
        atoms.numbers = [numbers[(n + k) % len(numbers)] for n in range(len(atoms))]
        atoms.rattle(0.05, seed=k)
    return [chain, slab, drop, short, left]


# Through ASE there is no virial where there is no volume.
@pytest.mark.parametrize("name", sorted(potentials.keys() - {"through ASE", "full list"}))
def test_every_law_holds_in_every_periodicity(name):
    potential = potentials[name]
    settings = [atoms for atoms in settings_of(potential) if potential.refuses(atoms) is None]
    assert check_potential(potential, settings, seed=3) == []
