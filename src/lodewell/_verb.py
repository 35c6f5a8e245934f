"""Verbs that are folders and functions at once: `lodewell.relax` is a package, and `lodewell.relax(...)` a call.

A folder per verb carries the name that the function has. Importing any of its modules would put the package where the
function should be, whichever came first; so the package itself can be called, and is documented as the function is.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


def make_callable(package: str, home: str) -> None:
    """Let a package be called: calls go to the function of its name in the module `home`, imported when needed."""
    name = package.rpartition(".")[2]

    def function() -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(import_module(f"{package}.{home}"), name)
        return found

    class Verb(ModuleType):
        """A package that can be called."""

        def __call__(self, *args: Any, **options: Any) -> Any:
            return function()(*args, **options)

        @property
        def __signature__(self) -> inspect.Signature:
            return inspect.signature(function())

    def doc(self: Verb) -> str:
        synopsis, _, rest = inspect.cleandoc(function().__doc__ or "").partition("\n")
        return f"{synopsis}\n\n{name}{self.__signature__}\n{rest}"

    Verb.__doc__ = property(doc)  # type: ignore[assignment]
    sys.modules[package].__class__ = Verb
