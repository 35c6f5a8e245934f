"""Coulomb, London and Born–Mayer terms with exact sums: other codes, brute force, bad input, relaxation."""

import logging

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from lodewell import BornMayer, Coulomb, LennardJones, London, check_potential, lattice_sum, relax, score
from lodewell.errors import BadCrystal, BadOption, UnsupportedElement
from lodewell.potentials.ionic.ionic import COULOMB

salt = Coulomb({"Na": 1.0, "Cl": -1.0})
# Rocksalt MgO after Lewis & Catlow, J. Phys. C 18, 1149 (1985): rigid ions, no shells.
magnesia = (
    Coulomb({"Mg": 2.0, "O": -2.0})
    + BornMayer({"Mg-O": (1428.5, 0.2945), "O-O": (22764.3, 0.149)})
    + London({"O-O": 27.88, "Mg-O": 0.0})
)


def rattled(seed: int = 1) -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 1, 1)
    atoms.rattle(0.2, seed=seed)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.05 * np.random.default_rng(seed).normal(size=(3, 3))))
    return atoms


def test_energy_of_rock_salt():
    (result,) = salt.evaluate(bulk("NaCl", "rocksalt", a=5.64))
    assert result.energy == pytest.approx(-COULOMB * 1.7475645946331822 / 2.82, rel=1e-10)


def test_ewald_sums_of_pymatgen():
    ewald, ase = pytest.importorskip("pymatgen.analysis.ewald"), pytest.importorskip("pymatgen.io.ase")
    atoms = rattled()
    structure = ase.AseAtomsAdaptor.get_structure(atoms)
    structure.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    other = ewald.EwaldSummation(structure, acc_factor=24, compute_forces=True)
    (result,) = salt.evaluate(atoms)
    assert result.energy == pytest.approx(other.total_energy, rel=1e-9)
    assert np.allclose(result.forces_nc, other.forces, atol=1e-8)


def test_terms_are_what_lattice_sums_say():
    atoms = rattled(2)
    c6 = {"Na-Cl": 20.0, "Cl-Cl": 110.0}
    chlorine = atoms.numbers == 17
    matrix = 20.0 * (chlorine[:, None] ^ chlorine) + 110.0 * (chlorine[:, None] & chlorine)
    (result,) = London(c6).evaluate(atoms)
    assert np.allclose(result.energies_n, -0.5 * (matrix * lattice_sum(atoms, 6)).sum(axis=1), rtol=1e-9)
    (result,) = BornMayer({"Na-Cl": (1000.0, 0.33)}).evaluate(atoms)
    matrix = 1000.0 * (chlorine[:, None] ^ chlorine)
    assert np.allclose(result.energies_n, 0.5 * (matrix * lattice_sum(atoms, decay=1 / 0.33)).sum(axis=1), rtol=1e-9)
    q_n = np.where(chlorine, -1.0, 1.0)
    (result,) = salt.evaluate(atoms)
    assert np.allclose(
        result.energies_n, 0.5 * COULOMB * (np.outer(q_n, q_n) * lattice_sum(atoms)).sum(axis=1), rtol=1e-9
    )


def test_the_tolerance_is_kept():
    atoms = rattled(3)
    exact = Coulomb(salt.charges, 1e-13).evaluate(atoms)[0].energies_n
    length = (atoms.get_volume() / len(atoms)) ** (1 / 3)
    for tolerance in (1e-4, 1e-7):
        error = np.abs(Coulomb(salt.charges, tolerance).evaluate(atoms)[0].energies_n - exact).max()
        assert error <= tolerance * 0.5 * COULOMB / length


def test_laws_hold_for_a_sum_with_a_family_that_has_a_cutoff():
    assert check_potential(salt + LennardJones({"Na-Cl": (0.01, 2.5)}, cutoff=6.0)) == []


def test_magnesia_relaxes_to_its_lattice_constant():
    atoms = bulk("MgO", "rocksalt", a=4.0, cubic=True)
    atoms.rattle(0.05, seed=1)
    (relaxed,) = relax([atoms], magnesia, fmax=0.001)
    assert relaxed.status == "converged"
    a = relaxed.atoms.get_volume() ** (1 / 3)

    def energy(edge):
        return magnesia.evaluate(bulk("MgO", "rocksalt", a=edge))[0].energy

    assert energy(a) < min(energy(a - 0.01), energy(a + 0.01))
    assert 4.0 < a < 4.3


@pytest.mark.parametrize(
    ("term", "pair", "energy"),
    [
        (Coulomb({"Mg": 2.0, "O": -1.5}), (12, 8), -3.0 * COULOMB / 2.0),
        (London({"O-O": 27.88, "Mg-O": 0.0}), (8, 8), -27.88 / 64.0),
        (BornMayer({"Mg-O": (1428.5, 0.2945), "O-O": (2.0, 0.1)}), (8, 12), 1428.5 * np.exp(-2.0 / 0.2945)),
        (BornMayer({"Mg-O": (1428.5, 0.2945)}), (12, 12), 0.0),
    ],
)
def test_the_energy_of_one_pair(term, pair, energy):
    (found,) = term.pair_energy(*pair, np.array([2.0]))
    assert found == pytest.approx(energy, rel=1e-14)


def test_a_charged_cell_is_said_to_be_one(caplog):
    charged = Coulomb({"Na": 1.0})
    atoms = bulk("Na", "bcc", a=4.0)
    with caplog.at_level(logging.WARNING):
        (result,) = charged.evaluate(atoms)
        charged.evaluate(atoms)
    assert [r.getMessage().startswith("charges of a cell add up to +1 e") for r in caplog.records] == [True]
    assert result.energy == pytest.approx(0.5 * COULOMB * lattice_sum(atoms)[0, 0], rel=1e-9)


def test_a_charged_cell_is_relaxed_with_its_cell_fixed_alone():
    """Energies of cells with a background do not compare: such a cell has no rank, and its size means nothing."""
    neutral, rock_salt = bulk("MgO", "rocksalt", a=4.3), bulk("MgO", "rocksalt", a=4.3, cubic=True)
    lacking = rock_salt.copy()
    del lacking[0]
    lacking.rattle(0.02, seed=1)
    assert magnesia.excess_charge(lacking) == -2.0
    assert (0.5 * magnesia).excess_charge(neutral) == 0.0
    free = relax([neutral, lacking], magnesia, max_steps=300)
    assert [r.status for r in free] == ["converged", "unsupported"]
    assert free[1].message.startswith("charges of the cell add up to -2 e")
    assert "with the cell fixed" in free[1].message
    fixed = relax([neutral, lacking], magnesia, cell="fixed", max_steps=300)
    assert [(r.status, r.rank, r.charge) for r in fixed] == [("converged", 1, 0.0), ("converged", None, -2.0)]
    assert "it has no rank" in fixed[1].message
    scored = score([neutral, lacking], magnesia)
    assert [(s.status, s.rank, s.charge) for s in scored] == [("scored", 1, 0.0), ("scored", None, -2.0)]
    assert "it has no rank" in scored[1].message


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Coulomb([1.0, -1.0]), "charges must be a mapping"),
        (lambda: Coulomb({}), "charges must be a mapping"),
        (lambda: Coulomb({"Na": "one"}), "the charge of Na must be a number, not 'one'"),
        (lambda: London(63.8), "C6 must be a mapping"),
        (lambda: London({"Ar-Ar": None}), "C6 of Ar-Ar must be a number"),
        (lambda: London({("Ar", "Ar"): 63.8}), "C6 must be a mapping"),
        (lambda: BornMayer({"Mg-O": 1428.5}), "needs A in eV and a positive ρ in Å, not 1428.5"),
        (lambda: BornMayer({"Mg-O": (1428.5, "x")}), "needs A in eV and a positive ρ"),
        (lambda: BornMayer({"Mg-O": (1428.5, 0.3, 6.0)}), "needs A in eV and a positive ρ"),
    ],
)
def test_parameters_of_another_kind_are_refused(make, says):
    with pytest.raises(BadOption, match=says):
        make()


def test_sums_say_what_they_are_made_of():
    assert repr(magnesia) == "Coulomb(O, Mg) + BornMayer(O, Mg) + London(O, Mg)"
    assert repr(0.5 * magnesia).startswith("0.5 * Coulomb(O, Mg) + 0.5 * ")


def test_what_is_refused():
    slab = bulk("NaCl", "rocksalt", a=5.64)
    slab.pbc = [True, True, False]
    pair = Atoms("NaCl", positions=[[0, 0, 0], [2, 0, 0]])
    same = Atoms("NaCl", positions=[[0, 0, 0], [5, 0, 0]], cell=5 * np.eye(3), pbc=True)
    for potential in (salt, salt + LennardJones({"Na-Cl": (0.01, 2.5)}, cutoff=6.0)):
        for atoms, says in (
            (slab, "periodic in three"),
            (pair, "periodic in three"),
            (same, "stand in the same place"),
        ):
            with pytest.raises(BadCrystal, match=says):
                potential.evaluate(atoms)
            atoms.calc = potential.calculator()
            with pytest.raises(BadCrystal, match=says):
                atoms.get_potential_energy()
    with pytest.raises(UnsupportedElement, match="Cu"):
        salt.evaluate(bulk("Cu"))
    results = relax([slab, rattled()], magnesia)
    assert results[0].status != "converged"


def test_one_slab_costs_one_row():
    slab = bulk("MgO", "rocksalt", a=4.2)
    slab.pbc = [True, True, False]
    by_status = {r.status: r for r in relax([slab, bulk("MgO", "rocksalt", a=4.2)], magnesia)}
    assert "periodic in three directions" in by_status["unsupported"].message
    assert "converged" in by_status


def test_bad_parameters():
    with pytest.raises(BadOption, match="no element"):
        Coulomb({"Xx": 1.0})
    with pytest.raises(BadOption, match="must be a number"):
        Coulomb({"Na": float("nan")})
    with pytest.raises(BadOption, match="positive ρ"):
        BornMayer({"Mg-O": (1000.0, -0.3)})
    with pytest.raises(BadOption, match="tolerance"):
        London({"Ar-Ar": 60.0}, tolerance=0.0)
