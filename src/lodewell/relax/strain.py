"""Positions and cell as one set of variables: x = F y, with y in the frame of the starting cell.

F is the deformation gradient; the variables are y and `length · (U - 1)`, where F is U itself, or U brought to
determinant one when the volume is kept. With W the virial (-dE/dstrain), dE/dy = -Fᵀ f and dE/dU = -W' U⁻ᵀ, where W' is
W restricted to what may change: the span of the periodic directions, its trace alone, or all but its trace.
Tadmor et al., Phys. Rev. B 59, 235 (1999) have the same variables. No matrix logarithm is needed.
"""

import numpy as np

from lodewell.compiled import inner, kernel
from lodewell.crystals.neighbours.images import determinant, invert, product

FREE, FIXED, SHAPE, VOLUME = 0, 1, 2, 3


@kernel
def place(
    trial, row_b, first_b, length_b, span_bcc, mode, cell_bcc, unscaled_bcc, deformation_bcc, inverse_bcc,
    positions_nc, cells_bcc,
):  # fmt: skip
    """Write positions, cells and deformations of the trial variables; return nothing."""
    U, F = np.empty((3, 3)), np.empty((3, 3))
    for b in range(len(cell_bcc)):
        n, s = first_b[b + 1] - first_b[b], first_b[b]
        r = row_b[b]
        for a in range(3):
            for c in range(3):
                U[a, c] = trial[r + n + a, c] / length_b[b] + (1.0 if a == c else 0.0)
                F[a, c] = U[a, c]
        if mode == VOLUME:
            dimensions = round(span_bcc[b, 0, 0] + span_bcc[b, 1, 1] + span_bcc[b, 2, 2])
            if dimensions > 0:
                factor = abs(determinant(U)) ** (-1.0 / dimensions)
                for a in range(3):
                    for c in range(3):
                        outside = (1.0 if a == c else 0.0) - span_bcc[b, a, c]
                        F[a, c] = factor * (U[a, c] - outside) + outside
        back = invert(F)
        for a in range(3):  # element by element: to assign whole arrays takes seconds to compile
            for c in range(3):
                unscaled_bcc[b, a, c], deformation_bcc[b, a, c], inverse_bcc[b, a, c] = U[a, c], F[a, c], back[a, c]
        for k in range(n):
            for a in range(3):
                positions_nc[s + k, a] = (
                    F[a, 0] * trial[r + k, 0] + F[a, 1] * trial[r + k, 1] + F[a, 2] * trial[r + k, 2]
                )
        for k in range(3):
            for a in range(3):
                cells_bcc[b, k, a] = (
                    F[a, 0] * cell_bcc[b, k, 0] + F[a, 1] * cell_bcc[b, k, 1] + F[a, 2] * cell_bcc[b, k, 2]
                )


@kernel
def pull_back(
    energies_n, forces_nc, virials_bcc, row_b, first_b, length_b, span_bcc, mode, pressure, cells_bcc,
    unscaled_bcc, deformation_bcc, projector_ncc, energy_b, gradient,
):  # fmt: skip
    """Write enthalpies and their gradients in the variables; `projector_ncc` is empty when all atoms are free."""
    W, pulled = np.empty((3, 3)), np.empty(3)
    for b in range(len(row_b) - 1):
        s, n, r = first_b[b], first_b[b + 1] - first_b[b], row_b[b]
        F = deformation_bcc[b]
        total = 0.0
        for k in range(n):
            total += energies_n[s + k]
            for a in range(3):
                pulled[a] = -(
                    F[0, a] * forces_nc[s + k, 0] + F[1, a] * forces_nc[s + k, 1] + F[2, a] * forces_nc[s + k, 2]
                )
            if len(projector_ncc):
                P = projector_ncc[s + k]
                for a in range(3):
                    gradient[r + k, a] = P[a, 0] * pulled[0] + P[a, 1] * pulled[1] + P[a, 2] * pulled[2]
            else:
                for a in range(3):
                    gradient[r + k, a] = pulled[a]
        for a in range(3):
            for c in range(3):
                W[a, c] = 0.5 * (virials_bcc[b, a, c] + virials_bcc[b, c, a])
        if pressure != 0.0:
            volume = abs(determinant(cells_bcc[b]))
            total += pressure * volume
            for a in range(3):
                W[a, a] -= pressure * volume
        energy_b[b] = total
        _restrict(W, span_bcc[b], mode)
        back = invert(unscaled_bcc[b])
        for a in range(3):
            for c in range(3):
                gradient[r + n + a, c] = (
                    -(W[a, 0] * back[c, 0] + W[a, 1] * back[c, 1] + W[a, 2] * back[c, 2]) / length_b[b]
                )


@inner
def _restrict(W, span, mode):
    """Keep of a virial what the cell may answer to, in place; `span` projects onto the periodic directions."""
    if mode == FIXED:
        for a in range(3):
            for c in range(3):
                W[a, c] = 0.0
        return
    inside = product(product(span, W), span)
    dimensions = span[0, 0] + span[1, 1] + span[2, 2]
    trace = inside[0, 0] + inside[1, 1] + inside[2, 2]
    share = trace / dimensions if dimensions > 0.5 else 0.0
    for a in range(3):
        for c in range(3):
            if mode == SHAPE:
                W[a, c] = share * span[a, c]
            elif mode == VOLUME:
                W[a, c] = inside[a, c] - share * span[a, c]
            else:
                W[a, c] = inside[a, c]
