"""A progress bar for people: on stderr, only on a terminal, and only for jobs that last longer than two seconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lodewell.text import printable

if TYPE_CHECKING:
    import rich.progress

SECONDS_BEFORE_SHOWN = 2.0


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Progress]:
    """Count progress, and show it when the job turns out to be long.

    total: number of steps, or None if nobody knows. Yields an object whose `advance` and `describe` are cheap.
    """
    bar = Progress(description, total)
    bar.start()
    try:
        yield bar
    finally:
        bar.stop()


class Progress:
    """A counter that draws itself after two seconds; see `progress`."""

    def __init__(self, description: str, total: int | None) -> None:
        self.description = printable(description)
        self.total = total
        self.done = 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._shown: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None

    def advance(self, steps: int = 1) -> None:
        """Count some steps as done."""
        with self._lock:
            self.done += steps
            if self._shown is not None and self._task is not None:
                self._shown.update(self._task, completed=self.done)

    def describe(self, description: str, total: int | None = None) -> None:
        """Say what is going on now; a new total may have become known."""
        with self._lock:
            self.description = printable(description)
            self.total = self.total if total is None else total
            if self._shown is not None and self._task is not None:
                self._shown.update(self._task, description=self.description, total=self.total)

    def start(self) -> None:
        """Start the two seconds."""
        if sys.stderr.isatty():
            self._timer = threading.Timer(SECONDS_BEFORE_SHOWN, self._show)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Take the bar away."""
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if self._shown is not None:
                self._shown.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        with self._lock:
            if self._timer is None:  # stopped meanwhile
                return
            self._shown = RichProgress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._shown.add_task(self.description, total=self.total, completed=self.done)
            self._shown.start()
