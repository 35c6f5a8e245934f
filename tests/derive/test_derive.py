"""The verb on real crystals: against a short oracle, in parts, in parallel, filtered, held out, calibrated."""

import zlib

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

import lodewell
from lodewell import HoldOut, Statistical
from lodewell.crystals.batch import Batch
from lodewell.crystals.chemistry import element_set, reduced_formula
from lodewell.derive.calibrate import bulk_moduli, energy_scale
from lodewell.derive.chunk import hashed, mine_chunk, observed, read_formulas
from lodewell.derive.curves import FLOOR
from lodewell.derive.options import DeriveOptions
from lodewell.derive.pair_sums import PairSums, count_pairs
from lodewell.errors import BadFile, BadOption
from lodewell.potentials.statistical.statistical import BIN, Evidence, KnownEnergies, table_points

from .crystals import REAL, gas, real_crystals


def same_table(a: Statistical, b: Statistical, exactly: bool = True) -> None:
    np.testing.assert_array_equal(a.pairs_pz, b.pairs_pz)
    compare = np.testing.assert_array_equal if exactly else lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-9)
    compare(a.u_pk, b.u_pk)
    for name in ("structures_p", "families_p", "prior_p", "error_pk", "g_ph", "contact_ph"):
        compare(getattr(a.evidence, name), getattr(b.evidence, name))
    np.testing.assert_array_equal(a.known.energy_x, b.known.energy_x)


@pytest.fixture(scope="module")
def faithful() -> Statistical:
    return lodewell.derive(REAL, recipe="spp-2024", max_above_hull=np.inf)


@pytest.fixture(scope="module")
def refined() -> Statistical:
    return lodewell.derive(REAL, recipe="spp", cutoff=7.0, seed=1)


def oracle(crystals: list[Atoms], a: int, b: int, cutoff: float, sigma: float) -> np.ndarray:
    """Return -ln of the mean of smoothed pair correlations, by the definition."""
    edges = np.arange(round(cutoff / BIN) + 1) * BIN
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    kernel = np.exp(-0.5 * (np.arange(-20, 21) * BIN / sigma) ** 2)
    every = []
    for atoms in crystals:
        z = atoms.numbers
        if {a, b} <= set(z.tolist()):
            i, j, r = neighbor_list("ijd", atoms, cutoff)
            counted, _ = np.histogram(r[(z[i] == a) & (z[j] == b)], edges)
            every.append(counted / ((z == a).sum() * (z == b).sum() / atoms.get_volume() * shells))
    mean = np.pad(np.mean(every, axis=0), 20, mode="edge")
    return -np.log(np.maximum(np.convolve(mean, kernel / kernel.sum(), "valid"), FLOOR))


@pytest.mark.parametrize(("pair", "a", "b"), [("Li-O", 3, 8), ("P-O", 15, 8), ("O-O", 8, 8), ("Fe-Li", 26, 3)])
def test_the_faithful_recipe_is_its_definition(pair, a, b):
    crystals = [atoms for atoms in real_crystals() if len(atoms) <= 14 and {a, b} <= set(atoms.numbers)]
    assert len(crystals) >= 8
    table = lodewell.derive(crystals, recipe="spp-2024", cutoff=8.0, smoothing=0.12, max_above_hull=9.0)
    u = table.u_pk[table.index(pair)][1:-1]
    wanted = oracle(crystals, a, b, 8.0, 0.12)
    between = slice(int(np.argmax(wanted < -np.log(FLOOR) - 1e-9)) + 1, round(7.0 / BIN))
    # A distance on the edge between two bins may fall on either side: once in a while, never systematically.
    np.testing.assert_allclose(np.median(np.abs(u[between] - wanted[between])), 0.0, atol=2e-3)
    np.testing.assert_allclose(u[between], wanted[between], atol=0.15)
    assert np.sqrt(np.mean((u[between] - wanted[between]) ** 2)) < 0.02


def test_what_stands_behind_a_table(faithful):
    assert faithful.r_k.shape == (222,)
    assert faithful.u_pk[:, 0] == pytest.approx(1e5)
    assert (faithful.u_pk[:, -1] == 0).all()
    crystals = real_crystals()
    both = sum({3, 8} <= set(a.numbers) for a in crystals)
    assert faithful.evidence.structures_p[faithful.index("Li-O")] == both
    assert faithful.evidence.families_p[faithful.index("Li-O")] == both  # every crystal has a vote in this recipe
    assert faithful.about["crystals_used"] == len(crystals)
    assert faithful.about["recipe"] == "spp-2024"
    assert not faithful.calibrated
    # Percentiles compare with the energies of the very crystals.
    energies = [r.energy / len(a) for r, a in zip(faithful.evaluate(crystals), crystals, strict=True)]
    np.testing.assert_allclose(faithful.known.energy_x, energies, rtol=1e-4, atol=1e-4)
    systems = [faithful.known.systems[x] for x in faithful.known.system_x]
    assert systems == [element_set(a.numbers) for a in crystals]
    # Chemistry: oxygen sits nearest to phosphorus at 1.5 Å, to lithium at 2.0 Å.
    for pair, distance in (("P-O", 1.53), ("Li-O", 2.0), ("Na-O", 2.4)):
        u = faithful.u_pk[faithful.index(pair)]
        assert faithful.r_k[np.argmin(np.where(faithful.r_k < 3, u, 99))] == pytest.approx(distance, abs=0.1)


def test_parts_add_up():
    """Two chunks are one, and chunks in another order are the same up to rounding."""
    batch = Batch.from_atoms(real_crystals(60))
    whole, parts = PairSums(140), PairSums(140)
    whole.add(count_pairs(batch, 7.0, 0.1), np.ones(60), classes=True)
    for begin, end in ((0, 25), (25, 60)):
        parts.add(count_pairs(batch.take(np.arange(begin, end)), 7.0, 0.1), np.ones(end - begin), classes=True)
    assert set(whole.rows) == set(parts.rows)
    for key, p in whole.rows.items():
        q = parts.rows[key]
        for name in ("g_ph", "smooth_ph", "square_ph", "contact_ph", "weight_p", "structures_p"):
            np.testing.assert_allclose(getattr(whole, name)[p], getattr(parts, name)[q], rtol=1e-9, atol=1e-12)


def test_classes_partition_all_crystals():
    mined = PairSums(140)
    crystals = Batch.from_atoms(real_crystals(80))
    mined.add(count_pairs(crystals, 7.0, 0.1), np.ones(80), classes=True)
    for (a, b, c), p in mined.rows.items():
        if c == -1:
            parts = [q for (x, y, k), q in mined.rows.items() if (x, y) == (a, b) and k >= 0]
            assert mined.structures_p[p] == sum(mined.structures_p[q] for q in parts)
            np.testing.assert_allclose(mined.g_ph[p], sum(mined.g_ph[q] for q in parts), rtol=1e-6, atol=1e-9)


def test_two_workers_make_the_same_table(monkeypatch, faithful):
    from lodewell.derive import run as pipeline

    monkeypatch.setattr(pipeline, "_CHUNK", 60)
    same_table(lodewell.derive(REAL, recipe="spp-2024", max_above_hull=np.inf, workers=2), faithful, exactly=False)


def test_duplicates_and_scaled_copies_count_once():
    unit = bulk("NaCl", "rocksalt", a=5.64)
    scaled = bulk("NaCl", "rocksalt", a=6.1)
    other = bulk("NaCl", "cesiumchloride", a=3.4)
    crystals = [unit, unit * (2, 1, 1), scaled, other, unit]
    counted = lodewell.derive(crystals, recipe="spp", refine=False)
    p = counted.index("Na-Cl")
    assert counted.evidence.structures_p[p] == 5
    assert counted.evidence.families_p[p] == 2
    assert counted.about["families"] == 2
    alone = lodewell.derive([unit, other], recipe="spp", refine=False)
    np.testing.assert_allclose(counted.u_pk, alone.u_pk, rtol=1e-6, atol=1e-6)
    voting = lodewell.derive(crystals, recipe="spp-2024")
    assert voting.evidence.families_p[voting.index("Na-Cl")] == 5


def test_error_bars_are_those_of_a_bootstrap():
    """The closed form s/√n against resampled crystals."""
    crystals = [a for a in real_crystals() if {3, 8} <= set(a.numbers) and len(a) <= 16]
    table = lodewell.derive(crystals, recipe="spp-2024", cutoff=5.0)
    p = table.index("Li-O")
    found = count_pairs(Batch.from_atoms(crystals), 5.0, 0.1)
    g = found.smooth_sh[(found.pair_sz == [3, 8]).all(axis=1)].astype(float)
    rng = np.random.default_rng(0)
    drawn = np.array([g[rng.integers(0, len(g), len(g))].mean(axis=0) for _ in range(400)])
    h = int(np.argmax(g.mean(axis=0)))
    assert table.evidence.error_pk[p][1 + h] == pytest.approx(drawn.std(axis=0)[h] / g.mean(axis=0)[h], rel=0.15)


def test_every_pair_has_a_usable_curve(refined):
    elements = sorted({int(z) for a in real_crystals() for z in a.numbers})
    assert len(refined.pairs_pz) == len(elements) * (len(elements) + 1) // 2
    assert np.isfinite(refined.u_pk).all()
    assert refined.u_pk[:, 0] == pytest.approx(1e5)
    flagged = [refined.name(p) for p in np.flatnonzero(refined.flagged_p())]
    assert "Li-O" not in flagged
    assert "Na-P" not in flagged
    assert refined.evidence.prior_p[refined.index("Na-Fe")] > 0.9  # no crystal of the file holds both
    assert lodewell.check_potential(refined) is not None


def test_what_the_refinement_did_is_told(refined):
    """No formula both teaches and judges; what comes out is the best that the judges saw."""
    notes = refined.about["refinement"]
    assert notes["held_out"] >= 1
    assert notes["training"] + notes["held_out"] == refined.about["families"]  # none has more than 40 atoms
    steps = [step for step, _, _ in notes["history"]]
    assert steps == sorted(steps)
    assert len(steps) >= 1
    losses = [loss for _, loss, _ in notes["history"]]
    assert losses[-1] <= losses[0]


def test_held_out_crystals_leave_no_trace():
    crystals = real_crystals(100)
    formula, system = reduced_formula(crystals[0].numbers), element_set(crystals[40].numbers)
    kept = [a for a in crystals if reduced_formula(a.numbers) != formula and element_set(a.numbers) != system]
    assert len(kept) < len(crystals)
    held = HoldOut(formulas=frozenset({formula}), systems=frozenset({system}))
    options = {"recipe": "spp-2024", "cutoff": 6.0}
    found = lodewell.derive(crystals, hold_out=held, **options)
    same_table(found, lodewell.derive(kept, **options))
    assert found.about["left_out"]["held out"] == len(crystals) - len(kept)


def test_a_share_is_held_out_by_name():
    """Formulas, or whole element sets, are in or out together, and the share is about what was asked for."""
    crystals = real_crystals()
    for by_system, name in ((False, reduced_formula), (True, element_set)):
        held = HoldOut(share=0.3, by_system=by_system)
        out = {name(a.numbers) for a in crystals if held.holds(a.numbers)}
        assert not out & {name(a.numbers) for a in crystals if not held.holds(a.numbers)}
        assert 0.1 < len(out) / len({name(a.numbers) for a in crystals}) < 0.5
    assert hashed("LiO") == zlib.crc32(b"LiO") / 2**32


def test_lists_of_formulas(tmp_path):
    (tmp_path / "formulas.txt").write_text("# held out\nLi3PO4\n\nFe2O3  # rust\n")
    assert read_formulas(tmp_path / "formulas.txt") == {"Li3O4P", "Fe2O3"}
    (tmp_path / "bad.txt").write_text("Li3PO4\nXx2\n")
    with pytest.raises(BadFile, match="line 2"):
        read_formulas(tmp_path / "bad.txt")


def test_crystals_above_the_hull_are_left_out():
    crystals = real_crystals(60)
    heights = [a.info.get("energy_above_hull", 0.0) for a in crystals]
    strict = lodewell.derive(crystals, recipe="spp-2024", cutoff=5.0, max_above_hull=0.02)
    assert strict.about["crystals_used"] == sum(h <= 0.02 for h in heights)
    assert 0 < strict.about["crystals_used"] < 60
    assert strict.about["left_out"] == {"more than 0.02 eV/atom above the hull": sum(h > 0.02 for h in heights)}


@pytest.mark.parametrize(
    ("info", "seen"),
    [({"theoretical": False}, True), ({"theoretical": True, "icsd_ids": [1]}, False), ({"icsd_ids": [12]}, True),
     ({"icsd_ids": []}, False), ({"cod_id": 900}, True), ({"experimental": True}, True),
     ({"database_IDs": "{}"}, False), ({}, False)],
)  # fmt: skip
def test_only_observed_crystals(info, seen):
    assert observed(info) is seen
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.info.update(info)
    found = mine_chunk([atoms], DeriveOptions(experimental=True, cutoff=5.0), HoldOut())
    assert (found.counts is not None) is seen
    assert found.left_out == ({} if seen else {"not said to be observed": 1})


def test_environments_have_curves_of_their_own():
    """Oxides and sulfides of sodium tell Na-Na apart; a class with few crystals has no curve of its own."""
    rng = np.random.default_rng(0)
    crystals = []
    for anion, edge, count in (("O", 4.8, 40), ("S", 5.9, 40), ("Se", 6.2, 10)):
        for _ in range(count):
            atoms = bulk("Na" + anion, "rocksalt", a=edge) * (2, 1, 1)
            atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
            crystals.append(atoms)
    table = lodewell.derive(crystals, recipe="spp", cutoff=6.0, refine=False, environments=True, prior=1.0)
    plain = lodewell.derive(crystals, recipe="spp", cutoff=6.0, refine=False, prior=1.0)
    names = [table.name(p) for p in range(len(table.pairs_pz))]
    for p, name in enumerate(plain.name(p) for p in range(len(plain.pairs_pz))):
        np.testing.assert_array_equal(table.u_pk[names.index(name)], plain.u_pk[p])
    resolved = {n for n in names if "(" in n}
    assert not any("selenide" in n for n in resolved)
    if {"Na-Na (oxide)", "Na-Na (sulfide)"} <= resolved:  # counted as families, which rattled copies may join
        r = table.r_k
        lows = [r[2 + np.argmin(table.u_pk[names.index(f"Na-Na ({c})")][2:])] for c in ("oxide", "sulfide")]
        assert lows[0] < lows[1]
        oxide = bulk("NaO", "rocksalt", a=4.8)
        assert table.energy(oxide) != plain.energy(oxide)


def harmonic_fcc(k: float, nearest: float) -> Statistical:
    """A table of copper with ½k(r - d)² around the nearest distance d, and nothing at the second shell."""
    r = table_points(4.0)
    window = np.clip((nearest + 0.75 - r) / 0.35, 0, 1)
    u = 0.5 * k * (r - nearest) ** 2 * window**3 * (10 - 15 * window + 6 * window**2)
    evidence = Evidence(
        np.array([9]), np.array([9.0]), np.zeros(1), np.zeros((1, len(r))), np.zeros((1, 80)), np.zeros((1, 80))
    )
    known = KnownEnergies(np.zeros(0, np.float32), np.zeros(0, np.int32), ())
    return Statistical(np.array([[29, 29]]), u[None], evidence, known, cutoff=4.0)


def test_the_energy_scale_is_found_from_an_analytic_modulus(tmp_path):
    """Springs k between the 12 neighbours at d in fcc: K = (2√2/3) k/d."""
    nearest, k = 2.55, 7.0
    atoms = bulk("Cu", a=nearest * np.sqrt(2))
    table = harmonic_fcc(k, nearest)
    from ase.units import GPa

    modulus = 2 * np.sqrt(2) / 3 * k / nearest / GPa
    assert bulk_moduli(table, Batch.from_atoms([atoms]))[0] == pytest.approx(modulus, rel=1e-3)
    assert bulk_moduli(table.in_eV(0.5), Batch.from_atoms([atoms]))[0] == pytest.approx(modulus, rel=1e-3)
    from lodewell.crystals.write import write_crystals

    stiff = []
    for n in range(12):
        one = atoms * (1 + n % 2, 1, 1)
        one.info["K_vrh"] = 0.04 * modulus * (1 + 0.1 * (n - 5.5))  # spread evenly about 4 %
        stiff.append(one)
    write_crystals(tmp_path / "stiff.extxyz", stiff)
    scale, how = energy_scale(table, tmp_path / "stiff.extxyz")
    assert scale == pytest.approx(0.04, rel=5e-3)
    assert how["crystals"] == 12
    write_crystals(tmp_path / "few.extxyz", stiff[:5])
    with pytest.raises(BadFile, match="only 5 crystals carry a bulk modulus"):
        energy_scale(table, tmp_path / "few.extxyz")


def test_calibration_through_the_verb(tmp_path):
    from lodewell.crystals.write import write_crystals

    crystals = [a.copy() for a in real_crystals(40)]
    plain = lodewell.derive(crystals, recipe="spp", refine=False, cutoff=6.0)
    k_b = bulk_moduli(plain, Batch.from_atoms(crystals))
    good = np.flatnonzero((k_b > 50) & (k_b * 0.03 < 500))
    for b in good:
        crystals[b].info["K_vrh"] = 0.03 * float(k_b[b])
    write_crystals(tmp_path / "k.extxyz", [crystals[b] for b in good])
    table = lodewell.derive(crystals, recipe="spp", refine=False, cutoff=6.0, calibrate=tmp_path / "k.extxyz")
    assert table.calibrated
    assert table.energy_scale == pytest.approx(0.03, rel=1e-2)
    np.testing.assert_array_equal(table.u_pk, plain.u_pk)
    assert not lodewell.derive(crystals, recipe="spp-2024", cutoff=6.0, calibrate=tmp_path / "k.extxyz").calibrated


def test_impossible_crystals_are_refused_by_name():
    good = [a for a in real_crystals() if a.info.get("energy_above_hull", 0.0) < 0.1][:5]
    flat = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.8]], cell=[5, 5, 0], pbc=[True, True, False])
    clash = bulk("NaCl", "rocksalt", a=5.64)
    clash.positions[1] = clash.positions[0] + [0.1, 0, 0]
    found = lodewell.derive([*good[:2], flat, clash, *good[2:]], recipe="spp-2024", cutoff=5.0)
    assert found.about["crystals_used"] == 5
    assert sorted((frame, why.split(":")[0]) for _, frame, why in found.about["first_refused"]) == [
        (2, "not a three-dimensional crystal with a volume"), (3, "two atoms are closer than 0.5 Å"),
    ]  # fmt: skip
    same_table(found, lodewell.derive(good, recipe="spp-2024", cutoff=5.0))


@pytest.mark.parametrize(
    "wrong", [{"recipe": "best"}, {"cutoff": 3.0}, {"cutoff": 6.01}, {"smoothing": 0.0}, {"smoothing": 2.0}]
)
def test_options_out_of_range(wrong):
    with pytest.raises(BadOption):
        lodewell.derive([gas(0, 4, 5.0)], **wrong)
