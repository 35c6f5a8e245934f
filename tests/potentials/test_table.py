"""Tabulated pairs: the splines themselves, and what tables refuse."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.interpolate import CubicSpline

from lodewell import Batch, LennardJones, PairTable
from lodewell.errors import BadOption
from lodewell.potentials.pairs.table import Curves

r = np.linspace(0.8, 5.0, 60)
u = np.exp(-2.0 * (r - 1.0)) - 0.3 * np.exp(-((r - 2.5) ** 2))


def test_a_table_passes_through_its_points_and_is_a_cubic_spline_between():
    fine = np.linspace(1.0, 4.7, 4001)  # not where the extension and the end bend the curve
    exact = CubicSpline(r, u)
    for spacing, error in ((0.02, 1e-5), (0.005, 3e-8)):
        got, slope = PairTable({"Li-O": (r, u)}, spacing).curve("O-Li", fine)
        assert np.abs(got - exact(fine)).max() < error
        assert np.abs(slope - exact(fine, 1)).max() < error / spacing * 10


def test_slopes_are_those_of_the_energies():
    table = PairTable({"Li-O": (r, u)})
    x = np.linspace(0.3, 4.99, 500)
    step = 1e-5
    numerical = (table.curve("Li-O", x + step)[0] - table.curve("Li-O", x - step)[0]) / (2 * step)
    assert np.allclose(table.curve("Li-O", x)[1], numerical, atol=1e-6)


def test_below_its_first_point_a_curve_keeps_its_slope_and_past_the_last_it_is_zero():
    table = PairTable({"Li-O": (r, u)}, spacing=0.01)
    energy, slope = table.curve("Li-O", np.array([0.2, 0.5, 5.0, 7.0]))
    assert slope[0] == pytest.approx(slope[1], rel=1e-6)
    assert energy[0] - energy[1] == pytest.approx(-0.3 * slope[0], rel=1e-6)
    assert not energy[2:].any()
    assert not slope[2:].any()


def test_a_dimer_feels_the_curve():
    table = PairTable({"Li-O": (r, u)})
    for distance in (0.0, 0.4, 0.8, 2.345, 4.999999999, 5.0, 5.5):
        dimer = Atoms("LiO", positions=[[0, 0, 0], [0, 0, distance]])
        (result,) = table.evaluate_batch(Batch.from_atoms(dimer))  # `evaluate` refuses atoms in one place
        energy, slope = table.curve("Li-O", distance)
        assert result.energy == pytest.approx(float(energy), rel=1e-12, abs=1e-15)
        assert result.forces_nc[0, 2] == pytest.approx(float(slope) if distance > 0 else 0.0, rel=1e-12, abs=1e-12)


def test_a_fine_table_of_a_formula_gives_its_energies():
    formula = LennardJones({"Ar-Ar": (0.0104, 3.4)}, cutoff=8.0, switch=2.0)
    fine = np.linspace(2.0, 8.0, 3000)
    table = PairTable({"Ar-Ar": (fine, formula.curve("Ar-Ar", fine)[0])}, spacing=0.002)
    atoms = bulk("Ar", "fcc", a=5.2, cubic=True)
    atoms.rattle(0.2, seed=1)
    (a,), (b,) = table.evaluate(atoms), formula.evaluate(atoms)
    assert a.energy == pytest.approx(b.energy, rel=1e-8)
    assert np.allclose(a.forces_nc, b.forces_nc, atol=1e-7)
    assert np.allclose(a.stress_cc, b.stress_cc, atol=1e-10)


def test_more_pairs_than_a_block_holds():
    """Atoms with thousands of neighbours are summed in several blocks."""
    table = PairTable({"H-H": (r, u)})
    atoms = Atoms("H", cell=0.7 * np.eye(3), pbc=True)
    lattice = 0.7 * np.array(np.meshgrid(*[range(-8, 9)] * 3)).reshape(3, -1).T
    distance = np.linalg.norm(lattice, axis=1)
    energy, slope = table.curve("H-H", distance[distance > 0])
    (result,) = table.evaluate(atoms)
    assert result.energy == pytest.approx(0.5 * energy.sum(), rel=1e-12)
    assert -np.trace(result.virial_cc) == pytest.approx(0.5 * (slope * distance[distance > 0]).sum(), rel=1e-12)


def test_many_curves_are_joined_as_one_alone_is():
    """Curves are joined in blocks; the first, the last and those at the seam do not notice."""
    many = u * np.linspace(0.5, 2.0, 600)[:, None]
    spacing = r[1] - r[0]
    together = Curves.through(r, many, spacing, origin=0.8)
    for s in (0, 255, 256, 599):
        alone = Curves.through(r, many[s : s + 1], spacing, origin=0.8)
        assert np.array_equal(together.coefficients_skx[s], alone.coefficients_skx[0])


def test_curves_that_end_apart_or_are_no_curves_are_refused():
    with pytest.raises(BadOption, match="must end at the same cutoff"):
        PairTable({"Li-O": (r, u), "O-O": (r - 0.5, u)})
    with pytest.raises(BadOption, match="must end at the same cutoff"):
        PairTable({})
    with pytest.raises(BadOption, match="distances increasing"):
        PairTable({"Li-O": (r[::-1], u)})
    with pytest.raises(BadOption, match="two lists of equal length"):
        PairTable({"Li-O": (r, u[:-1])})


def test_curves_are_evaluated_at_any_shape():
    curves = Curves.through(np.linspace(0.0, 2.0, 21), np.sin(np.linspace(0.0, 2.0, 21))[None], 0.1)
    x = np.array([[0.1, 0.55], [1.0, 3.0]])
    energy, slope = curves.values(0, x)
    assert energy[0] == pytest.approx(np.sin(x[0]), abs=1e-4)
    assert energy[1, 1] == slope[1, 1] == 0.0


def test_variants_choose_curves_per_crystal():
    """Crystals of one batch may use different curves for the same pair."""

    class Two(PairTable):
        def variant(self, batch: Batch) -> np.ndarray:
            return np.arange(len(batch)) % 2

    plain = PairTable({"Li-Li": (r, u), "O-O": (r, 2 * u)})
    two = Two({"Li-Li": (r, u), "O-O": (r, 2 * u)})
    two._curve_vtt = np.array([[[0, -1], [-1, 1]], [[1, -1], [-1, -1]]])
    dimers = [Atoms(s, positions=[[0, 0, 0], [0, 0, 2.0]]) for s in ("Li2", "Li2", "O2", "O2")]
    energies = [result.energy for result in two.evaluate(dimers)]
    single = plain.evaluate(dimers[0])[0].energy
    assert energies == pytest.approx([single, 2 * single, 2 * single, 0.0])
