"""SOAP vectors against the slow oracle, quippy where it is installed, and the symmetries they must have."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.special import spherical_in

from lodewell.descriptors.environments import Soap
from lodewell.descriptors.legs import Legs
from lodewell.descriptors.soap import average
from lodewell.descriptors.soap_radial import bessel
from lodewell.errors import BadOption
from lodewell.potentials.gap.soap import SoapKernel
from tests.potentials.gap import oracle
from tests.potentials.gap.made_up_gap import crystals, random_crystal

SOAPS = {
    "one element": Soap(14, (14,), 3.6, 0.8, 4, 3, 0.5),
    "two elements, listed from the heavier": Soap(8, (22, 8), 3.3, 1.1, 3, 3, 0.4),
    "narrow atoms": Soap(14, (14,), 3.0, 0.5, 6, 2, 0.3),
    "a light centre": Soap(8, (8, 22), 3.2, 0.6, 3, 2, 0.5, central_weight=0.3),
    "one density, another centre": Soap(22, (8,), 3.2, 0.6, 3, 2, 0.5),
    "centre of no density": Soap(14, (8, 22), 3.2, 0.6, 2, 2, 0.5),
    "no angles, one function": Soap(14, (14,), 3.2, 0.6, 1, 0, 0.5),
}


def vectors(soap: Soap, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Power spectra (K, D) of the atoms of the centre's element, and these atoms."""
    kernel = SoapKernel(soap, 1.0, np.zeros((0, soap.size)), np.zeros(0))
    found = [kernel.environments(legs) for legs in Legs.of_atoms(atoms, soap.cutoff, pairs=60)]
    return np.concatenate([e.x_ed for e in found]), np.concatenate([e.atom_e for e in found])


def slow(soap: Soap, atoms: Atoms, i: int) -> np.ndarray:
    names = ("species", "cutoff", "width", "n_max", "l_max", "sigma", "central_weight")
    return oracle.soap(atoms, i, **{name: getattr(soap, name) for name in names})[:-1]


@pytest.mark.parametrize("name", SOAPS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_vectors_are_those_of_the_oracle(name, data):
    soap = SOAPS[name]
    atoms = data.draw(crystals(sorted({soap.centre, *soap.species}), most=5))
    p_kd, centre_k = vectors(soap, atoms)
    assert centre_k.tolist() == np.flatnonzero(atoms.numbers == soap.centre).tolist()
    for p, i in list(zip(p_kd, centre_k, strict=True))[:2]:
        with np.errstate(invalid="ignore"):
            wanted = np.nan_to_num(slow(soap, atoms, i))  # a centre of no density that sees nothing has no direction
        assert p == pytest.approx(wanted, abs=1e-11)


@pytest.mark.parametrize("name", ["one element", "two elements, listed from the heavier"])
def test_vectors_are_those_of_quippy(name):
    descriptors = pytest.importorskip("quippy.descriptors")
    s = SOAPS[name]
    text = (
        f"soap n_max={s.n_max} l_max={s.l_max} cutoff={s.cutoff} cutoff_transition_width={s.width} "
        f"atom_sigma={s.sigma} n_species={len(s.species)} species_Z={{{' '.join(map(str, s.species))}}} Z={s.centre}"
    )
    for seed in range(3):
        atoms = random_crystal(s.species, np.random.default_rng(seed))
        atoms.numbers[0] = s.centre
        assert vectors(s, atoms)[0] == pytest.approx(
            descriptors.Descriptor(text).calc(atoms)["data"][:, :-1], abs=1e-10
        )


@settings(max_examples=20, deadline=None)
@given(atoms=crystals((8, 22)), seed=st.integers(0, 1000))
def test_vectors_do_not_change_with_rotation_order_or_supercell(atoms, seed):
    soap = SOAPS["two elements, listed from the heavier"]
    atoms.pbc = True
    atoms.numbers[0] = 8
    p_kd, _ = vectors(soap, atoms)
    turned = atoms.copy()
    rotation = Rotation.random(random_state=seed).as_matrix()
    turned.set_cell(atoms.cell.array @ rotation.T)
    turned.positions = atoms.positions @ rotation.T + [0.3, -7.0, 0.1]
    assert vectors(soap, turned)[0] == pytest.approx(p_kd, abs=1e-11)
    order = np.random.default_rng(seed).permutation(len(atoms))
    again, centre_k = vectors(soap, atoms[order])
    assert again[np.argsort(order[centre_k])] == pytest.approx(p_kd, abs=1e-11)
    assert vectors(soap, atoms * (2, 1, 1))[0] == pytest.approx(np.concatenate([p_kd, p_kd]), abs=1e-11)


@settings(max_examples=20, deadline=None)
@given(atoms=crystals((8, 22)))
def test_vectors_have_length_one_and_fade_smoothly(atoms):
    soap = SOAPS["a light centre"]
    p_kd, _ = vectors(soap, atoms)
    assert np.linalg.norm(p_kd, axis=1) == pytest.approx(np.ones(len(p_kd)), abs=1e-12)


def test_a_neighbour_that_leaves_is_forgotten_smoothly():
    soap = SOAPS["one element"]
    alone, _ = vectors(soap, Atoms("Si"))
    for gap, most in ((1e-2, 1e-3), (1e-4, 1e-7), (-1e-6, 0.0)):
        p, _ = vectors(soap, Atoms("Si2", [[0, 0, 0], [0, 0, soap.cutoff - gap]]))
        assert np.abs(p - alone).max() <= most


def test_lone_atoms_one_atom_cells_and_molecules():
    soap = SOAPS["one element"]
    alone, centre_k = vectors(soap, Atoms("Si"))
    assert alone.shape == (1, soap.size)
    assert centre_k.tolist() == [0]
    assert alone[0] == pytest.approx(slow(soap, Atoms("Si"), 0), abs=1e-12)
    simple = bulk("Si", "sc", a=2.4)
    assert vectors(soap, simple)[0][0] == pytest.approx(slow(soap, simple, 0), abs=1e-11)
    assert len(vectors(soap, molecule("CH3OH"))[0]) == 0  # no centre


def mean_density(soap: Soap, atoms: Atoms) -> np.ndarray:
    """The spectrum of the mean of all densities by the addition theorem: pairs of neighbours of any two atoms."""
    centres, others, vector_kc = oracle.neighbor_list("ijD", atoms, soap.cutoff)
    z = np.concatenate([atoms.numbers[others], atoms.numbers])
    vector_kc = np.concatenate([vector_kc, np.zeros((len(atoms), 3))])
    r = np.linalg.norm(vector_kc, axis=1)
    unit = vector_kc / np.where(r > 0, r, 1.0)[:, None]
    weight = np.concatenate(
        [oracle.cosine(r[: len(centres)], soap.cutoff, soap.width), np.full(len(atoms), soap.central_weight)]
    )
    cosines = np.clip(unit @ unit.T, -1.0, 1.0)
    parts = []
    for order in range(soap.l_max + 1):
        h = np.zeros((len(r), len(soap.species), soap.n_max))
        for k in range(len(r)):
            h[k, soap.species.index(z[k])] = weight[k] * oracle.radial(r[k], order, soap.cutoff, soap.n_max, soap.sigma)
        h = h.reshape(len(r), -1)
        parts.append(np.sqrt(2 * order + 1) * h.T @ oracle.eval_legendre(order, cosines) @ h)
    p_abl = np.stack(parts, axis=-1)
    many = len(p_abl)
    p = np.concatenate([p_abl[a, b] * (1.0 if a == b else np.sqrt(2.0)) for a in range(many) for b in range(a + 1)])
    return p / np.linalg.norm(p)


@settings(max_examples=8, deadline=None)
@given(atoms=crystals((8, 22), most=4))
def test_the_average_is_the_spectrum_of_the_mean_density(atoms):
    soap = SOAPS["two elements, listed from the heavier"]
    p = average(soap, Legs.of_atoms(atoms, soap.cutoff, pairs=40))
    assert p == pytest.approx(mean_density(soap, atoms), abs=1e-10)
    atoms.pbc = True
    one, two = (average(soap, Legs.of_atoms(a, soap.cutoff)) for a in (atoms, atoms * (1, 2, 1)))
    assert one == pytest.approx(two, abs=1e-11)


def test_bessel_functions_are_those_of_scipy_and_their_series():
    x = np.concatenate([[0.0], np.geomspace(1e-8, 300.0, 200)])
    for order in range(13):
        assert bessel(order, x[:-20]) == pytest.approx(
            spherical_in(order, x[:-20]) * np.exp(-x[:-20]), rel=1e-9, abs=1e-14
        )
    assert bessel(0, np.array([0.0, 1e-4]))[1] == pytest.approx(np.sinh(1e-4) / 1e-4 * np.exp(-1e-4), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_max": 0}, "n_max"), ({"l_max": 21}, "l_max"), ({"sigma": 0.0}, "width"), ({"zeta": 0.5}, "ζ"),
        ({"species": ()}, "at least one"), ({"species": (14, 14)}, "once"), ({"width": 4.0}, "cutoff"),
        ({"cutoff": -1.0}, "cutoff"),
    ],
)  # fmt: skip
def test_senseless_hyperparameters_are_refused(change, words):
    fields = {"centre": 14, "species": (14,), "cutoff": 3.0, "width": 0.5, "n_max": 4, "l_max": 3, "sigma": 0.5}
    with pytest.raises(BadOption, match=words):
        Soap(**(fields | change))
