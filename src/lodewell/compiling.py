"""Whoever wants to know hears that loops are being compiled, here or in a worker: people wonder why nothing happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

COMPILING = "compiling loops, once after each installation"
NO_CACHE = (
    "compiled loops cannot be kept: neither the package's folder nor the home folder can be written, so every run "
    "compiles anew; let NUMBA_CACHE_DIR name a folder that can"
)

Listener = Callable[[bool], None]

_listeners: list[Listener] = []


@contextmanager
def told(listener: Listener) -> Iterator[None]:
    """Call `listener` with True when compiling begins in this process or its workers, with False when it ends."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(begins: bool) -> None:
    """Tell whoever asked that compiling begins or ends, here or in a worker."""
    for listener in tuple(_listeners):
        listener(begins)
