"""The compiled average over a space group."""

import numpy as np

from lodewell.compiled import kernel


@kernel
def symmetrise(gradient, row_b, first_b, rotation_kcc, maps, map_b):
    """Average forces and cell gradient of each crystal over its operations, in place.

    Operation k brings atom i to atom m(i) and turns vectors by R: g'_i = mean Rᵀ g_m(i), G' = mean Rᵀ G R.
    """
    for b in range(len(row_b) - 1):
        r = row_b[b]
        n = row_b[b + 1] - r - 3
        count = first_b[b + 1] - first_b[b]
        if count < 2:
            continue
        out, cell = np.zeros((n, 3)), np.zeros((3, 3))
        for k in range(count):
            R = rotation_kcc[first_b[b] + k]
            for i in range(n):
                m = r + maps[map_b[b] + k * n + i]
                for c in range(3):
                    out[i, c] += R[0, c] * gradient[m, 0] + R[1, c] * gradient[m, 1] + R[2, c] * gradient[m, 2]
            cell += R.T @ np.ascontiguousarray(gradient[r + n : r + n + 3]) @ R
        gradient[r : r + n] = out / count
        gradient[r + n : r + n + 3] = cell / count
