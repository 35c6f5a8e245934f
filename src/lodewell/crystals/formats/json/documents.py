"""JSON documents of crystals: whose they are, and the crystals they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ase import Atoms

from lodewell.crystals.formats.json import cif_text, jarvis, optimade, pymatgen
from lodewell.errors import BadCrystal

Outcome: TypeAlias = Atoms | str


KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Atoms]], ...] = (
    (optimade.is_structure, optimade.from_structure),
    (pymatgen.is_structure, pymatgen.from_structure),
    (jarvis.is_atoms, jarvis.from_atoms),
    (jarvis.is_entry, jarvis.from_entry),
    (pymatgen.is_entry, pymatgen.from_entry),
    (cif_text.is_entry, cif_text.from_entry),
)


def is_crystal(value: Any) -> bool:
    """Tell whether a JSON value is one crystal, or a document about one."""
    return any(known(value) for known, _ in KINDS)


def from_document(document: Any) -> Atoms | None:
    """Turn one JSON value into atoms; None when it is no crystal of a known kind, `BadCrystal` when it is a bad one."""
    return next((read(document) for known, read in KINDS if known(document)), None)


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
