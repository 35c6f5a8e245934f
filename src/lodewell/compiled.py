"""Compiled loops: the two decorators that make them, and what happens when they are compiled.

Numba compiles a loop when it is first called, and keeps the result on disk beside the module, in the folder that
`NUMBA_CACHE_DIR` names, or below the user's home. Added here: processes that need the same loop compile it once, one
waiting for the other; whoever asks is told, so that people know why nothing seems to happen; and a folder that cannot
be written costs time, not the import.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from numba import njit
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.registry import CPUDispatcher

from lodewell.compiling import tell

# What a compiler may do with sums of many terms: reorder and contract them, but neither drop NaN nor infinity.
FAST = {"contract", "reassoc", "nsz", "arcp"}
PATIENCE = 180.0  # s that a process waits for another one, which may hang, before it compiles for itself

logger = logging.getLogger(__name__)


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a loop that Python calls. Division by zero gives inf or nan, as in NumPy; options are those of `njit`."""
    if function is None:
        return partial(kernel, **options)
    dispatcher = njit(error_model="numpy", no_cfunc_wrapper=True, **options)(function)
    try:
        dispatcher._cache = _SharedCache(function)
        _folders.add(str(Path(dispatcher._cache.cache_path).parent))
    except RuntimeError:  # Numba finds no place for a cache
        _uncached.append(dispatcher)
    return dispatcher


def inner(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a loop that only other loops call: without its entry from Python, which takes long to compile as well."""
    if function is None:
        return partial(inner, **options)
    dispatcher = kernel(function, no_cpython_wrapper=True, **options)
    dispatcher.__class__ = _Inner
    return dispatcher


class _Inner(CPUDispatcher):  # type: ignore[misc]  # Numba has no types
    """A loop without an entry from Python: to jump there would end the process."""

    def __call__(self, *args: Any) -> Any:
        raise TypeError(f"{self.py_func.__module__}.{self.py_func.__name__} is called by loops only: make it a kernel")


def uncached() -> bool:
    """Tell whether some loop has no place on disk, so that every process compiles it."""
    return bool(_uncached)


def kept_in() -> list[str]:
    """Name the folders that hold compiled loops, without those inside another."""
    seen: list[str] = []
    for folder in sorted(_folders):
        if not seen or not folder.startswith(seen[-1] + os.sep):
            seen.append(folder)
    return seen


_uncached: list[Any] = []
_folders: set[str] = set()


class _SharedCache(FunctionCache):  # type: ignore[misc]  # Numba has no types
    """Numba's cache of a function, behind a lock that lets one process at a time compile."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the code for a signature; where there is none, wait for whoever may be compiling it, and look again."""
        found = super().load_overload(sig, target_context)
        if found is None and _turn.wait(Path(self.cache_path)):
            found = super().load_overload(sig, target_context)
            if found is not None:
                _turn.end()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for a signature, where there is room for it, and let others look."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            logger.warning("a compiled loop cannot be kept in %s: %s", self.cache_path, error)
        if not _turn.compiling:
            _turn.end()


class _Turn(event.Listener):  # type: ignore[misc]  # Numba has no types
    """The turn of this process: from the first loop that is missing until it is compiled, with all it calls."""

    def __init__(self) -> None:
        self._lock: IO[bytes] | None = None
        self._depth = 0
        self._collected = False

    @property
    def compiling(self) -> bool:
        """Whether this process compiles now."""
        return self._depth > 0

    def wait(self, folder: Path) -> bool:
        """Wait until no other process compiles; False when it is this one's turn already, or files cannot be locked."""
        if self._lock is not None:
            return False
        with suppress(ImportError, OSError):
            import fcntl

            folder.mkdir(parents=True, exist_ok=True)
            self._lock, until = open(folder / "compiling.lock", "wb"), time.monotonic() + PATIENCE  # noqa: SIM115 until `end`
            while time.monotonic() < until:
                try:
                    fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
            return True
        return False

    def end(self) -> None:
        """Let others compile."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def on_start(self, event: Any) -> None:
        """Begin with a loop of ours, or one that it calls."""
        if not self._ours(event):
            return
        self._depth += 1
        if self._depth == 1:
            # Numba makes millions of objects that live on: looking for dead ones among them is a tenth of the time.
            self._collected = gc.isenabled()
            gc.disable()
            tell(True)

    def on_end(self, event: Any) -> None:
        """Be done with it."""
        if not self._ours(event):
            return
        self._depth -= 1
        if not self.compiling:
            if self._collected:
                gc.enable()
            tell(False)

    @staticmethod
    def _ours(event: Any) -> bool:
        return str(event.data["dispatcher"].py_func.__module__).startswith("lodewell.")


_turn = _Turn()
event.register("numba:compile", _turn)
