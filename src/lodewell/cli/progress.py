"""What people see while they wait: a bar on a terminal, one line elsewhere when loops are being compiled; on stderr."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from lodewell.compiling import COMPILING, NO_CACHE, told
from lodewell.text import printable

if TYPE_CHECKING:
    import rich.progress

SECONDS_BEFORE_SHOWN = 0.5

Total: TypeAlias = "int | Callable[[], int | None] | None"

_open: list[Bar] = []


@contextmanager
def progress(description: str, total: Total = None) -> Iterator[Bar]:
    """Count progress, and show it when the job lasts longer than a moment.

    total: number of steps, None if nobody knows, or a function that estimates it and is called when the bar is shown.
    Yields a `lodewell.progress.Progress`.
    """
    bar = Bar(description, total)
    _open.append(bar)
    bar.start()
    try:
        yield bar
    finally:
        _open.remove(bar)
        bar.stop()


@contextmanager
def compiling_said() -> Iterator[None]:
    """Say on stderr when loops are being compiled: in the bar where one is shown, else once, in a line."""
    said = False

    def listen(begins: bool) -> None:
        nonlocal said
        if _open and _open[-1].compiling(begins):
            return
        if begins and not said:
            said = True
            print(f"lodewell: {compiling_text()}", file=sys.stderr, flush=True)

    with told(listen):
        yield


def compiling_text() -> str:
    """Return what is said while loops are being compiled."""
    from lodewell.compiled import uncached

    return NO_CACHE if uncached() else COMPILING


class Bar:
    """A `lodewell.progress.Progress` that draws itself on a terminal after a moment; see `progress`."""

    def __init__(self, description: str, total: Total) -> None:
        self.description = description
        self.total = total if isinstance(total, int) else None
        self._estimate = total if callable(total) else None
        self.done = 0
        self._stage = ""
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._shown: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        self._compiling = 0

    def __call__(self, stage: str, done: int = 0, total: int | None = None, /) -> None:
        """Say what is going on and how much of it is done; the first stage keeps a total that was estimated."""
        with self._lock:
            begins = bool(self._stage) and stage != self._stage
            if begins:
                self.total, self._estimate = None, None
            self.description = self._stage = stage
            self.done = done
            self.total = self.total if total is None else total
            if self.total is not None:
                self.total = max(self.total, done)
            if begins and self._shown is not None and self._task is not None:
                self._shown.reset(self._task, description=self._text, total=self.total)
            self._refresh()

    def compiling(self, begins: bool) -> bool:
        """Say in the bar that loops are being compiled, until they are; False where no bar is shown."""
        with self._lock:
            if self._timer is None:
                return False
            self._compiling += 1 if begins else -1
            self._refresh()
        return True

    def start(self) -> None:
        """Start to wait."""
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

    @property
    def _text(self) -> str:
        text = printable(self.description)
        return f"{text} ({compiling_text()})" if self._compiling > 0 else text

    def _refresh(self) -> None:
        if self._shown is not None and self._task is not None:
            self._shown.update(self._task, description=self._text, completed=self.done, total=self.total)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        estimated = self._estimate() if self._estimate is not None else None
        with self._lock:
            if self._timer is None:  # stopped meanwhile
                return
            if self._estimate is not None and estimated is not None:
                self.total = max(estimated, self.done)
            self._shown = RichProgress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                _rate_column(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._shown.add_task(self._text, total=self.total, completed=self.done)
            self._shown.start()


def _rate_column() -> rich.progress.ProgressColumn:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second, or seconds a step."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if not speed else f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2g}/s")

    return Rate()
