"""pymatgen's and the Materials Project's JSON, read and written without pymatgen."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms

from lodewell.crystals.elements import element_of_site
from lodewell.crystals.labels.keys import KNOWN_NAMES
from lodewell.text import parsed_json

MODULI = ("bulk_modulus", "shear_modulus")
STRUCTURAL = frozenset({"nsites", "volume", "density", "density_atomic"})  # true of the structure as it came only
SPECIAL = KNOWN_NAMES | {"occupancy", "spacegroup", "unit_cell"}  # to ASE, or here, keys of another meaning
LONGEST = 80  # characters of text that is kept
IDENTIFIERS = ("material_id", "task_id", "mp_id", "id", "entry_id", "mat_id", "jid", "uuid", "fw_id", "_id")
STRUCTURES = (  # under which names documents keep their structure, the one that counts first
    "structure", "final_structure", "relaxed_structure", "optimized_structure", "output_structure", "crystal",
    "crystal_structure", "computed_structure_entry", "initial_structure", "unrelaxed_structure", "input_structure",
)  # fmt: skip
ROOMS = ("output", "computed_structure_entry", "entry", "result", "results", "data", "doc", "task", "calc")


def is_structure(document: Any) -> bool:
    """Tell whether a JSON value is a Structure or Molecule of pymatgen."""
    return isinstance(document, dict) and isinstance(document.get("sites"), list)


def is_entry(document: Any) -> bool:
    """Tell whether a JSON value is a document with a structure inside, as the Materials Project's API gives."""
    return isinstance(document, dict) and bool(_way(document))


def from_entry(document: dict[str, Any]) -> Atoms:
    """Turn a document into atoms: its `structure`, its identifier, and what it states on the way there."""
    *documents, structure = _way(document)
    atoms = from_structure(structure)
    if isinstance(document.get("data"), dict) and document["data"] not in documents:  # of ComputedStructureEntries
        documents.append(document["data"])
    if (name := identifier(documents)) is not None:
        atoms.info["id"] = name
    for outer in reversed(documents):
        atoms.info |= stated(outer)
        for name in MODULI:
            if isinstance(outer.get(name), dict):
                atoms.info |= {f"{name}_{mean}": value for mean, value in stated(outer[name]).items()}
    return atoms


def identifier(documents: Iterable[dict[str, Any]]) -> str | int | None:
    """Return the first identifier that documents have, None where they have none."""
    known = (d[key] for d in documents for key in IDENTIFIERS if isinstance(d.get(key), str | int) and d[key] != "")
    return next(known, None)


def decoded(value: Any) -> Any:
    """Return the JSON object that a text holds, anything else as it is: tables keep structures as text."""
    return _parsed(value) if isinstance(value, str) and value[:1] == "{" and value[-1:] == "}" else value


@lru_cache(maxsize=4)  # one entry is asked several times whose it is
def _parsed(text: str) -> Any:
    try:
        return parsed_json(text)
    except ValueError:
        return text


def _way(document: dict[str, Any], depth: int = 3) -> list[dict[str, Any]]:
    """Return the documents on the way from one to its structure, both included; empty when it has none."""
    for key in STRUCTURES:
        if is_structure(inner := decoded(document.get(key))):
            return [document, inner]
    for key in ROOMS if depth else ():
        inner = decoded(document.get(key))
        if isinstance(inner, dict) and (way := _way(inner, depth - 1)):
            return [document, *way]
    others = [inner for value in document.values() if is_structure(inner := decoded(value))]
    beside_facts = any(
        isinstance(value, str | int | float) for value in document.values()
    )  # else a table by identifier
    return [document, *others] if len(others) == 1 and beside_facts else []


def stated(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a document states in plain values: finite numbers, truth values and short text.

    Left out are identifiers, keys that mean something else in `Atoms.info`, and what moving an atom makes untrue.
    """
    left_out = SPECIAL | STRUCTURAL | set(IDENTIFIERS)
    return {
        key: value
        for key, value in document.items()
        if key not in left_out
        and not key.startswith("@")
        and (
            (isinstance(value, str) and len(value) <= LONGEST and value not in ("", "na"))
            or (isinstance(value, bool | int | float) and abs(value) <= sys.float_info.max)
        )
    }


def _symbol(site: dict[str, Any], number: int) -> str:
    species = site.get("species") or [{"element": site.get("label", "")}]
    name = str(site.get("label") or species[0].get("element"))
    shares = [(str(s.get("element", "")), float(s.get("occu", 1))) for s in species]
    return element_of_site(shares, f"site {number} ({name})")


def from_structure(document: dict[str, Any]) -> Atoms:
    """Turn `Structure.as_dict()` or `Molecule.as_dict()` into atoms; raises `BadCrystal` for partial occupancy."""
    sites = document["sites"]
    symbols = [_symbol(site, i + 1) for i, site in enumerate(sites)]
    lattice = document.get("lattice")
    if lattice is None:
        atoms = Atoms(symbols, positions=np.array([site["xyz"] for site in sites], float).reshape(-1, 3))
    else:
        cell = np.array(lattice["matrix"], float)
        scaled = np.array([site["abc"] if "abc" in site else np.linalg.solve(cell.T, site["xyz"]) for site in sites])
        pbc = lattice.get("pbc", (True, True, True))
        atoms = Atoms(symbols, positions=scaled.reshape(-1, 3) @ cell, cell=cell, pbc=pbc)
    _properties(atoms, document, sites)
    return atoms


def _properties(atoms: Atoms, document: dict[str, Any], sites: list[dict[str, Any]]) -> None:
    """Keep selective dynamics, magnetic moments, and what the document says of itself."""
    from ase.constraints import FixAtoms, FixCartesian

    properties = [site.get("properties") or {} for site in sites]
    moving = [p.get("selective_dynamics") for p in properties]
    if sites and all(isinstance(m, list) and len(m) == 3 for m in moving):
        fixed = ~np.array(moving, dtype=bool)
        whole = np.flatnonzero(fixed.all(axis=1))
        partly = np.flatnonzero(fixed.any(axis=1) & ~fixed.all(axis=1))
        constraints: list[Any] = [FixAtoms(whole)] if len(whole) else []
        atoms.set_constraint(constraints + [FixCartesian(int(i), mask=fixed[i]) for i in partly])
    moments = [p.get("magmom") for p in properties]
    if sites and all(isinstance(m, int | float) for m in moments):
        atoms.set_initial_magnetic_moments(moments)
    own = document.get("properties")
    for key, value in (own if isinstance(own, dict) else {}).items():
        if isinstance(value, str | int | float | bool):
            atoms.info[key] = value


def to_structure(atoms: Atoms) -> dict[str, Any]:
    """Turn a crystal into what `Structure.from_dict` reads (`Molecule.from_dict` when nothing is periodic)."""
    plain = plain_info(atoms)
    symbols = atoms.get_chemical_symbols()
    if not atoms.pbc.any() and not atoms.cell.array.any():
        return {
            "@module": "pymatgen.core.structure",
            "@class": "Molecule",
            "charge": 0,
            "spin_multiplicity": None,
            "sites": [
                {"name": s, "species": [{"element": s, "occu": 1}], "xyz": xyz, "properties": {}, "label": s}
                for s, xyz in zip(symbols, atoms.positions.tolist(), strict=True)
            ],
            "properties": plain,
        }
    cell = atoms.cell.complete().array
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T
    sites = [
        {"species": [{"element": s, "occu": 1}], "abc": abc, "properties": {}, "label": s, "xyz": xyz}
        for s, abc, xyz in zip(symbols, scaled.tolist(), atoms.positions.tolist(), strict=True)
    ]
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "charge": 0,
        "lattice": {"matrix": cell.tolist(), "pbc": [bool(p) for p in atoms.pbc]},
        "properties": plain,
        "sites": sites,
    }


def to_entry(atoms: Atoms) -> dict[str, Any]:
    """Turn a crystal into a document with `material_id` (where `info` has an id) and `structure`."""
    identifier = {"material_id": str(atoms.info["id"])} if "id" in atoms.info else {}
    return identifier | {"structure": to_structure(atoms)}


def plain_info(atoms: Atoms) -> dict[str, Any]:
    """Return the entries of `info` that JSON can hold: text, numbers, truth values and arrays of numbers."""
    out: dict[str, Any] = {}
    for key, given in atoms.info.items():
        value = given.tolist() if isinstance(given, np.ndarray | np.generic) else given
        text = isinstance(value, str)
        number = isinstance(value, bool | int | float | list) and _finite(value)
        if text or number:
            out[str(key)] = value
    return out


def _finite(value: Any) -> bool:
    try:
        return bool(np.isfinite(np.array(value, dtype=float)).all())
    except (ValueError, TypeError):
        return False
