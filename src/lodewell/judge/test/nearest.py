"""How near the nearest atom is."""

from __future__ import annotations

import numpy as np

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.neighbours.blocks import gather, wrapped
from lodewell.crystals.neighbours.neighbours import Neighbours

REACH = 5.0  # Å; atoms without a neighbour within this are alone


def nearest_n(batch: Batch, reach: float = REACH) -> Floats:
    """Return the distance of each atom's nearest neighbour, images included; infinite beyond `reach`; (N,), Å."""
    n = Neighbours.build(batch, reach, half=True)
    x_nc = wrapped(batch.positions_nc, batch.cell_bcc, batch.first_b, n.wraps_nc)
    r_p, i_p, j_p, _ = gather(
        0, len(batch.species_n), x_nc, batch.cell_bcc, batch.crystal_n, batch.first_b, reach,
        n.first_n, n.last_n, n.j_p, n.image_p, n.reach_bc,
    )  # fmt: skip
    out = np.full(len(batch.species_n), np.inf)
    np.minimum.at(out, i_p, r_p)
    np.minimum.at(out, j_p, r_p)
    return out
