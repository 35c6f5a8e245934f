"""What an evaluation costs: contenders timed in turns, on one thread, on the same cell."""

from __future__ import annotations

import logging
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TypeAlias

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Batch
from lodewell.potentials.base import Potential, spatial_order

logger = logging.getLogger(__name__)

_SKIN = 0.5  # Å
_STIR = 0.02  # Å, how far atoms are moved at random before each evaluation
_LEAST, _MOST = 5, 25  # rounds

_Way: TypeAlias = tuple[str, str]  # of being asked, and the name of the contender


@dataclass(frozen=True)
class Cost:
    """What one evaluation of energy, forces and virial took.

    Attributes:
        us_per_atom: median over the rounds, µs an atom: atoms moved a little, the neighbour list kept with a skin, as
            in dynamics.
        fresh_us_per_atom: likewise with a new neighbour list each time; None for calculators, which keep their own.
        spread: slowest minus fastest round over the median.
        rounds: how many.
        atoms: in the cell.
    """

    us_per_atom: float
    fresh_us_per_atom: float | None
    spread: float
    rounds: int
    atoms: int


def costs(potentials: Mapping[str, Potential], cell: Atoms, *, seconds: float = 3.0, seed: int = 0) -> dict[str, Cost]:
    """Time potentials in turns, A B C A B C ..., after one call each that warms them up; those that fail are left out.

    Args:
        potentials: by name.
        cell: what is evaluated; its atoms are moved by a few hundredths of an Å before each call.
        seconds: after which a contender is not asked again, once it has had five rounds.
        seed: of the motion.
    """
    steppers = {name: _stepper(p, cell, np.random.default_rng(seed)) for name, p in potentials.items()}
    fresh = {name: f for name, p in potentials.items() if (f := _fresh(p, cell)) is not None}
    contenders = {("step", n): f for n, f in steppers.items()} | {("fresh", n): f for n, f in fresh.items()}
    with one_thread():
        times = _race(contenders, seconds)
    n = 1e-6 * len(cell)
    out = {}
    for name in potentials:
        if ("step", name) not in times:
            continue
        runs = times["step", name]
        middle = statistics.median(runs)
        new = times.get(("fresh", name))
        spread = (max(runs) - min(runs)) / middle
        out[name] = Cost(middle / n, statistics.median(new) / n if new else None, spread, len(runs), len(cell))
    return out


def _race(
    contenders: Mapping[tuple[str, str], Callable[[], object]], seconds: float
) -> dict[tuple[str, str], list[float]]:
    times: dict[_Way, list[float]] = {}
    for name, function in contenders.items():
        try:
            function()
        except Exception:  # calculators of others raise anything
            logger.warning("%s cannot compute the cell that is timed", name[1], exc_info=True)
        else:
            times[name] = []
    for _ in range(_MOST):
        left = [n for n, runs in times.items() if len(runs) < _LEAST or sum(runs) < seconds]
        for name in left:
            start = time.perf_counter()
            contenders[name]()
            times[name].append(time.perf_counter() - start)
    return times


def _stepper(potential: Potential, cell: Atoms, rng: np.random.Generator) -> Callable[[], object]:
    """Return what dynamics does at each step: move, mend the neighbour list, compute."""
    if potential.behind is not None:
        atoms = cell.copy()
        atoms.calc = potential.behind
        places = cycle([cell.positions + rng.normal(0.0, _STIR, cell.positions.shape) for _ in range(8)])

        def ask() -> object:
            atoms.positions = next(places)
            return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()

        return ask
    batch = Batch.from_atoms(cell)
    batch = batch.permuted(spatial_order(batch))
    neighbours = potential.neighbours(batch, _SKIN)
    stirred = cycle([batch.positions_nc + rng.normal(0.0, _STIR, batch.positions_nc.shape) for _ in range(8)])

    def step() -> object:
        now = batch.moved(next(stirred))
        neighbours.update(now)
        return potential.compute(now, neighbours)

    return step


def _fresh(potential: Potential, cell: Atoms) -> Callable[[], object] | None:
    if potential.behind is not None:
        return None
    return lambda: potential.evaluate(cell)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep Numba and torch, where they are loaded, on one thread; BLAS listens to OMP_NUM_THREADS at start alone."""
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    torch = sys.modules.get("torch")
    torch_before = torch.get_num_threads() if torch is not None else 0
    if torch is not None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
        if torch is not None:
            torch.set_num_threads(torch_before)


def typical(crystals: Sequence[Atoms]) -> Atoms | None:
    """Return the crystal whose volume per atom is the median of those periodic all around, so that it is no slab."""
    periodic = [a for a in crystals if a.pbc.all()]
    volumes = [a.get_volume() / len(a) for a in periodic]
    if not periodic:
        return None
    return periodic[int(np.argsort(volumes, kind="stable")[(len(volumes) - 1) // 2])]


def processor() -> str:
    """Name the processor of this machine."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.processor() or platform.machine()
