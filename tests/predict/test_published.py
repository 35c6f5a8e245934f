"""The published network on orbits is the network on all atoms; what its predictions depend on."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.spacegroup import crystal

from lodewell.errors import BadCrystal, BadOption
from lodewell.predict.architecture import Arrays, collate, make_architecture
from lodewell.predict.orbits import Orbits, orbits
from lodewell.predict.published import ALIKE, NEAREST, RADIUS, complete_edges, near_edges

torch = pytest.importorskip("torch")
SUMS = ("published", "exact", "none")


def rutile() -> Atoms:
    return crystal(
        ["Ti", "O"], [(0, 0, 0), (0.3053, 0.3053, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )


def perovskite() -> Atoms:
    return Atoms(
        "SrTiO3",
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
        cell=3.905 * np.eye(3),
        pbc=True,
    )


def crystals() -> list[Atoms]:
    return [bulk("NaCl", "rocksalt", 5.64), bulk("Mg"), rutile(), perovskite(), bulk("Si", cubic=True)]


def every_atom(atoms: Atoms) -> Orbits:
    """Return orbits of one atom each: the network as it is published."""
    found = orbits(atoms)
    every = np.arange(len(atoms))
    return Orbits(
        atoms.numbers.astype(np.int32), every, np.ones_like(every), every, found.i_p, found.j_p, found.vector_pc
    )


def plain_features(atoms: Atoms, sums: str) -> Arrays:
    """Return features with every atom and every edge for itself."""
    found = every_atom(atoms)
    near, complete = near_edges(atoms, found), complete_edges(atoms, found, sums)
    arrays: Arrays = {"number": found.number_o, "weight": found.weight_o, "multiplicity": np.ones(len(atoms), "f4")}
    for names, edges in (
        (("center", "other", "distance", "count"), near),
        (("receiver", "sender", "sum", "often"), complete),
    ):
        repeats = edges.count_e.astype(int)
        arrays |= {name: np.repeat(array, repeats) for name, array in zip(names[:3], edges[:3], strict=True)}
        arrays[names[3]] = np.ones(repeats.sum(), "f4")
    return arrays


def network(sums: str, targets: int = 2):
    torch.manual_seed(1)
    architecture = make_architecture("published", {"width": 16, "sums": sums})
    return architecture, architecture.module(targets).double()


def batch_of(architecture, arrays: list[Arrays]):
    joined = collate(architecture.fields, arrays)
    return {k: torch.from_numpy(v).double() if v.dtype.kind == "f" else torch.from_numpy(v) for k, v in joined.items()}


def predict(sums: str, structures: list[Atoms]) -> np.ndarray:
    """Return the predictions of a network with the statistics of `crystals()`."""
    architecture, module = network(sums)
    module(batch_of(architecture, [architecture.features(atoms) for atoms in crystals()]))
    module.eval()
    with torch.no_grad():
        return module(batch_of(architecture, [architecture.features(atoms) for atoms in structures])).numpy()


@pytest.mark.parametrize("sums", SUMS)
def test_orbits_give_the_network_of_all_atoms(sums: str) -> None:
    results = []
    for make in (None, plain_features):
        architecture, module = network(sums)
        arrays = [make(a, sums) if make else architecture.features(a) for a in crystals()]
        batch = batch_of(architecture, arrays)
        trained = module(batch)
        trained.square().sum().backward()
        slope = module.layers[0].edge.weight.grad
        results.append((len(batch["number"]), trained.detach(), slope, module.eval()(batch).detach()))
    (orbit_count, *ours), (atom_count, *plain) = results
    assert orbit_count < atom_count
    for a, b in zip(ours, plain, strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-5 * float(b.abs().max()))
    assert (ours[0] - ours[2]).abs().max() > 1e-3, "training and evaluation normalise alike"


def test_weighted_statistics_are_those_of_repeated_rows() -> None:
    from lodewell.predict._published_module import BatchNorm

    rows, often = torch.randn(7, 3), torch.tensor([1.0, 2, 3, 1, 5, 1, 2])
    ours, theirs = BatchNorm(3), torch.nn.BatchNorm1d(3)
    repeats = often.long()
    assert torch.allclose(
        ours(rows, often).repeat_interleave(repeats, 0), theirs(rows.repeat_interleave(repeats, 0)), atol=1e-5
    )
    assert torch.allclose(ours.running_var, theirs.running_var, atol=1e-6)
    assert torch.allclose(ours.eval()(rows, often), theirs.eval()(rows), atol=1e-6)


def test_near_edges_alone_do_not_know_the_cell() -> None:
    small, large = rutile(), rutile() * (2, 1, 3)
    assert predict("none", [large]) == pytest.approx(predict("none", [small]), abs=1e-6)


def test_complete_edges_know_the_cell_as_published() -> None:
    """The sum of a pair runs over the lattice one chose, and so do its values and their number."""
    for sums in ("published", "exact"):
        small, large = predict(sums, [rutile()]), predict(sums, [rutile() * (2, 1, 1)])
        assert np.abs(large - small).max() > 1e-3


def test_exact_sums_do_not_know_the_setting_of_a_lattice() -> None:
    skewed = rutile()
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [2, -1, 1]]) @ skewed.cell.array)
    skewed.wrap()
    for sums in SUMS:
        assert predict(sums, [skewed]) == pytest.approx(predict(sums, [rutile()]), abs=1e-6)


def test_exact_sums_of_an_atom_s_images_add_up_to_its_sum() -> None:
    """What all images of an atom give together does not depend on the cell, their parts do; as published, neither."""

    def totals(atoms: Atoms, sums: str) -> np.ndarray:
        edges = complete_edges(atoms, orbits(atoms), sums)
        return np.bincount(edges.receiver_e * 2 + edges.sender_e, edges.value_e * edges.count_e)

    small, large = rutile(), rutile() * (1, 1, 2)
    assert totals(large, "exact") == pytest.approx(totals(small, "exact"), abs=1e-5)
    assert np.abs(totals(large, "published") - totals(small, "published")).min() > 1e-3


def test_near_edges_are_the_nearest_and_those_as_far() -> None:
    atoms = perovskite()
    found = orbits(atoms)
    edges = near_edges(atoms, found)
    every_d = np.linalg.norm(found.vector_pc[found.i_p == found.representative_o[0]], axis=1)
    nearest = np.sort(every_d[every_d <= RADIUS])
    farthest = nearest[min(NEAREST, len(nearest)) - 1] + ALIKE
    mine = edges.receiver_e == 0
    assert edges.count_e[mine].sum() == (nearest <= farthest).sum()
    assert edges.value_e[mine].max() <= farthest


def test_an_atom_alone_takes_its_nearest_however_far() -> None:
    atoms = bulk("Xe", "fcc", 6.2 * 2**0.5)
    edges = near_edges(atoms, orbits(atoms))
    assert edges.value_e == pytest.approx([6.2], abs=1e-5)
    assert edges.count_e == pytest.approx([12])


def test_the_size_is_the_published_one() -> None:
    count = sum(p.numel() for p in make_architecture("published").module(1).parameters())
    assert count == pytest.approx(1.75e6, rel=0.01)


def test_what_is_refused() -> None:
    architecture = make_architecture("published")
    with pytest.raises(BadCrystal, match="periodic in three directions"):
        architecture.features(molecule("H2O"))
    with pytest.raises(BadCrystal, match="same place"):
        architecture.features(Atoms("Na2", [[0, 0, 0], [0, 0, 0]], cell=[4, 4, 4], pbc=True))
    with pytest.raises(BadOption, match="did you mean 'exact'"):
        make_architecture("published", {"sums": "exakt"})
