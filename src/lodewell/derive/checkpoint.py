"""What a derivation has added up so far, in one file beside its target, so that an interrupted one goes on."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lodewell import __version__
from lodewell.crystals.batch import Batch
from lodewell.crystals.duplicates import Families
from lodewell.crystals.paths import find_files
from lodewell.derive.mined import Mined
from lodewell.files import atomic_path

_SUMS = ("g_ph", "smooth_ph", "square_ph", "contact_ph", "weight_p", "structures_p")


@dataclass
class Progress:
    """The state of a derivation between two chunks.

    Attributes:
        key: fingerprint of inputs and options; another key starts afresh.
        mined: sums so far.
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

    key: str
    mined: Mined
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


def fingerprint(paths: list[str], options: dict[str, Any]) -> str:
    """Return a key of what goes into a derivation: options, and name, size and time of every file behind the paths.

    Raises `BadFile` as `find_files` does.
    """
    mark = hashlib.sha256(json.dumps([__version__, options], sort_keys=True, default=str).encode())
    for found in find_files(paths) if paths else ():
        with suppress(OSError):  # unreadable files are refused one by one
            status = os.stat(found.path)
            mark.update(repr((found.path, found.format, status.st_size, status.st_mtime_ns)).encode())
    return mark.hexdigest()


def save(progress: Progress, path: Path) -> None:
    """Write the state, atomically."""
    m, all_of = progress.mined, progress.batch()
    meta = {
        "key": progress.key, "bins": m.bins, "chunks": progress.chunks, "met": progress.met,
        "rows": [list(k) for k in m.rows], "systems": progress.systems, "formulas": progress.formulas,
        "left_out": progress.left_out, "refused": progress.refused, "families": progress.families.names(),
    }  # fmt: skip
    with atomic_path(path) as temporary, Path(temporary).open("wb") as file:
        np.savez(
            file, meta=np.array(json.dumps(meta)), firsts=np.array(progress.firsts, dtype=bool),
            species_n=all_of.species_n, positions_nc=all_of.positions_nc, cell_bcc=all_of.cell_bcc,
            first_b=all_of.first_b, families=progress.families.rows(), family_sizes=progress.families.sizes(),
            **{name: getattr(m, name)[: len(m.rows)] for name in _SUMS},
        )  # fmt: skip


def load(path: Path, key: str) -> Progress | None:
    """Return the state of an interrupted derivation of the same inputs and options, if there is one that is whole."""
    try:
        with path.open("rb") as file, np.load(file) as z:
            meta = json.loads(str(z["meta"]))
            if meta["key"] != key:
                return None
            mined = Mined(meta["bins"], {(a, b, c): p for p, (a, b, c) in enumerate(meta["rows"])})
            for name in _SUMS:
                setattr(mined, name, z[name])
            count = len(z["cell_bcc"])
            batch = Batch(
                z["species_n"], z["positions_nc"], z["cell_bcc"], np.ones((count, 3), dtype=np.bool_), z["first_b"]
            )
            families = Families.restored(meta["families"], z["families"], z["family_sizes"])
            return Progress(
                key, mined, families, [batch], meta["systems"], meta["formulas"], z["firsts"].tolist(),
                meta["chunks"], meta["met"], meta["left_out"], [tuple(r) for r in meta["refused"]],
            )  # fmt: skip
    except Exception:  # a damaged one may fail anywhere; the derivation starts afresh
        return None
