"""Figures and lists of GAPs: the right terms, labels and units, energies as the potential has them."""

import json
import re

import numpy as np
import pytest
from ase import Atoms
from tests.potentials.gap.made_up_gap import made_up_gap, with_knowledge
from tests.report.test_uf import counts_of, run

import lodewell
from lodewell import ZBL
from lodewell.errors import BadOption, UnsupportedElement
from lodewell.potentials.gap.gap import GAP, TrainingSample
from lodewell.report.gap import dimer, three_body
from lodewell.report.pairs import description


def words(path) -> str:
    return " ".join(re.findall(r">([^<>]+)</text>", path.read_text()))


def with_distances(potential: GAP, **how) -> GAP:
    pairs = [t.descriptor.species for t in potential.terms if t.descriptor.kind == "distance"]
    return potential.with_record(distances=counts_of(pairs, **how))


@pytest.fixture
def silicon() -> GAP:
    return with_distances(made_up_gap("Si", baseline=True))


def test_one_element_has_its_curve_its_slices_and_its_map(silicon, tmp_path):
    text = words(lodewell.show(silicon, out=tmp_path / "a.svg"))
    alone = silicon.evaluate([Atoms("Si")])[0].energy
    for wanted in (
        "Si–Si", "V₂ / eV", "r / Å", "pairs", "Si–Si–Si", "V₃(r, r, θ) / eV", "θ / °", "Environments of Si",
        "8 sparse points", "energy of a sparse point / eV", "first principal component", "sparse points",
        "with the baseline", "two atoms alone, all terms", "pairs in the training data, per 0.02 Å",
        f"energy of a lone atom: Si {alone:.3f} eV".replace("-", "−"),
    ):  # fmt: skip
        assert wanted in text, wanted


def test_the_slices_are_what_three_atoms_have(silicon):
    (term,) = [t for t in silicon.terms if t.descriptor.kind == "angle"]
    a, b, angle = 2.2, 2.6, np.radians(100.0)
    atoms = Atoms("Si3", [[0, 0, 0], [a, 0, 0], [b * np.cos(angle), b * np.sin(angle), 0]])
    c = atoms.get_distance(1, 2)
    alone = GAP({14: 0.0}, [term]).evaluate(atoms)[0].energies_n[0]
    drawn = three_body(silicon, term).energy(np.array(a), np.array(b), np.array([c]))
    assert drawn == pytest.approx([alone])


def test_dimers_cost_what_the_potential_says(silicon):
    r = np.array([1.8, 2.5, 3.3])
    lone = 2.0 * silicon.evaluate(Atoms("Si"))[0].energy
    wanted = [silicon.evaluate(Atoms("Si2", [[0, 0, 0], [0, 0, x]]))[0].energy - lone for x in r]
    assert dimer(silicon, (14, 14), r) == pytest.approx(wanted)
    assert dimer(ZBL(), (14, 14), r[:1])[0] > 0.0


def test_a_baseline_that_changes_nothing_is_not_explained(tmp_path):
    potential = with_distances(made_up_gap("Si"))
    assert "with the baseline" not in words(lodewell.show(potential, out=tmp_path / "a.svg"))


def test_training_environments_are_drawn_below_the_sparse_points(silicon, tmp_path):
    (k,) = [k for k, t in enumerate(silicon.terms) if t.descriptor.kind == "soap"]
    p = silicon.terms[k].points_md
    silicon = silicon.with_record(seen={k: TrainingSample(p, ("melt",) * 4 + ("slab",) * 4)})
    text = words(lodewell.show(silicon, ["Si"], tmp_path / "a.svg"))
    for wanted in ("8 sparse points among 8", "melt (4)", "slab (4)"):
        assert wanted in text, wanted


def test_every_term_of_several_elements_is_drawn(tmp_path):
    potential = made_up_gap("O", "Ti")
    text = words(lodewell.show(potential, out=tmp_path / "a.svg"))
    for wanted in ("O–O", "O–Ti", "Ti–Ti", "Ti–O–Ti", "O–Ti–O", "Environments of O", "Environments of Ti"):
        assert wanted in text, wanted
    assert "training data" not in text
    some = words(lodewell.show(potential, ["Ti-O", "Ti-O-O", "Ti"], tmp_path / "b.svg"))
    for wanted in ("O–Ti", "O–Ti–O", "Environments of Ti"):
        assert wanted in some
    assert "Environments of O" not in some


def test_what_cannot_be_drawn_is_refused(silicon, tmp_path):
    for text in ("Si-O", "O", "SiO", "Si-Si-O"):
        with pytest.raises(BadOption, match=f"no term '{text}': it has Si-Si, Si-Si-Si, Si"):
            lodewell.show(silicon, [text], tmp_path / "a.png")
    with pytest.raises(BadOption, match="no terms"):
        lodewell.show(GAP({14: 0.0}, []), out=tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_files_are_named_after_what_they_show(silicon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    silicon.save("si")
    assert lodewell.show("si.lodewell").name == "si.png"
    assert lodewell.show("si.lodewell", ["Si"]).name == "si-Si.png"


def test_a_list_tells_terms_and_what_was_noted(silicon, tmp_path):
    about = {
        "sigmas": {"energy/a": 0.001, "energy/b": 0.02, "force/a": 0.1},
        "held_out_rmse": {"energy": 0.005, "stress": 0.1},
    }
    with_knowledge(silicon).save(tmp_path / "si.lodewell", **about)
    text = run("list", tmp_path / "si.lodewell")
    for wanted in (
        "3 terms with 24 sparse points", "baseline: zbl to 2.5 Å", "error bars: known", "θ 0.8 Å", "angle Si-Si-Si",
        "n 4, l 4, σ 0.5 Å, ζ 4", "0.3 eV", "σ of the labels: energy 1 to 20 meV/√atom, force 0.1 eV/Å",
        "energy 5 meV/√atom, stress 0.1 eV/√atom (virial)", "from 1.70 Å",
    ):  # fmt: skip
        assert wanted in text, wanted
    rows = json.loads(run("list", tmp_path / "si.lodewell", "--json"))
    assert [row["term"] for row in rows] == ["distance Si-Si", "angle Si-Si-Si", "soap Si"]
    assert [row["points"] for row in rows] == [8, 8, 8]
    assert rows[2]["jitter_eV2"] > 0.0


def test_a_list_flags_holes_and_names_elements(tmp_path):
    potential = with_distances(made_up_gap("O", "Ti"), hole=(2.9, 3.3))
    potential.distances.pop((8, 8))
    path = potential.save(tmp_path / "a.lodewell")
    told = description(path)
    flagged = [row["term"] for row in told.rows if row["flagged"]]
    assert flagged == ["distance O-O", "distance O-Ti", "distance Ti-Ti"]
    assert "no data" in run("list", path)
    assert [row["term"] for row in description(path, "O").rows] == ["distance O-O", "angle O-O-O"]
    with pytest.raises(UnsupportedElement, match="Ge"):
        description(path, "Ge")
