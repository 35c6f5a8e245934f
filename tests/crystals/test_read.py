"""Every format through one door, streams, and the many ways in which input is bad."""

import gzip
import json
import lzma
import os
import pickle
import shutil
from pathlib import Path

import ase.io
import ase.test
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixScaled
from ase.db import connect

from lodewell.crystals import read
from lodewell.crystals.read import Record, chunks, read_crystals
from lodewell.crystals.write import write_crystals
from lodewell.errors import BadFile
from tests.crystals.same import assert_same_crystal

DATA = Path(__file__).parents[1] / "data"
ASE_DATA = Path(ase.test.__file__).parent / "testdata"


def one(path: Path) -> Atoms:
    (record,) = read_crystals(path)
    assert record.error is None, record.error
    assert record.atoms is not None
    return record.atoms


def refusal(path: Path) -> str:
    (record,) = read_crystals(path)
    assert record.atoms is None
    assert record.error is not None
    return record.error


def known() -> list[Atoms]:
    return [record.atoms for record in read_crystals(DATA / "materials-project.extxyz.gz") if record.atoms is not None]


def test_a_folder_is_read_in_order_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    silicon = bulk("Si")
    (tmp_path / "b").mkdir()
    for name in ("z.cif", "a.vasp", "b/POSCAR", "b/CONTCAR_relaxed", "m.xyz"):
        write_crystals(tmp_path / name, silicon)
    for name in ("notes.txt", "picture.png", "spp.lodewell", ".hidden.cif", "summary.json"):
        (tmp_path / name).write_text("no crystal")
    records = list(read_crystals(tmp_path))
    names = [os.path.relpath(record.file, tmp_path) for record in records]
    assert names == ["a.vasp", "m.xyz", "z.cif", "b/CONTCAR_relaxed", "b/POSCAR"]
    assert all(record.atoms is not None and len(record.atoms) == 2 for record in records)
    assert [os.path.basename(r.file) for r in read_crystals(str(tmp_path / "**" / "*CAR*"))] == [
        "CONTCAR_relaxed",
        "POSCAR",
    ]


@pytest.mark.parametrize("what", ["", "*.cif", "absent", "absent.cif"])
def test_nothing_to_read_is_said_at_once_with_the_formats(tmp_path: Path, what: str) -> None:
    with pytest.raises(BadFile, match=r"Read are CIF|read are CIF") as caught:
        list(chunks(str(tmp_path / what) if what else tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_chunks_travel_to_other_processes_and_keep_order_and_numbers(tmp_path: Path) -> None:
    crystals = known()
    write_crystals(tmp_path / "a.extxyz.gz", crystals)
    write_crystals(tmp_path / "b.db", crystals[:5])
    write_crystals(tmp_path / "c.json", crystals[:3])
    write_crystals(tmp_path / "d", crystals[:4], format="cif")
    recipes = [pickle.loads(pickle.dumps(chunk)) for chunk in chunks(tmp_path, size=4)]
    records = [record for recipe in recipes for record in recipe.read()]
    assert [record.error for record in records] == [None] * (len(crystals) + 5 + 3 + 4)
    count = len(crystals)
    assert [record.frame for record in records] == [*range(count), *range(5), *range(3), 0, 0, 0, 0]
    assert [str(r.atoms.info["id"]) for r in records[:count]] == [str(a.info["id"]) for a in crystals]
    assert all(len(recipe.read()) <= 4 for recipe in recipes if recipe.kind != "files")


def test_a_text_larger_than_memory_would_flow_through() -> None:
    recipes = list(chunks([DATA / "materials-project.extxyz.gz"] * 20, size=5))
    assert max(len(recipe.text) for recipe in recipes) < 20_000


@pytest.mark.parametrize("name", ["crystal.cif.gz", "POSCAR.gz", "some.vasp.xz", "x.json.bz2"])
def test_compressed_files_are_read_as_their_content(tmp_path: Path, name: str) -> None:
    import bz2

    plain = tmp_path / name.rsplit(".", 1)[0]
    write_crystals(plain, bulk("MgO", "rocksalt", a=4.2))
    press = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}[name.rsplit(".", 1)[1]]
    (tmp_path / name).write_bytes(press(plain.read_bytes()))
    assert one(tmp_path / name).get_chemical_formula() == "MgO"


def test_glued_gzip_files_are_one(tmp_path: Path) -> None:
    text = (DATA / "cod.extxyz").read_bytes()
    (tmp_path / "two.extxyz.gz").write_bytes(gzip.compress(text) + gzip.compress(text))
    assert len(list(read_crystals(tmp_path))) == 2 * len(list(read_crystals(DATA / "cod.extxyz")))


@pytest.mark.parametrize("name", ["cod_9001665.cif", "cod_9017338.cif"])
def test_symmetric_cif_is_what_pymatgen_and_ase_make_of_it(name: str) -> None:
    from pymatgen.core import Structure

    atoms = one(DATA / name)
    assert str(atoms.info["id"]) == name[4:-4]
    reference = Structure.from_file(DATA / name)
    assert len(atoms) == len(reference)
    assert atoms.get_volume() == pytest.approx(reference.volume, rel=1e-9)
    mine = sorted(np.round(atoms.get_all_distances(mic=True).ravel(), 6))
    theirs = sorted(np.round(reference.distance_matrix.ravel(), 6))
    np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert_same_crystal(atoms, ase.io.read(DATA / name), tolerance=1e-3)


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib's, met by pymatgen
def test_symmetric_cifs_written_by_pymatgen_come_back_whole(tmp_path: Path) -> None:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.io.cif import CifWriter

    crystals = known()
    for i, atoms in enumerate(crystals):
        CifWriter(AseAtomsAdaptor.get_structure(atoms), symprec=0.01).write_file(tmp_path / f"{i:02d}.cif")
    matcher = StructureMatcher(primitive_cell=True)
    for atoms, record in zip(crystals, read_crystals(tmp_path), strict=True):
        assert record.atoms is not None, record.error
        ratio = len(record.atoms) / len(atoms)
        assert record.atoms.get_volume() / atoms.get_volume() == pytest.approx(ratio, rel=1e-4)
        assert matcher.fit(AseAtomsAdaptor.get_structure(record.atoms), AseAtomsAdaptor.get_structure(atoms))


CIF = """data_test
_cell_length_a 4.0(1)
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Li1 Li1+ 0.0 0.0 0.0 1
O1 O2- 0.5 0.5 0.5(2) 1.0
"""


def test_cif_numbers_with_errors_and_charged_types(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(CIF)
    atoms = one(tmp_path / "a.cif")
    assert atoms.get_chemical_formula(mode="reduce") == "LiO"
    np.testing.assert_allclose(atoms.positions[1], [2, 2, 2])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("0.5(2) 1.0", "0.5 0.75", r"site O1 is partially occupied \(O2- 0.75\)"),
        ("0.5(2) 1.0", "? 1.0", r"a coordinate of site O1 is '\?'"),
        ("O1 O2-", "Q1 Zz", "site Q1 holds 'Zz', which is no element"),
        ("_cell_length_b 4.0", "", "_cell_length_b is missing"),
        ("_cell_length_b 4.0", "_cell_length_b 0", "out of range"),
        ("alpha 90\n_cell_angle_beta 90", "alpha 30\n_cell_angle_beta 30", "close no cell"),
        ("0.5(2) 1.0", "nan 1.0", "position of atom 2 is not a finite number"),
        (CIF[-70:], "", "cut short"),
        (CIF[-9:], "", "cut short"),
        (CIF, "", "empty"),
        (CIF, "data_x\n_publ_title 'nothing here'\n", "no block"),
        ("'P 1'", "'Q 17 x'", "space group 'Q 17 x' is none of those known"),
    ],
)
def test_a_bad_cif_says_what_is_wrong_and_the_run_goes_on(tmp_path: Path, old: str, new: str, reason: str) -> None:
    import re

    (tmp_path / "a.cif").write_text(CIF.replace(old, new))
    (tmp_path / "b.cif").write_text(CIF)
    first, second = read_crystals(tmp_path)
    assert first.atoms is None
    assert re.search(reason, first.error or ""), first.error
    assert second.atoms is not None


def test_one_bad_block_of_a_cif_costs_itself(tmp_path: Path) -> None:
    bad = CIF.replace("data_test", "data_bad").replace("0.5(2) 1.0", "0.5 0.5")
    (tmp_path / "a.cif").write_text(CIF + bad + CIF.replace("data_test", "data_last"))
    records = list(read_crystals(tmp_path))
    assert [record.frame for record in records] == [0, 1, 2]
    assert "data_bad: site O1" in (records[1].error or "")
    assert records[2].atoms is not None
    assert records[2].atoms.info["id"] == "last"


def test_a_cif_may_only_name_its_group(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(CIF.replace("'P 1'", "'F m -3 m'"))
    assert one(tmp_path / "a.cif").get_chemical_formula() == "Li4O4"


@pytest.mark.parametrize(
    "name", ["a.cif", "a.vasp", "a.res", "a.cell", "a.json", "OUTCAR", "a.castep", "vasprun.xml", "a.xyz"]
)
@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0\0binary\xff\xfe" * 50, b"hello\n", b"", b"{\n", b"5\n" * 9]
)
def test_any_format_survives_any_content(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    records = list(read_crystals(tmp_path / name))
    assert records
    assert all(record.atoms is None and record.error for record in records)


def test_huge_files_are_refused_before_they_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "LARGEST_FILE", 2000)
    (tmp_path / "a.cif").write_text(CIF * 20)
    assert "split it" in refusal(tmp_path / "a.cif")


def test_a_gz_cut_short_gives_what_was_whole_and_says_so(tmp_path: Path) -> None:
    crystals = known()
    write_crystals(tmp_path / "a.extxyz.gz", crystals * 40)
    data = (tmp_path / "a.extxyz.gz").read_bytes()
    (tmp_path / "a.extxyz.gz").write_bytes(data[: len(data) // 2])
    records = list(read_crystals(tmp_path))
    assert len(records) > 10
    assert all(record.atoms is not None for record in records[:10])
    assert "cut short" in (records[-1].error or "")
    write_crystals(tmp_path / "a.cif.gz", crystals[0])
    data = (tmp_path / "a.cif.gz").read_bytes()
    (tmp_path / "a.cif.gz").write_bytes(data[:-9])
    assert "cut short" in refusal(tmp_path / "a.cif.gz")
    (tmp_path / "a.cif.gz").write_bytes(b"no gzip at all")
    assert "damaged" in refusal(tmp_path / "a.cif.gz")


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity"])
def test_positions_that_are_no_numbers(tmp_path: Path, value: str) -> None:
    text = f'1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nH 0 0 {value}\n'
    (tmp_path / "a.xyz").write_text(text + text.replace(value, "0"))
    bad, good = read_crystals(tmp_path)
    assert "position of atom 1" in (bad.error or "")
    assert good.atoms is not None


def test_poscar_dialects(tmp_path: Path) -> None:
    base = "title\n{scale}\n4 0 0\n0 4 0\n0 0 4\n{species}1 1\n{kind}\n0 0 0{flags}\n{x} {x} {x}{flags}\n"
    plain = {"scale": "1.0", "species": "Na Cl\n", "kind": "Direct", "x": 0.5, "flags": ""}

    def made(**change: object) -> Atoms:
        (tmp_path / "POSCAR").write_text(base.format(**plain | change))
        return one(tmp_path / "POSCAR")

    reference = made()
    assert reference.get_chemical_symbols() == ["Na", "Cl"]
    np.testing.assert_allclose(reference.positions[1], 2)
    np.testing.assert_allclose(made(scale="2.0").positions[1], 4)
    assert made(scale="-100").get_volume() == pytest.approx(100)
    np.testing.assert_allclose(made(scale="1 2 3").cell.lengths(), [4, 8, 12])
    np.testing.assert_allclose(made(kind="Cartesian", x=2.0, scale="1.5").positions[1], 3)
    assert made(species="Na_pv Cl/1a2b\n").get_chemical_symbols() == ["Na", "Cl"]
    held = made(kind="Selective dynamics\nDirect", flags=" T F .FALSE.")
    assert [type(c) for c in held.constraints] == [FixScaled, FixScaled]
    assert held.constraints[0].mask.tolist() == [False, True, True]
    held = made(kind="Selective\nDirect", flags=" F F F")
    assert isinstance(held.constraints[0], FixAtoms)
    assert held.constraints[0].index.tolist() == [0, 1]
    ase_held = ase.io.read(tmp_path / "POSCAR")
    assert repr(ase_held.constraints) == repr(held.constraints)
    (tmp_path / "POSCAR").write_text(base.format(**plain | {"species": ""}).replace("title", "Na Cl"))
    assert one(tmp_path / "POSCAR").get_chemical_symbols() == ["Na", "Cl"]
    (tmp_path / "POSCAR").write_text(base.format(**plain | {"species": ""}))
    assert "add a line of symbols" in refusal(tmp_path / "POSCAR")
    (tmp_path / "POSCAR").write_text(base.format(**plain)[:-12])
    assert "line" in refusal(tmp_path / "POSCAR")


@pytest.mark.filterwarnings("ignore::UserWarning")  # of ASE's reader, when called by the test itself
@pytest.mark.skipif(not ASE_DATA.is_dir(), reason="ASE was installed without its test data")
def test_calculations_give_their_last_frame_and_its_labels(tmp_path: Path) -> None:
    outcar, vasprun = ASE_DATA / "vasp" / "OUTCAR_example_1", ASE_DATA / "vasp" / "vasprun_pstress.xml"
    castep = ASE_DATA / "castep" / "md.castep"
    for path, form in ((outcar, "vasp-out"), (vasprun, "vasp-xml"), (castep, "castep-castep")):
        atoms, reference = one(path), ase.io.read(path, index=-1, format=form)
        np.testing.assert_allclose(atoms.positions, reference.positions)
        assert atoms.get_potential_energy() == reference.get_potential_energy()
        np.testing.assert_allclose(atoms.get_forces(), reference.get_forces())
        pickle.loads(pickle.dumps(atoms))
    with gzip.open(tmp_path / "OUTCAR.gz", "wb") as packed, open(outcar, "rb") as plain:
        shutil.copyfileobj(plain, packed)
    assert one(tmp_path / "OUTCAR.gz").get_potential_energy() == one(outcar).get_potential_energy()


def test_database_rows_bring_their_keys(tmp_path: Path) -> None:
    with connect(tmp_path / "a.db") as database:
        database.write(bulk("Si"), gap=1.1, data={"id": "si-1"})
        database.write(molecule("H2O"))
    first, second = read_crystals(tmp_path)
    assert first.atoms is not None
    assert second.atoms is not None
    assert first.atoms.info["id"] == "si-1"
    assert first.atoms.info["gap"] == 1.1
    assert not second.atoms.pbc.any()
    (tmp_path / "a.db").write_bytes(b"SQLite format 3\0 and then nothing" * 9)
    assert "cut short" in refusal(tmp_path / "a.db")


def test_trajectories(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.traj", [bulk("Si"), bulk("Ge")])
    assert [r.atoms.get_chemical_formula() for r in read_crystals(tmp_path)] == ["Si2", "Ge2"]
    data = (tmp_path / "a.traj").read_bytes()
    (tmp_path / "a.traj").write_bytes(data[:100])
    assert "cut short" in refusal(tmp_path / "a.traj")


def test_large_json_gives_the_same_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crystals = known()
    for name in ("a.json", "a.optimade.json", "a.jarvis.json"):
        write_crystals(tmp_path / name, crystals)
    documents = json.loads((tmp_path / "a.json").read_text())
    table = {entry["material_id"]: entry["structure"] for entry in documents}
    (tmp_path / "table.json").write_text(json.dumps(table, indent=2))
    whole = list(read_crystals(tmp_path))
    monkeypatch.setattr(read, "LARGE_JSON", 1000)
    pieces = [record for chunk in chunks(tmp_path, size=4) for record in chunk.read()]
    assert len(whole) == len(pieces) == 4 * len(crystals)
    for a, b in zip(whole, pieces, strict=True):
        assert (a.file, a.frame, a.error) == (b.file, b.frame, b.error)
        assert a.atoms == b.atoms
        assert a.atoms.info == b.atoms.info
    text = (tmp_path / "a.json").read_bytes()
    (tmp_path / "a.json").write_bytes(text[: len(text) // 2])
    records = list(read_crystals(tmp_path / "a.json"))
    assert records[0].atoms is not None
    assert "cut short" in (records[-1].error or "")


def test_explicit_paths_are_read_by_content_when_the_name_says_nothing(tmp_path: Path) -> None:
    for name in ("x.cif", "x.vasp", "x.extxyz", "x.json", "x.db"):
        write_crystals(tmp_path / name, bulk("Si"))
        (tmp_path / name).rename(tmp_path / "mystery.dat")
        assert one(tmp_path / "mystery.dat").get_chemical_formula() == "Si2"
    (tmp_path / "mystery.dat").write_text("a shopping list\n")
    assert "neither the name nor the content" in refusal(tmp_path / "mystery.dat")


def test_a_record_is_atoms_or_error() -> None:
    for record in read_crystals([DATA / "cod.extxyz", DATA / "silicon-labelled.extxyz"]):
        assert isinstance(record, Record)
        assert (record.atoms is None) != (record.error is None)


def test_a_missing_path_is_met_before_anything_is_read(tmp_path: Path) -> None:
    write_crystals(tmp_path / "a.cif", bulk("Si"))
    with pytest.raises(BadFile, match="absent"):
        next(chunks([tmp_path / "a.cif", tmp_path / "absent.cif"], size=1))


def test_renamed_gzip_a_byte_order_mark_and_ase_json(tmp_path: Path) -> None:
    write_crystals(tmp_path / "a.extxyz", [bulk("Si"), bulk("Ge")])
    text = (tmp_path / "a.extxyz").read_bytes()
    (tmp_path / "a.extxyz").write_bytes(gzip.compress(text))
    (tmp_path / "b.extxyz").write_bytes(b"\xef\xbb\xbf" + text)
    ase.io.write(tmp_path / "c.json", [bulk("Si"), bulk("Ge")])
    records = list(read_crystals(tmp_path))
    assert [r.atoms.get_chemical_formula() for r in records if r.atoms is not None] == ["Si2", "Ge2"] * 3
