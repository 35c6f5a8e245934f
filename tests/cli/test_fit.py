"""`lodewell fit FAMILY`: the frame around every family, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.crystals.labelled import COPPER, EDGE, labelled, rattled, write

import lodewell
from lodewell.cli._fit_common import _judge
from lodewell.compiling import COMPILING
from lodewell.crystals.read import read_crystals
from lodewell.errors import BadFile
from lodewell.fit.labelled_options import LabelledOptions
from lodewell.fit.run import FitJob, FitResult, look, run_fit
from lodewell.judge.test.run import test as compare
from lodewell.record import Run

FAST = ["--no-three-body", "--intervals", "10", "--workers", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copper")
    crystals = labelled(rattled(24), reference=0.0)
    write(folder / "train.extxyz", crystals[:18])
    write(folder / "test.extxyz", crystals[18:])
    return folder


def fit(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-W", "error", "-m", "lodewell.cli", "fit", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, cwd=cwd)


def well_depth(train, options, *, out, run) -> FitResult:
    """Fit the depth of a Morse curve of known shape: one number, by least squares on energies and forces."""
    rows, right = [], []
    for k, frame in enumerate(train):
        (unit,) = lodewell.Morse({"Cu-Cu": (1.0, 1.3588, 2.866)}, cutoff=6.0).evaluate([frame.atoms])
        rows.append(np.append(unit.forces_nc, unit.energy))
        right.append(np.append(frame.forces_nc, frame.energy))
        run.progress("fitting", k, len(train))
    a, b = np.concatenate(rows), np.concatenate(right)
    depth = float(a @ b / (a @ a))
    potential = lodewell.Morse({"Cu-Cu": (depth, 1.3588, 2.866)}, cutoff=6.0)
    return FitResult(potential, {"depth": depth}, ("one number only",), {"shape": "Morse"})


def test_the_frame_of_a_fit(data, tmp_path):
    said = []
    job = FitJob(
        "morse", [data / "train.extxyz"], [data / "test.extxyz"], tmp_path / "new" / "Cu", LabelledOptions(seed=3)
    )
    with Run("fit", progress=lambda stage, done=0, total=None: said.append((stage, done, total))) as run:
        looked = look(job, run)
        assert [len(part) for part in looked] == [18, 6]
        outcome = run_fit(job, well_depth, run, looked, _judge)
    assert outcome.fitted.facts["depth"] == pytest.approx(0.3429, abs=1e-6)
    assert outcome.file == tmp_path / "new" / "Cu.lodewell"
    assert ("fitting", 17, 18) in said
    assert said[-1] == ("testing", 6, 6)
    assert outcome.errors.overall.force.mae < 1e-6
    atoms = rattled(1, seed=8)
    again = lodewell.load(outcome.file)
    np.testing.assert_allclose(
        again.evaluate(atoms)[0].forces_nc, COPPER.evaluate(atoms)[0].forces_nc, rtol=1e-5, atol=1e-6
    )
    summary = json.loads((tmp_path / "new" / "Cu.summary.json").read_text())
    assert summary == json.loads(json.dumps(outcome.summary))
    assert summary["inputs"]["train"]["frames"] == 18
    assert summary["inputs"]["test"]["files"] == [str(data / "test.extxyz")]
    assert summary["seed"] == summary["options"]["seed"] == 3
    assert summary["versions"]["numpy"] == np.__version__
    assert summary["results"]["depth"] == outcome.fitted.facts["depth"]
    assert summary["results"]["shape"] == "Morse"
    assert summary["notes"] == ["one number only"]
    assert summary["results"]["errors"]["force"]["mae"] < 1e-6
    assert set(summary["seconds"]) == {"reading", "fitting", "testing", "total"}
    write(tmp_path / "new" / "a.extxyz", rattled(1))
    assert len(list(read_crystals(tmp_path / "new"))) == 1  # a summary is no crystal


def test_nothing_is_computed_before_everything_is_sound(data, tmp_path):
    def never(*args, **more):
        raise AssertionError("it was called")

    other = labelled(rattled(3, seed=4))
    other[0].numbers[:] = 28
    write(tmp_path / "nickel.extxyz", other)
    train = [data / "train.extxyz"]
    for test, why in (([tmp_path / "nickel.extxyz"], "the test data hold Ni"), (train, "18 test frames are training")):
        with pytest.raises(BadFile, match=why):
            run_fit(FitJob("x", train, test, tmp_path / "x.lodewell", LabelledOptions()), never, Run("fit"))
    (tmp_path / "taken.lodewell").mkdir()
    with pytest.raises(BadFile, match="cannot be written"):
        run_fit(FitJob("x", train, [], tmp_path / "taken.lodewell", LabelledOptions()), never, Run("fit"))


def test_help_names_families_and_explains_options():
    done = fit("--help")
    assert done.returncode == 0
    assert "uf " in done.stdout
    text = " ".join(fit("uf", "--help").stdout.split())
    for word in (
        "--train PATH",
        "[required]",
        "--test PATH",
        "--config FILE",
        "--cutoff",
        "--config-weights NAME=VALUE",
    ):
        assert word in text
    assert text.index("--cutoff") < text.index("--energy-key")


def test_a_fit_from_the_command_line(data, tmp_path):
    (tmp_path / "uf.yaml").write_text("cutoff: 5.5\nseed: 4\nconfig-weights: {Rattled: 2}\n")
    done = fit(
        "uf", "--train", data / "train.extxyz", "--test", data / "test.extxyz", "--out", "Cu.lodewell", "--config",
        "uf.yaml", "--cutoff", "6", *FAST, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.replace(f"lodewell: {COMPILING}\n", "") == ""  # said by the first run of an installation
    for words in ("18 with 72 atoms", "6 with 24 atoms", "REF_forces", "errors on the test data", "Cu.summary.json"):
        assert words in done.stdout
    summary = json.loads((tmp_path / "Cu.summary.json").read_text())
    assert summary["options"]["cutoff"] == 6.0
    assert summary["options"]["seed"] == 4
    assert summary["options"]["config_weights"] == {"Rattled": 2.0}
    errors = compare(tmp_path / "Cu.lodewell", data / "test.extxyz")
    assert errors.overall.force.mae == pytest.approx(summary["results"]["errors"]["force"]["mae"])
    assert errors.overall.force.mae < 0.1 * 0.5  # a tenth of the forces
    perfect = rattled(1, strain=0.0, rattle=0.0)
    (found,) = lodewell.load(tmp_path / "Cu.lodewell").evaluate(perfect)
    assert found.energy / 4 == pytest.approx(COPPER.evaluate(perfect)[0].energy / 4, abs=0.02)
    assert perfect[0].cell[0, 0] == EDGE


def test_json_for_machines_and_training_data_alone(data, tmp_path):
    done = fit("uf", "--train", data / "train.extxyz", "--out", tmp_path / "Cu.lodewell", "--json", *FAST)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["results"]["errors"] is None
    assert summary["inputs"]["test"] is None
    assert summary["results"]["family"] == "uf"
    assert Path(summary["outputs"][0]).exists()


def bad_frame(path: Path, change) -> Path:
    crystals = labelled(rattled(12), reference=0.0)
    change(crystals)
    return write(path, crystals)


def without_forces(crystals):
    for atoms in crystals:
        del atoms.arrays["REF_forces"]


def nan_everywhere(crystals):
    for atoms in crystals[2:9]:
        atoms.info["REF_energy"] = np.nan


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_forces, "there are no forces, and 12 energies alone determine no potential"),
        (lambda crystals: crystals.__delitem__(slice(1, None)), "there is one labelled frame; a fit needs several"),
        (nan_everywhere, "7 of 12 frames cannot be used, more than 10 %: "),
    ],
)
def test_bad_data_are_one_line_and_exit_code_2(tmp_path, change, why):
    path = bad_frame(tmp_path / "bad.extxyz", change)
    done = fit("uf", "--train", path, "--out", tmp_path / "Cu.lodewell", *FAST)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lodewell: ")
    assert str(path) in done.stderr
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "Cu.lodewell").exists()


def test_a_nan_among_many_costs_its_frame(tmp_path):
    path = bad_frame(tmp_path / "bad.extxyz", lambda crystals: crystals[5].info.__setitem__("REF_energy", np.nan))
    done = fit("uf", "--train", path, "--out", tmp_path / "Cu.lodewell", *FAST)
    assert done.returncode == 0, done.stderr
    assert f"left out of the training data: {path}, frame 5: REF_energy is not finite" in done.stdout


def test_a_misspelt_key_of_the_yaml_file(data, tmp_path):
    (tmp_path / "uf.yaml").write_text("cutoff: 5\nsmoothnes: 1\n")
    done = fit(
        "uf", "--train", data / "train.extxyz", "--out", tmp_path / "Cu.lodewell", "--config", tmp_path / "uf.yaml"
    )
    assert done.returncode == 2
    expected = f"lodewell: {tmp_path}/uf.yaml, line 2: there is no option 'smoothnes' (did you mean 'smoothness'?)"
    assert done.stderr.startswith(expected)
