"""Laws of the features and networks: nothing depends on how a crystal is written down."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal

from lodewell.errors import BadCrystal, BadOption
from lodewell.predict.architecture import collate, make_architecture
from lodewell.predict.orbits import orbits
from lodewell.relax.symmetry import _dataset
from tests.predict.crystals import salts

torch = pytest.importorskip("torch")


def quartz() -> Atoms:
    sites = [(0.4697, 0.0, 1 / 3), (0.4135, 0.2669, 0.4524)]
    return crystal(["Si", "O"], sites, spacegroup=152, cellpar=[4.916, 4.916, 5.405, 90, 90, 120])


def perovskite() -> Atoms:
    atoms = Atoms("CaTiO3", scaled_positions=[(0, 0, 0), (0.5,) * 3, (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
                  cell=[3.9, 3.9, 4.1], pbc=True)  # fmt: skip
    atoms.positions[1, 2] += 0.15
    return atoms


def wonky() -> Atoms:
    rng = np.random.default_rng(3)
    grid = np.array(list(np.ndindex(2, 2, 2))) / 2.0
    positions = (grid + rng.uniform(-0.06, 0.06, (8, 3))) @ np.array([[5.2, 0, 0], [1.1, 5.0, 0], [0.3, -0.8, 5.6]])
    return Atoms("LiO2NaPS2Cl", positions=positions, cell=[[5.2, 0, 0], [1.1, 5.0, 0], [0.3, -0.8, 5.6]], pbc=True)


CRYSTALS = {
    "NaCl": lambda: bulk("NaCl", "rocksalt", a=5.64),
    "quartz": quartz,
    "perovskite": perovskite,
    "wonky": wonky,
}


def rewritten(atoms: Atoms) -> dict[str, Atoms]:
    """The same crystal in other words."""
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn)
    turned.positions = atoms.positions @ turn
    moved = atoms.copy()
    moved.translate([0.7, -2.1, 0.4])
    moved.wrap()
    return {
        "other cell": make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [-1, 0, 1]]),
        "supercell": make_supercell(atoms, [[2, 0, 0], [0, 1, 0], [0, 0, 1]]),
        "skew supercell": make_supercell(atoms, [[1, 1, 0], [-1, 1, 0], [0, 1, 2]]),
        "turned": turned,
        "moved": moved,
        "permuted": atoms[rng.permutation(len(atoms))],
    }


def answers(name: str, crystals: list[Atoms]) -> np.ndarray:
    torch.manual_seed(1)
    architecture = make_architecture(name)
    module = architecture.module(2).eval()
    arrays = collate(architecture.fields, [architecture.features(atoms) for atoms in crystals])
    with torch.inference_mode():
        return module({key: torch.from_numpy(value) for key, value in arrays.items()}).numpy()


@pytest.mark.parametrize("name", CRYSTALS)
def test_answers_do_not_depend_on_how_a_crystal_is_written(name):
    atoms = CRYSTALS[name]()
    others = rewritten(atoms)
    found = answers("invariant", [atoms, *others.values()])
    assert np.abs(found[0]).max() > 1e-3
    for k, word in enumerate(others, 1):
        assert np.abs(found[k] - found[0]).max() < 2e-5, word


def test_answers_do_not_depend_on_the_company_in_a_batch():
    crystals = [make() for make in CRYSTALS.values()]
    alone = np.concatenate([answers("invariant", [atoms]) for atoms in crystals])
    assert np.abs(answers("invariant", crystals) - alone).max() < 1e-5


def test_answers_see_distances_and_elements():
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    stretched, other = bulk("NaCl", "rocksalt", a=5.7), bulk("KCl", "rocksalt", a=5.64)
    found = answers("invariant", [atoms, stretched, other])
    assert np.abs(found[1] - found[0]).max() > 1e-4
    assert np.abs(found[2] - found[0]).max() > 1e-2


@pytest.mark.parametrize(
    ("make", "count"),
    [(lambda: bulk("NaCl", "rocksalt", a=5.64, cubic=True), 2), (quartz, 2), (perovskite, 4), (wonky, 8),
     (lambda: bulk("Mg", "hcp", a=3.2, c=5.2), 1)],
)  # fmt: skip
def test_alike_atoms_are_those_that_symmetry_relates(make, count):
    atoms = make()
    found = orbits(atoms)
    assert len(found.number_o) == count
    assert found.multiplicity_o.sum() == len(atoms)
    related = _dataset(atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers, 1e-3).equivalent_atoms
    for n in range(len(atoms)):
        assert np.array_equal(related == related[n], found.orbit_n == found.orbit_n[n])


def test_atoms_differ_by_what_lies_beyond_their_neighbours():
    """A chain of layers in which two atoms have the same neighbours, but those have others."""
    atoms = Atoms("LiO4", positions=[[0, 0, 3.0 * k] for k in range(5)], cell=[3.0, 3.0, 15.0], pbc=True)
    assert orbits(atoms).multiplicity_o.tolist() == [1, 2, 2]
    longer = Atoms("LiO8", positions=[[0, 0, 4.0 * k] for k in range(9)], cell=[3.0, 3.0, 36.0], pbc=True)
    assert orbits(longer).multiplicity_o.tolist() == [1, 2, 2, 2, 2]


def test_features_are_plain_and_small():
    arrays = make_architecture("invariant").features(quartz())
    assert {array.dtype for array in arrays.values()} == {np.dtype("float32"), np.dtype("int32")}
    assert arrays["sums"].shape == (4, 4)
    assert arrays["weight"].sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("atoms", "word"),
    [
        (Atoms("H2O", positions=[[0, 0, 0], [0, 0, 1], [0, 1, 0]]), "outside"),
        (Atoms("C2", positions=[[0, 0, 0], [0, 1.4, 0]], cell=[2.4, 2.8, 20], pbc=[True, True, False]), "outside"),
        (Atoms("Si2", positions=[[0, 0, 0], [0, 0, 4.0]], cell=[4, 4, 4], pbc=True), "same place"),
        (Atoms("Si2", positions=[[0, 0, 0], [0, 0, 0.1]], cell=[4, 4, 4], pbc=True), "apart"),
        (Atoms("Si", cell=[4, 4, 0], pbc=True), "no volume"),
    ],
)
@pytest.mark.parametrize("name", ["invariant", "published"])
def test_what_is_no_crystal_is_refused(name, atoms, word):
    with pytest.raises(BadCrystal, match=word):
        make_architecture(name).features(atoms)


def test_unknown_names_are_refused():
    with pytest.raises(BadOption, match="invariant"):
        make_architecture("invariat")
    with pytest.raises(BadOption, match="did you mean 'width'"):
        make_architecture("invariant", {"widht": 3})


def test_a_network_has_at_most_300_000_parameters():
    module = make_architecture("invariant").module(4)
    assert sum(p.numel() for p in module.parameters()) <= 300_000


def test_salts_have_two_orbits():
    assert all(len(orbits(atoms).number_o) == 2 for atoms in salts(each=1))
