"""Fitting spline MEAMs: derivatives, linear solves, recovery of a known potential, interruption, beginnings, walls."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from lodewell import ZBL, Batch, LennardJones
from lodewell.crystals.labels.read import Labelled
from lodewell.errors import BadOption, LodewellError
from lodewell.fit.data import DEVIATORIC
from lodewell.fit.meam.descent import Goal, descend, look, placed
from lodewell.fit.meam.model import Layout, coefficients_of, from_potential, spline_of, to_potential
from lodewell.fit.meam.options import MEAMOptions
from lodewell.fit.meam.rows import normal_equations, targets
from lodewell.fit.meam.run import fit_meam, fit_meam_files
from lodewell.fit.meam.search import rounds
from lodewell.fit.meam.start import random_start
from lodewell.fit.meam.wall import walled
from lodewell.fit.run import fit_to
from lodewell.potentials.meam.meam import MEAM
from lodewell.potentials.store import load, read_header
from tests.potentials.made_up_meam import made_up_meam

TRUE = made_up_meam("Si", seed=11)
QUICK = MEAMOptions(
    cutoff=5.0, angular_cutoff=4.0, knots=8, restarts=4, members=2, most_steps=40, tolerance=1e-3, wall="none"
)


def layout_of(*symbols: str, knots: int = 6) -> Layout:
    pairs = [f"{a}-{b}" for k, a in enumerate(symbols) for b in symbols[k:]]
    low = {("phi", p): 1.5 for p in pairs} | {(role, s): 1.6 for role in ("rho", "f") for s in symbols}
    counts = dict.fromkeys(("phi", "rho", "u", "f", "g"), knots)
    return Layout(symbols, counts, low, 4.6, 3.9, np.tile([-0.6, 0.9], (len(symbols), 1)))


def frames_of(potential: MEAM, count: int, seed: int = 0, stress: bool = True) -> list[Labelled]:
    """Rattled, strained crystals of several lattices, labelled by a potential."""
    rng = np.random.default_rng(seed)
    symbols = potential.symbols
    out = []
    for k in range(count):
        lattice, edge = (("diamond", 5.4), ("fcc", 4.2), ("bcc", 3.4), ("sc", 2.7))[k % 4]
        atoms = bulk("Si", lattice, a=edge * rng.uniform(0.95, 1.1), cubic=True)
        atoms *= {8: (1, 1, 1), 4: (2, 1, 1), 2: (2, 2, 1), 1: (2, 2, 2)}[len(atoms)]
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.03, (3, 3))), scale_atoms=True)
        atoms.symbols = [symbols[n % len(symbols)] for n in range(len(atoms))]
        atoms.positions += rng.normal(0, 0.12, atoms.positions.shape)
        (r,) = potential.evaluate(atoms)
        out.append(Labelled(atoms, r.energy, r.forces_nc, r.stress_cc if stress else None))
    return out


def packed(frames, layout, stress_rows=None, references=None):
    rows = np.eye(6) if stress_rows is None else stress_rows
    lone = references or (lambda numbers: 0.0)
    return targets(frames, layout.symbols, layout.cutoff, lone, rows, lambda frame: frame.weight)


def written(frames: list[Labelled], path: Path) -> Path:
    """Write frames with their labels, as people do."""
    images = []
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.info["REF_energy"] = frame.energy
        if frame.forces_nc is not None:
            atoms.arrays["REF_forces"] = frame.forces_nc
        if frame.stress_cc is not None:
            atoms.info["REF_stress"] = frame.stress_cc.ravel()
        images.append(atoms)
    ase.io.write(path, images, format="extxyz")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return written(frames_of(TRUE, 24), tmp_path_factory.mktemp("meam") / "train.extxyz")


def test_coefficients_are_the_spline():
    x_k = np.linspace(1.3, 4.9, 7)
    spline = replace(made_up_meam("Si").phi["Si-Si"], x_k=x_k, y_k=np.cos(x_k))
    again = spline_of(coefficients_of(spline), 1.3, 4.9)
    x = np.linspace(0.5, 6.0, 101)
    assert again(x)[0] == pytest.approx(spline(x)[0], abs=1e-12)


def test_potentials_and_coefficients_go_to_and_fro():
    layout = layout_of("O", "Ti")
    x_c = layout.free_cp @ np.random.default_rng(0).normal(size=layout.free_cp.shape[1])
    potential = to_potential(layout, x_c, {"O": -3.0, "Ti": -5.0})
    assert from_potential(layout, potential, {"O": -3.0, "Ti": -5.0}) == pytest.approx(x_c, abs=1e-10)
    for role in ("phi", "rho", "f"):
        for spline in getattr(potential, role).values():
            assert spline.end == spline.x_k[-1]  # value and slope vanish at the cutoff


@pytest.mark.parametrize("symbols", [("Si",), ("O", "Ti")])
def test_the_jacobian_is_the_finite_difference(symbols):
    """Through the normal equations of single directions, which hold every column of J."""
    layout = layout_of(*symbols)
    rng = np.random.default_rng(1)
    free = layout.free_cp
    here = rng.normal(0, 0.3, free.shape[1])
    frames = frames_of(made_up_meam(*symbols, seed=2), 4)
    data = packed(frames, layout)
    normal = normal_equations(data, layout, free @ here)
    step = 1e-5

    def residuals(shift):
        return data.of(to_potential(layout, free @ (here + shift), {}))[0]

    at = residuals(np.zeros(len(here)))
    assert normal.squares_k == pytest.approx(data.squares(at), rel=1e-10)
    columns = []
    for p in range(len(here)):
        shift = np.zeros(len(here))
        shift[p] = step
        plus, minus = residuals(shift), residuals(-shift)
        columns.append([(a - b) / (2 * step) for a, b in zip(plus, minus, strict=True)])
    for kind in range(3):
        j_rp = np.array([c[kind].ravel() for c in columns]).T
        r_r = at[kind].ravel()
        scale = np.abs(j_rp.T @ j_rp).max() / len(r_r)
        assert normal.matrix_kpp[kind] == pytest.approx(j_rp.T @ j_rp / len(r_r), abs=1e-6 * scale)
        assert normal.right_kp[kind] == pytest.approx(j_rp.T @ r_r / len(r_r), abs=1e-6 * np.abs(j_rp.T @ r_r).max())
    part = normal_equations(data, layout, free @ here, nonlinear=False)
    count = layout.linear_free
    assert part.matrix_kpp[:, :count, :count] == pytest.approx(normal.matrix_kpp[:, :count, :count], rel=1e-12)


def test_labels_that_are_missing_are_left_out():
    layout = layout_of("Si")
    frames = frames_of(TRUE, 4)
    frames[0] = replace(frames[0], forces_nc=None)
    frames[1] = replace(frames[1], energy=None)
    frames[2] = replace(frames[2], stress_cc=None)
    x_c = layout.free_cp @ np.random.default_rng(3).normal(size=layout.free_cp.shape[1])
    data = packed(frames, layout)
    normal = normal_equations(data, layout, x_c)
    found = data.of(to_potential(layout, x_c, {}))[0]
    assert [int(np.isfinite(r).sum()) for r in found] == [3, 3 * 24, 18]
    assert normal.squares_k == pytest.approx(data.squares(found), rel=1e-10)


def test_a_constant_pressure_does_not_matter_to_deviatoric_stress():
    layout = layout_of("Si")
    frames = frames_of(TRUE, 4)
    shifted = [replace(f, stress_cc=f.stress_cc + 0.07 * np.eye(3)) for f in frames]
    x_c = layout.free_cp @ np.random.default_rng(4).normal(size=layout.free_cp.shape[1])
    one, two = (normal_equations(packed(f, layout, DEVIATORIC), layout, x_c) for f in (frames, shifted))
    assert one.squares_k[2] > 0.0
    assert two.squares_k == pytest.approx(one.squares_k, rel=1e-9)
    full, moved = (normal_equations(packed(f, layout), layout, x_c).squares_k[2] for f in (frames, shifted))
    assert moved != pytest.approx(full, rel=0.01)


def test_the_linear_solve_leaves_no_slope_in_phi_and_u_and_a_descent_goes_down():
    layout, goal = layout_of("Si"), Goal(np.array([600.0, 1.0, 900.0]), 1e-8)
    data = packed(frames_of(TRUE, 8), layout)
    start = random_start(data, goal, layout, np.zeros(layout.size), np.random.default_rng(5))
    normal = normal_equations(data, start.layout, start.x_c)
    slope = goal.weights_k @ normal.right_kp
    count = layout.linear_free
    assert np.abs(slope[:count]).max() < 1e-5 * np.abs(slope[count:]).max()
    seen = []
    end = descend(data, goal, start, 25, 1e-4, lambda point: seen.append(point.value))
    assert end.value < 0.7 * start.value
    assert (np.diff(seen) <= 0.0).all()
    assert seen[-1] == end.value
    assert look(data, goal, end.layout, end.x_c).value == pytest.approx(end.value, rel=1e-10)


def test_knots_of_u_stay_where_the_data_are():
    rng = np.array([[0.0, 0.1, 0.9, 1.0]])  # least, near the low end, near the high end, largest
    assert placed(np.array([[0.05, 0.95]]), rng) == pytest.approx(np.array([[0.05, 0.95]]))
    assert placed(np.array([[-0.5, 0.95]]), rng)[0, 0] == 0.0
    assert placed(np.array([[0.4, 0.95]]), rng)[0] == pytest.approx([0.05, 0.95])
    assert placed(np.array([[0.05, 0.5]]), rng)[0] == pytest.approx([0.05, 0.95])
    low, high = placed(np.array([[2.0, 2.0]]), np.full((1, 4), 2.0))[0]
    assert low < high  # all atoms alike


def test_a_known_potential_is_found_again(data):
    options = replace(QUICK, restarts=8, most_steps=150, tolerance=1e-4)
    potential = fit_meam(data, options)
    errors, labels = [], []
    for frame, result in zip(fresh := frames_of(TRUE, 12, seed=9), potential.evaluate([f.atoms for f in fresh]),
                             strict=True):  # fmt: skip
        errors.append((result.forces_nc - frame.forces_nc).ravel())
        labels.append(frame.forces_nc.ravel())
        assert abs(result.energy - frame.energy) / len(frame.atoms) < 0.02
    assert np.std(np.concatenate(errors)) < 0.05 * np.std(np.concatenate(labels))
    n_n = potential.densities(Batch.from_atoms([f.atoms for f in frames_of(TRUE, 24)]))
    slack = 0.05 * float(np.ptp(n_n))
    u = potential.u["Si"]
    assert n_n.min() - slack <= u.x_k[0] < u.x_k[-1] <= n_n.max() + slack
    assert potential.coverage.density_range["Si"] == pytest.approx((n_n.min(), n_n.max()), abs=1e-6)
    assert potential.uncertain


def test_two_elements_one_of_which_has_a_given_energy(tmp_path):
    true = made_up_meam("O", "Ti", seed=12)
    path = written(frames_of(true, 16, stress=False), tmp_path / "train.extxyz")
    options = replace(QUICK, restarts=2, members=1, knots=6, reference_energies={"O": -1.5, "Ti": 0.0})
    fitted = fit_to(fit_meam_files, "meam", path, options)
    potential = fitted.potential
    assert potential.symbols == ("O", "Ti")
    assert potential.reference == {"O": -1.5, "Ti": 0.0}
    assert fitted.facts["training_errors"].keys() == {"energy", "force"}
    assert not potential.uncertain
    force = fitted.facts["training_errors"]["force"]["rmse"]
    labels = np.concatenate([f.forces_nc for f in frames_of(true, 16)])
    assert force < 0.3 * np.sqrt(np.mean(labels**2))


class Enough(Exception):
    """Stands for a crash."""


def test_an_interrupted_fit_leaves_the_best_so_far_and_goes_on(data, tmp_path):
    whole = fit_to(fit_meam_files, "meam", data, QUICK)
    out = tmp_path / "part.lodewell"
    told: list[int] = []

    def interrupt(stage: str, done: int = 0, total: int | None = None) -> None:
        if stage.startswith("round"):
            told.append(done)
            if done == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_to(fit_meam_files, "meam", data, QUICK, out=out, progress=interrupt)
    assert max(told) == 6
    assert read_header(out)["about"]["interrupted"] is True
    early = load(out)
    frames = frames_of(TRUE, 8, seed=10)
    assert np.isfinite(early.evaluate(frames[0].atoms)[0].energy)
    assert (tmp_path / "part.lodewell.partial").exists()
    steps: list[str] = []
    again = fit_to(
        fit_meam_files, "meam", data, QUICK, out=out, progress=lambda stage, done=0, total=None: steps.append(stage)
    )
    assert not (tmp_path / "part.lodewell.partial").exists()
    assert again.facts["members"] == whole.facts["members"]
    one, two = (p.potential.evaluate(frames[0].atoms)[0] for p in (again, whole))
    assert one.energy == two.energy


def test_ctrl_c_in_the_command_leaves_a_valid_file_and_the_rerun_resumes(data, tmp_path):
    out = tmp_path / "si.lodewell"
    command = [
        *(sys.executable, "-m", "lodewell.cli", "fit", "meam", "--train", str(data), "--out", str(out)),
        *("--workers", "1", "--cutoff", "5", "--angular-cutoff", "4", "--members", "1"),
    ]
    running = subprocess.Popen(
        [*command, "--restarts", "400"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    partial = tmp_path / "si.lodewell.partial"
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and not _finished_tasks(partial):
            assert running.poll() is None, running.communicate()
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130, errors
    assert "interrupted" in errors
    assert isinstance(load(out), MEAM)
    finished = _finished_tasks(partial)
    assert 0 < finished < 400
    # The same command, stopped again: what was finished has stayed, and more has come.
    again = subprocess.Popen([*command, "--restarts", "400"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and _finished_tasks(partial) <= finished:
            assert again.poll() is None, again.communicate()
            time.sleep(0.1)
        again.send_signal(signal.SIGINT)
        _, errors = again.communicate(timeout=60)
        assert again.returncode == 130, errors
    finally:
        again.kill()
    assert _finished_tasks(partial) > finished


def _finished_tasks(partial: Path) -> int:
    import sqlite3

    if not partial.exists():
        return 0
    with sqlite3.connect(partial, timeout=10) as database:
        try:
            return int(database.execute("SELECT count(*) FROM chunks").fetchone()[0])
        except sqlite3.OperationalError:  # not yet laid out
            return 0


def test_workers_give_the_same_fit(data, tmp_path):
    options = replace(QUICK, restarts=3, members=1, most_steps=15)
    one, two = (fit_to(fit_meam_files, "meam", data, options, out=tmp_path / f"{n}", workers=n) for n in (1, 2))
    assert two.facts["members"] == pytest.approx(one.facts["members"], rel=1e-6)


def test_a_fit_begins_with_a_meam_or_with_pair_curves(data, tmp_path):
    options = replace(QUICK, restarts=1, members=1, most_steps=10, wall="zbl")
    cold = fit_to(fit_meam_files, "meam", data, options)
    start = replace(options, start=str(cold.potential.save(tmp_path / "cold")), most_steps=10)
    warm = fit_to(fit_meam_files, "meam", data, start)
    assert warm.facts["error_eV_per_A"] < cold.facts["error_eV_per_A"]
    lj = LennardJones({"Si-Si": (0.1, 2.3)}, cutoff=6.0).save(tmp_path / "lj")
    pairs = fit_to(fit_meam_files, "meam", data, replace(options, start=str(lj)))
    assert pairs.facts["error_eV_per_A"] == pytest.approx(cold.facts["error_eV_per_A"], rel=0.2)
    ar = LennardJones({"Ar-Ar": (0.1, 3.4)}, cutoff=6.0).save(tmp_path / "ar")
    with pytest.raises(BadOption, match=r"--start .*no curve for Si"):
        fit_meam(data, replace(options, start=str(ar)))


def test_evolution_betters_its_beginning_and_says_when_it_is_not_there(data, monkeypatch):
    pytest.importorskip("cma")
    options = replace(QUICK, restarts=1, members=1, most_steps=1, knots=4, search="cma-es")
    evolved = fit_to(fit_meam_files, "meam", data, options)
    drawn = fit_to(fit_meam_files, "meam", data, replace(options, search="random"))
    assert evolved.facts["error_eV_per_A"] < drawn.facts["error_eV_per_A"]
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(LodewellError, match=r"pip install 'lodewell\[fit\]'"):
        fit_meam(data, options)


def test_the_wall_repels_and_changes_nothing_where_data_are():
    before = made_up_meam("O", "Ti", seed=3)
    after = walled(before)
    for pair, spline in before.phi.items():
        r = np.linspace(spline.x_k[0], 5.0, 301)
        assert after.phi[pair](r)[0] == pytest.approx(spline(r)[0], abs=1e-10)
        assert after.phi[pair](r)[1] == pytest.approx(spline(r)[1], abs=1e-9)
        close = np.linspace(0.45, spline.x_k[0] - 0.05, 60)
        u, slope = after.phi[pair](close)
        assert (slope < 0.0).all()
        nuclei = ZBL(cutoff=9.0, switch=0.0).curve(pair, close)[0]
        assert u[0] > 0.3 * nuclei[0]
    assert after.u == before.u


def test_an_element_pair_without_data_is_named(tmp_path):
    true = made_up_meam("O", "Ti", seed=12)
    frames = frames_of(made_up_meam("Ti", seed=1), 6, stress=False)
    for frame in frames[:3]:  # oxygen far from everything
        frame.atoms.append("O")
        frame.atoms.set_cell(frame.atoms.cell.array + np.diag([14.0, 14.0, 14.0]))
        frame.atoms.positions[-1] = frame.atoms.cell.array.sum(axis=0) * 0.7
    relabelled = []
    for frame in frames:
        (r,) = true.evaluate(frame.atoms)
        relabelled.append(Labelled(frame.atoms, r.energy, r.forces_nc, None))
    path = written(relabelled, tmp_path / "train.extxyz")
    options = replace(QUICK, restarts=1, members=1, most_steps=5)
    notes = fit_to(fit_meam_files, "meam", path, options).notes
    assert any(note.startswith("O–Ti has no data within 5.00 Å") for note in notes)


def test_the_plan_ends_with_the_members():
    plan = rounds(MEAMOptions(restarts=24, members=4, most_steps=40))
    assert [r.keep for r in plan] == [24, 12, 8, 4, 4]
    assert [r.whole for r in plan] == [False, False, True, True, True]
    assert sum(r.steps for r in plan if r.whole) == 40


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"knots": 3}, "knots must be from 4"),
        ({"cutoff": 4.0, "angular_cutoff": 5.0}, "cannot exceed the cutoff"),
        ({"members": 9, "restarts": 5}, "members must be from 1 to the number of restarts"),
        ({"tolerance": 0.0}, "tolerance is a share"),
        ({"energy_weight": 0.0, "force_weight": 0.0, "stress_weight": 0.0}, "all weights are zero"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(BadOption, match=message):
        MEAMOptions(**wrong)


def test_an_angular_cutoff_inside_the_atoms_is_refused(data):
    options = replace(QUICK, angular_cutoff=2.0)
    with pytest.raises(BadOption, match="--angular-cutoff"):
        fit_meam(data, options)


def test_lone_atoms_are_data_like_others(tmp_path):
    frames = [*frames_of(TRUE, 8, stress=False), Labelled(Atoms("Si"), -1.5, np.zeros((1, 3)), None)]
    path = written(frames, tmp_path / "train.extxyz")
    options = replace(QUICK, restarts=1, members=1, most_steps=30)
    potential = fit_meam(path, options)
    assert potential.evaluate(Atoms("Si"))[0].energy == pytest.approx(-1.5, abs=0.3)
