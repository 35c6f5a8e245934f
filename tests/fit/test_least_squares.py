"""The streaming solver against a dense one, on rows that come in any order, from any number of workers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodewell.errors import BadFile, BadOption
from lodewell.fit.linear.balance import Goal, choose
from lodewell.fit.linear.held_out import HeldOut
from lodewell.fit.linear.least_squares import LinearSystem, Undetermined, merged, solve

KINDS = ("energy", "force")


def made_up(seed, parameters=12, frames=30, spread=0.0):
    """Rows of two kinds in three folds; columns differ in size by `spread` decades."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=parameters)
    scale = 10.0 ** np.linspace(0, -spread, parameters)
    for frame in range(frames):
        for kind, count in zip(KINDS, (1, 7), strict=True):
            rows = rng.normal(size=(count, parameters)) * scale
            yield kind, frame % 3, rows, rows @ truth + 0.1 * rng.normal(size=count)


def streamed(parts, exact, parameters=12):
    out = LinearSystem(parameters, exact)
    for part in parts:
        out.add(*part)
    return out


def dense(parts, weights, penalty):
    a = np.concatenate([np.sqrt(weights[kind]) * rows for kind, _, rows, _ in parts])
    b = np.concatenate([np.sqrt(weights[kind]) * y for kind, _, _, y in parts])
    root = np.linalg.cholesky(penalty).T
    a, b = np.concatenate([a, root]), np.concatenate([b, np.zeros(len(root))])
    return np.linalg.lstsq(a, b, rcond=None)[0], a.T @ a


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), exact=st.booleans(), energy=st.floats(0.01, 100.0))
def test_solution_and_covariance_are_those_of_a_dense_solve(seed, exact, energy):
    parts, weights, penalty = list(made_up(seed)), {"energy": energy, "force": 1.0}, 0.01 * np.eye(12)
    x, matrix = dense(parts, weights, penalty)
    found = solve(streamed(parts, exact), weights, penalty)
    np.testing.assert_allclose(found.coefficients_p, x, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(found.factor_pp.T @ found.factor_pp, matrix, rtol=1e-8, atol=1e-8 * np.abs(matrix).max())


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 5, 8])
def test_workers_merge_to_what_one_gets(exact, workers):
    parts, weights, penalty = list(made_up(1)), {"energy": 3.0, "force": 1.0}, 0.01 * np.eye(12)
    whole = merged(streamed(parts[k::workers], exact) for k in range(workers))
    assert whole.count("force") == 210
    assert whole.count("energy") == 30
    np.testing.assert_allclose(
        solve(whole, weights, penalty).coefficients_p, dense(parts, weights, penalty)[0], rtol=1e-9
    )


def test_householder_updates_keep_what_products_lose():
    """Columns of sizes seven decades apart: products keep half the digits of the least, the triangle keeps all."""
    parts = [(kind, fold, rows, rows @ np.ones(12)) for kind, fold, rows, _ in made_up(2, frames=60, spread=7.0)]
    weights, penalty = {"energy": 1.0, "force": 1.0}, 1e-28 * np.eye(12)
    exact = solve(streamed(parts, exact=True), weights, penalty).coefficients_p
    np.testing.assert_allclose(exact, 1.0, rtol=1e-7)


@pytest.mark.parametrize("exact", [True, False])
def test_held_out_errors_are_those_of_fits_to_the_other_folds(exact):
    parts, weights, penalty = list(made_up(3)), {"energy": 2.0, "force": 1.0}, 0.1 * np.eye(12)
    squares = dict.fromkeys(KINDS, 0.0)
    for fold in range(3):
        x, _ = dense([p for p in parts if p[1] != fold], weights, penalty)
        for kind, f, rows, y in parts:
            if f == fold:
                squares[kind] += float(np.sum((rows @ x - y) ** 2))
    found = HeldOut(streamed(parts, exact)).errors(weights, penalty)
    assert found["energy"] == pytest.approx(np.sqrt(squares["energy"] / 30), rel=1e-8)
    assert found["force"] == pytest.approx(np.sqrt(squares["force"] / 210), rel=1e-8)


def test_memory_is_that_of_the_parameters_whatever_the_rows():
    few, many = (streamed(made_up(4, frames=n), exact=False) for n in (40, 400))
    size = [sum(a.size for folded in s.folded.values() for a in folded.state().values()) for s in (few, many)]
    assert size[1] <= 6 * 2 * 13 * 13 + 6 * 7 * 13
    assert size[1] < 2 * size[0]


@pytest.mark.parametrize("exact", [True, False])
def test_what_was_folded_can_be_saved_and_extended(exact, tmp_path):
    parts, weights, penalty = list(made_up(5)), {"energy": 2.0, "force": 1.0}, 0.1 * np.eye(12)
    streamed(parts[:30], exact).save(tmp_path / "a.rows", splines="these")
    earlier, meta = LinearSystem.load(tmp_path / "a.rows")
    assert meta == {"splines": "these"}
    whole = earlier.merge(streamed(parts[30:], exact))
    np.testing.assert_allclose(
        solve(whole, weights, penalty).coefficients_p, dense(parts, weights, penalty)[0], rtol=1e-9
    )


def test_a_damaged_file_of_rows_is_refused(tmp_path):
    (tmp_path / "a.rows").write_bytes(b"PK no")
    with pytest.raises(BadFile, match="fit again"):
        LinearSystem.load(tmp_path / "a.rows")


@pytest.mark.parametrize("exact", [True, False])
def test_a_free_direction_is_refused(exact):
    parts = [(kind, fold, rows * (np.arange(12) != 4), y) for kind, fold, rows, y in made_up(6)]
    with pytest.raises(Undetermined):
        solve(streamed(parts, exact), {"energy": 1.0, "force": 1.0}, np.zeros((12, 12)))


def test_too_many_parameters_are_refused_with_the_cure():
    with pytest.raises(BadOption, match="fewer"):
        LinearSystem(30_000)


def test_weights_and_strength_are_chosen_by_held_out_errors():
    """Where few rows are noisy a penalty pays; the search finds a better one than it starts from."""
    parts = [(k, f, r, y + 3.0 * np.random.default_rng(f).normal(size=len(y))) for k, f, r, y in made_up(7, frames=9)]
    data, penalty = streamed(parts, exact=False), np.eye(12)
    importance = {"energy": 1.0, "force": 1.0}
    chosen = choose(data, penalty, Goal(importance, {"strength": 1e-4}, {}))
    start = HeldOut(data).errors({"energy": 1.0, "force": 1.0}, 1e-4 * penalty)
    assert chosen.strength > 1e-3
    assert np.prod(list(chosen.held_out.values())) < np.prod(list(start.values()))
    fixed = choose(data, penalty, Goal(importance, {}, {"energy": 5.0}, strength=0.3))
    assert fixed.strength == pytest.approx(0.3)
