"""The first run after an installation compiles the loops, which takes a while; so people are told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

COMPILING = "compiling the loops, once after each installation"


def compiled(function: Any) -> bool:
    """Tell whether a compiled function lies in Numba's cache, where every process finds it."""
    with suppress(AttributeError, OSError):
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        return any(Path(function._cache.cache_path).glob(f"{name}-*.nbi"))
    return True
