"""Folding the rows of all frames of a GAP fit, with a state on the disk from which an interrupted fit goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodewell.crystals.labels.read import LabelledChunk
from lodewell.errors import BadFile, LodewellError
from lodewell.fit.data import LabelledSource
from lodewell.fit.gap.rows import GAPRows
from lodewell.fit.linear.least_squares import Streamed
from lodewell.fit.run import Report
from lodewell.interrupts import Interrupts
from lodewell.workers.open import open_workers

logger = logging.getLogger(__name__)

CHUNK = 20  # frames folded at a time
EVERY = 60.0  # seconds between two states kept on disk


@dataclass
class _State:
    """What is folded so far: rows, frames and chunks; `partial` is where it is kept, None for nowhere."""

    streamed: Streamed
    partial: Path | None
    identity: Mapping[str, str]
    frames: int = 0
    chunks: int = 0

    @classmethod
    def begin(cls, columns: int, partial: Path | None, identity: Mapping[str, str]) -> _State:
        """Take up what an interrupted fit of the same points, options and data left, or begin."""
        fresh = cls(Streamed(columns, exact=False), partial, identity)
        if partial is None or not partial.exists():
            return fresh
        try:
            streamed, meta = Streamed.load(partial)
        except BadFile as error:
            logger.info("beginning again: %s", error)
            return fresh
        if any(meta.get(name) != value for name, value in identity.items()):
            return fresh
        return cls(streamed, partial, identity, int(meta["frames"]), int(meta["chunks"]))

    def keep(self) -> None:
        """Write the state."""
        if self.partial is not None:
            about: dict[str, Any] = dict(self.identity)
            self.streamed.save(self.partial, frames=self.frames, chunks=self.chunks, **about)


def stream(
    maker: GAPRows, train: LabelledSource, partial: Path | None, identity: Mapping[str, str],
    workers: int | None, cluster: str | None, report: Report,
) -> Streamed:  # fmt: skip
    """Fold the rows of all frames.

    partial: file of the state, written once a minute and at Ctrl-C, removed at the end. identity: what a state must
    agree in to be taken up.
    """
    state = _State.begin(maker.design.columns, partial, identity)
    total, saved = len(train), time.monotonic()
    with Interrupts() as interrupts, open_workers(workers, cluster) as pool:
        try:
            for outcome in pool.map(maker.fold_chunk, _chunks(train, state.chunks)):
                if outcome.value is None:
                    raise LodewellError(f"{outcome.task.chunk.files[0]}: {outcome.error}")
                part, frames = outcome.value
                state.streamed.merge(part)
                state.frames, state.chunks = state.frames + frames, state.chunks + 1
                report("rows", state.frames, total)
                interrupts.check()
                if time.monotonic() - saved > EVERY:
                    state.keep()
                    saved = time.monotonic()
        except KeyboardInterrupt:
            state.keep()
            raise
    if partial is not None:
        partial.unlink(missing_ok=True)
    return state.streamed


def _chunks(train: LabelledSource, done: int) -> Iterator[LabelledChunk]:
    for k, chunk in enumerate(train.chunks(CHUNK)):
        if k >= done:
            yield chunk
