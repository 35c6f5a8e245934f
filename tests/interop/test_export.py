"""GULP libraries and CSV files hold the curves in the layout their readers expect."""

import os

import numpy as np
import pytest

import lodewell
from lodewell import LennardJones
from lodewell.errors import BadFile, BadOption, UnsupportedElement


def test_gulp_library_layout(table, tmp_path):
    files = lodewell.export(table.in_eV(0.5), to="gulp", elements="Na,O", out=tmp_path)
    assert sorted(str(f.relative_to(tmp_path)) for f in files) == ["NA-NA/NA-NA.POT", "NA-O/NA-O.POT", "O-O/O-O.POT"]
    header, atoms, *rows = (tmp_path / "NA-O" / "NA-O.POT").read_text().splitlines()
    assert header.split() == ["spline", "cubic", "reverse"]  # reverse: distance first
    assert atoms == "Na core O core 0.0 0.0 6"
    r, u = np.array([row.split() for row in rows], dtype=float).T
    assert r == pytest.approx(table.r_k, abs=1e-6)
    assert u == pytest.approx(0.5 * table.u_pk[table.index("Na-O")], rel=1e-6, abs=1e-8)


def test_csv_columns(table, tmp_path):
    files = lodewell.export(table.in_eV(2.0), to="csv", elements=["Na", "Cl"], out=tmp_path / "new" / "folder")
    assert sorted(f.name for f in files) == ["Cl-Cl.csv", "Cl-Na.csv", "Na-Na.csv"]
    path = tmp_path / "new" / "folder" / "Cl-Na.csv"
    assert path.read_text().splitlines()[0] == "r_A,U,standard_error"
    r, u, error = np.loadtxt(path, delimiter=",", skiprows=1).T
    p = table.index("Na-Cl")
    assert r == pytest.approx(table.r_k, abs=1e-5)
    assert u == pytest.approx(2.0 * table.u_pk[p], rel=1e-6, abs=1e-8)
    assert error == pytest.approx(2.0 * table.evidence.error_pk[p], rel=1e-5)


def test_curves_of_a_class_are_exported_when_asked(table, resolved, tmp_path):
    p = table.index("Li-O")
    for variant, factor in ((None, 1.0), ("oxide", 3.0), ("sulfide", 1.0)):
        lodewell.export(resolved, to="csv", elements="Li,O", out=tmp_path, variant=variant)
        u = np.loadtxt(tmp_path / "Li-O.csv", delimiter=",", skiprows=1)[:, 1]
        assert u == pytest.approx(factor * table.u_pk[p], rel=1e-6, abs=1e-8)


def test_other_pair_potentials_have_no_error(tmp_path):
    model = LennardJones({"Ar-Ar": (0.01, 3.4)}, cutoff=8.0)
    (path,) = lodewell.export(model, to="csv", out=tmp_path)
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    assert all(row[2] == "" for row in rows)
    r, u = np.array([row[:2] for row in rows], dtype=float).T
    assert u == pytest.approx(model.curve("Ar-Ar", r)[0], rel=1e-6, abs=1e-12)


def test_refusals(table, tmp_path):
    with pytest.raises(UnsupportedElement, match="no curve for Au"):
        lodewell.export(table, to="csv", elements="Li,Au", out=tmp_path)
    with pytest.raises(BadOption, match="choose one of lammps, quip, gulp, csv"):
        lodewell.export(table, to="vasp", out=tmp_path)
    with pytest.raises(BadFile, match="no potential"):
        lodewell.export("no-such-table", to="csv", out=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFile, match="choose another"):
        lodewell.export(table, to="csv", elements="Li", out=tmp_path / "file" / "folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(table, tmp_path):
    tmp_path.chmod(0o500)
    for to in ("lammps", "gulp", "csv"):
        with pytest.raises(BadFile, match="does not let you write"):
            lodewell.export(table, to=to, elements="Li", out=tmp_path)
    tmp_path.chmod(0o700)
