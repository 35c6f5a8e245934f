"""Every crystal ends with a status, nothing returned is NaN, and what travels with a crystal arrives."""

import json
import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms, FixBondLengths, FixSymmetry

import lodewell
from lodewell import Buckingham, LennardJones, Morse, Relaxation, RelaxOptions
from lodewell.errors import BadOption
from lodewell.relax.symmetry import space_group


def salt():
    return LennardJones({"Na-Na": (0.02, 3.0), "Na-Cl": (0.3, 2.4), "Cl-Cl": (0.02, 3.3)}, cutoff=7.0)


def rocksalt(seed=0, rattle=0.05, a=5.4):
    atoms = bulk("NaCl", "rocksalt", a=a, cubic=True)
    atoms.positions += np.random.default_rng(seed).normal(0.0, rattle, atoms.positions.shape)
    return atoms


def finite(result: Relaxation):
    json.dumps(result.row(), allow_nan=False)
    numbers = [v for v in (getattr(result, n) for n in Relaxation.__slots__) if isinstance(v, float)]
    assert all(math.isfinite(v) for v in numbers)
    if result.atoms is not None:
        assert np.isfinite(result.atoms.positions).all()
        assert np.isfinite(result.atoms.cell.array).all()


def one(atoms, potential, **options) -> Relaxation:
    (result,) = lodewell.relax(atoms, potential, **options)
    finite(result)
    return result


def test_max_steps():
    result = one(rocksalt(), salt(), max_steps=3)
    assert (result.status, result.steps, result.rank) == ("max steps", 3, 1)
    assert "eV" in result.message
    assert result.energy_per_atom < result.start_energy_per_atom


def test_no_steps_at_all_is_an_evaluation():
    start = rocksalt()
    result = one(start, salt(), max_steps=0)
    assert result.steps == 0
    np.testing.assert_allclose(result.atoms.positions, start.positions, atol=1e-12)
    assert result.energy_per_atom == pytest.approx(salt().evaluate(start)[0].energy / 8, abs=1e-12)


def test_runaway_volume_is_exploded_with_a_sane_geometry():
    repulsive = lodewell.PairTable({"Cu-Cu": (np.linspace(0.1, 9, 300), 3.0 * np.exp(-np.linspace(0.1, 9, 300) / 1.5))})
    result = one(bulk("Cu", "fcc", a=3.6, cubic=True), repulsive)
    assert (result.status, result.rank) == ("exploded", None)
    assert "volume" in result.message
    assert result.atoms.get_volume() <= 5.0 * 3.6**3


def test_collapse_is_exploded_with_a_sane_geometry():
    hole = Buckingham({"Na-Cl": (200.0, 0.3, 900.0), "Na-Na": (1.0, 0.3, 0.0), "Cl-Cl": (1.0, 0.3, 0.0)}, cutoff=6.0)
    result = one(rocksalt(a=4.2), hole)
    assert result.status == "exploded"
    assert result.energy_per_atom is None or math.isfinite(result.energy_per_atom)
    assert result.atoms.get_all_distances(mic=True)[np.triu_indices(8, 1)].min() > 0.3


class Infinite(lodewell.Potential):
    """A potential whose every number is infinite."""

    kind, cutoff = "infinite", 3.0

    def compute(self, batch, neighbours):
        n, b = len(batch.species_n), len(batch)
        return np.full(n, np.inf), np.full((n, 3), np.nan), np.full((b, 3, 3), np.nan)


def test_energies_that_are_not_finite():
    start = rocksalt()
    result = one(start, Infinite())
    assert (result.status, result.energy_per_atom, result.max_force) == ("exploded", None, None)
    np.testing.assert_allclose(result.atoms.positions, start.positions, atol=1e-12)


class Failing(lodewell.Potential):
    """A potential that gives up on sodium."""

    kind, cutoff = "failing", 3.0

    def compute(self, batch, neighbours):
        if (batch.species_n == 11).any():
            raise FloatingPointError("no sodium, please")
        return np.zeros(len(batch.species_n)), np.zeros((len(batch.species_n), 3)), np.zeros((len(batch), 3, 3))


def test_a_potential_that_fails_on_one_crystal_costs_that_one():
    results = lodewell.relax([bulk("Cu"), rocksalt(), bulk("Ag")], Failing())
    assert [r.status for r in results] == ["converged", "exploded", "converged"]
    assert "no sodium" in results[1].message


def test_unsupported_element_is_named_with_an_alternative(table):
    result = one(bulk("CsI", "rocksalt", a=7.0), table)
    assert result.status == "unsupported"
    assert "Cs" in result.message
    assert "K for Cs" in result.message


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda a: a.positions.__setitem__((3, 1), np.nan), "finite"),
        (lambda a: a.set_cell(np.zeros((3, 3))), "cell"),
        (lambda a: a.positions.__setitem__(1, a.positions[0]), "coincide"),
        (lambda a: a.set_constraint(FixBondLengths([[0, 1]])), "FixBondLengths"),
    ],
    ids=["nan", "no volume", "coincident", "constraint"],
)
def test_bad_input_says_why(break_it, said):
    bad = rocksalt()
    break_it(bad)
    results = lodewell.relax([rocksalt(1), bad, rocksalt(2)], salt())
    for result in results:
        finite(result)
    assert [r.status for r in results] == ["converged", "bad input", "converged"]
    assert said in results[1].message


def test_pressure_needs_true_units_and_three_directions(table):
    with pytest.raises(BadOption, match="in_eV"):
        lodewell.relax(bulk("NaCl", "rocksalt", a=5.6), table, pressure=1.0)
    slab = rocksalt()
    slab.pbc = (True, True, False)
    assert one(slab, salt(), pressure=1.0).status == "bad input"


@pytest.mark.parametrize(
    "options",
    [{"fmax": 0.0}, {"max_steps": -1}, {"cell": "loose"}, {"pressure": float("nan")}, {"skin": 0.0}],
    ids=lambda o: next(iter(o)),
)
def test_options_out_of_range(options):
    with pytest.raises(BadOption):
        RelaxOptions(**options)


def test_what_is_no_potential_or_no_crystal():
    with pytest.raises(BadOption, match="is no potential"):
        lodewell.relax(rocksalt(), 42)
    with pytest.raises(BadOption, match="crystal 1"):
        lodewell.relax([rocksalt(), 42], salt())


def test_info_arrays_and_constraints_travel():
    start = rocksalt()
    start.info |= {"id": "mp-1", "spacegroup": 225, "energy": 99.0, "note": {"a": 1}}
    start.set_array("label", np.arange(8))
    start.set_array("forces", np.ones((8, 3)))
    start.set_constraint(FixAtoms([0]))
    before = start.positions.copy()
    result = one(start, salt())
    assert result.id == "mp-1"
    assert result.atoms.info["spacegroup"] == 225
    assert result.atoms.info["note"] == {"a": 1}
    assert result.atoms.info["energy"] == pytest.approx(8 * result.energy_per_atom)
    np.testing.assert_array_equal(result.atoms.arrays["label"], np.arange(8))
    assert "forces" not in result.atoms.arrays  # of the old geometry
    assert isinstance(result.atoms.constraints[0], FixAtoms)
    np.testing.assert_array_equal(start.positions, before)
    assert start.info["energy"] == 99.0


def test_symmetry_is_kept_and_rattling_lost():
    start = rocksalt(rattle=0.03)
    assert space_group(start, 0.01) == 1
    result = one(start, salt(), keep_symmetry=True, symprec=0.3)
    assert space_group(result.atoms, 1e-6) == 225
    assert result.status == "converged"


@pytest.mark.parametrize("name", ["wurtzite", "cesiumchloride", "zincblende"])
def test_space_group_is_the_same_after(name):
    structures = {"wurtzite": {"a": 4.4, "c": 7.1}, "cesiumchloride": {"a": 3.4}, "zincblende": {"a": 5.8}}
    start = bulk("NaCl", name, **structures[name]) * (2, 1, 1)
    number = space_group(start, 1e-4)
    result = one(start, salt(), keep_symmetry=True)
    assert space_group(result.atoms, 1e-5) == number
    assert result.status == "converged"


def test_ase_fix_symmetry_keeps_it_too():
    start = rocksalt(rattle=0.0)
    start.set_constraint(FixSymmetry(start))
    assert space_group(one(start, salt()).atoms, 1e-6) == 225


def test_ranks_and_duplicates():
    low, high = rocksalt(0, 0.01), bulk("NaCl", "zincblende", a=5.8)
    twin = rocksalt(1, 0.01) * (2, 1, 1)
    results = lodewell.relax([high, low, Atoms("NaCl", [[0, 0, 0], [0, 0, 9]]), twin], salt(), fmax=0.001)
    best = min(results, key=lambda r: r.energy_per_atom)
    assert best.rank == 1
    assert results[1].rank == results[3].rank
    assert {results[1].duplicate_of, results[3].duplicate_of} in ({None, 1}, {None, 3})
    assert results[0].rank != results[1].rank
    assert results[0].duplicate_of is None


def test_percentile_of_a_table_that_knows_crystals(table, salts):
    result = one(salts[0], table)
    assert 0.0 <= result.percentile <= 100.0
    with_wall = one(salts[0], table + lodewell.ZBL())
    assert with_wall.percentile is not None


def test_processes_give_the_same_as_this_one():
    crystals = [rocksalt(k) for k in range(3)] + [bulk("CsI", "rocksalt", a=7.0)]
    here, there = lodewell.relax(crystals, salt()), lodewell.relax(crystals, salt(), workers=2)
    for a, b in zip(here, there, strict=True):
        assert (a.status, a.rank, a.steps, a.message) == (b.status, b.rank, b.steps, b.message)
        assert a.energy_per_atom == pytest.approx(b.energy_per_atom, abs=1e-9)


def test_the_package_is_the_function():
    import lodewell.relax.run

    assert lodewell.relax.run.relax(bulk("Cu"), Morse({"Cu-Cu": (0.34, 1.36, 2.87)}, cutoff=5.0))[0].rank == 1
    assert one(bulk("Cu"), Morse({"Cu-Cu": (0.34, 1.36, 2.87)}, cutoff=5.0)).status == "converged"
