"""Neighbour lists against a slow enumeration of all images, against ASE, and under motion."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from lodewell import Batch, Morse, Neighbours, neighbour_list
from lodewell.crystals.batch import complete_cells
from lodewell.crystals.neighbours._cell_list import large_cell_pairs
from lodewell.crystals.neighbours._small_cells import small_cell_pairs
from lodewell.crystals.neighbours.images import image_reach, invert
from lodewell.crystals.neighbours.pairs import CELL_LIST_FROM, wrap
from lodewell.errors import BadCrystal

EDGE = 1e-9  # pairs this near to the cutoff may fall on either side


def slow_pairs(atoms: Atoms, cutoff: float) -> dict[tuple[int, ...], float]:
    """Walk all images in the box around the sphere, one wider on every side: (i, j, S) -> distance."""
    cell = complete_cells(atoms.cell.array[None], atoms.pbc[None])[0]
    fractional = atoms.positions @ np.linalg.inv(cell)
    height = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    found = {}
    for i, x in enumerate(atoms.positions):
        for j, y in enumerate(atoms.positions):
            low = np.floor(fractional[i] - fractional[j] - cutoff / height).astype(int)
            high = np.ceil(fractional[i] - fractional[j] + cutoff / height).astype(int)
            ranges = [range(a, b + 1) if p else [0] for a, b, p in zip(low, high, atoms.pbc, strict=True)]
            images = np.array(np.meshgrid(*ranges, indexing="ij")).reshape(3, -1).T
            r = np.linalg.norm(y - x + images @ cell, axis=1)
            for k in np.flatnonzero(r <= cutoff + EDGE):
                if i != j or images[k].any():
                    found[(i, j, *(int(v) for v in images[k]))] = r[k]
    return found


def as_dict(i, j, S, D) -> dict[tuple[int, ...], float]:
    """Make pairs comparable, and refuse doubles."""
    r = np.linalg.norm(D, axis=1)
    found = {(int(a), int(b), *map(int, s)): d for a, b, s, d in zip(i, j, S, r, strict=True)}
    assert len(found) == len(i)
    return found


def assert_same(got: dict, wanted: dict, cutoff: float) -> None:
    for key in got.keys() ^ wanted.keys():
        assert abs({**got, **wanted}[key] - cutoff) <= 2 * EDGE, key
    for key in got.keys() & wanted.keys():
        assert got[key] == pytest.approx(wanted[key], abs=1e-9)


def both_ways(half: dict) -> dict:
    """Add to each pair of a half list its opposite."""
    opposite = {(j, i, -a, -b, -c): r for (i, j, a, b, c), r in half.items()}
    assert not opposite.keys() & half.keys()
    return half | opposite


@st.composite
def crystals(draw, most: int = 12, periodic: bool | None = None) -> Atoms:
    """Skewed cells of either handedness, short edges, any periodicity, atoms far outside their cell."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges = [draw(st.floats(2.0, 8.0)) for _ in range(3)]
    while True:
        directions = np.eye(3) + draw(st.floats(0.0, 0.9)) * rng.uniform(-1, 1, (3, 3))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        if abs(np.linalg.det(directions)) > 0.35:
            break
    cell = np.diag(edges) @ directions @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    count = draw(st.integers(1, most))
    far = draw(st.sampled_from([0.5, 3.0]))
    pbc = [True] * 3 if periodic else draw(st.lists(st.booleans(), min_size=3, max_size=3))
    fractional = rng.uniform(0.5 - far, 0.5 + far, (count, 3))
    return Atoms(rng.choice([3, 8, 29], count), scaled_positions=fractional, cell=cell, pbc=pbc)


cutoffs = st.floats(1.5, 6.0)


@settings(max_examples=30, deadline=None)
@given(crystals(), cutoffs)
def test_lists_hold_every_pair_once(atoms, cutoff):
    wanted = slow_pairs(atoms, cutoff)
    assert_same(as_dict(*neighbour_list(atoms, cutoff)), wanted, cutoff)
    assert_same(both_ways(as_dict(*neighbour_list(atoms, cutoff, half=True))), wanted, cutoff)


def kernel_pairs(kernel: str, atoms: Atoms, cutoff: float, half: bool) -> dict[tuple[int, ...], float]:
    """Run one search whatever the size of the crystal; S relates the unwrapped atoms."""
    cell = complete_cells(atoms.cell.array[None], atoms.pbc[None])[0]
    n = len(atoms)
    fractional, wraps = np.empty((n, 3)), np.empty((n, 3), np.int32)
    wrap(atoms.positions, invert(cell), atoms.pbc, fractional, wraps)
    reach = image_reach(cell, atoms.pbc, cutoff)
    first, last = np.empty(n, np.int64), np.empty(n, np.int64)
    room = np.empty(4, np.int32)
    if kernel == "small":
        out = small_cell_pairs(fractional @ cell, cell, reach, cutoff, half, False, 0, room, room.copy(), first, last)
    else:
        out = large_cell_pairs(
            fractional, cell, atoms.pbc, reach, cutoff, half, False, 0, room, room.copy(), first, last
        )
    j_p, image_p, end = out
    assert (first[0], last[-1]) == (0, end)
    i_p = np.repeat(np.arange(n), last - first)
    j_p, image_p = j_p[:end], image_p[:end]
    S = np.array(np.unravel_index(image_p, 2 * reach + 1)).T - reach + wraps[j_p] - wraps[i_p]
    return as_dict(i_p, j_p, S, atoms.positions[j_p] - atoms.positions[i_p] + S @ cell)


@pytest.mark.parametrize("kernel", ["small", "large"])
@settings(max_examples=30, deadline=None)
@given(crystals(), cutoffs)
def test_both_searches_find_the_same(kernel, atoms, cutoff):
    wanted = slow_pairs(atoms, cutoff)
    assert_same(kernel_pairs(kernel, atoms, cutoff, False), wanted, cutoff)
    assert_same(both_ways(kernel_pairs(kernel, atoms, cutoff, True)), wanted, cutoff)


def large_crystal(pbc=(True, True, True), left_handed: bool = False) -> Atoms:
    """A skewed, rattled crystal with more atoms than the cell list starts from."""
    atoms = bulk("Cu", cubic=True) * (4, 4, 4)
    rng = np.random.default_rng(3)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.2 * rng.uniform(-1, 1, (3, 3))), scale_atoms=True)
    if left_handed:
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    atoms.rattle(0.1, seed=1)
    atoms.positions[::7] += 3 * atoms.cell.array[0] * pbc[0]
    atoms.pbc = pbc
    assert len(atoms) >= CELL_LIST_FROM
    return atoms


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("Cu"),
        bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 2,
        Atoms("H", cell=[2.0, 2.0, 2.0], pbc=True),
        Atoms("H", cell=[2.0, 30.0, 40.0], pbc=True),
        graphene(vacuum=None),
        molecule("C6H6"),
        Atoms("Ar", cell=np.zeros((3, 3))),
        Atoms("C2", positions=[[0, 0, 0], [0, 0, 1.3]], cell=[0, 0, 2.6], pbc=[False, False, True]),
        graphene(vacuum=None) * (15, 15, 1),
        large_crystal(),
        large_crystal((True, False, True)),
        large_crystal((False, False, False)),
        large_crystal(left_handed=True),
    ],
    ids=lambda a: f"{a.get_chemical_formula()}-{a.pbc.astype(int)}",
)
@pytest.mark.parametrize("cutoff", [2.1, 6.03])
def test_lists_agree_with_ase(atoms, cutoff):
    i, j, S, D = neighbour_list(atoms, cutoff)
    assert_same(as_dict(i, j, S, D), as_dict(*neighbor_list("ijSD", atoms, cutoff)), cutoff)
    assert np.allclose(D, atoms.positions[j] - atoms.positions[i] + S @ atoms.cell.array, atol=1e-10)
    assert (np.diff(i) >= 0).all()


def kept_pairs(neighbours: Neighbours, batch: Batch, b: int, cutoff: float) -> dict[tuple[int, ...], float]:
    """Expand the list of one crystal of a batch and keep what lies within the cutoff."""
    atoms = batch.to_atoms()[b]
    atoms_n = np.arange(batch.first_b[b], batch.first_b[b + 1])
    counts = (neighbours.last_n - neighbours.first_n)[atoms_n]
    p = np.concatenate([np.arange(neighbours.first_n[n], neighbours.last_n[n]) for n in atoms_n])
    i_p, j_p, reach = np.repeat(np.arange(len(atoms)), counts), neighbours.j_p[p], neighbours.reach_bc[b]
    wraps = neighbours.wraps_nc[atoms_n]
    S = np.array(np.unravel_index(neighbours.image_p[p], 2 * reach + 1)).T - reach + wraps[j_p] - wraps[i_p]
    D = atoms.positions[j_p] - atoms.positions[i_p] + S @ atoms.cell.array
    return {key: r for key, r in as_dict(i_p, j_p, S, D).items() if r <= cutoff}


@settings(max_examples=12, deadline=None)
@given(st.lists(crystals(most=6), min_size=1, max_size=3), st.integers(0, 10**6), st.booleans())
def test_skin_never_misses_a_pair(members, seed, half):
    rng = np.random.default_rng(seed)
    cutoff = 3.5
    batch = Batch.from_atoms(members)
    neighbours = Neighbours.build(batch, cutoff, skin=0.6, half=half)
    for _ in range(8):
        step, strain = rng.choice([0.0, 0.02, 0.1, 0.5]), rng.choice([0.0, 0.005, 0.03])
        deform = np.eye(3) + strain * rng.uniform(-1, 1, (len(batch), 3, 3))
        positions = np.einsum("nk,nkc->nc", batch.positions_nc, deform[batch.crystal_n])
        batch = batch.moved(positions + step * rng.uniform(-1, 1, positions.shape), batch.cell_bcc @ deform)
        neighbours.update(batch)
        for b, atoms in enumerate(batch.to_atoms()):
            got = kept_pairs(neighbours, batch, b, cutoff)
            assert_same(both_ways(got) if half else got, slow_pairs(atoms, cutoff), cutoff)


def moving_batch(count: int = 5) -> Batch:
    out = []
    for k in range(count):
        atoms = bulk("Cu", cubic=True) * (1, 1, 1 + k % 2)
        atoms.rattle(0.1, seed=k)
        out.append(atoms)
    return Batch.from_atoms(out)


morse = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=5.0)


def test_a_skin_gives_the_energies_of_a_fresh_list_through_compression():
    batch = moving_batch()
    neighbours = morse.neighbours(batch, 0.5)
    rng = np.random.default_rng(0)
    for _ in range(40):  # 1 % a step: to two thirds of the length, many more pairs than the segments had room for
        positions = 0.99 * batch.positions_nc + rng.normal(0, 0.02, batch.positions_nc.shape)
        batch = batch.moved(positions, 0.99 * batch.cell_bcc)
        neighbours.update(batch)
        got, wanted = morse.compute(batch, neighbours), morse.compute(batch, morse.neighbours(batch))
        for a, b in zip(got, wanted, strict=True):
            assert np.allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(wanted[0]).max())
    assert 0 < neighbours.rebuilds < 40


def test_only_crystals_that_moved_far_are_rebuilt():
    batch = moving_batch()
    neighbours = Neighbours.build(batch, 5.0, skin=0.5)
    before = neighbours.reference_nc.copy()
    near = batch.positions_nc + 0.05
    near[0] += [0.5, 0, 0]  # an atom of the first crystal
    neighbours.update(batch.moved(near))
    assert neighbours.rebuilds == 0
    first = batch.slices[0]
    assert np.array_equal(neighbours.reference_nc[first], near[first])
    assert np.array_equal(neighbours.reference_nc[first.stop :], before[first.stop :])


def test_without_a_skin_every_update_builds():
    batch = moving_batch(2)
    neighbours = Neighbours.build(batch, 5.0)
    moved = batch.moved(batch.positions_nc + 0.3 * np.random.default_rng(0).normal(size=batch.positions_nc.shape))
    neighbours.update(moved)
    fresh = Neighbours.build(moved, 5.0)
    assert np.array_equal(neighbours.last_n, fresh.last_n)
    assert np.array_equal(neighbours.j_p[: fresh.last_n[-1]], fresh.j_p[: fresh.last_n[-1]])


@pytest.mark.parametrize("chosen", [[0], [4, 1], [3, 3, 0], [0, 1, 2, 3, 4], []])
@pytest.mark.parametrize("skin", [0.0, 0.5])
def test_take_keeps_the_lists_of_some_crystals(chosen, skin):
    batch = moving_batch()
    taken = batch.take(chosen)
    neighbours = Neighbours.build(batch, 5.0, skin).take(batch, np.array(chosen, dtype=int))
    got, wanted = morse.compute(taken, neighbours), morse.compute(taken, morse.neighbours(taken, skin))
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        assert np.allclose(a, b, atol=1e-12)
    moved = taken.moved(taken.positions_nc * 0.9, taken.cell_bcc * 0.9)
    neighbours.update(moved)
    assert np.allclose(morse.compute(moved, neighbours)[0], morse.compute(moved, morse.neighbours(moved))[0])


def without_place() -> dict[str, Atoms]:
    nan, far = bulk("Cu", cubic=True), bulk("Cu", cubic=True)
    nan.positions[1, 2] = np.nan
    far.positions[0, 0] = np.inf
    infinite = bulk("Cu")
    infinite.cell[0, 0] = np.inf
    return {
        "NaN position": nan,
        "infinite position": far,
        "infinite cell": infinite,
        "flat cell": Atoms("Cu", cell=[[3, 0, 0], [0, 3, 0], [3, 3, 0]], pbc=True),
        "almost flat cell": Atoms("Cu", cell=[[3, 0, 0], [0, 3, 0], [0, 0, 1e-7]], pbc=True),
        "no cell": Atoms("Cu", pbc=True),
    }


@pytest.mark.parametrize("name", without_place())
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_a_crystal_without_a_place_is_refused_alone_and_nan_in_a_batch(name):
    bad, good = without_place()[name], bulk("Cu")
    with pytest.raises(BadCrystal, match="not finite, or its cell has no volume"):
        neighbour_list(bad, 4.0)
    with pytest.raises(BadCrystal, match=r"crystal 1 \(Cu"):
        morse.evaluate([good, bad])
    batch = Batch.from_atoms([good, bad, good])
    neighbours = morse.neighbours(batch, 0.5)
    neighbours.update(batch)
    assert neighbours.no_place_b.tolist() == [False, True, False]
    e_n, f_nc, _ = morse.compute(batch, neighbours)
    assert np.isnan(e_n[1:-1]).all()
    assert np.isnan(f_nc[1:-1]).all()
    assert e_n[0] == e_n[-1] == pytest.approx(morse.evaluate(good)[0].energy)


def test_a_crystal_that_loses_its_place_and_finds_it_again():
    batch = moving_batch(3)
    neighbours = morse.neighbours(batch, 0.5)
    wanted = morse.compute(batch, neighbours)[0]
    broken = batch.positions_nc.copy()
    broken[batch.slices[1]] = np.nan
    neighbours.update(batch.moved(broken))
    lost = morse.compute(batch.moved(broken), neighbours)[0]
    assert np.isnan(lost[batch.slices[1]]).all()
    assert np.allclose(np.delete(lost, batch.slices[1]), np.delete(wanted, batch.slices[1]))
    neighbours.update(batch)
    assert np.allclose(morse.compute(batch, neighbours)[0], wanted)


def test_nothing_in_nothing_out():
    neighbours = Neighbours.build(Batch.from_atoms([]), 5.0)
    assert len(neighbours.first_n) == 0
    i, j, S, D = neighbour_list(Atoms(), 3.0)
    assert (len(i), len(j), S.shape, D.shape) == (0, 0, (0, 3), (0, 3))
