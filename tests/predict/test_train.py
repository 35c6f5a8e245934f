"""Training: it learns, it is the same for the same seed, it goes on where it was stopped, and it says what is wrong."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

torch = pytest.importorskip("torch")

from lodewell.errors import BadFile, BadOption, LodewellError  # noqa: E402
from lodewell.predict.architecture import make_architecture  # noqa: E402
from lodewell.predict.model import load_model  # noqa: E402
from lodewell.predict.train.dataset import Dataset, read_dataset  # noqa: E402
from lodewell.predict.train.loop import Member, NotANumber, Task, find_rate, train_member  # noqa: E402
from lodewell.predict.train.options import TrainOptions  # noqa: E402
from lodewell.predict.train.run import fit, suggest_rate, train  # noqa: E402
from lodewell.record import KEYS, Run  # noqa: E402
from lodewell.report.training import draw_rates, draw_trained  # noqa: E402
from tests.predict.crystals import salts  # noqa: E402

SMALL = {"width": 16, "channels": 16, "layers": 2, "charges": 2}
CPU = torch.device("cpu")
SILENT = Run("train")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("salts") / "salts.extxyz"
    write(path, salts(each=2))
    return path


@pytest.fixture(scope="module")
def options(file) -> TrainOptions:
    return TrainOptions(
        properties=("density",), settings=SMALL, members=1, epochs=6, batch_size=16,
        validation=0.2, test=0.2, cache=file.parent / "cache", lr=5e-3, ema=0.9,
    )  # fmt: skip


@pytest.fixture(scope="module")
def dataset(file, options) -> Dataset:
    return read_dataset(
        file,
        ["density"],
        make_architecture("invariant", SMALL),
        validation=0.2,
        test=0.2,
        cache=options.cache,
    )


@pytest.fixture(scope="module")
def task(dataset) -> Task:
    return Task.prepare(dataset, make_architecture("invariant", SMALL), CPU)


def curve(run: Member) -> list[tuple[float, dict]]:
    return [(line["loss"], line["val"]) for line in run.history]


def test_it_learns(dataset, options, tmp_path):
    longer = replace(options, epochs=40, members=2)
    model = fit(dataset, make_architecture("invariant", SMALL), longer, tmp_path)
    seen = dataset.part("train")
    values, found = dataset.values_bt[seen, 0], model.evaluate(dataset.crystals(seen))[0].mean(axis=0)[:, 0]
    spread = np.abs(values - values.mean()).mean()
    assert np.abs(found - values).mean() < 0.2 * spread
    assert model.card["errors"]["density"] < spread
    assert model.card["crystals"] == {"train": 72, "val": 24, "test": 24}
    assert model.card["seeds"] == [0, 1]
    read = load_model(tmp_path / "model.safetensors")
    some = dataset.crystals(dataset.part("test"))
    assert np.array_equal(read.evaluate(some)[0], model.evaluate(some)[0])
    history = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert [len(member["epochs"]) for member in history] == [40, 40]
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert tuple(summary) == KEYS
    assert summary["results"]["errors"] == model.card["errors"]
    assert not list(tmp_path.glob("*.png"))
    draw_trained(tmp_path, model)
    for name in ("training.png", "heldout.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    assert f"{model.parameters:,} parameters" in (tmp_path / "card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["invariant", "published"])
def test_the_same_seed_gives_the_same_curve(name, file, options):
    settings = SMALL if name == "invariant" else {"width": 16}
    architecture = make_architecture(name, settings)
    data = read_dataset(file, ["density"], architecture, validation=0.2, test=0.2, cache=options.cache)
    prepared, short = Task.prepare(data, architecture, CPU), replace(options, epochs=2)
    first, second, other = (train_member(prepared, short, k, SILENT) for k in (0, 0, 1))
    assert curve(first) == curve(second)
    assert curve(first) != curve(other)


@pytest.mark.parametrize("name", ["invariant", "published"])
def test_a_stopped_training_goes_on_with_the_same_curve(name, file, options, tmp_path):
    architecture = make_architecture(name, SMALL if name == "invariant" else {"width": 16})
    data = read_dataset(file, ["density"], architecture, validation=0.2, test=0.2, cache=options.cache)
    prepared, short = Task.prepare(data, architecture, CPU), replace(options, epochs=4)
    whole = train_member(prepared, short, 0, SILENT)

    class Stopped(Exception):
        pass

    def stop(line):
        if line["epoch"] == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train_member(prepared, short, 0, SILENT, tmp_path, stop)
    rest = train_member(prepared, short, 0, SILENT, tmp_path)
    assert curve(rest) == curve(whole)
    for mine, its in zip(rest.average.state_dict().values(), whole.average.state_dict().values(), strict=True):
        assert torch.equal(mine, its)


def test_a_killed_training_goes_on_with_the_same_curve(file, options, tmp_path):
    words = {
        "data": [str(file)], "properties": ["density"], "settings": SMALL, "members": 1, "epochs": 8,
        "batch_size": 16, "validation": 0.2, "test": 0.2, "lr": 5e-3, "cache": str(options.cache),
    }  # fmt: skip
    config = tmp_path / "predict.yaml"
    config.write_text(json.dumps(words), encoding="utf-8")

    def command(out: Path) -> subprocess.Popen:
        line = [sys.executable, "-m", "lodewell.cli", "train", str(config), "--out", str(out), "--workers", "1"]
        return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)

    with command(tmp_path / "killed") as process:
        for line in process.stdout:
            if "epoch   3" in line:
                process.kill()
                break
    for out in ("killed", "whole"):
        with command(tmp_path / out) as process:
            process.communicate()
            assert process.returncode == 0
    killed, whole = (
        json.loads((tmp_path / out / "history.json").read_text(encoding="utf-8"))[0]["epochs"]
        for out in ("killed", "whole")
    )
    assert [(line["loss"], line["val"]) for line in killed] == [(line["loss"], line["val"]) for line in whole]


def test_members_can_be_trained_apart(dataset, options, tmp_path):
    architecture = make_architecture("invariant", SMALL)
    pair = replace(options, members=2, epochs=2)
    together = fit(dataset, architecture, pair, tmp_path / "together")
    for member in (1, 0):
        fit(dataset, architecture, replace(pair, member=member), tmp_path / "apart")
        assert not (tmp_path / "apart" / "model.safetensors").exists()
    apart = fit(dataset, architecture, pair, tmp_path / "apart")
    some = dataset.crystals(range(5))
    assert np.array_equal(apart.evaluate(some)[0], together.evaluate(some)[0])


def test_early_stopping(task, options):
    run = train_member(task, replace(options, epochs=50, patience=1, lr=1e-9, ema=0.0), 0, SILENT)
    assert len(run.history) < 50
    (best,) = {min(line["val"]["density"] for line in run.history)}
    assert task.errors(run.average, "val")["density"] == best
    patient = Member(task, replace(options, patience=2), 0)
    patient.history = [{"val": {"density": error}} for error in (3.0, 1.0, 2.0)]
    assert not patient.should_stop()
    patient.history.append({"val": {"density": 1.5}})
    assert patient.should_stop()


def test_a_loss_that_is_no_number_names_the_batch(dataset, options):
    bad = int(dataset.part("train")[5])

    class Flawed(Dataset):
        def crystals(self, indices):
            found = super().crystals(indices)
            return [a | {"sums": 1e30 * a["sums"]} if b == bad else a for b, a in zip(indices, found, strict=True)]

    prepared = Task.prepare(Flawed(**vars(dataset)), make_architecture("invariant", SMALL), CPU)
    with pytest.raises(NotANumber, match=rf"at step .*{dataset.ids[bad]}\b.*lower lr"):
        train_member(prepared, replace(options, batch_size=8), 0, SILENT)
    run = Member(prepared, replace(options, batch_size=8), 0)
    run.watch = 50  # as on a GPU: more than the steps of an epoch
    step = next(k for k, batch in enumerate(run.batches(0), 1) if bad in batch)
    with pytest.raises(NotANumber, match=rf"at step {step}, .*{dataset.ids[bad]}\b"):
        run.epoch(5e-3)
    assert not run.history


def test_missing_values_do_not_count(dataset, options):
    prepared = Task.prepare(dataset, make_architecture("invariant", SMALL), CPU)
    run = Member(prepared, options, 0)
    run.module.eval()  # no dropout
    train_part = dataset.part("train")
    prepared.normal_bt[train_part[4:8]] = float("nan")
    with torch.no_grad():
        some, all_of_them = float(run.loss(train_part[:4])), float(run.loss(train_part[:8]))
    assert 8 * all_of_them == pytest.approx(4 * some, rel=1e-5)


def test_a_checkpoint_of_something_else_is_refused(task, options, tmp_path):
    train_member(task, replace(options, epochs=1), 0, SILENT, tmp_path)
    path = tmp_path / "member-0.checkpoint"
    with pytest.raises(BadFile, match=r"other options or other data, .*; give --restart"):
        train_member(task, replace(options, epochs=2), 0, SILENT, tmp_path)
    state = torch.load(path, weights_only=True)
    torch.save(state | {"version": 99}, path)
    with pytest.raises(BadFile, match="a checkpoint of version 99"):
        train_member(task, replace(options, epochs=1), 0, SILENT, tmp_path)
    path.write_bytes(b"nothing")
    with pytest.raises(BadFile, match="cannot be read"):
        train_member(task, replace(options, epochs=1), 0, SILENT, tmp_path)
    train_member(task, replace(options, epochs=1), 0, Run("train", restart=True), tmp_path)


def test_a_checkpoint_of_other_structures_is_refused(options, tmp_path):
    """Values, names and split are the same; one crystal is not."""
    architecture, crystals = make_architecture("invariant", SMALL), salts(each=1)

    def prepared() -> Task:
        write(tmp_path / "salts.extxyz", crystals)
        found = read_dataset(tmp_path / "salts.extxyz", ["density"], architecture, cache=tmp_path / "cache")
        return Task.prepare(found, architecture, CPU)

    train_member(prepared(), replace(options, epochs=1), 0, SILENT, tmp_path)
    crystals[4].set_cell(crystals[4].cell.array * 1.01, scale_atoms=True)
    with pytest.raises(BadFile, match="other options or other data"):
        train_member(prepared(), replace(options, epochs=1), 0, SILENT, tmp_path)


def test_doubts_are_told_before_the_first_epoch(options, tmp_path, caplog):
    crystals = salts(each=1)
    for atoms in crystals:
        atoms.info["density"] *= 1000.0
    write(tmp_path / "salts.extxyz", crystals)
    told: list[int] = []
    chosen = replace(options, epochs=1, cache=tmp_path / "cache")
    train(tmp_path / "salts.extxyz", tmp_path, options=chosen, each_epoch=lambda _: told.append(len(caplog.records)))
    assert told == [1]
    assert "they would fit if they were in kg/m^3: check the unit" in caplog.records[0].message


def test_no_model_is_written_that_says_nothing(dataset, options, tmp_path, monkeypatch):
    monkeypatch.setattr(Task, "predict", lambda self, module, indices: np.full((len(indices), 1), np.inf))
    with pytest.raises(LodewellError, match="are no finite numbers, and no model is written"):
        fit(dataset, make_architecture("invariant", SMALL), replace(options, epochs=1), tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"width": 0}, "width is 0, but a whole number from 1 on"),
        ({"width": 16.5}, "width is 16.5, but a whole number"),
        ({"layers": "three"}, "layers is 'three', but a whole number"),
        ({"charges": -1}, "charges is -1, but a whole number from 0 on"),
        ({"dropout": 1.0}, "dropout is 1.0, but a share"),
    ],
)
def test_settings_out_of_range_are_refused(settings, word):
    with pytest.raises(BadOption, match=word):
        make_architecture("invariant", settings)
    assert make_architecture("invariant", {"width": "16", "charges": 0.0}).settings["width"] == 16


def test_the_learning_rate_is_found(task, file, options, tmp_path):
    rate, found = find_rate(task, options, 0)
    assert 1e-5 < rate < 0.1
    assert min(loss for _, loss in found) < 0.9 * found[0][1]
    assert find_rate(task, options, 0)[0] == rate
    suggested, curve = suggest_rate(file, options=options)
    assert suggested == rate
    assert np.allclose(curve, found, rtol=1e-4)  # threads add up in another order
    draw_rates(tmp_path / "learning-rate.png", curve, rate)
    assert (tmp_path / "learning-rate.png").stat().st_size > 10_000


def test_training_from_options(file, options, tmp_path):
    lines = []
    stages = []
    model = train(
        file, tmp_path, options=replace(options, epochs=2, lr="auto"), each_epoch=lines.append,
        progress=lambda *told: stages.append(told),
    )  # fmt: skip
    assert stages == [("reading crystals, computing features", 120), ("training", 1, 2), ("training", 2, 2)]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert model.targets[0].name == "density"
    assert model.targets[0].unit == "g/cm^3"
    with pytest.raises(BadOption, match="properties are wanted"):
        train(file, tmp_path, options=TrainOptions())


def test_keywords_are_options(file, options, tmp_path):
    keywords = {"properties": "density", "settings": SMALL, "members": 1, "batch_size": 16, "validation": 0.2}
    keywords |= {"test": 0.2, "cache": options.cache, "lr": "0.005", "ema": 0.9}
    told = {"object": [], "keywords": []}
    train(file, tmp_path / "object", options=replace(options, epochs=2), each_epoch=told["object"].append)
    train(file, tmp_path / "keywords", **keywords, epochs=2, each_epoch=told["keywords"].append)
    losses = {name: [line["loss"] for line in lines] for name, lines in told.items()}
    assert losses["object"] == losses["keywords"]
    with pytest.raises(TypeError, match="no option 'epoch' \\(did you mean 'epochs'"):
        train(file, tmp_path, options=options, epoch=2)
    with pytest.raises(BadOption, match=r"device is 'gpu' .*, but it must be auto, cpu or cuda"):
        train(file, tmp_path, options=options, device="gpu")


def test_crystals_in_memory_are_trained_on_as_those_of_files(file, options, tmp_path):
    short = replace(options, epochs=2)
    some = salts(each=2)
    found = {
        "file": train(file, tmp_path / "file", options=short),
        "memory": train(some, tmp_path / "memory", options=short),
    }
    for name, model in found.items():
        summary = json.loads((tmp_path / name / "summary.json").read_text(encoding="utf-8"))
        assert summary["inputs"]["crystals"] == ([str(file)] if name == "file" else "memory")
        assert model.card["data"] == (["salts.extxyz"] if name == "file" else [])
    in_memory, in_file = found["memory"].card["errors"], found["file"].card["errors"]
    assert in_memory == pytest.approx(in_file, rel=1e-3)  # a file keeps eight digits


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"lr": 2.0}, "lr is 2.0"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"test": 1.5}, "test is 1.5"),
        ({"member": 3}, "members 0 to 2"),
        ({"weights": {"x": 1.0}}, "weight for 'x'"),
        ({"validation": 0.0}, "validation is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"patience": -1}, "patience is -1"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"properties": ("x", "y", "x")}, "named twice"),
    ],
)
def test_options_out_of_range_are_refused(wrong, word):
    with pytest.raises(BadOption, match=word):
        TrainOptions(**wrong)
