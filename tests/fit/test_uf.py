"""UF fits: a known potential is found again, walls, uncertainties, weights, bad input; on made-up and real frames."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

import lodewell
from lodewell.errors import BadOption
from lodewell.fit.data import LabelledData
from lodewell.fit.distances import Distances
from lodewell.fit.run import fit_to
from lodewell.fit.uf.options import UFOptions
from lodewell.fit.uf.rows import UFRows
from lodewell.fit.uf.run import fit_uf_files
from lodewell.fit.uf.space import lay_out, second_differences
from lodewell.potentials.bspline import Axis, ending, vanishing
from lodewell.potentials.uf.splines import Spline2, Spline3
from lodewell.potentials.uf.uf import UF

REAL = Path(__file__).parents[1] / "data" / "silicon-labelled.extxyz"
BARE = UFOptions(cutoff=4.6, cutoff_3body=3.5, intervals_3body=6, wall="none")
SMALL = UFOptions(cutoff=5.0, cutoff_3body=3.6, intervals=8, intervals_3body=4)


def labelled(potential, path, species=("Si",), frames=24, seed=0, keep=("energy", "forces", "stress")):
    """Write rattled and strained crystals with the labels of a potential."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(frames):
        atoms = bulk("Si", cubic=True) if k % 2 else bulk("Si", "sc", a=2.55) * (2, 2, 2)
        atoms.symbols = rng.choice(species, len(atoms))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) * rng.uniform(0.92, 1.1) + 0.04 * rng.normal(size=(3, 3))), True)
        atoms.rattle(0.12, seed=int(rng.integers(1 << 30)))
        found = potential.evaluate(atoms)[0]
        if "energy" in keep:
            atoms.info["REF_energy"] = found.energy
        if "forces" in keep:
            atoms.arrays["REF_forces"] = found.forces_nc
        if "stress" in keep:
            atoms.info["REF_stress"] = found.stress_cc.ravel()
        out.append(atoms)
    write(path, out, format="extxyz")
    return path


def smooth_uf(species=(14,)):
    """A smooth potential whose splines differ from those of the fits."""
    axis = ending(1.0, 4.6, 12)
    r = np.array([axis.knots_k[m + 1 : m + 4].mean() for m in range(axis.size)])
    curve = 2.0 * np.exp(-2.0 * (r - 2.2)) - 1.5 * np.exp(-1.0 * (r - 2.2))
    curve *= np.clip((4.6 - r) / 2.0, 0, 1) ** 2
    pairs = {(a, b): Spline2(axis, curve * (1.0 + 0.1 * (a != b))) for a in species for b in species if a <= b}
    leg, side = vanishing(1.0, 3.5, 8), vanishing(1.0, 7.0, 10)
    x = np.linspace(0, 1, leg.size)
    c = 0.4 * np.exp(-4 * (x[:, None, None] ** 2 + x[None, :, None] ** 2)) * np.cos(np.linspace(0, 6, side.size))
    triples = {(i, a, b): Spline3((leg, leg, side), c) for i in species for a in species for b in species if a <= b}
    return UF(dict.fromkeys(species, -3.0), pairs, triples)


@pytest.fixture(scope="module")
def silicon(tmp_path_factory):
    path = labelled(smooth_uf(), tmp_path_factory.mktemp("uf") / "train.extxyz", frames=40)
    return path, fit_to(fit_uf_files, "uf", path, BARE)


def test_a_known_potential_is_found_again(silicon, tmp_path):
    _, fitted = silicon
    truth = smooth_uf()
    test = labelled(truth, tmp_path / "test.extxyz", frames=10, seed=9)
    errors = lodewell.test(fitted.potential, [test]).json()
    spread = np.std(np.concatenate([f.forces_nc.ravel() for f in LabelledData(test, UFOptions(), testing=True)]))
    assert errors["force"]["rmse"] < 0.03 * spread
    assert errors["energy"]["rmse"] < 2e-3
    assert errors["stress"]["rmse"] < 1e-3


def test_uncertainties_are_larger_away_from_the_data(silicon):
    potential = silicon[1].potential
    near = bulk("Si", cubic=True)
    near.rattle(0.1, seed=5)
    far = near.copy()
    far.positions[0] = far.positions[1] + [1.4, 0, 0]
    a, b = potential.uncertainty([near, far])
    assert a.forces_nc.shape == (8, 3)
    assert a.stress_cc.shape == (3, 3)
    np.testing.assert_allclose(a.stress_cc, a.stress_cc.T)
    assert b.energy > 2.0 * a.energy
    assert a.grade_n.max() < 1.0
    assert b.grade_n[:2].max() > 1.0
    assert potential.uncertainty(near * (2, 1, 1))[0].energy == pytest.approx(2 * a.energy, rel=1e-3)


def test_a_potential_with_everything_is_stored(silicon, tmp_path):
    potential = silicon[1].potential
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=5)
    again = lodewell.load(potential.save(tmp_path / "a.lodewell"))
    assert again.evaluate(atoms)[0].energy == potential.evaluate(atoms)[0].energy
    np.testing.assert_allclose(again.uncertainty(atoms)[0].forces_nc, potential.uncertainty(atoms)[0].forces_nc)


@pytest.mark.parametrize("wall", ["zbl", "spp"])
def test_walls_repel_inside_the_shortest_distance_and_leave_the_data_alone(silicon, wall):
    path, bare = silicon
    options = replace(BARE, wall=wall, uncertainty=False)
    walled = fit_to(fit_uf_files, "uf", path, options, out=None).potential
    shortest = Distances.of(LabelledData(path, options)).shortest[14, 14]
    inside = np.linspace(0.5 * shortest, 0.98 * shortest, 20)
    u, slope = walled.curve("Si-Si", inside)
    assert (slope < 0).all()
    assert u[0] > bare.potential.curve("Si-Si", inside)[0][0] + 1.0
    outside = np.linspace(shortest, 4.6, 50)
    np.testing.assert_allclose(walled.curve("Si-Si", outside)[0], bare.potential.curve("Si-Si", outside)[0], atol=1e-9)


def test_two_elements_and_workers_give_what_one_process_gives(tmp_path):
    path = labelled(smooth_uf((14, 32)), tmp_path / "train.extxyz", ("Si", "Ge"), frames=60)
    options = UFOptions(cutoff=4.6, cutoff_3body=3.2, intervals=8, intervals_3body=4, uncertainty=False)
    one, two = (fit_to(fit_uf_files, "uf", path, options, out=None, workers=n) for n in (1, 2))
    assert set(one.potential.pairs) == {(14, 14), (14, 32), (32, 32)}
    assert len(one.potential.triples) == 6
    atoms = next(iter(LabelledData(path, options))).atoms
    assert two.potential.evaluate(atoms)[0].energy == pytest.approx(one.potential.evaluate(atoms)[0].energy, abs=1e-6)
    errors = lodewell.test(one.potential, [path]).json()
    assert errors["force"]["rmse"] < 0.05


def test_products_predict_what_orthogonal_transformations_predict():
    """Normal equations are used because on real data they change nothing that matters."""
    from lodewell.fit.linear.least_squares import LinearSystem, solve
    from lodewell.fit.uf.space import roughness

    train = LabelledData(REAL, SMALL)
    basis = lay_out(Distances.of(train), [14], SMALL)
    maker = UFRows(basis, train.references, SMALL, train.folds(), frozenset())
    penalty = 0.1 * (roughness(basis) + 0.1 * np.eye(basis.columns))
    found = []
    for exact in (True, False):
        streamed = LinearSystem(basis.columns, exact)
        for frame in train:
            maker.fold(frame, streamed)
        found.append(basis.potential(solve(streamed, {"energy": 3e3, "force": 1.0}, penalty).coefficients_p))
    for frame in train:
        a, b = (p.evaluate(frame.atoms)[0] for p in found)
        assert a.energy == pytest.approx(b.energy, abs=1e-7 * len(frame.atoms))
        np.testing.assert_allclose(a.forces_nc, b.forces_nc, atol=1e-6)


def test_an_embedding_describes_what_pairs_and_triples_cannot(tmp_path):
    """An embedded atom, E = φ + (Σ ρ)^½, is no sum of pairs and triples."""

    class Embedded(lodewell.Potential):
        kind, cutoff, species = "embedded", 4.6, frozenset([14])

        def evaluate(self, atoms):
            from lodewell.potentials.base import Result

            i_p, j_p, _, d_pc = lodewell.neighbour_list(atoms, self.cutoff)
            r = np.linalg.norm(d_pc, axis=1)
            rho = np.exp(-1.2 * r) * (1 - r / self.cutoff) ** 3
            slope = np.exp(-1.2 * r) * (
                -1.2 * (1 - r / self.cutoff) ** 3 - 3 / self.cutoff * (1 - r / self.cutoff) ** 2
            )
            n = np.bincount(i_p, rho, len(atoms))
            g = (-10.0 * 0.5 / np.sqrt(n))[i_p] * slope
            f_pc = (g / r)[:, None] * d_pc
            forces = np.zeros((len(atoms), 3))
            np.add.at(forces, i_p, f_pc)
            np.add.at(forces, j_p, -f_pc)
            virial = -np.einsum("pc,pd->cd", f_pc, d_pc)
            energies = -10.0 * np.sqrt(n)
            return [Result(energies.sum(), energies, forces, virial, -virial / atoms.get_volume())]

        def compute(self, batch, neighbours):
            raise NotImplementedError

    path = labelled(Embedded(), tmp_path / "train.extxyz", frames=150)
    test = labelled(Embedded(), tmp_path / "test.extxyz", frames=10, seed=3)
    errors = {}
    for embed in (False, True):
        options = UFOptions(
            cutoff=4.6, cutoff_3body=3.2, intervals_3body=4, embed=embed, embed_intervals=3, uncertainty=False
        )
        potential = fit_to(fit_uf_files, "uf", path, options, out=None).potential
        assert not lodewell.check_potential(potential)
        errors[embed] = lodewell.test(potential, [test]).json()["force"]["rmse"]
    assert errors[True] < 0.7 * errors[False]


def test_what_no_data_speak_of_is_named(tmp_path):
    far = [Atoms("Si2", [[0, 0, 0], [r, 0, 0]], cell=[20, 20, 20], pbc=True) for r in np.linspace(2.0, 2.9, 25)]
    for atoms in far:
        r = np.linalg.norm(atoms.positions[1])
        atoms.info["REF_energy"] = (r - 2.3) ** 2
        atoms.arrays["REF_forces"] = np.outer([2 * (r - 2.3), -2 * (r - 2.3)], [1, 0, 0])
    write(tmp_path / "dimers.extxyz", far, format="extxyz")
    options = UFOptions(cutoff=5.0, cutoff_3body=4.0, intervals_3body=4, uncertainty=False)
    notes = " ".join(fit_to(fit_uf_files, "uf", tmp_path / "dimers.extxyz", options, out=None).notes)
    assert "Si-Si two-body has no data around" in notes
    assert "Si-Si-Si three-body has no data at all" in notes


def test_a_singular_fit_names_what_is_undetermined(tmp_path):
    path = labelled(smooth_uf(), tmp_path / "train.extxyz", frames=24)
    options = UFOptions(cutoff=4.6, cutoff_3body=4.4, intervals_3body=6, smoothness=1e-30, ridge=0.0)
    with pytest.raises(BadOption, match=r"Si-Si-Si three-body|cannot tell apart"):
        fit_to(fit_uf_files, "uf", path, options, out=None)


def test_a_fit_goes_on_with_new_frames(tmp_path):
    old = labelled(smooth_uf(), tmp_path / "old.extxyz", frames=24, seed=1)
    new = labelled(smooth_uf(), tmp_path / "new.extxyz", frames=24, seed=2)
    knots = {"knots": tuple(np.linspace(1.9, 4.6, 12)), "knots_3body": tuple(np.linspace(1.2, 3.5, 9))}
    same = {**knots, "uncertainty": False, "reference_energies": {"Si": -3.0}, "smoothness": 0.1, "wall": "none"}
    both = UFOptions(**same)
    shortest = min(Distances.of(LabelledData(p, both)).shortest[14, 14] for p in (old, new))
    order = (old, new) if Distances.of(LabelledData(old, both)).shortest[14, 14] == shortest else (new, old)
    fit_to(fit_uf_files, "uf", order[0], UFOptions(**same, keep_rows=True), out=tmp_path / "a.lodewell")
    later = UFOptions(**same, extend=str(tmp_path / "a.rows"))
    with pytest.raises(BadOption, match="other splines"):
        fit_to(fit_uf_files, "uf", order[1], later, out=None)


def test_second_differences_of_uniform_and_other_knots():
    uniform = second_differences(vanishing(1.0, 5.0, 10))
    np.testing.assert_allclose(uniform[0, :3], [1, -2, 1])
    np.testing.assert_allclose(uniform[-1, -2:], [1, -2])  # beyond the end there are zeros
    knots = np.concatenate([np.full(4, 1.0), [1.3, 1.9, 2.0, 3.0], np.full(4, 5.0)])
    axis = Axis(knots)
    greville = np.array([knots[m + 1 : m + 4].mean() for m in range(axis.size)])
    np.testing.assert_allclose(second_differences(axis) @ (2.0 + 3.0 * greville), 0.0, atol=1e-12)


def test_command_line_fits_tests_and_writes_a_summary(tmp_path):
    from typer.testing import CliRunner

    from lodewell.cli import app

    path = labelled(smooth_uf(), tmp_path / "train.extxyz", frames=24, seed=1)
    test = labelled(smooth_uf(), tmp_path / "test.extxyz", frames=6, seed=2)
    words = ["fit", "uf", "--train", str(path), "--test", str(test), "--out", str(tmp_path / "Si.lodewell"), "-n", "1"]
    words += ["--cutoff", "4.6", "--cutoff-3body", "3.2", "--intervals-3body", "4", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "Si.summary.json").read_text())
    assert summary["seed"] == 0
    assert summary["results"]["errors"]["force"]["rmse"] < 0.1
    assert lodewell.load(tmp_path / "Si.lodewell").uncertain
