"""What it means for two crystals to be the same to the last digit."""

import numpy as np
from ase import Atoms


def assert_same(a: Atoms, b: Atoms, tolerance: float = 0.0, info: bool = True) -> None:
    assert a.numbers.tolist() == b.numbers.tolist()
    assert a.pbc.tolist() == b.pbc.tolist()
    np.testing.assert_allclose(a.positions, b.positions, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.cell.array, b.cell.array, rtol=0, atol=tolerance)
    assert a.arrays.keys() == b.arrays.keys()
    for key, array in a.arrays.items():
        other = b.arrays[key]
        assert array.dtype == other.dtype, key
        if array.dtype.kind == "f":
            np.testing.assert_allclose(array, other, rtol=0, atol=tolerance)
        else:
            assert (array == other).all()
    assert len(a.constraints) == len(b.constraints)
    for mine, other in zip(a.constraints, b.constraints, strict=True):
        assert repr(mine) == repr(other)
    results = [getattr(x.calc, "results", None) or {} for x in (a, b)]
    assert results[0].keys() == results[1].keys()
    for key, value in results[0].items():
        np.testing.assert_allclose(value, results[1][key], rtol=0, atol=tolerance)
    if info:
        assert a.info.keys() == b.info.keys()
        for key, value in a.info.items():
            np.testing.assert_equal(value, b.info[key], err_msg=key)


def assert_same_crystal(a: Atoms, b: Atoms, tolerance: float = 1e-6) -> None:
    """The same up to rotation of the cell and whole lattice vectors, atoms in the same order."""
    assert a.numbers.tolist() == b.numbers.tolist()
    np.testing.assert_allclose(a.cell.cellpar(), b.cell.cellpar(), atol=tolerance)
    steps = a.get_scaled_positions(wrap=False) - b.get_scaled_positions(wrap=False)
    steps -= np.round(steps)
    np.testing.assert_allclose(steps @ a.cell.array, 0, atol=tolerance)
