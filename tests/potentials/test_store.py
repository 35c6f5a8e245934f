"""Potential files: what goes in comes out, damage is named, and files of every released version stay readable."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from lodewell import (
    ZBL,
    BornMayer,
    Buckingham,
    Coulomb,
    LennardJones,
    London,
    Morse,
    PairTable,
    Potential,
    Statistical,
    load,
)
from lodewell.errors import BadCrystal, BadFile
from lodewell.potentials.store import FORMAT, read_header
from tests.potentials.gap.made_up_gap import made_up_gap, with_knowledge
from tests.potentials.made_up_uf import small_uf

RELEASED = Path(__file__).parent.parent / "data" / "potentials"
r = np.linspace(0.5, 5.0, 100)

stored = {
    "gap": with_knowledge(made_up_gap("O", "Si", baseline=True)),
    "lennard-jones": LennardJones({"Ar-Ar": (0.0104, 3.4), "Ar-Ne": (0.006, 3.1)}, cutoff=7.0),
    "morse": Morse({"Cu-Cu": (0.3429, 1.3588, 2.866)}, cutoff=6.0, switch=0.5),
    "buckingham": Buckingham({"Mg-O": (1428.5, 0.2945, 0.0), "O-O": (22764.0, 0.149, 27.88)}, cutoff=6.0),
    "zbl": ZBL(cutoff=3.0),
    "coulomb": Coulomb({"Na": 1.0, "Cl": -1.0}, tolerance=1e-13),
    "london": London({"Na-Cl": 20.0, "Cl-Cl": 110.0}, tolerance=1e-13),
    "born-mayer": BornMayer({"Mg-O": (1428.5, 0.2945), "O-O": (22764.0, 0.149)}, tolerance=1e-13),
    "table": PairTable({"Li-O": (r, np.cos(r) - np.cos(5.0)), "O-O": (r, np.exp(-r) - np.exp(-5.0))}),
    "uf": small_uf(),
}
stored["sum"] = stored["table"] - 0.5 * (stored["zbl"] + Morse({"Li-O": (0.5, 1.5, 2.0)}, cutoff=4.0))


def crystal(potential: Potential):
    """A crystal of the elements that a potential knows."""
    numbers = sorted(potential.species) if potential.species else [8, 14]
    atoms = bulk("Cu", a=4.0, cubic=True)
    atoms.numbers = [numbers[k % len(numbers)] for k in range(len(atoms))]
    atoms.rattle(0.1, seed=3)
    return atoms


def assert_alike(a: Potential, b: Potential) -> None:
    assert type(a) is type(b)
    assert (a.cutoff, a.species, a.calibrated) == (b.cutoff, b.species, b.calibrated)
    (x,), (y,) = a.evaluate(crystal(a)), b.evaluate(crystal(a))
    assert x.energy == pytest.approx(y.energy, rel=1e-12)
    assert np.allclose(x.forces_nc, y.forces_nc, atol=1e-12 * np.abs(y.forces_nc).max())


@pytest.mark.parametrize("kind", sorted(stored.keys() - {"sum"}))
def test_what_is_saved_is_loaded(kind, tmp_path):
    path = stored[kind].save(tmp_path / "mine")
    assert path.name == "mine.lodewell"
    assert_alike(load(path), stored[kind])


def test_sums_keep_factors_and_terms(tmp_path):
    loaded = load(stored["sum"].save(tmp_path / "sum.lodewell"))
    assert [(f, t.kind) for f, t in loaded.terms] == [(1.0, "table"), (-0.5, "zbl"), (-0.5, "morse")]
    for (_, a), (_, b) in zip(loaded.terms, stored["sum"].terms, strict=True):
        assert_alike(a, b)


def test_statistical_tables_keep_single_precision(table, tmp_path):
    loaded = load(table.save(tmp_path / "stat"))
    assert isinstance(loaded, Statistical)
    assert np.allclose(loaded.u_pk, table.u_pk, rtol=1e-6, atol=1e-6)
    assert loaded.known.systems == table.known.systems
    again = load(loaded.save(tmp_path / "again"))
    assert np.array_equal(again.u_pk, loaded.u_pk)
    assert np.array_equal(again.evidence.error_pk, loaded.evidence.error_pk)


def test_the_header_says_what_it_is(tmp_path):
    path = stored["morse"].save(tmp_path / "cu", source="Girifalco 1959", licence="CC0")
    header = read_header(path)
    assert (header["kind"], header["format"], header["elements"], header["cutoff"]) == ("morse", FORMAT, [29], 6.0)
    assert header["about"] == {"source": "Girifalco 1959", "licence": "CC0"}
    assert header["units"] == {"energy": "eV", "length": "Å", "calibrated": True}
    assert read_header(stored["zbl"].save(tmp_path / "zbl"))["elements"] == "all"


def altered(path: Path, **changes) -> Path:
    """Rewrite a potential file with other header entries."""
    with zipfile.ZipFile(path) as z:
        members = {name: z.read(name) for name in z.namelist()}
    members["meta.json"] = json.dumps(json.loads(members["meta.json"]) | changes).encode()
    with zipfile.ZipFile(path, "w") as z:
        for name, content in members.items():
            z.writestr(name, content)
    return path


@pytest.fixture
def saved(tmp_path) -> Path:
    return stored["table"].save(tmp_path / "table")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_file_cut_short_is_named(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadFile, match="not a lodewell potential, or cut short") as refusal:
        load(saved)
    assert str(saved) in str(refusal.value)


def test_a_file_of_a_newer_format_asks_for_an_upgrade(saved):
    with pytest.raises(BadFile, match=r"written by lodewell 9\.1\.0 in format 99, this version reads up to 1: upgrade"):
        load(altered(saved, format=99, lodewell="9.1.0"))


def test_a_family_not_yet_known_asks_for_an_upgrade(saved):
    with pytest.raises(BadFile, match="unknown kind 'meam-2031': upgrade lodewell"):
        load(altered(saved, kind="meam-2031"))


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "text.lodewell"
    text.write_text("data_LiFePO4")
    empty_zip = tmp_path / "zip.lodewell"
    with zipfile.ZipFile(empty_zip, "w") as z:
        z.writestr("else.txt", "nothing")
    for path in (text, empty_zip):
        with pytest.raises(BadFile, match="not a lodewell potential"):
            load(path)
    with pytest.raises(BadFile, match=r"there is no potential 'nowhere\.lodewell'"):
        load("nowhere.lodewell")


def test_pickles_are_never_opened(tmp_path):
    path = stored["morse"].save(tmp_path / "evil")
    buffer = io.BytesIO()
    np.save(buffer, np.array([print]), allow_pickle=True)
    with zipfile.ZipFile(path, "a") as z:
        z.writestr("evil.npy", buffer.getvalue())
    with pytest.raises(BadFile, match="is no array of numbers"):
        load(path)


def test_a_folder_that_is_not_there_or_a_full_disk_is_a_plain_refusal(tmp_path):
    with pytest.raises(BadFile):
        stored["morse"].save(tmp_path / "no" / "such" / "folder" / "x")
    with pytest.raises(BadFile):
        stored["morse"].save("/dev/full/x")


def test_a_family_without_state_says_so(tmp_path):
    class Plain(Potential):
        kind = "plain"
        cutoff = 1.0

        def compute(self, batch, neighbours):
            raise AssertionError

    with pytest.raises(BadCrystal, match="they define no state"):
        Plain().save(tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", sorted(RELEASED.glob("*/*.lodewell")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_files_of_released_versions_give_the_energies_they_gave_then(path):
    wanted = json.loads((path.parent / "energies.json").read_text())[path.stem]
    potential = load(path)
    atoms = crystal(potential)
    (result,) = potential.evaluate(atoms)
    assert result.energy == pytest.approx(wanted["energy"], rel=1e-9)
    assert np.abs(result.forces_nc).max() == pytest.approx(wanted["largest_force"], rel=1e-9)


KINDS = {  # of 0.1.0
    "lennard-jones", "morse", "buckingham", "zbl", "table", "uf", "statistical", "sum", "meam", "gap", "coulomb",
    "london", "born-mayer",
}  # fmt: skip


def test_every_kind_has_a_sample_of_version_0_1_0():

    assert {p.stem for p in (RELEASED / "0.1.0").glob("*.lodewell")} >= KINDS
