"""OPTIMADE responses, as servers give them and as pymatgen's adapter understands them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk, fcc111
from pymatgen.io.optimade import OptimadeStructureAdapter

from lodewell.crystals.read import Record, read_crystals
from lodewell.crystals.write import write_crystals

DATA = Path(__file__).parents[2] / "data"


def rock_salt(**changes: Any) -> dict[str, Any]:
    attributes = {
        "dimension_types": [1, 1, 1],
        "lattice_vectors": [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]],
        "cartesian_site_positions": [[0, 0, 0], [2.8, 2.8, 2.8]],
        "species": [
            {"name": "Na", "chemical_symbols": ["Na"], "concentration": [1.0]},
            {"name": "Cl1", "chemical_symbols": ["Cl"], "concentration": [1.0]},
        ],
        "species_at_sites": ["Na", "Cl1"],
        "structure_features": [],
        "_exmpl_energy": -3.5,
    }
    return {"type": "structures", "id": "db/123", "attributes": attributes | changes}


def read(tmp_path: Path, document: object) -> list[Record]:
    (tmp_path / "a.json").write_text(json.dumps(document))
    return list(read_crystals(tmp_path / "a.json"))


@pytest.mark.parametrize("many", [True, False])
def test_responses_with_one_and_with_many(tmp_path: Path, many: bool) -> None:
    response = {
        "data": [rock_salt(), rock_salt()] if many else rock_salt(),
        "meta": {"api_version": "1.1.0"},
        "links": {},
    }
    records = read(tmp_path, response)
    assert len(records) == (2 if many else 1)
    for record in records:
        assert record.atoms is not None, record.error
        assert record.atoms.get_chemical_formula() == "ClNa"
        assert record.atoms.info == {"id": "db/123", "_exmpl_energy": -3.5}
        assert record.atoms.pbc.all()


def vacancy(share: float) -> dict[str, Any]:
    species = [
        {"name": "Na", "chemical_symbols": ["Na", "vacancy"], "concentration": [share, 1 - share]},
        {"name": "Cl1", "chemical_symbols": ["Cl"], "concentration": [1.0]},
    ]
    return {"species": species}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (vacancy(0.9), "site 1 (Na) is partially occupied (Na 0.9, vacancy 0.1)"),
        (vacancy(0.0), "an empty site"),
        ({"species_at_sites": ["Na"]}, "do not match"),
        ({"cartesian_site_positions": None}, "do not match"),
        ({"species": [{"name": "Na", "chemical_symbols": ["X"], "concentration": [1.0]}]}, "no element"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_site(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    bad, good = read(tmp_path, {"data": [rock_salt(**changes), rock_salt()]})
    assert reason in (bad.error or ""), bad.error
    assert good.atoms is not None


def test_slabs_keep_their_periodicity(tmp_path: Path) -> None:
    document = rock_salt(dimension_types=[1, 1, 0], lattice_vectors=[[4, 0, 0], [0, 4, 0], [None, None, None]])
    (record,) = read(tmp_path, {"data": [document]})
    assert record.atoms is not None
    assert record.atoms.pbc.tolist() == [True, True, False]
    assert not record.atoms.cell.array[2].any()
    slab = fcc111("Al", (1, 1, 2), vacuum=5.0)
    write_crystals(tmp_path / "a.optimade.json", slab)
    (again,) = read_crystals(tmp_path / "a.optimade.json")
    assert again.atoms is not None
    assert again.atoms.pbc.tolist() == slab.pbc.tolist()


def test_pymatgen_reads_what_is_written(tmp_path: Path) -> None:
    crystals = [r.atoms for r in read_crystals(DATA / "cod.extxyz") if r.atoms is not None]
    write_crystals(tmp_path / "a.optimade.json", crystals)
    response = json.loads((tmp_path / "a.optimade.json").read_text())
    for atoms, resource in zip(crystals, response["data"], strict=True):
        structure = OptimadeStructureAdapter.get_structure(resource)
        np.testing.assert_allclose(structure.cart_coords, atoms.positions, atol=1e-9)
        assert resource["id"] == str(atoms.info["id"])
        assert abs(sum(resource["attributes"]["elements_ratios"]) - 1) < 1e-12


def test_reduced_formula_is_alphabetic(tmp_path: Path) -> None:
    write_crystals(tmp_path / "a.optimade.json", bulk("NaCl", "rocksalt", a=5.6, cubic=True))
    response = json.loads((tmp_path / "a.optimade.json").read_text())
    assert response["data"][0]["attributes"]["chemical_formula_reduced"] == "ClNa"
