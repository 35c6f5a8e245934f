"""Exact enumeration of the periodic images within a sphere, shared by neighbour lists and histograms.

A cell is rotated to lower-triangular form L (rows are lattice vectors). The offset of an image is then
(f + n) L, whose last component depends on n3 alone, the middle one on n2 and n3: walking n3, n2, n1 with the
remaining radius visits only images inside the sphere, whatever the skew (Fincke & Pohst, Math. Comp. 44, 463 (1985)).
"""

import math

import numpy as np

from lodewell.compiled import inner, kernel


@kernel
def lower_triangle(cell, axes):
    """Return L of the cell whose rows are taken in the order `axes`; L[k, k] > 0 for a cell of any handedness."""
    L = np.zeros((3, 3))
    for row in range(3):
        for col in range(row):
            dot = 0.0
            for c in range(3):
                dot += cell[axes[row], c] * cell[axes[col], c]
            for k in range(col):
                dot -= L[row, k] * L[col, k]
            L[row, col] = dot / L[col, col]
        square = 0.0
        for c in range(3):
            square += cell[axes[row], c] ** 2
        for k in range(row):
            square -= L[row, k] ** 2
        L[row, row] = math.sqrt(max(square, 1e-300))
    return L


@inner
def short_axis_first(cell):
    """Order the lattice vectors by length: the innermost loop runs along the shortest."""
    length = np.empty(3)
    for k in range(3):
        length[k] = cell[k, 0] ** 2 + cell[k, 1] ** 2 + cell[k, 2] ** 2
    return np.argsort(length)


@kernel
def determinant(cell):
    """Return the determinant of a 3x3 matrix: the volume of a cell, negative if left-handed."""
    return (
        cell[0, 0] * (cell[1, 1] * cell[2, 2] - cell[1, 2] * cell[2, 1])
        + cell[0, 1] * (cell[1, 2] * cell[2, 0] - cell[1, 0] * cell[2, 2])
        + cell[0, 2] * (cell[1, 0] * cell[2, 1] - cell[1, 1] * cell[2, 0])
    )


@kernel
def invert(cell):
    """Return the inverse of a 3x3 matrix."""
    out = np.empty((3, 3))
    for k in range(3):
        a, b = (k + 1) % 3, (k + 2) % 3
        out[0, k] = cell[a, 1] * cell[b, 2] - cell[a, 2] * cell[b, 1]
        out[1, k] = cell[a, 2] * cell[b, 0] - cell[a, 0] * cell[b, 2]
        out[2, k] = cell[a, 0] * cell[b, 1] - cell[a, 1] * cell[b, 0]
    volume = determinant(cell)
    for k in range(3):
        for c in range(3):
            out[k, c] /= volume
    return out


@inner
def product(A, B):
    """Return A B of two 3x3 matrices, written out: `@` calls the BLAS and takes longer to compile."""
    out = np.empty((3, 3))
    for a in range(3):
        for c in range(3):
            out[a, c] = A[a, 0] * B[0, c] + A[a, 1] * B[1, c] + A[a, 2] * B[2, c]
    return out


@kernel
def image_reach(cell, pbc, cutoff):
    """Return how many images along each vector a sphere can reach from wrapped coordinates (1 for wrapping)."""
    reach = np.empty(3, np.int64)
    write_reach(invert(cell), pbc, cutoff, reach)
    return reach


@inner
def write_reach(inverse, pbc, cutoff, reach):
    """Write what `image_reach` returns, of a cell that is inverted already."""
    for k in range(3):
        reach[k] = 0
        if pbc[k]:
            height = 1.0 / math.sqrt(inverse[0, k] ** 2 + inverse[1, k] ** 2 + inverse[2, k] ** 2)
            reach[k] = math.ceil(cutoff / height) + 1


@inner(inline="always")
def image_range(centre, half_width, periodic):
    """Return first and last n with |centre + n| <= half_width; n = 0 alone where not periodic."""
    if periodic:
        return math.ceil(-half_width - centre), math.floor(half_width - centre)
    if abs(centre) <= half_width:
        return 0, 0
    return 1, 0
