"""Sums, factors and differences of potentials."""

import numpy as np
import pytest
from ase.build import bulk

from lodewell import ZBL, LennardJones, Morse
from lodewell.errors import UnsupportedElement
from lodewell.potentials.calculator import FromCalculator
from lodewell.potentials.sum import Sum

morse = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866), "Cu-O": (0.5, 1.5, 2.0)}, cutoff=5.0)
lj = LennardJones({"Cu-Cu": (0.1, 2.3)}, cutoff=6.5)
zbl = ZBL(3.0)


def numbers(potential, atoms):
    (r,) = potential.evaluate(atoms)
    return np.concatenate([r.energies_n, r.forces_nc.ravel(), r.virial_cc.ravel()])


@pytest.fixture
def atoms():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.2, seed=0)
    return atoms


def test_sums_are_linear(atoms):
    wanted = 2.0 * numbers(morse, atoms) - 0.5 * (numbers(lj, atoms) + numbers(zbl, atoms))
    got = numbers(2.0 * morse - 0.5 * (lj + zbl), atoms)
    assert np.allclose(got, wanted, atol=1e-12 * np.abs(wanted).max())


def test_sums_of_sums_are_flat():
    total = 0.5 * (morse + 2 * (lj - zbl))
    assert isinstance(total, Sum)
    assert total.terms == [(0.5, morse), (1.0, lj), (-1.0, zbl)]
    assert total.cutoff == 6.5


def test_a_sum_knows_what_all_its_terms_know(atoms):
    assert (morse + zbl).species == morse.species
    assert (morse + lj).species == {29}
    assert (zbl + ZBL(2.0)).species is None
    atoms.numbers[0] = 8
    with pytest.raises(UnsupportedElement, match="lennard-jones: this potential has no curve for O"):
        (morse + lj).evaluate(atoms)


def test_a_sum_is_calibrated_only_if_all_terms_are():
    rough = Morse({"Cu-Cu": (1.0, 1.0, 2.0)}, cutoff=4.0)
    rough.calibrated = False
    assert (morse + zbl).calibrated
    assert not (morse + rough).calibrated


def test_terms_that_want_full_lists_share_one_with_pairs(atoms):
    total = morse + FromCalculator(lj.calculator())
    assert not total.half_list
    wanted = numbers(morse + lj, atoms)
    # An ASE calculator of other make has no energies of atoms: totals, forces and virial agree.
    (got,) = total.evaluate(atoms)
    assert got.energy == pytest.approx(wanted[: len(atoms)].sum())
    assert np.allclose(got.forces_nc.ravel(), wanted[len(atoms) : -9], atol=1e-10)
    assert np.allclose(got.virial_cc.ravel(), wanted[-9:], atol=1e-10)
