"""pymatgen's JSON against pymatgen."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms
from pymatgen.core import Lattice, Molecule, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from lodewell.crystals.read import Record, read_crystals
from lodewell.crystals.write import write_crystals

DATA = Path(__file__).parents[2] / "data"


def crystals() -> list[Atoms]:
    return [r.atoms for r in read_crystals(DATA / "materials-project.extxyz.gz") if r.atoms is not None]


def read(tmp_path: Path, document: object) -> list[Record]:
    (tmp_path / "a.json").write_text(json.dumps(document))
    return list(read_crystals(tmp_path / "a.json"))


def test_structures_of_pymatgen_are_read_to_the_last_digit(tmp_path: Path) -> None:
    structures = [AseAtomsAdaptor.get_structure(atoms) for atoms in crystals()]
    for structure, record in zip(structures, read(tmp_path, [s.as_dict() for s in structures]), strict=True):
        assert record.atoms is not None, record.error
        np.testing.assert_allclose(record.atoms.positions, structure.cart_coords, atol=1e-10)
        np.testing.assert_array_equal(record.atoms.cell.array, structure.lattice.matrix)
        assert record.atoms.get_chemical_symbols() == [site.specie.symbol for site in structure]


def test_pymatgen_reads_what_is_written(tmp_path: Path) -> None:
    for atoms in crystals():
        write_crystals(tmp_path / "one.json", atoms)
        structure = Structure.from_file(tmp_path / "one.json")
        np.testing.assert_allclose(structure.cart_coords, atoms.positions, atol=1e-10)
        assert structure.properties["id"] == atoms.info["id"]
    write_crystals(tmp_path / "molecule.json", molecule("C2H6"))
    assert Molecule.from_file(tmp_path / "molecule.json").composition.reduced_formula == "H3C"


@pytest.mark.parametrize("shape", ["one", "list", "response", "table"])
def test_documents_of_the_materials_project(tmp_path: Path, shape: str) -> None:
    structure = AseAtomsAdaptor.get_structure(bulk("Si")).as_dict()
    entry = {"material_id": "mp-149", "energy_above_hull": 0.0, "structure": structure, "fields_not_requested": ["x"]}
    document: object = {
        "one": entry,
        "list": [entry, entry],
        "response": {"data": [entry], "meta": {"total_doc": 1}},
        "table": {"mp-149": structure},
    }[shape]
    for record in read(tmp_path, document):
        assert record.atoms is not None, record.error
        assert record.atoms.info["id"] == "mp-149"
        if shape != "table":
            assert record.atoms.info["energy_above_hull"] == 0.0


def test_what_a_document_states_in_plain_values_is_kept(tmp_path: Path) -> None:
    structure = AseAtomsAdaptor.get_structure(bulk("Si")).as_dict()
    kept = {"hardness": 12.5, "is_metal": False, "crystal_system": "cubic", "efermi": -1}
    left = {"energy": -5.4, "density": 2.3, "occupancy": "full", "story": "x" * 200, "gap": float("nan"), "deltas": [1],
            "hash": 10**400}  # fmt: skip
    moduli = {"bulk_modulus": {"voigt": 88.9, "vrh": 88.8}, "shear_modulus": None}
    (record,) = read(tmp_path, {"material_id": "mp-149", "structure": structure} | kept | left | moduli)
    assert record.atoms is not None, record.error
    assert record.atoms.info == kept | {"id": "mp-149", "bulk_modulus_voigt": 88.9, "bulk_modulus_vrh": 88.8}


def test_oxidation_states_moments_and_selective_dynamics(tmp_path: Path) -> None:
    structure = Structure(
        Lattice.cubic(4.2),
        ["Mg2+", "O2-"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
        site_properties={"magmom": [1.0, -1.0], "selective_dynamics": [[False] * 3, [True] * 3]},
    )
    (record,) = read(tmp_path, structure.as_dict())
    assert record.atoms is not None
    assert record.atoms.get_chemical_formula() == "MgO"
    assert record.atoms.get_initial_magnetic_moments().tolist() == [1, -1]
    (held,) = record.atoms.constraints
    assert isinstance(held, FixAtoms)
    assert held.index.tolist() == [0]


def test_partial_occupancy_is_refused_by_site(tmp_path: Path) -> None:
    mixed = Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    vacant = Structure(Lattice.cubic(4), ["O", {"Li": 0.7}], [[0, 0, 0], [0.5, 0.5, 0.5]])
    whole = Structure(Lattice.cubic(4), ["O"], [[0, 0, 0]])
    first, second, third = read(tmp_path, [mixed.as_dict(), vacant.as_dict(), whole.as_dict()])
    assert "site 1" in (first.error or "")
    assert "Fe 0.5, Ni 0.5" in (first.error or "")
    assert "site 2" in (second.error or "")
    assert "Li 0.7" in (second.error or "")
    assert third.atoms is not None


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"some": "thing"},
        [1, "two", None],
        {"sites": []},
        {
            "sites": [{"species": [{"element": "Zz", "occu": 1}], "abc": [0, 0, 0]}],
            "lattice": {"matrix": np.eye(3).tolist()},
        },
        {"sites": [{"species": [{"element": "H", "occu": 1}]}], "lattice": {"matrix": [[1, 0], [0, 1]]}},
        {
            "sites": [{"species": [{"element": "H", "occu": 1}], "abc": [0, None, 0]}],
            "lattice": {"matrix": np.eye(3).tolist()},
        },
        {"structure": {"sites": "many"}},
        {"sites": [{"species": [{"element": "H"}], "abc": [0, 0, 0]}], "lattice": {"matrix": [[10**400, 0, 0]] * 3}},
    ],
)
def test_json_without_a_good_crystal_is_a_row_with_the_reason(tmp_path: Path, document: object) -> None:
    records = read(tmp_path, document)
    assert records
    assert all(record.atoms is None and record.error for record in records)


def test_a_list_cut_short_gives_its_whole_entries(tmp_path: Path) -> None:
    write_crystals(tmp_path / "a.json", crystals())
    text = (tmp_path / "a.json").read_bytes()
    (tmp_path / "a.json").write_bytes(text[: len(text) // 2])
    *good, last = read_crystals(tmp_path / "a.json")
    assert len(good) > 3
    assert all(record.atoms is not None for record in good)
    assert "cut short" in (last.error or "")
