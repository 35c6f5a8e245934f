"""Arrays that grow."""

import numpy as np

from lodewell.compiled import inner


@inner
def grown(array, used, wanted):
    """Return a larger array that begins with the `used` first entries."""
    out = np.empty(max(int(1.5 * len(array)), wanted), array.dtype)
    for n in range(used):
        out[n] = array[n]
    return out
