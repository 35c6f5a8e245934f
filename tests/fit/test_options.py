"""Options of fits: every one is heeded or refused, whatever the data came as, and presets give way to the user."""

from dataclasses import MISSING, fields, replace

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

import lodewell
from lodewell.config import make_options
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.errors import BadOption, LodewellError
from lodewell.fit.gap.options import PRESETS, GAPOptions
from lodewell.fit.labelled_options import LabelledOptions
from lodewell.fit.meam.options import MEAMOptions
from lodewell.fit.uf.options import UFOptions
from tests.crystals.labelled import labelled, rattled, write

FAST = {
    "uf": {"three_body": False, "intervals": 6, "cutoff": 5.0, "uncertainty": False, "smoothness": 1e-3},
    "gap": {"points": 6, "n_max": 2, "l_max": 1, "cutoff": 4.0, "atom_sigma": 0.5, "points_2body": 4, "zeta": 2.0,
            "cutoff_2body": 4.5, "delta": 1.0, "delta_2body": 1.0, "length_2body": 1.0, "uncertainty": False,
            "energy_sigma": 0.01, "force_sigma": 0.1, "virial_sigma": 0.1, "baseline": "none"},
    "meam": {"restarts": 2, "members": 1, "most_steps": 3, "cutoff": 5.0, "angular_cutoff": 4.0, "knots": 5},
}  # fmt: skip
FITS = {"uf": lodewell.fit_uf, "gap": lodewell.fit_gap, "meam": lodewell.fit_meam}
KINDS = {"uf": UFOptions, "gap": GAPOptions, "meam": MEAMOptions}
THREE = {"three_body": True, "intervals_3body": 4, "cutoff_3body": 3.5}
ANGLES = {"three_body": True, "points_3body": 4, "cutoff_3body": 3.3, "length_3body": 1.0, "delta_3body": 0.1}
OPEN = {"energy_sigma": None, "force_sigma": None, "virial_sigma": None}

# What is said of each field, and what must be said besides for it to matter.
SHARED = {
    "energy_key": ("other_energy", {}),
    "forces_key": ("other_forces", {}),
    "stress_key": ("other_stress", {}),
    "virial_key": ("other_virial", {}),
    "config_type_key": ("other_kind", {"config_weights": {"Strained": 3.0}}),
    "group_key": ("other_group", {"smoothness": 0.0}),
    "energy_weight": (0.5, {}),
    "force_weight": (0.5, {}),
    "stress_weight": (0.5, {}),
    "config_weights": ({"Rattled": 3.0}, {}),
    "reference_energies": ({"Cu": -2.0}, {}),
    "stress": ("none", {}),
    "duplicates": ("keep", {}),
    "contradictions": ("note", {}),
    "max_bad": (0.0, {}),
    "folds": (4, {"smoothness": 0.0}),
    "seed": (7, {"smoothness": 0.0}),
}
OWN = {
    "uf": {
        "cutoff": (4.8, {}), "cutoff_3body": (3.3, THREE), "intervals": (7, {}), "intervals_3body": (5, THREE),
        "knots": ((2.0, 2.5, 3.0, 3.7, 5.0), {}), "knots_3body": ((1.0, 1.5, 2.0, 2.5, 3.0, 3.5), THREE),
        "three_body": (True, {"intervals_3body": 3, "cutoff_3body": 3.5}), "embed": (True, {}),
        "embed_intervals": (4, {"embed": True}), "embed_trials": (1, {"embed": True}), "wall": ("none", {}),
        "smoothness": (1e-1, {}), "ridge": (1.0, {}), "balance": (1.0, {}), "config_balance": (1.0, {}),
        "uncertainty": (True, {}), "keep_rows": (True, {}), "extend": ("nothing.rows", {}), "folds": (4, {}),
    },
    "gap": {
        "preset": ("C-GAP-17", {}), "points": (7, {}), "sparse": ("random", {}), "quotas": ({"Strained": 4}, {}),
        "cutoff": (3.8, {}), "width": (0.5, {}), "n_max": (3, {}), "l_max": (2, {}), "atom_sigma": (0.6, {}),
        "zeta": (3.0, {}), "delta": (2.0, {}), "two_body": (False, {}), "points_2body": (5, {}),
        "cutoff_2body": (4.0, {}), "length_2body": (0.7, {}), "delta_2body": (2.0, {}), "three_body": (False, ANGLES),
        "points_3body": (5, ANGLES), "cutoff_3body": (3.5, ANGLES), "length_3body": (2.0, ANGLES),
        "delta_3body": (0.2, ANGLES), "energy_sigma": (0.02, {}), "force_sigma": (0.2, {}), "virial_sigma": (0.2, {}),
        "config_sigmas": ({"Strained": "0.1:0.5:0.5"}, {}), "baseline": ("zbl", {}), "balance": (1.0, OPEN),
        "config_balance": (1.0, OPEN), "uncertainty": (True, {}), "single": (True, {}), "keep_rows": (True, {}),
        "extend": ("nothing.rows", {}), "folds": (4, OPEN),
    },
    "meam": {
        "knots": (6, {}), "cutoff": (4.8, {}), "angular_cutoff": (3.8, {}), "restarts": (3, {}), "members": (2, {}),
        "search": ("cma-es", {"restarts": 1, "knots": 4}), "start": ("nothing.lodewell", {}), "most_steps": (1, {}),
        "tolerance": (0.9, {"most_steps": 40}), "smoothness": (0.5, {}), "wall": ("none", {}),
        "energy_weight": (0.5, {}), "force_weight": (0.5, {}), "stress_weight": (0.5, {}),
    },
}  # fmt: skip
CASES = [("uf", name, *case) for name, case in SHARED.items()] + [
    (family, name, *case) for family, cases in OWN.items() for name, case in cases.items()
]


def crystals():
    """Return copper with labels that are right, others under names nobody guesses, and one that cannot be used."""
    found = labelled(rattled(24), reference=0.0)
    rng = np.random.default_rng(3)
    for k, atoms in enumerate(found):
        atoms.info["other_energy"] = atoms.info["REF_energy"] + 0.3 * rng.normal()
        atoms.info["other_stress"] = 1.1 * np.asarray(atoms.info["REF_stress"])
        atoms.info["other_virial"] = -0.9 * atoms.get_volume() * np.asarray(atoms.info["REF_stress"])
        atoms.info["other_kind"], atoms.info["other_group"] = f"kind{k % 2}", f"group{k % 6}"
        atoms.arrays["other_forces"] = 1.05 * atoms.arrays["REF_forces"]
    found[5].info["REF_energy"] = np.nan
    return found


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The same crystals as a path, a source, and in memory."""
    path = write(tmp_path_factory.mktemp("copper") / "train.extxyz", crystals())
    return {"path": path, "source": lodewell.LabelledSource(path), "frames": read(path, ":")}


def heard(family, data, **said):
    """Return what a fit makes of options: passes over the data, error bars, energies, forces; or its refusal."""
    passes = []

    def count(stage, done=0, total=None):
        passes.extend([stage] * (stage == "rows" and done == total))

    try:
        potential = FITS[family](data, progress=count, **FAST[family] | said)
    except LodewellError as error:
        return str(error)
    atoms = rattled(3, seed=9)[-1]
    result = potential.evaluate(atoms)[0]
    close = potential.evaluate(Atoms("Cu2", [[0, 0, 0], [0, 0, 1.1]]))[0]
    return (len(passes), potential.uncertain, close.energy, result.energy, *result.forces_nc.ravel())


_plain: dict[tuple[str, str], object] = {}


def test_there_is_a_case_for_every_field_of_every_fit():
    for family, kind in KINDS.items():
        assert {f.name for f in fields(kind)} == SHARED.keys() | OWN[family].keys()
    assert {f.name for f in fields(LabelledOptions)} == SHARED.keys()


@pytest.mark.parametrize(("family", "name", "value", "besides"), CASES)
def test_no_option_is_ignored_without_a_word(given, family, name, value, besides):
    if name in ("contradictions", "virial_key"):
        frames = [_changed(atoms, name) for atoms in crystals()]
        given = {"source": lodewell.LabelledSource(frames), "frames": frames}
    for way, data in given.items() if family == "uf" and name in SHARED else [("path", given["path"])]:
        key = (way, family, name if name in ("contradictions", "virial_key") else "", repr(besides))
        if key not in _plain:
            _plain[key] = heard(family, data, **besides)
        assert heard(family, data, **besides | {name: value}) != _plain[key], way


def _changed(atoms, name):
    """Return a crystal with forces of the wrong sign, or without the stress that goes before a virial."""
    atoms = atoms.copy()
    if name == "contradictions":
        atoms.arrays["REF_forces"] *= -1.0
    else:
        del atoms.info["REF_stress"]
    return atoms


def test_one_answer_however_the_data_and_the_options_come(given):
    options = UFOptions(**FAST["uf"], config_weights={"Rattled": 2.0})
    wanted = lodewell.fit_uf(given["path"], options)
    atoms = rattled(2, seed=9)
    for data in (*given.values(), [given["path"]], list(lodewell.read_labels(given["path"], refused=[]))):
        for how in ({"options": options}, FAST["uf"] | {"config_weights": {"Rattled": 2.0}}):
            found = lodewell.fit_uf(data, **how)
            np.testing.assert_allclose(found.evaluate(atoms)[0].forces_nc, wanted.evaluate(atoms)[0].forces_nc)
    assert "REF_energy" in given["frames"][0].info  # the labels of the user are still on the user's atoms


def test_what_is_no_crystal_is_refused_with_the_cure(given):
    with pytest.raises(BadOption, match=r"crystal 0 is of the type int: give paths, ase.Atoms"):
        lodewell.fit_uf([3])
    with pytest.raises(BadOption, match=r"crystal 1 is the path .* among crystals in memory"):
        lodewell.fit_uf([given["frames"][0], given["path"]])
    with pytest.raises(BadOption, match="keys name labels that are still to be read"):
        lodewell.fit_uf(lodewell.read_labels(given["path"], refused=[]), energy_key="REF_energy")
    with pytest.raises(BadOption, match="the energy is 'a' for the source, and 'b' for the fit"):
        lodewell.fit_uf(lodewell.LabelledSource(given["path"], LabelKeys(energy="a")), energy_key="b")
    with pytest.raises(TypeError, match="there is no option 'intervalls'"):
        lodewell.fit_uf(given["path"], intervalls=8)
    with pytest.raises(BadOption, match=r"no frame has this config_type \(did you mean 'Strained'\?\)"):
        lodewell.fit_uf(given["source"], config_weights={"Straned": 2.0})


# Presets


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("field", [f for f in fields(GAPOptions) if f.default is not MISSING], ids=lambda f: f.name)
def test_a_preset_never_overrides_what_was_said(preset, field, tmp_path):
    """Though it be equal to the default: as a keyword, in an object, in YAML, replaced later, and as a flag."""
    if field.name == "preset":
        return
    default = getattr(field.default, "value", field.default)
    said = {field.name: default}
    file = tmp_path / "options.yaml"
    text = "null" if default is None else str(default).lower() if isinstance(default, bool) else repr(default)
    file.write_text(f"preset: {preset}\n{field.name}: {text}\n")
    for options in (
        GAPOptions(preset=preset, **said),
        replace(GAPOptions(preset=preset), **said),
        replace(GAPOptions(**said), preset=preset),
        make_options(GAPOptions, file),
        make_options(GAPOptions, file, said),
    ):
        settled = options.settled()
        assert getattr(settled, field.name) == default
        for name, value in PRESETS[preset].items():
            if name != field.name:
                assert getattr(settled, name) == value


def test_a_flag_equal_to_the_default_is_said(given, tmp_path):
    import json

    from typer.testing import CliRunner

    from lodewell.cli import app
    from lodewell.record import summary_path

    out = tmp_path / "a.lodewell"
    words = ["--preset", "C-GAP-17", "--width", "1.0", "--points", "6", "--n-max", "2", "--l-max", "1", "-n", "1"]
    words += ["--no-three-body", "--no-uncertainty", "--baseline", "none"]
    done = CliRunner().invoke(app, ["fit", "gap", "--train", str(given["path"]), "--out", str(out), *words])
    assert done.exit_code == 0, done.output
    options = json.loads(summary_path(out).read_text())["options"]
    assert (options["width"], options["cutoff"], options["n_max"]) == (1.0, 3.7, 2)
