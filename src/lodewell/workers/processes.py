"""Worker processes on this machine, the default behind `lodewell.workers`."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from lodewell.compiling import tell, told
from lodewell.errors import LodewellError
from lodewell.workers.base import WORKER_DIED, Outcome, Reply, Workers, answer, dumps_function, logger, one_line

T = TypeVar("T")
R = TypeVar("R")

# One thread a worker: the parallelism is over chunks, and threads below it would only fight for the same cores.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)

_COMPILING = (b"compiling", b"compiled")  # what a worker says before its reply


class Processes(Workers):
    """Worker processes on this machine.

    Each worker has a thread here that hands it one task at a time over a pipe of its own. When a worker dies, its
    thread knows which task it held: that one is tried once more, alone, in a new process, and then given up; no other
    task is touched.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._threads = ThreadPoolExecutor(n, thread_name_prefix="lodewell-worker")
        self._mine = threading.local()
        self._children: list[_Child] = []
        self._starting = threading.Lock()
        self._gate = _Gate()
        self._closing = False

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """Yield outcomes in task order with at most 2 n + 2 tasks in flight."""
        code = dumps_function(function)
        _start_forkserver()
        in_flight: deque[tuple[int, T, Future[Reply]]] = deque()
        source = enumerate(tasks)
        try:
            while True:
                while len(in_flight) < 2 * self.n + 2 and (item := next(source, None)) is not None:
                    index, task = item
                    in_flight.append((index, task, self._threads.submit(self._round_trip, code, task)))
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
                    child.process.terminate()
        self._threads.shutdown(wait=True)
        for child in self._children:
            child.close()
        self._children.clear()

    def _round_trip(self, code: bytes, task: object) -> Reply:
        try:
            task_bytes = pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            return None, f"the task cannot be sent to a worker: {one_line(error)}", traceback.format_exc()
        for entry in (self._gate.shared, self._gate.alone):
            with entry():
                if self._closing:
                    raise CancelledError
                child = self._child()
                try:
                    reply: Reply = pickle.loads(child.ask(code, task_bytes))
                except (EOFError, OSError):
                    self._bury(child)
                    if self._closing:
                        raise CancelledError from None
                    logger.warning("a worker process died; its chunk is tried once more")
                else:
                    return reply
        return None, WORKER_DIED, None

    def _child(self) -> _Child:
        child: _Child | None = getattr(self._mine, "child", None)
        if child is None:
            with self._starting:
                if self._closing:
                    raise CancelledError
                child = self._mine.child = _Child()
                self._children.append(child)
            child.greet()
        return child

    def _bury(self, child: _Child) -> None:
        self._mine.child = None
        with self._starting:
            self._children.remove(child)
        child.close()


class _Child:
    """A worker process and this side's end of its pipe; used by one thread."""

    def __init__(self) -> None:
        context = (
            multiprocessing.get_context("forkserver") if _has_forkserver() else multiprocessing.get_context("spawn")
        )
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), name="lodewell-worker", daemon=True)
        self.busy = True  # a child that is still starting is stopped like one at work
        self.code: bytes | None = None
        with _main_importable():
            self.process.start()
        theirs.close()  # else the death of the child would not close the pipe

    def greet(self) -> None:
        try:
            self.connection.recv_bytes()
        except (EOFError, OSError):
            raise LodewellError(
                "a worker process could not start. In a script, put the call under `if __name__ == '__main__':`, "
                "because the workers import the script; or use one worker"
            ) from None
        self.busy = False

    def ask(self, code: bytes, task_bytes: bytes) -> bytes:
        self.busy = True
        self.connection.send_bytes(b"" if self.code is code else code)
        self.code = code
        self.connection.send_bytes(task_bytes)
        while (reply := self.connection.recv_bytes()) in _COMPILING:
            tell(reply == _COMPILING[0])
        self.busy = False
        return reply

    def close(self) -> None:
        self.connection.close()  # an idle worker leaves by itself when its pipe ends
        self.process.join(timeout=2)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.process.close()


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


def _serve(connection: Connection) -> None:
    """Work for the parent until its end of the pipe closes (runs in the worker process)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business; it stops the workers
    os.environ.update(ONE_THREAD)
    function: Callable[[Any], Any] | None = None
    load_error: str | None = None

    def compiling(begins: bool) -> None:
        connection.send_bytes(_COMPILING[not begins])

    with closing(connection), suppress(EOFError, OSError):
        connection.send_bytes(b"ready")
        while True:
            if code := connection.recv_bytes():
                try:
                    function = pickle.loads(code)
                except Exception as error:
                    function, load_error = None, one_line(error)
            task = connection.recv_bytes()
            with told(compiling):
                reply = answer(function, task, load_error)
            connection.send_bytes(reply)


@contextmanager
def _main_importable() -> Iterator[None]:
    """Keep workers from importing a main module that has no file: a script that is piped in calls itself <stdin>."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    hidden = file is not None and not os.path.exists(file)
    if hidden:
        del main.__file__
    try:
        yield
    finally:
        if hidden:
            main.__file__ = file


def _has_forkserver() -> bool:
    return "forkserver" in multiprocessing.get_all_start_methods()


def _start_forkserver() -> None:
    """Start the process from which workers are forked, with the science already imported.

    It inherits one thread a library and an ignored SIGINT, so that Ctrl-C finds no worker half started that would
    print a traceback. Where it runs already this does nothing.
    """
    if not _has_forkserver():
        return
    from multiprocessing import forkserver

    ours = [name for name in sys.modules if name.startswith("lodewell.") and not name.startswith("lodewell.cli")]
    science = [name for name in ("numpy", "scipy", "numba", "ase", "spglib") if name in sys.modules]
    multiprocessing.get_context("forkserver").set_forkserver_preload([*science, *ours])
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    os.environ.update(ONE_THREAD)
    try:
        with _main_importable():
            forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
