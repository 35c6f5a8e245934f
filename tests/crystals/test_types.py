"""Elements numbered in the order they are given in."""

import numpy as np
import pytest
from ase.data import chemical_symbols

from lodewell.crystals.types import type_table


@pytest.mark.parametrize("elements", [[], [8], (14, 8, 118), np.array([3, 26, 15, 8])])
def test_an_element_stands_where_it_was_named(elements):
    type_z = type_table(elements)
    assert len(type_z) == len(chemical_symbols)
    named = np.asarray(elements, dtype=int)
    np.testing.assert_array_equal(type_z[named], np.arange(len(named)))
    others = np.setdiff1d(np.arange(len(type_z)), named)
    assert (type_z[others] == -1).all()
