"""The lattice sums in torch against the compiled ones: values, derivatives, several crystals at once, refusals."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from lodewell import lattice_sum as compiled_sum
from lodewell import lattice_sum_gradients
from lodewell.errors import BadCrystal, BadOption
from tests.potentials.test_lattice_sums import KINDS, distance, made_up, name_of

torch = pytest.importorskip("torch")
sums = pytest.importorskip("lodewell.predict.sums")

OFFERED = [kind for kind in KINDS if kind.get("power", 1) in (1, 4, 6, 12)]


def tensors(atoms: Atoms, dtype=torch.float64, **options):
    return (
        torch.tensor(atoms.positions, dtype=dtype, **options),
        torch.tensor(atoms.cell.array, dtype=dtype, **options),
    )


def separate(crystals: list[Atoms]):
    """Positions and cells of several crystals."""
    return tuple(map(list, zip(*map(tensors, crystals), strict=True)))


@pytest.mark.parametrize("kind", OFFERED, ids=name_of)
def test_values_are_those_of_the_compiled_sums(kind):
    """Batched, on random cells of aspect ratios up to 20; at a loose tolerance too, since both are cut alike."""
    rng = np.random.default_rng(5)
    crystals = [made_up(rng) for _ in range(25)]
    for tolerance in (1e-12, 1e-4):
        found = sums.lattice_sum(*separate(crystals), **kind, tolerance=tolerance)
        for atoms, sum_nn in zip(crystals, found, strict=True):
            wanted = compiled_sum(atoms, **kind, tolerance=tolerance)
            assert sum_nn.shape == wanted.shape
            assert torch.equal(sum_nn, sum_nn.mT)
            assert distance(kind, sum_nn.numpy(), wanted, atoms.get_volume()) < 5e-13


@pytest.mark.parametrize("kind", OFFERED, ids=name_of)
def test_derivatives_are_those_of_the_compiled_sums(kind):
    rng = np.random.default_rng(6)
    for _ in range(6):
        atoms = made_up(rng)
        exact = lattice_sum_gradients(atoms, **kind)
        x, cell = tensors(atoms, requires_grad=True)
        weight_nn = rng.normal(size=(len(atoms), len(atoms)))
        total = (torch.tensor(weight_nn) * sums.lattice_sum(x, cell, **kind)).sum()
        by_x, by_cell = (g.numpy() for g in torch.autograd.grad(total, (x, cell)))
        slope = ((weight_nn + weight_nn.T)[..., None] * exact.slope_nnc).sum(axis=0)
        assert np.allclose(by_x, slope, rtol=0, atol=1e-11 * np.abs(exact.strain_nncc).max())
        strain = np.einsum("ij,ijcd->cd", weight_nn, exact.strain_nncc)
        found = atoms.positions.T @ by_x + atoms.cell.array.T @ by_cell
        assert np.allclose(found, strain, rtol=0, atol=1e-11 * np.abs(exact.strain_nncc).max())


@pytest.mark.parametrize("kind", OFFERED, ids=name_of)
def test_second_derivatives(kind):
    """By positions and cell along a direction: what the first derivatives change by."""
    atoms = Atoms(
        "H3", scaled_positions=np.random.default_rng(8).random((3, 3)), cell=[[3, 1, 0], [0, 4, 1], [1, 0, 5]]
    )
    start = torch.cat(tensors(atoms)).requires_grad_()
    along = torch.tensor(np.random.default_rng(9).normal(size=(6, 3)))

    def slope(both):
        total = sums.lattice_sum(both[:3], both[3:], **kind, tolerance=1e-13).sum()
        return torch.autograd.grad(total, both, create_graph=True)[0]

    (second,) = torch.autograd.grad((slope(start) * along).sum(), start)
    step = 1e-4
    change = (slope(start + step * along) - slope(start - step * along)) / (2 * step)
    assert torch.allclose(second, change, rtol=0, atol=1e-5 * second.abs().max().item())


@pytest.mark.parametrize("kind", [{"power": 1}, {"power": 6}, {"decay": 1.0}], ids=name_of)
def test_a_supercell_and_another_cell_say_the_same(kind):
    rng = np.random.default_rng(2)
    atoms = made_up(rng)
    count = len(atoms)
    other = atoms.copy()
    other.set_cell(np.array([[1, 2, 0], [0, 1, 0], [-3, 1, 1]]) @ atoms.cell.array)
    other.positions += rng.integers(-3, 4, (count, 3)) @ atoms.cell.array
    found, of_larger, of_other = sums.lattice_sum(*separate([atoms, atoms.repeat((2, 1, 3)), other]), **kind)
    folded = of_larger.reshape(6, count, 6, count)[0].sum(1)
    assert distance(kind, folded.numpy(), found.numpy(), atoms.get_volume()) < 2e-11
    assert distance(kind, of_other.numpy(), found.numpy(), atoms.get_volume()) < 2e-12


def test_orbits_sums_are_the_same_in_every_supercell():
    """Σ_j S(i, j) over the sites of one kind, the power 1 included: the background is that of the sites themselves."""
    salt = bulk("NaCl", "rocksalt", a=5.64)
    for atoms in (salt.repeat((1, 2, 1)), salt.repeat((3, 1, 2)), bulk("NaCl", "rocksalt", a=5.64, cubic=True)):
        for power in (1, 6):
            small, large = sums.lattice_sum(*separate([salt, atoms]), power)
            chlorine = torch.tensor(atoms.numbers == 17)
            assert large[0, chlorine].sum().item() == pytest.approx(small[0, 1].item(), rel=1e-11)
            assert large[0, ~chlorine].sum().item() == pytest.approx(small[0, 0].item(), rel=1e-11)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("kind", [{"power": 1}, {"power": 6}, {"decay": 0.6}, {"screening": 0.5}], ids=name_of)
def test_a_gpu_says_the_same(kind):
    rng = np.random.default_rng(4)
    crystals = [made_up(rng) for _ in range(20)]
    x, cells = separate(crystals)
    found = sums.lattice_sum([each.cuda() for each in x], [cell.cuda() for cell in cells], **kind)
    for atoms, sum_nn in zip(crystals, found, strict=True):
        assert distance(kind, sum_nn.cpu().numpy(), compiled_sum(atoms, **kind), atoms.get_volume()) < 1e-12


def test_single_precision_keeps_what_it_can():
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    found = sums.lattice_sum(*tensors(atoms, torch.float32))
    assert found.dtype == torch.float32
    nearest = 5.64 / 2
    assert (found[0, 1] - found[0, 0]).item() * nearest == pytest.approx(1.7475645946, rel=3e-6)


def test_one_or_several():
    salt = bulk("NaCl", "rocksalt", a=5.64)
    x, cell = tensors(salt)
    one = sums.lattice_sum(x, cell, 6)
    both = sums.lattice_sum(torch.stack([x, x + 1.0]), torch.stack([cell, cell]), 6)
    assert one.shape == (2, 2)
    assert all(torch.allclose(each, one, rtol=1e-12) for each in both)
    assert sums.lattice_sum([], []) == []
    assert sums.lattice_sum(torch.zeros(0, 3, dtype=torch.float64), cell).shape == (0, 0)


def test_what_is_refused():
    x, cell = tensors(bulk("NaCl", "rocksalt", a=5.64))
    slab = cell.clone()
    slab[2] = 0.0
    flat = cell.clone()
    flat[2] = cell[0] + cell[1]
    for positions, box, says in (
        (x, slab, "give a slab its third vector"),
        (x, flat, "no volume"),
        (torch.stack([x[0], x[0] + cell[1]]), cell, "atoms 1 and 2 stand in the same"),
        (x * math.nan, cell, "not finite"),
    ):
        with pytest.raises(BadCrystal, match=says):
            sums.lattice_sum(positions, box)
    with pytest.raises(BadCrystal, match="crystal 1: "):
        sums.lattice_sum([x, x], [cell, flat])
    for options, says in (
        ({"power": 5}, r"not offered in torch.*CPU"),
        ({"power": 5.3}, r"not offered in torch.*CPU"),
        ({"power": 2}, "above 3"),
        ({"decay": 1.0, "screening": 1.0}, "one at a time"),
    ):
        with pytest.raises(BadOption, match=says):
            sums.lattice_sum(x, cell, **options)
    with pytest.raises(BadOption, match=r"positions\.double"):
        sums.lattice_sum(x.long(), cell.long())
