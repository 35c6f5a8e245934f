"""What a database says, added up: mean pair correlations, their scatter, counts and nearest contacts.

Everything is a sum over crystals, so chunks from many workers add up, and a database of any size streams through.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lodewell.compiled import kernel
from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.chemistry import anion_class_b, element_set, reduced_formula
from lodewell.descriptors.duplicates import fingerprints
from lodewell.descriptors.histograms import pair_histograms
from lodewell.potentials.statistical.statistical import BIN

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class PairCounts:
    """One chunk of crystals as a worker hands it back: compact, and ready to be added up.

    Rows (``_s``) are crystals times pairs of their elements; `g_sh` is raw and `smooth_sh` the smoothed correlation.
    """

    batch: Batch
    formula_b: list[str]
    system_b: list[str]
    class_b: Ints
    crystal_s: Ints
    pair_sz: Ints
    g_sh: Singles
    smooth_sh: Singles
    contact_sh: NDArray[np.uint16]
    fingerprint_sf: Singles


def count_pairs(batch: Batch, cutoff: float, smoothing: float) -> PairCounts:
    """Turn crystals into histograms; `smoothing` is the width σ in Å of a normalised Gaussian."""
    bins = round(cutoff / BIN)
    found = pair_histograms(batch, cutoff, bins)
    g_sh = found.g_sh(cutoff).astype(np.float32)
    numbers = [batch.species_n[s] for s in batch.slices]
    volume_b = batch.volume_b / batch.count_b
    rows = found.crystal_s
    return PairCounts(
        batch=batch,
        formula_b=[reduced_formula(z) for z in numbers],
        system_b=[element_set(z) for z in numbers],
        class_b=anion_class_b(batch),
        crystal_s=rows,
        pair_sz=found.pair_sz,
        g_sh=g_sh,
        smooth_sh=gaussian_filter1d(g_sh, smoothing / BIN, axis=1, mode="nearest", truncate=4.0),
        contact_sh=np.minimum(found.contact_sh, np.iinfo(np.uint16).max).astype(np.uint16),
        fingerprint_sf=fingerprints(found.count_sh, volume_b[rows], batch.count_b[rows], cutoff).astype(np.float32),
    )


@dataclass
class PairSums:
    """Sums over crystals for every pair of elements met, each in all crystals and in those of one anion class.

    | field | shape | sum over crystals of |
    |---|---|---|
    | `g_ph`, `smooth_ph`, `square_ph` | (P, H) | weight times g, smoothed g, smoothed g squared |
    | `weight_p` | (P,) | weight: independent crystals |
    | `structures_p` | (P,) | one: all crystals |
    | `contact_ph` | (P, H) | nearest contacts |

    `rows` maps (z1, z2, class) to p, class -1 being all crystals.
    """

    bins: int
    rows: dict[tuple[int, int, int], int] = field(default_factory=dict)
    g_ph: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    smooth_ph: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    square_ph: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    contact_ph: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    weight_p: Floats = field(default_factory=lambda: np.zeros(0))
    structures_p: Floats = field(default_factory=lambda: np.zeros(0))

    def add(self, counts: PairCounts, weight_b: Floats, *, classes: bool) -> None:
        """Add a chunk; a crystal of weight 0 is a near-duplicate of one already counted."""
        weight_s = weight_b[counts.crystal_s]
        self._add(counts, weight_s, np.full(len(weight_s), -1))
        if classes:
            self._add(counts, weight_s, counts.class_b[counts.crystal_s])

    def _add(self, counts: PairCounts, weight_s: Floats, class_s: Ints) -> None:
        keys = zip(counts.pair_sz[:, 0].tolist(), counts.pair_sz[:, 1].tolist(), class_s.tolist(), strict=True)
        place_s = np.array([self.rows.setdefault(key, len(self.rows)) for key in keys], dtype=np.int64)
        self._grow(len(self.rows))
        _add_rows(
            place_s, weight_s, counts.g_sh, counts.smooth_sh, counts.contact_sh, self.g_ph, self.smooth_ph,
            self.square_ph, self.contact_ph, self.weight_p, self.structures_p,
        )  # fmt: skip

    def _grow(self, count: int) -> None:
        room = len(self.weight_p)
        if count <= room:
            return
        size = max(count, 2 * room, 256)
        for name in ("g_ph", "smooth_ph", "square_ph", "contact_ph"):
            larger = np.zeros((size, self.bins))
            larger[:room] = getattr(self, name)[:room] if room else 0.0
            setattr(self, name, larger)
        for name in ("weight_p", "structures_p"):
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(size - room)]))


@kernel
def _add_rows(
    place_s: Ints, weight_s: Floats, g_sh: Singles, smooth_sh: Singles, contact_sh: NDArray[np.uint16], g_ph: Floats,
    smooth_ph: Floats, square_ph: Floats, contact_ph: Floats, weight_p: Floats, structures_p: Floats,
) -> None:  # fmt: skip
    """Add every row to the sums of its pair, in double precision and without temporary copies."""
    for s in range(len(place_s)):
        p, weight = place_s[s], weight_s[s]
        structures_p[p] += 1.0
        if weight > 0.0:
            weight_p[p] += weight
            for h in range(g_sh.shape[1]):
                smooth = np.float64(smooth_sh[s, h])
                g_ph[p, h] += weight * g_sh[s, h]
                smooth_ph[p, h] += weight * smooth
                square_ph[p, h] += weight * smooth * smooth
                contact_ph[p, h] += contact_sh[s, h]
