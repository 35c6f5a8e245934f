"""Figures carry the right curve, labels and units, and refuse what cannot be drawn."""

import re

import numpy as np
import pytest
from PIL import Image

import lodewell
from lodewell import ZBL, BornMayer, Buckingham, Coulomb, London, Morse
from lodewell.errors import BadFile, BadOption, UnsupportedElement
from lodewell.potentials.pairs.pair import pair_name, pair_species
from lodewell.report.bonds import longest_bond, well
from lodewell.report.curves import _window, show
from lodewell.report.pairs import pair_rows


def words(path) -> str:
    return " ".join(re.findall(r">([^<>]+)</text>", path.read_text()))


def test_one_pair_is_labelled(table, tmp_path):
    text = words(show(table, ["Li-O"], tmp_path / "a.svg"))
    for wanted in ("Li–O", "r / Å", "U  (kT = 1)", "g(r)", "12 crystals, 6 independent", "standard error"):
        assert wanted in text
    r = np.linspace(0.5, 6, 4000)
    u, _ = table.curve("Li-O", r)
    assert f"{r[u.argmin()]:.2f} Å, −{-u.min():.2f}" in text


def test_calibrated_curves_are_in_ev(table, tmp_path):
    assert "U / eV" in words(show(table.in_eV(0.2), ["Li-O"], tmp_path / "a.svg"))


def test_thin_curves_stand_out(table, tmp_path):
    svg = show(table, ["Li-Na"], tmp_path / "a.svg").read_text()
    assert re.search(r"#d55e00[^<>]*>[^<>]*0 crystals", svg, re.IGNORECASE)


def test_several_pairs_make_a_grid(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = show(table, ["Li-O", "Na-Cl", "O-O"])
    assert path.name == "statistical-Li-O_Na-Cl_O-O.png"
    with Image.open(show(table, ["Li-O"], "one.png")) as one, Image.open(path) as three:
        assert three.width > one.width
        assert np.asarray(three.convert("L")).std() > 10
    assert "and-5-more" in show(table).name


def test_analytic_families_show_their_well(tmp_path):
    morse = Morse({"Ar-Ar": (0.3, 1.4, 3.0), "Ar-Kr": (0.2, 1.2, 3.3)}, cutoff=7.0)
    text = words(show(morse, out=tmp_path / "m.svg"))
    assert "Ar–Ar" in text
    assert "3.00 Å, −0.30" in text
    assert "Kr–Ar" not in text
    guarded = Buckingham({"O-O": (22764.0, 0.149, 27.88)}, cutoff=8.0) + ZBL(cutoff=2.5)
    assert "U / eV" in words(show(guarded, out=tmp_path / "b.svg"))
    assert "Si–O" in words(show(ZBL(), ["Si-O"], tmp_path / "z.svg"))


def test_terms_of_ionic_potentials_are_named(tmp_path):
    repulsion = BornMayer({"Mg-O": (1428.5, 0.2945), "O-O": (22764.3, 0.149)})
    oxide = Coulomb({"Mg": 2.0, "O": -2.0}) + 0.5 * repulsion + ZBL(cutoff=2.5)
    text = words(show(oxide, out=tmp_path / "a.svg"))
    for wanted in ("O–O", "O–Mg", "Mg–Mg", "r / Å", "U / eV", "Coulomb", "0.5 * BornMayer", "ZBL", "all terms"):
        assert wanted in text
    assert "BornMayer" not in words(show(oxide, ["Mg-Mg"], tmp_path / "b.svg"))
    assert "all terms" not in words(show(London({"Ar-Ar": 63.8}), out=tmp_path / "c.svg"))
    with pytest.raises(BadOption, match="no curve for Si"):
        show(oxide, ["Si-O"])
    with pytest.raises(BadOption, match="leave --variant out"):
        show(oxide, ["Mg-O"], variant="oxide")


def test_classes_are_drawn_together_or_alone(resolved, tmp_path):
    together = words(show(resolved, ["O-Li"], tmp_path / "a.svg"))
    assert "O–Li" in together
    assert "all crystals" in together
    assert "in oxides" in together
    alone = show(resolved, ["Li-O"], tmp_path / "b.svg", variant="oxide")
    assert "Li–O in oxides" in words(alone)
    assert "all crystals" not in words(alone)
    r = np.linspace(0.5, 6, 4000)
    assert f"−{-3 * resolved.curve('Li-O', r)[0].min():.2f}" in words(alone)


def test_the_window_shows_the_well_and_some_wall():
    r = np.linspace(0.02, 8, 800)
    u = 4 * ((2.0 / r) ** 12 - (2.0 / r) ** 6)
    bottom, top, left = _window(r, u, well(r, u))
    assert r[well(r, u)] == pytest.approx(2 ** (1 / 6) * 2.0, abs=0.01)
    assert bottom < -1.0 < 0.0 < top < 2.0
    assert left in (1.0, 1.5)
    assert well(r, 1 / r) is None


def test_refusals(table, tmp_path):
    with pytest.raises(UnsupportedElement, match="no curve for Li-Au"):
        show(table, ["Li-Au"], tmp_path / "a.png")
    with pytest.raises(UnsupportedElement, match="in oxides"):
        show(table, ["Li-O"], tmp_path / "a.png", variant="oxide")
    with pytest.raises(BadOption, match="choose one of fluoride"):
        show(table, ["Li-O"], tmp_path / "a.png", variant="wood")
    with pytest.raises(BadOption, match=r"\.png, \.svg, \.pdf"):
        show(table, ["Li-O"], tmp_path / "a.gif")
    with pytest.raises(BadOption, match="no pair of elements"):
        show(table, ["LiO"], tmp_path / "a.png")
    with pytest.raises(BadOption, match="name the pairs"):
        show(ZBL(), [], tmp_path / "a.png")
    with pytest.raises(BadFile, match="create it first"):
        show(table, ["Li-O"], tmp_path / "no" / "a.png")


@pytest.mark.parametrize(
    ("pair", "low", "high"),
    [
        ("Si-Si", 2.2, 2.9),
        ("Na-Cl", 2.7, 3.1),
        ("C-C", 1.3, 1.6),
        ("Fe-O", 1.8, 2.2),
        ("P-O", 1.4, 1.6),
        ("Li-O", 1.8, 2.2),
        ("H-H", 0.7, 0.9),
    ],
)
def test_the_well_is_that_of_the_bond(pair, low, high):
    """Bond lengths as in any textbook; between Li and O the curve is lower at 4 Å than at the bond."""
    table = lodewell.load("spp")
    p = table.curve_index(*pair_species(pair))
    k = well(table.r_k, table.u_pk[p], 1.0, longest_bond(table, p))
    assert low < table.r_k[k] < high
    (row,) = [row for row in pair_rows(table) if row.pair == pair_name(*pair_species(pair)) and row.variant is None]
    assert low < row.r_min < high


def test_a_ripple_beyond_the_bonds_is_no_well():
    r = np.linspace(1.0, 6.0, 501)
    u = -0.2 * np.exp(-(((r - 2.0) / 0.2) ** 2)) - 0.3 * np.exp(-(((r - 4.0) / 0.2) ** 2)) + 1e-3 / r**12
    assert r[well(r, u)] == pytest.approx(4.0, abs=0.02)
    assert r[well(r, u, 1.0, 2.2)] == pytest.approx(2.0, abs=0.02)
