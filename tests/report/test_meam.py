"""Figures and lists of spline MEAMs: every spline, and the holes in the data."""

import numpy as np
import pytest
from tests.potentials.made_up_meam import made_up_meam
from typer.testing import CliRunner

import lodewell
from lodewell.cli import app
from lodewell.errors import BadOption
from lodewell.potentials.meam.knowledge import Coverage
from lodewell.report.meam import describe, seen_by


def known():
    """O and Ti with a hole between 2.4 and 3.0 Å in Ti-O, one in n of O, and no angle between O and O."""
    potential = made_up_meam("O", "Ti", seed=1)
    r = 0.02 * (np.arange(400) + 0.5)
    pair = np.where((r > 1.8) & ((r < 2.4) | (r > 3.0)), 50.0 * r**2, 0.0)
    n = np.ones(100)
    n[40:60] = 0.0
    potential = potential.with_record(
        coverage=Coverage(
            8.0,
            {"O-Ti": pair, "Ti-Ti": np.where(r > 2.5, 9.0, 0.0)},
            {"O": n, "Ti": np.ones(100)},
            {"O": (-1.0, 3.0), "Ti": (0.0, 2.0)},
            {"O-O": np.zeros(60), "O-Ti": np.ones(60), "Ti-Ti": np.ones(60)},
            {"O-Ti": 1.8, "Ti-Ti": 2.5},
        )
    )
    return potential


def test_holes_are_found_where_they_are():
    potential = known()
    seen = seen_by(potential, "phi", "O-Ti")
    assert seen.range == pytest.approx((1.8, 5.0))
    assert [h for h in seen.empty if h[0] > 1.8] == [pytest.approx((2.4, 3.0))]
    assert seen_by(potential, "phi", "O-O") is None
    assert seen_by(potential, "g", "O-O") is None
    assert seen_by(potential, "u", "O").empty == (pytest.approx((0.6, 1.4)),)
    # ρ of Ti acts on both neighbours.
    assert seen_by(potential, "rho", "Ti").range == pytest.approx((1.8, 4.8))
    assert seen_by(made_up_meam("Si"), "phi", "Si-Si") is None


@pytest.mark.parametrize(
    ("potential", "wanted"),
    [(known(), ["O-Ti"]), (known(), ["Ti", "u"]), (made_up_meam("Si", even=False), []), (known(), ["φ"])],
)
def test_figures_are_drawn(potential, wanted, tmp_path):
    path = lodewell.show(potential, wanted, tmp_path / "it.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 20_000


def test_a_spline_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadOption, match="no spline 'Si-O': name one of phi, rho, u, f, g"):
        lodewell.show(known(), ["Si-O"], tmp_path / "no.png")


def test_the_list_flags_what_rests_on_too_little(tmp_path):
    potential = known()
    flagged = {row["spline"] for row in describe(potential, {}).rows if row["flagged"]}
    assert {"φ O-O", "φ O-Ti", "U O", "g O-O"} <= flagged
    assert not {"φ Ti-Ti", "U Ti", "g Ti-Ti"} & flagged
    file = potential.save(tmp_path / "it", parameters=120)
    run = CliRunner().invoke(app, ["list", str(file)])
    assert run.exit_code == 0, run.stderr
    assert "120 numbers fitted" in run.stdout
    assert "2.40…3.00" in run.stdout
    run = CliRunner().invoke(app, ["show", str(file), "g", "--out", str(tmp_path / "it.png")])
    assert run.exit_code == 0, run.stderr
