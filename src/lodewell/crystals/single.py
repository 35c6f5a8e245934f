"""Readers of files that hold one crystal or a few: each turns a file's bytes into atoms or reasons."""

from __future__ import annotations

import codecs
import io
import json
import warnings
from collections.abc import Callable, Iterator
from typing import TypeAlias

from ase import Atoms

from lodewell.crystals.formats import airss, castep, vasp
from lodewell.crystals.formats.cif import read_cif
from lodewell.crystals.formats.json.documents import crystal_or_reason
from lodewell.crystals.formats.json.layouts import entries
from lodewell.crystals.formats.json.lines import are_lines, read_lines
from lodewell.crystals.formats.json.stream import cut_entries, parse_entries
from lodewell.errors import BadCrystal, BadFile
from lodewell.text import parsed_json

Outcome: TypeAlias = Atoms | str
CURES = {
    "vasprun": "the calculation may have been cut short; POSCAR or CONTCAR beside it can be read instead",
    "outcar": "the calculation may have been cut short; POSCAR or CONTCAR beside it can be read instead",
    "castep": "the calculation may have been cut short; the .cell or -out.cell file can be read instead",
}


def decode(raw: bytes) -> str:
    """Turn bytes into text; raises `BadCrystal` for binary content."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raw = raw.decode("utf-16", errors="replace").encode()
    if b"\0" in raw[:100_000]:
        raise BadCrystal("the file is binary, not text; check that it was not mixed up with another")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
        strange = sum(text.count(chr(c)) for c in (*range(1, 9), *range(14, 32), *range(127, 160)))
        if strange > len(text) // 50:
            raise BadCrystal("the file is binary, not text; check that it was not mixed up with another") from None
    if not text.strip():
        raise BadCrystal("the file is empty; write or download it again")
    return text


def _cif(raw: bytes) -> Iterator[Outcome]:
    yield from read_cif(decode(raw))


def _res(raw: bytes) -> Iterator[Outcome]:
    for text in airss.split_results(decode(raw)):
        try:
            yield airss.from_res(text)
        except BadCrystal as err:
            yield str(err)


def _json(raw: bytes) -> Iterator[Outcome]:
    text = decode(raw)
    try:
        value = parsed_json(text)
    except ValueError as err:
        if are_lines(text):
            yield from read_lines(text)
            return
        yield from _salvaged(raw)
        where = f"{err.msg} at line {err.lineno}" if isinstance(err, json.JSONDecodeError) else str(err)
        yield f"not JSON: {where}; the file is cut short or damaged"
        return
    if isinstance(value, dict) and "nextid" in value and "ids" in value:
        yield from _ase_json(raw)
        return
    count = 0
    for document, key in entries(value):
        count += 1
        yield crystal_or_reason(document, key)
    if not count:
        yield "the JSON holds no crystal of pymatgen, the Materials Project, OPTIMADE or JARVIS"


def _json_lines(raw: bytes) -> Iterator[Outcome]:
    text = decode(raw)
    try:
        parsed_json(text)
    except ValueError:
        yield from read_lines(text)
    else:
        yield from _json(raw)  # one document, which may well take several lines


def _salvaged(raw: bytes) -> list[Outcome]:
    """Return the entries of a damaged list that are still whole."""
    found: list[Outcome] = []
    try:
        for _, _, text in cut_entries([raw], 1000):
            found += parse_entries(text)
    except BadFile:
        pass
    return found if any(isinstance(outcome, Atoms) for outcome in found) else []


def _ase_json(raw: bytes) -> list[Atoms]:
    """Read what ASE itself keeps as JSON."""
    from ase.io import read as ase_read

    return list(ase_read(io.StringIO(decode(raw)), format="json", index=slice(None)))


def _poscar(raw: bytes) -> Iterator[Outcome]:
    yield vasp.from_poscar(decode(raw))


def _cell(raw: bytes) -> Iterator[Outcome]:
    yield castep.from_cell(decode(raw))


class NamedText(io.StringIO):
    """ASE asks some streams for their file's name, to look beside it."""

    name = "no such folder/OUTCAR"


def _through_ase(form: str) -> Callable[[bytes], Iterator[Outcome]]:
    ase_name = {"vasprun": "vasp-xml", "outcar": "vasp-out", "castep": "castep-castep"}[form]

    def read(raw: bytes) -> Iterator[Outcome]:
        from ase.io import read as ase_read

        text = decode(raw)
        atoms = ase_read(io.BytesIO(raw) if form == "vasprun" else NamedText(text), format=ase_name, index=-1)
        if not isinstance(atoms, Atoms):
            raise BadCrystal("it holds no finished step")
        freeze(atoms)
        yield atoms

    return read


def freeze(atoms: Atoms) -> None:
    """Keep the numbers of a calculation and let its machinery go, which other processes need not have."""
    from ase.calculators.calculator import all_properties
    from ase.calculators.singlepoint import SinglePointCalculator

    known = getattr(atoms.calc, "results", None) or {}
    results = {key: value for key, value in known.items() if key in all_properties and value is not None}
    atoms.calc = SinglePointCalculator(atoms, **results) if results else None


READERS: dict[str, Callable[[bytes], Iterator[Outcome]]] = {
    "cif": _cif,
    "res": _res,
    "json": _json,
    "jsonl": _json_lines,
    "poscar": _poscar,
    "cell": _cell,
    **{form: _through_ase(form) for form in ("vasprun", "outcar", "castep")},
}


def read_single(raw: bytes, form: str) -> list[Outcome]:
    """Return atoms, or the reason why not, for every crystal in a file's bytes; nothing is raised, no warning leaks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(READERS[form](raw))
        except BadCrystal as err:
            return [str(err)]
        except Exception as err:  # other codes' readers raise many kinds, and none may end the run
            what = (str(err).strip().splitlines() or [""])[0][:200]
            cure = CURES.get(form, "write or download it again")
            return [f"cannot be read as {form} ({type(err).__name__}: {what}); {cure}"]
