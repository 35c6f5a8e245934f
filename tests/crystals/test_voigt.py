"""One order of the six components, that of ASE."""

import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from lodewell.crystals.voigt import FLAT, matrix, six


def test_the_order_is_that_of_ase():
    tensors = np.random.default_rng(0).normal(size=(5, 3, 3))
    tensors = tensors + tensors.transpose(0, 2, 1)
    for tensor, ours in zip(tensors, six(tensors), strict=True):
        np.testing.assert_array_equal(ours, full_3x3_to_voigt_6_stress(tensor))
        np.testing.assert_array_equal(ours, tensor.ravel()[FLAT])
        np.testing.assert_array_equal(matrix(ours), voigt_6_to_full_3x3_stress(ours))
    np.testing.assert_array_equal(matrix(six(tensors)), tensors)
