"""Documents that hold their crystal as the text of a CIF, as tables for machine learning do."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from lodewell.crystals.formats.cif import read_cif
from lodewell.crystals.formats.json.pymatgen import identifier, stated
from lodewell.errors import BadCrystal


def is_entry(document: Any) -> bool:
    """Tell whether a JSON value is a document with the text of a CIF among its values."""
    return isinstance(document, dict) and any(map(_is_cif, document.values()))


def from_entry(document: dict[str, Any]) -> Atoms:
    """Turn a document into atoms; raises `BadCrystal` for a CIF that is bad or has several crystals."""
    crystals = list(read_cif(next(filter(_is_cif, document.values()))))
    if len(crystals) != 1:
        raise BadCrystal(f"its CIF holds {len(crystals)} crystals, not one; split the entry")
    (atoms,) = crystals
    if not isinstance(atoms, Atoms):
        raise BadCrystal(atoms)
    if (name := identifier([document])) is not None:
        atoms.info["id"] = name
    atoms.info |= stated(document)
    return atoms


def _is_cif(value: Any) -> bool:
    return isinstance(value, str) and "_cell_length_a" in value
