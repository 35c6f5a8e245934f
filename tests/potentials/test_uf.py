"""Ultra-fast potentials against slow sums in NumPy; rows, splines, files, error bars (LAMMPS: tests/interop)."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.special import eval_legendre

from lodewell.errors import BadOption, UnsupportedElement
from lodewell.potentials.bspline import Axis, ending, vanishing
from lodewell.potentials.store import load
from lodewell.potentials.uf.basis import UFBasis
from lodewell.potentials.uf.knowledge import Knowledge
from lodewell.potentials.uf.splines import Spline2, Spline3
from lodewell.potentials.uf.uf import UF
from tests.potentials.made_up_uf import embedded_uf, made_up_uf, rough_uf

POTENTIALS = {
    "one element": made_up_uf("Si"),
    "two elements": made_up_uf("O", "Ti", seed=1, even=False),
    "rough": rough_uf("O", "Si", "Ti", seed=2),
    "rough, all splines": rough_uf("O", "Ti", seed=3, missing=0.0),
    "embedded": embedded_uf("O", "Ti", seed=9),
    "rough, pairs alone": UF({14: -1.0, 22: 2.0}, rough_uf("Si", "Ti", seed=4, missing=0.0).pairs),
}


def functions(axis: Axis, r_m: np.ndarray, derivative: int = 0) -> np.ndarray:
    """All B-splines of an axis, or their slopes, at some distances, (M, size), by the recursion of de Boor and Cox."""
    k = axis.knots_k

    def share(above, below):
        return above / below if below > 0 else 0.0 * above

    b = np.array([(k[m] <= r_m) & (r_m < k[m + 1]) for m in range(len(k) - 1)], dtype=float)
    for degree in (1, 2, 3):
        up = [share(r_m - k[m], k[m + degree] - k[m]) for m in range(len(b) - 1)]
        down = [share(k[m + degree + 1] - r_m, k[m + degree + 1] - k[m + 1]) for m in range(len(b) - 1)]
        if degree == 3 and derivative == 1:
            up = [share(3.0 + 0.0 * r_m, k[m + 3] - k[m]) for m in range(len(b) - 1)]
            down = [share(-3.0 + 0.0 * r_m, k[m + 4] - k[m + 1]) for m in range(len(b) - 1)]
        b = np.array(up) * b[:-1] + np.array(down) * b[1:]
    return b.T


class Slow:
    """Energy, forces and virial by the definition."""

    def __init__(self, potential: UF, atoms: Atoms) -> None:
        i_p, j_p, d_pc = neighbor_list("ijD", atoms, potential.cutoff)
        z_n = atoms.numbers
        self.energy = float(sum(potential.energies[z] for z in z_n))
        self.forces_nc, self.virial_cc = np.zeros((len(atoms), 3)), np.zeros((3, 3))
        for (a, b), s in potential.pairs.items():
            mine = (np.minimum(z_n[i_p], z_n[j_p]) == a) & (np.maximum(z_n[i_p], z_n[j_p]) == b)
            r = np.linalg.norm(d_pc[mine], axis=1)
            inside = np.maximum(r, s.axis.low)
            du = functions(s.axis, inside, 1) @ s.coefficients_m
            u = functions(s.axis, inside) @ s.coefficients_m + (r - inside) * du
            self.energy += 0.5 * u.sum()
            self.push(i_p[mine], j_p[mine], d_pc[mine], 0.5 * du)
        for i in range(len(atoms)):
            m, n = np.array(list(itertools.combinations(np.flatnonzero(i_p == i), 2)), dtype=int).reshape(-1, 2).T
            m, n = np.where(z_n[j_p[m]] <= z_n[j_p[n]], (m, n), (n, m))
            for (center, j, k), v in potential.triples.items():
                if center == z_n[i]:
                    mine = (z_n[j_p[m]] == j) & (z_n[j_p[n]] == k)
                    self.triangles(v, i, j_p[m[mine]], j_p[n[mine]], d_pc[m[mine]], d_pc[n[mine]])

    def triangles(self, v: Spline3, i, j, k, to_j, to_k) -> None:
        sides = to_j, to_k, to_k - to_j
        r = [np.linalg.norm(d, axis=1) for d in sides]
        value = [functions(axis, x) for axis, x in zip(v.axes, r, strict=True)]
        slope = [functions(axis, x, 1) for axis, x in zip(v.axes, r, strict=True)]
        self.energy += np.einsum("xyz,mx,my,mz", v.coefficients_xyz, *value, optimize=True)
        atoms = (np.full(len(j), i), j), (np.full(len(j), i), k), (j, k)
        for side in range(3):
            three = [*value[:side], slope[side], *value[side + 1 :]]
            du = np.einsum("xyz,mx,my,mz->m", v.coefficients_xyz, *three, optimize=True)
            self.push(*atoms[side], sides[side], du)

    def push(self, i_m, j_m, d_mc, slope_m) -> None:
        """Add what distances that cost `slope_m` do to their two atoms."""
        r_m = np.linalg.norm(d_mc, axis=1)
        f_mc = -(slope_m / np.where(r_m > 0, r_m, 1.0))[:, None] * d_mc
        np.add.at(self.forces_nc, j_m, f_mc)
        np.subtract.at(self.forces_nc, i_m, f_mc)
        self.virial_cc += d_mc.T @ f_mc


def crystals(potential: UF, most: int = 5):
    """Few atoms in small skewed cells, periodic along any of the vectors."""
    numbers = sorted(potential.species)

    def build(count, edge, pbc, seed):
        rng = np.random.default_rng(seed)
        cell = edge * count ** (1 / 3) * (np.eye(3) + 0.35 * rng.uniform(-1, 1, (3, 3)))
        return Atoms(rng.choice(numbers, count), scaled_positions=rng.uniform(size=(count, 3)), cell=cell, pbc=pbc)

    return st.builds(
        build, st.integers(1, most), st.floats(2.4, 4.0), st.tuples(*[st.booleans()] * 3), st.integers(0, 10_000)
    )


def size_of(*arrays) -> float:
    return max(1.0, *(float(np.abs(a).max()) for a in arrays))


@pytest.mark.parametrize("name", sorted(set(POTENTIALS) - {"embedded"}))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_compiled_sums_are_the_definition(name, data):
    potential = POTENTIALS[name]
    atoms = data.draw(crystals(potential))
    slow, fast = Slow(potential, atoms), potential.evaluate(atoms)[0]
    scale = size_of(slow.energy, slow.forces_nc, slow.virial_cc)
    assert fast.energy == pytest.approx(slow.energy, abs=1e-10 * scale)
    assert fast.energies_n.sum() == pytest.approx(slow.energy, abs=1e-10 * scale)
    assert fast.forces_nc == pytest.approx(slow.forces_nc, abs=1e-10 * scale)
    assert fast.virial_cc == pytest.approx(slow.virial_cc, abs=1e-10 * scale)


def embedding_energy(potential: UF, atoms: Atoms) -> float:
    """Σ_i Σ U(q_a, q_b) - U(0, 0) with densities summed over neighbours and pairs of them, as they are defined."""
    i_p, j_p, d_pc = neighbor_list("ijD", atoms, potential.cutoff)
    r_p = np.linalg.norm(d_pc, axis=1)

    def straight(axis: Axis, q: float) -> np.ndarray:
        """Functions that go on with their slopes beyond the end."""
        inside = np.array([min(q, axis.high * (1 - 1e-13))])
        return (functions(axis, inside) + max(q - axis.high, 0.0) * functions(axis, inside, 1))[0]

    energy = 0.0
    for i, z in enumerate(atoms.numbers):
        embedding, densities = potential.embeddings[z], []
        for d in embedding.densities:
            mine = (i_p == i) & (atoms.numbers[j_p] == d.neighbour) & (r_p < d.radial.high)
            f, unit = functions(d.radial, r_p[mine])[:, 0], d_pc[mine] / r_p[mine][:, None]
            shape = eval_legendre(d.order, np.clip(unit @ unit.T, -1.0, 1.0))
            densities.append(max(0.0, f @ shape @ f) if d.order else f.sum())
        for (a, b), c in zip(embedding.pairs, embedding.coefficients, strict=True):
            axes = embedding.densities[a].values, embedding.densities[b].values
            there, nothing = (
                straight(axes[0], x) @ c @ straight(axes[1], y) for x, y in ((densities[a], densities[b]), (0.0, 0.0))
            )
            energy += there - nothing
    return energy


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_embedding_is_the_definition(data):
    potential = POTENTIALS["embedded"]
    atoms = data.draw(crystals(potential, most=8))
    plain = UF(potential.energies, potential.pairs, potential.triples)
    wanted = embedding_energy(potential, atoms)
    found = potential.evaluate(atoms)[0].energy - plain.evaluate(atoms)[0].energy
    assert found == pytest.approx(wanted, abs=1e-9 * max(1.0, abs(wanted)))


@pytest.mark.parametrize("name", POTENTIALS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_rows_times_coefficients_are_energies_forces_and_virial(name, data):
    potential = POTENTIALS[name]
    atoms = data.draw(crystals(potential, most=10))
    basis = UFBasis.of(potential)
    c_p, (result,) = basis.coefficients(potential), potential.evaluate(atoms)
    scale = size_of(result.energies_n, result.forces_nc, result.virial_cc)
    for each in (True, False):
        rows = basis.rows(atoms, each_atom=each)
        wanted = result.energies_n if each else [result.energy]
        assert rows.energy_np.shape == (len(wanted), basis.columns)
        assert rows.energy_np @ c_p == pytest.approx(wanted, abs=1e-10 * scale)
        assert rows.forces_ncp @ c_p == pytest.approx(result.forces_nc, abs=1e-10 * scale)
        virial_v = result.virial_cc[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        assert rows.virial_vp @ c_p == pytest.approx(virial_v, abs=1e-10 * scale)
    assert np.array_equal(rows.energy_np[0, : len(basis.species)], [(atoms.numbers == z).sum() for z in basis.species])


@pytest.mark.parametrize("name", POTENTIALS)
def test_a_basis_makes_its_potential_again(name):
    """Coefficients that no triangle reaches are dropped: energies do not change."""
    potential = POTENTIALS[name]
    basis = UFBasis.of(potential)
    again = basis.potential(basis.coefficients(potential))
    assert np.array_equal(basis.coefficients(again), basis.coefficients(potential))
    cell = bulk("Si", "diamond", a=5.0)
    cell.numbers = [min(potential.species), max(potential.species)]
    cell.rattle(0.3, seed=1)
    for a, b in zip(potential.evaluate([cell, cell * 2]), again.evaluate([cell, cell * 2]), strict=True):
        assert a.energy == pytest.approx(b.energy, rel=1e-12)
        assert a.forces_nc == pytest.approx(b.forces_nc, abs=1e-11)


AXES = {
    "vanishing": vanishing(1.2, 4.0, 9),
    "ending": ending(1.5, 6.0, 12),
    "from zero": Axis(np.array([0.0, 0, 0, 0, 1, 1.4, 3, 5, 5, 5, 5])),
    "uneven": Axis(np.array([0.9, 1.0, 1.3, 1.31, 2.0, 3.7, 3.9, 4.4, 5.0])),
    "repeated": Axis(np.array([1.0, 1, 1.5, 2, 2, 2.5, 3, 3, 3, 3.1, 4, 4])),
    "a step": Axis(np.array([1.0, 1.5, 2, 2, 2, 2, 2.5, 3, 4])),
    "one function": Axis(np.array([1.0, 2, 3, 4, 5])),
}


@pytest.mark.parametrize("name", AXES)
def test_functions_are_those_of_the_recursion(name):
    axis = AXES[name]
    r = np.random.default_rng(0).uniform(axis.low - 0.5, axis.high + 0.5, 200)
    for derivative, width in ((0, 1.0), (1, 1.0 / np.diff(axis.edge_i).min())):
        wanted = functions(axis, r, derivative)
        assert axis.design(r, derivative) == pytest.approx(wanted, abs=1e-10 * max(1.0, width))


@pytest.mark.parametrize("name", AXES)
def test_the_lookup_finds_the_interval_of_every_distance(name):
    axis = AXES[name]
    r = np.concatenate([np.linspace(axis.low, axis.high, 4001)[:-1], axis.edge_i[:-1]])
    entry = ((r - axis.low) * (len(axis.lookup) / (axis.high - axis.low))).astype(int)
    start = axis.lookup[np.minimum(entry, len(axis.lookup) - 1)]
    wanted = np.searchsorted(axis.edge_i, r, side="right") - 1
    assert (start <= wanted + (np.abs(r - axis.edge_i[start]) < 1e-8)).all()


def test_an_axis_refuses_what_is_none():
    for knots, why in (
        ([1, 2, 3, 4], "five or more"),
        ([1, 2, 3, 3.5, 3.4], "never decrease"),
        ([1, 2, 3, 4, np.nan], "finite"),
        ([-1, 0, 1, 2, 3], "begin at 0"),
        ([2, 2, 2, 2, 2], "end after they begin"),
    ):
        with pytest.raises(BadOption, match=why):
            Axis(np.array(knots, dtype=float))


def test_below_its_first_knot_a_curve_goes_on_with_its_slope():
    potential = POTENTIALS["one element"]
    spline = potential.pairs[14, 14]
    r = np.array([0.2, 0.7, spline.axis.low])
    u, du = potential.curve("Si-Si", r)
    assert du == pytest.approx(np.full(3, du[2]))
    assert u == pytest.approx(u[2] + (r - r[2]) * du[2])
    dimer = [Atoms("Si2", [[0, 0, 0], [0, 0, x]]) for x in r]
    energies = [result.energy - 2 * potential.energies[14] for result in potential.evaluate(dimer)]
    assert energies == pytest.approx(u)
    with pytest.raises(BadOption, match="no curve Si-O: it knows Si-Si"):
        potential.curve("Si-O", r)


def test_a_lone_atom_has_its_energy_and_unknown_elements_are_refused():
    potential = POTENTIALS["two elements"]
    for z, energy in potential.energies.items():
        assert potential.evaluate(Atoms([z]))[0].energy == energy
    with pytest.raises(UnsupportedElement, match="no curve for Si"):
        potential.evaluate(Atoms("Si"))


def test_large_cells_are_their_small_ones():
    potential = POTENTIALS["two elements"]
    cell = bulk("TiO", "rocksalt", a=4.2, cubic=True)
    cell.rattle(0.1, seed=4)
    small, large = potential.evaluate([cell, cell * (6, 6, 5)])
    assert large.energy == pytest.approx(180 * small.energy, rel=1e-12)
    assert large.forces_nc == pytest.approx(np.tile(small.forces_nc, (180, 1)), abs=1e-10)
    assert large.stress_cc == pytest.approx(small.stress_cc, abs=1e-12)


def test_keys_and_shapes_are_checked():
    axis = vanishing(1.0, 3.0, 6)
    curve, c = Spline2(axis, np.ones(3)), np.random.default_rng(0).normal(size=(3, 3, 3))
    with pytest.raises(BadOption, match="Si-O"):
        UF({8: 0.0, 14: 0.0}, {(14, 8): curve})
    with pytest.raises(BadOption, match="their energies"):
        UF({14: 0.0}, {(8, 14): curve})
    with pytest.raises(BadOption, match="Si-O-O: two equal neighbours need a function symmetric"):
        UF({8: 0.0, 14: 0.0}, {}, {(14, 8, 8): Spline3((axis, axis, axis), c)})
    with pytest.raises(BadOption, match=r"\(3, 3, 2\) coefficients do not fit"):
        UF({8: 0.0, 14: 0.0}, {}, {(14, 8, 14): Spline3((axis, axis, axis), c[:, :, :2])})


def known(potential: UF, seed: int = 0) -> UF:
    """Give a potential a made-up covariance and a record of distances."""
    rng = np.random.default_rng(seed)
    size = UFBasis.of(potential).columns
    factor = np.triu(rng.normal(size=(size, size)) / np.sqrt(size)) + 3.0 * np.eye(size)
    potential = potential.with_record(knowledge=Knowledge(factor, (2.0, 0.01), (3.0, 0.02), (0.5, 1e-4), 0.7))
    potential = potential.with_record(
        distances={pair: rng.integers(0, 9, 400).astype(float) for pair in potential.pairs}
    )
    return potential


@pytest.mark.parametrize("name", POTENTIALS)
def test_files_hold_everything(name, tmp_path):
    wanted = POTENTIALS[name]
    loaded = load(wanted.save(tmp_path / "uf"))
    assert isinstance(loaded, UF)
    assert (loaded.energies, loaded.cutoff, loaded.species) == (wanted.energies, wanted.cutoff, wanted.species)
    assert not loaded.uncertain
    assert list(loaded.pairs) == list(wanted.pairs)
    assert list(loaded.triples) == list(wanted.triples)
    for pair, s in wanted.pairs.items():
        assert np.array_equal(loaded.pairs[pair].axis.knots_k, s.axis.knots_k)
        assert np.array_equal(loaded.pairs[pair].coefficients_m, s.coefficients_m)
    for triple, v in wanted.triples.items():
        for a, b in zip(loaded.triples[triple].axes, v.axes, strict=True):
            assert np.array_equal(a.knots_k, b.knots_k)
        assert np.array_equal(loaded.triples[triple].coefficients_xyz, v.coefficients_xyz)
    atoms = Atoms([min(wanted.species), max(wanted.species)], [[0, 0, 0], [1, 1.5, 0.8]], cell=[2.9] * 3, pbc=True)
    assert loaded.evaluate(atoms)[0].energy == wanted.evaluate(atoms)[0].energy


def test_files_hold_what_is_known_of_errors_and_data(tmp_path):
    wanted = known(made_up_uf("O", "Ti", seed=5))
    loaded = load(wanted.save(tmp_path / "uf"))
    atoms = bulk("TiO", "rocksalt", a=4.2)
    (a,), (b,) = wanted.uncertainty(atoms), loaded.uncertainty(atoms)
    assert loaded.uncertain
    assert a.energy == pytest.approx(b.energy, rel=1e-12)
    assert np.array_equal(a.grade_n, b.grade_n)
    assert wanted.distances.keys() == loaded.distances.keys()
    assert all(np.array_equal(loaded.distances[pair], counts) for pair, counts in wanted.distances.items())


def test_error_bars_are_those_of_the_covariance():
    """σ² = scale · φᵀ (RᵀR)⁻¹ φ + floor of energy per atom, forces and stress, by a plain inverse."""
    potential = known(made_up_uf("Si", seed=6))
    atoms = bulk("Si", "diamond", a=5.3)
    atoms.rattle(0.2, seed=2)
    (u,) = potential.uncertainty(atoms)
    assert u.forces_nc.shape == (2, 3)
    assert u.stress_cc.shape == (3, 3)
    assert u.grade_n.shape == (2,)
    rows, know = UFBasis.of(potential).rows(atoms, each_atom=True), potential.knowledge
    covariance = np.linalg.inv(know.factor_pp.T @ know.factor_pp)

    def sigma(row, model):
        return np.sqrt(model[0] * row @ covariance @ row + model[1])

    assert u.energy == pytest.approx(2 * sigma(rows.energy_np.mean(axis=0), know.energy))
    assert u.forces_nc[1, 2] == pytest.approx(sigma(rows.forces_ncp[1, 2], know.force))
    volume = atoms.get_volume()
    assert u.stress_cc[0, 1] == pytest.approx(sigma(rows.virial_vp[5] / volume, know.stress))
    assert u.stress_cc == pytest.approx(u.stress_cc.T)
    assert u.grade_n[0] == pytest.approx(sigma(rows.energy_np[0], (1.0, 0.0)) / know.grade)


def test_error_bars_turn_with_the_crystal():
    """A covariance of the coefficients knows no direction; errors of energies and atoms stay, of vectors turn."""
    potential = known(made_up_uf("O", "Ti", seed=7))
    atoms = bulk("TiO", "rocksalt", a=4.2)
    atoms.rattle(0.2, seed=3)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ Rotation.from_euler("xyz", [0.3, 1.1, -0.7]).as_matrix(), scale_atoms=True)
    moved = atoms.copy()
    moved.positions += [0.7, -3.1, 0.2]
    swapped = atoms[[1, 0]]
    quarter = atoms.copy()
    quarter.set_cell(atoms.cell.array[:, [1, 2, 0]], scale_atoms=True)
    here, t, m, s, q = potential.uncertainty([atoms, turned, moved, swapped, quarter])
    for other in (t, m, s, q):
        assert other.energy == pytest.approx(here.energy, rel=1e-9)
    for other in (t, m, q):
        assert other.grade_n == pytest.approx(here.grade_n, rel=1e-9)
        # The floor is the same along every axis, so the trace of the covariance turns into itself.
        assert (other.forces_nc**2).sum(axis=1) == pytest.approx((here.forces_nc**2).sum(axis=1), rel=1e-9)
    assert s.grade_n == pytest.approx(here.grade_n[::-1], rel=1e-9)
    assert s.forces_nc == pytest.approx(here.forces_nc[::-1], rel=1e-9)
    assert q.forces_nc == pytest.approx(here.forces_nc[:, [1, 2, 0]], rel=1e-9)
    assert q.stress_cc == pytest.approx(here.stress_cc[np.ix_([1, 2, 0], [1, 2, 0])], rel=1e-9)


def test_error_bars_need_a_covariance():
    with pytest.raises(BadOption, match="fit it again with --uncertainty"):
        POTENTIALS["one element"].uncertainty(bulk("Si"))
    (u,) = known(made_up_uf("Si")).uncertainty(Atoms("Si2", [[0, 0, 0], [2.2, 0, 0]]))
    assert u.stress_cc is None
