"""Arrays that grow."""

import numpy as np
from numba import njit


@njit(cache=True)
def grown(array, used, wanted):
    """Return a larger array that begins with the `used` first entries."""
    out = np.empty(max(int(1.5 * len(array)), wanted), array.dtype)
    for n in range(used):
        out[n] = array[n]
    return out
