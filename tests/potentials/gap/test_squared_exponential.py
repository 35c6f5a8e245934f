"""Kernels of distances and triplets against the slow oracle."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from lodewell.crystals.batch import Batch
from lodewell.descriptors.environments import Angle, Descriptor, Distance
from lodewell.descriptors.legs import Legs
from lodewell.errors import BadOption
from lodewell.potentials.gap.gap import GAP, Term
from tests.potentials.gap import oracle
from tests.potentials.gap.made_up_gap import crystals, points, random_crystal

DESCRIPTORS: dict[str, Descriptor] = {
    "like pair": Distance((14, 14), 4.0, 1.2, 0.7),
    "unlike pair": Distance((8, 14), 3.5, 3.5, 1.1),
    "like triplet": Angle(14, (14, 14), 3.2, 0.8, (1.0, 0.5, 1.2)),
    "like legs": Angle(14, (8, 8), 3.3, 0.8, (1.0, 0.5, 1.2)),
    "unlike legs": Angle(8, (8, 14), 3.2, 1.5, (0.8, 0.9, 1.5)),
}


def term(descriptor: Descriptor, seed: int = 0, count: int = 6) -> Term:
    x, f = points(descriptor, count, seed)
    return Term(descriptor, 0.4, x, f, np.random.default_rng(seed).normal(size=count))


def seen(d: Descriptor, atoms: Atoms) -> oracle.Seen:
    if isinstance(d, Distance):
        return oracle.distances(atoms, d.species, d.cutoff, d.width)
    return oracle.angles(atoms, d.centre, d.others, d.cutoff, d.width)


@pytest.mark.parametrize("name", DESCRIPTORS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_energies_are_those_of_the_oracle(name, data):
    d = DESCRIPTORS[name]
    atoms, t = data.draw(crystals((8, 14), most=6)), term(d)
    (found,) = GAP({8: 0.0, 14: 0.0}, [t]).evaluate(atoms)
    there = seen(d, atoms)
    k_dm = oracle.gaussian(there.x_dk, t.points_md, [d.length] if isinstance(d, Distance) else d.lengths)
    wanted = oracle.energies(atoms, there, k_dm, t.delta, t.cutoff_m, t.weights_m)
    assert found.energies_n == pytest.approx(wanted, abs=1e-11 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("name", DESCRIPTORS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_prior_of_an_atom_is_the_double_sum_over_its_descriptors(name, data):
    d = DESCRIPTORS[name]
    atoms, kernel = data.draw(crystals((8, 14), most=6)), term(d).kernel()
    found = sum(
        kernel.self_covariance(kernel.environments(legs), len(atoms))
        for legs in Legs.of_atoms(atoms, d.cutoff, pairs=40)
    )
    there = seen(d, atoms)
    k_dd = 0.16 * oracle.gaussian(there.x_dk, there.x_dk, [d.length] if isinstance(d, Distance) else d.lengths)
    share = np.zeros((len(atoms), len(there.cut_d)))  # a pair that comes from both ends is half at each
    for n, where in enumerate(there.atoms_d):
        for i in where:
            share[i, n] += there.cut_d[n] / len(where)
    assert found == pytest.approx(np.einsum("nd,de,ne->n", share, k_dd, share), rel=1e-9, abs=1e-12)


def test_a_dimer_counts_its_distance_twice():
    d = DESCRIPTORS["like pair"]
    t = term(d)
    r = np.array([1.5, 2.2, 3.0, 3.9, 4.1])
    pairs = [Atoms("Si2", [[0, 0, 0], [0, 0, x]]) for x in r]
    found = [result.energy for result in GAP({14: 0.0}, [t]).evaluate(pairs)]
    k = np.exp(-0.5 * ((r[:, None] - t.points_md[:, 0]) / d.length) ** 2)
    wanted = 2.0 * oracle.cosine(r, d.cutoff, d.width) * (k @ (0.16 * t.cutoff_m * t.weights_m))
    assert found == pytest.approx(wanted, abs=1e-12)
    assert t.kernel().energy(t.weights_m, r) == pytest.approx(wanted, abs=1e-12)


def test_a_triplet_counts_both_orders_of_its_legs():
    d = DESCRIPTORS["like legs"]
    t = term(d)
    water = Atoms("SiO2", [[0, 0, 0], [1.6, 0, 0], [0.3, 2.0, 0]])
    (found,) = GAP({8: 0.0, 14: 0.0}, [t]).evaluate(water)
    a, b, c = water.get_distance(0, 1), water.get_distance(0, 2), water.get_distance(1, 2)
    k = np.exp(-0.5 * (((np.array([a + b, (a - b) ** 2, c]) - t.points_md) / d.lengths) ** 2).sum(axis=1))
    fade = oracle.cosine(a, d.cutoff, d.width) * oracle.cosine(b, d.cutoff, d.width)
    wanted = 2.0 * fade * (k @ (0.16 * t.cutoff_m * t.weights_m))
    assert found.energies_n == pytest.approx([wanted, 0.0, 0.0], abs=1e-12)


def test_covariances_are_symmetric_and_of_height_delta_squared():
    for d in DESCRIPTORS.values():
        kernel = term(d, count=12).kernel()
        x = kernel.points_md
        k = kernel.covariance(x, x)
        assert k == pytest.approx(k.T)
        assert np.diag(k) == pytest.approx(np.full(len(x), 0.16))
        assert np.linalg.eigvalsh(kernel.points_covariance()).min() > -1e-12


def test_coincident_atoms_give_numbers():
    """Two atoms in one place have no direction, but neither NaN nor an exception may come of them."""
    atoms = Atoms("Si3", [[0, 0, 0], [0, 0, 0], [2.0, 0, 0]])
    potential = GAP({14: 0.0}, [term(DESCRIPTORS["like pair"])])
    (found,) = potential.evaluate_batch(Batch.from_atoms(atoms))
    assert np.isfinite(found.energy)
    assert np.isfinite(found.forces_nc).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Distance((14, 8), 4.0, 1.0, 1.0),
        lambda: Distance((8, 14), 4.0, 1.0, 0.0),
        lambda: Distance((8, 14), 4.0, 5.0, 1.0),
        lambda: Distance((8, 14), 40.0, 1.0, 1.0),
        lambda: Angle(8, (14, 8), 3.0, 1.0, (1.0, 1.0, 1.0)),
        lambda: Angle(8, (8, 14), 3.0, 1.0, (1.0, -1.0, 1.0)),
    ],
)
def test_senseless_hyperparameters_are_refused(make):
    with pytest.raises(BadOption):
        make()


def test_environments_come_once_each():
    atoms = random_crystal((8, 14), np.random.default_rng(3), 8)
    for d in DESCRIPTORS.values():
        kernel = term(d).kernel()
        blocks = [kernel.environments(legs) for legs in Legs.of_atoms(atoms, d.cutoff, pairs=30)]
        x = np.concatenate([e.x_ed for e in blocks])
        there = seen(d, atoms)
        every = 1 if isinstance(d, Distance) else 2  # the oracle lists triplets twice
        assert len(x) * every == len(there.x_dk)
        assert sorted(x[:, 0]) == pytest.approx(sorted(there.x_dk[::every, 0]))
