"""The page on adding a family, run as it stands: one row, one module, and every command knows it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from lodewell import LennardJones

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r'^```(python|bash|toml)(?: title="([\w.]+)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)
ARGON = LennardJones({"Ar-Ar": (0.0104, 3.40)}, 7.0)


def frame(k: int):
    rng = np.random.default_rng(k)
    atoms = bulk("Ar", "fcc", a=5.0 + 0.04 * k, cubic=True) * (2, 1, 1)
    atoms.positions += rng.normal(0.0, 0.15, atoms.positions.shape)
    atoms.calc = ARGON.calculator()
    found = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **found)
    return atoms


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the module, the entry point as pip would leave it, and data."""
    folder = tmp_path_factory.mktemp("extending")
    files = {name: text for _, name, text in BLOCK.findall(PAGE) if name}
    (folder / "nine_six.py").write_text(files["nine_six.py"])
    installed = folder / "nine_six-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: nine-six\nVersion: 1.0\n")
    group, line = files["pyproject.toml"].splitlines()
    name, place_of_row = (part.strip(' "') for part in line.split("="))
    assert '"lodewell.families"' in group
    (installed / "entry_points.txt").write_text(f"[lodewell.families]\n{name} = {place_of_row}\n")
    write(folder / "frames.extxyz", [frame(k) for k in range(12)])
    write(folder / "others.extxyz", [frame(k) for k in range(20, 26)])
    write(folder / "crystals.extxyz", [bulk("Ar", "fcc", a=5.1), bulk("Ar", "hcp", a=3.7)])
    return folder


@pytest.fixture(scope="module")
def run(place):
    def go(command: list[str]) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        search = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            command, check=False, cwd=place, env=os.environ | {"PATH": path, "PYTHONPATH": search}, capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    return go


def test_the_page_does_what_it_says(place, run):
    blocks = [(language, text) for language, name, text in BLOCK.findall(PAGE) if not name]
    assert [language for language, _ in blocks] == ["bash", "python"]
    said = {}
    for line in blocks[0][1].splitlines():
        said[line.split()[1]] = run([sys.executable, "-m", "lodewell.cli", *line.split()[1:]])
    summary = json.loads((place / "argon.summary.json").read_text())
    assert summary["command"] == "fit nine-six"
    assert summary["options"]["cutoff"] == 5.5
    a, b = summary["results"]["parameters"]["Ar-Ar"]
    assert a > 0.0 < b
    assert "Mie potential" in (place / "compare.svg").read_text()
    assert "Körper" in said["cite"]
    assert json.loads((place / "relaxed" / "summary.json").read_text())["results"]["counts"] == {"converged": 2}
    assert (place / "curve.png").stat().st_size > 10_000
    assert any("pair_style" in path.read_text() for path in (place / "for-lammps").iterdir())
    assert "nine-six" in said["list"]
    energy, laws, status = run([sys.executable, "-c", blocks[1][1]]).splitlines()
    assert -0.4 < float(energy) < 0.0  # eV an atom
    errors = json.loads(
        run([sys.executable, "-m", "lodewell.cli", "test", "argon.lodewell", "others.extxyz", "--json"])
    )
    mean = np.mean([np.abs(frame(k).get_forces()).mean() for k in range(20, 26)])
    assert errors["force"]["mae"] < 0.5 * mean  # it has another form than what made the labels
    assert laws == "[]"
    assert status == "converged"


def test_the_commands_know_its_name(run):
    assert "nine-six" in run([sys.executable, "-m", "lodewell.cli", "fit", "--help"])
    assert "--cutoff" in run([sys.executable, "-m", "lodewell.cli", "fit", "nine-six", "--help"])


def test_a_family_that_cannot_be_imported_harms_nobody(place, run):
    entry = place / "nine_six-1.0.dist-info" / "entry_points.txt"
    text = entry.read_text()
    entry.write_text(text + "broken = nowhere_at_all:FAMILY\n")
    try:
        assert "nine-six" in run([sys.executable, "-m", "lodewell.cli", "fit", "--help"])
    finally:
        entry.write_text(text)


def test_registered_families_take_no_name_that_is_taken():
    from lodewell.errors import BadOption
    from lodewell.potentials.families import Family, families, register

    register(families()["uf"])  # saying the same twice does nothing
    with pytest.raises(BadOption, match="choose another kind"):
        register(Family("uf", "nine_six:NineSix", "another"))
