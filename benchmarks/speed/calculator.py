"""Energy, forces and stress through ASE calculators, 20 atoms that move a little between calls; about half a minute."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.harness import one_thread, race, report

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.calculators.lj import LennardJones as AseLennardJones  # noqa: E402

from lodewell import LennardJones, PairTable  # noqa: E402

CUTOFF, EPSILON, SIGMA = 6.0, 0.4, 2.3
CALLS = 20


def calculators() -> dict[str, Any]:
    """Return the same Lennard-Jones copper by several hands."""
    formula = LennardJones({"Cu-Cu": (EPSILON, SIGMA)}, CUTOFF, switch=0.0)
    r = np.linspace(1.5, CUTOFF, 1000)
    switched = LennardJones({"Cu-Cu": (EPSILON, SIGMA)}, CUTOFF)
    out: dict[str, Any] = {
        "lodewell, Lennard-Jones": formula.calculator(),
        "lodewell, pair table": PairTable({"Cu-Cu": (r, switched.curve("Cu-Cu", r)[0])}).calculator(),
    }
    try:
        pair = import_module("matscipy.calculators.pair_potential")
        form = import_module("matscipy.calculators.pair_potential.calculator").LennardJonesCut(EPSILON, SIGMA, CUTOFF)
        out["matscipy, Lennard-Jones"] = pair.PairPotential({(29, 29): form})
    except ImportError:
        pass
    return out | {"ASE, Lennard-Jones": AseLennardJones(epsilon=EPSILON, sigma=SIGMA, rc=CUTOFF, ro=CUTOFF - 1e-6)}


def moving(calculator: Any) -> Callable[[], None]:
    """Return a function that moves the atoms and asks for energy, forces and stress, CALLS times."""
    atoms = bulk("Cu", "fcc", a=3.61, cubic=True) * (5, 1, 1)
    atoms.calc = calculator
    rng = np.random.default_rng(0)
    places = itertools.cycle([atoms.positions + rng.normal(0, 0.03, (len(atoms), 3)) for _ in range(50)])

    def run() -> None:
        for _ in range(CALLS):
            atoms.positions[:] = next(places)
            ask(atoms)

    return run


def ask(atoms: Atoms) -> tuple[float, Any, Any]:
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


def main() -> None:
    """Measure and report."""
    timings = race({name: moving(c) for name, c in calculators().items()}, runs=60)
    least = timings["lodewell, Lennard-Jones"].cpu_seconds
    report(
        "calculator",
        "Energy, forces and stress of 20 atoms through ASE calculators",
        ["calculator", "ms", "of lodewell's"],
        [[n, f"{t.cpu_seconds / CALLS * 1e3:.3f}", f"{t.cpu_seconds / least:.1f}"] for n, t in timings.items()],
        "Copper, cutoff 6 Å, atoms moved by some 0.03 Å between calls, so that lodewell's skin of 0.5 Å keeps its "
        "neighbours; median of processor time over interleaved runs on one thread.",
        milliseconds={n: [1e3 * s / CALLS for s in t.runs] for n, t in timings.items()},
    )


if __name__ == "__main__":
    main()
