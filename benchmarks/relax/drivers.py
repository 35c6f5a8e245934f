"""Relaxing: crystals a second against ASE and TorchSim.

    python -m benchmarks.relax.drivers [--torchsim-python VENV/bin/python]

20 copper atoms in a Morse potential cut at 6 Å, rattled by 0.1 Å and strained by up to 3 %, cell free, until every
force is below 0.01 eV/Å; one thread. ASE drives lodewell's own calculator, so that only the driver differs. TorchSim
needs PyTorch, so it may live in an environment of its own.
"""

from __future__ import annotations

from benchmarks.harness import busy, one_thread, race, report

one_thread()

import argparse  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.filters import FrechetCellFilter  # noqa: E402
from ase.io import write  # noqa: E402
from ase.optimize import FIRE, LBFGS, BFGSLineSearch  # noqa: E402

import lodewell  # noqa: E402

FMAX = 0.01
DEPTH, ALPHA, R0, CUTOFF = 0.34, 1.36, 2.87, 6.0
SAME = 1e-3  # eV/atom within which two minima count as one


def shaken(atoms: Atoms, rng: np.random.Generator, rattle: float = 0.1, strain: float = 0.03) -> Atoms:
    """Strain the cell by up to `strain` in every component, and move atoms by `rattle` Å (root mean square)."""
    out = atoms.copy()
    random = rng.uniform(-strain, strain, (3, 3))
    out.set_cell(out.cell.array @ (np.eye(3) + 0.5 * (random + random.T)), scale_atoms=True)
    out.positions += rng.normal(0.0, rattle / np.sqrt(3.0), out.positions.shape)
    return out


def by_ase(crystals: list[Atoms], potential: lodewell.Potential, optimizer: type) -> list[float]:
    """Return the relaxed energies per atom."""
    energies = []
    for start in crystals:
        atoms = start.copy()
        atoms.calc = potential.calculator()
        with optimizer(FrechetCellFilter(atoms), logfile=None) as run:
            run.run(fmax=FMAX, steps=1000)
        energies.append(float(atoms.get_potential_energy()) / len(atoms))
    return energies


def by_torchsim(python: str, crystals: list[Atoms]) -> dict[str, object]:
    """Relax in the other environment; return rate, version and energies."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crystals.extxyz"
        write(path, crystals)
        script = Path(__file__).with_name("torchsim.py")
        words = [python, "-P", str(script), str(path), *map(str, (DEPTH, ALPHA, R0, CUTOFF, FMAX))]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return {}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def morse(count: int, for_ase: int, torchsim: str | None) -> None:
    """Run the contenders and report."""
    rng = np.random.default_rng(0)
    crystals = [shaken(bulk("Cu", "fcc", a=3.6, cubic=True) * (5, 1, 1), rng) for _ in range(count)]
    potential = lodewell.Morse({"Cu-Cu": (DEPTH, ALPHA, R0)}, cutoff=CUTOFF)
    few = crystals[:for_ase]
    found: dict[str, list[float]] = {}

    def ours() -> None:
        results = lodewell.relax(crystals, potential, fmax=FMAX, duplicates=False)
        assert all(r.status == "converged" for r in results)
        found["lodewell"] = [float(r.energy_per_atom or 0.0) for r in results]

    def theirs(name: str, optimizer: type) -> Callable[[], None]:
        def run() -> None:
            found[name] = by_ase(few, potential, optimizer)

        return run

    timings = race({"lodewell": ours}, 5)
    names = {"ASE FIRE": FIRE, "ASE LBFGS": LBFGS, "ASE BFGSLineSearch": BFGSLineSearch}
    timings |= race({name: theirs(name, kind) for name, kind in names.items()}, 1, warm_up=False)
    rate = {name: (count if name == "lodewell" else for_ase) / t.cpu_seconds for name, t in timings.items()}
    wall = {name: (count if name == "lodewell" else for_ase) / t.seconds for name, t in timings.items()}
    if torchsim:
        other = by_torchsim(torchsim, crystals[:256])
        if other:
            name = f"TorchSim {other['version']}, CPU, batch 256"
            rate[name], wall[name] = float(other["rate"]), float(other["wall_rate"])  # type: ignore[arg-type]
            found[name] = list(other["energies"])  # type: ignore[call-overload]
    mine = np.array(found["lodewell"])
    rows = []
    for name, value in rate.items():
        energy = np.array(found[name])
        apart = energy - mine[: len(energy)]
        same = "" if name == "lodewell" else (
            f"{(np.abs(apart) < SAME).sum()} of {len(apart)}; "
            f"higher {(apart >= SAME).sum()}, lower {(apart <= -SAME).sum()}"
        )  # fmt: skip
        if name.startswith("TorchSim"):  # another potential beyond the last Ångström: compared with its own best
            same = f"{(energy - energy.min() < SAME).sum()} of {len(energy)} with its own lowest"
        rows.append([name, f"{value:,.3g}", f"{wall[name]:,.3g}", f"{rate['lodewell'] / value:,.3g}", same])
    report(
        "relax",
        "Relaxing a 20-atom Morse cell, cell free, to 0.01 eV/Å",
        ["driver", "crystals a second of processor", "crystals a second of wall time", "lodewell is faster by",
         "minima that agree with lodewell's"],
        rows,
        f"One thread; {count} crystals for lodewell through `lodewell.relax(list_of_atoms, potential)`, {for_ase} for "
        "ASE with the Fréchet cell filter and lodewell's calculator. TorchSim cuts the potential sharply, which moves "
        "its energies. " + busy(),
    )  # fmt: skip


def main() -> None:
    """Read what was asked for, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1024)
    parser.add_argument("--for-ase", type=int, default=12)
    parser.add_argument("--torchsim-python")
    given = parser.parse_args()
    morse(given.count, given.for_ase, given.torchsim_python)


if __name__ == "__main__":
    main()
