"""JARVIS documents, AIRSS results and CASTEP cells."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from tests.crystals.same import assert_same_crystal

from lodewell.crystals.formats.airss import from_res
from lodewell.crystals.formats.castep import from_cell
from lodewell.crystals.read import Record, read_crystals
from lodewell.errors import BadCrystal

DATA = Path(__file__).parents[2] / "data"


def read(tmp_path: Path, document: object) -> list[Record]:
    (tmp_path / "a.json").write_text(json.dumps(document))
    return list(read_crystals(tmp_path / "a.json"))


def test_jarvis_documents_keep_what_they_state(tmp_path: Path) -> None:
    atoms = {"lattice_mat": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "coords": [[0, 0, 0]], "elements": ["Po"]}
    document = {"jid": "JVASP-1", "atoms": atoms, "hse_gap": "na", "bulk_modulus_kv": 40.1, "func": "OptB88vdW"}
    (tmp_path / "a.json").write_text(json.dumps([document]))
    (record,) = read_crystals(tmp_path / "a.json")
    assert record.atoms is not None, record.error
    assert record.atoms.info == {"id": "JVASP-1", "bulk_modulus_kv": 40.1, "func": "OptB88vdW"}


@pytest.mark.parametrize("cartesian", [False, True, "False"])
def test_jarvis_coordinates_are_fractional_unless_said(tmp_path: Path, cartesian: object) -> None:
    atoms = bulk("GaAs", "zincblende", a=5.65)
    coords = atoms.positions if cartesian is True else atoms.get_scaled_positions()
    document = {
        "jid": "JVASP-1174",
        "formation_energy_peratom": -0.4,
        "ehull": "na",
        "atoms": {
            "lattice_mat": atoms.cell.array.tolist(),
            "coords": coords.tolist(),
            "elements": ["Ga ", "As"],
            "cartesian": cartesian,
            "props": ["", ""],
        },
    }
    (record,) = read(tmp_path, [document])
    assert record.atoms is not None, record.error
    assert_same_crystal(record.atoms, atoms)
    assert record.atoms.info == {"id": "JVASP-1174", "formation_energy_peratom": -0.4}
    document["atoms"]["elements"] = ["Ga"]  # type: ignore[index]
    (record,) = read(tmp_path, [document])
    assert "1 elements but 2 coordinates" in (record.error or "")


RES = """TITL B8-1234-5678 0.0151 53.6 -659.14276 0.00 0.00 4 (P21/m) n - 3
REM
REM Run started
CELL 1.54180 4.0 5.0 6.0 90.0 100.0 90.0
LATT -1
SFAC B Li
B     1 0.1000000000000 0.2000000000000 0.3000000000000 1.0
B     1 0.6000000000000 0.2000000000000 0.3000000000000 1.0
B     1 0.1000000000000 0.7000000000000 0.3000000000000 1.0
Li    2 0.1000000000000 0.2000000000000 0.8000000000000 1.0
END
"""


def test_airss_results_bring_their_title(tmp_path: Path) -> None:
    (tmp_path / "a.res").write_text(RES + RES.replace("5678", "9999"))
    first, second = read_crystals(tmp_path)
    assert first.atoms is not None
    assert second.atoms is not None
    assert first.atoms.info == {
        "id": "B8-1234-5678",
        "pressure_GPa": 0.0151,
        "volume": 53.6,
        "enthalpy": -659.14276,
        "spacegroup": "P21/m",
        "times_found": 3,
    }
    assert first.atoms.get_potential_energy() == -659.14276
    assert second.atoms.info["id"] == "B8-1234-9999"
    reference = ase.io.read(tmp_path / "a.res", format="res")
    assert_same_crystal(first.atoms, reference[:4])


def test_airss_as_pymatgen_reads_it() -> None:
    from pymatgen.io.res import ResIO

    structure = ResIO.structure_from_str(RES)
    atoms = from_res(RES)
    np.testing.assert_allclose(structure.frac_coords, atoms.get_scaled_positions(), atol=1e-9)
    np.testing.assert_allclose(structure.lattice.parameters, atoms.cell.cellpar(), atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("LATT -1", "LATT -1\nSYMM -X,-Y,-Z", "symmetry"),
        ("0.8000000000000 1.0", "0.8000000000000 0.5", r"line 10: Li is partially occupied \(Li 0.5\)"),
        ("CELL", "REM", "no CELL line"),
        ("END", "", "cut short"),
        ("Li    2", "A     3", "no entry of the SFAC line"),
        ("Li    2", "Na    2", "line 10: the label Na and the SFAC entry 2, Li, contradict"),
        ("Li    2 0.1", "Li    2 21.1", "free variable"),
        ("LATT -1", "LATT 1", "symmetry"),
        ("0.8000000000000 1.0", "zero 1.0", "should be numbers"),
        ("SFAC B Li", "SFAC B Qq", "'Qq' is no element"),
    ],
)
def test_airss_refusals_name_the_line(old: str, new: str, reason: str) -> None:
    with pytest.raises(BadCrystal, match=reason):
        from_res(RES.replace(old, new))


@pytest.mark.parametrize(
    ("sfac", "labels", "indices", "symbols"),
    [
        ("Al Li Si", ("Li", "Al", "Si"), (1, 2, 3), ["Li", "Al", "Si"]),  # pymatgen once counted on
        ("O Li", ("Li", "Li", "O"), (1, 2, 3), ["Li", "Li", "O"]),
        ("C Ca", ("CA1", "C1", "CA2"), (1, 1, 2), ["C", "C", "Ca"]),  # an alpha carbon
        ("Si O", ("T1", "Wat", "OW1"), (1, 2, 2), ["Si", "O", "O"]),
        ("C\nSFAC Fe 26.0 4.8 =\nSFAC D", ("C", "FE", "D"), (1, 2, 3), ["C", "Fe", "H"]),
    ],
)
def test_the_label_says_the_element_and_the_index_only_where_it_does_not(
    sfac: str, labels: tuple[str, ...], indices: tuple[int, ...], symbols: list[str]
) -> None:
    atoms = "".join(
        f"{label} {index} {k / 4} 0 0 1.0\n" for k, (label, index) in enumerate(zip(labels, indices, strict=True))
    )
    text = f"TITL x\nCELL 1 8 8 8 90 90 90\nLATT -1\nSFAC {sfac}\n{atoms}END\n"
    assert from_res(text).get_chemical_symbols() == symbols


def test_results_without_latt_are_read_when_their_title_counts_all_atoms() -> None:
    """SHELX means a centre of inversion by it; AIRSS's own count settles that nothing is to be added."""
    text = RES.replace("LATT -1\n", "")
    assert len(from_res(text)) == 4
    with pytest.raises(BadCrystal, match="no LATT line"):
        from_res(text.replace(" 4 (P21/m)", " 8 (P21/m)"))


CELL = """! a comment
%BLOCK LATTICE_CART
ang
0.0 2.8 2.8
2.8 0.0 2.8
2.8 2.8 0.0 # another
%ENDBLOCK LATTICE_CART
%block positions_frac
Na:1 0.0 0.0 0.0 SPIN= 1.0
17 0.5 0.5 0.5
%endblock positions_frac
kpoints_mp_grid 4 4 4
"""


def test_castep_cells_in_their_dialects() -> None:
    reference = Atoms(
        "NaCl", positions=[[0, 0, 0], [2.8] * 3], cell=[[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], pbc=True
    )
    assert_same_crystal(from_cell(CELL), reference)
    absolute = CELL.replace("positions_frac", "POSITIONS_ABS").replace("0.5 0.5 0.5", "2.8 2.8 2.8")
    assert_same_crystal(from_cell(absolute), reference)
    lines = CELL.split("\n")
    lengths = "\n".join(
        [*lines[:1], "%BLOCK LATTICE_ABC", "bohr", "8 8 8", "60 60 60", "%ENDBLOCK LATTICE_ABC", *lines[7:]]
    )
    assert from_cell(lengths).get_volume() == pytest.approx((8 * 0.529177210903) ** 3 / np.sqrt(2), rel=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("LATTICE_CART", "LATTICE", "no %BLOCK LATTICE_CART"),
        ("positions_frac", "positions", "no %BLOCK POSITIONS_FRAC"),
        ("0.0 2.8 2.8\n", "", "three vectors"),
        ("%endblock positions_frac\n", "", "cut short"),
        ("17", "Qq", "'Qq' is no element"),
        ("0.5 0.5 0.5", "0.5 half 0.5", "no number"),
    ],
)
def test_castep_refusals_say_what_is_missing(old: str, new: str, reason: str) -> None:
    with pytest.raises(BadCrystal, match=reason):
        from_cell(CELL.replace(old, new))
