"""Scores hold against plain sums and counts, odd contacts are found and named, bad crystals cost a row."""

import timeit
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from lodewell import LennardJones, Statistical, neighbour_list
from lodewell.crystals.chemistry import element_set
from lodewell.judge.score.contacts import ODD
from lodewell.judge.score.run import best_first, percentile, score
from lodewell.potentials.statistical.statistical import BIN, KnownEnergies


def squeezed(atoms: Atoms, to: float) -> Atoms:
    """Move the second atom towards the first, its nearest image, until they are `to` apart."""
    out = atoms.copy()
    vector = out.get_distance(0, 1, mic=True, vector=True)
    out.positions[1] = out.positions[0] + vector * to / np.linalg.norm(vector)
    return out


def test_energy_is_that_of_the_potential_and_splits_into_pairs_and_atoms(table, salts):
    for atoms, scored, result in zip(salts[::17], score(salts[::17], table), table.evaluate(salts[::17]), strict=True):
        assert scored.energy_per_atom == pytest.approx(result.energy / len(atoms), rel=1e-12)
        assert scored.energies_n == pytest.approx(result.energies_n, rel=1e-10)
        assert sum(scored.pair_energies.values()) == pytest.approx(scored.energy_per_atom, rel=1e-10)
        assert scored.volume_per_atom == pytest.approx(atoms.get_volume() / len(atoms))


def test_scale_multiplies_energies_and_leaves_percentiles(table, salts):
    plain, scaled = score(salts[:5], table), score(salts[:5], table.in_eV(0.25))
    for a, b in zip(plain, scaled, strict=True):
        assert b.energy_per_atom == pytest.approx(0.25 * a.energy_per_atom)
        assert b.percentile == a.percentile


def test_percentile_counts_known_crystals_with_a_lower_or_equal_energy(table):
    known = table.known
    among = known.energy_x[np.array(known.system_x) == known.systems.index("F-Na")]
    assert len(among) < 20  # so the class answers
    fluorides = known.energy_x[["F" in known.systems[k].split("-") for k in known.system_x]]
    for energy in (-20.0, *np.quantile(fluorides, [0.1, 0.5]), 5.0):
        place = percentile(table, float(energy), [11, 9])
        assert place.value == pytest.approx(100 * (fluorides <= energy + 1e-5).mean())
        assert (place.among, place.count) == ("fluorides", len(fluorides))
    assert percentile(table, float(fluorides.min()), np.array([9, 11])).value == pytest.approx(100 / len(fluorides))


def test_percentile_prefers_the_same_elements_then_the_anion_then_all(table):
    energies = np.arange(60, dtype=np.float32)
    system_x = np.array([0] * 25 + [1] * 30 + [2] * 5, np.int32)
    known = table.with_known(KnownEnergies(energies, system_x, ("Li-O", "Na-O", "K-S")))
    assert percentile(known, 11.9, [3, 8, 8]).value == 100 * 12 / 25
    assert percentile(known, 11.9, [3, 8, 8]).label == "Li-O (25 crystals)"
    assert percentile(known, 11.9, [12, 8]).label == "oxides (55 crystals)"
    assert percentile(known, 11.9, [19, 16]).label == "all (60 crystals)"
    assert percentile(known, float("nan"), [19, 16]) is None
    assert percentile(table.with_known(KnownEnergies(energies[:0], system_x[:0], ())), 1.0, [3, 8]) is None


def test_percentile_is_quick(table):
    numbers = np.array([3, 8] * 10)
    percentile(table, -1.0, numbers)
    assert min(timeit.repeat(lambda: percentile(table, -1.0, numbers), number=200, repeat=5)) / 200 < 20e-6


def test_a_squeezed_contact_is_odd_and_named(table, salts):
    good, bad = salts[0], squeezed(salts[0], 1.2)
    first, second = score([good, bad], table)
    assert not first.contacts
    worst = second.contacts[0]
    assert (worst.first, worst.second, worst.pair) == (0, 1, "Li-O")
    assert worst.distance == pytest.approx(1.2)
    assert worst.share == 0.0
    assert str(worst) == f"{worst.label} 1.20 Å: none of 48 known Li–O contacts is shorter"
    assert second.energy_per_atom > first.energy_per_atom


def test_the_share_of_shorter_contacts_is_read_off_the_histogram(table, salts):
    from lodewell.judge.score import contacts

    known = contacts._KnownContacts(table)
    p = table.index("Na-Cl")
    histogram = table.evidence.contact_ph[p]
    for r in (2.4, 2.62, 2.8, 3.9):
        k = int(r / BIN)
        exact = (histogram[:k].sum() + histogram[k] * (r / BIN - k)) / histogram.sum()
        assert known.share(np.array([p]), np.array([r]))[0] == pytest.approx(exact)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.booleans())
def test_nearest_contacts_agree_with_a_plain_search(table, seed, count, skewed):
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(1.8, 5.0, 3)) + skewed * np.tril(rng.uniform(-2, 2, (3, 3)), -1)
    atoms = Atoms(
        rng.choice(["Li", "O", "S"], count), scaled_positions=rng.uniform(-1, 2, (count, 3)), cell=cell, pbc=True
    )
    i, j, _, vector = neighbour_list(atoms, table.cutoff)
    r = np.linalg.norm(vector, axis=1)
    if r.min() < 0.1:
        return
    (scored,) = score(atoms, table)
    symbols = np.array(atoms.get_chemical_symbols())
    for c in scored.contacts:
        assert c.share < ODD
        separation = atoms.positions[c.second] + np.array(c.image) @ cell - atoms.positions[c.first]
        assert np.linalg.norm(separation) == pytest.approx(c.distance)
        to_second = r[(i == c.first) & (symbols[j] == symbols[c.second])].min()
        to_first = r[(i == c.second) & (symbols[j] == symbols[c.first])].min()
        assert min(abs(to_second - c.distance), abs(to_first - c.distance)) < 1e-9
        assert ("′" in c.label) == any(c.image)
    for n in range(count):  # whoever is much closer than any known crystal allows is named
        for m in range(count):
            row = (i == n) & (j == m)
            if row.any() and r[i == n].min() == r[row].min():
                p = table.index(f"{symbols[n]}-{symbols[m]}")
                shortest = BIN * np.argmax(table.evidence.contact_ph[p] > 0)
                if r[row].min() < 0.9 * shortest:
                    assert {n, m} in [{c.first, c.second} for c in scored.contacts]


def test_thin_curves_are_warned_of(table):
    (scored,) = score(mixed_salt(), table)
    assert "Li-Na rests on no known crystal: 100 % of it is prior" in scored.warnings
    assert not any(w.startswith("Li-O") for w in scored.warnings)


def mixed_salt() -> Atoms:
    atoms = bulk("LiO", "rocksalt", a=4.4) * (2, 1, 1)
    atoms.symbols[2] = "Na"
    return atoms


def test_bad_crystals_cost_a_row_each(table, salts):
    gold = bulk("Au")
    flat = salts[1].copy()
    flat.cell[2] = 0.0
    nan = salts[2].copy()
    nan.positions[1, 2] = np.nan
    twice = salts[3].copy()
    twice.positions[1] = twice.positions[0]
    rows = score([salts[0], gold, flat, nan, twice, Atoms(), salts[4]], table)
    assert [r.status for r in rows] == ["scored", "unsupported", *["bad input"] * 4, "scored"]
    assert "Au" in rows[1].message
    assert "volume" in rows[2].message or "vector" in rows[2].message
    assert "NaN" in rows[3].message
    assert "coincide" in rows[4].message
    assert sorted(r.rank for r in rows if r.rank) == [1, 2]
    assert all(r.energy_per_atom is None and r.rank is None for r in rows[1:6])
    assert [r.frame for r in rows] == list(range(7))


def test_molecules_and_one_atom_cells(table):
    water_like = Atoms("OLi2", [[0, 0, 0], [1.9, 0, 0], [0, 1.9, 0]])
    one = Atoms("Li", cell=[2.0, 2.0, 2.0], pbc=True)
    molecule, cell = score([water_like, one], table)
    assert molecule.status == cell.status == "scored"
    assert molecule.volume_per_atom is None
    assert cell.contacts
    assert cell.contacts[0].label == "Li1–Li1′"
    assert cell.energy_per_atom == pytest.approx(table.evaluate(one)[0].energy)


def test_other_families_and_sums(table, salts):
    lj = LennardJones({"Li-O": (0.1, 1.8)}, cutoff=5.0)
    (alone,) = score(salts[0], lj)
    assert alone.energy_per_atom == pytest.approx(lj.evaluate(salts[0])[0].energy / len(salts[0]))
    assert alone.percentile is None
    bad = squeezed(salts[0], 1.2)
    (both,), (plain,) = score(bad, table + lj), score(bad, table)
    assert both.energy_per_atom == pytest.approx((table + lj).evaluate(bad)[0].energy / len(bad))
    assert (both.percentile, both.contacts) == (plain.percentile, plain.contacts)


def test_rank_follows_the_energy(table, salts):
    rows = score(salts, table)
    for formula in {r.formula for r in rows}:
        best = sorted((r for r in rows if r.formula == formula), key=lambda r: r.rank)
        assert [r.rank for r in best] == list(range(1, len(best) + 1))
        assert all(a.energy_per_atom <= b.energy_per_atom for a, b in pairwise(best))
    assert [r.index for r in rows] == list(range(len(rows)))
    assert all(a.percentile <= b.percentile for a, b in pairwise(best_first(rows)))
    assert {element_set(a.numbers) for a in salts} == set(table.known.systems)


def test_energies_that_no_percentile_compares_are_put_on_a_hull():
    lj = LennardJones({"Li-Li": (0.05, 3.0), "Li-O": (0.1, 1.8), "O-O": (0.02, 3.0)}, cutoff=5.0)
    lithium, oxygen = bulk("Li"), bulk("O", "fcc", a=4.2)
    mixed = bulk("LiO", "rocksalt", a=4.2)
    a, b, c = score([lithium, oxygen, mixed], lj)
    ends = 0.5 * (a.energy_per_atom + b.energy_per_atom)
    assert (a.above_hull, b.above_hull) == (0.0, 0.0)
    assert c.above_hull == pytest.approx(max(0.0, c.energy_per_atom - ends), abs=1e-9)
    assert best_first([a, b, c])[-1].above_hull == max(a.above_hull, b.above_hull, c.above_hull)


def test_files_through_workers_keep_their_order(table, salts, tmp_path):
    from ase.io import write

    tagged = [a.copy() for a in salts] * 3
    for k, a in enumerate(tagged):
        a.info["id"] = f"salt-{k}"
    write(tmp_path / "all.xyz", tagged, format="extxyz")
    (tmp_path / "broken.cif").write_text("data_x\n_cell_length_a 3")
    rows = score(tmp_path, table, workers=2)
    assert [r.id for r in rows[: len(tagged)]] == [a.info["id"] for a in tagged]
    assert [r.energy_per_atom for r in rows[:192]] == pytest.approx(
        [r.energy_per_atom for r in score(salts, table)], abs=1e-5
    )
    assert rows[-1].status == "bad input"
    assert rows[-1].file.endswith("broken.cif")


def test_a_crystal_uses_the_curves_of_its_class(resolved, salts):
    scored, result = score(salts[0], resolved)[0], resolved.evaluate(salts[0])[0]
    assert scored.energy_per_atom == pytest.approx(result.energy / len(salts[0]))
    assert scored.pair_energies["Li-O"] != pytest.approx(0.0)


def test_a_lost_chunk_keeps_its_rows(salts, tmp_path):
    from ase.io import write

    from lodewell.crystals.read import chunks
    from lodewell.judge.score.run import _lost
    from lodewell.workers.base import Outcome

    write(tmp_path / "a.xyz", salts[:30], format="extxyz")
    write(tmp_path / "b.cif", salts[0])
    write(tmp_path / "c.cif", salts[1])
    rows = [
        row for k, c in enumerate(chunks(tmp_path, 20)) for row in _lost(Outcome(k, c, None, "the worker process died"))
    ]
    assert [r.frame for r in rows] == [*range(30), 0, 0]
    assert [r.file.rsplit("/", 1)[1] for r in rows] == ["a.xyz"] * 30 + ["b.cif", "c.cif"]
    assert {(r.status, r.message) for r in rows} == {("bad input", "the worker process died")}


def test_few_crystals_are_thin_even_without_a_prior(table, salts):
    e = table.evidence
    few = replace(e, prior_p=0.0 * e.prior_p, families_p=np.where(e.families_p > 0, 3.0, 9.0))
    faithful = Statistical(table.pairs_pz, table.u_pk, few, table.known, cutoff=table.cutoff)
    assert "Li-O rests on 12 known crystals" in score(salts[0], faithful)[0].warnings
