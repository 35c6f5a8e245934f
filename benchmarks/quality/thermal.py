"""A prototype: displacements of the atoms of a crystal as heat would have them under a table of pairs."""

from __future__ import annotations

import numpy as np
from numba import njit

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions
from lodewell.potentials.statistical.statistical import Statistical

SOFT = 2  # thermal decoys a crystal
_SOFTEST = 0.03  # of the mean stiffness: softer modes, and unstable ones, count as this soft


@njit(cache=True)
def _hessian(x, shift, first, last, j_p, image_p, rows_nn, numbers, origin, spacing, cutoff):
    """Return the second derivatives of one crystal's pair energy by its positions; (3N, 3N)."""
    out = np.zeros((3 * len(x), 3 * len(x)))
    d = np.empty(3)
    for i in range(len(x)):
        for p in range(first[i], last[i]):
            j = j_p[p]
            for c in range(3):
                d[c] = x[j, c] + shift[image_p[p], c] - x[i, c]
            r = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
            if i == j or r >= cutoff:
                continue
            k = int((r - origin) / spacing)
            t = (r - origin) / spacing - k
            u = numbers[rows_nn[i, j], k]
            slope = (u[1] + t * (2.0 * u[2] + 3.0 * t * u[3])) / spacing / r
            bend = (2.0 * u[2] + 6.0 * t * u[3]) / spacing**2
            for a in range(3):
                for c in range(3):
                    v = (bend - slope) * d[a] * d[c] / r**2 + (slope if a == c else 0.0)
                    out[3 * i + a, 3 * i + c] += v
                    out[3 * j + a, 3 * j + c] += v
                    out[3 * i + a, 3 * j + c] -= v
                    out[3 * j + a, 3 * i + c] -= v
    return out


def thermal(table: Statistical, batch: Batch, seed: int) -> tuple[Floats, list[bool]]:
    """Return displacements as heat would have them under a table, 0.1 Å a coordinate; and which crystals are unstable.

    They are long in soft directions, unstable ones included, where random rattles are short; (SOFT, N, 3).
    """
    rng = np.random.default_rng(seed)
    n, curves = table.neighbours(batch), table.curves
    out, unstable = np.zeros((SOFT, len(batch.species_n), 3)), []
    shift = np.empty((most_images(n.reach_bc), 3))
    for b, s in enumerate(batch.slices):
        count = s.stop - s.start
        if count == 1:
            continue
        x = np.empty((count, 3))
        wrapped_positions(batch.positions_nc[s], batch.cell_bcc[b], n.wraps_nc[s], x)
        shift_vectors(batch.cell_bcc[b], n.reach_bc[b], shift)
        types = table._type_z[batch.species_n[s]]
        rows_nn = table._curve_vtt[0][np.ix_(types, types)]
        hessian = _hessian(
            x, shift, n.first_n[s], n.last_n[s], n.j_p, n.image_p, rows_nn, curves.coefficients_skx, curves.origin,
            curves.spacing, table.cutoff,
        )  # fmt: skip
        stiffness, modes = np.linalg.eigh(hessian)
        mean = max(np.trace(hessian) / (3 * count - 3), 1.0)
        unstable.append(bool((stiffness < -1e-3 * mean).any()))
        length = 1.0 / np.sqrt(np.maximum(stiffness, _SOFTEST * mean))
        length[np.abs(stiffness) < 1e-6 * mean] = 0.0  # moves of the whole
        moved = ((rng.normal(size=(SOFT, 3 * count)) * length) @ modes.T).reshape(SOFT, count, 3)
        out[:, s] = 0.1 * moved / np.sqrt((moved**2).mean(axis=(1, 2)))[:, None, None]
    return out, unstable
