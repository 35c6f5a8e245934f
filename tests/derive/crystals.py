"""Crystals for the tests of deriving: real ones from a file, generated ones, and a random gas."""

from pathlib import Path

import numpy as np
from ase import Atoms
from hypothesis import strategies as st

DATA = Path(__file__).parents[1] / "data"
REAL = DATA / "li-na-fe-p-s-o.extxyz.gz"


def real_crystals(count: int | None = None) -> list[Atoms]:
    """Return crystals of the Materials Project, spread over the file."""
    from lodewell.crystals.read import read_crystals

    found = [record.atoms for record in read_crystals(REAL)]
    return found if count is None else found[:: max(1, len(found) // count)][:count]


def gas(seed: int, count: int = 300, edge: float = 14.0, elements: tuple[int, ...] = (3, 8)) -> Atoms:
    """Return atoms thrown at random into a cube: an ideal gas, alike at all distances."""
    rng = np.random.default_rng(seed)
    return Atoms(rng.choice(elements, count), positions=rng.uniform(0, edge, (count, 3)), cell=[edge] * 3, pbc=True)


@st.composite
def generated(draw) -> Atoms:
    """Return 1 to 9 atoms of up to three elements in a cell that may be skewed, thin or a needle."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 9))
    lengths = [draw(st.floats(1.6, 9.0)) for _ in range(3)]
    skew = draw(st.floats(0.0, 0.9))
    cell = np.diag(lengths) + skew * np.tril(rng.uniform(-1, 1, (3, 3)), -1) * np.array(lengths)
    far = draw(st.sampled_from([0.5, 4.0]))  # atoms need not be inside the cell
    where = rng.uniform(0.5 - far, 0.5 + far, (count, 3))
    return Atoms(rng.choice([3, 8, 15], count), scaled_positions=where, cell=cell, pbc=True)
