"""What is refused, what is legal, and the quick search for coincident atoms against a plain one."""

import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from lodewell.crystals import validate as module
from lodewell.crystals.validate import COINCIDENT, validate


def cube(positions: list[list[float]], symbols: str = "O", **more: object) -> Atoms:
    return Atoms(symbols * len(positions), positions=positions, **{"cell": [5, 5, 5], "pbc": True} | more)


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("Cu"),
        Atoms("H", cell=[2, 2, 2], pbc=True),
        Atoms("Po", cell=np.diag([2.0, 2.0, -2.0]), pbc=True),
        molecule("C6H6"),
        fcc111("Al", (2, 2, 3), vacuum=8.0),
        Atoms("C", cell=[2.5, 0, 0], pbc=[True, False, False]),
        Atoms(
            "C2",
            positions=[[0, 0, 0], [0, 1.4, 0]],
            cell=[[2.4, 0, 0], [0, 4.2, 0], [0, 0, 0]],
            pbc=[True, True, False],
        ),
        cube([[0, 0, 0], [0, 0, 0.5]], "H"),
        bulk("NaCl", "rocksalt", a=5.6).repeat(8),
    ],
    ids=["copper", "one-atom", "left-handed", "benzene", "slab", "chain", "sheet", "close", "1024"],
)
def test_legal(atoms: Atoms) -> None:
    assert validate(atoms) is None


@pytest.mark.parametrize(
    ("atoms", "reason"),
    [
        (Atoms(), "no atoms"),
        (cube([[0, 0, 0], [0, np.nan, 0]]), "position of atom O2 is not a finite number"),
        (cube([[0, 0, 0]], cell=[5, np.inf, 5]), "cell is not finite"),
        (cube([[0, 0, 0]], cell=[5, 0, 5]), "no b vector"),
        (cube([[0, 0, 0]], cell=[[1, 0, 0], [0, 1, 0], [1, 1, 0]]), "no volume"),
        (cube([[0, 0, 0]], cell=[[1, 0, 0], [1, 1e-9, 0], [0, 0, 1]]), "no volume"),
        (cube([[0, 0, 0]], cell=[[1, 0, 0], [2, 0, 0], [0, 0, 0]], pbc=[True, True, False]), "no volume"),
        (cube([[0, 0, 0]], cell=[0, 0, 0]), "no a vector"),
        (cube([[0, 0, 0]], "X"), "atom 1 is of no known element"),
        (cube([[0, 0, 0], [1, 1, 1], [4.96, 0.03, 0]]), "atoms O1 and O3 coincide (0.050 Å"),
        (cube([[1, 1, 1], [1, 1, 1]], pbc=False), "atoms O1 and O2 coincide (0.000 Å"),
        (cube([[1, 1, 0], [1, 1, 5]], pbc=[True, True, False]), None),
        (cube([[1, 1, 0], [1, 6, 0.02]], pbc=[True, True, False]), "atoms O1 and O2 coincide"),
        (cube([[0, 0, 0]], cell=[0.05, 5, 5]), "atom O1 coincides with its own periodic image"),
        (cube([[0, 0, 0]], info={"occupancy": {"0": {"Li": 0.6}}}), "site 0 is partially occupied (Li 0.6)"),
        (cube([[0, 0, 0]], info={"occupancy": {"0": {"Li": "half"}}}), "site 0 is partially occupied (Li half)"),
    ],
)
def test_refused(atoms: Atoms, reason: str | None) -> None:
    said = validate(atoms)
    assert (said is None) if reason is None else (said is not None and reason in said), said


def closest(atoms: Atoms) -> float:
    """Go through all pairs and images, slowly."""
    shortest = np.inf
    cell = atoms.cell.complete().array
    span = [range(-4, 5) if periodic else (0,) for periodic in atoms.pbc]
    shifts = np.array(np.meshgrid(*span)).reshape(3, -1).T
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T
    scaled[:, atoms.pbc] -= np.floor(scaled[:, atoms.pbc])
    for i, a in enumerate(scaled):
        for j, b in enumerate(scaled):
            distances = np.linalg.norm((b - a + shifts) @ cell, axis=1)
            if i == j:
                distances = distances[shifts.any(axis=1)]
            shortest = min(shortest, distances.min(initial=np.inf))
    return float(shortest)


@st.composite
def crowded(draw: st.DrawFn) -> Atoms:
    number = st.floats(-1, 1)
    count = draw(st.integers(1, 4))
    cell = np.eye(3) * draw(st.floats(0.08, 0.4)) + 0.3 * np.array(
        draw(st.lists(number, min_size=9, max_size=9))
    ).reshape(3, 3)
    rows = st.lists(st.tuples(number, number, number), min_size=count, max_size=count)
    return Atoms("C" * count, positions=draw(rows), cell=cell, pbc=draw(st.tuples(*[st.booleans()] * 3)))


@given(crowded(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_coincident_atoms_are_found_through_any_cell(atoms: Atoms, tree: bool) -> None:
    lengths = atoms.cell.lengths()
    span = abs(atoms.cell.volume) / max(np.prod(lengths), 1e-9)
    if span < 0.05:
        return
    atoms.cell = atoms.cell.array * np.where(atoms.pbc, 1, 1)[:, None]
    frame = atoms.copy()
    frame.cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0)
    shortest = closest(frame)
    if abs(shortest - COINCIDENT) < 1e-9:
        return
    search = module._closest_pair_tree if tree else lambda p, c, b: module._closest_pair(p, c, b, COINCIDENT)
    complete = np.eye(3) if not atoms.pbc.any() else module._completed(frame.cell.array, atoms.pbc)
    i, _, distance = search(frame.positions, complete, atoms.pbc)
    assert (i >= 0) == (shortest < COINCIDENT)
    if i >= 0:
        assert shortest - 1e-9 <= distance < COINCIDENT


def test_many_atoms_are_searched_quickly() -> None:
    rng = np.random.default_rng(3)
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True).repeat(14)
    atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
    start = time.perf_counter()
    assert validate(atoms) is None
    assert time.perf_counter() - start < 5
    atoms.positions[17] = atoms.positions[20000] + atoms.cell.array[1] - [0.01, 0, 0]
    said = validate(atoms)
    assert said is not None
    assert "Na18 and" in said or "Cl18 and" in said
    assert "20001" in said
