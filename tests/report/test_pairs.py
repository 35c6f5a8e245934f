"""Rows say what the table holds."""

import numpy as np
import pytest

from lodewell import LennardJones
from lodewell.errors import BadFile, UnsupportedElement
from lodewell.potentials.statistical.thin import thin_p
from lodewell.report.pairs import minima, pair_rows, potential_rows, statistical


def test_rows_carry_the_evidence(table):
    rows = {r.pair: r for r in pair_rows(table)}
    assert len(rows) == len(table.pairs_pz)
    p = table.index("Na-Cl")
    row = rows["Na-Cl"]
    assert (row.structures, row.families) == (12, 6.0)
    assert row.prior == pytest.approx(table.evidence.prior_p[p])
    assert not row.flagged
    assert rows["Li-Na"].flagged
    assert rows["Li-Na"].structures == 0
    counts = [r.structures for r in pair_rows(table)]
    assert counts == sorted(counts, reverse=True)


def test_minimum_is_where_the_curve_is_lowest_around_the_bond(table):
    r_p, u_p, _ = minima(table.in_eV(0.5))
    fine = np.linspace(0.5, table.cutoff, 20_001)
    for pair in ("Li-O", "Na-Cl", "S-S"):
        p = table.index(pair)
        u, _ = table.in_eV(0.5).curve(pair, fine)
        near = np.abs(fine - r_p[p]) < 0.15
        assert r_p[p] == pytest.approx(fine[near][u[near].argmin()], abs=0.02)
        assert u_p[p] == pytest.approx(u[near].min(), abs=0.01)


def test_rows_are_chosen_by_element_and_trust(table):
    assert {r.pair for r in pair_rows(table, "Li,O")} == {"Li-Li", "Li-O", "O-O"}
    assert all(r.flagged for r in pair_rows(table, flagged=True))
    assert {r.pair for r in pair_rows(table, ["Li", "Na"], flagged=True)} == {"Li-Na"}
    with pytest.raises(UnsupportedElement, match="Rb"):
        pair_rows(table, "Rb")


def test_potentials_are_described(table, tmp_path):
    path = table.save(tmp_path / "mine", data="salts made up")
    lj = LennardJones({"Ar-Ar": (0.01, 3.4)}, cutoff=8.0).save(tmp_path / "lj")
    salt, argon = potential_rows([path, lj])
    assert (salt.kind, salt.pairs, salt.cutoff, salt.known) == ("statistical", 36, 6.0, 192)
    assert salt.flagged == sum(thin_p(table)) == 12
    assert salt.data == "salts made up"
    assert not salt.calibrated
    assert (argon.kind, argon.elements, argon.pairs) == ("lennard-jones", ("Ar",), None)
    with pytest.raises(UnsupportedElement, match="no statistical table"):
        statistical(lj)
    with pytest.raises(BadFile):
        potential_rows([tmp_path / "none.lodewell"])
