"""`lodewell.compare`: the front, the cost that is measured, and a figure whose names do not cover each other."""

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from typer.testing import CliRunner

import lodewell
from lodewell import Morse, PublishedErrors
from lodewell.cli import app
from lodewell.crystals.labels.read import Labelled
from lodewell.errors import BadFile, BadOption
from lodewell.judge.compare.run import Comparison, Contender, named
from lodewell.judge.compare.timing import Cost, costs, typical
from lodewell.report.labels import place_labels, spread
from lodewell.report.style import figure

COPPER = {"Cu-Cu": (0.3429, 1.3588, 2.866)}


@pytest.fixture(scope="module")
def near():
    return Morse(COPPER, cutoff=4.0, switch=1.0)


@pytest.fixture(scope="module")
def far():
    return Morse(COPPER, cutoff=9.0, switch=1.0)


@pytest.fixture(scope="module")
def frames(far):
    """Crystals labelled by the potential of long reach, so that it is right and the short one is not."""
    out = []
    for k in range(8):
        atoms = bulk("Cu", "fcc", a=3.5 + 0.04 * k, cubic=True)
        atoms.rattle(0.1, seed=k)
        r = far.evaluate(atoms)[0]
        out.append(Labelled(atoms, r.energy + 0.001 * k, r.forces_nc + 1e-3, r.stress_cc, file="made-up", frame=k))
    return out


def test_errors_and_costs_of_the_same_run(near, far, frames):
    found = lodewell.compare({"near": near, "far": far, "EMT": EMT()}, frames, atoms=500, seconds=0.2)
    assert [r.name for r in found.rows] == ["near", "far", "EMT"]
    rows = {r.name: r for r in found.rows}
    assert rows["far"].mae("force") == pytest.approx(1e-3, rel=1e-6)
    assert rows["near"].mae("force") > 0.01
    # (9/4)^3 as many pairs: 11 times; half of that leaves room for what does not grow, and for a busy machine.
    assert rows["far"].cost.us_per_atom > 2.0 * rows["near"].cost.us_per_atom
    assert rows["EMT"].cost.us_per_atom > rows["near"].cost.us_per_atom
    assert rows["EMT"].cost.fresh_us_per_atom is None
    assert rows["near"].cost.fresh_us_per_atom > rows["near"].cost.us_per_atom
    assert found.cell == "Cu"
    assert found.cell_atoms == rows["far"].cost.atoms == 500
    assert "far" in [r.name for r in found.front("force")]
    assert "EMT" not in [r.name for r in found.front("energy")]
    plain = json.loads(json.dumps(found.json(), allow_nan=False))
    assert plain["timed_on"]["atoms"] == 500
    assert plain["potentials"][1]["force"]["mae"] == pytest.approx(1e-3)
    assert plain["front"]["force"][-1] == "far"


class Small(Morse):
    """It refuses large cells."""

    def compute(self, batch, neighbours):
        if len(batch.species_n) > 400:
            raise MemoryError("too many atoms")
        return super().compute(batch, neighbours)


def test_who_cannot_be_timed_is_tested_all_the_same_and_who_cannot_be_tested_is_named(near, frames):
    found = lodewell.compare({"near": near, "small": Small(COPPER, cutoff=4.0)}, frames, atoms=500, seconds=0.0)
    assert found.rows[0].cost is not None
    assert found.rows[1].cost is None
    assert found.rows[1].mae("force") is not None
    gold = Morse({"Au-Au": (0.4, 1.5, 3.0)}, cutoff=5.0)
    with pytest.raises(BadFile, match="gold: no frame could be compared; the first: made-up, frame 0"):
        lodewell.compare({"near": near, "gold": gold}, frames)


def made_up(values, published=()):
    """A comparison with given costs (µs/atom), force errors (eV/Å) and energy errors (eV/atom)."""
    rows = []
    for name, cost, force, energy in values:
        atoms = bulk("Cu")
        label = Labelled(atoms, energy, np.full((1, 3), force), None)
        errors = lodewell.judge.test.run.errors_of(
            Morse({"Cu-Cu": (1e-300, 1.0, 1.0)}, cutoff=1.0, switch=0.5), [label]
        )
        rows.append(Contender(name, "uf", errors, Cost(cost, None, 0.1, 5, 1000)))
    return Comparison(tuple(rows), tuple(published), "Cu", 1000, "a machine")


def test_the_front_is_what_nobody_beats():
    found = made_up(
        [("a", 1, 0.3, 0.02), ("b", 2, 0.1, 0.03), ("c", 3, 0.2, 0.01), ("d", 9, 0.05, 0.04), ("e", 2, 0.4, 0.9)]
    )
    assert [r.name for r in found.front("force")] == ["a", "b", "d"]
    assert [r.name for r in found.front("energy")] == ["a", "c"]


def test_names():
    one, two = Morse(COPPER, cutoff=4.0), Morse(COPPER, cutoff=5.0)
    assert list(named([one, two])) == ["morse", "morse (2)"]
    assert list(named({"x": one})) == ["x"]
    with pytest.raises(BadOption, match="one potential at least"):
        lodewell.compare([], [])
    with pytest.raises(BadOption, match="int is no potential"):
        lodewell.compare({"x": 1}, [])


def test_the_timed_cell_is_no_slab(frames):
    slab = bulk("Cu", cubic=True)
    slab.center(vacuum=10.0, axis=2)
    chosen = typical([slab, *(f.atoms for f in frames)])
    volumes = sorted(f.atoms.get_volume() for f in frames)
    assert chosen.get_volume() in volumes[3:5]
    free = bulk("Cu")
    free.pbc = False
    assert typical([free]) is None


def test_molecules_are_tested_but_not_timed(near):
    atoms = bulk("Cu", cubic=True)
    atoms.pbc = False
    found = lodewell.compare([near], [Labelled(atoms, -3.0, None, None)])
    assert found.rows[0].cost is None
    assert found.rows[0].errors.overall.frames == 1
    assert found.front("energy") == []


def test_costs_are_in_turns_and_warm(near):
    """The first call, which may compile, is not counted: rounds scatter around their median."""
    cell = bulk("Cu", cubic=True) * (5, 5, 5)
    found = costs({"a": near, "b": near}, cell, seconds=0.1)
    assert found["a"].rounds >= 5
    assert found["a"].us_per_atom == pytest.approx(found["b"].us_per_atom, rel=1.0)


def test_spread_keeps_order_and_distance_and_moves_little():
    rng = np.random.default_rng(2)
    for _ in range(50):
        values = rng.uniform(0, 1, rng.integers(1, 12)).tolist()
        out = spread(values, 0.05, 0.0, 1.0)
        order = np.argsort(values)
        gaps = np.diff(np.array(out)[order])
        assert (gaps > 0.05 - 1e-9).all()
        assert min(out) >= -1e-9
        assert max(out) <= 1 + 1e-9
    assert spread([0.2, 0.8], 0.1, 0.0, 1.0) == [0.2, 0.8]
    assert spread([0.5, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.45, 0.55])


def test_labels_cover_neither_each_other_nor_marks():
    rng = np.random.default_rng(5)
    points = [(10 ** rng.uniform(0, 1), 10 ** rng.uniform(0, 0.6)) for _ in range(14)]
    with figure(7.0, 5.0) as drawn:
        axes = drawn.add_subplot()
        axes.set(xscale="log", yscale="log", xlim=(0.7, 15), ylim=(0.7, 6))
        place_labels(axes, points, [f"potential {k}" for k in range(14)], ["k"] * 14)
        renderer = drawn.canvas.get_renderer()
        boxes = [t.get_window_extent(renderer) for t in axes.texts]
        marks = axes.transData.transform(points)
        assert len(boxes) == 14
        for k, a in enumerate(boxes):
            inside = (marks[:, 0] > a.x0) & (marks[:, 0] < a.x1) & (marks[:, 1] > a.y0) & (marks[:, 1] < a.y1)
            assert not inside.any()
            assert not any(a.overlaps(b) for b in boxes[k + 1 :])


def test_figure_says_what_it_shows(tmp_path):
    published = [
        PublishedErrors("MTP", 0.0023, 0.056),
        PublishedErrors("GAP", 0.0029, 0.07),
        PublishedErrors("SNAP", None, 0.13, 60.0),
    ]
    found = made_up([("two-body", 1, 0.3, 0.02), ("three-body", 10, 0.1, 0.006)], published)
    found.figure(tmp_path / "compare.svg")
    drawn = (tmp_path / "compare.svg").read_text()
    for text in ("two-body", "three-body", "MTP 0.056", "MTP 2.3", "GAP 0.07", "SNAP",
                 "time of one evaluation (µs/atom)",
                 "force error, MAE of a component (eV/Å)", "energy error, MAE (meV/atom)", "best at its cost",
                 "1,000 atoms of Cu, one thread of a machine", "published error, cost not measured"):  # fmt: skip
        assert text in drawn


def test_command(near, far, frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    near.save("near")
    far.save("far")
    out = []
    for f in frames:
        atoms = f.atoms.copy()
        atoms.info["energy"] = f.energy
        atoms.arrays["forces"] = f.forces_nc - f.forces_nc.mean(axis=0)
        out.append(atoms)
    write("data.extxyz", out)
    words = [
        "compare",
        "near.lodewell",
        "long reach=far.lodewell",
        "--data",
        "data.extxyz",
        "--atoms",
        "200",
        "--seconds",
        "0",
    ]
    shown = CliRunner().invoke(app, [*words, "--figure", "compare.png"])
    assert shown.exit_code == 0
    for text in ("near", "long reach", "µs/atom", "timed on", "written: compare.png", "eV/Å"):
        assert text in shown.stdout
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    plain = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [p["name"] for p in plain["potentials"]] == ["near", "long reach"]
    refused = CliRunner().invoke(app, ["compare", "near.lodewell", "--data", "nowhere.extxyz"])
    assert refused.exit_code == 2
    assert "nowhere.extxyz" in refused.stderr
