"""The statistics behind `benchmarks/predict/report.py`."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.predict import report as reporter


def test_the_bootstrap_s_interval_is_that_of_the_mean() -> None:
    difference_k = np.random.default_rng(3).normal(0.3, 2.0, 1000)
    mean, low, high = reporter.paired_bootstrap(difference_k)
    error = difference_k.std() / 1000**0.5
    assert mean == pytest.approx(difference_k.mean())
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.1 * error)


def test_runs_on_other_crystals_are_refused(tmp_path: Path) -> None:
    values = {name: [1.0, 2.0] for name in reporter.TARGETS}
    for row, crystals in ("published", ["a", "b"]), ("ours", ["a", "c"]):
        run = {"seed": 0, "crystals": crystals, "predicted": values, "reference": values}
        (tmp_path / f"{row}-0.json").write_text(json.dumps(run))
    with pytest.raises(SystemExit, match="ours, seed 0 was tested on other crystals"):
        reporter.read_rows(tmp_path)


def test_seeds_together_are_judged_by_their_mean(tmp_path: Path) -> None:
    for seed, shift in enumerate((-1.0, 1.0)):
        predicted = {name: [1.0 + shift, 2.0 + shift] for name in reporter.TARGETS}
        reference = {name: [1.0, 2.0] for name in reporter.TARGETS}
        run = {"seed": seed, "crystals": ["a", "b"], "predicted": predicted, "reference": reference}
        (tmp_path / f"ours-{seed}.json").write_text(json.dumps(run))
    row = reporter.read_rows(tmp_path)["ours"]
    for target in reporter.TARGETS:
        assert row.error_sk(target) == pytest.approx(1.0)
        assert row.ensemble_k(target) == pytest.approx(0.0)
