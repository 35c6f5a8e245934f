"""Types and labels of atoms mean the element that chemists read in them, or none."""

import pytest
from ase.data import chemical_symbols

from lodewell.crystals.elements import element_of, element_of_site, elements_of_label
from lodewell.errors import BadCrystal

SPELT = {
    "Fe": "Fe FE fe Fe1 Fe3+ Fe+3 Fe2.67+ Fe_pv Fe_sv_GW Fe/1a2b3c Fe:1 Fe(II) Fe3+,spin=5 57Fe",
    "Na": "Na+ Na1+ Na_pv",
    "O": "O O2- O-- O-2 O_GW O.5",
    "H": "H D T 1H 2H D1 H:D D+",
    "Li": "6Li 7Li Li6",
    "Og": "Og",
}
NONE = "X Xx Wat NH4+ NH4 H2O Cnt1 OG1 CN Fe,Mn Al0.5Si0.5 NaCl Q1 . ?".split()  # noqa: SIM905 a list of words


@pytest.mark.parametrize(("text", "element"), [(text, e) for e, texts in SPELT.items() for text in texts.split()])
def test_a_type_names_its_element(text: str, element: str) -> None:
    assert element_of(text) == element


@pytest.mark.parametrize("text", [*NONE, "", "0.8Nb + 0.2Zr"])
def test_groups_and_mixtures_and_dummies_name_none(text: str) -> None:
    assert element_of(text) is None


@pytest.mark.parametrize("symbol", chemical_symbols[1:])
def test_every_symbol_is_itself_and_so_is_its_ion(symbol: str) -> None:
    assert element_of(symbol) == symbol
    assert element_of(f"{symbol}3+") == (symbol if chemical_symbols.index(symbol) <= 103 else None)


@pytest.mark.parametrize(
    ("label", "elements"),
    [
        ("Fe1", ("Fe",)),
        ("HO1", ("Ho", "H")),
        ("Ho1", ("Ho",)),
        ("CA2", ("Ca", "C")),
        ("OG1", ("O",)),
        ("O1A", ("O",)),
        ("D3", ("H",)),
        ("T1", ()),
        ("Q7", ()),
        ("", ()),
    ],
)
def test_a_label_hints_at_elements(label: str, elements: tuple[str, ...]) -> None:
    assert elements_of_label(label) == elements


@pytest.mark.parametrize(
    ("shares", "element"),
    [
        ([("Fe2+", 0.5), ("Fe3+", 0.5)], "Fe"),
        ([("6Li", 0.08), ("7Li", 0.92)], "Li"),
        ([("H", 0.35), ("D", 0.65)], "H"),
        ([("Li", 0.333)] * 3, "Li"),
        ([("Fe", 1.0), ("Mn", 0.0)], "Fe"),
    ],
)
def test_kinds_of_one_element_fill_a_site_together(shares: list[tuple[str, float]], element: str) -> None:
    assert element_of_site(shares, "site 1") == element


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ([("Fe", 0.5), ("Mn", 0.5)], "site 1 is partially occupied (Fe 0.5, Mn 0.5); choose an ordered approximant"),
        ([("Fe2+", 0.5), ("Fe3+", 0.4)], "site 1 is partially occupied (Fe2+ 0.5, Fe3+ 0.4)"),
        ([("Li", 0.9), ("vacancy", 0.1)], "site 1 is partially occupied (Li 0.9, vacancy 0.1)"),
        ([("Li", float("nan"))], "partially occupied"),
        ([("Fe2+", 1.0), ("Fe3+", 1.0)], "site 1 is occupied more than once"),
        ([("Fe,Mn", 1.0)], "site 1 holds 'Fe,Mn', more than one element, so it is partially occupied; choose an"),
        ([("0.8Nb + 0.2Zr", 1.0)], "more than one element, so it is partially occupied"),
        ([("H2O", 1.0)], "more than one element: give every atom its own site"),
        ([("Wat", 1.0)], "site 1 holds 'Wat', which is no element"),
        ([("vacancy", 1.0)], "an empty site"),
        ([], "an empty site"),
    ],
)
def test_what_fills_no_site_is_refused(shares: list[tuple[str, float]], reason: str) -> None:
    with pytest.raises(BadCrystal) as refusal:
        element_of_site(shares, "site 1")
    assert reason in str(refusal.value)
