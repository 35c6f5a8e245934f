"""A short hot run of molecular dynamics, which shows whether the crystal holds and energy is conserved."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units

from lodewell.crystals.batch import Floats
from lodewell.errors import BadCrystal
from lodewell.judge.check.prototypes import nearest_distance
from lodewell.potentials.base import Potential

_ATOMS = 64
_STEPS_A_PERIOD = 45  # of the fastest atom on its own; whole modes are up to twice as fast
_LONGEST_STEP = 4.0  # fs
_EVERY = 5  # steps between records
_BLOWN_UP = 6.0  # times the wanted temperature
_TOO_CLOSE = 0.5  # of the nearest distance at rest


@dataclass(frozen=True)
class Dynamics:
    """What the run did after it was heated: constant energy, nothing else acting.

    | field | shape | unit |
    |---|---|---|
    | `time_k` | (K,) | ps |
    | `kinetic_k` | (K,) | eV: k_B T |
    | `energy_k` | (K,) | eV an atom, potential and kinetic, counted from the first |
    | `wanted` | | eV: k_B T that was asked for |
    | `drift` | | eV an atom and ps: slope of the total energy |
    | `noise` | | eV an atom: its standard deviation about that slope |
    | `nearest` | | shortest distance met over that of the crystal at rest |
    | `moved` | | Å: root mean square distance of the atoms from their sites at the end |
    | `spacing` | | Å: nearest distance at rest |
    | `step` | | fs |
    | `atoms` | | how many |
    | `blown_up` | | why it was stopped, or "" |
    """

    time_k: Floats
    kinetic_k: Floats
    energy_k: Floats
    wanted: float
    drift: float
    noise: float
    nearest: float
    moved: float
    spacing: float
    step: float
    atoms: int
    blown_up: str


def hot_dynamics(
    potential: Potential, atoms: Atoms, kinetic: float, *, steps: int = 2000, seconds: float = 20.0, seed: int = 0
) -> Dynamics:
    """Heat about 64 atoms to k_B T = `kinetic` with a Langevin thermostat, then let them go at constant energy.

    Args:
        potential: any.
        atoms: a crystal at rest; it is repeated.
        kinetic: k_B T in eV.
        steps: at constant energy; a third as many before that to heat.
        seconds: wall time from which on the run is cut short, so that slow potentials end as well.
        seed: of velocities and thermostat.

    Raises:
        BadCrystal: when the crystal is not periodic.
    """
    from ase.md.langevin import Langevin
    from ase.md.verlet import VelocityVerlet

    if not atoms.pbc.all():
        raise BadCrystal("the run needs a crystal that is periodic in three directions")
    cell = repeated(atoms, _ATOMS)
    rng = np.random.default_rng(seed)
    cell.calc = potential.calculator()
    step = sensible_step(potential, cell)
    # Twice the kinetic energy: half of it goes into the bonds.
    cell.set_momenta(rng.normal(size=(len(cell), 3)) * np.sqrt(2.0 * kinetic * cell.get_masses())[:, None])
    _come_to_rest(cell)
    run = _Run(cell, kinetic, nearest_distance(atoms), time.perf_counter() + seconds)
    thermostat = Langevin(
        cell, step, temperature_K=kinetic / units.kB, friction=0.02 / step, rng=rng, fixcm=False
    )  # fmt: skip
    run.go(thermostat, steps // 3, keep=False, until=0.4)
    if not run.blown_up:
        _come_to_rest(cell)
        run.go(VelocityVerlet(cell, step), steps, keep=True)
    return run.summary(step)


def _come_to_rest(cell: Atoms) -> None:
    """Take the motion of the whole away."""
    velocity = cell.get_momenta().sum(axis=0) / cell.get_masses().sum()
    cell.set_momenta(cell.get_momenta() - cell.get_masses()[:, None] * velocity)


class _Run:
    """The atoms, what is recorded of them, and when to stop."""

    def __init__(self, cell: Atoms, wanted: float, nearest: float, deadline: float) -> None:
        self.cell, self.wanted, self.nearest = cell, wanted, nearest
        self.start, self.deadline = time.perf_counter(), deadline
        self.sites_nc = cell.positions.copy()
        self.kinetic: list[float] = []
        self.energy: list[float] = []
        self.closest = np.inf
        self.blown_up = ""

    def go(self, mover: object, steps: int, keep: bool, until: float = 1.0) -> None:
        """Move, look every few steps, and stop when it goes wrong or takes too long (`until`: share of the time)."""
        end = self.start + until * (self.deadline - self.start)
        for _ in range(max(1, steps // _EVERY)):
            mover.run(_EVERY)  # type: ignore[attr-defined]
            kinetic = 2.0 * self.cell.get_kinetic_energy() / (3.0 * len(self.cell))
            energy = self.cell.get_total_energy() / len(self.cell)
            if keep:
                self.kinetic.append(kinetic)
                self.energy.append(energy)
            self.judge(kinetic, energy)
            if self.blown_up or (time.perf_counter() > end and len(self.energy) != 1):
                break

    def judge(self, kinetic: float, energy: float) -> None:
        """Say what went wrong, if anything did."""
        if not np.isfinite(energy) or not np.isfinite(self.cell.positions).all():
            self.blown_up = "the energy is no longer finite"
            return
        if kinetic > _BLOWN_UP * self.wanted:
            self.blown_up = f"it heated itself to {kinetic / self.wanted:.0f} times the temperature asked for"
            return
        self.closest = min(self.closest, nearest_distance(self.cell) / self.nearest)
        if self.closest < _TOO_CLOSE:
            self.blown_up = f"two atoms came as close as {self.closest:.2f} of the nearest distance at rest"

    def summary(self, step: float) -> Dynamics:
        """Return what was recorded."""
        energy_k = np.array(self.energy) - (self.energy[0] if self.energy else 0.0)
        time_k = _EVERY * step / units.fs * 1e-3 * (1.0 + np.arange(len(energy_k)))
        drift = noise = 0.0
        if len(energy_k) > 2 and np.isfinite(energy_k).all():
            drift, at_zero = (float(v) for v in np.polyfit(time_k, energy_k, 1))
            noise = float(np.std(energy_k - drift * time_k - at_zero))
        away = self.cell.positions - self.sites_nc
        away -= away.mean(axis=0)
        return Dynamics(
            time_k, np.array(self.kinetic), energy_k, self.wanted, drift, noise, float(self.closest),
            float(np.sqrt((away**2).sum(axis=1).mean())), self.nearest, step / units.fs, len(self.cell), self.blown_up,
        )  # fmt: skip


def repeated(atoms: Atoms, wanted: int) -> Atoms:
    """Repeat a crystal to about so many atoms, as near to a cube as its cell allows."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    repeats = np.ones(3, dtype=int)
    while len(atoms) * repeats.prod() < wanted:
        repeats[np.argmin(repeats * heights)] += 1
    return atoms.repeat(tuple(int(n) for n in repeats))


def sensible_step(potential: Potential, cell: Atoms) -> float:
    """Return a time step (ASE's unit) that follows the fastest atom, each moved while all others stand still."""
    nudge = 0.01
    stiffest = 0.0
    for n in {int(np.flatnonzero(cell.numbers == z)[0]) for z in set(cell.numbers.tolist())}:
        pushed = []
        for c in range(3):
            for sign in (1.0, -1.0):
                atoms = cell.copy()
                atoms.positions[n, c] += sign * nudge
                pushed.append(atoms)
        f = [r.forces_nc[n] for r in potential.evaluate(pushed)]
        k_c = [-(f[2 * c][c] - f[2 * c + 1][c]) / (2.0 * nudge) for c in range(3)]
        stiffest = max(stiffest, float(max(k_c)) / float(cell.get_masses()[n]))
    longest = _LONGEST_STEP * units.fs
    if stiffest <= 0.0:
        return float(longest)
    return float(min(longest, 2.0 * np.pi / np.sqrt(stiffest) / _STEPS_A_PERIOD))
