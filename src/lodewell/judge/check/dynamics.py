"""A short hot run of molecular dynamics, which shows whether the crystal holds and energy is conserved."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units

from lodewell.crystals.batch import Floats
from lodewell.crystals.supercell import repeated
from lodewell.errors import BadCrystal
from lodewell.judge.check.prototypes import nearest_distance
from lodewell.md import run as md
from lodewell.md.run import State
from lodewell.md.timestep import sensible_step
from lodewell.potentials.base import Potential

_ATOMS = 64
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
    if not atoms.pbc.all():
        raise BadCrystal("the run needs a crystal that is periodic in three directions")
    cell = repeated(atoms, _ATOMS)
    rng = np.random.default_rng(seed)
    cell.calc = potential.calculator()
    step = sensible_step(potential, cell)
    md.thermalise(cell, 2.0 * kinetic, rng)  # half of it goes into the bonds
    watched = _Watch(cell, kinetic, nearest_distance(atoms), seconds)
    md.run(cell, md.langevin(cell, step, kinetic, rng), steps // 3, every=_EVERY, watch=watched.heating)
    if not watched.blown_up:
        md.bring_to_rest(cell)
        md.run(cell, md.constant_energy(cell, step), steps, every=_EVERY, watch=watched.free)
    return watched.summary(step)


class _Watch:
    """The atoms, what is recorded of them, and when to stop."""

    def __init__(self, cell: Atoms, wanted: float, nearest: float, seconds: float) -> None:
        self.cell, self.wanted, self.nearest, self.seconds = cell, wanted, nearest, seconds
        self.start = time.perf_counter()
        self.sites_nc = cell.positions.copy()
        self.kinetic: list[float] = []
        self.energy: list[float] = []
        self.closest = np.inf
        self.blown_up = ""

    def heating(self, state: State) -> bool:
        """Tell whether to end: it went wrong, or heating has taken its share of the time."""
        self.judge(state.kinetic, state.energy)
        return bool(self.blown_up) or self._spent > 0.4 * self.seconds

    def free(self, state: State) -> bool:
        """Record the state, and tell whether to end; two records at least make a slope."""
        self.kinetic.append(state.kinetic)
        self.energy.append(state.energy)
        self.judge(state.kinetic, state.energy)
        return bool(self.blown_up) or (self._spent > self.seconds and len(self.energy) != 1)

    @property
    def _spent(self) -> float:
        return time.perf_counter() - self.start

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
