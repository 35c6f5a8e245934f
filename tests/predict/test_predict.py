"""Predictions: one row a crystal, error bars that hold, and a word on what is unusual."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

import lodewell  # noqa: E402
from lodewell.cli import app  # noqa: E402
from lodewell.errors import BadFile, BadOption  # noqa: E402
from lodewell.predict.architecture import make_architecture  # noqa: E402
from lodewell.predict.calibrate import combine, coverage, fit_calibration  # noqa: E402
from lodewell.predict.model import Description, Model, load_model  # noqa: E402
from lodewell.predict.novelty import fit_novelty, strangeness  # noqa: E402
from lodewell.predict.run import Prediction  # noqa: E402
from lodewell.predict.targets import Target  # noqa: E402
from lodewell.predict.train.dataset import read_dataset  # noqa: E402
from lodewell.predict.train.options import TrainOptions  # noqa: E402
from lodewell.predict.train.run import fit  # noqa: E402
from lodewell.report.model_card import heldout  # noqa: E402
from lodewell.report.training import draw_trained  # noqa: E402
from tests.predict.crystals import salts  # noqa: E402

SMALL = {"width": 16, "channels": 16, "layers": 2, "charges": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A model of density and bulk modulus (made up), and the folder it lies in."""
    folder = tmp_path_factory.mktemp("model")
    crystals = salts(each=3)
    for atoms in crystals:
        atoms.info["K_vrh"] = 20.0 * atoms.info["density"] ** 1.5
    write(folder / "salts.extxyz", crystals)
    architecture = make_architecture("invariant", SMALL)
    names = ("density", "K_vrh")
    dataset = read_dataset(
        folder / "salts.extxyz", names, architecture, validation=0.2, test=0.2, cache=folder / "cache"
    )
    options = TrainOptions(
        properties=names, members=2, epochs=15, batch_size=16, lr=5e-3, ema=0.9, about="Made-up salts, CC0."
    )
    draw_trained(folder, fit(dataset, architecture, options, folder))
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def model(trained) -> Model:
    return load_model(trained)


def test_one_row_a_crystal_in_order(model):
    crystals = salts(each=1, seed=5)
    rows = lodewell.predict(crystals, model)
    assert [row.frame for row in rows] == list(range(len(crystals)))
    assert all(row.error is None and set(row.values) == {"density", "K_vrh"} for row in rows)
    assert all(row.sigma[name] > 0.0 for row in rows for name in row.values)
    assert rows[0].units == {"density": "g/cm^3", "K_vrh": "GPa"}
    error = np.array([row.values["density"] - atoms.info["density"] for row, atoms in zip(rows, crystals, strict=True)])
    sigma = np.array([row.sigma["density"] for row in rows])
    assert 0.4 < np.mean(np.abs(error) < sigma) <= 1.0


def test_predictions_do_not_depend_on_cell_and_supercell(model):
    atoms = salts(each=1, seed=2)[4]
    other = atoms.copy()
    other.set_cell(np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]]) @ atoms.cell.array)
    rows = lodewell.predict([atoms, atoms * (2, 2, 1), other], model)
    for row in rows[1:]:
        for name, value in rows[0].values.items():
            assert row.values[name] == pytest.approx(value, rel=1e-4)
            assert row.sigma[name] == pytest.approx(rows[0].sigma[name], rel=1e-3)


def test_what_cannot_be_predicted_costs_its_row(model):
    good = salts(each=1)[0]
    slab, molecule, twice = good.copy(), Atoms("O2", positions=[[0, 0, 0], [0, 0, 1.2]]), good.copy()
    slab.pbc = [True, True, False]
    twice.positions[1] = twice.positions[0]
    rows = lodewell.predict([good, slab, molecule, twice, bulk("Au", cubic=True), good], model)
    assert [row.error is None for row in rows] == [True, False, False, False, False, True]
    assert "slabs are outside" in rows[1].error
    assert "molecules" in rows[2].error
    assert "coincide" in rows[3].error
    assert "never trained on Au" in rows[4].error
    assert rows[5].values == pytest.approx(rows[0].values, rel=1e-5)


def test_an_unusual_crystal_is_pointed_out(model):
    usual, squeezed = salts(each=1)[0], salts(each=1)[0]
    squeezed.set_cell(squeezed.cell.array * 0.6, scale_atoms=True)
    first, second = lodewell.predict([usual, squeezed], model)
    assert not first.warnings
    assert any("distances between atoms are unlike" in said for said in second.warnings)


def test_a_slab_in_vacuum_is_said_to_be_one():
    slab = salts(each=1)[0] * (1, 1, 4)
    slab.center(vacuum=8.0, axis=2)
    water = molecule("H2O", cell=[12, 12, 12], pbc=True)
    first, second = lodewell.predict([slab, water])
    assert first.warnings[0].startswith("a slab in vacuum")
    assert second.warnings[0].startswith("a molecule in vacuum")


def test_a_rare_element_is_named(model):
    model = Model(
        model.architecture,
        model.targets,
        model.members,
        model.card | {"elements": model.card["elements"] | {"Li": 3}},
        model.arrays,
    )
    (row,) = lodewell.predict(salts(each=1)[0], model)
    assert "Li: only 3 crystals trained on" in row.warnings


def test_properties_can_be_chosen(model):
    (row,) = lodewell.predict(salts(each=1)[0], model, properties=["K_vrh"])
    assert set(row.values) == {"K_vrh"}
    with pytest.raises(BadOption, match="does not predict 'k_vrh' \\(did you mean 'K_vrh'"):
        lodewell.predict(salts(each=1)[0], model, properties=["k_vrh"])


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda atoms: atoms.positions.__setitem__((0, 0), np.nan), "not a finite number"),
        (lambda atoms: atoms.cell.__setitem__(2, 0.0), "no c vector"),
        (lambda atoms: atoms.numbers.__setitem__(0, 130), "no known element"),
        (lambda atoms: atoms.info.update(occupancy={"0": {"Li": 0.5, "Na": 0.5}}), "partially occupied"),
    ],
)
def test_a_crystal_that_is_none_costs_its_row(model, spoil, word):
    good, bad = salts(each=1)[:2]
    spoil(bad)
    first, second, third = lodewell.predict([good, bad, good], model)
    assert first.values == third.values
    assert word in second.error


def test_what_goes_wrong_unforeseen_costs_its_row(model):
    class Brittle(type(model.architecture)):
        def features(self, atoms):
            if atoms.info["id"] == "salt-1":
                raise RuntimeError("out of luck")
            return super().features(atoms)

    brittle = Model(Brittle(**model.architecture.settings), model.targets, model.members, model.card, model.arrays)
    rows = lodewell.predict(salts(each=1)[:3], brittle)
    assert [row.error is None for row in rows] == [True, False, True]
    assert rows[1].error == "its features cannot be computed (RuntimeError: out of luck)"


def test_batches_are_small_in_memory(model):
    from lodewell.predict.run import BATCH, BATCH_BYTES, _batches

    size = BATCH_BYTES // 3
    large = [(Prediction("", k, None), {"density": np.zeros(size, np.uint8)}) for k in range(7)]
    small = [(Prediction("", k, None), {"density": np.zeros(8, np.uint8)}) for k in range(300)]
    refused = [(Prediction("", 0, None, error="no"), None)]
    assert [len(part) for part in _batches(large)] == [3, 3, 1]
    parts = list(_batches(small[:40] + refused + small[40:]))
    assert max(map(len, parts)) == BATCH
    assert [row for part in parts for row in part] == small[:40] + refused + small[40:]


def test_files_and_workers_give_the_same(trained, model, tmp_path, monkeypatch):
    crystals = salts(each=1)
    for k, atoms in enumerate(crystals[:5]):
        write(tmp_path / f"{k}.cif", atoms)
    (tmp_path / "bad.cif").write_text("nothing", encoding="utf-8")
    monkeypatch.setattr("lodewell.predict.run.CHUNK", 1)
    monkeypatch.setattr("lodewell.predict.run.FEW", 1)
    rows = lodewell.predict(tmp_path, trained, workers=2)
    assert [Path(row.file).name for row in rows] == ["0.cif", "1.cif", "2.cif", "3.cif", "4.cif", "bad.cif"]
    assert rows[-1].error is not None
    for row, atoms in zip(rows[:5], crystals[:5], strict=True):
        assert row.values == pytest.approx(lodewell.predict(atoms, model)[0].values, rel=1e-3)


def test_bad_models_are_refused(trained, tmp_path):
    content = trained.read_bytes()
    path = tmp_path / "model.safetensors"
    for damaged in (content[:1000], content[:-20], b""):
        path.write_bytes(damaged)
        with pytest.raises(BadFile, match="cannot be read as a model"):
            load_model(path)
    for old, new, word in (
        (b'\\"format\\": 1', b'\\"format\\": 9', "a model of format 9"),
        (b'\\"version\\": 1', b'\\"version\\": 7', "'invariant' of version 7, but this lodewell has version 1"),
        (b'\\"architecture\\": \\"invariant\\"', b'\\"architecture\\": \\"invarianx\\"', "no architecture 'invarianx'"),
        (b'\\"charges\\"', b'\\"charmes\\"', "has no setting 'charmes'"),
        (b'\\"shift\\"', b'\\"shaft\\"', "is not understood .*'shaft'"),
        (b'{"__metadata__":{"lodewell"', b'{"__metadata__":{"lodewelt"', "no model of lodewell"),
    ):
        assert old in content
        path.write_bytes(content.replace(old, new))
        with pytest.raises(BadFile, match=word):
            load_model(path)
    with pytest.raises(BadFile, match="there is no such file, and no shipped model"):
        lodewell.predict(salts(each=1)[0], "nothing")


@pytest.mark.parametrize("tails", ["normal", "laplace"])
def test_error_bars_hold_what_they_say(tails):
    """Members scatter with a width that differs from crystal to crystal; errors are twice as wide, plus a floor."""
    rng = np.random.default_rng(0)
    draw = rng.normal if tails == "normal" else rng.laplace
    width = np.exp(rng.normal(-2.0, 0.7, 8000))
    truth = rng.normal(size=8000)
    values = truth[None] + draw(size=8000) * np.sqrt((2 * width) ** 2 + 0.05**2) / (1 if tails == "normal" else 2**0.5)
    values = values + width * rng.normal(size=(5, 8000))
    target = Target("x", "", False, (0.0,) * 119, 0.0, 1.0, -9.0, 9.0)
    model = Model(make_architecture("invariant", SMALL), [target], [])
    fit_calibration(model, values[:, :4000, None], truth[:4000, None])
    mean, sigma = combine(model, values[:, 4000:, None])
    shares = coverage(mean[:, 0] - truth[4000:], sigma[:, 0], np.array([1.0, model.card["calibration"]["x"]["wide"]]))
    assert shares == pytest.approx([0.683, 0.95], abs=0.02)
    narrow = sigma[:, 0] < np.median(sigma)
    for part in (narrow, ~narrow):
        (share,) = coverage((mean[:, 0] - truth[4000:])[part], sigma[part, 0], np.array([1.0]))
        assert share == pytest.approx(0.683, abs=0.06)


def test_few_crystals_make_the_wide_interval_wider():
    """In nine samples of ten or more, the multiple of sigma holds 95 % of all errors."""
    rng = np.random.default_rng(0)
    target = Target("x", "", False, (0.0,) * 119, 0.0, 1.0, -9.0, 9.0)
    held = []
    for _ in range(60):
        model = Model(make_architecture("invariant", SMALL), [target], [])
        fitted = fit_calibration(model, np.zeros((1, 100, 1)), rng.normal(size=(100, 1)))["x"]
        held.append(np.mean(np.abs(rng.normal(size=20000)) < fitted["wide"] * fitted["b"]))
    assert np.mean(np.array(held) >= 0.95) >= 0.85
    assert np.mean(held) < 0.99


def test_one_member_has_error_bars_too():
    rng = np.random.default_rng(0)
    target = Target("K_vrh", "GPa", True, (0.0,) * 119, 0.0, 1.0, 1.0, 400.0)
    model = Model(make_architecture("invariant", SMALL), [target], [])
    truth = np.exp(rng.normal(4.0, 0.5, (3000, 1)))
    values = truth[None] * 10 ** rng.normal(0.0, 0.06, (1, 3000, 1))
    fit_calibration(model, values, truth)
    mean, sigma = combine(model, values)
    assert np.median(sigma / mean) == pytest.approx(0.06 * np.log(10.0), rel=0.1)


def test_what_is_far_from_all_that_was_seen_is_strange():
    rng = np.random.default_rng(0)
    mix, cloud = rng.normal(size=(6, 40)), rng.uniform(0.5, 2.0, size=(119, 8))

    def seen(count: int, shift: float = 0.0, denser: float = 1.0) -> Description:
        composition = rng.dirichlet(np.full(119, 0.02), count)
        density = composition @ cloud * rng.normal(1.0, 0.02, (count, 8)) * denser
        return Description(shift + rng.normal(size=(count, 6)) @ mix, density, composition)

    model = Model(make_architecture("invariant", SMALL), [], [])
    fit_novelty(model, seen(3000), seen(1000))
    assert np.mean(strangeness(model, seen(2000)).max(axis=1) > 1.0) == pytest.approx(0.01, abs=0.012)
    assert (strangeness(model, seen(10, shift=20.0)) > 1.0).any(axis=1).all()
    assert ((strangeness(model, seen(10, denser=0.6)) > 1.0) == [False, True]).all()


def test_crystals_that_are_blown_up_or_squeezed_and_molecules_in_a_box_are_unusual():
    halite, blown, squeezed = (bulk("NaCl", "rocksalt", a=edge) for edge in (5.64, 8.4, 4.6))
    water = molecule("H2O", cell=[12, 12, 12], pbc=True)
    usual, *others = lodewell.predict([halite, blown, squeezed, water])
    assert not usual.warnings
    for row in others:
        assert any("distances between atoms are unlike" in said for said in row.warnings)


def command(*words: object) -> str:
    result = CliRunner().invoke(app, ["predict", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command(trained, tmp_path):
    crystals = salts(each=1)[:3]
    write(tmp_path / "salts.extxyz", [*crystals, Atoms("He", cell=[9, 9, 9], pbc=True)])
    text = command(tmp_path / "salts.extxyz", "--model", trained, "--out", tmp_path / "rows.csv")
    assert "±" in text
    assert "never trained on He" in text
    assert "density: 3 crystals state it; mean |difference|" in text
    lines = (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()
    assert (
        lines[0]
        == "file,frame,id,formula,density,density_sigma,density_stated,K_vrh,K_vrh_sigma,unusual,warnings,remark,error"
    )
    assert len(lines) == 5
    rows = json.loads(command(tmp_path / "salts.extxyz", "--model", trained, "--property", "density", "--json"))
    assert [list(row["properties"]) for row in rows] == [["density"]] * 3 + [[]]
    assert rows[0]["properties"]["density"]["unit"] == "g/cm^3"
    assert rows[0]["id"] == "salt-0"
    assert rows[0]["properties"]["density"]["stated"] == pytest.approx(crystals[0].info["density"], rel=1e-6)


def test_figures_of_predictions(trained, tmp_path):
    crystals = salts(each=1)[:4]
    write(tmp_path / "salts.extxyz", crystals)
    text = command(tmp_path / "salts.extxyz", "--model", trained, "--figure", tmp_path / "rows.svg")
    assert "rows.svg" in text
    drawn = (tmp_path / "rows.svg").read_text(encoding="utf-8")
    assert "4 crystals state it" in drawn
    assert "crystal, by value" in drawn
    result = CliRunner().invoke(app, ["predict", str(tmp_path / "nothing"), "-m", str(trained), "--figure", "a.tif"])
    assert "figures are written as .png" in str(result.exception) + result.output


def test_a_property_of_ones_own_is_compared_too(trained, tmp_path):
    one = load_model(trained)
    own = [replace(target, name="my_density") if target.name == "density" else target for target in one.targets]
    card = one.card | {"calibration": one.card["calibration"] | {"my_density": one.card["calibration"]["density"]}}
    atoms = salts(each=1)[0]
    atoms.info["my_density"] = 2.5
    (row,) = lodewell.predict(atoms, Model(one.architecture, own, one.members, card, one.arrays))
    assert row.stated == {"my_density": 2.5}


def test_the_card_says_what_the_model_is_worth(trained, model):
    text = (trained.parent / "card.md").read_text(encoding="utf-8")
    assert text.startswith("# density, K_vrh\n\nMade-up salts, CC0.")
    assert "2 of 'invariant'" in text
    assert "Na (" in text
    truth, value, _ = heldout(model, 0)
    cells = next(line for line in text.splitlines() if line.startswith("| density")).split(" | ")
    assert cells[1] == "g/cm^3"
    assert int(cells[2]) == len(truth) == model.card["crystals"]["test"]
    assert float(cells[3]) == pytest.approx(np.abs(value - truth).mean(), rel=0.01)
    assert float(cells[3]) == pytest.approx(model.card["errors"]["density"], rel=0.01)
    assert str(trained.parent) not in json.dumps(model.card)


def test_a_lost_chunk_costs_a_row_for_each_entry(model, tmp_path, monkeypatch):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.cif", bulk("NaCl", "rocksalt", a=5.64))
    write(tmp_path / "c.extxyz", [bulk("NaCl", "rocksalt", a=5.64)] * 3)

    def lost(chunk):
        raise MemoryError("died")

    monkeypatch.setattr("lodewell.crystals.read.Chunk.read", lost)
    rows = lodewell.predict(tmp_path, model)
    assert [(Path(row.file).name, row.frame) for row in rows] == [
        ("a.cif", 0), ("b.cif", 0), ("c.extxyz", 0), ("c.extxyz", 1), ("c.extxyz", 2)
    ]  # fmt: skip
    assert {row.error for row in rows} == {"MemoryError: died"}


def test_ctrl_c_keeps_what_was_finished(trained, tmp_path, monkeypatch):
    write(tmp_path / "salts.extxyz", salts(each=1)[:4])
    from lodewell.predict import run as module

    whole = module.predict_stream

    def interrupted(*words, **more):
        for k, row in enumerate(whole(*words, **more)):
            if k == 2:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(module, "predict_stream", interrupted)
    result = CliRunner().invoke(
        app, ["predict", str(tmp_path / "salts.extxyz"), "-m", str(trained), "-o", str(tmp_path / "rows.csv")]
    )
    assert result.exit_code == 130
    assert len((tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_all_refusals_are_shown_if_asked_for(trained, tmp_path):
    write(tmp_path / "gold.extxyz", [bulk("Au")] * 12)
    assert command(tmp_path / "gold.extxyz", "--model", trained).count("never trained on Au") == 8
    figure = tmp_path / "none.png"
    text = command(tmp_path / "gold.extxyz", "--model", trained, "--limit", "0", "--figure", figure)
    assert text.count("never trained on Au") == 12
    assert not figure.exists()


def test_models_are_found_by_file_and_folder(trained, tmp_path):
    atoms = salts(each=1)[0]
    wanted = lodewell.predict(atoms, trained)[0].values
    assert lodewell.predict(atoms, trained.parent)[0].values == wanted
    assert list(lodewell.predict(atoms, trained, properties="density")[0].values) == ["density"]
    rows = json.loads(command(trained.parent / "salts.extxyz", "-m", trained.parent, "-p", "K_vrh,density", "--json"))
    assert list(rows[0]["properties"]) == ["K_vrh", "density"]
    with pytest.raises(BadFile, match=r"holds no model\.safetensors"):
        load_model(tmp_path)
    with pytest.raises(BadFile, match="a checkpoint, with which"):
        load_model(trained.parent / "member-0.checkpoint")
    assert load_model("properties").parameters == load_model().parameters


def test_torch_keeps_its_threads(model):
    before = torch.get_num_threads()
    lodewell.predict(salts(each=1)[:2], model)
    assert torch.get_num_threads() == before


def test_the_shipped_model_reads_the_examples():
    examples = Path(__file__).parents[2] / "examples" / "candidates"
    rows = lodewell.predict(examples)
    assert len(rows) > 20
    assert all(row.error is None for row in rows)
    assert list(rows[0].values) == ["formation_energy_per_atom", "band_gap", "K_vrh", "G_vrh"]
    oxides = [row.values["formation_energy_per_atom"] for row in rows]
    assert -3.5 < np.median(oxides) < -0.5


def test_the_shipped_model_knows_rock_salt():
    halite, fcc = lodewell.predict([bulk("NaCl", "rocksalt", a=5.69), bulk("Al", a=4.05)])
    assert halite.values["formation_energy_per_atom"] == pytest.approx(-2.1, abs=0.15)
    assert halite.values["band_gap"] == pytest.approx(5.0, abs=0.8)
    assert fcc.values["formation_energy_per_atom"] == pytest.approx(0.0, abs=0.1)
    assert fcc.values["K_vrh"] == pytest.approx(77.0, rel=0.3)


def test_the_shipped_model_is_small():
    from lodewell.predict.model import shipped_model

    path = shipped_model("properties")
    assert path.stat().st_size <= 8_000_000
    assert load_model(path).parameters <= 300_000
