"""CIFs as strangers write them: each kind after a public bug report, with the right crystal or a refusal by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from lodewell.crystals.formats.cif import read_cif
from lodewell.crystals.read import chunks
from lodewell.crystals.single import read_single

ROCKSALT = (5.64, 5.64, 5.64, 90, 90, 90)
HEXAGONAL = (3.16, 3.16, 12.29, 90, 90, 120)
MONOCLINIC = (5.0, 6.0, 7.0, 90, 102, 90)
SITES = ("Na1 0 0 0", "Cl1 0.5 0.5 0.5")
FACES = ("x,y,z", "x+1/2,y+1/2,z", "x+1/2,y,z+1/2", "x,y+1/2,z+1/2")


def cif(
    cell: Sequence[float] = ROCKSALT, header: Sequence[str] = (), sites: Sequence[str] = SITES, columns: str = "label"
) -> str:
    names = [f"_cell_length_{x}" for x in "abc"] + [f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")]
    before, _, after = columns.partition("|")
    table = [f"_atom_site_{c}" for c in [*before.split(), "fract_x", "fract_y", "fract_z", *after.split()]]
    values = [f"{name} {value}" for name, value in zip(names, cell, strict=True)]
    return "\n".join(["data_x", *values, *header, "loop_", *table, *sites]) + "\n"


def loop(tag: str, values: Sequence[str]) -> list[str]:
    return ["loop_", tag, *[f"'{value}'" for value in values]]


def crystal(text: str) -> Atoms:
    (found,) = read_cif(text)
    assert isinstance(found, Atoms), found
    return found


def refusal(text: str) -> str:
    (found,) = read_cif(text)
    assert isinstance(found, str), found
    return found


def shortest(atoms: Atoms) -> float:
    distances = atoms.repeat(2).get_all_distances(mic=True)
    return float(distances[distances > 1e-6].min())


@pytest.mark.parametrize(
    "header",
    [
        ["_symmetry_space_group_name_Hall '-F 4 2 3'"],
        ["_space_group.name_H-M_alt 'F m -3 m'", "_space_group.IT_number 225"],
        ["_space_group_name_H-M_full 'F 4/m -3 2/m'"],
        ["_symmetry.space_group_name_H-M 'F m 3 m'"],
        ["_symmetry.Int_Tables_number 225"],
        ["_space_group_name_Schoenflies Oh.5"],
        ["_symmetry_space_group_name_H-M 'F m -3 m'", "_symmetry_equiv_pos_as_xyz ?"],
        ["_space_group_IT_number 225", "loop_", "_space_group_symop_id", "_space_group_symop_operation_xyz", ". ."],
        ["_space_group_symop_operation_xyz ?", *loop("_symmetry_equiv_pos_as_xyz", FACES)],
        ["loop_", "_symmetry_equiv_pos_as_xyz", "x, y, z", "x+1/2, y+1/2, z", "x+1/2, y, z+1/2", "x, y+1/2, z+1/2"],
    ],
)
def test_rocksalt_under_every_tag_of_symmetry(header: list[str]) -> None:
    atoms = crystal(cif(header=header))
    assert atoms.get_chemical_formula() == "Cl4Na4"
    assert shortest(atoms) == pytest.approx(2.82)


def test_a_magnetic_cif_has_operations_times_centrings() -> None:
    header = [
        "_space_group_magn.name_BNS 'P_S -1'",
        *loop("_space_group_symop_magn_operation.xyz", ["x,y,z,+1", "-x,-y,-z,+1"]),
        *loop(
            "_space_group_symop_magn_centering.xyz",
            ["x,y,z,+1", "x+1/2,y+1/2,z,+1", "x+1/2,y,z+1/2,-1", "x,y+1/2,z+1/2,-1"],
        ),
    ]
    atoms = crystal(cif((4.177, 4.177, 4.177, 90, 90, 90), header, ["Ni1 0 0 0", "O1 0.5 0.5 0.5"]))
    assert atoms.get_chemical_formula() == "Ni4O4"
    assert shortest(atoms) == pytest.approx(2.0885)
    named = "_space_group_magn.name_BNS 'P_S -1'"
    assert "magnetic space group P_S -1 without its operations" in refusal(cif(header=[named]))


def test_a_lone_operation_that_is_not_the_identity_joins_it() -> None:
    cell = (5, 6, 7, 95, 100, 105)
    atoms = crystal(cif(cell, loop("_symmetry_equiv_pos_as_xyz", ["-x,-y,-z"]), ["Ti1 .1 .2 .3", "O1 .4 .45 .1"]))
    assert atoms.get_chemical_formula() == "O2Ti2"


def test_operations_that_form_no_group_are_remarked() -> None:
    atoms = crystal(cif(header=loop("_symmetry_equiv_pos_as_xyz", ["x,y,z", "-x,-y,z+1/4"])))
    assert "form no group" in atoms.info["contradiction"]
    atoms = crystal(
        cif(header=loop("_symmetry_equiv_pos_as_xyz", ["x,y,z", "x+.333,y+.667,z+.667", "x+2/3,y+1/3,z+1/3"]))
    )
    assert "contradiction" not in atoms.info


@pytest.mark.parametrize(
    ("header", "cell", "count"),
    [
        ("R -3 m", 57.24, 2),
        ("R -3 m :R", 57.24, 2),
        ("R-3mH", 120, 6),
        ("R -3 m :H", 120, 6),
        ("R -3 m", 120, 6),
        ("R -3 m :R", 120, 6),
    ],
)
def test_the_cell_tells_rhombohedral_from_hexagonal_axes(header: str, cell: float, count: int) -> None:
    rhombohedral = cell != 120
    numbers = (4.7459,) * 3 + (cell,) * 3 if rhombohedral else (4.546, 4.546, 11.862, 90, 90, 120)
    site = "Bi1 0.23389 0.23389 0.23389" if rhombohedral else "Bi1 0 0 0.23389"
    atoms = crystal(cif(numbers, [f"_symmetry_space_group_name_H-M '{header}'"], [site]))
    assert len(atoms) == count
    assert shortest(atoms) == pytest.approx(3.071, abs=2e-3)


def test_a_cell_that_does_not_fit_its_group_is_refused() -> None:
    assert "does not fit its space group" in refusal(cif(MONOCLINIC, ["_symmetry_space_group_name_H-M 'F m -3 m'"]))


@pytest.mark.parametrize(
    "evidence", [["_chemical_formula_sum Si", "_cell_formula_units_Z 8"], ["_exptl_crystal_density_diffrn 2.33"], []]
)
def test_a_name_of_two_origins_is_settled_by_evidence_or_refused_with_both_readings(evidence: list[str]) -> None:
    header = ["_symmetry_space_group_name_H-M 'F d -3 m'", "_symmetry_Int_Tables_number 227", *evidence]
    text = cif((5.431, 5.431, 5.431, 90, 90, 90), header, ["Si1 0.125 0.125 0.125"])
    if evidence:
        atoms = crystal(text)
        assert (len(atoms), shortest(atoms)) == (8, pytest.approx(2.3517, abs=1e-3))
    else:
        assert "as F d -3 m:1 it is Si16" in refusal(text)
        assert "as F d -3 m:2 it is Si8" in refusal(text)


def test_multiplicities_settle_the_origin() -> None:
    header = ["_symmetry_space_group_name_H-M 'F d -3 m'"]
    cell, columns = (5.431, 5.431, 5.431, 90, 90, 90), "label symmetry_multiplicity"
    assert len(crystal(cif(cell, header, ["Si1 8 0.125 0.125 0.125"], columns))) == 8
    assert len(crystal(cif(cell, header, ["Si1 8 0 0 0"], columns))) == 8


def test_findsym_words_and_reference_setting() -> None:
    header = ['_symmetry_space_group_name_H-M "P 21/m 21/m 2/n (origin choice 2)"', "_symmetry_Int_Tables_number 59"]
    atoms = crystal(cif((2.7061, 4.41901, 4.6871, 90, 90, 90), header, ["Fe1 0.25 0.25 0.08", "Al1 0.25 0.75 0.42"]))
    assert atoms.get_chemical_formula() == "Al2Fe2"
    assert "'Q 17'" in refusal(cif(header=["_symmetry_space_group_name_H-M 'Q 17'"]))


@pytest.mark.parametrize(("third", "digits"), [(0.33, 2), (0.333, 3), (1 / 3, 9)])
def test_thirds_with_few_digits_are_special_positions(third: float, digits: int) -> None:
    x, y = f"{third:.{digits}f}", f"{round(2 * third if digits > 3 else 1 - third, digits):.{digits}f}"
    sites = [f"Mo1 {x} {y} 0.25", f"S1 {x} {y} 0.621"]
    atoms = crystal(cif(HEXAGONAL, ["_symmetry_space_group_name_H-M 'P 63/m m c'"], sites))
    assert atoms.get_chemical_formula() == "Mo2S4"
    assert shortest(atoms) == pytest.approx(2.417, abs=2e-3)


def test_a_site_between_one_atom_and_several_is_refused() -> None:
    text = cif((20.91, 20.91, 5.06, 90, 90, 120), ["_symmetry_space_group_name_H-M 'P 3'"], ["O1 0.33 0.667 0.1"])
    assert "neither one atom nor two" in refusal(text)


def test_all_atoms_beside_all_operations_are_each_once() -> None:
    rest = ["Na2 .5 .5 0", "Na3 .5 0 .5", "Na4 0 .5 .5", "Cl2 0 0 .5", "Cl3 0 .5 0", "Cl4 .5 0 0"]
    atoms = crystal(cif(header=loop("_symmetry_equiv_pos_as_xyz", FACES), sites=[*SITES, *rest]))
    assert atoms.get_chemical_formula() == "Cl4Na4"
    assert "Na2, Na3, Na4, Cl2, Cl3 and 1 more" in atoms.info["remark"]
    assert crystal(cif(sites=["Cs1 0 0 0", "Cs2 1 0 0", "Cl1 .5 .5 .5"])).get_chemical_formula() == "ClCs"
    assert "two elements" in refusal(cif(sites=["Fe1 0 0 0", "Mn1 0 0 0", "O1 .5 .5 .5"]))


@pytest.mark.parametrize(
    ("labels", "formula", "elements"),
    [
        ("Ca C1 O1 Wat1", "Ca C O2 H2", ["Ca", "C", "O", "O"]),
        ("MG1 OH1 HO1", "H Mg O", ["Mg", "O", "H"]),
        ("T1 T2 OA", "Si2 O", ["Si", "Si", "O"]),
        ("CN1 N1 CM1 OG1", "C2 N O", ["C", "N", "C", "O"]),
        ("NH4 Cl", "N H4 Cl", ["N", "Cl"]),
        ("W1 O1", "W O", ["W", "O"]),
        ("Ca1 O1 W1", "Ca O2 H2", ["Ca", "O", "O"]),
        ("CO1 O1", "Co O", ["Co", "O"]),
        ("CO1 OC1", "C O", ["C", "O"]),
        ("D1 Li1", "H Li", ["H", "Li"]),
        ("Zn1 CA1 OG1 HE1", "", ["Zn", "C", "O", "H"]),
        ("FE1 CL1", "", ["Fe", "Cl"]),
        ("Ow1 Hw1 Si1", "", ["O", "H", "Si"]),
    ],
)
def test_labels_are_held_against_the_formula(labels: str, formula: str, elements: list[str]) -> None:
    sites = [f"{label} {0.1 + 0.2 * k:.1f} 0 0" for k, label in enumerate(labels.split())]
    header = [f"_chemical_formula_sum '{formula}'"] if formula else []
    assert crystal(cif(header=header, sites=sites)).get_chemical_symbols() == elements


@pytest.mark.parametrize(
    ("sites", "columns", "formula", "why"),
    [
        (["T1 0 0 0", "O1 .5 .5 .5"], "label", "", "its label names no element for certain"),
        (["T1 0 0 0", "O1 .5 .5 .5"], "label", "Al Si O4", "no element of the formula"),
        (["HO1 0 0 0", "MG1 .5 .5 .5"], "label", "", "HO1"),
        (["AlSi1 0 0 0", "O1 .5 .5 .5"], "label", "", "partially occupied"),
        (["Fe,Mn 0 0 0", "O1 .5 .5 .5"], "label", "", "partially occupied"),
        (["M1 '0.8Nb + 0.2Zr' 0 0 0"], "label type_symbol", "", "partially occupied"),
        (["T1 Al0.5Si0.5 0 0 0"], "label type_symbol", "", "partially occupied"),
        (["W1 H2O 0 0 0"], "label type_symbol", "", "more than one element"),
        (["Fe1 Fe 0 0 0 0.5", "Mn1 Mn 0 0 0 0.5"], "label type_symbol|occupancy", "", "partially occupied"),
        (["Fe1 Fe 0 0 0 0.5", "Fe2 Fe .1 0 0 0.5"], "label type_symbol|occupancy", "", "partially occupied"),
        (["O1 O 0 0 0 A 1", "O2 O .1 0 0 A 2"], "label type_symbol|disorder_assembly disorder_group", "", "exclude"),
        (["O1 O 0 0 0 -1"], "label type_symbol|disorder_group", "", "about a symmetry element"),
    ],
)
def test_sites_that_are_no_one_element_are_refused(sites: list[str], columns: str, formula: str, why: str) -> None:
    header = [f"_chemical_formula_sum '{formula}'"] if formula else []
    assert why in refusal(cif(header=header, sites=sites, columns=columns))


@pytest.mark.parametrize(
    ("sites", "columns", "formula"),
    [
        (["Fe1 Fe2+ 0 0 0 0.5", "Fe2 Fe3+ 0 0 0 0.5", "O1 O2- .5 .5 .5 1"], "label type_symbol|occupancy", "FeO"),
        (["Li1 6Li 0 0 0 0.08", "Li2 7Li 0 0 0 0.92", "H1 D .5 .5 .5 1"], "label type_symbol|occupancy", "HLi"),
        (["Mg1 Mg 0 0 0", "O1 O .5 .5 .5", "Void1 . .2 .2 .2"], "label type_symbol", "MgO"),
        (["Mg1 Mg 0 0 0 .", "O1 O .5 .5 .5 d", "X1 C .2 .2 .2 dum"], "label type_symbol|calc_flag", "MgO"),
        (["Mg1 Mg 0 0 0 1", "O1 O .5 .5 .5 1", "O2 O .2 .2 .2 0"], "label type_symbol|occupancy", "MgO"),
        (["O1A O 0 0 0 A 1", "Mg1 Mg .5 .5 .5 . ."], "label type_symbol|disorder_assembly disorder_group", "MgO"),
    ],
)
def test_one_element_in_parts_fills_its_site_and_dummies_are_left_out(
    sites: list[str], columns: str, formula: str
) -> None:
    assert crystal(cif(sites=sites, columns=columns)).symbols.formula.count() == Atoms(formula).symbols.formula.count()


@pytest.mark.parametrize(
    ("header", "remark"),
    [
        (["_chemical_formula_sum 'Na Cl H2'"], "2 atoms of hydrogen of its formula Na Cl H2 were never located"),
        (["_chemical_formula_sum 'Na2 Cl'"], "its atoms make NaCl, the file's formula is Na2 Cl"),
        (
            ["_chemical_formula_sum 'Cl Na'", "_cell_formula_units_Z 4"],
            "make 1 formula units of Cl Na a cell, the file says 4",
        ),
        (["_cell_volume 190"], "the volume of its cell is 179.41 Å^3, the file says 190"),
        (["_space_group_crystal_system cubic"], "it calls the crystal cubic but names no space group"),
        (["_exptl_crystal_density_diffrn 2.165"], "the density of its atoms is 0.541 g/cm^3, the file says 2.17"),
        (
            ["_symmetry_space_group_name_H-M 'F m -3 m'", "_symmetry_equiv_pos_as_xyz 'x,y,z'"],
            "names the space group F m -3 m but lists the identity alone",
        ),
    ],
)
def test_what_a_file_says_against_itself_is_remarked(header: list[str], remark: str) -> None:
    assert remark in crystal(cif(header=header)).info["contradiction"]


def test_strict_reading_refuses_what_contradicts_itself(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(cif(header=["_chemical_formula_sum 'Na2 Cl'"]))
    (tmp_path / "b.cif").write_text(cif(sites=["Cs1 0 0 0", "Cs2 1 0 0", "Cl1 .5 .5 .5"]))
    refused, taken = (record for chunk in chunks(tmp_path, strict=True) for record in chunk.read())
    assert "its atoms make NaCl" in (refused.error or "")
    assert taken.atoms is not None


def test_a_formula_of_the_whole_cell_is_as_good_as_one_of_the_unit() -> None:
    header = ["_symmetry_space_group_name_H-M 'F m -3 m'", "_cell_formula_units_Z 4"]
    for formula in ("Na Cl", "Na4 Cl4"):  # CIFs of pymatgen have the second
        assert "contradiction" not in crystal(cif(header=[*header, f"_chemical_formula_sum '{formula}'"])).info


def test_blocks_of_one_name_are_each_their_own() -> None:
    group = ["_symmetry_space_group_name_H-M 'F m -3 m'"]
    text = cif(header=group) + cif((4.21, 4.21, 4.21, 90, 90, 90), group, ["Mg1 0 0 0", "O1 .5 .5 .5"])
    assert [a.get_chemical_formula() for a in read_cif(text) if isinstance(a, Atoms)] == ["Cl4Na4", "Mg4O4"]


@pytest.mark.parametrize("ends", ["\r", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_line_ends_and_encodings(ends: str, encoding: str) -> None:
    text = cif(header=["_publ_author_name 'Ångström'", *loop("_symmetry_equiv_pos_as_xyz", FACES)])
    (found,) = read_single(text.replace("\n", ends).encode(encoding), "cif")
    assert isinstance(found, Atoms)
    assert found.get_chemical_formula() == "Cl4Na4"


def test_damage_costs_what_it_touches_alone() -> None:
    whole, other = cif(), cif(sites=["Cs1 0 0 0", "Cl1 .5 .5 .5"])
    cut = whole.rstrip().rsplit(" ", 1)[0] + "\n"
    first, second = read_cif(cut + other)
    assert isinstance(first, str)
    assert "cut short or damaged at line" in first
    assert isinstance(second, Atoms)
    harmless = "loop_\n_geom_bond_atom_site_label_1\n_geom_bond_distance\nNa1 2.8 Na1\n_publ_section_title 'it's open\n"
    assert crystal(whole + harmless).get_chemical_formula() == "ClNa"
    quote = whole.replace("_cell_length_a 5.64", "_cell_length_a '5.64")
    assert "_cell_length_a" in refusal(quote)


def test_symmetry_under_a_tag_that_is_not_read_is_refused() -> None:
    assert "_space_group_name_xyz" in refusal(cif(header=["_space_group_name_xyz 'F m -3 m'"]))
    assert crystal(cif(header=["_space_group_name_xyz 'P 1'"])).get_chemical_formula() == "ClNa"


def test_coordinates_may_be_fractions() -> None:
    assert crystal(cif(sites=["Na1 1/3 2/3 0"])).get_scaled_positions()[0] == pytest.approx([1 / 3, 2 / 3, 0])


def test_a_modulated_crystal_is_refused() -> None:
    assert "modulated" in refusal(cif(header=["_cell_modulation_dimension 1"]))


def test_cartesian_coordinates_and_labels_of_mmcif() -> None:
    text = cif(sites=["A NA 0 0 0", "B CL 2.82 2.82 2.82"], columns="label_atom_id type_symbol")
    atoms = crystal(text.replace("_fract_", ".Cartn_").replace("_atom_site_.", "_atom_site."))
    assert np.allclose(atoms.get_scaled_positions()[1], 0.5)
