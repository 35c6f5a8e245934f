"""The tutorials: their data, what they find, the LAMMPS script of one run by LAMMPS, another page block by block."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

import lodewell
from tests.interop.test_lammps import lammps_module

ROOT = Path(__file__).parents[1]
FRAMES = ROOT / "examples" / "silicon-frames"
BLOCK = re.compile(r'^```(bash|python) exec="on"[^\n]*\n(.*?)^```', re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def potential() -> lodewell.UF:
    options = lodewell.UFOptions(intervals_3body=6)
    return lodewell.fit_uf(FRAMES / "train.extxyz.gz", options)


@pytest.fixture(scope="module")
def gap() -> lodewell.GAP:
    options = lodewell.GAPOptions(points=300)
    return lodewell.fit_gap(FRAMES / "train.extxyz.gz", options)


def test_no_frame_is_in_both_sets():
    train, test = (lodewell.LabelledSource(FRAMES / f"{part}.extxyz.gz") for part in ("train", "test"))
    assert (len(train), len(test)) == (43, 25)
    assert train.survey.forces == train.survey.stresses == 43
    assert not test.survey.columns.shared(train.survey.columns)


def test_the_fit_is_worth_telling(potential):
    errors = lodewell.test(potential, FRAMES / "test.extxyz.gz")
    # s-MEAM, fitted to five times as many frames, has 0.172 eV/Å on these (Vita & Trinkle, 2021).
    assert errors.force.mae < 0.12
    assert errors.energy.mae < 0.012


def test_lammps_runs_it_and_agrees(potential, tmp_path):
    lodewell.export(potential, to="lammps", out=tmp_path)
    potential.save(tmp_path / "silicon")
    machine = lammps_module().lammps(
        cmdargs=["-screen", "none", "-log", str(tmp_path / "log"), "-var", "lodewell", str(tmp_path)]
    )
    machine.file(str(FRAMES / "in.silicon"))
    machine.close()
    lines = (tmp_path / "log").read_text().splitlines()
    first = next(k for k, line in enumerate(lines) if line.split()[:2] == ["Step", "Temp"])
    step, temperature, _, total, _ = np.array([line.split() for line in lines[first + 1 : first + 7]], dtype=float).T
    assert step.tolist() == [0, 100, 200, 300, 400, 500]
    assert np.ptp(total) / 216 < 5e-4  # eV an atom, a hundredth of k_B T
    assert 400 < temperature[1:].mean() < 800  # half of the kinetic energy has become potential energy
    agree = runpy.run_path(str(FRAMES / "agree.py"))
    energy, force = agree["differences"](tmp_path / "silicon.lodewell", tmp_path)
    assert energy < 1e-8
    assert force < 1e-9


def test_a_gap_of_few_points_is_nearer_to_the_frames_than_splines(gap, potential):
    errors, of_splines = (lodewell.test(p, FRAMES / "test.extxyz.gz") for p in (gap, potential))
    assert errors.force.mae < 0.9 * of_splines.force.mae
    assert errors.energy.mae < 0.7 * of_splines.energy.mae
    assert 0.7 < errors.calibration["force"].z_rms < 1.4


def test_a_gap_tells_what_it_has_never_seen(gap):
    crystals = bulk("Si", "diamond", a=5.46, cubic=True), bulk("Si", "sc", a=2.53), bulk("Si", "bcc", a=3.09)
    diamond, simple, bcc = (sure.grade_n.max() for sure in gap.uncertainty(crystals))
    assert diamond < 0.5 < 1.0 < min(simple, bcc)


def test_the_page_on_predicting_says_what_is_so(tmp_path):
    pytest.importorskip("torch")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"PATH": path}
    said = []
    for language, code in BLOCK.findall((ROOT / "docs" / "tutorials" / "predict.md").read_text(encoding="utf-8")):
        command = ["bash", "-ec", code] if language == "bash" else [sys.executable, "-c", code]
        done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    _, trained, _, _, _, predicted, rewritten = said
    errors = [float(value) for value in re.findall(r"validation: shortest_distance ([\d.]+)", trained)]
    assert len(errors) == 6
    assert errors[-1] < 0.6 * errors[0]
    rows = {line.split()[0]: line for line in predicted.splitlines()}
    assert abs(float(rows["salt.cif"].split()[2]) - 2.82) < 0.1
    assert "unusual" in rows["fluorite.cif"]
    assert "refused: caesium.cif: the model was never trained on Cs" in predicted
    one, other = rewritten.splitlines()
    assert one == other
