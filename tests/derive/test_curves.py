"""From correlations to curves: the published layout, the wall, the damped end, shrinkage, likeness of elements."""

import numpy as np
import pytest

from lodewell.derive.curves import FLOOR, curve, shrunk, wall
from lodewell.derive.features import COUNT, SPACING, START
from lodewell.derive.similar import radius_z, similarity
from lodewell.derive.start import coefficients, first_contacts, mixed_correlations, tabulate, walled
from lodewell.potentials.statistical.statistical import BIN, table_points

R = table_points(11.0)


def correlation(first: float = 2.0, height: float = 5.0, blur: float = 1.0) -> np.ndarray:
    """A first shell, a gap behind it, then 1."""
    r = R[1:-1]
    g = height * np.exp(-0.5 * ((r - first) / (0.15 * blur)) ** 2) + 1 / (1 + np.exp(-(r - 3.2) / (0.1 * blur)))
    return np.where(r < first - 0.6, 0.0, g)


def test_the_layout_is_the_published_one():
    assert len(R) == 222
    assert R[:3].tolist() == [0.0, 0.025, pytest.approx(0.075)]
    assert R[-2:].tolist() == [pytest.approx(10.975), 11.0]


def test_a_curve_is_minus_the_logarithm_between_wall_and_damping():
    g = correlation()
    u = curve(g[None], 11.0)[0]
    assert u[0] == pytest.approx(1e5)
    assert u[-1] == 0.0
    inside = (R > 1.7) & (R < 9.99)
    np.testing.assert_allclose(u[inside], -np.log(np.maximum(g[inside[1:-1]], FLOOR)), atol=1e-12)
    assert R[1:-1][np.argmin(u[1:-1])] == pytest.approx(2.0, abs=BIN)
    assert u[1:-1].min() == pytest.approx(-np.log(5.0), abs=0.02)


def test_the_wall_joins_with_value_and_slope():
    u = curve(correlation()[None], 11.0)[0]
    join = 1 + int(np.argmax(correlation() > FLOOR))
    slopes = np.diff(u) / np.diff(R)
    assert (slopes[:join] < 0).all()  # repulsive all the way
    assert (np.diff(slopes[: join + 1]) > 0).all()  # and ever steeper inwards
    assert slopes[join - 1] == pytest.approx(slopes[join], rel=0.25)
    # The formula itself: A exp(-B r) + C with the value and slope asked for, 1e5 at the origin.
    r = np.array([0.0, 1.5 - 1e-5, 1.5])
    at = wall(r, 1.5, 3.0, -7.0)
    assert at[[0, 2]] == pytest.approx([1e5, 3.0])
    assert (at[2] - at[1]) / 1e-5 == pytest.approx(-7.0, rel=1e-3)


@pytest.mark.parametrize(("at", "slope"), [(0.7, -2.0), (1.4, -30.0), (2.5, -2.0), (3.5, -200.0)])
def test_walls_are_found_wherever_crystals_begin(at, slope):
    u = wall(np.linspace(0, at, 50), at, 4.0, slope)
    assert u[0] == pytest.approx(1e5)
    assert u[-1] == pytest.approx(4.0, abs=1e-6)
    assert (np.diff(u) < 0).all()


def test_the_end_is_damped_smoothly():
    u = curve(np.full((1, 220), np.e), 11.0)[0]  # U = -1 everywhere
    assert u[(R > 1) & (R <= 10)] == pytest.approx(-1.0)
    end = R >= 10
    assert (np.diff(u[end]) >= 0).all()
    assert abs(u[-2]) < 1e-3
    assert np.abs(np.diff(u[end], 2)).max() < 0.02


def test_shrinkage_is_the_weighted_mean_of_data_and_prior():
    data, prior = np.full((3, 4), 2.0), np.full((3, 4), 1.0)
    mixed, share = shrunk(data, np.array([0.0, 5.0, 1e6]), prior, 5.0)
    assert share == pytest.approx([1.0, 0.5, 0.0], abs=1e-5)
    assert mixed[:, 0] == pytest.approx([1.0, 1.5, 2.0], abs=1e-5)


def test_like_elements_are_alike():
    elements = np.arange(1, 95)
    kernel = similarity(elements)
    np.testing.assert_allclose(np.diag(kernel), 1.0)
    np.testing.assert_array_equal(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel).min() > 0
    li, na, k, cl, fe, co = (np.searchsorted(elements, z) for z in (3, 11, 19, 17, 26, 27))
    assert kernel[fe, co] > kernel[fe, na]
    assert kernel[na, k] > kernel[na, cl]
    assert kernel[li, na] > kernel[li, fe]


def test_a_pair_that_nobody_saw_takes_after_its_neighbours():
    """K-O is unknown: it must resemble Rb-O, on distances scaled by the radii, and say that it is all prior."""
    elements = np.array([8, 19, 37])
    length = radius_z()[[8, 37]].sum()
    g = correlation(length * 0.9)
    mixed, share = mixed_correlations(
        np.array([[8, 37]]), g[None], np.array([200.0]), elements, similarity(elements), 5.0
    )
    assert share[0, 2] == pytest.approx(5 / 205)
    assert share[0, 1] == 1.0
    fine = START + SPACING / 8 * np.arange(8 * COUNT)
    assert fine[np.argmax(mixed[0, 1])] == pytest.approx(0.9, abs=0.01)
    np.testing.assert_array_equal(mixed, mixed.transpose(1, 0, 2))


def test_a_spline_reproduces_the_correlation_it_started_from():
    elements = np.array([3, 8])
    pairs = np.array([[3, 3], [3, 8], [8, 8]])
    length = radius_z()[[3, 8]].sum()
    g = correlation(0.95 * length, blur=2.0)
    mixed, _ = mixed_correlations(pairs, np.tile(g, (3, 1)), np.full(3, 1e4), elements, similarity(elements), 1e-3)
    bare = tabulate(coefficients(mixed)[0, 1], np.array([3, 8]), 11.0)
    u = walled(bare[None], np.array([[3, 8]]), np.array([0.75 * length]), 11.0)[0]
    assert u[0] == pytest.approx(1e5)
    assert u[-1] == 0.0
    near = (0.9 * length < R) & (1.3 * length > R)
    np.testing.assert_allclose(u[near], -np.log(g[near[1:-1]]), atol=0.05)
    beyond = 2.45 * length < R
    np.testing.assert_allclose(u[beyond], 0.0, atol=0.03)
    assert np.abs(np.diff(u[2.0 * length < R])).max() < 0.05  # it ends without a step
    inner = 0.75 * length > R
    assert (np.diff(u[inner]) < 0).all()


def test_the_wall_begins_where_contacts_do_and_thin_pairs_learn_where_that_is():
    elements = np.array([3, 11, 8])
    pairs = np.array([[3, 3], [3, 8], [3, 11], [8, 8], [8, 11], [11, 11]])
    contact = np.zeros((6, 220))
    contact[1, 40:60] = 1000.0  # Li-O from 2.0 Å on
    contact[1, 20] = 1.0  # one in twenty thousand is an error of the database
    contact[4, 50] = 3.0  # Na-O: too few to say
    inner = first_contacts(pairs, contact, elements, similarity(elements))
    assert inner[1] == pytest.approx(2.0)
    scaled = 2.0 * radius_z()[[11, 8]].sum() / radius_z()[[3, 8]].sum()
    assert inner[4] == pytest.approx(scaled, rel=1e-6)
    flat = np.zeros((6, 222))
    flat[1, R < 1.5] = -9.0  # a well that no crystal has ever seen
    u = walled(flat, pairs, inner, 11.0)[1]
    inside = R < 2.0
    assert (np.diff(u[inside]) < 0).all()
    assert u[inside].min() > 0.0
    assert u[0] == pytest.approx(1e5)
