"""What torch does to the process that it runs in, undone when the work is done, or left to whoever owns the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def own_torch(threads: int, device: torch.device) -> Iterator[None]:
    """Let torch use so many threads, and random numbers that may be seeded, for a while."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch_threads(threads):
        yield


def keep_memory() -> None:
    """Let the C library keep freed memory for good: else each large tensor costs page faults, half the time of a step.

    This cannot be undone, so that only a program of its own should do it, such as `lodewell train`.
    """
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        trim, mmap = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        libc.mallopt(mmap, 1 << 30)
        libc.mallopt(trim, (1 << 31) - 1)
    except (OSError, AttributeError):  # not glibc
        return
