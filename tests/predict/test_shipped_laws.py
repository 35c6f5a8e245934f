"""Laws of the shipped model on real crystals: nothing depends on how they are written down. And its card is whole."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

pytest.importorskip("torch")

import lodewell
from lodewell.errors import BadFile
from lodewell.predict.model import Model, load_model
from tests.predict.test_invariant import quartz, rewritten

EXAMPLES = Path(__file__).parents[2] / "examples" / "candidates"
REAL = ("Li2O3Ti_mp-2931.cif", "LiNiO2_mp-2348641.cif", "Li3O4P_mp-13725.cif", "Li8O3P_mp-1020029.cif")


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_model()


def scaled(model: Model, crystals: list[Atoms]) -> np.ndarray:
    """Predictions in units of each target's scale, then the logarithms of their error bars; (B, 2 T)."""
    rows = lodewell.predict(crystals, model)
    assert all(row.error is None for row in rows)
    return np.array([
        [(np.log10(row.values[t.name]) if t.log else row.values[t.name]) / t.scale for t in model.targets]
        + [np.log(row.sigma[t.name]) for t in model.targets]
        for row in rows
    ])  # fmt: skip


@pytest.mark.parametrize("name", [*REAL, "quartz"])
def test_predictions_do_not_depend_on_how_a_crystal_is_written(shipped, name):
    atoms = quartz() if name == "quartz" else read(EXAMPLES / name)
    others = rewritten(atoms)
    first, *rest = scaled(shipped, [atoms, *others.values()])
    for word, found in zip(others, rest, strict=True):
        assert np.abs(found - first).max() < 1e-4, word
    (strained,) = scaled(shipped, [Atoms(atoms.numbers, scaled_positions=atoms.get_scaled_positions(),
                                         cell=1.02 * atoms.cell.array, pbc=True)])  # fmt: skip
    assert np.abs(strained - first).max() > 1e-3


@pytest.mark.parametrize("amplitude", [0.001, 0.003, 0.01, 0.03])
def test_where_symmetry_is_just_broken_the_order_of_atoms_hardly_matters(shipped, amplitude):
    """Atoms that are alike within a tolerance stand for each other: the one that stands is the first."""
    rng = np.random.default_rng(1)
    for atoms in (bulk("NaCl", "rocksalt", a=5.69, cubic=True), bulk("Si", a=5.43, cubic=True)):
        atoms.positions += amplitude * rng.normal(size=atoms.positions.shape)
        found = scaled(shipped, [atoms, *(atoms[rng.permutation(len(atoms))] for _ in range(5))])
        count = len(shipped.targets)
        assert np.ptp(found[:, :count], axis=0).max() < 5e-3


@pytest.mark.parametrize("part", ["elements", "calibration", "novelty"])
def test_a_model_without_a_part_of_its_card_is_refused(shipped, tmp_path, part):
    card = {name: said for name, said in shipped.card.items() if name != part}
    Model(shipped.architecture, shipped.targets, shipped.members, card, shipped.arrays).save(tmp_path / "m.safetensors")
    with pytest.raises(BadFile, match=f"says nothing of {part}; train it again"):
        load_model(tmp_path / "m.safetensors")
