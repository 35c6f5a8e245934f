"""Workers of a Dask scheduler."""

from __future__ import annotations

import pickle
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from lodewell.errors import LodewellError
from lodewell.workers.apart import answer_apart, end_apart
from lodewell.workers.base import (
    RETRIES,
    WORKER_DIED,
    Limits,
    Outcome,
    Reply,
    Workers,
    answer,
    given_up,
    logger,
    one_line,
)
from lodewell.workers.child import limited

T = TypeVar("T")
R = TypeVar("R")

SECONDS_BETWEEN_COUNTS = 10.0


class DaskWorkers(Workers):
    """Workers of a Dask scheduler, with the same meaning of order, laziness and failure as the local ones."""

    def __init__(self, client: Any, n: int, owned: Any = None) -> None:
        self._client = client
        self._owned = owned  # a cluster that lives and dies with these workers
        self._wanted = n
        self._counted_at = -SECONDS_BETWEEN_COUNTS
        self._count()

    def _count(self) -> None:
        """Look how many workers there are now: those of a queue come one by one."""
        if time.monotonic() - self._counted_at >= SECONDS_BETWEEN_COUNTS:
            self.n = max(self._wanted, sum(self._client.nthreads().values()))
            self._counted_at = time.monotonic()

    def map(
        self, function: Callable[[T], R], tasks: Iterable[T], *, timeout: float | None = None, retries: int = RETRIES
    ) -> Iterator[Outcome[T, R]]:
        """Yield outcomes in task order with at most 2 n + 2 tasks in flight.

        Nobody knows which of the tasks that waited at a worker of Dask killed it: each counts as if it had, and is
        tried again alone. With a time-out, tasks run in processes beside the workers, and the guilty one is known.
        """
        job = _Job(self._client, function, Limits(timeout, retries))
        in_flight: deque[tuple[int, T, Any]] = deque()
        source = enumerate(tasks)
        try:
            while True:
                self._count()
                while len(in_flight) < 2 * self.n + 2 and (item := next(source, None)) is not None:
                    index, task = item
                    in_flight.append((index, task, job.send(task)))
                if not in_flight:
                    return
                index, task, future = in_flight[0]
                reply = job.receive(future)
                for _ in range(retries):
                    if reply is not None:
                        break
                    logger.warning("%s; its chunk is tried again", WORKER_DIED)
                    job.wait(in_flight)
                    reply = job.receive(job.send(task))
                in_flight.popleft()
                value, error, trace = reply or given_up(WORKER_DIED)
                if trace:
                    logger.debug("task %d failed in a worker:\n%s", index, trace)
                yield Outcome(index, task, value, error)
                del task, value, future, reply
        finally:
            job.end([future for *_, future in in_flight])

    def close(self) -> None:
        """Leave the scheduler, and stop the cluster if it was started here."""
        self._client.close()
        if self._owned is not None:
            self._owned.close()


class _Job:
    """One map on Dask: its function, which the scheduler keeps, and how tasks and replies travel."""

    def __init__(self, client: Any, function: Callable[[Any], Any], limits: Limits) -> None:
        import cloudpickle

        self._client, self._limits = client, limits
        self._name = uuid.uuid4().hex
        # The scheduler keeps the recipe, so that a worker that comes late or anew can load the function again.
        load: Callable[[bytes], Any] = pickle.loads if limits.timeout is None else bytes
        self._code = self._submit(load, cloudpickle.dumps(limited(function, limits.timeout)))

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "100 GB"}):
            return self._client.submit(function, *arguments, pure=False)

    def send(self, task: object) -> Any:
        """Submit a task; one that cannot be pickled becomes its error message."""
        import cloudpickle

        try:
            # Bytes, because Dask would look for its own tasks and futures inside lists, tuples and dicts.
            task_bytes = cloudpickle.dumps(task)
            if self._limits.timeout is None:
                return self._submit(answer, self._code, task_bytes)
            return self._submit(answer_apart, self._code, task_bytes, self._limits, self._name)
        except Exception as error:
            if self._client.status != "running":
                raise LodewellError(f"the Dask scheduler went away: {one_line(error)}") from error
            return f"the task cannot be sent to a worker: {one_line(error)}"

    def receive(self, future: Any) -> Reply | None:
        """Wait for a reply; None if workers died of it."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm.core import CommClosedError

        if isinstance(future, str):
            return None, future, None
        try:
            reply: Reply = pickle.loads(future.result())
        except KilledWorker:
            return None
        except (CancelledError, CommClosedError) as error:
            raise LodewellError(f"the Dask scheduler went away: {one_line(error)}") from error
        except Exception as error:
            return None, f"the worker cannot load the function: {one_line(error)}", None
        return reply

    def wait(self, in_flight: Iterable[tuple[int, object, Any]]) -> None:
        """Wait until nothing is done any more."""
        from distributed import wait

        wait([future for *_, future in in_flight if not isinstance(future, str)])

    def end(self, futures: list[Any]) -> None:
        """Give up what is still done, and what the workers keep for it."""
        if self._client.status != "running":
            return
        self._client.cancel([future for future in [*futures, self._code] if not isinstance(future, str)])
        if self._limits.timeout is not None:
            with suppress(Exception):  # workers that went away have nothing left
                self._client.run(end_apart, self._name)
