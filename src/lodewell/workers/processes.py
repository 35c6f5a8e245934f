"""Worker processes on this machine, the default behind `lodewell.workers`."""

from __future__ import annotations

import pickle
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from lodewell.workers.base import (
    RETRIES,
    WORKER_DIED,
    Limits,
    Outcome,
    Reply,
    Workers,
    dumps_function,
    given_up,
    logger,
    one_line,
)
from lodewell.workers.child import Child, OutOfTime, limited, start_forkserver

T = TypeVar("T")
R = TypeVar("R")


class Processes(Workers):
    """Worker processes on this machine.

    Each worker has a thread here that hands it one task at a time over a pipe of its own. When a worker dies, its
    thread knows which task it held: that one is tried again in a new process, alone, because the usual killer is the
    lack of memory, and then given up; no other task is touched. One that takes too long is killed by its thread, and
    tried again beside the others.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._threads = ThreadPoolExecutor(n, thread_name_prefix="lodewell-worker")
        self._mine = threading.local()
        self._children: list[Child] = []
        self._starting = threading.Lock()
        self._gate = _Gate()
        self._closing = False

    def map(
        self, function: Callable[[T], R], tasks: Iterable[T], *, timeout: float | None = None, retries: int = RETRIES
    ) -> Iterator[Outcome[T, R]]:
        """Yield outcomes in task order with at most 2 n + 2 tasks in flight."""
        limits = Limits(timeout, retries)
        code = dumps_function(limited(function, timeout))
        start_forkserver()
        in_flight: deque[tuple[int, T, Future[Reply]]] = deque()
        source = enumerate(tasks)
        try:
            while True:
                while len(in_flight) < 2 * self.n + 2 and (item := next(source, None)) is not None:
                    index, task = item
                    in_flight.append((index, task, self._threads.submit(self._round_trip, code, task, limits)))
                if not in_flight:
                    return
                # Taken off only when it is done: a finished window slot is what lets the next task in.
                index, task, future = in_flight[0]
                value, error, trace = future.result()
                in_flight.popleft()
                if trace:
                    logger.debug("task %d failed in a worker:\n%s", index, trace)
                yield Outcome(index, task, value, error)
                del task, value, future
        finally:
            for _, _, future in in_flight:
                future.cancel()

    def close(self) -> None:
        """Stop the workers at once; a task that is still running is given up."""
        self._closing = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._starting:
            for child in self._children:
                if child.busy:
                    child.kill()
        self._threads.shutdown(wait=True)
        for child in self._children:
            if not child.busy:  # else the thread that asked it hears of its end
                child.close()

    def _round_trip(self, code: bytes, task: object, limits: Limits) -> Reply:
        try:
            task_bytes = pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            return None, f"the task cannot be sent to a worker: {one_line(error)}", traceback.format_exc()
        reply: Reply = pickle.loads(self.ask(code, task_bytes, limits))
        return reply

    def ask(self, code: bytes, task_bytes: bytes, limits: Limits) -> bytes:
        """Let the process of this thread do a pickled task, and return the pickled reply.

        Raises CancelledError when the workers are closed.
        """
        entry, why = self._gate.shared, ""
        for left in reversed(range(limits.retries + 1)):
            with entry():
                child = self._child()
                try:
                    return child.ask(code, task_bytes, limits.timeout)
                except OutOfTime:
                    entry, why = self._gate.shared, str(limits)
                except (EOFError, OSError):
                    entry, why = self._gate.alone, WORKER_DIED
                self._bury(child)
            if left:
                logger.warning("%s; it is tried again", why)
        return pickle.dumps(given_up(why))

    def _child(self) -> Child:
        child: Child | None = getattr(self._mine, "child", None)
        if self._closing:
            raise CancelledError
        if child is None:
            with self._starting:
                if self._closing:
                    raise CancelledError
                child = self._mine.child = Child()
                self._children.append(child)
            child.greet()
        return child

    def _bury(self, child: Child) -> None:
        self._mine.child = None
        with self._starting:
            self._children.remove(child)
        child.close()
        if self._closing:
            raise CancelledError


class _Gate:
    """Many may pass together, or one alone: a task that may have eaten the memory is tried again by itself."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone_waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._alone_waiting == 0)
            self._inside += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._alone_waiting += 1
            self._changed.wait_for(lambda: self._inside == 0)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._alone_waiting -= 1
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()
