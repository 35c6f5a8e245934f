"""Atoms moved step by step, looked at now and then, and stopped by whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units

Mover = Any  # one of ASE's integrators: `run(steps)` moves its atoms


@dataclass(frozen=True)
class State:
    """What is seen of the moving atoms.

    | field | meaning |
    |---|---|
    | `steps` | taken so far |
    | `kinetic` | k_B T of the motion, eV |
    | `energy` | potential and kinetic, eV an atom |
    """

    steps: int
    kinetic: float
    energy: float


def thermalise(atoms: Atoms, kinetic: float, rng: np.random.Generator) -> None:
    """Give the atoms momenta of the temperature k_B T = `kinetic` (eV), the whole at rest.

    In a crystal at rest half of the energy goes into the bonds: twice the kinetic energy is wanted there.
    """
    width_n = np.sqrt(kinetic * atoms.get_masses())
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * width_n[:, None])
    bring_to_rest(atoms)


def bring_to_rest(atoms: Atoms) -> None:
    """Take the motion of the whole away."""
    velocity = atoms.get_momenta().sum(axis=0) / atoms.get_masses().sum()
    atoms.set_momenta(atoms.get_momenta() - atoms.get_masses()[:, None] * velocity)


def langevin(atoms: Atoms, step: float, kinetic: float, rng: np.random.Generator) -> Mover:
    """Return an integrator at the temperature k_B T = `kinetic` (eV); `step` in ASE's unit of time."""
    from ase.md.langevin import Langevin

    friction = 0.02 / step
    return Langevin(atoms, step, temperature_K=kinetic / units.kB, friction=friction, rng=rng, fixcm=False)


def constant_energy(atoms: Atoms, step: float) -> Mover:
    """Return an integrator that keeps the energy; `step` in ASE's unit of time."""
    from ase.md.verlet import VelocityVerlet

    return VelocityVerlet(atoms, step)


def run(atoms: Atoms, mover: Mover, steps: int, *, every: int, watch: Callable[[State], bool]) -> int:
    """Move the atoms, which have a calculator, for about `steps` steps; return how many were taken.

    `watch` sees the state every few steps, and ends the run by returning True.
    """
    taken = 0
    for _ in range(max(1, steps // every)):
        mover.run(every)
        taken += every
        kinetic = 2.0 * atoms.get_kinetic_energy() / (3.0 * len(atoms))
        if watch(State(taken, kinetic, atoms.get_total_energy() / len(atoms))):
            break
    return taken
