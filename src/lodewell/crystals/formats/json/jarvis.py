"""JARVIS (NIST) JSON: a list of documents with `jid` and `atoms`."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

from lodewell.crystals.elements import element_of
from lodewell.crystals.formats.json.pymatgen import decoded, plain_info, stated
from lodewell.errors import BadCrystal


def is_atoms(document: Any) -> bool:
    """Tell whether a JSON value is JARVIS's own dictionary of atoms."""
    return isinstance(document, dict) and {"lattice_mat", "coords", "elements"} <= document.keys()


def is_entry(document: Any) -> bool:
    """Tell whether a JSON value is a document of a JARVIS database."""
    return isinstance(document, dict) and is_atoms(decoded(document.get("atoms")))


def from_atoms(document: dict[str, Any]) -> Atoms:
    """Turn `jarvis.core.atoms.Atoms.to_dict()` into atoms; coordinates are fractional unless `cartesian` is true."""
    symbols = [element_of(str(text)) for text in document["elements"]]
    if None in symbols:
        i = symbols.index(None)
        raise BadCrystal(f"atom {i + 1} is {document['elements'][i]!r}, which is no element; replace or remove it")
    cell = np.array(document["lattice_mat"], float)
    coords = np.array(document["coords"], float).reshape(-1, 3)
    if len(coords) != len(symbols):
        raise BadCrystal(f"{len(symbols)} elements but {len(coords)} coordinates; the document is damaged")
    cartesian = document.get("cartesian", False) in (True, "True", "true", 1)
    return Atoms(symbols, positions=coords if cartesian else coords @ cell, cell=cell, pbc=True)


def from_entry(document: dict[str, Any]) -> Atoms:
    """Turn a database document into atoms with its `jid` as `info["id"]`."""
    atoms = from_atoms(decoded(document["atoms"]))
    for key in ("jid", "id"):
        if isinstance(document.get(key), str | int):
            atoms.info["id"] = document[key]
            break
    atoms.info |= stated({key: value for key, value in document.items() if key != "jid"})
    return atoms


def to_entry(atoms: Atoms, identifier: str) -> dict[str, Any]:
    """Turn a crystal into a database document; raises `BadCrystal` where a direction is not periodic."""
    if not atoms.pbc.all():
        raise BadCrystal("JARVIS JSON holds crystals periodic in three directions only; write extended XYZ instead")
    cell = atoms.cell.array
    return plain_info(atoms) | {
        "jid": identifier,
        "atoms": {
            "lattice_mat": cell.tolist(),
            "coords": np.linalg.solve(cell.T, atoms.positions.T).T.tolist(),
            "elements": atoms.get_chemical_symbols(),
            "abc": atoms.cell.lengths().tolist(),
            "angles": atoms.cell.angles().tolist(),
            "cartesian": False,
            "props": [""] * len(atoms),
        },
    }
