"""Groups keep order, limit and number."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lodewell.batching import greedy


@given(st.lists(st.integers(0, 12)), st.integers(1, 20), st.integers(1, 5))
def test_groups_are_as_long_as_they_may_be(items, limit, most):
    groups = list(greedy(items, float, limit, most))
    assert [item for group in groups for item in group] == items
    for group in groups:
        assert 1 <= len(group) <= most
        assert len(group) == 1 or sum(group) <= limit
    for group, after in itertools.pairwise(groups):
        assert len(group) == most or sum(group) + after[0] > limit


def test_an_endless_stream_flows():
    def endless():
        while True:
            yield 1

    assert next(greedy(endless(), float, 3.0)) == [1, 1, 1]
