"""Crystals as people give them: one or many, in memory or as paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ase import Atoms

from lodewell.crystals.read import Record
from lodewell.errors import BadOption


def spread(given: Any) -> list[Any]:
    """Return many things as a list, and one thing as a list of one, even where it yields sites, keys or numbers."""
    one = isinstance(given, Atoms | str | Path | Mapping | bytes) or hasattr(given, "to_ase_atoms")
    return list(given) if isinstance(given, Iterable) and not one else [given]


def given_list(crystals: Any) -> list[Atoms | str | Path]:
    """Return crystals and paths as a list.

    Raises:
        BadOption: for anything that is neither, with its place.
    """
    given = spread(crystals)
    for k, crystal in enumerate(given):
        if not isinstance(crystal, Atoms | str | Path):
            cure = "give its to_ase_atoms()" if hasattr(crystal, "to_ase_atoms") else "give ase.Atoms, or paths"
            raise BadOption(f"crystal {k} is of the type {type(crystal).__name__}: {cure}")
    return given


def given_atoms(crystals: Any) -> list[Atoms]:
    """Return crystals in memory as a list.

    Raises:
        BadOption: for anything else, with its place.
    """
    given = given_list(crystals)
    for k, crystal in enumerate(given):
        if not isinstance(crystal, Atoms):
            raise BadOption(f"crystal {k} is the path '{crystal}': read it first, with ase.io.read")
    return given


def in_memory(given: list[Atoms | str | Path]) -> Iterator[Record] | None:
    """Return crystals in memory as records, None for paths alone; a path among crystals becomes a refusal."""
    if not any(isinstance(crystal, Atoms) for crystal in given):
        return None
    return (
        Record("", k, c, None) if isinstance(c, Atoms) else Record(str(c), 0, None, "mix no paths with crystals")
        for k, c in enumerate(given)
    )
