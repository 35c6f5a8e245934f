"""One worker process: asked from here over a pipe of its own, killed when it hangs, and what it does over there."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lodewell.compiling import tell, told
from lodewell.errors import LodewellError
from lodewell.workers.base import answer, one_line

# One thread a worker: the parallelism is over chunks, and threads below it would only fight for the same cores.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)

ORPHAN_GRACE = 600.0  # s that a worker without a parent may take longer than its time-out, for it may compile

_COMPILING = (b"compiling", b"compiled")  # what a worker says before its reply


class OutOfTime(Exception):
    """A worker has not answered in time."""


class Child:
    """A worker process and this side's end of its pipe; used by one thread."""

    def __init__(self) -> None:
        context = (
            multiprocessing.get_context("forkserver") if _has_forkserver() else multiprocessing.get_context("spawn")
        )
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), name="lodewell-worker", daemon=True)
        self.busy = True  # a child that is still starting is stopped like one at work
        self.code: bytes | None = None
        with _main_importable(), _children_allowed():
            self.process.start()
        theirs.close()  # else the death of the child would not close the pipe

    def greet(self) -> None:
        """Wait until the worker is there.

        Raises LodewellError if it never comes.
        """
        try:
            self.connection.recv_bytes()
        except (EOFError, OSError):
            raise LodewellError(
                "a worker process could not start. In a script, put the call under `if __name__ == '__main__':`, "
                "because the workers import the script; or use one worker"
            ) from None
        self.busy = False

    def ask(self, code: bytes, task_bytes: bytes, timeout: float | None = None) -> bytes:
        """Hand over a pickled task and wait for the pickled reply; the function goes along when it is another one.

        Raises OutOfTime after `timeout` seconds, in which compiling does not count; EOFError or OSError when it died.
        """
        self.busy = True
        self.connection.send_bytes(b"" if self.code is code else code)
        self.code = code
        self.connection.send_bytes(task_bytes)
        reply = self._receive(timeout)
        self.busy = False
        return reply

    def _receive(self, timeout: float | None) -> bytes:
        left, compiling = timeout, False
        while True:
            start = time.monotonic()
            if left is not None and not compiling and not self.connection.poll(max(left, 0.0)):
                raise OutOfTime
            reply = self.connection.recv_bytes()
            if reply not in _COMPILING:
                return reply
            if left is not None and not compiling:
                left -= time.monotonic() - start
            compiling = reply == _COMPILING[0]
            tell(compiling)

    def kill(self) -> None:
        """End the worker at once, whatever it does, with the programs that it has started."""
        started = _descendants(self.process.pid)
        self.process.kill()
        for pid in started:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Let an idle worker leave, and end one that does not."""
        if self.busy:
            self.kill()
        self.connection.close()  # an idle worker leaves by itself when its pipe ends
        self.process.join(timeout=2)
        if self.process.exitcode is None:
            self.kill()
            self.process.join()
        self.process.close()


def limited(function: Callable[[Any], Any], timeout: float | None) -> Callable[[Any], Any]:
    """Return the function as a worker gets it: with a time-out, its process cannot outlive that by much."""
    return function if timeout is None else partial(_expiring, function, timeout + ORPHAN_GRACE)


def _expiring(function: Callable[[Any], Any], seconds: float, task: Any) -> Any:
    """Call the function in a process that the system ends after some seconds: whoever would kill it may be gone."""
    if not hasattr(signal, "setitimer"):
        return function(task)
    signal.setitimer(signal.ITIMER_REAL, seconds)  # SIGALRM kills a process that does not ask for it
    try:
        return function(task)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _descendants(pid: int | None) -> list[int]:
    """List the processes that one has started, and those that they have: engines that outlive it would go on."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, waiting = [], [pid or 0]
    while waiting:
        of_one = children.get(waiting.pop(), [])
        found += of_one
        waiting += of_one
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """Yield each process of this machine that can be seen, and its parent."""
    if os.path.isdir("/proc/self"):
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                # The name, in parentheses, may hold anything; state and parent come after.
                yield int(folder.name), int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
        return
    with suppress(OSError):
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=False).stdout
        for line in listed.splitlines():
            child, parent = line.split()
            yield int(child), int(parent)


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


@contextmanager
def _children_allowed() -> Iterator[None]:
    """Let a daemon have children: Dask's workers are daemons, and a child of ours ends with the pipe to its parent."""
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    daemon = config.pop("daemon", None)
    try:
        yield
    finally:
        if daemon is not None:
            config["daemon"] = daemon


def _has_forkserver() -> bool:
    return "forkserver" in multiprocessing.get_all_start_methods()


def start_forkserver() -> None:
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
