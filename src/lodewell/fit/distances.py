"""Which distances the training data hold: what cutoffs and knots are laid by, and what figures shade."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.read import Labelled
from lodewell.crystals.neighbours.neighbours import neighbour_list

REACH = 8.0  # Å, as far as is looked
WIDTH = 0.02  # Å, of a bin


@dataclass
class Distances:
    """Counts of pair distances by the two atomic numbers (smaller first), and numbers of atoms.

    `count_k[pair]` (K,) counts pairs in bins of `WIDTH`; `shortest[pair]` in Å.
    """

    count_k: dict[tuple[int, int], Floats] = field(default_factory=dict)
    shortest: dict[tuple[int, int], float] = field(default_factory=dict)
    atoms: int = 0

    @classmethod
    def of(cls, frames: Iterable[Labelled], reach: float = REACH) -> Distances:
        """Count the distances of all frames."""
        found = cls()
        bins = round(reach / WIDTH)
        for frame in frames:
            i_p, j_p, _, vector_pc = neighbour_list(frame.atoms, reach, half=True)
            found.atoms += len(frame.atoms)
            numbers = frame.atoms.numbers
            low = np.minimum(numbers[i_p], numbers[j_p])
            high = np.maximum(numbers[i_p], numbers[j_p])
            r_p = np.sqrt(np.einsum("pc,pc->p", vector_pc, vector_pc))
            key = 200 * low + high
            for k in np.unique(key):
                mine = r_p[key == k]
                pair = int(k) // 200, int(k) % 200
                counts = np.histogram(mine, bins, (0.0, reach))[0].astype(float)
                found.count_k[pair] = found.count_k.get(pair, 0.0) + counts
                found.shortest[pair] = min(found.shortest.get(pair, np.inf), float(mine.min()))
        return found

    @property
    def species(self) -> list[int]:
        """Atomic numbers that have neighbours."""
        return sorted({z for pair in self.count_k for z in pair})

    def radius_of(self, neighbours: float) -> float:
        """Return the distance (Å) within which an atom has so many neighbours on average, to 0.05 Å."""
        total = sum(self.count_k.values(), np.zeros(round(REACH / WIDTH)))
        mean = 2.0 * np.cumsum(total) / max(1, self.atoms)
        k = int(np.searchsorted(mean, neighbours))
        return round(20 * min((k + 1) * WIDTH, REACH)) / 20
