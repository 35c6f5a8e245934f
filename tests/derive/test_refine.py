"""The refinement: its loss falls along its gradient, its prior is symmetric, and it helps crystals it has not seen."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, check_grad

from lodewell.crystals.batch import Batch
from lodewell.derive import refine as r
from lodewell.derive.features import COUNT, features
from lodewell.derive.pair_sums import PairSums, count_pairs
from lodewell.derive.similar import similarity
from lodewell.derive.start import coefficients, mixed_correlations

from .crystals import real_crystals

CUTOFF = 7.0


@pytest.fixture(scope="module")
def problem():
    """Curves mined from real crystals, features of two thirds of them to learn from, and of the rest to judge."""
    crystals = [a for a in real_crystals() if len(a) <= 16]
    batch = Batch.from_atoms(crystals)
    learn, judge = batch.take(np.arange(len(batch)) % 3 > 0), batch.take(np.arange(len(batch)) % 3 == 0)
    mined = PairSums(round(CUTOFF / 0.05))
    mined.add(count_pairs(learn, CUTOFF, 0.1), np.ones(len(learn)), classes=False)
    keys = sorted(mined.rows)
    rows = [mined.rows[k] for k in keys]
    weight = mined.weight_p[rows]
    elements = np.unique([k[:2] for k in keys])
    kernel = similarity(elements)
    g, _ = mixed_correlations(
        np.array([k[:2] for k in keys]), mined.smooth_ph[rows] / weight[:, None], weight, elements, kernel, 5.0
    )
    return coefficients(g), elements, kernel, [features(learn, CUTOFF, 1)], [features(judge, CUTOFF, 2)]


def prepared(problem, count: int):
    start, elements, _, training, _ = problem
    place = np.full(119, -1)
    place[elements] = np.arange(len(elements))
    one = training[0]
    end = one.first_b[count]
    few = r.Features(
        one.value_srk[:end], one.first_b[: count + 1], one.pair_sz[:end], one.count_b[:count], one.shaken_bj[:count]
    )
    return r._prepared(few, place, len(elements), start.reshape(-1, COUNT))


def test_the_gradient_is_right(problem):
    start, _, _, _, _ = problem
    one = prepared(problem, 4)
    options = r.RefineOptions()
    used = np.unique(one.row_s)
    flat = start.reshape(-1, COUNT)

    def full(x):
        out = flat.copy()
        out[used] = x.reshape(len(used), COUNT)
        return out

    def loss(x):
        return r._loss(full(x), [one], options)[0]

    def gradient(x):
        return r._loss(full(x), [one], options)[1][used].ravel()

    x0 = flat[used].ravel() + np.random.default_rng(0).normal(0, 0.05, used.size * COUNT)
    error = check_grad(loss, gradient, x0, epsilon=1e-5)
    assert error < 1e-3 * np.linalg.norm(gradient(x0))


def test_the_prior_is_a_linear_map_and_its_transpose(problem):
    _, _, kernel, _, _ = problem
    prior = r._Prior(kernel, 2.0)
    rng = np.random.default_rng(1)
    size = len(kernel) ** 2 * COUNT
    z, other = rng.normal(size=size), rng.normal(size=size)
    gradient = rng.normal(size=(len(kernel) ** 2, COUNT))
    value = lambda w: float((prior.expand(w).reshape(-1, COUNT) * gradient).sum())  # noqa: E731
    assert value(z) == pytest.approx(float(z @ prior.pull_back(gradient)))
    assert value(z + 2 * other) == pytest.approx(value(z) + 2 * value(other))
    corrections = prior.expand(z)
    np.testing.assert_allclose(corrections, corrections.transpose(1, 0, 2), atol=1e-9)
    small = approx_fprime(np.zeros(5), lambda w: value(np.concatenate([w, np.zeros(size - 5)])), 1e-4)
    np.testing.assert_allclose(small, prior.pull_back(gradient)[:5], rtol=1e-4)


def test_corrections_of_like_elements_go_together():
    """Under the prior, Fe-O and Co-O are corrected alike, Fe-O and Cs-O are not."""
    elements = np.array([8, 26, 27, 55])
    prior = r._Prior(similarity(elements), 2.0)
    rng = np.random.default_rng(0)
    drawn = np.array([prior.expand(rng.normal(size=16 * COUNT))[0, 1:, 10] for _ in range(400)])
    together = np.corrcoef(drawn.T)
    assert together[0, 1] > 0.5
    assert abs(together[0, 2]) < 0.3


def test_it_helps_crystals_it_has_not_seen(problem):
    start, elements, kernel, training, judges = problem
    refined, history = r.refine(start, elements, kernel, training, judges, r.RefineOptions(rounds=40))
    scores = [score for _, _, score in history]
    assert max(scores) > scores[0] + 0.03
    place = np.full(119, -1)
    place[elements] = np.arange(len(elements))
    sets = [r._prepared(f, place, len(elements), start.reshape(-1, COUNT)) for f in judges]
    assert r.judge(refined.reshape(-1, COUNT), sets) == pytest.approx(max(scores))  # the best, not the last
    losses = [loss for step, loss, _ in history if step]
    assert losses[-1] < losses[0]


def test_without_improvement_the_start_is_kept(problem):
    """Judges that are told the opposite stop the refinement, and nothing is changed."""
    start, elements, kernel, training, judges = problem
    upside_down = [r.Features(-f.value_srk, f.first_b, f.pair_sz, f.count_b, f.shaken_bj) for f in judges]
    refined, history = r.refine(start, elements, kernel, training, upside_down, r.RefineOptions(rounds=60, patience=1))
    if max(score for _, _, score in history) == history[0][2]:
        np.testing.assert_array_equal(refined, start)
    assert history[-1][0] < 60
