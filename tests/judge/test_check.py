"""`lodewell.check` and its parts, against lattice sums, second derivatives of the energy, and each other."""

import json

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy.optimize import brentq
from typer.testing import CliRunner

import lodewell
from lodewell import ZBL, Buckingham, LennardJones, Morse, Potential
from lodewell.cli import app
from lodewell.errors import BadCrystal, BadOption
from lodewell.judge.check import run as check_module
from lodewell.judge.check.clusters import dimer, trimer
from lodewell.judge.check.dynamics import hot_dynamics
from lodewell.judge.check.elastic import elastic_constants, standard_axes, strained
from lodewell.judge.check.equation_of_state import birch_murnaghan, equation_of_state
from lodewell.judge.check.phonons import phonons
from lodewell.judge.check.prototypes import formula_of, relaxed_prototypes
from lodewell.relax.run import relax

EPSILON, SIGMA = 0.7, 2.0
# Lattice sums of fcc over (nearest distance / r)^n: Kittel, Introduction to Solid State Physics, chapter 3.
A12, A6 = 12.13188, 14.45392


@pytest.fixture(scope="module")
def far_lj():
    """Lennard-Jones cut so far out that the infinite crystal's numbers hold to a part in a thousand."""
    return LennardJones({"Ar-Ar": (EPSILON, SIGMA)}, cutoff=10 * SIGMA, switch=0.0)


@pytest.fixture(scope="module")
def lj_crystals(far_lj):
    return {p.name: p for p in relaxed_prototypes(far_lj, [18])}


@pytest.fixture(scope="module")
def copper():
    return Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=7.0, switch=2.0)


@pytest.fixture(scope="module")
def copper_crystals(copper):
    return {p.name: p for p in relaxed_prototypes(copper, [29])}


def test_lennard_jones_structures_have_the_energies_and_distances_of_lattice_sums(lj_crystals):
    fcc = lj_crystals["fcc"]
    assert fcc.nearest / SIGMA == pytest.approx((2 * A12 / A6) ** (1 / 6), rel=2e-4)  # 1.0902
    assert fcc.energy_per_atom / EPSILON == pytest.approx(-(A6**2) / (2 * A12), rel=2e-3)  # -8.610
    assert fcc.lattice["a"] == pytest.approx(fcc.nearest * np.sqrt(2))
    # hcp lies lower by one part in ten thousand, and bcc far above: Kihara & Koba (1952).
    hcp = lj_crystals["hcp"]
    assert (fcc.energy_per_atom - hcp.energy_per_atom) / fcc.energy_per_atom == pytest.approx(-1.0e-4, abs=2e-5)
    assert hcp.above == 0.0
    assert lj_crystals["bcc"].above / EPSILON == pytest.approx(8.610 - 8.237, abs=0.01)
    assert fcc.observed == {"a": 5.26}


def test_lennard_jones_bulk_modulus_and_cauchy_relation(far_lj, lj_crystals):
    atoms = lj_crystals["fcc"].atoms
    r0 = (2 * A12 / A6) ** (1 / 6)
    expected = 36 * (A6**2 / A12) / (9 * r0**3 / np.sqrt(2))  # r²E''(r) / 9V: 75.2 ε/σ³
    equation = equation_of_state(far_lj, atoms)
    assert equation.modulus * SIGMA**3 / EPSILON == pytest.approx(expected, rel=5e-3)
    assert equation.slope == pytest.approx(8.0, abs=0.15)  # (n + m + 6) / 3 of any n-m potential
    constants = elastic_constants(far_lj, atoms)
    c = constants.constants()
    assert set(c) == {"C11", "C12", "C44"}
    assert c["C12"] == pytest.approx(c["C44"], rel=1e-3)
    assert constants.averages()["bulk"] * SIGMA**3 / EPSILON == pytest.approx(expected, rel=3e-3)
    assert constants.stable
    assert constants.asymmetry < 1e-8


def test_birch_murnaghan_gives_back_what_it_was_made_of():
    volume = np.linspace(18.0, 22.0, 9)
    v0, e0, b0, b1 = 20.3, -5.4, 0.61, 4.3
    x = (v0 / volume) ** (2 / 3)
    energy = e0 + 9 / 16 * v0 * b0 * ((x - 1) ** 3 * b1 + (x - 1) ** 2 * (6 - 4 * x))
    found = birch_murnaghan(volume, energy)
    assert found[:4] == pytest.approx((v0, e0, b0, b1), rel=1e-8)
    assert found[4] < 1e-12
    with pytest.raises(BadCrystal, match="no minimum"):
        birch_murnaghan(volume, -0.1 * volume)


def second_derivative(potential, atoms, way, relaxed, step=0.004):
    """d²E/dγ² / V of one strain, the atoms brought to rest or not."""
    cells = [strained(atoms, way, s) for s in (-step, 0.0, step)]
    if relaxed:
        cells = [r.atoms for r in relax(cells, potential, cell="fixed", fmax=1e-6, max_steps=2000, duplicates=False)]
    e = [r.energy for r in potential.evaluate(cells)]
    return (e[0] - 2 * e[1] + e[2]) / step**2 / atoms.get_volume()


@pytest.mark.parametrize("structure", ["fcc", "hcp"])
def test_elastic_constants_are_second_derivatives_of_the_energy(copper, copper_crystals, structure):
    atoms = copper_crystals[structure].atoms
    found = elastic_constants(copper, atoms, fmax=1e-7)
    for way in range(6):
        value = second_derivative(copper, atoms, way, relaxed=True)
        assert found.c_vv[way, way] == pytest.approx(value, rel=2e-3)
        clamped = second_derivative(copper, atoms, way, relaxed=False)
        assert found.clamped_vv[way, way] == pytest.approx(clamped, rel=2e-3)
    if structure == "hcp":  # its two atoms move against each other: in the basal plane that softens it
        assert found.clamped_vv[0, 0] > 1.01 * found.c_vv[0, 0]
        assert set(found.constants()) == {"C11", "C12", "C13", "C33", "C44"}


def test_rattled_cells_are_turned_into_standard_axes(copper):
    atoms = bulk("Cu", "fcc", a=3.63)
    atoms.rotate(33, (1, 2, 3), rotate_cell=True)
    c = elastic_constants(copper, standard_axes(atoms)).constants()
    assert set(c) == {"C11", "C12", "C44"}


def test_simple_cubic_metals_are_unstable_in_elasticity_and_in_phonons(copper, copper_crystals):
    atoms = copper_crystals["sc"].atoms
    assert not elastic_constants(copper, atoms).stable
    assert not phonons(copper, atoms).real


def test_long_waves_travel_at_the_speeds_of_the_elastic_constants(copper, copper_crystals):
    atoms = copper_crystals["fcc"].atoms
    found = phonons(copper, atoms)
    assert found.real
    assert found.imaginary == 0.0
    c = elastic_constants(copper, atoms).constants()
    density = atoms.get_masses().sum() / atoms.get_volume()
    start = 2  # of the path from Γ to X
    speeds = 2 * np.pi * found.path_qm[start] / found.distance_q[start]  # Å THz
    in_angstrom_per_ps = 1e3 * units.fs  # ASE's unit of time is Å √(u/eV)
    assert found.labels[:2] == ("G", "X")
    expected = np.sqrt(np.array([c["C44"], c["C44"], c["C11"]]) / density) * in_angstrom_per_ps
    np.testing.assert_allclose(speeds, expected, rtol=0.01)


def test_density_of_states_holds_three_modes_an_atom(copper, copper_crystals):
    found = phonons(copper, copper_crystals["fcc"].atoms)
    at, density = found.density()
    assert np.trapezoid(density, at) == pytest.approx(3.0, rel=1e-2)
    assert found.supercell >= 200


def test_hot_run_conserves_energy_and_repeats(copper, copper_crystals):
    atoms = copper_crystals["fcc"].atoms
    kinetic = 800 * units.kB
    run = hot_dynamics(copper, atoms, kinetic, steps=600, seed=3)
    assert run.atoms == 64
    assert not run.blown_up
    assert abs(run.drift) < 2e-4 * kinetic
    assert run.noise < 2e-3 * kinetic
    # 64 atoms: k_B T scatters by √(2/3N), 7 %, between runs.
    assert np.mean(run.kinetic_k) == pytest.approx(kinetic, rel=0.25)
    assert 0.7 < run.nearest < 1.0
    again = hot_dynamics(copper, atoms, kinetic, steps=600, seed=3)
    np.testing.assert_array_equal(run.energy_k, again.energy_k)


def test_hot_run_falls_into_a_hole():
    """Without a wall, a hot Buckingham crystal falls into itself, and the run says so instead of going on."""
    soft = Buckingham({"O-O": (600.0, 0.3, 30.0)}, cutoff=6.0)
    crystal = bulk("O", "fcc", a=4.2)
    run = hot_dynamics(soft, crystal, 2.0, steps=400)
    assert run.blown_up
    hole = dimer(soft, 8, 8).hole
    top = brentq(lambda r: float(soft.curve("O-O", r)[1]), 1.0, 2.0)
    assert hole == pytest.approx(top, abs=0.03)


def test_dimers():
    lj = LennardJones({"Ar-Ar": (0.0104, 3.4)}, cutoff=12.0)
    found = dimer(lj, 18, 18)
    assert (found.depth, found.r_min) == pytest.approx((0.0104, 3.4 * 2 ** (1 / 6)), rel=2e-3)
    assert found.hole is None
    assert len(found.wells) == 1
    wall = dimer(ZBL(), 14, 8)
    assert (wall.depth, wall.r_min, wall.hole) == (0.0, None, None)


class AxilrodTeller(Potential):
    """The triple-dipole energy of three atoms alone; no forces, which nobody asks for here."""

    kind = "axilrod-teller"
    cutoff = 9.0
    strength = 50.0

    def compute(self, batch, neighbours):
        energies = np.zeros(len(batch.species_n))
        for s in batch.slices:
            x = batch.positions_nc[s]
            if len(x) == 3:
                sides = [x[(k + 1) % 3] - x[(k + 2) % 3] for k in range(3)]
                r = np.linalg.norm(sides, axis=1)
                cosines = [
                    -(sides[(k + 1) % 3] @ sides[(k + 2) % 3]) / (r[(k + 1) % 3] * r[(k + 2) % 3]) for k in range(3)
                ]
                energies[s] = self.strength * (1 + 3 * np.prod(cosines)) / np.prod(r) ** 3 / 3
        return energies, np.zeros((len(energies), 3)), np.zeros((len(batch), 3, 3))


def test_trimers_hold_what_pairs_do_not(copper):
    assert np.abs(trimer(copper, 29, 29, 29, 2.5).energy_sk).max() < 1e-12
    both = AxilrodTeller() + Morse({"Ar-Ar": (0.01, 1.2, 3.7)}, cutoff=9.0)
    found = trimer(both, 18, 18, 18, 3.7)
    straight = AxilrodTeller.strength * -2 / (3.7**6 * 7.4**3)
    equilateral = AxilrodTeller.strength * (11 / 8) / 3.7**9
    assert found.energy_sk[1, -1] == pytest.approx(straight, rel=1e-9)
    assert np.interp(60, found.angle_k, found.energy_sk[1]) == pytest.approx(equilateral, rel=1e-3)


def rows_of(report, part):
    return [r for r in report.rows if r.part == part]


def test_a_sound_potential_passes_and_its_cauchy_pressure_is_seen(copper):
    report = lodewell.check(copper, steps=200)
    assert report.elements == ("Cu",)
    assert {r.verdict for r in report.rows if r.part != "elastic"} == {"ok"}
    c44 = next(r for r in report.rows if r.quantity == "C44")
    assert (c44.verdict, c44.reference) == ("look", 75.7)  # a sum over pairs has C12 = C44; copper has not
    assert report.verdict == "look"
    assert [s.title for s in report.subjects] == ["Cu fcc"]
    assert {p.name for p in report.structures} == {"fcc", "bcc", "hcp", "diamond", "sc"}
    plain = json.loads(json.dumps(report.json(), allow_nan=False))
    assert {"part", "about", "quantity", "value", "unit", "verdict", "note", "reference"} <= set(plain["rows"][0])
    assert plain["units"] == {"energy": "eV", "length": "Å", "pressure": "GPa"}


class Lying(Morse):
    """Its forces are not the slope of its energy."""

    def compute(self, batch, neighbours):
        energies, forces, virials = super().compute(batch, neighbours)
        return energies, 1.1 * forces, virials


class Stumbling(Morse):
    """It fails on molecules."""

    def compute(self, batch, neighbours):
        if not batch.pbc_bc.all():
            raise RuntimeError("no molecules, please")
        return super().compute(batch, neighbours)


def test_broken_laws_are_bad_and_a_part_that_fails_costs_a_row():
    numbers = {"Cu-Cu": (0.3429, 1.3588, 2.866)}
    quick = {"phonons": False, "dynamics": False, "elastic": False}
    lying = lodewell.check(Lying(numbers, cutoff=6.0), **quick)
    assert "F = -dE/dx" in [r.quantity for r in rows_of(lying, "laws") if r.verdict == "bad"]
    assert lying.verdict == "bad"
    stumbling = lodewell.check(Stumbling(numbers, cutoff=6.0), laws=False, **quick)
    (pair,) = rows_of(stumbling, "pairs")
    assert pair.verdict == "bad"
    assert "no molecules, please" in pair.note
    assert rows_of(stumbling, "equation of state")[0].verdict == "ok"


def test_moduli_far_from_experiment_are_bad(copper):
    stiff = lodewell.check(2.5 * copper, laws=False, phonons=False, dynamics=False)
    verdicts = {r.quantity: r.verdict for r in stiff.rows if r.reference is not None}
    assert verdicts == {"lattice constant a": "ok", "bulk modulus": "bad", "C11": "bad", "C12": "bad", "C44": "bad"}
    assert stiff.verdict == "bad"


def test_compounds_and_holes():
    salt = Buckingham({"Mg-O": (1428.5, 0.2945, 40.0), "O-O": (2276.0, 0.149, 27.88)}, cutoff=6.0)
    report = lodewell.check(salt, steps=50, phonons=False)
    titles = {p.title for p in report.structures}
    assert {"MgO rocksalt", "MgO CsCl", "MgO zincblende", "Mg fcc", "O sc", "MgO2 fluorite", "Mg2O fluorite"} <= titles
    holes = [r for r in rows_of(report, "pairs") if r.about == "O-O"]
    assert holes[0].verdict == "bad"
    assert "no wall inside" in holes[0].note


def test_formulas_are_written_as_chemists_do():
    names = ("MgO", "SiO2", "Li2O", "NaCl", "Cu3Au", "GaAs", "Si8")
    assert [formula_of(Atoms(n)) for n in names] == ["MgO", "SiO2", "Li2O", "NaCl", "AuCu3", "GaAs", "Si"]


def test_a_table_without_energies_is_told_in_its_own_unit(table):
    report = lodewell.check(table, elements="Li,O", steps=50, phonons=False)
    assert report.units.energy == "kT"
    assert {r.unit for r in rows_of(report, "elastic")} <= {"kT/Å³", ""}
    assert not [r for r in report.rows if r.unit in ("eV", "GPa")]


def test_crystals_of_ones_own(copper, tmp_path):
    crystal = bulk("Cu", "hcp", a=2.5, c=4.2)
    crystal.write(tmp_path / "mine.cif")
    report = lodewell.check(copper, tmp_path / "mine.cif", steps=50, phonons=False)
    assert [s.title for s in report.subjects] == ["Cu mine"]
    assert {"C11", "C33"} <= {r.quantity for r in rows_of(report, "elastic")}
    assert report.structures[0].nearest == pytest.approx(2.57, abs=0.02)
    alone = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.7]])
    molecule = lodewell.check(copper, alone)
    assert rows_of(molecule, "equation of state")[0].verdict == "skipped"
    with pytest.raises(BadCrystal, match="no curve for Au"):
        lodewell.check(copper, bulk("Au"))


def test_any_calculator_can_be_checked():
    report = lodewell.check(EMT(), elements="Al", laws=False, phonons=False, steps=20)
    a = next(r for r in report.rows if r.quantity == "lattice constant a")
    assert a.value == pytest.approx(3.994, abs=0.005)  # of ASE's EMT for Al
    bulk_modulus = next(r for r in report.rows if r.quantity == "bulk modulus")
    assert bulk_modulus.value == pytest.approx(39.6, rel=0.05)


def test_it_must_be_clear_which_elements(table, copper):
    with pytest.raises(BadOption, match="knows 8 elements: choose some with --elements"):
        lodewell.check(table)
    with pytest.raises(BadOption, match="'Xq' is no element"):
        lodewell.check(copper, elements="Xq")
    with pytest.raises(BadOption, match="no curve for Au"):
        lodewell.check(copper, elements="Au")
    with pytest.raises(BadOption, match="10 steps at least"):
        lodewell.check(copper, steps=1)


def test_without_phonopy_phonons_are_skipped_with_the_cure(copper, monkeypatch):
    monkeypatch.setattr(check_module, "has_phonopy", lambda: False)
    report = lodewell.check(copper, laws=False, elastic=False, dynamics=False)
    (row,) = rows_of(report, "phonons")
    assert row.verdict == "skipped"
    assert "pip install 'lodewell[phonons]'" in row.note


def test_command(copper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copper.save("copper")
    words = ["check", "copper.lodewell", "--steps", "20", "--no-phonons"]
    shown = CliRunner().invoke(app, [*words, "--figure", "copper.svg"])
    assert shown.exit_code == 0
    for text in ("bulk modulus", "experiment", "Cu diamond", "written: copper.svg", "136.7"):
        assert text in shown.stdout
    drawn = (tmp_path / "copper.svg").read_text()
    for text in ("volume (Å³/atom)", "distance (Å)", "temperature", "Cu fcc: stiffness", "a sum over pairs"):
        assert text in drawn
    plain = CliRunner().invoke(app, [*words, "--json", "--no-dynamics", "--no-laws"])
    assert json.loads(plain.stdout)["potential"] == "copper"
    refused = CliRunner().invoke(app, ["check", "spp"])
    assert refused.exit_code == 2
    assert "choose some with --elements" in refused.stderr


def test_charged_structures_are_not_compared():
    """Energies of cells in a neutralising background mean nothing at different sizes."""
    ionic = lodewell.Coulomb({"Mg": 2.0, "O": -2.0}, tolerance=1e-6) + lodewell.BornMayer(
        {"Mg-O": (1428.5, 0.2945), "O-O": (22764.0, 0.149), "Mg-Mg": (0.0, 0.3)}, tolerance=1e-6
    )
    found = relaxed_prototypes(ionic, [8, 12])
    assert {p.formula for p in found} == {"MgO"}
    assert min((p for p in found if p.energy_per_atom is not None), key=lambda p: p.energy_per_atom).name == "rocksalt"
