"""`lodewell.test`: errors against NumPy on everything at once, error bars against errors of known size."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import lodewell
from lodewell import LennardJones, Morse
from lodewell.cli import app
from lodewell.crystals.batch import Batch
from lodewell.crystals.labels.read import Labelled
from lodewell.errors import BadFile
from lodewell.judge.test.nearest import nearest_n
from lodewell.judge.test.tally import CalibrationTally, Sample
from lodewell.potentials.base import Uncertainty

NUMBERS = {"Cu-Cu": (0.3429, 1.3588, 2.866), "Cu-O": (0.5, 1.6, 1.95), "O-O": (0.2, 1.7, 2.4)}
SCATTER = 0.05  # eV/Å, of made-up forces


@pytest.fixture(scope="module")
def potential():
    return Morse(NUMBERS, cutoff=6.0, switch=2.0)


def frames_of(potential, count=30, seed=0, scatter=SCATTER):
    """Rattled crystals whose labels are those of the potential with known errors."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        atoms = bulk("Cu", "fcc", a=3.6) * (2, 2, 1 + k % 3)
        if k % 2:
            atoms.symbols[0] = "O"
        atoms.rattle(0.1, seed=k)
        r = potential.evaluate(atoms)[0]
        out.append(
            Labelled(
                atoms, r.energy + len(atoms) * (0.3 + rng.normal(0, 0.01)),
                r.forces_nc + rng.normal(0, scatter, r.forces_nc.shape),
                None if k % 5 == 0 else r.stress_cc - 0.01 * np.eye(3), ("bulk", "", "hot")[k % 3],
                file="made-up", frame=k,
            )
        )  # fmt: skip
    return out


def test_errors_are_those_of_numpy_on_everything_at_once(potential):
    frames = frames_of(potential, 60)
    found = lodewell.test(potential, frames)
    results = potential.evaluate([f.atoms for f in frames])

    def force_errors(which):
        return np.concatenate([r.forces_nc - f.forces_nc for r, f in zip(results, frames, strict=True) if which(f)])

    energy = np.array([(r.energy - f.energy) / len(f.atoms) for r, f in zip(results, frames, strict=True)])
    assert found.energy.mae == pytest.approx(np.abs(energy).mean())
    assert found.energy.rmse == pytest.approx(np.sqrt((energy**2).mean()))
    assert found.energy.shift == pytest.approx(-0.3, abs=0.005)
    assert found.energy.rmse_shifted == pytest.approx(energy.std())
    assert found.energy.largest == pytest.approx(np.abs(energy).max())
    for name, group in {"all": found.overall, **found.by_config_type}.items():
        error = force_errors(lambda f, n=name: n in ("all", f.config_type) or (n, f.config_type) == ("(none)", ""))
        assert group.force.mae == pytest.approx(np.abs(error).mean())
        assert group.force.rmse == pytest.approx(np.sqrt((error**2).mean()))
        assert group.vector.mae == pytest.approx(np.linalg.norm(error, axis=1).mean())
        assert group.atoms * 3 == group.force.count == error.size
    assert set(found.by_config_type) == {"(none)", "bulk", "hot"}
    assert set(found.by_element) == {"Cu", "O"}
    counted = {name: e.count for name, e in found.by_element.items()}
    assert counted["O"] == 3 * 30
    assert sum(counted.values()) == found.force.count
    assert found.stress.count == 6 * 48
    assert found.stress.mae == pytest.approx(0.005)  # 0.01 on three of six components
    assert found.overall.pressure.shift == pytest.approx(-0.01)
    assert found.refused == ()


def test_what_cannot_be_compared_costs_a_row(potential):
    frames = frames_of(potential, 6)
    gold = bulk("Au")
    close = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.05]], cell=[4, 4, 4], pbc=True)
    bad = [Labelled(gold, -3.0, None, None, file="x", frame=7), Labelled(close, -1.0, None, None),
           Labelled(bulk("Cu"), None, None, None)]  # fmt: skip

    class Moody(Morse):
        """It fails whenever it is shown frame 2, alone or among others."""

        def evaluate(self, crystals):
            if any(
                len(a) == len(frames[2].atoms) and np.allclose(a.positions, frames[2].atoms.positions) for a in crystals
            ):
                raise ZeroDivisionError("not this one")
            return super().evaluate(crystals)

    found = lodewell.test(Moody(NUMBERS, cutoff=6.0, switch=2.0), [*bad, *frames])
    assert found.overall.frames == 5
    whys = [r.why for r in found.refused]
    assert [r.frame for r in found.refused] == [7, 0, 0, 2]
    for why, text in zip(
        whys, ("no curve for Au", "coincide", "neither energy nor forces", "not this one"), strict=True
    ):
        assert text in why
    with pytest.raises(BadFile, match="no frame could be compared; the first: x, frame 7"):
        lodewell.test(potential, bad)
    with pytest.raises(BadFile, match="crystal 0: no energy, forces or stress"):
        lodewell.test(potential, [bulk("Cu")])


class Confident(Morse):
    """A potential that says how far off it is: rightly when `share` is one."""

    share = 1.0

    def uncertainty(self, crystals):
        out = []
        for atoms in crystals:
            n = len(atoms)
            grade = np.where(np.arange(n) == 0, 2.0, 0.5)
            out.append(Uncertainty(n * 0.3, np.full((n, 3), self.share * SCATTER), np.full((3, 3), 0.005), grade))
        return out


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_error_bars(share):
    potential = Confident(NUMBERS, cutoff=6.0, switch=2.0)
    potential.share = share
    found = lodewell.test(potential, frames_of(potential, 90))
    bars = found.calibration["force"]
    assert bars.count == found.force.count
    assert bars.z_rms == pytest.approx(1 / share, rel=0.03)
    from scipy.stats import norm

    assert bars.within(1.0) == pytest.approx(2 * norm.cdf(share) - 1, abs=0.02)
    assert bars.within(2.0) == pytest.approx(2 * norm.cdf(2 * share) - 1, abs=0.02)
    expected = 2 * norm.cdf(share * norm.ppf(0.5 + 0.5 * bars.expected_q)) - 1
    np.testing.assert_allclose(bars.observed_q, expected, atol=0.03)
    assert found.extrapolated["above 1"].count == 3 * 90
    assert found.json()["uncertainty"]["force"]["z_rms"] == pytest.approx(bars.z_rms)
    assert not lodewell.test(potential, frames_of(potential, 3), uncertainty=False).calibration


def test_deviations_that_are_rounding_say_nothing():
    tally = CalibrationTally(1e-5)
    tally.add([1e-3, 0.1, np.nan], [1e-16, 0.1, np.nan])
    assert (tally.calibration().count, tally.calibration().z_rms) == (1, pytest.approx(1.0))
    assert CalibrationTally(0.0).calibration() is None


def test_samples_are_bounded_and_fair():
    sample = Sample(1, 500, np.random.default_rng(1))
    for begin in range(0, 20_000, 37):
        sample.add(np.arange(begin, min(begin + 37, 20_000), dtype=float)[:, None])
    rows = sample.rows()[:, 0]
    assert len(rows) == len(set(rows)) == 500
    assert rows.mean() == pytest.approx(10_000, abs=4 * 20_000 / np.sqrt(12 * 500))
    assert len(Sample(2, 0, np.random.default_rng(1)).rows()) == 0


def nearest_by_hand(atoms, reach):
    cell, pbc = atoms.cell.array, atoms.pbc
    many = [range(-4, 5) if p else range(1) for p in pbc]
    shifts = np.array([(a, b, c) for a in many[0] for b in many[1] for c in many[2]]) @ cell
    d = atoms.positions[None, :, None] + shifts[None, None] - atoms.positions[:, None, None]
    r = np.linalg.norm(d, axis=-1)
    r[r < 1e-9] = np.inf
    near = r.min(axis=(1, 2))
    return np.where(near < reach, near, np.inf)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_nearest_distances_are_those_of_all_images(seed, count):
    rng = np.random.default_rng(seed)
    cell = 4.0 * (np.eye(3) + 0.3 * rng.uniform(-1, 1, (3, 3)))
    pbc = rng.integers(0, 2, 3).astype(bool)
    crystals = [Atoms("H" * count, scaled_positions=rng.uniform(size=(count, 3)), cell=cell, pbc=pbc) for _ in range(2)]
    for atoms in crystals:
        atoms.wrap()
    expected = np.concatenate([nearest_by_hand(a, 4.0) for a in crystals])
    np.testing.assert_allclose(nearest_n(Batch.from_atoms(crystals), 4.0), expected, rtol=1e-12)


@pytest.fixture
def files(potential, tmp_path, monkeypatch):
    """A potential, labelled crystals, and crystals of an element that it does not know."""
    monkeypatch.chdir(tmp_path)
    potential.save("copper")
    out = []
    for f in frames_of(potential, 12):
        atoms = f.atoms.copy()
        atoms.info |= {"REF_energy": f.energy, "config_type": f.config_type or "other"}
        if f.stress_cc is not None:
            atoms.info["REF_stress"] = f.stress_cc.ravel()
        atoms.arrays["REF_forces"] = f.forces_nc - f.forces_nc.mean(axis=0)
        out.append(atoms)
    write("good.extxyz", out)
    gold = bulk("Au") * (2, 1, 1)
    gold.info["REF_energy"] = -6.0
    gold.arrays["REF_forces"] = np.zeros((2, 3))
    write("gold.extxyz", [gold, gold])
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


def test_json_has_the_promised_keys(files):
    shown = run("test", "copper.lodewell", "good.extxyz", "gold.extxyz", "--json")
    assert shown.exit_code == 0
    found = json.loads(shown.stdout)
    for kind, unit in (("energy", "eV/atom"), ("force", "eV/Å"), ("stress", "eV/Å^3")):
        for group in (found, *found["by_config_type"].values()):
            assert group[kind]["unit"] == unit
            assert group[kind]["rmse"] >= group[kind]["mae"] > 0.0
    assert set(found["by_config_type"]) == {"bulk", "hot", "other"}
    assert [(r["file"], r["frame"]) for r in found["refused"]] == [("gold.extxyz", 0), ("gold.extxyz", 1)]


def test_table_figure_and_refusals(files):
    shown = run("test", "copper.lodewell", "good.extxyz", "gold.extxyz", "--figure", "errors.svg")
    assert shown.exit_code == 0
    for text in ("meV/atom", "GPa", "hot", "12", "energies are off by",
                 "gold.extxyz, frames 0, 1: this potential has no curve for Au", "force MAE by element"):  # fmt: skip
        assert text in shown.stdout
    drawn = (files / "errors.svg").read_text()
    for text in ("predicted − shift (eV/atom)", "reference (eV/Å)", "reference (GPa)", "nearest neighbour (Å)",
                 "Distribution of force errors", "shortest distance in the frame (Å)"):  # fmt: skip
        assert text in drawn
    for words, text in (
        (("test", "nothing", "good.extxyz"), "no potential 'nothing'"),
        (("test", "copper.lodewell", "nowhere"), "nowhere"),
        (("test", "copper.lodewell", "gold.extxyz"), "no frame could be compared"),
        (("test", "copper.lodewell", "good.extxyz", "--figure", "errors.docx"), "figures are written as"),
    ):
        refused = run(*words)
        assert refused.exit_code == 2
        assert len(refused.stderr.strip().splitlines()) == 1
        assert text in refused.stderr


def test_figure_of_error_bars_and_of_little(tmp_path):
    potential = Confident(NUMBERS, cutoff=6.0, switch=2.0)
    lodewell.test(potential, frames_of(potential, 40)).figure(tmp_path / "bars.svg")
    drawn = (tmp_path / "bars.svg").read_text()
    assert "Error bars" in drawn
    assert "bars too short" in drawn
    assert "no config_type" in drawn
    energies = [Labelled(f.atoms, f.energy, None, None) for f in frames_of(potential, 2)]
    lodewell.test(LennardJones({"Cu-Cu": (0.4, 2.3), "Cu-O": (0.1, 2.0)}, cutoff=5.0), energies).figure(
        tmp_path / "few.svg"
    )
    drawn = (tmp_path / "few.svg").read_text()
    assert "the data have no stress" in drawn
    assert "the data have no force" in drawn


def test_pytest_does_not_take_the_verb_for_a_test():
    assert lodewell.test.__test__ is False
