"""Verbs that are folders and functions at once: `lodewell.relax` is a package, and `lodewell.relax(...)` a call.

A folder per verb carries the name that the function has. Importing any of its modules would put the package where the
function should be, whichever came first; so the package itself can be called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def make_callable(package: str, home: str) -> None:
    """Let a package be called: calls go to the function of its name in the module `home`, imported when needed."""

    class Verb(ModuleType):
        """A package that can be called."""

        def __call__(self, *args: Any, **options: Any) -> Any:
            function = getattr(import_module(f"{package}.{home}"), package.rpartition(".")[2])
            return function(*args, **options)

    sys.modules[package].__class__ = Verb
