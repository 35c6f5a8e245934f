"""GAP fits: the equations against a dense textbook solve, what is chosen, resuming, extending, bad input."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

import lodewell
from lodewell.errors import BadFile, BadOption
from lodewell.fit.data import LabelledData
from lodewell.fit.distances import Distances
from lodewell.fit.gap import stream as gap_stream
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.points import Sample
from lodewell.fit.gap.run import fit_gap_files
from lodewell.fit.gap.space import lay_out
from lodewell.fit.linear.evidence import Products, maximise
from lodewell.fit.linear.least_squares import LinearSystem
from lodewell.fit.run import fit_to
from lodewell.fit.walls import repulsion
from lodewell.potentials.gap.design import Design
from lodewell.potentials.gap.gap import GAP

FRAMES = Path(__file__).parents[2] / "examples" / "silicon-frames"
SMALL = GAPOptions(
    points=40, cutoff=4.0, n_max=4, l_max=3, atom_sigma=0.5, cutoff_2body=4.0, points_2body=8, length_2body=1.0,
    energy_sigma=0.002, force_sigma=0.1, virial_sigma=0.05, delta=2.0, delta_2body=5.0,
)  # fmt: skip
OPEN = replace(SMALL, energy_sigma=None, force_sigma=None, virial_sigma=None, delta=0.0, delta_2body=0.0)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Some small frames of the example: strained crystals and vacancies, surfaces, melts."""
    found = read(FRAMES / "train.extxyz.gz", ":")
    kept = [a for k, a in enumerate(found) if k % 2 == 0]
    path = tmp_path_factory.mktemp("silicon") / "train.extxyz"
    write(path, kept, format="extxyz")
    return path


def source(path, options=SMALL, **how):
    return LabelledData([path], options, **how)


@pytest.fixture(scope="module")
def fitted(frames, tmp_path_factory):
    out = tmp_path_factory.mktemp("gap") / "si.lodewell"
    found = fit_to(fit_gap_files, "gap", frames, replace(SMALL, keep_rows=True), out=out)
    found.potential.save(out)
    return out, found


def test_the_weights_solve_the_stacked_least_squares_of_the_method(frames, fitted):
    """Written out: rows over σ, the root of K_MM + jitter below them, LAPACK's least squares."""
    gap = fitted[1].potential
    design = Design(gap.kernels)
    e0 = gap.energies[14]
    rows, right = [], []
    for frame in source(frames):
        r, n = design.rows(frame.atoms), len(frame.atoms)
        rows.append(r.energies_nm.sum(axis=0)[None] / (0.002 * np.sqrt(n)))
        below = gap.baseline.evaluate(frame.atoms)[0]
        right.append([(frame.energy - n * e0 - below.energy) / (0.002 * np.sqrt(n))])
        rows.append(r.forces_ncm.reshape(3 * n, -1) / 0.1)
        right.append((frame.forces_nc - below.forces_nc).ravel() / 0.1)
        v = (-frame.stress_cc * frame.atoms.get_volume() - below.virial_cc) / (0.05 * np.sqrt(n))
        for x, y in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
            both = 0.5 * (r.virials_bccm[0, x, y] + r.virials_bccm[0, y, x])
            rows.append(both[None] / (0.05 * np.sqrt(n)))
            right.append([v[x, y]])
    for root, m in zip(design.roots, design.slices(), strict=True):
        padded = np.zeros((len(root), design.columns))
        padded[:, m] = root
        rows.append(padded)
        right.append(np.zeros(len(root)))
    a, b = np.concatenate(rows), np.concatenate(right)
    alpha = np.linalg.lstsq(a, b, rcond=None)[0]
    # Weights of points that are nearly alike trade with each other; what they say together does not.
    mine, dense = a @ gap.weights_m, a @ alpha
    np.testing.assert_allclose(mine, dense, atol=1e-6 * np.abs(b).max())


def test_held_out_frames_are_predicted_and_error_bars_are_right(fitted):
    errors = lodewell.test(fitted[1].potential, [FRAMES / "test.extxyz.gz"]).json()
    assert errors["force"]["mae"] < 0.25  # 0.88 eV/Å if there were no potential
    assert errors["energy"]["mae"] < 0.02
    assert 0.5 < errors["uncertainty"]["force"]["z_rms"] < 1.6
    far = bulk("Si", "fcc", a=3.0, cubic=True)
    near = bulk("Si", cubic=True)
    gap = fitted[1].potential
    assert gap.atomic_deviations(far)[0].min() > 3 * gap.atomic_deviations(near)[0].max()
    assert gap.uncertainty(far)[0].grade_n.max() > 1.0 > gap.uncertainty(near)[0].grade_n.max()


def test_what_is_left_open_is_chosen_and_explained(frames):
    found = fit_to(fit_gap_files, "gap", frames, replace(OPEN, atom_sigma=0.0))
    assert found.facts["sigmas"]
    assert all(sigma > 0.0 for sigma in found.facts["sigmas"].values())
    assert any("width of the atoms" in note and "likelihood" in note for note in found.notes)
    assert {"energy", "force", "stress"} <= set(found.facts["held_out_rmse"])
    for term in found.potential.terms:
        assert term.delta != 1.0


def test_sigmas_by_config_type_frame_and_component_are_as_good_as_written_out(frames, tmp_path):
    """Half of σ for everything, said in four ways, gives the same potential."""
    half = replace(SMALL, energy_sigma=0.001, force_sigma=0.05, virial_sigma=0.025, uncertainty=False)
    truth = fit_to(fit_gap_files, "gap", frames, half).potential
    kinds = [kind for kind in source(frames).survey.config_types if kind]
    by_kind = replace(SMALL, config_sigmas=dict.fromkeys(kinds, "0.001:0.05:0.025"), uncertainty=False)
    marked = read(frames, ":")
    for k, atoms in enumerate(marked):
        atoms.info |= {"energy_sigma": 0.001 * len(atoms), "virial_sigma": 0.025 * np.sqrt(len(atoms))}
        atoms.info["energy_sigma"] = 0.001 * np.sqrt(len(atoms))
        if k % 2:
            atoms.info["force_sigma"] = 0.05
        else:
            atoms.arrays["force_component_sigma"] = np.full((len(atoms), 3), 0.05)
    path = tmp_path / "marked.extxyz"
    write(path, marked, format="extxyz")
    atoms = read(FRAMES / "test.extxyz.gz", 3)
    wanted = truth.evaluate(atoms)[0].forces_nc
    for other in (
        fit_to(fit_gap_files, "gap", frames, by_kind).potential,
        fit_to(fit_gap_files, "gap", path, replace(SMALL, uncertainty=False)).potential,
    ):
        np.testing.assert_allclose(other.evaluate(atoms)[0].forces_nc, wanted, atol=1e-6)


def test_workers_give_the_same(frames, fitted):
    atoms = read(FRAMES / "test.extxyz.gz", 3)
    other = fit_to(fit_gap_files, "gap", frames, replace(SMALL, uncertainty=False), workers=2).potential
    wanted = fitted[1].potential.evaluate(atoms)[0].forces_nc
    np.testing.assert_allclose(other.evaluate(atoms)[0].forces_nc, wanted, atol=1e-6)


def test_a_fit_goes_on_where_it_was_interrupted(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(gap_stream, "CHUNK", 4)
    out, options = tmp_path / "si.lodewell", replace(SMALL, uncertainty=False)
    whole = fit_to(fit_gap_files, "gap", frames, options, out=out).potential
    met = []

    def pull_the_plug(stage, done=0, total=None):
        if stage == "rows" and done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_to(fit_gap_files, "gap", frames, options, out=out, progress=pull_the_plug)
    assert (tmp_path / "si.lodewell.partial").exists()

    def note(stage, done=0, total=None):
        if stage == "rows":
            met.append(done)

    resumed = fit_to(fit_gap_files, "gap", frames, options, out=out, progress=note).potential
    assert met[0] > 8  # the first chunks were not folded again
    assert not (tmp_path / "si.lodewell.partial").exists()
    atoms = read(FRAMES / "test.extxyz.gz", 3)
    np.testing.assert_allclose(resumed.evaluate(atoms)[0].forces_nc, whole.evaluate(atoms)[0].forces_nc, atol=1e-9)


def test_a_state_of_other_options_is_not_taken_up(frames, tmp_path):
    out = tmp_path / "si.lodewell"
    (tmp_path / "si.lodewell.partial").write_bytes(b"cut short")
    found = fit_to(fit_gap_files, "gap", frames, replace(SMALL, uncertainty=False), out=out)
    assert found.potential.evaluate(bulk("Si"))[0].energy == pytest.approx(-10.8, abs=0.2)


def test_new_frames_extend_a_fit_as_if_they_had_been_there(frames, fitted, tmp_path):
    """The first half of the frames, then the second: the same sparse points, the same squares, the same potential."""
    marked = read(frames, ":")
    write(tmp_path / "first.extxyz", marked[::2], format="extxyz")
    write(tmp_path / "second.extxyz", marked[1::2], format="extxyz")
    given = replace(SMALL, reference_energies={"Si": -5.0}, baseline="none", uncertainty=False)
    first = fit_to(fit_gap_files, "gap", tmp_path / "first.extxyz", replace(given, keep_rows=True), out=tmp_path / "a")
    first.potential.save(tmp_path / "a.lodewell")
    more = replace(given, extend=str(tmp_path / "a.rows"))
    extended = fit_to(fit_gap_files, "gap", tmp_path / "second.extxyz", more).potential
    streamed, _ = LinearSystem.load(tmp_path / "a.rows")
    assert sum(streamed.count(kind) for kind in streamed.kinds) < sum(f.count for f in streamed.folded.values()) + 1
    test = read(FRAMES / "test.extxyz.gz", 3)
    alone = first.potential
    assert np.abs(extended.evaluate(test)[0].forces_nc - alone.evaluate(test)[0].forces_nc).max() > 1e-3
    # Everything at once, with the points of the first half.
    again = replace(given, extend=str(tmp_path / "a.rows"))
    both = fit_to(fit_gap_files, "gap", tmp_path / "second.extxyz", again, workers=2).potential
    np.testing.assert_allclose(both.evaluate(test)[0].forces_nc, extended.evaluate(test)[0].forces_nc, atol=1e-6)


def test_what_was_taken_off_the_old_frames_is_taken_off_the_new_ones(frames, tmp_path):
    """Reference energies and wall are those of the first frames: other frames have very different ones of their own."""
    marked = read(frames, ":")
    melt = [a for a in marked if a.info["config_type"] == "AIMD-NVT"]
    write(tmp_path / "cold.extxyz", [a for a in marked if a.info["config_type"] != "AIMD-NVT"], format="extxyz")
    write(tmp_path / "melt.extxyz", melt, format="extxyz")
    options = replace(SMALL, uncertainty=False)
    first = fit_to(
        fit_gap_files, "gap", tmp_path / "cold.extxyz", replace(options, keep_rows=True), out=tmp_path / "a.lodewell"
    )
    first.potential.save(tmp_path / "a.lodewell")
    more = replace(options, extend=str(tmp_path / "a.rows"))
    extended = fit_to(fit_gap_files, "gap", tmp_path / "melt.extxyz", more).potential
    assert extended.energies == first.potential.energies
    assert extended.baseline.cutoff == first.potential.baseline.cutoff
    old, new = (lodewell.test(extended, [tmp_path / f"{name}.extxyz"]) for name in ("cold", "melt"))
    assert old.energy.mae < 0.02
    assert new.energy.mae < 0.02


@pytest.mark.parametrize("how", ["farthest", "leverage", "random"])
def test_sparse_points_are_environments_of_the_data_each_once(frames, how):
    found = fit_to(fit_gap_files, "gap", frames, replace(SMALL, sparse=how, uncertainty=False))
    again = fit_to(fit_gap_files, "gap", frames, replace(SMALL, sparse=how, uncertainty=False))
    (soap,) = (t for t in found.potential.terms if t.descriptor.kind == "soap")
    assert len(np.unique(soap.points_md.round(8), axis=0)) == 40
    assert np.array_equal(soap.points_md, again.potential.terms[-1].points_md)  # seeded
    np.testing.assert_allclose(np.linalg.norm(soap.points_md, axis=1), 1.0)


def test_the_farthest_points_span_more_than_random_ones(frames):
    logs = {}
    for how in ("farthest", "random"):
        gap = fit_to(fit_gap_files, "gap", frames, replace(SMALL, sparse=how, uncertainty=False)).potential
        kernel = gap.kernels[-1].points_covariance() / SMALL.delta**2
        logs[how] = np.linalg.slogdet(kernel + 1e-10 * np.eye(40))[1]
    assert logs["farthest"] > logs["random"]


def test_quotas_are_kept(frames):
    kinds = source(frames).survey.config_types
    options = replace(SMALL, quotas={"Surface": 15}, uncertainty=False)
    gap = fit_to(fit_gap_files, "gap", frames, options).potential
    assert "Surface" in kinds
    surface = []
    for frame in source(frames):
        if frame.config_type == "Surface":
            for legs in lodewell_legs(frame.atoms):
                surface.append(gap.kernels[-1].environments(legs).x_ed)
    near = np.concatenate(surface) @ gap.terms[-1].points_md.T
    assert (near.max(axis=0) > 1.0 - 1e-12).sum() >= 15


def lodewell_legs(atoms):
    from lodewell.descriptors.legs import Legs

    return Legs.of_atoms(atoms, 4.0)


def test_a_sample_is_fair_and_without_copies():
    one = Sample(3, 0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    for _ in range(3):
        one.add(x, np.ones(50), 0)
    assert len(one.close().x_ed) == 50
    assert one.seen == 150


def test_the_evidence_finds_the_noise_and_the_prior():
    """Rows of known σ and weights of a known spread; the numbers come back."""
    rng = np.random.default_rng(1)
    streamed = LinearSystem(30, exact=False)
    z = np.concatenate([rng.normal(size=15) * 3.0, rng.normal(size=15) * 0.2])
    for name, sigma in (("energy", 0.05), ("force", 0.4)):
        rows = rng.normal(size=(4000, 30))
        streamed.add(name, 0, rows, rows @ z + sigma * rng.normal(size=4000))
    found = maximise(
        Products(streamed), [slice(0, 15), slice(15, 30)], {"energy": 1.0, "force": 1.0}, [True, True], frozenset(),
        steps=40,
    )  # fmt: skip
    assert found.sigmas["energy"] == pytest.approx(0.05, rel=0.05)
    assert found.sigmas["force"] == pytest.approx(0.4, rel=0.05)
    assert found.scales[0] == pytest.approx(np.sqrt(np.mean(z[:15] ** 2)), rel=0.1)
    assert found.scales[1] == pytest.approx(np.sqrt(np.mean(z[15:] ** 2)), rel=0.1)


def test_the_wall_begins_where_the_data_end(frames):
    distances = Distances.of(source(frames))
    wall = repulsion(distances, "spp")
    r0 = distances.shortest[14, 14]
    r = np.linspace(0.4, r0 + 1.0, 400)
    u, du = wall.curve("Si-Si", r)
    assert np.abs(u[r > r0]).max() == 0.0
    assert (np.diff(u[r < r0]) < 0.0).all()
    assert u[np.searchsorted(r, r0 - 0.5)] > 0.1
    assert abs(du[np.searchsorted(r, r0 - 0.02)]) < 2.0


def test_several_elements_and_triplets(tmp_path):
    rng = np.random.default_rng(0)
    truth = lodewell.Morse({"Cu-Cu": (0.34, 1.36, 2.87), "Cu-O": (0.5, 1.6, 1.95), "O-O": (0.1, 1.5, 2.8)}, cutoff=5.0)
    out = []
    for k in range(16):
        atoms = bulk("CuO", "zincblende", a=4.4 + 0.05 * k, cubic=True)
        atoms.symbols = rng.permutation(atoms.get_chemical_symbols())
        atoms.rattle(0.1, seed=k)
        found = truth.evaluate(atoms)[0]
        atoms.info |= {"REF_energy": found.energy, "REF_stress": found.stress_cc.ravel()}
        atoms.arrays["REF_forces"] = found.forces_nc
        out.append(atoms)
    write(tmp_path / "train.extxyz", out, format="extxyz")
    options = GAPOptions(
        points=40, cutoff=4.0, n_max=3, l_max=2, three_body=True, points_3body=12, cutoff_3body=3.2, atom_sigma=0.5,
        length_2body=1.0, length_3body=1.0, reference_energies={"Cu": 0.0, "O": 0.0},
    )  # fmt: skip
    found = fit_to(fit_gap_files, "gap", tmp_path / "train.extxyz", options)
    names = {term.descriptor.name for term in found.potential.terms}
    assert {"distance O-Cu", "distance O-O", "soap Cu", "soap O", "angle Cu-O-Cu", "angle O-Cu-O"} <= names
    lodewell.check_potential(found.potential)
    errors = lodewell.test(found.potential, [tmp_path / "train.extxyz"]).json()
    assert errors["force"]["mae"] < 0.05


def test_a_preset_gives_way_to_what_is_said():
    options = GAPOptions(preset="Si-GAP-18", points=50).settled()
    assert (options.n_max, options.l_max, options.points, options.energy_sigma) == (10, 12, 50, 0.001)
    assert options.config_sigmas["liquid"] == "0.003:0.15:0.2"
    assert not any(w.descriptor.kind == "distance" for w in lay_out(options, Distances(), {14: 1}))


# Bad input


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_sigmas_of_nothing_are_refused(value):
    with pytest.raises(BadOption, match=r"energy_sigma must be above 0.*leave it out"):
        GAPOptions(energy_sigma=value)


@pytest.mark.parametrize("text", ["0.1:0.2", "a:b:c", "0:1:1"])
def test_sigmas_of_a_config_type_that_cannot_be(text):
    with pytest.raises(BadOption, match="config_sigmas of liquid"):
        GAPOptions(config_sigmas={"liquid": text})


def test_a_sigma_of_a_frame_that_cannot_be_names_the_frame(frames, tmp_path):
    marked = read(frames, ":")
    marked[2].info["energy_sigma"] = 0.0
    write(tmp_path / "bad.extxyz", marked, format="extxyz")
    with pytest.raises(Exception, match=r"bad.extxyz, frame 2: energy_sigma must be above 0"):
        fit_to(fit_gap_files, "gap", tmp_path / "bad.extxyz", SMALL)


def test_a_quota_without_frames_is_refused(frames):
    options = replace(SMALL, quotas={"Surfac": 5})
    with pytest.raises(BadOption, match=r"--quotas Surfac: no frame has this config_type.*Surface"):
        fit_to(fit_gap_files, "gap", frames, options)


def test_a_quota_beyond_its_environments_is_refused(frames):
    options = replace(SMALL, quotas={"Surface": 100_000})
    with pytest.raises(BadOption, match=r"Surface=100000: its frames hold \d+ different environments"):
        fit_to(fit_gap_files, "gap", frames, options)


def test_more_points_than_environments_are_refused(frames):
    options = replace(SMALL, points=1_000_000)
    with pytest.raises(BadOption, match=r"1,000,000 sparse points are wanted, and the data hold [\d,]+ different"):
        fit_to(fit_gap_files, "gap", frames, options)


def test_copies_of_one_frame_raise_the_jitter_and_say_so(tmp_path):
    """Environments that are nearly, but not quite, copies of each other."""
    rng = np.random.default_rng(0)
    out = []
    for _ in range(24):
        atoms = bulk("Si", cubic=True)
        atoms.positions += 1e-6 * rng.normal(size=(8, 3))
        atoms.info["REF_energy"] = -43.0 + 1e-5 * rng.normal()
        atoms.arrays["REF_forces"] = np.zeros((8, 3))
        out.append(atoms)
    write(tmp_path / "same.extxyz", out, format="extxyz")
    options = replace(SMALL, delta=1e4, baseline="none", sparse="random")
    found = fit_to(fit_gap_files, "gap", tmp_path / "same.extxyz", options)
    assert any("nearly alike" in note and "eV²" in note for note in found.notes)
    assert np.isfinite(found.potential.evaluate(bulk("Si"))[0].energy)


def test_elements_that_were_never_seen_are_named(fitted):
    with pytest.raises(lodewell.errors.UnsupportedElement, match="Ge"):
        fitted[1].potential.evaluate(bulk("Ge"))


def test_rows_of_another_fit_are_not_taken(fitted, tmp_path):
    rows = tmp_path / "x.rows"
    rows.write_bytes(fitted[0].with_suffix(".rows").read_bytes())
    other = GAP({14: 0.0}, fitted[1].potential.terms[:1])
    other.save(tmp_path / "x.lodewell")
    with pytest.raises(BadFile, match="rows"):
        fit_to(fit_gap_files, "gap", FRAMES / "train.extxyz.gz", replace(SMALL, extend=str(rows)))


def test_the_command(tmp_path):
    line = [sys.executable, "-W", "error", "-m", "lodewell.cli", "fit", "gap", "--workers", "1", "--points", "30",
            "--n-max", "3", "--l-max", "2", "--train", str(FRAMES / "train.extxyz.gz"), "--json",
            "--test", str(FRAMES / "test.extxyz.gz"), "--out", str(tmp_path / "si.lodewell")]  # fmt: skip
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["results"]["errors"]["force"]["mae"] < 0.25
    assert summary["seed"] == 0
    assert (tmp_path / "si.lodewell").exists()
    potential = lodewell.load(tmp_path / "si.lodewell")
    (relaxed,) = lodewell.relax([Atoms("Si2", [[0, 0, 0], [1.3, 1.4, 1.4]], cell=bulk("Si").cell, pbc=True)], potential)
    assert relaxed.status == "converged"
