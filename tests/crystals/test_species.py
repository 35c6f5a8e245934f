"""At every door an atom is the element that its file means: isotopes, ions, mixed valence, labels."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lodewell.crystals.read import Record, read_crystals
from lodewell.crystals.validate import validate

CELL = [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]]
ROWS = "4 0 0\n0 4 0\n0 0 4"
SITES = ([0.0, 0.0, 0.0], [0.5, 0.5, 0.5])


def poscar(a: str, b: str) -> str:
    return f"x\n1\n{ROWS}\n{a} {b}\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def res(a: str, b: str) -> str:
    head = f"TITL x 0 64 -1 0 0 2 (P1) n - 1\nCELL 1 4 4 4 90 90 90\nLATT -1\nSFAC {a} {b}\n"
    return f"{head}{a} 1 0 0 0 1.0\n{b} 2 0.5 0.5 0.5 1.0\nEND\n"


def xyz(a: str, b: str) -> str:
    return f'2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\n{a} 0 0 0\n{b} 2 2 2\n'


def xyz_with_names(a: str, b: str) -> str:
    head = '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=name:S:1:species:S:1:pos:R:3'
    return f"{head}\nfirst {a} 0 0 0\nsecond {b} 2 2 2\n"


def cell(a: str, b: str) -> str:
    positions = f"%BLOCK POSITIONS_FRAC\n{a} 0 0 0\n{b} 0.5 0.5 0.5\n%ENDBLOCK POSITIONS_FRAC\n"
    return f"%BLOCK LATTICE_CART\n{ROWS}\n%ENDBLOCK LATTICE_CART\n{positions}"


def pymatgen(a: str, b: str) -> str:
    sites = [{"species": [{"element": e, "occu": 1}], "abc": at} for e, at in zip((a, b), SITES, strict=True)]
    return json.dumps({"lattice": {"matrix": CELL}, "sites": sites})


def jarvis(a: str, b: str) -> str:
    return json.dumps({"jid": "J1", "atoms": {"lattice_mat": CELL, "coords": SITES, "elements": [a, b]}})


def optimade(a: str, b: str) -> str:
    species = [{"name": f"s{k}", "chemical_symbols": [e], "concentration": [1]} for k, e in enumerate((a, b))]
    return optimade_answer(species=species, species_at_sites=["s0", "s1"])


def optimade_answer(**attributes: object) -> str:
    positions = (2 * np.array(SITES) * 2).tolist()
    plain = {"lattice_vectors": CELL, "cartesian_site_positions": positions, "dimension_types": [1, 1, 1]}
    return json.dumps({"data": [{"type": "structures", "id": "1", "attributes": plain | attributes}]})


DOORS: dict[str, Callable[[str, str], str]] = {
    "POSCAR": poscar,
    "a.res": res,
    "a.xyz": xyz,
    "names.xyz": xyz_with_names,
    "a.cell": cell,
    "pymatgen.json": pymatgen,
    "jarvis.json": jarvis,
    "optimade.json": optimade,
}


def only(path: Path, text: str) -> Record:
    path.write_text(text)
    (record,) = read_crystals(path)
    return record


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("types", "symbols"),
    [
        (("Li", "D"), ["Li", "H"]),
        (("T", "Li"), ["H", "Li"]),
        (("Na+", "Cl-"), ["Na", "Cl"]),
        (("Fe3+", "O2-"), ["Fe", "O"]),
    ],
)
def test_isotopes_and_ions_are_their_elements(
    tmp_path: Path, door: str, types: tuple[str, str], symbols: list[str]
) -> None:
    record = only(tmp_path / door, DOORS[door](*types))
    assert record.atoms is not None, record.error
    assert record.atoms.get_chemical_symbols() == symbols
    np.testing.assert_allclose(record.atoms.get_scaled_positions(), SITES, atol=1e-12)
    np.testing.assert_allclose(record.atoms.cell.array, CELL)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("group", ["Wat", "H2O", "X"])
def test_groups_and_dummies_are_refused_by_name(tmp_path: Path, door: str, group: str) -> None:
    record = only(tmp_path / door, DOORS[door]("Na", group))
    assert "element" in (record.error or validate(record.atoms) or "")


@pytest.mark.parametrize(
    ("symbols", "shares", "element"),
    [
        (["Li", "Li"], [0.92, 0.08], "Li"),
        (["Li"], None, "Li"),
        (["Li"], [None], "Li"),
        (["H", "D"], [0.4, 0.6], "H"),
        (["Li", "Na"], [0.5, 0.5], "site 1 (A) is partially occupied (Li 0.5, Na 0.5); choose an ordered approximant"),
        (["Li", "Na"], None, "site 1 (A) is partially occupied (Li, Na, their shares unknown)"),
        ([], [], "site 1 (A) holds nothing"),
        (None, None, "site 1 (A) holds nothing"),
    ],
)
def test_sites_of_optimade_and_their_nulls(
    tmp_path: Path, symbols: list[str] | None, shares: list[float | None] | None, element: str
) -> None:
    a = {"name": "A", "chemical_symbols": symbols, "concentration": shares, "mass": None, "attached": None}
    record = only(tmp_path / "a.json", optimade_answer(species=[a], species_at_sites=["A", "Cl"]))
    if record.atoms is None:
        assert element in (record.error or "")
    else:
        assert record.atoms.get_chemical_symbols() == [element, "Cl"]


@pytest.mark.parametrize(
    ("species", "element"),
    [
        ([{"element": "Fe", "oxidation_state": s, "occu": 0.5} for s in (2, 3)], "Fe"),
        ([{"element": "D", "occu": 0.25}, {"element": "H", "occu": 0.75}], "H"),
        ([{"element": "Fe", "occu": 0.5}, {"element": "Mn", "occu": 0.5}], "partially occupied (Fe 0.5, Mn 0.5)"),
    ],
)
def test_sites_of_pymatgen(tmp_path: Path, species: list[dict[str, object]], element: str) -> None:
    sites = [{"species": species, "abc": SITES[0]}, {"species": [{"element": "O", "occu": 1}], "abc": SITES[1]}]
    record = only(tmp_path / "a.json", json.dumps({"lattice": {"matrix": CELL}, "sites": sites}))
    assert (
        element in (record.error or "") if record.atoms is None else record.atoms.get_chemical_symbols()[0] == element
    )


@pytest.mark.parametrize(
    "header",
    [
        'lattice="4 0 0 0 4 0 0 0 4" pbc="T T T" properties=species:S:1:pos:R:3',
        'energy=-1 LATTICE="4 0 0 0 4 0 0 0 4" Properties=Species:s:1:POS:r:3',
        "Pbc=[T, T, T] lattice={4 0 0 0 4 0 0 0 4}",
    ],
)
def test_keys_of_extended_xyz_may_be_in_any_case(tmp_path: Path, header: str) -> None:
    record = only(tmp_path / "a.xyz", f"2\n{header}\nCs 0 0 0\nCl 2 2 2\n")
    assert record.atoms is not None, record.error
    assert record.atoms.pbc.all()
    np.testing.assert_allclose(record.atoms.cell.array, CELL)
    assert not {key.lower() for key in record.atoms.info} & {"lattice", "pbc", "properties"}


def test_a_key_of_other_case_beside_the_standard_one_is_somebodys_own(tmp_path: Path) -> None:
    record = only(tmp_path / "a.xyz", '1\nLattice="4 0 0 0 4 0 0 0 4" lattice=cubic\nCs 0 0 0\n')
    assert record.atoms is not None
    assert record.atoms.info == {"lattice": "cubic"}
    np.testing.assert_allclose(record.atoms.cell.array, CELL)


@pytest.mark.parametrize("title", ["No title given", "In a box", "As relaxed by hand"])
def test_titles_in_english_are_no_elements(tmp_path: Path, title: str) -> None:
    record = only(tmp_path / "POSCAR", f"{title}\n1\n{ROWS}\n1\nDirect\n0 0 0\n")
    assert "add a line of symbols" in (record.error or "")


def test_a_title_of_symbols_still_names_them(tmp_path: Path) -> None:
    record = only(tmp_path / "POSCAR", f"In P from LDA\n1\n{ROWS}\n1 1\nDirect\n0 0 0\n0.25 0.25 0.25\n")
    assert record.atoms is not None
    assert record.atoms.get_chemical_formula() == "InP"


def test_a_mixture_atom_of_castep_is_refused(tmp_path: Path) -> None:
    text = cell("Al", "Cl").replace("Al 0 0 0", "Al 0 0 0 MIXTURE:( 1 0.6667 )")
    assert "partially occupied" in (only(tmp_path / "a.cell", text).error or "")
