"""Maps of crystals: kernel principal components by their definition, alike crystals near each other, refusals."""

import csv
import json
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from PIL import Image
from scipy.spatial.transform import Rotation
from tests.potentials.gap.made_up_gap import made_up_gap, with_knowledge
from typer.testing import CliRunner

import lodewell
from lodewell import MapOptions, map_crystals
from lodewell.cli import app
from lodewell.descriptors.environments import Soap
from lodewell.descriptors.legs import Legs
from lodewell.descriptors.soap import spectra
from lodewell.errors import BadFile, BadOption
from lodewell.judge.map import run as judge_map
from lodewell.judge.map.kernel_pca import KernelPCA
from lodewell.potentials.gap.gap import GAP, Term


def unit(rng, count, size=6):
    p = np.abs(rng.normal(size=(count, size)))  # as of spectra, no product is negative
    return p / np.linalg.norm(p, axis=1)[:, None]


def silicon() -> list[Atoms]:
    """Three structures, six rattled crystals of each, with energies and names."""
    out = []
    for k, (name, a) in enumerate({"diamond": 5.43, "bcc": 3.1, "sc": 2.6}.items()):
        for n in range(6):
            atoms = bulk("Si", name, a=a * (1 + 0.004 * n)) * (2, 1, 1)
            atoms.rattle(0.02, seed=10 * k + n)
            atoms.info |= {
                "config_type": name,
                "REF_energy": -5.0 * len(atoms) + n,
                "id": f"{name}-{n}",
                "spin": 0.5 * n,
            }
            out.append(atoms)
    return out


def places(found) -> np.ndarray:
    return np.array([(row.x, row.y) for row in found.rows], dtype=float)


# -------------------------------------------------------------------------------------- kernel principal components


def test_all_components_together_keep_the_distances_of_the_kernel():
    p = unit(np.random.default_rng(0), 9)
    pca = KernelPCA.of(p, 2.0, axes=9)
    xy = pca.project(p)
    k = (p @ p.T) ** 2
    square = np.diag(k)[:, None] + np.diag(k) - 2.0 * k
    assert ((xy[:, None] - xy) ** 2).sum(axis=-1) == pytest.approx(square, abs=1e-8)
    assert pca.shares_k.sum() == pytest.approx(1.0)
    assert np.all(np.diff(pca.shares_k) <= 1e-12)


def test_components_are_those_of_the_centred_kernel():
    p = unit(np.random.default_rng(1), 30)
    pca = KernelPCA.of(p, 4.0)
    xy = pca.project(p)
    centre = np.eye(30) - 1.0 / 30
    values, vectors = np.linalg.eigh(centre @ np.maximum(p @ p.T, 0.0) ** 4 @ centre)
    for axis in (0, 1):
        wanted = vectors[:, -1 - axis] * np.sqrt(values[-1 - axis])
        assert min(np.abs(xy[:, axis] - wanted).max(), np.abs(xy[:, axis] + wanted).max()) < 1e-8
        assert pca.shares_k[axis] == pytest.approx(values[-1 - axis] / values.sum())
    assert np.abs(xy.mean(axis=0)).max() < 1e-10


def test_axes_that_do_not_exist_are_zero():
    p = unit(np.random.default_rng(2), 1)
    assert KernelPCA.of(p, 2.0).project(p).tolist() == [[0.0, 0.0]]
    same = KernelPCA.of(np.repeat(p, 4, axis=0), 2.0)
    assert not same.project(p).any()
    two = KernelPCA.of(unit(np.random.default_rng(3), 2), 2.0)
    assert two.shares_k == pytest.approx([1.0, 0.0])


# ------------------------------------------------------------------------------------------------------------- maps


def test_alike_crystals_are_near_each_other():
    found = map_crystals(silicon())
    xy = places(found)
    kinds = [row.config_type for row in found.rows]
    apart = np.linalg.norm(xy[:, None] - xy, axis=-1) + 9.0 * np.eye(len(xy))
    assert [kinds[k] for k in apart.argmin(axis=1)] == kinds
    same = np.array(kinds)[:, None] == kinds
    assert apart[same & (apart < 9.0)].max() < 0.3 * apart[~same].min()
    assert 0.9 < sum(found.shares) <= 1.0
    assert found.colour == "config_type"
    assert found.rows[7].id == "bcc-1"


def test_a_crystal_and_its_turned_supercell_have_one_place():
    cells = silicon()
    turned = cells[0] * (1, 2, 1)
    rotation = Rotation.random(random_state=1).as_matrix()
    turned.set_cell(turned.cell.array @ rotation.T, scale_atoms=True)
    xy = places(map_crystals([*cells, turned]))
    assert xy[-1] == pytest.approx(xy[0], abs=2e-4)  # vectors are kept in single precision


def test_a_bad_crystal_costs_one_row():
    cells = silicon()[:4]
    cells[1].positions[0] = np.nan
    cells[2].positions[1] = cells[2].positions[0]
    found = map_crystals(cells)
    assert [row.status for row in found.rows] == ["mapped", "bad input", "bad input", "mapped"]
    assert "not a finite number" in found.rows[1].message
    assert "coincide" in found.rows[2].message
    assert found.rows[1].x is None
    assert np.isfinite(places(found)[[0, 3]]).all()
    with pytest.raises(BadOption, match="no crystal"):
        map_crystals(cells[1:2])


def test_nothing_changes_when_crystals_are_many(monkeypatch, tmp_path):
    """Read twice instead of held, and vectors on disk instead of in memory."""
    path = tmp_path / "many.extxyz"
    write(path, silicon(), format="extxyz", write_results=False)
    few = map_crystals(path)
    monkeypatch.setattr(judge_map, "_HELD", 10)
    monkeypatch.setattr(judge_map, "_SPOOL", 1000)
    monkeypatch.setattr(judge_map, "_BLOCK", 4)
    many = map_crystals(path)
    assert places(many) == pytest.approx(places(few), abs=1e-12)
    assert many.rows[5].file == str(path)
    assert many.rows[5].frame == 5


def test_axes_may_be_laid_by_a_sample():
    cells = silicon()
    whole, part = map_crystals(cells), map_crystals(cells, MapOptions(landmarks=9, seed=2))
    again = map_crystals(cells, MapOptions(landmarks=9, seed=2))
    assert part.landmarks == 9
    assert np.array_equal(places(part), places(again))
    a, b = ([np.linalg.norm(p[0] - p[k]) for k in (6, 12)] for p in (places(whole), places(part)))
    assert a == pytest.approx(b, rel=0.1)


def test_reach_grows_with_the_room_of_an_atom():
    silicon_soap = map_crystals([bulk("Si"), bulk("Si", a=5.5)]).soap
    carbon = map_crystals([bulk("C"), bulk("C", a=3.6)]).soap
    assert silicon_soap.cutoff == pytest.approx(5.0, abs=0.1)
    assert carbon.cutoff == pytest.approx(silicon_soap.cutoff * 3.6 / 5.45, abs=0.1)
    assert carbon.sigma == pytest.approx(0.1 * carbon.cutoff)
    given = map_crystals(silicon(), MapOptions(cutoff=4.0, sigma=0.6, n_max=5, l_max=3, zeta=2.0)).soap
    assert (given.cutoff, given.sigma, given.n_max, given.l_max, given.zeta) == (4.0, 0.6, 5, 3, 2.0)
    drop = map_crystals([Atoms("Si2", [[0, 0, 0], [0, 0, d]]) for d in (2.0, 2.2, 2.4)])
    assert drop.soap.cutoff == 5.0
    assert drop.colour == "formula"


def test_elements_are_told_apart_up_to_eight():
    salts = [bulk(a + b, "rocksalt", a=5.0) for a in ("Li", "Na", "K", "Rb") for b in ("F", "Cl", "Br", "I")]
    eight = map_crystals(salts)
    assert not eight.together
    assert len(eight.soap.species) == 8
    assert eight.colour == "elements"
    more = map_crystals([*salts, bulk("MgO", "rocksalt", a=5.0)])
    assert more.together
    assert "elements are not told apart" in more.sentence
    assert np.ptp(places(more), axis=0).max() < 1e-3  # one lattice, nothing else
    assert not map_crystals(
        [*salts, bulk("MgO", "rocksalt", a=5.0)], MapOptions(species=True, n_max=3, l_max=2)
    ).together
    assert map_crystals(salts[:2], MapOptions(species=False)).together


# ----------------------------------------------------------------------------------------------------------- colours


@pytest.mark.parametrize(
    ("colour", "wanted", "unit"),
    [
        ("energy", -4.75, "eV/atom"), ("config_type", "diamond", ""), ("elements", "Si", ""), ("spin", 0.5, ""),
        ("formula", "Si", ""), ("volume", 5.43**3 / 8 * 1.004**3, "Å³/atom"), ("density", 2.3015, "g/cm³"),
    ],
)  # fmt: skip
def test_what_colours(colour, wanted, unit):
    found = map_crystals(silicon(), MapOptions(colour=colour))
    assert found.rows[1].value == pytest.approx(wanted, rel=1e-3) if not isinstance(wanted, str) else wanted
    assert (found.colour, found.unit) == (colour, unit)


def test_colours_that_nobody_has_are_refused():
    with pytest.raises(BadOption, match=r"did you mean 'energy'.*config_type"):
        map_crystals(silicon(), MapOptions(colour="energi"))
    with pytest.raises(BadOption, match="only a map of atoms has a element"):
        map_crystals(silicon(), MapOptions(colour="element"))
    with pytest.raises(BadOption, match="--uncertainty"):
        map_crystals(silicon(), MapOptions(colour="uncertainty"))


def test_colours_chosen_without_being_asked():
    cells = silicon()
    for atoms in cells:
        del atoms.info["config_type"]
    assert map_crystals(cells).colour == "energy"
    for atoms in cells:
        del atoms.info["REF_energy"]
    assert map_crystals(cells).colour == "volume"
    symbols = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba")
    salts = [bulk(a + b, "rocksalt", a=5.0) for a in symbols for b in ("O", "S", "F", "Cl")]
    found = map_crystals(salts)
    assert found.colour == "class"
    assert [row.value for row in found.rows[:4]] == ["oxide", "sulfide", "fluoride", "chloride"]


# ------------------------------------------------------------------------------------------------------------- atoms


def test_a_map_of_atoms():
    salt = bulk("NaCl", "rocksalt", a=5.64) * (2, 1, 1)
    salt.rattle(0.05, seed=1)
    found = map_crystals([salt], MapOptions(by="atoms"))
    assert [(row.atom, row.element) for row in found.rows] == list(enumerate(["Na", "Cl", "Na", "Cl"]))
    assert found.colour == "element"
    x = places(found)[:, 0]
    assert np.sign(x[0]) == np.sign(x[2]) != np.sign(x[1])
    only = map_crystals([salt], MapOptions(element="Cl"))
    with pytest.raises(BadOption, match="an element chooses among atoms"):
        map_crystals([salt], MapOptions(by="crystals", element="Cl"))
    assert [row.atom for row in only.rows] == [1, 3]
    with pytest.raises(BadOption, match="none holds Fe"):
        map_crystals([salt], MapOptions(by="atoms", element="Fe"))


def with_points_of(cells: list[Atoms]) -> GAP:
    """A potential whose sparse points are the first atoms of some crystals."""
    soap = Soap(14, (14,), 4.5, 1.0, 5, 4, 0.5, 3.0)
    p = np.array([spectra(soap, Legs.of_atoms(a, soap.cutoff))[0] for a in cells])
    return GAP({14: -5.0}, [Term(soap, 0.5, p, np.ones(len(p)), np.random.default_rng(0).normal(size=len(p)))])


def test_sparse_points_lie_where_their_atoms_lie():
    cells = silicon()
    gap = with_points_of(cells[::4])
    found = map_crystals(cells, potential=gap)
    assert found.by == "atoms"
    assert found.soap == gap.terms[0].descriptor
    firsts = [(row.x, row.y) for row in found.rows if row.atom == 0][::4]
    assert found.points == pytest.approx(np.array(firsts), abs=1e-5)
    crystals = map_crystals(cells, MapOptions(by="crystals"), potential=gap)
    assert len(crystals.rows) == len(cells)
    assert crystals.points is None


def test_a_gap_names_what_it_cannot_map():
    gap = with_points_of(silicon()[:3])
    found = map_crystals([bulk("Si"), bulk("Ge")], potential=gap)
    assert [row.status for row in found.rows] == ["mapped", "mapped", "unsupported"]
    assert "Ge" in found.rows[2].message
    with pytest.raises(BadOption, match="no SOAP term"):
        map_crystals([bulk("Si")], potential=GAP({14: 0.0}, []))
    with pytest.raises(BadOption, match="no SOAP term of Ge: choose one of Si"):
        map_crystals([bulk("Si")], MapOptions(element="Ge"), potential=gap)
    with pytest.raises(BadOption, match="is a statistical potential"):
        map_crystals([bulk("Si")], potential="spp")


def test_atoms_coloured_by_what_the_potential_does_not_know():
    gap = with_knowledge(made_up_gap("Si", count=4))
    atoms = silicon()[0]
    found = map_crystals([atoms], MapOptions(colour="uncertainty"), potential=gap)
    assert [row.value for row in found.rows] == pytest.approx(1e3 * gap.atomic_deviations(atoms)[0])
    assert found.unit == "meV"


@pytest.mark.parametrize("fields", [{"landmarks": 2}, {"zeta": 0.5}, {"element": "Xx"}])
def test_senseless_options_are_refused(fields):
    with pytest.raises(BadOption):
        MapOptions(**fields)


def test_missing_paths_are_refused(tmp_path):
    with pytest.raises(BadFile):
        map_crystals(tmp_path / "nothing.cif")


# ------------------------------------------------------------------------------------------------ figures, commands


def words(path) -> str:
    return " ".join(re.findall(r">([^<>]+)</text>", path.read_text()))


def test_figures_say_what_they_show(tmp_path):
    cells = silicon()
    kinds = words(map_crystals(cells).figure(tmp_path / "a.svg"))
    for wanted in ("18 crystals of Si", "first principal component", "% of the variance", "diamond (6)", "SOAP to"):
        assert wanted in kinds, wanted
    energies = words(map_crystals(cells, MapOptions(colour="energy")).figure(tmp_path / "b.svg"))
    assert "energy above the lowest / eV/atom" in energies
    points = words(map_crystals(cells, potential=with_points_of(cells[:5])).figure(tmp_path / "c.svg"))
    assert "sparse points (5)" in points
    assert f"{sum(map(len, cells))} atoms of Si" in points
    for k, atoms in enumerate(cells):
        atoms.info["config_type"] = f"kind {k}"
    many = words(map_crystals(cells, MapOptions(colour="config_type")).figure(tmp_path / "d.svg"))
    assert "9 others (9)" in many


def run(*words) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("a.extxyz", silicon(), format="extxyz", write_results=False)
    text = run("map", "a.extxyz", "--limit", 2, "--table", "rows.csv", "--colour", "energy")
    for wanted in ("18 crystals by SOAP", "diamond-0", "and 16 more", "written: map.png", "energy (eV/atom)"):
        assert wanted in text, wanted
    with Image.open("map.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 5
    with open("rows.csv", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 18
    assert float(rows[1]["energy_per_atom"]) == pytest.approx(-4.75)
    (tmp_path / "map.png").unlink()
    told = json.loads(run("map", "a.extxyz", "--json", "--by", "atoms"))
    assert len(told["rows"]) == sum(map(len, silicon()))
    assert told["by"] == "atoms"
    assert not (tmp_path / "map.png").exists()


def test_the_public_names():
    assert lodewell.map_crystals is map_crystals
    assert lodewell.MapOptions is MapOptions
