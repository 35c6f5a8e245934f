"""Dynamics against its laws, and against ASE's own integrator."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet

from lodewell import LennardJones
from lodewell.md import run as md
from lodewell.md.timestep import sensible_step

ARGON = LennardJones({"Ar-Ar": (0.0104, 3.40)}, 8.0)


def argon(kinetic: float = 0.004, seed: int = 1):
    atoms = bulk("Ar", "fcc", a=5.26, cubic=True) * (3, 3, 3)
    atoms.calc = ARGON.calculator()
    md.thermalise(atoms, kinetic, np.random.default_rng(seed))
    return atoms


def test_momenta_have_the_temperature_and_add_up_to_nothing():
    atoms = bulk("Ar", "fcc", a=5.26, cubic=True) * (8, 8, 8)
    md.thermalise(atoms, 0.01, np.random.default_rng(0))
    assert 2.0 * atoms.get_kinetic_energy() / (3.0 * len(atoms)) == pytest.approx(0.01, rel=0.05)
    np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), 0.0, atol=1e-9)


def test_energy_is_conserved_to_second_order_in_the_step():
    spreads = []
    for step in (4.0, 8.0):
        atoms, energies = argon(), []
        md.run(atoms, md.constant_energy(atoms, step * units.fs), int(1600 / step), every=4,
               watch=lambda state, kept=energies: kept.append(state.energy))  # fmt: skip
        spreads.append(np.std(energies))
    assert spreads[1] / spreads[0] == pytest.approx(4.0, rel=0.5)


def test_the_path_is_that_of_ase():
    ours, theirs = argon(), argon()
    assert md.run(ours, md.constant_energy(ours, 2.0 * units.fs), 40, every=10, watch=lambda state: False) == 40
    VelocityVerlet(theirs, 2.0 * units.fs).run(40)
    np.testing.assert_allclose(ours.positions, theirs.positions, atol=1e-10)


def test_the_thermostat_brings_the_temperature():
    atoms, seen = argon(kinetic=1e-9), []
    step = sensible_step(ARGON, atoms)
    mover = md.langevin(atoms, step, 0.003, np.random.default_rng(5))
    md.run(atoms, mover, 1000, every=5, watch=lambda state: seen.append(state.kinetic))
    assert np.mean(seen[100:]) == pytest.approx(0.003, rel=0.15)


def test_whoever_watches_ends_the_run():
    atoms = argon()
    assert (
        md.run(atoms, md.constant_energy(atoms, units.fs), 1000, every=5, watch=lambda state: state.steps == 15) == 15
    )


def test_a_stiffer_crystal_wants_a_shorter_step():
    atoms = argon()
    soft, stiff = sensible_step(ARGON, atoms), sensible_step(16.0 * LennardJones({"Ar-Ar": (0.0104, 3.40)}, 8.0), atoms)
    assert 0.5 * units.fs < stiff <= soft <= 4.0 * units.fs
