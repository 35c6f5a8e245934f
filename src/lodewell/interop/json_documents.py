"""JSON documents of crystals: whose they are, and the crystals they mean."""

from __future__ import annotations

from typing import Any, TypeAlias

from ase import Atoms

from lodewell.errors import BadCrystal
from lodewell.interop import jarvis, optimade, pymatgen

Outcome: TypeAlias = Atoms | str


def from_document(document: Any) -> Atoms | None:
    """Turn one JSON value into atoms; None when it is no crystal of a known kind, `BadCrystal` when it is a bad one."""
    if optimade.is_structure(document):
        return optimade.from_structure(document)
    if pymatgen.is_structure(document):
        return pymatgen.from_structure(document)
    if jarvis.is_atoms(document):
        return jarvis.from_atoms(document)
    if jarvis.is_entry(document):
        return jarvis.from_entry(document)
    if pymatgen.is_entry(document):
        return pymatgen.from_entry(document)
    return None


def crystal_or_reason(document: Any, key: str | None = None) -> Outcome:
    """Turn one entry into atoms or into the reason why not; `key` names it where it has no identifier itself."""
    try:
        atoms = from_document(document)
    except BadCrystal as err:
        return str(err)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as err:
        return f"the JSON entry is incomplete or damaged ({type(err).__name__}: {str(err)[:200]})"
    if atoms is None:
        return "the JSON entry is no crystal of pymatgen, the Materials Project, OPTIMADE or JARVIS"
    if key is not None:
        atoms.info.setdefault("id", key)
    return atoms
