"""Ctrl-C that is neither lost nor ill-timed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done; elsewhere than in the main thread no signal arrives anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        signal.raise_signal(signal.SIGINT)


class Interrupts:
    """Remembers Ctrl-C while it is open, for what swallows the exception; use it in a `with` statement.

    A compiled kernel calls Python now and then for itself, and an exception that a signal raises there is lost, or
    comes out as a SystemError. So work in a loop asks `check` after each piece. One that is opened within another
    remembers what the other does.
    """

    def __init__(self) -> None:
        self._heard: list[int] = []
        self._before: object = None

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGINT)
        outer = getattr(handler, "__self__", None)
        if isinstance(outer, Interrupts):
            self._heard = outer._heard
        elif handler is signal.default_int_handler and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._before = None
        if kind is None or issubclass(kind, SystemError):
            self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt where one was lost."""
        if self._heard:
            self._heard.clear()
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._heard.append(number)
        raise KeyboardInterrupt
