"""The path of a crystal does not depend on how it is described: turned, shifted, reordered, in another cell."""

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

import lodewell
from lodewell.relax.lbfgs import largest_principal


def random_sodium(rng):
    """Return a few sodium atoms anywhere in a skewed cell of about the right volume."""
    count = int(rng.integers(1, 9))
    cell = np.eye(3) * (37.0 * count) ** (1 / 3) + rng.normal(0.0, 0.5, (3, 3))
    return Atoms(f"Na{count}", scaled_positions=rng.random((count, 3)), cell=cell, pbc=True)


def redescribed(atoms, rng):
    """Return the same crystal turned, shifted, in another order and by other lattice vectors."""
    turn = Rotation.random(random_state=rng).as_matrix()
    shear = np.eye(3, dtype=int)
    row, column = rng.permutation(3)[:2]
    shear[row, column] = rng.integers(-1, 2)
    out = atoms[rng.permutation(len(atoms))]
    out.set_cell(shear @ atoms.cell.array @ turn.T)
    out.positions = out.positions @ turn.T + rng.normal(0.0, 3.0, 3)
    out.wrap()
    return out


@pytest.mark.parametrize("cell", ["free", "volume"])
def test_one_crystal_described_in_many_ways_takes_one_path(cell):
    """Two copies of a sodium cell once ended 4 meV/atom apart: steps and stopping depended on the axes."""
    rng = np.random.default_rng(5)
    crystals = [random_sodium(rng) for _ in range(25)]
    copies = [redescribed(atoms, rng) for atoms in crystals for _ in range(3)]
    first = lodewell.relax(crystals, "spp", cell=cell, duplicates=False)
    again = lodewell.relax(copies, "spp", cell=cell, duplicates=False)
    for k, one in enumerate(first):
        for other in again[3 * k : 3 * k + 3]:
            assert (other.status, other.steps) == (one.status, one.steps), k
            assert other.energy_per_atom == pytest.approx(one.energy_per_atom, abs=1e-8)
            assert other.volume_per_atom == pytest.approx(one.volume_per_atom, rel=1e-6)


def test_the_largest_principal_value_is_that_of_numpy():
    rng = np.random.default_rng(0)
    matrices = [m + m.T for m in rng.normal(size=(50, 3, 3))]
    matrices += [np.zeros((3, 3)), -2.0 * np.eye(3), np.diag([1.0, 1.0, -3.0]), np.diag([5.0, 5.0, 1.0])]
    for W in matrices:
        assert largest_principal(W) == pytest.approx(np.abs(np.linalg.eigvalsh(W)).max(), rel=1e-7)
