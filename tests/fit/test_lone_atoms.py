"""Energies of lone atoms, and what compositions alone tell: what a fit must get right before anything else."""

import math
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

import lodewell
from lodewell.fit.data import LabelledData
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.run import fit_gap_files
from lodewell.fit.linear.balance import Goal
from lodewell.fit.meam.options import MEAMOptions
from lodewell.fit.meam.run import fit_meam_files
from lodewell.fit.reference import binding_energies
from lodewell.fit.run import doubts, fit_to
from lodewell.fit.uf.options import UFOptions
from lodewell.fit.uf.run import fit_uf_files

LONE = {"Cu": 3.51, "Ni": 4.44}  # eV, ASE's EMT


def labelled(atoms, kind):
    atoms.calc = EMT()
    atoms.info |= {"REF_energy": atoms.get_potential_energy(), "config_type": kind}
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.calc = None
    return atoms


def alloys(count, seed):
    """Return Cu-Ni crystals of 8 atoms by EMT: all compositions, strained and rattled."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.numbers = np.where(rng.random(len(atoms)) < rng.random(), 28, 29)
        atoms.set_cell(atoms.cell.array * rng.uniform(0.96, 1.05), scale_atoms=True)
        atoms.rattle(0.12, seed=int(rng.integers(1 << 30)))
        out.append(labelled(atoms, "bulk"))
    return out


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Crystals and lone atoms to train on, crystals alone, and crystals to test."""
    folder = tmp_path_factory.mktemp("alloys")
    crystals = alloys(36, 0)
    lone = [labelled(Atoms([s], cell=3 * [12.0], pbc=True), "IsolatedAtom") for s in LONE]
    write(folder / "with_lone.extxyz", lone + crystals)
    write(folder / "crystals.extxyz", crystals)
    write(folder / "test.extxyz", alloys(12, 1))
    return folder


GAP = GAPOptions(
    points=24, n_max=4, l_max=3, atom_sigma=0.5, length_2body=1.0, cutoff=4.2, cutoff_2body=4.6, points_2body=10,
    uncertainty=False,
)  # fmt: skip
UF = UFOptions(intervals=10, intervals_3body=3, cutoff=4.6, cutoff_3body=3.2, uncertainty=False)
MEAM = MEAMOptions(knots=4, restarts=1, members=1, most_steps=3, cutoff=4.2)
FITS = {
    "uf": (fit_uf_files, UF),
    "gap": (fit_gap_files, GAP),
    "gap on another potential": (fit_gap_files, replace(GAP, baseline="emt.lodewell")),
    "meam": (fit_meam_files, MEAM),
}


@pytest.fixture(scope="module")
def fits(files):
    """Fit each once a case: `fits(name, file, told)`."""
    fit_to(fit_uf_files, "uf", [files / "with_lone.extxyz"], UF).potential.save(files / "emt.lodewell")
    done = {}

    def fitted(name, file, **told):
        key = (name, file, *told)
        if key not in done:
            fit, options = FITS[name]
            if name == "gap on another potential":
                options = replace(options, baseline=str(files / options.baseline))
            options = replace(options, reference_energies=told)
            done[key] = fit_to(fit, name, [files / file], options)
        return done[key]

    return fitted


def lone_energies(potential):
    return {s: potential.evaluate([Atoms([s], [[0, 0, 0]])])[0].energy for s in LONE}


@pytest.mark.parametrize("name", FITS)
def test_lone_atoms_have_the_reference_energies_that_were_told(fits, name):
    told = {"Cu": 1.25, "Ni": -0.75}
    assert lone_energies(fits(name, "crystals.extxyz", **told).potential) == pytest.approx(told, abs=1e-9)


@pytest.mark.parametrize("name", FITS)
def test_lone_atoms_have_their_energies_in_the_training_data(fits, name):
    found = lone_energies(fits(name, "with_lone.extxyz").potential)
    assert found == pytest.approx(LONE, abs=1e-9)


def test_an_embedding_keeps_the_energy_of_a_lone_atom(tmp_path):
    frames = alloys(12, 2)
    for atoms in frames:
        atoms.numbers[:] = 29
    write(tmp_path / "copper.extxyz", [labelled(atoms, "bulk") for atoms in frames])
    options = replace(UF, three_body=False, embed=True, embed_intervals=2, reference_energies={"Cu": 1.25})
    potential = fit_to(fit_uf_files, "uf", [tmp_path / "copper.extxyz"], options).potential
    assert potential.evaluate([Atoms(["Cu"])])[0].energy == pytest.approx(1.25, abs=1e-9)


@pytest.mark.parametrize("name", ["uf", "gap", "gap on another potential"])
def test_energies_do_not_pay_for_forces_when_lone_atoms_are_known(files, fits, name):
    """Crystals lie 3.5 eV an atom below lone atoms and 0.08 eV from each other: both are seen."""
    errors = lodewell.test(fits(name, "with_lone.extxyz").potential, [files / "test.extxyz"])
    assert errors.energy.rmse < 0.4 * errors.energy.spread
    assert errors.force.rmse < 0.25 * errors.force.spread
    assert not errors.doubts()


def test_the_binding_of_an_element_is_told_by_compositions(files):
    train = LabelledData([files / "with_lone.extxyz"])
    binding = binding_energies(train.survey, train.references)
    assert train.references.sources == {28: "lone atoms", 29: "lone atoms"}
    # EMT has 0.00 eV for fcc crystals at rest; these are strained and rattled by some 0.2 eV an atom.
    assert {z: e + LONE[s] for (z, s), e in zip(((28, "Ni"), (29, "Cu")), (binding[28], binding[29]), strict=True)} == (
        pytest.approx({28: 0.2, 29: 0.2}, abs=0.15)
    )


def test_predictions_worse_than_the_mean_are_called_so(files, fits):
    potential = fits("uf", "with_lone.extxyz").potential
    good = lodewell.test(potential, [files / "test.extxyz"])
    potential = replace_energies(potential, 0.5)
    bad = lodewell.test(potential, [files / "test.extxyz"])
    assert not good.doubts()
    assert len(bad.doubts()) == 1
    assert "energies are predicted worse than by their mean: the RMSE is 5" in bad.doubts()[0]
    assert doubts({"energy": 0.2}, 0.1, "eV/atom")
    assert not doubts({"energy": 0.05}, 0.1, "eV/atom")


def replace_energies(potential, shift):
    """Return the potential with all energies of atoms shifted."""
    other = type(potential)({z: e + shift for z, e in potential.energies.items()}, potential.pairs, potential.triples)
    return other


def test_weights_are_not_bought_with_energies_that_explain_nothing():
    """Twice as good forces are worth twice as bad energies, but not ones as bad as no potential at all."""
    goal = Goal({"energy": 1.0, "force": 4.0}, {}, {}, bounds={"energy": 1.0})
    small, large = goal.loss({"energy": 0.01, "force": 0.2}), goal.loss({"energy": 0.02, "force": 0.1})
    assert small - large == pytest.approx(3.0 * math.log(2.0), rel=1e-3)
    assert goal.loss({"energy": 0.999, "force": 0.1}) > goal.loss({"energy": 0.3, "force": 0.2})
