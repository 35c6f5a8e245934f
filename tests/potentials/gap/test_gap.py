"""Gaussian approximation potentials: sums and rows, precision, files, error bars by the textbook, odd crystals."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

import lodewell
from lodewell import ZBL, LennardJones, check_potential
from lodewell.descriptors.environments import Distance, Soap
from lodewell.descriptors.legs import Legs
from lodewell.errors import BadFile, BadOption, UnsupportedElement
from lodewell.potentials.gap.design import JITTER, Design
from lodewell.potentials.gap.gap import GAP, Term, with_weights
from lodewell.potentials.gap.knowledge import Knowledge
from lodewell.potentials.store import load
from tests.descriptors.test_soap import slow
from tests.potentials.gap import oracle
from tests.potentials.gap.made_up_gap import crystals, made_up_gap, points, random_crystal, with_knowledge

POTENTIALS = {
    "one element": made_up_gap("Si"),
    "two elements": made_up_gap("O", "Ti", seed=1),
    "a power that is not whole": made_up_gap("Si", seed=2, zeta=2.5),
    "a linear kernel": made_up_gap("Si", seed=3, zeta=1.0),
    "over a wall": made_up_gap("Si", seed=4, baseline=True),
}
ONE = Soap(14, (14,), 3.4, 0.8, 3, 3, 0.5)


def size_of(*arrays) -> float:
    return max(1.0, *(float(np.abs(a).max()) for a in arrays))


def soap_alone(zeta: float, seed: int = 0) -> GAP:
    soap = Soap(14, (14,), 3.4, 0.8, 3, 3, 0.5, zeta)
    x, f = points(soap, 6, seed)
    return GAP({14: 0.0}, [Term(soap, 0.3, x, f, np.random.default_rng(seed).normal(size=6))])


@pytest.mark.parametrize("zeta", [1.0, 2.0, 2.5, 4.0, 9.0])
def test_energies_of_soap_are_powers_of_products(zeta):
    potential = soap_alone(zeta)
    (term,) = potential.terms
    atoms = random_crystal((14,), np.random.default_rng(5), 4)
    p_nd = np.array([slow(ONE, atoms, i) for i in range(len(atoms))])
    wanted = oracle.powered(p_nd, term.points_md, zeta) @ (0.09 * term.weights_m)
    assert potential.evaluate(atoms)[0].energies_n == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("name", POTENTIALS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_rows_times_weights_are_energies_forces_and_virial(name, data):
    """Forces by the adjoint, and by a product of every gradient with every sparse point: two ways, one number."""
    potential = POTENTIALS[name]
    atoms = data.draw(crystals(sorted(potential.species)))
    (found,) = GAP(dict.fromkeys(potential.energies, 0.0), potential.terms).evaluate(atoms)
    rows, alpha = Design(potential.kernels).rows(atoms), potential.weights_m
    scale = size_of(found.energies_n, found.forces_nc, found.virial_cc)
    assert rows.energies_nm @ alpha == pytest.approx(found.energies_n, abs=1e-10 * scale)
    assert rows.forces_ncm @ alpha == pytest.approx(found.forces_nc, abs=1e-9 * scale)
    assert rows.virials_bccm[0] @ alpha == pytest.approx(found.virial_cc, abs=1e-9 * scale)
    quick = Design(potential.kernels).rows(atoms, derivatives=False)
    assert quick.energies_nm == pytest.approx(rows.energies_nm, abs=1e-13)


@pytest.mark.parametrize("name", ["a power that is not whole", "a linear kernel", "over a wall"])
def test_every_law_holds(name):
    """Others stand in tests/laws.py."""
    assert check_potential(POTENTIALS[name], seed=7) == []


@pytest.mark.parametrize("name", POTENTIALS)
def test_blocks_do_not_change_the_rows(name, monkeypatch):
    potential = POTENTIALS[name]
    design, atoms = Design(potential.kernels), random_crystal(sorted(potential.species), np.random.default_rng(1), 8)
    whole, of_atoms = design.rows(atoms), Legs.of_atoms
    monkeypatch.setattr(Legs, "of_atoms", lambda a, cutoff: of_atoms(a, cutoff, pairs=20))
    cut = design.rows(atoms)
    assert cut.energies_nm == pytest.approx(whole.energies_nm, abs=1e-12)
    assert cut.forces_ncm == pytest.approx(whole.forces_ncm, abs=1e-12)
    assert cut.virials_bccm == pytest.approx(whole.virials_bccm, abs=1e-12)


def test_white_coordinates_have_the_unit_matrix_as_prior():
    design = Design(POTENTIALS["two elements"].kernels)
    rng = np.random.default_rng(0)
    z, rows = rng.normal(size=design.columns), rng.normal(size=(5, design.columns))
    alpha = design.weights(z)
    assert design.whitened(rows) @ z == pytest.approx(rows @ alpha)
    penalty = sum(
        alpha[m] @ (k.points_covariance() + jitter * np.eye(len(k.points_md))) @ alpha[m]
        for k, m, jitter in zip(design.kernels, design.slices(), design.jitters, strict=True)
    )
    assert penalty == pytest.approx(z @ z)


def test_jitter_grows_until_points_that_are_alike_can_be_told_apart():
    x, f = points(ONE, 3)
    twice = Term(ONE, 1.0, np.repeat(x, 2, axis=0), np.repeat(f, 2), np.zeros(6)).kernel()
    (jitter,) = Design([twice]).jitters
    assert jitter >= JITTER
    assert np.isfinite(Design([twice]).roots[0]).all()


@pytest.mark.parametrize("name", POTENTIALS)
def test_single_precision_is_close(name):
    potential = POTENTIALS[name]
    rng = np.random.default_rng(2)
    cells = [random_crystal(sorted(potential.species), rng, 8) for _ in range(6)]
    for a, b in zip(potential.evaluate(cells), potential.in_single_precision().evaluate(cells), strict=True):
        scale = size_of(a.energies_n, a.forces_nc)
        assert b.energies_n == pytest.approx(a.energies_n, abs=3e-6 * scale)
        assert b.forces_nc == pytest.approx(a.forces_nc, abs=1e-5 * scale)
        assert b.energy != a.energy


@pytest.mark.parametrize("baseline", [None, ZBL(), LennardJones({"Si-Si": (0.1, 2.1)}, 6.5), made_up_gap("Si", seed=9)])
def test_a_baseline_is_added(baseline):
    bare = POTENTIALS["one element"]
    potential = GAP(bare.energies, bare.terms, baseline)
    atoms = random_crystal((14,), np.random.default_rng(3), 6)
    (found,), (wanted,) = potential.evaluate(atoms), (bare if baseline is None else bare + baseline).evaluate(atoms)
    scale = size_of(wanted.energies_n, wanted.forces_nc, wanted.virial_cc)
    assert found.energies_n == pytest.approx(wanted.energies_n, abs=1e-12 * scale)
    assert found.forces_nc == pytest.approx(wanted.forces_nc, abs=1e-11 * scale)
    assert found.virial_cc == pytest.approx(wanted.virial_cc, abs=1e-11 * scale)


def test_sums_with_other_potentials():
    gap, wall, atoms = POTENTIALS["one element"], ZBL(), random_crystal((14,), np.random.default_rng(4), 6)
    e = [p.evaluate(atoms)[0].energy for p in (gap, wall, gap + 0.5 * wall - gap)]
    assert e[2] == pytest.approx(0.5 * e[1], rel=1e-9)


@pytest.mark.parametrize("name", POTENTIALS)
def test_a_file_holds_everything(name, tmp_path):
    potential = with_knowledge(made_up_gap(*{"two elements": ("O", "Ti")}.get(name, ("Si",)), baseline=True))
    pair = min(potential.species), max(potential.species)
    potential = potential.with_record(distances={pair: np.arange(400.0)})
    again = load(potential.save(tmp_path / "a.lodewell", data="made up"))
    assert isinstance(again, GAP)
    assert again.energies == potential.energies
    assert [t.descriptor for t in again.terms] == [t.descriptor for t in potential.terms]
    assert np.array_equal(again.distances[pair], np.arange(400.0))
    atoms = random_crystal(sorted(potential.species), np.random.default_rng(5), 6)
    (a,), (b,) = potential.evaluate(atoms), again.evaluate(atoms)
    assert np.array_equal(a.energies_n, b.energies_n)
    assert np.array_equal(a.forces_nc, b.forces_nc)
    (known,), (known_again) = potential.uncertainty(atoms), again.uncertainty(atoms)[0]
    assert known_again.energy == pytest.approx(known.energy, rel=1e-5)
    assert known_again.forces_nc == pytest.approx(known.forces_nc, rel=1e-5)
    assert known_again.grade_n == pytest.approx(known.grade_n, rel=1e-4, abs=1e-4)
    assert load(potential.in_single_precision().save(tmp_path / "b.lodewell")).single


# ------------------------------------------------------------------------------------------------------- uncertainty


def learnt(potential: GAP, frames: list[Atoms], sigma: float) -> tuple[GAP, np.ndarray]:
    """Give a potential the posterior of total energies and forces known to `sigma`; return it and these rows."""
    design = Design(potential.kernels)
    rows = np.concatenate(
        [
            np.concatenate([r.energies_nm.sum(axis=0)[None], r.forces_ncm.reshape(-1, design.columns)])
            for r in map(design.rows, frames)
        ]
    )
    white = design.whitened(rows) / sigma
    factor = np.linalg.cholesky(np.eye(design.columns) + white.T @ white).T
    potential = potential.with_record(knowledge=Knowledge(design, factor))
    return potential, rows


def dense(term: Term, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of atoms' energies with the sparse points (N, M), and among themselves (N, N): by the definition."""
    d = term.descriptor
    if isinstance(d, Soap):
        x_ek, cut_e, share = np.array([slow(d, atoms, i) for i in range(len(atoms))]), np.ones(len(atoms)), None
        among, points_k = oracle.powered(x_ek, x_ek, d.zeta), oracle.powered(x_ek, term.points_md, d.zeta)
        share = np.eye(len(atoms))
    else:
        if isinstance(d, Distance):
            seen, lengths = oracle.distances(atoms, d.species, d.cutoff, d.width), [d.length]
        else:
            seen, lengths = oracle.angles(atoms, d.centre, d.others, d.cutoff, d.width), list(d.lengths)
        cut_e, share = seen.cut_d, np.zeros((len(atoms), len(seen.cut_d)))
        for e, where in enumerate(seen.atoms_d):
            for n in where:
                share[n, e] += 1.0 / len(where)
        among = oracle.gaussian(seen.x_dk, seen.x_dk, lengths)
        points_k = oracle.gaussian(seen.x_dk, term.points_md, lengths)
    share = share * cut_e
    return share @ (term.delta**2 * points_k * term.cutoff_m), share @ (term.delta**2 * among) @ share.T


def test_error_bars_are_those_of_the_textbook():
    """Var = k** - k*(K⁻¹ - Σ⁻¹)k* of atoms (Quiñonero-Candela & Rasmussen 2005, eq. 24b), k* Σ⁻¹ k* of totals."""
    rng = np.random.default_rng(6)
    sigma = 0.02
    frames = [random_crystal((14,), rng, 3) for _ in range(4)]
    potential, rows = learnt(made_up_gap("Si", seed=5, count=5), frames, sigma)
    atoms = random_crystal((14,), rng, 3)
    kernels = potential.kernels
    size = len(potential.weights_m)
    k_mm, star_nm, star_nn = np.zeros((size, size)), np.zeros((len(atoms), size)), np.zeros((len(atoms), len(atoms)))
    at = 0
    for term, kernel in zip(potential.terms, kernels, strict=True):
        m = slice(at, at + len(term.weights_m))
        k_mm[m, m] = kernel.covariance(term.points_md, term.points_md) * np.outer(term.cutoff_m, term.cutoff_m)
        k_mm[m, m] += JITTER * np.eye(m.stop - m.start)
        star_nm[:, m], among = dense(term, atoms)
        star_nn += among
        at = m.stop
    posterior = np.linalg.inv(k_mm + rows.T @ rows / sigma**2)
    variance = np.diag(star_nn) - np.einsum("nm,mk,nk->n", star_nm, np.linalg.inv(k_mm) - posterior, star_nm)
    (found,) = potential.uncertainty(atoms)
    (deviations,) = potential.atomic_deviations(atoms)
    assert deviations == pytest.approx(np.sqrt(variance), rel=1e-4)
    assert found.grade_n == pytest.approx(np.sqrt(variance), rel=1e-4)
    total = star_nm.sum(axis=0)
    assert found.energy == pytest.approx(np.sqrt(total @ posterior @ total), rel=1e-5)
    step, by_hand = 1e-4, np.zeros_like(atoms.positions)
    for n in range(len(atoms)):
        for c in range(3):
            ends = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[n, c] += sign * step
                ends.append(np.concatenate([dense(t, moved)[0].sum(axis=0) for t in potential.terms]))
            slope = (ends[0] - ends[1]) / (2 * step)
            by_hand[n, c] = np.sqrt(slope @ posterior @ slope)
    assert found.forces_nc == pytest.approx(by_hand, rel=1e-3, abs=1e-7)


def test_with_every_environment_as_a_sparse_point_the_process_is_not_sparse():
    """Then the error bars are those of a plain Gaussian process: k** - k*(K + σ²)⁻¹k* over the training data."""
    rng = np.random.default_rng(8)
    sigma = 0.05
    frames = [random_crystal((14,), rng, 3) for _ in range(4)]
    p_nk = np.concatenate([[slow(ONE, a, i) for i in range(len(a))] for a in frames])
    frame_n = np.repeat(np.arange(4), [len(a) for a in frames])
    bare = Term(ONE, 0.3, p_nk, np.ones(len(p_nk)), np.zeros(len(p_nk)))
    design = Design([bare.kernel()])
    sums = np.array([design.rows(a, derivatives=False).energies_nm.sum(axis=0) for a in frames])
    white = design.whitened(sums) / sigma
    potential = GAP({14: 0.0}, [bare])
    potential = potential.with_record(
        knowledge=Knowledge(design, np.linalg.cholesky(np.eye(len(p_nk)) + white.T @ white).T)
    )
    atoms = random_crystal((14,), rng, 3)
    star = np.array([slow(ONE, atoms, i) for i in range(len(atoms))])
    together = np.eye(4)[frame_n]  # total energies are sums over the atoms of a frame
    k_nn = together.T @ (0.09 * oracle.powered(p_nk, p_nk, 4.0)) @ together
    k_star = 0.09 * oracle.powered(star, p_nk, 4.0) @ together
    variance = 0.09 - np.einsum("an,nm,am->a", k_star, np.linalg.inv(k_nn + sigma**2 * np.eye(4)), k_star)
    (found,) = potential.atomic_deviations(atoms)
    assert found == pytest.approx(np.sqrt(variance), rel=1e-5)


def test_error_bars_are_small_where_the_data_were_and_large_elsewhere():
    rng = np.random.default_rng(9)
    frames = [random_crystal((14,), rng, 4) for _ in range(6)]
    x = np.concatenate([e for a in frames for e in (spectra(a),)])
    potential = GAP({14: 0.0}, [Term(ONE, 0.3, x, np.ones(len(x)), np.zeros(len(x)))])
    potential, _ = learnt(potential, frames, 1e-3)
    near, far = potential.atomic_deviations([frames[0], Atoms("Si2", [[0, 0, 0], [0, 0, 1.1]])])
    assert near.max() < 0.3 * far.min()
    assert far.max() <= 0.3 + 1e-9  # never above the prior


def spectra(atoms: Atoms) -> np.ndarray:
    kernel = Term(ONE, 1.0, np.zeros((0, ONE.size)), np.zeros(0), np.zeros(0)).kernel()
    return np.concatenate([kernel.environments(legs).x_ed for legs in Legs.of_atoms(atoms, ONE.cutoff)])


def test_stress_has_error_bars_in_crystals_alone():
    potential = with_knowledge(made_up_gap("Si"))
    crystal, drop = potential.uncertainty([bulk("Si"), Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]])])
    assert crystal.stress_cc.shape == (3, 3)
    assert crystal.stress_cc == pytest.approx(crystal.stress_cc.T)
    assert drop.stress_cc is None
    assert drop.forces_nc.shape == (2, 3)


def test_without_knowledge_there_are_no_error_bars():
    potential = POTENTIALS["one element"]
    assert not potential.uncertain
    with pytest.raises(BadOption, match="--uncertainty"):
        potential.uncertainty(bulk("Si"))


# ------------------------------------------------------------------------------------------------------ odd crystals


def test_lone_atoms_have_the_energy_of_lone_atoms_and_of_their_own_density():
    potential = POTENTIALS["one element"]
    far = Atoms("Si2", [[0, 0, 0], [0, 0, 30.0]])
    one, two = potential.evaluate([Atoms("Si"), far])
    assert two.energies_n == pytest.approx([one.energy, one.energy])
    assert not one.forces_nc.any()
    assert np.abs(two.forces_nc).max() < 1e-12
    (soap,) = [t for t in potential.terms if isinstance(t.descriptor, Soap)]
    alone = GAP({14: 0.0}, [soap]).evaluate(Atoms("Si"))[0].energy
    assert one.energy == pytest.approx(potential.energies[14] + alone)


def test_slabs_chains_and_molecules():
    potential = POTENTIALS["two elements"]
    slab = bulk("Ti", "fcc", a=4.1, cubic=True)
    slab.pbc = [True, True, False]
    chain = Atoms("TiO", [[0, 0, 0], [1.9, 0, 0]], cell=[3.8, 0, 0], pbc=[True, False, False])
    drop = molecule("H2O")
    drop.numbers = [8, 22, 22]
    drop.positions *= 1.9
    assert check_potential(potential, [slab, chain, drop], seed=1) == []


def test_no_terms_and_no_points():
    atoms = bulk("Si")
    nothing = GAP({14: -3.0}, [])
    (found,) = nothing.evaluate(atoms)
    assert found.energy == pytest.approx(-6.0)
    assert not found.forces_nc.any()
    hollow = GAP({14: -3.0}, [Term(t.descriptor, t.delta, t.points_md[:0], t.cutoff_m[:0], t.weights_m[:0])
                              for t in POTENTIALS["one element"].terms])  # fmt: skip
    (found,) = hollow.evaluate(atoms)
    assert found.energy == pytest.approx(-6.0)
    assert not found.forces_nc.any()
    assert not found.virial_cc.any()


def test_elements_that_are_missing_are_named():
    potential = POTENTIALS["one element"]
    with pytest.raises(UnsupportedElement, match="Ge"):
        potential.evaluate(bulk("Ge"))
    two = GAP({14: 0.0, 32: 0.0}, potential.terms, LennardJones({"Si-Si": (0.1, 2.1)}, 5.0))
    with pytest.raises(UnsupportedElement, match=r"baseline.*Ge"):
        two.evaluate(bulk("Ge"))


def test_shapes_that_do_not_fit_are_refused():
    x, f = points(ONE, 4)
    with pytest.raises(BadOption, match="soap Si: 3 weights need points"):
        Term(ONE, 1.0, x, f, np.zeros(3))
    with pytest.raises(BadOption, match="cutoff factors"):
        Term(ONE, 1.0, x, f[:2], np.zeros(4))


def test_other_weights():
    potential = POTENTIALS["two elements"]
    changed = GAP(potential.energies, with_weights(potential.terms, 2.0 * potential.weights_m))
    assert changed.weights_m == pytest.approx(2.0 * potential.weights_m)
    atoms = random_crystal((8, 22), np.random.default_rng(11), 5)
    lone = sum(potential.energies[z] for z in atoms.numbers)
    a, b = (p.evaluate(atoms)[0].energy - lone for p in (potential, changed))
    assert b == pytest.approx(2.0 * a)


def test_small_cells_relax():
    """A well of the distance term over a wall: every crystal ends at rest, at a lower energy."""
    d = Distance((14, 14), 4.5, 1.5, 0.5)
    x = np.linspace(1.5, 4.5, 13)[:, None]
    kernel = Term(d, 1.0, x, np.ones(13), np.zeros(13)).kernel()
    wanted = 0.5 * ((np.exp(-1.8 * (x[:, 0] - 2.4)) - 1.0) ** 2 - 1.0)
    weights = np.linalg.solve(kernel.covariance(x, x) + 1e-6 * np.eye(13), wanted)
    potential = GAP({14: 0.0}, [Term(d, 1.0, x, np.ones(13), weights)], ZBL())
    cells = [bulk("Si", "fcc", a=3.7), bulk("Si", "sc", a=2.6), bulk("Si", "bcc", a=3.1) * (2, 1, 1)]
    cells[2].rattle(0.1, seed=1)
    before = [r.energy / len(a) for r, a in zip(potential.evaluate(cells), cells, strict=True)]
    for relaxed, start in zip(lodewell.relax(cells, potential), before, strict=True):
        assert relaxed.status == "converged", relaxed.message
        assert relaxed.energy_per_atom < start - 0.5


def test_a_file_of_an_unknown_descriptor_is_refused(tmp_path):
    potential = made_up_gap("Si")
    meta, arrays = potential.state()
    meta["terms"][0]["kind"] = "mbtr"
    with pytest.raises(BadFile, match="mbtr"):
        GAP.from_state(meta, arrays)
