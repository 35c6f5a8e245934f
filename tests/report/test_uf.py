"""Figures and lists of UF potentials: the right splines, labels and units, and holes in the data where they are."""

import json
import re

import numpy as np
import pytest
from ase.build import bulk
from PIL import Image
from tests.potentials.made_up_uf import embedded_uf, made_up_uf
from typer.testing import CliRunner

import lodewell
from lodewell import UF
from lodewell.cli import app
from lodewell.errors import BadOption, UnsupportedElement
from lodewell.fit.distances import WIDTH
from lodewell.report.coverage import covered
from lodewell.report.pairs import description
from lodewell.report.three_body import draw_angles, third
from lodewell.report.uf import three_body


def words(path) -> str:
    return " ".join(re.findall(r">([^<>]+)</text>", path.read_text()))


def counts_of(pairs, shortest: float = 1.7, hole: tuple[float, float] | None = None):
    """Return how often distances of each pair are met: shells on a background that begins at `shortest`."""
    r = WIDTH * (np.arange(400) + 0.5)
    counts = np.round(r**2 * (20 + 400 * np.exp(-0.5 * ((r - 2.4) / 0.1) ** 2) + 150 * np.exp(-8 * (r - 3.9) ** 2)))
    counts[r < shortest] = 0.0
    if hole is not None:
        counts[(r > hole[0]) & (r < hole[1])] = 0.0
    return dict.fromkeys(pairs, counts)


def counted(potential: UF, **how) -> UF:
    """Give every pair a record of distances."""
    return potential.with_record(distances=counts_of(potential.pairs, **how))


@pytest.fixture
def silicon() -> UF:
    return counted(made_up_uf("Si"))


def test_coverage_finds_the_shortest_distance_the_shell_and_the_holes():
    record = counted(made_up_uf("Si"), hole=(2.9, 3.3)).distances[14, 14]
    found = covered(record, 5.0)
    assert found.shortest == pytest.approx(1.7)
    assert found.shell == pytest.approx(2.4, abs=0.05)
    assert found.holes == (pytest.approx((2.9, 3.3)),)
    assert found.seen(np.array([1.6, 1.8, 3.0, 3.2, 3.4, 4.9])).tolist() == [False, True, False, False, True, True]
    assert covered(record, 3.2).holes == (pytest.approx((2.9, 3.2)),)  # to the cutoff
    narrow = record.copy()
    narrow[(np.arange(400) > 200) & (np.arange(400) < 204)] = 0.0
    assert covered(narrow, 5.0).holes == found.holes  # 0.06 Å is chance
    assert covered(None, 5.0) is None
    assert covered(record, 1.5) is None


def test_one_element_has_its_curve_its_angles_and_units(silicon, tmp_path):
    text = words(lodewell.show(silicon, out=tmp_path / "a.svg"))
    for wanted in (
        "Si–Si", "V₂ / eV", "r / Å", "pairs", "Si–Si–Si", "V₃(r, r, θ) / eV", "θ / °", "r = 2.41 Å",
        "knots", "pairs in the training data, per 0.02 Å", "no data: wall or guess",
        f"energy of a lone atom: Si {silicon.energies[14]:.3f} eV".replace("-", "−"),
    ):  # fmt: skip
        assert wanted in text, wanted
    r = np.linspace(1.7, 5.0, 3000)
    u = silicon.pairs[14, 14](r)
    assert f"{r[u.argmin()]:.2f} Å, −{-u.min():.2f}" in text


def test_walls_and_holes_are_shaded(tmp_path):
    def shades(potential: UF) -> int:
        svg = lodewell.show(potential, ["Si-Si"], tmp_path / "a.svg").read_text()
        return len(re.findall(r"fill: #d55e00; opacity: 0\.1\b", svg))

    plain = shades(counted(made_up_uf("Si")))
    assert plain == 3  # curve, histogram, legend
    assert shades(counted(made_up_uf("Si"), hole=(2.9, 3.3))) == plain + 2
    text = words(lodewell.show(made_up_uf("Si"), ["Si-Si"], tmp_path / "b.svg"))
    assert "training data" not in text
    assert "no data" not in text


def test_the_slices_are_the_function_where_the_data_are(silicon):
    """The solid line is V3 at the legs that the legend names, and begins where the third side is the shortest."""
    from matplotlib.figure import Figure

    drawn = Figure()
    draw_angles(drawn, drawn.add_gridspec(1, 1)[0], three_body(silicon, (14, 14, 14)))
    (axes,) = drawn.axes
    solid = [line for line in axes.lines if line.get_label().startswith("r =")]
    assert len(solid) >= 3
    for line, (leg, other) in zip(solid, three_body(silicon, (14, 14, 14)).legs, strict=True):
        assert leg == other
        assert line.get_label() == f"r = {leg:.2f} Å"
        angle, value = line.get_data()
        kept = np.isfinite(value)
        side = 2.0 * leg * np.sin(np.radians(angle / 2.0))
        assert side[kept].min() == pytest.approx(1.7, abs=0.03)
        assert kept[-1]
        wanted = silicon.triples[14, 14, 14](np.array(leg), np.array(leg), side[kept])
        assert value[kept] == pytest.approx(wanted, abs=1e-12)


def test_third_sides_and_what_is_seen():
    assert third(np.array(3.0), np.array(4.0), np.array(90.0)) == pytest.approx(5.0)
    assert third(np.array(2.0), np.array(3.0), np.array([0.0, 180.0])) == pytest.approx([1.0, 5.0])
    potential = counted(made_up_uf("O", "Ti"), hole=(2.9, 3.3))
    side = np.array([1.5, 2.0, 3.1, 3.5])
    triple = three_body(potential, (8, 8, 22))
    assert triple.seen(np.array(2.0), np.array(2.1), side).tolist() == [False, True, False, True]
    assert not triple.seen(np.array(1.5), np.array(2.1), side).any()


def test_every_spline_of_several_elements_is_drawn(tmp_path):
    potential = counted(made_up_uf("O", "Ti"))
    text = words(lodewell.show(potential, out=tmp_path / "a.svg"))
    for wanted in ("O–O", "O–Ti", "Ti–Ti", "O–O–Ti", "Ti–O–Ti", "O–Ti–O", "O–Ti–Ti", "Ti–Ti–Ti"):
        assert wanted in text.split(), wanted
    some = words(lodewell.show(potential, ["Ti-O", "Ti-O-O"], tmp_path / "b.svg"))
    assert {"O–Ti", "O–Ti–O"} <= set(some.split())
    assert not {"Ti–Ti", "O–O–Ti"} & set(some.split())


def test_of_very_many_functions_only_those_named_are_drawn(tmp_path):
    five = made_up_uf("O", "Si", "Ti", "Al", "Mg")
    several = UF(five.energies, {(8, 8): five.pairs[8, 8]}, five.triples)
    text = words(lodewell.show(several, out=tmp_path / "a.svg"))
    assert "O–O" in text
    assert "V₃" not in text
    assert "name one of 75 three-body functions to draw it, such as O-O-O" in text
    assert "O–Si–O" in words(lodewell.show(several, ["Si-O-O"], tmp_path / "b.svg"))


def test_files_are_named_after_what_they_show(silicon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    silicon.save("si")
    assert lodewell.show("si.lodewell").name == "si.png"
    assert lodewell.show("si.lodewell", ["Si-Si"]).name == "si-Si-Si.png"
    with Image.open("si.png") as everything, Image.open("si-Si-Si.png") as one:
        assert everything.width > one.width
        assert np.asarray(everything.convert("L")).std() > 10


def test_embeddings_are_drawn(tmp_path):
    potential = embedded_uf("O", "Ti")
    text = words(lodewell.show(potential, ["Ti"], tmp_path / "a.svg"))
    assert "Ti: densities" in text
    assert text.count("Ti: U / eV") == len(potential.embeddings[22].pairs)
    assert "O: U / eV" not in text
    some = words(lodewell.show(potential, ["O", "Ti", "O-Ti"], tmp_path / "b.svg"))
    for wanted in ("O: densities", "Ti: densities", "O–Ti"):
        assert wanted in some


def test_what_cannot_be_drawn_is_refused(silicon, tmp_path):
    for pair, why in (
        ("Si-O", "no spline Si-O: it has Si-Si, Si-Si-Si"),
        ("Si", "no spline Si: it has Si-Si"),
        ("SiO", "'SiO' is neither a pair nor a triple"),
        ("Si-Si-Si-Si", "neither a pair nor a triple"),
    ):
        with pytest.raises(BadOption, match=why):
            lodewell.show(silicon, [pair], tmp_path / "a.png")
    with pytest.raises(BadOption, match="leave --variant out"):
        lodewell.show(silicon, ["Si-Si"], tmp_path / "a.png", variant="oxide")
    assert not list(tmp_path.iterdir())


def run(*words) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == 0, result.stderr
    return result.stdout


ABOUT = {
    "data": {"files": ["/data/tio.extxyz"], "frames": 1234, "atoms": 56789},
    "coefficients": 777,
    "held_out_rmse": {"energy": 0.0123, "force": 0.145, "stress": 0.0062415091},
}


def test_list_tells_what_a_fit_rests_on(tmp_path):
    potential = counted(made_up_uf("O", "Ti"), hole=(2.9, 3.3))
    potential.distances.pop((22, 22))
    file = potential.save(tmp_path / "tio", **ABOUT)
    text = run("list", file)
    assert "1,234 labelled crystals, 56,789 atoms (tio.extxyz)" in text
    assert "energy 12.3 meV/atom, force 0.145 eV/Å, stress 1 GPa" in text
    assert "777 coefficients" in text
    assert "2 elements: O Ti" in text
    assert re.search(r"^O-Ti .*1\.70 Å.*2\.90–3\.30 Å", text, re.MULTILINE)
    assert re.search(r"^Ti-Ti .*no data", text, re.MULTILINE)
    rows = {row["spline"]: row for row in json.loads(run("list", file, "--json"))}
    assert len(rows) == 3 + 6
    pair = rows["O-Ti"]
    assert (pair["bodies"], pair["end_A"], pair["coefficients"]) == (2, 5.0, potential.pairs[8, 22].axis.size)
    assert pair["counted"] == potential.distances[8, 22][: round(5.0 / WIDTH)].sum()
    for row in (rows[name] for name in ("O-O", "Ti-Ti") if rows[name]["minimum_A"] is not None):
        z = 8 if row["spline"] == "O-O" else 22
        assert row["minimum_eV"] == pytest.approx(potential.pairs[z, z](np.array(row["minimum_A"])))
    assert rows["Ti-O-O"]["coefficients"] > 100
    flagged = {row["spline"] for row in json.loads(run("list", file, "--json", "--flagged"))}
    assert flagged == {"O-O", "O-Ti", "Ti-Ti", "O-Ti-Ti", "Ti-O-Ti", "Ti-Ti-Ti"}
    assert {row["spline"] for row in json.loads(run("list", file, "--json", "-e", "Ti"))} == {"Ti-Ti", "Ti-Ti-Ti"}
    with pytest.raises(UnsupportedElement, match="no curve for Si"):
        description(file, "Si")


def test_list_of_a_potential_without_records(tmp_path):
    text = run("list", made_up_uf("Si").save(tmp_path / "si"))
    assert "1 element: Si" in text
    assert "error bars: none (fit with --uncertainty)" in text
    assert re.search(r"^Si-Si .*unknown", text, re.MULTILINE)
    assert "embedding of O: 8 densities, 5 functions of two" in run("list", embedded_uf("O", "Ti").save(tmp_path / "e"))


def test_the_file_of_a_fit_is_drawn_and_listed(tmp_path):
    """From labelled crystals to figure and list, through the command line."""
    frames = []
    model = lodewell.Morse({"Cu-Cu": (0.34, 1.36, 2.87)}, cutoff=5.0, switch=1.0)
    for seed in range(6):
        atoms = bulk("Cu", a=3.5 + 0.05 * seed, cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = model.calculator()
        frames.append(atoms)
    from ase.io import write

    for atoms in frames:
        atoms.get_potential_energy()
    write(tmp_path / "cu.extxyz", frames)
    options = ("--cutoff", "5", "--cutoff-3body", "3.4", "--intervals", "8", "--intervals-3body", "4", "-n", "1")
    run("fit", "uf", "--train", tmp_path / "cu.extxyz", "--out", tmp_path / "cu.lodewell", *options)
    assert (tmp_path / "cu.png") == lodewell.show(tmp_path / "cu.lodewell", out=tmp_path / "cu.png")
    text = run("list", tmp_path / "cu.lodewell")
    assert "6 labelled crystals, 24 atoms (cu.extxyz)" in text
    assert "errors on frames held out" in text
