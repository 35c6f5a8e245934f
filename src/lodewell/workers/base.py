"""The one seam for parallel work: a function mapped over a stream of tasks, here, on all cores, or on a cluster.

Everything that runs in chunks goes through `open_workers`. Results come back in task order as `Outcome`s, a failure is
an outcome and never an exception, and only a few tasks are in memory at a time, so that endless streams flow through.
"""

from __future__ import annotations

import logging
import math
import pickle
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from lodewell.errors import BadOption
from lodewell.interrupts import Interrupts

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)

RETRIES = 1  # a worker that was killed by accident costs no task
WORKER_DIED = "the worker process died (killed, or out of memory)"


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of one task: `value` if `error` is None, else one line that says what went wrong."""

    index: int
    task: T
    value: R | None
    error: str | None


@dataclass(frozen=True)
class Limits:
    """How long a task may take (s; None: for ever), and how often it is tried again when that or its worker ends it.

    Raises BadOption for a time-out that is not above zero, or fewer than no retries.
    """

    timeout: float | None
    retries: int

    def __post_init__(self) -> None:
        if self.timeout is not None and not 0.0 < self.timeout < math.inf:
            raise BadOption(f"the timeout is {self.timeout}: give seconds above 0, or leave it out to wait for ever")
        if self.retries < 0:
            raise BadOption(f"the number of retries is {self.retries}: give 0 or more")

    def __str__(self) -> str:
        return f"the task took longer than {self.timeout:g} s, and its worker was killed"


class Workers(ABC):
    """A place where a function is mapped over tasks; close it, or use it in a `with` statement."""

    n: int

    @abstractmethod
    def map(
        self, function: Callable[[T], R], tasks: Iterable[T], *, timeout: float | None = None, retries: int = RETRIES
    ) -> Iterator[Outcome[T, R]]:
        """Yield an `Outcome` a task, in task order, taking tasks only as they are needed.

        The function must be importable (defined at the top of a module, or a `functools.partial` of such a one) and is
        sent to each worker once; tasks and results travel by pickle. What the function raises ends up in
        `Outcome.error`; what the iterable of tasks raises is raised here.

        Args:
            function: what is done with a task.
            tasks: any iterable, an endless one too.
            timeout: seconds that a task may take, from when a worker has it; compiling loops does not count. A worker
                that takes longer is killed, with the programs that it has started, and replaced.
            retries: how often a task is tried again that took too long, or whose worker died. What the function raises
                would be raised again, and is never tried twice.

        Raises:
            BadOption: for a timeout that is not above zero, or fewer than no retries.
            TypeError: for a function that cannot travel to other processes.
        """

    @abstractmethod
    def close(self) -> None:
        """Give up what is still running and free the workers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class InProcess(Workers):
    """One worker: this process. Tasks that may take so long only go to another, because this one cannot kill itself."""

    n = 1

    def __init__(self) -> None:
        self._interrupts = Interrupts()
        self._apart: Workers | None = None

    def map(
        self, function: Callable[[T], R], tasks: Iterable[T], *, timeout: float | None = None, retries: int = RETRIES
    ) -> Iterator[Outcome[T, R]]:
        """Yield each outcome as soon as it is asked for."""
        Limits(timeout, retries)
        if timeout is not None:
            yield from self._process().map(function, tasks, timeout=timeout, retries=retries)
            return
        for index, task in enumerate(tasks):
            value, error, trace = attempt(function, task)
            self._interrupts.check()
            if trace:
                logger.debug("task %d failed:\n%s", index, trace)
            yield Outcome(index, task, value, error)

    def close(self) -> None:
        """End the process for tasks with a time-out, if there is one."""
        if self._apart is not None:
            self._apart.close()
            self._apart = None

    def _process(self) -> Workers:
        from lodewell.workers.processes import Processes

        if self._apart is None:
            self._apart = Processes(1)
        return self._apart

    def __enter__(self) -> Self:
        self._interrupts.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
        self._interrupts.__exit__(kind, error, tb)


Reply = tuple[Any, str | None, str | None]  # value, error in one line, traceback for the log


def given_up(why: str) -> Reply:
    """Return what is said of a task whose worker was ended once too often."""
    return None, f"{why}: this chunk was given up", None


def attempt(function: Callable[[T], R], task: T) -> tuple[R | None, str | None, str | None]:
    """Call the function and return (value, None, None), or (None, the error in one line, its traceback)."""
    try:
        return function(task), None, None
    except (Exception, SystemExit) as error:
        return None, one_line(error), traceback.format_exc()


def one_line(error: BaseException) -> str:
    """Type and message of an exception, in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def answer(function: Callable[[Any], Any] | None, task_bytes: bytes, load_error: str | None = None) -> bytes:
    """Run a pickled task in a worker and return the pickled reply; nothing that can go wrong escapes."""
    reply: Reply
    if function is None:
        reply = (None, f"the worker cannot load the function: {load_error}", None)
    else:
        try:
            task = pickle.loads(task_bytes)
        except Exception as error:
            reply = (None, f"the worker cannot load the task: {one_line(error)}", traceback.format_exc())
        else:
            reply = attempt(function, task)
    try:
        return pickle.dumps(reply, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((None, f"the result cannot be pickled: {one_line(error)}", traceback.format_exc()))


def dumps_function(function: Callable[[Any], Any]) -> bytes:
    """Pickle a function for the workers, or say what kind of function can travel."""
    try:
        return pickle.dumps(function, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise TypeError(
            f"{function!r} cannot be sent to other processes ({one_line(error)}): "
            "define it at the top level of a module, or use one worker"
        ) from error
