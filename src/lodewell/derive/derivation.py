"""What a derivation has added up so far, so that an interrupted one goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.batch import Batch
from lodewell.derive.pair_sums import PairSums
from lodewell.descriptors.duplicates import Families

_SUMS = ("g_ph", "smooth_ph", "square_ph", "contact_ph", "weight_p", "structures_p")
_COUNTS = ("chunks", "met", "systems", "formulas", "left_out", "refused")


@dataclass
class Derivation:
    """The state of a derivation between two chunks.

    Attributes:
        sums: of pairs so far.
        families: near-duplicates met so far.
        batches: every crystal used, packed, in order.
        systems: element set of each.
        formulas: reduced formula of each.
        firsts: whether each is the first of its family.
        chunks: how many chunks are in.
        met: crystals met, used or not.
        left_out: how many were left out, by reason.
        refused: file, frame and reason of bad ones (the first thousand).
    """

    sums: PairSums
    families: Families = field(default_factory=Families)
    batches: list[Batch] = field(default_factory=list)
    systems: list[str] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)
    firsts: list[bool] = field(default_factory=list)
    chunks: int = 0
    met: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    refused: list[tuple[str, int, str]] = field(default_factory=list)

    def batch(self) -> Batch:
        """Return all crystals in one batch, which takes the place of the many."""
        if len(self.batches) != 1:
            self.batches = [Batch.joined(self.batches)]
        return self.batches[0]

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what a `lodewell.record.Checkpoint` keeps."""
        sums, batch = self.sums, self.batch()
        meta = {name: getattr(self, name) for name in _COUNTS} | {
            "bins": sums.bins, "rows": [list(k) for k in sums.rows], "families": self.families.names(),
        }  # fmt: skip
        arrays = {name: getattr(sums, name)[: len(sums.rows)] for name in _SUMS} | {
            "species_n": batch.species_n, "positions_nc": batch.positions_nc, "cell_bcc": batch.cell_bcc,
            "first_b": batch.first_b, "firsts": np.array(self.firsts, dtype=bool),
            "families": self.families.rows(), "family_sizes": self.families.sizes(),
        }  # fmt: skip
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Derivation:
        """Make the derivation again from what `state` returned."""
        sums = PairSums(meta["bins"], {(a, b, c): p for p, (a, b, c) in enumerate(meta["rows"])})
        for name in _SUMS:
            setattr(sums, name, arrays[name])
        cells = arrays["cell_bcc"]
        periodic = np.ones((len(cells), 3), dtype=np.bool_)
        batch = Batch(arrays["species_n"], arrays["positions_nc"], cells, periodic, arrays["first_b"])
        families = Families.restored(meta["families"], arrays["families"], arrays["family_sizes"])
        counts = {name: meta[name] for name in _COUNTS} | {"refused": [tuple(r) for r in meta["refused"]]}
        return cls(sums, families, [batch], firsts=arrays["firsts"].tolist(), **counts)
