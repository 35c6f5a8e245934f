"""Spline MEAM against a slow oracle in NumPy; splines, files, uncertainties (LAMMPS: tests/interop)."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from lodewell import Batch, neighbour_list
from lodewell.errors import BadOption, UnsupportedElement
from lodewell.potentials.meam.knowledge import Coverage, Ensemble
from lodewell.potentials.meam.meam import MEAM
from lodewell.potentials.meam.splines import Spline, pack
from lodewell.potentials.store import load
from tests.potentials.made_up_meam import made_up_meam

ONE, TWO = made_up_meam("Si"), made_up_meam("O", "Ti", seed=1)
UNEVEN = made_up_meam("O", "Ti", seed=2, even=False)


def oracle(potential: MEAM, atoms: Atoms) -> tuple[float, np.ndarray]:
    """Energy and densities by the definition."""
    i_p, j_p, _, vector_pc = neighbour_list(atoms, potential.cutoff)
    symbols = np.array(atoms.get_chemical_symbols())

    def of(curves, names, x):
        """Values of the curve that each name, or pair of names, chooses."""
        out = np.zeros(x.shape)
        for name, curve in curves.items():
            chosen = (names == name) | (names == "-".join(name.split("-")[::-1]))
            out[chosen] = curve(x[chosen])[0]
        return out

    energy, densities = 0.0, []
    for i, centre in enumerate(symbols):
        mine = i_p == i
        r, kind = np.linalg.norm(vector_pc[mine], axis=1), symbols[j_p[mine]]
        unit = vector_pc[mine] / r[:, None]
        pairs = np.array([f"{centre}-{s}" for s in kind])
        energy += 0.5 * of(potential.phi, pairs, r).sum()
        f = of(potential.f, kind, r)
        j, k = np.triu_indices(len(r), 1)
        both = np.array([f"{a}-{b}" for a, b in zip(kind[j], kind[k], strict=True)])
        n = of(potential.rho, kind, r).sum()
        n += (f[j] * f[k] * of(potential.g, both, np.einsum("pc,pc->p", unit[j], unit[k]))).sum()
        energy += potential.u[centre](n)[0] - potential.u[centre](0.0)[0] + potential.reference[centre]
        densities.append(float(n))
    return float(energy), np.array(densities)


def crystals(potential: MEAM):
    """1 to 8 atoms in skewed cells, periodic along any of the vectors."""
    numbers = sorted(potential.species)

    def build(values, pbc, seed):
        rng = np.random.default_rng(seed)
        count, edge = values
        cell = edge * count ** (1 / 3) * (np.eye(3) + 0.3 * rng.uniform(-1, 1, (3, 3)))
        return Atoms(rng.choice(numbers, count), scaled_positions=rng.uniform(size=(count, 3)), cell=cell, pbc=pbc)

    return st.builds(
        build, st.tuples(st.integers(1, 8), st.floats(2.2, 4.0)), st.tuples(*[st.booleans()] * 3), st.integers(0, 1000)
    )


@pytest.mark.parametrize("potential", [ONE, TWO, UNEVEN], ids=["one element", "two elements", "uneven knots"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_energy_and_density_are_the_definition(potential, data):
    atoms = data.draw(crystals(potential))
    energy, densities = oracle(potential, atoms)
    result = potential.evaluate(atoms)[0]
    assert result.energy == pytest.approx(energy, rel=1e-10, abs=1e-10)
    scale = max(1.0, np.abs(densities).max())
    assert potential.densities(Batch.from_atoms(atoms)) == pytest.approx(densities, abs=1e-11 * scale)
    assert result.energies_n.sum() == pytest.approx(energy, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("even", [True, False])
def test_a_spline_is_scipys_between_its_knots_and_straight_outside(even):
    spline = made_up_meam("Si", seed=3, even=even).g["Si-Si"]
    assert spline.even is even
    peer = CubicSpline(spline.x_k, spline.y_k, bc_type=((1, spline.slopes[0]), (1, spline.slopes[1])))
    x = np.linspace(spline.x_k[0], spline.x_k[-1], 501)
    y, dy = spline(x)
    assert y == pytest.approx(peer(x), abs=1e-12)
    assert dy == pytest.approx(peer(x, 1), abs=1e-11)
    for end, k in ((spline.x_k[0] - 2.0, 0), (spline.x_k[-1] + 3.0, 1)):
        y, dy = spline(end)
        edge = spline.x_k[-k]
        assert dy == spline.slopes[k]
        assert y == pytest.approx(spline.y_k[-k] + spline.slopes[k] * (end - edge), abs=1e-12)


def test_narrow_and_wide_intervals_share_a_spline():
    """The lookup of uneven knots finds every piece, also where intervals differ a thousandfold."""
    from lodewell.potentials.meam._sums import value

    x_k = np.array([-3.0, -2.999, -1.0, 0.5, 0.5004, 0.9, 7.0])
    spline = Spline(x_k, np.sin(x_k), (0.1, -0.2))
    packed = pack([made_up_meam("Si", even=False).g["Si-Si"], spline])
    assert not packed.even
    x = np.concatenate([x_k, np.linspace(-5, 9, 2001)])
    got = np.array([value(v, np.uint64(packed.first_s[1]), packed.numbers, packed.even) for v in x])
    assert got[:, 0] == pytest.approx(spline(x)[0], abs=1e-9)
    assert got[:, 1] == pytest.approx(spline(x)[1], abs=1e-7)


def test_a_lone_atom_has_its_reference_energy():
    for symbol, energy in TWO.reference.items():
        assert TWO.evaluate(Atoms(symbol))[0].energy == pytest.approx(energy, abs=1e-14)


def test_a_batch_is_its_crystals_and_large_cells_are_their_small_ones():
    cell = bulk("Si", "diamond", a=5.4, cubic=True)
    cell.rattle(0.1, seed=4)
    small, large = ONE.evaluate([cell, cell * (6, 6, 6)])
    assert large.energy == pytest.approx(216 * small.energy, rel=1e-12)
    assert large.forces_nc[:8] == pytest.approx(small.forces_nc, abs=1e-10)
    assert large.stress_cc == pytest.approx(small.stress_cc, abs=1e-12)


def test_crowded_atoms_are_summed_too():
    """Hundreds of near neighbours, as in a crystal that a search squeezes."""
    squeezed = bulk("Si", "fcc", a=1.3, cubic=True)
    squeezed.rattle(0.02, seed=5)
    energy, densities = oracle(ONE, squeezed)
    result = ONE.evaluate(squeezed)[0]
    assert len(neighbour_list(squeezed, ONE.near)[0]) / 4 > 400
    assert result.energy == pytest.approx(energy, rel=1e-10)
    assert ONE.densities(Batch.from_atoms(squeezed)) == pytest.approx(densities, rel=1e-10)


def test_a_file_holds_everything(tmp_path):
    potential = made_up_meam("O", "Ti", seed=6)
    rivals = tuple(made_up_meam("O", "Ti", seed=s) for s in (6, 7, 8))
    potential = potential.with_record(ensemble=Ensemble(rivals, (1.0, 1e-6), (2.0, 1e-4), (0.5, 1e-8)))
    potential = potential.with_record(
        coverage=Coverage(
            8.0,
            {"O-Ti": np.arange(400.0)},
            {"O": np.ones(60), "Ti": np.arange(60.0)},
            {"O": (-1.0, 2.0), "Ti": (0.0, 1.0)},
            {"O-O": np.ones(60)},
            {"O-Ti": 1.7, "O-O": 2.4, "Ti-Ti": 2.5},
        )
    )
    again = load(potential.save(tmp_path / "it"))
    assert isinstance(again, MEAM)
    atoms = bulk("TiO", "rocksalt", a=4.2, cubic=True)
    atoms.rattle(0.1, seed=7)
    for one, two in ((potential, again), *zip(rivals, again.ensemble.members, strict=True)):
        assert one.evaluate(atoms)[0].energy == two.evaluate(atoms)[0].energy
    assert again.reference == potential.reference
    assert again.coverage.shortest == potential.coverage.shortest
    assert again.coverage.density_range == potential.coverage.density_range
    assert (again.coverage.distance["O-Ti"] == np.arange(400.0)).all()
    mine, theirs = (p.uncertainty(atoms)[0] for p in (potential, again))
    assert mine.energy == theirs.energy
    assert (mine.grade_n == theirs.grade_n).all()


def test_uncertainty_is_the_spread_of_rivals_and_the_grade_leaves_the_data():
    potential = made_up_meam("Si")
    assert not potential.uncertain
    with pytest.raises(BadOption, match="members"):
        potential.uncertainty(bulk("Si"))
    rivals = tuple(made_up_meam("Si", seed=s) for s in range(4))
    potential = potential.with_record(ensemble=Ensemble(rivals, (2.0, 0.0), (1.0, 0.25), (1.0, 0.0)))
    cell = bulk("Si", "diamond", a=5.4, cubic=True)
    cell.rattle(0.05, seed=8)
    results = [r.evaluate(cell)[0] for r in rivals]
    n_n = potential.densities(Batch.from_atoms(cell))
    low, high = float(n_n.min()), float(n_n.max())
    near = float(np.linalg.norm(neighbour_list(cell, 3.0)[3], axis=1).min())
    potential = potential.with_record(coverage=Coverage(8.0, {}, {}, {"Si": (low, high)}, {}, {"Si-Si": near}))
    assert potential.uncertain
    found = potential.uncertainty([cell, cell])[1]
    assert found.energy == pytest.approx(np.sqrt(2.0) * np.std([r.energy for r in results]))
    spread = np.sqrt(np.var([r.forces_nc for r in results], axis=0) + 0.25)
    assert found.forces_nc == pytest.approx(spread)
    assert found.stress_cc == pytest.approx(np.std([r.stress_cc for r in results], axis=0))
    assert found.grade_n.max() == pytest.approx(1.0)  # the atom at the edge of the range
    assert potential.uncertainty(Atoms("Si2", [[0, 0, 0], [0, 0, 1.5]]))[0].grade_n.min() >= near / 1.5
    squeezed = cell.copy()
    squeezed.set_cell(0.85 * cell.cell.array, scale_atoms=True)
    assert potential.uncertainty(squeezed)[0].grade_n.min() > 1.0


def test_refusals():
    good = made_up_meam("Si")
    with pytest.raises(BadOption, match="increase"):
        Spline(np.array([0.0, 1.0, 1.0]), np.zeros(3), (0.0, 0.0))
    with pytest.raises(BadOption, match="finite"):
        Spline(np.array([0.0, 1.0]), np.array([0.0, np.nan]), (0.0, 0.0))
    with pytest.raises(BadOption, match="two knots"):
        Spline(np.array([0.0]), np.array([0.0]), (0.0, 0.0))
    with pytest.raises(BadOption, match="ρ is needed for Si"):
        MEAM(good.phi, {}, good.u, good.f, good.g)
    with pytest.raises(BadOption, match="φ is needed for O-O, O-Ti, Ti-Ti"):
        MEAM({"Ti-O": good.phi["Si-Si"]}, TWO.rho, TWO.u, TWO.f, TWO.g)
    with pytest.raises(UnsupportedElement, match="Ge"):
        good.evaluate(bulk("Ge"))
