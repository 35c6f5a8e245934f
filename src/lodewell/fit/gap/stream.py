"""Folding the rows of all frames of a GAP fit, with a state on the disk from which an interrupted fit goes on."""

from __future__ import annotations

from itertools import islice

from lodewell.errors import LodewellError
from lodewell.fit.data import LabelledData
from lodewell.fit.gap.rows import GAPRows
from lodewell.fit.linear.least_squares import LinearSystem
from lodewell.interrupts import Interrupts
from lodewell.record import Checkpoint, Run

CHUNK = 20  # frames folded at a time


def stream(maker: GAPRows, train: LabelledData, checkpoint: Checkpoint, run: Run) -> tuple[LinearSystem, int]:
    """Fold the rows of all frames; also return how many frames an interrupted fit had folded.

    The checkpoint is kept once a minute and at Ctrl-C, and removed at the end.
    """
    old = None if run.restart else checkpoint.load()
    streamed = LinearSystem(maker.design.columns) if old is None else LinearSystem.from_state(old[0]["rows"], old[1])
    frames, chunks = (0, 0) if old is None else (int(old[0]["frames"]), int(old[0]["chunks"]))
    resumed, total = frames, len(train)

    def keep() -> None:
        rows, arrays = streamed.state()
        checkpoint.keep({"rows": rows, "frames": frames, "chunks": chunks}, arrays)

    with Interrupts() as interrupts:
        try:
            for outcome in run.workers.map(maker.fold_chunk, islice(train.chunks(CHUNK), chunks, None)):
                if outcome.value is None:
                    raise LodewellError(f"{outcome.task.chunk.files[0]}: {outcome.error}")
                part, folded = outcome.value
                streamed.merge(part)
                frames, chunks = frames + folded, chunks + 1
                run.progress("rows", frames, total)
                interrupts.check()
                if checkpoint.due:
                    keep()
        except KeyboardInterrupt:
            keep()
            raise
    checkpoint.done()
    return streamed, resumed
