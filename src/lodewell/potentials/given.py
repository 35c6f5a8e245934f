"""Potentials as people give them: an object, a name, a file, or a calculator of ASE."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeAlias

from lodewell.errors import BadCrystal, BadOption
from lodewell.potentials.base import Potential
from lodewell.potentials.calculator import FromCalculator
from lodewell.potentials.store import find, load
from lodewell.record import fingerprint

AnyPotential: TypeAlias = Potential | str | Path | Any


def as_potential(given: AnyPotential) -> Potential:
    """Return a potential from an object, a name, a path, or an ASE calculator.

    Raises:
        BadOption: for anything else.
        BadFile: when there is no such name or file.
    """
    if isinstance(given, Potential):
        return given
    if isinstance(given, str | Path):
        return load(given)
    if hasattr(given, "get_property"):
        return FromCalculator(given)
    raise BadOption(
        f"{type(given).__name__} is no potential: give a lodewell potential, its name or file, or an ASE calculator"
    )


def identity(given: AnyPotential) -> dict[str, Any]:
    """Return what a summary says of a potential: its `name`, and the `sha256` of its content.

    That of a file is of its bytes, that of an object of all that it would store. None stands for what cannot be stored,
    such as a calculator: nobody knows whether it is the same as last time.
    """
    if isinstance(given, str | Path):
        return {"name": str(given), "sha256": hashlib.sha256(find(given).read_bytes()).hexdigest()}
    if not isinstance(given, Potential):
        return {"name": type(given).__name__, "sha256": None}
    try:
        meta, arrays = given.state()
    except BadCrystal:
        return {"name": repr(given), "sha256": None}
    content = [meta, *((name, array.dtype.str, array.shape, array.tobytes()) for name, array in sorted(arrays.items()))]
    return {"name": repr(given), "sha256": fingerprint(given.kind, content)}
