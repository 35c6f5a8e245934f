"""The door from Python: every verb takes crystals in every shape, and options as an object, as keywords, or both."""

import ast
import inspect
import json
import pydoc
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

import lodewell
from lodewell import (
    CheckOptions,
    DeriveOptions,
    GAPOptions,
    MapOptions,
    MEAMOptions,
    Morse,
    RelaxOptions,
    TrainOptions,
    UFOptions,
)  # fmt: skip
from lodewell.errors import BadFile, BadOption, LodewellError, UnknownOption

ENGINE = Morse({"Si-Si": (0.5, 1.7, 2.4)}, cutoff=5.0)


def salts():
    return [
        bulk(f"{m}{x}", "rocksalt", a=5.4 + 0.1 * k)
        for k, (m, x) in enumerate([("Na", "Cl"), ("K", "Cl"), ("Na", "F")])
    ]


def frame(k: int):
    rng = np.random.default_rng(k)
    atoms = bulk("Si", cubic=True, a=5.3 + 0.02 * k)
    atoms.positions += rng.normal(0.0, 0.15, atoms.positions.shape)
    atoms.calc = ENGINE.calculator()
    found = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **found)
    return atoms


def frames():
    return [frame(k) for k in range(12)]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("door")
    for name, crystals in (("salts", salts()), ("frames", frames())):
        (folder / name).mkdir()
        write(folder / name / f"{name}.extxyz", crystals)
    return folder


def quick_check(crystals, **more):
    return lodewell.check("spp", crystals, laws=False, elastic=False, dynamics=False, phonons=False, **more)


# What a verb does with crystals, and what of it does not depend on how they were given.
OF_CRYSTALS = {
    "relax": lambda c: [r.energy_per_atom for r in lodewell.relax(c, fmax=0.05)],
    "score": lambda c: [s.energy_per_atom for s in lodewell.score(c)],
    "predict": lambda c: [list(p.values.values()) for p in lodewell.predict(c)],
    "map_crystals": lambda c: sorted(row.formula for row in lodewell.map_crystals(c, n_max=3, l_max=2).rows),
    "derive": lambda c: lodewell.derive(c, refine=False, cutoff=5.0).about["crystals_used"],
    "check": lambda c: sorted(p.energy_per_atom for p in quick_check(c).structures),
}
OF_FRAMES = {
    "fit_uf": lambda f: lodewell.fit_uf(f, three_body=False).evaluate(frame(99))[0].energy,
    "fit_gap": lambda f: lodewell.fit_gap(f, points=8, n_max=3, l_max=2).evaluate(frame(99))[0].energy,
    "fit_meam": lambda f: lodewell.fit_meam(f, restarts=2, members=1, most_steps=2).evaluate(frame(99))[0].energy,
    "test": lambda f: lodewell.test(ENGINE, f).force.mae,
    "compare": lambda f: lodewell.compare([ENGINE], f, seconds=0.01, atoms=20).rows[0].errors.force.mae,
}
SHAPES = {
    "a list": lambda folder, crystals: crystals,
    "a tuple": lambda folder, crystals: tuple(crystals),
    "a generator": lambda folder, crystals: (c for c in crystals),
    "a path": lambda folder, crystals: next(folder.iterdir()),
    "text": lambda folder, crystals: str(next(folder.iterdir())),
    "paths": lambda folder, crystals: [next(folder.iterdir())],
    "a folder": lambda folder, crystals: folder,
    "a pattern": lambda folder, crystals: str(folder / "*.extxyz"),
}
WRONG = {
    "a number": 3, "nothing": None, "a list with a number": [bulk("Si"), 3], "an array": np.zeros((2, 3)),
    "lists in a list": [[bulk("Si")]], "a mapping": {"a.cif": 1}, "bytes": b"a.cif",
}  # fmt: skip


@pytest.mark.parametrize("verb", [*OF_CRYSTALS, *OF_FRAMES])
def test_crystals_are_taken_in_every_shape(verb, place):
    call = OF_CRYSTALS.get(verb) or OF_FRAMES[verb]
    folder, crystals = (place / "salts", salts()) if verb in OF_CRYSTALS else (place / "frames", frames())
    found = {name: call(shape(folder, crystals)) for name, shape in SHAPES.items()}
    memory, files = found["a list"], found["a path"]
    assert np.shape(memory) == np.shape(files)
    for name, value in found.items():  # files are rounded, and what is drawn by chance depends on the last digit
        wanted = memory if name in ("a list", "a tuple", "a generator") else files
        if verb == "map_crystals":
            assert value == wanted, name
        else:
            np.testing.assert_allclose(value, wanted, rtol=1e-6, err_msg=name)
    if verb not in ("map_crystals", "fit_gap", "fit_meam"):
        np.testing.assert_allclose(files, memory, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("verb", [verb for verb in OF_CRYSTALS if verb not in ("map_crystals", "derive")])
def test_one_crystal_is_one(verb):
    assert len(np.atleast_1d(OF_CRYSTALS[verb](salts()[0]))) >= 1


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("verb", [*OF_CRYSTALS, *OF_FRAMES])
def test_what_is_no_crystal_is_refused_with_the_cure(verb, wrong):
    if (verb, wrong) == ("check", "nothing"):
        return  # it looks at common structures then
    call = OF_CRYSTALS.get(verb) or OF_FRAMES[verb]
    with pytest.raises(LodewellError, match=r"give|Atoms|atoms"):
        call(WRONG[wrong])


@pytest.mark.parametrize("verb", [*OF_CRYSTALS, *OF_FRAMES])
def test_a_path_that_is_not_there_is_named(verb, tmp_path):
    call = OF_CRYSTALS.get(verb) or OF_FRAMES[verb]
    with pytest.raises(BadFile, match="nowhere"):
        call(tmp_path / "nowhere.extxyz")


# verb, options, a field with another value than its default, and that field misspelt
OPTIONS = [
    ("relax", RelaxOptions, "fmax", 0.05, "fmx"),
    ("derive", DeriveOptions, "cutoff", 5.0, "cuttoff"),
    ("check", CheckOptions, "laws", False, "law"),
    ("map_crystals", MapOptions, "n_max", 3, "nmax"),
    ("fit_uf", UFOptions, "intervals", 8, "interval"),
    ("fit_gap", GAPOptions, "points", 8, "point"),
    ("fit_meam", MEAMOptions, "members", 2, "membrs"),
    ("train", TrainOptions, "epochs", 1, "epoch"),
]


@pytest.mark.parametrize(("verb", "kind", "name", "value", "wrong"), OPTIONS, ids=[row[0] for row in OPTIONS])
def test_options_are_in_the_signature_and_the_help(verb, kind, name, value, wrong):
    function = getattr(lodewell, verb)
    parameters = inspect.signature(function).parameters
    for field in kind.__dataclass_fields__:
        assert field in parameters, field
    assert parameters[name].default == kind.__dataclass_fields__[name].default
    text = pydoc.render_doc(function, renderer=pydoc.plaintext)
    assert f"{name}: " in text
    assert "Raises:" in text


@pytest.mark.parametrize(("verb", "kind", "name", "value", "wrong"), OPTIONS, ids=[row[0] for row in OPTIONS])
def test_a_misspelt_option_says_what_was_meant(verb, kind, name, value, wrong):
    call = getattr(lodewell, verb)
    given = {"crystals": salts(), "out": "nowhere"} if verb == "train" else {}
    first = ["spp"] if verb == "check" else [] if verb == "train" else [salts()]
    for error in (UnknownOption, TypeError, BadOption):
        with pytest.raises(error, match=f"there is no option '{wrong}' .did you mean '{name}'"):
            call(*first, **given, **{wrong: value})


@pytest.mark.parametrize(("verb", "wrong", "meant"), [
    ("score", "strict_formulas", "strict_formula"), ("test", "key", "keys"), ("compare", "second", "seconds"),
])  # fmt: skip
def test_a_verb_without_options_says_what_was_meant_too(verb, wrong, meant):
    for error in (UnknownOption, TypeError, BadOption):
        with pytest.raises(error, match=f"there is no option '{wrong}' .did you mean '{meant}'"):
            getattr(lodewell, verb)(salts(), **{wrong: 1})


def test_a_stream_is_read_once_whatever_is_written_of_it(place, tmp_path):
    """What goes into a folder or a summary is asked for more than once; a generator gives it only once."""
    file = place / "salts" / "salts.extxyz"
    for name, stream in (("crystals", (c for c in salts())), ("paths", (p for p in [file]))):
        assert len(lodewell.relax(stream, out=tmp_path / name)) == 3
    stream = (p for p in [file])
    assert len(quick_check(stream, out=tmp_path / "check.json").structures) == 3
    summary = json.loads((tmp_path / "check.summary.json").read_text(encoding="utf-8"))
    assert summary["inputs"]["crystals"] == [str(file)]
    derived = lodewell.derive((p for p in [file]), refine=False, cutoff=5.0)
    assert derived.about["crystals_used"] == 3


def test_an_object_and_keywords_are_the_same():
    atoms = salts()[0]
    (loose,) = lodewell.relax(atoms, options=RelaxOptions(fmax=0.5, max_steps=3))
    (same,) = lodewell.relax(atoms, fmax=0.5, max_steps=3)
    (both,) = lodewell.relax(atoms, options=RelaxOptions(fmax=0.5, max_steps=300), max_steps=3)
    assert loose.energy_per_atom == same.energy_per_atom == both.energy_per_atom
    assert loose.steps == same.steps == both.steps
    with pytest.raises(BadOption, match="RelaxOptions is wanted"):
        lodewell.relax(atoms, options=UFOptions())
    with pytest.raises(BadOption, match="did you mean 'free'"):
        lodewell.relax(atoms, cell="fre")
    with pytest.raises(TypeError):
        lodewell.relax()


def test_the_two_lists_of_public_names_are_one():
    """Names that are loaded when asked for, and what type checkers are told of them."""
    tree = ast.parse(Path(lodewell.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in block.body for alias in node.names}
    verbs = {name: f"lodewell.{name}.run" for name in lodewell._VERBS}
    assert told == lodewell._HOME | verbs
    assert all(alias.name == alias.asname for node in block.body for alias in node.names)
    assert set(dir(lodewell)) == {*told, "__version__"}
