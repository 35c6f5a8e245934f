"""One road for every run of `relax`: chunks of crystals go to the workers, and what comes back to whoever keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from ase import Atoms

from lodewell.crystals.given import in_memory
from lodewell.crystals.read import Chunk, Record, chunks
from lodewell.potentials.base import Potential
from lodewell.record import Run
from lodewell.relax.chunk import refused, relax_chunk
from lodewell.relax.options import RelaxOptions
from lodewell.relax.result import Relaxation

Task: TypeAlias = Chunk | list[Record]

CRYSTALS_A_CHUNK = 200
_FEW = 20  # chunks below which all of them together may hold so few crystals that workers would start for nothing


class Store(Protocol):
    """Who keeps the results of finished chunks."""

    @property
    def work(self) -> Callable[[Task], Any]:
        """What the workers do with a chunk; importable."""

    def key(self, task: Task) -> str:
        """Return what a chunk is known by."""

    def has(self, key: str) -> bool:
        """Tell whether its results are there already."""

    def put(self, key: str, found: Any) -> None:
        """Keep what `work` has returned."""

    def put_lost(self, key: str, task: Task, why: str) -> None:
        """Keep that the worker of a chunk failed: a result a crystal, with the reason."""


class Memory:
    """Keeps results in this process: a ledger that is never asked by another run."""

    def __init__(self, potential: Potential, options: RelaxOptions) -> None:
        self.work = partial(relax_task, potential=potential, options=options)
        self.results: dict[str, list[Relaxation]] = {}
        self._numbers = count()

    def key(self, task: Task) -> str:
        """Return the number of the chunk."""
        return str(next(self._numbers))

    def has(self, key: str) -> bool:
        """Nothing is there already."""
        return False

    def put(self, key: str, found: list[Relaxation]) -> None:
        """Keep the results of a chunk."""
        self.results[key] = found

    def put_lost(self, key: str, task: Task, why: str) -> None:
        """Keep the reason."""
        self.results[key] = lost(task, why)


def finished(tasks: Iterator[Task], store: Store, run: Run) -> Iterator[tuple[str, bool]]:
    """Yield the key of each chunk in order, once its results are kept, and whether they had been before."""
    order: list[tuple[str, bool]] = []

    def unfinished() -> Iterator[tuple[str, Task]]:
        for task in tasks:
            key = store.key(task)
            old = store.has(key)
            order.append((key, old))
            if not old:
                yield key, task

    waiting = unfinished()
    first = list(islice(waiting, _FEW))
    if len(first) < _FEW and sum(_size(task) for _, task in first) <= CRYSTALS_A_CHUNK:
        run.alone()
    reported = 0
    for outcome in run.workers.map(partial(_worked, work=store.work), chain(first, waiting)):
        key, task = outcome.task
        if outcome.error is None:
            store.put(key, outcome.value)
        else:
            store.put_lost(key, task, outcome.error)
        while reported < len(order) and (order[reported][1] or order[reported][0] == key):
            done = order[reported]
            reported += 1
            yield done
            if done[0] == key:
                break
    yield from order[reported:]


def _worked(task: tuple[str, Task], work: Callable[[Task], Any]) -> Any:
    return work(task[1])


def tasks(given: list[Atoms | str | Path], options: RelaxOptions, size: int = CRYSTALS_A_CHUNK) -> Iterator[Task]:
    """Cut what was given into chunks of so many crystals."""
    records = in_memory(given)
    if records is None:
        yield from chunks(given, size, strict=options.strict_formula) if given else ()
        return
    while some := list(islice(records, size)):
        yield some


def relax_task(task: Task, potential: Potential, options: RelaxOptions) -> list[Relaxation]:
    """Read what must be read, and relax it (runs in the workers)."""
    return relax_chunk(task.read() if isinstance(task, Chunk) else task, potential, options)


def lost(task: Task, why: str) -> list[Relaxation]:
    """Return the results of a chunk whose worker failed: every crystal is reported with the reason."""
    if isinstance(task, Chunk):  # not read again: that may be what ended the worker
        return [refused(Record(file, frame, None, why), "bad input", why) for file, frame in task.entries()]
    return [refused(record, "bad input", why) for record in task]


def _size(task: Task) -> int:
    return len(task.entries()) if isinstance(task, Chunk) else len(task)
