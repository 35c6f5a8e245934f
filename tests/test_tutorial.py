"""The tutorial from DFT frames to a LAMMPS run: its data, its fit, and its LAMMPS script, run by LAMMPS."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import lodewell
from tests.interop.test_lammps import lammps_module

FRAMES = Path(__file__).parents[1] / "examples" / "silicon-frames"


@pytest.fixture(scope="module")
def potential() -> lodewell.UF:
    options = lodewell.UFOptions(intervals_3body=6)
    return lodewell.fit_uf(lodewell.LabelledSource(FRAMES / "train.extxyz.gz", options), options)


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
