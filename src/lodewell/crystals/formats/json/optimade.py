"""OPTIMADE structures (specification 1.1 and 1.2), read from responses and written as one."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

from lodewell.crystals.elements import element_of_site
from lodewell.crystals.formats.json.pymatgen import plain_info
from lodewell.errors import BadCrystal


def is_structure(document: Any) -> bool:
    """Tell whether a JSON value is an OPTIMADE structure resource."""
    attributes = document.get("attributes") if isinstance(document, dict) else None
    has_positions = isinstance(attributes, dict) and "cartesian_site_positions" in attributes
    return has_positions or (isinstance(document, dict) and document.get("type") == "structures" and "id" in document)


def _element(species: dict[str, Any], site: int) -> str:
    where = f"site {site} ({species.get('name')})"
    if any(species.get("attached") or ()):
        raise BadCrystal(f"{where} has attached atoms without positions; it is incomplete")
    symbols = species.get("chemical_symbols") or []
    shares = species.get("concentration") or [None] * len(symbols)
    if len(symbols) > 1 and None in shares:
        raise BadCrystal(
            f"{where} is partially occupied ({', '.join(symbols)}, their shares unknown); ask the server again"
        )
    known = [1.0 if share is None else float(share) for share in shares]
    return element_of_site([*zip(map(str, symbols), known, strict=True)], where)


def from_structure(document: dict[str, Any]) -> Atoms:
    """Turn a structure resource into atoms; raises `BadCrystal` for partial occupancy or missing positions."""
    attributes = document.get("attributes") or {}
    species = {s["name"]: s for s in attributes.get("species") or []}
    names = attributes.get("species_at_sites") or []
    positions = attributes.get("cartesian_site_positions")
    if positions is None or len(names) != len(positions):
        raise BadCrystal("species_at_sites and cartesian_site_positions do not match; ask the server for both fields")
    symbols = [
        _element(species.get(name, {"name": name, "chemical_symbols": [name]}), i + 1) for i, name in enumerate(names)
    ]
    vectors = attributes.get("lattice_vectors")
    periodic = attributes.get("dimension_types")
    cell = np.zeros((3, 3))
    for row, vector in enumerate(vectors or []):
        if vector is not None and None not in vector:
            cell[row] = vector
    pbc = [bool(p) for p in periodic] if periodic else [bool(v.any()) for v in cell]
    atoms = Atoms(symbols, positions=np.array(positions, float).reshape(-1, 3), cell=cell, pbc=pbc)
    if document.get("id") is not None:
        atoms.info["id"] = document["id"]
    for key, value in attributes.items():
        if key.startswith("_") and isinstance(value, str | int | float | bool):
            atoms.info[key.removeprefix("_lodewell_")] = value
    return atoms


def to_structure(atoms: Atoms, identifier: str) -> dict[str, Any]:
    """Turn a crystal into a structure resource; `info` travels as fields named `_lodewell_...`."""
    symbols = atoms.get_chemical_symbols()
    elements = sorted(set(symbols))
    cell = [row if any(row) else [None] * 3 for row in atoms.cell.array.tolist()]
    info = {key: value for key, value in plain_info(atoms).items() if key != "id"}
    return {
        "type": "structures",
        "id": identifier,
        "attributes": {
            "last_modified": None,
            "elements": elements,
            "nelements": len(elements),
            "elements_ratios": [symbols.count(e) / len(symbols) for e in elements],
            "chemical_formula_reduced": _reduced(symbols),
            "chemical_formula_anonymous": None,
            "chemical_formula_descriptive": atoms.get_chemical_formula(),
            "dimension_types": [int(p) for p in atoms.pbc],
            "nperiodic_dimensions": int(atoms.pbc.sum()),
            "lattice_vectors": cell if atoms.cell.array.any() else None,
            "cartesian_site_positions": atoms.positions.tolist(),
            "nsites": len(symbols),
            "species": [{"name": e, "chemical_symbols": [e], "concentration": [1.0]} for e in elements],
            "species_at_sites": symbols,
            "structure_features": [],
        }
        | {f"_lodewell_{key}": value for key, value in info.items()},
    }


def _reduced(symbols: list[str]) -> str:
    counts = {element: symbols.count(element) for element in sorted(set(symbols))}
    divisor = int(np.gcd.reduce(list(counts.values())))
    return "".join(e + (str(n // divisor) if n > divisor else "") for e, n in counts.items())


def meta(count: int) -> dict[str, Any]:
    """Return what a server's answer with `count` structures says of itself."""
    return {"api_version": "1.2.0", "data_returned": count, "more_data_available": False}
