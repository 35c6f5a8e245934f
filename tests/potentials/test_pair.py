"""Analytic pair potentials: closed forms, ASE, the compiled loops against their NumPy twins."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.calculators.morse import MorsePotential
from hypothesis import given, settings
from hypothesis import strategies as st

from lodewell import ZBL, Batch, Buckingham, LennardJones, Morse, Neighbours, PairPotential
from lodewell.errors import BadOption, UnsupportedElement
from lodewell.potentials.pairs._radial import CHANNELS, ROOM, exponentials


def dimer(symbols: str, r: float) -> Atoms:
    return Atoms(symbols, positions=[[0, 0, 0], [0, 0.6 * r, 0.8 * r]])


@settings(deadline=None)
@given(st.lists(st.floats(-690, 690), min_size=1, max_size=ROOM))
def test_exponentials_are_right_to_the_last_places(values):
    block = np.empty(CHANNELS * ROOM)
    block[: len(values)] = values
    exponentials(len(values), block, 0)
    wanted = np.exp(np.array(values))
    assert (np.abs(block[: len(values)] - wanted) <= 2 * np.spacing(wanted)).all()


@pytest.mark.parametrize(
    ("potential", "symbols", "r", "energy"),
    [
        (LennardJones({"Ar-Ar": (0.0104, 3.4)}, 9.0), "Ar2", 3.4, 0.0),
        (LennardJones({"Ar-Ar": (0.0104, 3.4)}, 9.0), "Ar2", 3.4 * 2 ** (1 / 6), -0.0104),
        (Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, 9.0), "Cu2", 2.866, -0.3429),
        (Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, 9.0), "Cu2", 2.866 - np.log(2) / 1.3588, 0.0),
        (Buckingham({"O-O": (22764.0, 0.149, 27.88)}, 9.0), "O2", 3.0, 22764 * np.exp(-3 / 0.149) - 27.88 / 729),
        # Z1 Z2 e²/r φ(r/a) by hand for two silicon atoms: a = 0.4685 / (2 · 14^0.23) Å, φ(1 / a) = 0.064465...
        (ZBL(4.0), "Si2", 1.0, 196 * 14.399645 * sum(
            c * np.exp(-b * 2 * 14**0.23 / 0.46850)
            for c, b in ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
        )),
    ],
)  # fmt: skip
def test_dimers_have_the_energy_of_the_formula(potential, symbols, r, energy):
    assert potential.evaluate(dimer(symbols, r))[0].energy == pytest.approx(energy, abs=1e-12, rel=1e-12)


families = [
    LennardJones({"Cu-Cu": (0.2, 2.3), "Cu-O": (0.1, 1.9)}, cutoff=5.5, switch=1.5),
    Morse({"Cu-Cu": (0.3429, 1.3588, 2.866), "O-O": (0.1, 1.2, 2.5)}, cutoff=6.0),
    Buckingham({"O-O": (22764.0, 0.149, 27.88), "Cu-O": (700.0, 0.3, 0.0)}, cutoff=5.0, switch=0.0),
    ZBL(cutoff=3.5),
]


@pytest.mark.parametrize("potential", families, ids=lambda p: p.kind)
@pytest.mark.parametrize("half", [True, False])
def test_compiled_sums_agree_with_the_numpy_radial_functions(potential, half):
    members = [bulk("Cu", cubic=True), bulk("CuO", "rocksalt", a=4.2), bulk("Cu", cubic=True) * 3]
    rng = np.random.default_rng(0)
    for atoms in members:
        atoms.numbers = rng.choice([8, 29], len(atoms))
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    batch = Batch.from_atoms(members)
    neighbours = Neighbours.build(batch, potential.cutoff, 0.3, half)
    compiled, plain = potential.compute(batch, neighbours), potential._compute_blocks(batch, neighbours)
    for a, b in zip(compiled, plain, strict=True):
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


@pytest.mark.parametrize("potential", families, ids=lambda p: p.kind)
def test_curves_are_what_dimers_feel(potential):
    r = np.concatenate([np.linspace(1.1, potential.cutoff + 0.5, 40), [potential.cutoff]])
    u, du = potential.curve("O-Cu", r)
    for distance, energy, slope in zip(r, u, du, strict=True):
        result = potential.evaluate(dimer("CuO", distance))[0]
        inside = distance < potential.cutoff
        assert result.energy == pytest.approx(energy if inside else 0.0, rel=1e-10, abs=1e-14)
        pull = result.forces_nc[0] @ [0, 0.6, 0.8]
        assert pull == pytest.approx(slope if inside else 0.0, rel=1e-10, abs=1e-14)


def test_lennard_jones_agrees_with_ase():
    atoms = bulk("Ar", "fcc", a=5.2, cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=2)
    atoms.calc = AseLennardJones(sigma=3.4, epsilon=0.0104, rc=7.0, ro=6.9999999, smooth=False)
    (ours,) = LennardJones({"Ar-Ar": (0.0104, 3.4)}, cutoff=7.0, switch=0.0).evaluate(atoms)
    i_p = Neighbours.build(Batch.from_atoms(atoms), 7.0)
    pairs = (i_p.last_n - i_p.first_n).sum()
    shift = 4 * 0.0104 * ((3.4 / 7) ** 12 - (3.4 / 7) ** 6)  # ASE lifts every pair to end at zero
    assert ours.energy - pairs * shift == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    assert np.allclose(ours.forces_nc, atoms.get_forces(), atol=1e-13)
    assert np.allclose(ours.stress_cc, atoms.get_stress(voigt=False), atol=1e-14)


def test_morse_agrees_with_ase_inside_its_switch():
    atoms = Atoms("Cu3", positions=[[0, 0, 0], [2.5, 0, 0], [0.3, 2.7, 0.2]])
    atoms.calc = MorsePotential(epsilon=0.3429, r0=2.866, rho0=1.3588 * 2.866, rcut1=1.9, rcut2=2.5)
    (ours,) = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=9.0).evaluate(atoms)
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    assert np.allclose(ours.forces_nc, atoms.get_forces(), atol=1e-12)


def test_pairs_not_named_do_not_interact():
    potential = Morse({"Cu-O": (1.0, 1.5, 2.0)}, cutoff=5.0)
    assert potential.evaluate(dimer("Cu2", 2.0))[0].energy == 0.0
    assert not potential.evaluate(dimer("O2", 1.0))[0].forces_nc.any()
    assert potential.evaluate(dimer("CuO", 2.0))[0].energy == pytest.approx(-1.0)


def test_atoms_on_top_of_each_other_give_no_nan_where_the_curve_is_finite():
    together = Batch.from_atoms(Atoms("Cu2", positions=np.zeros((2, 3))))
    (result,) = Morse({"Cu-Cu": (1.0, 1.0, 2.0)}, cutoff=5.0).evaluate_batch(together)
    assert result.energy == pytest.approx((np.exp(2) - 1) ** 2 - 1)
    assert not result.forces_nc.any()


def test_the_switch_ends_energy_and_force_smoothly():
    potential = Morse({"Cu-Cu": (1.0, 0.3, 2.0)}, cutoff=5.0, switch=1.5)
    u, du = potential.curve("Cu-Cu", np.array([5.0 - 1e-5, 5.0, 5.1]))
    assert abs(u[0]) < 1e-12
    assert abs(du[0]) < 1e-8
    assert not u[1:].any()
    sharp = Morse({"Cu-Cu": (1.0, 0.3, 2.0)}, cutoff=9.0).curve("Cu-Cu", np.array([3.4]))
    assert potential.curve("Cu-Cu", np.array([3.4]))[0] == pytest.approx(sharp[0])


def test_radial_and_parameters_must_be_there():
    with pytest.raises(TypeError, match="radial"):
        PairPotential({}, 3.0)
    with pytest.raises(BadOption, match="Cu-Cu needs depth, alpha, r0: got 2 numbers"):
        Morse({"Cu-Cu": (1.0, 2.0)}, cutoff=5.0)
    with pytest.raises(BadOption, match="'CuO' is no pair of elements"):
        Morse({"CuO": (1.0, 2.0, 3.0)}, cutoff=5.0)
    with pytest.raises(BadOption, match="the switch must lie between"):
        Morse({"Cu-Cu": (1.0, 2.0, 3.0)}, cutoff=0.5)
    with pytest.raises(UnsupportedElement, match=r"crystal 0 \(OPb\): this potential has no curve for O, Pb"):
        Morse({"Cu-Cu": (1.0, 2.0, 3.0)}, cutoff=5.0).evaluate(dimer("PbO", 2.0))
