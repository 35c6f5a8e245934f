"""Crystals into every format lodewell reads, each file all or nothing."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, cast

from ase import Atoms

from lodewell.crystals.formats.extxyz.write import extxyz_frame
from lodewell.crystals.formats.json import jarvis, optimade, pymatgen
from lodewell.crystals.formats.vasp import to_poscar
from lodewell.crystals.names import TAGS, tag_line
from lodewell.errors import BadCrystal, BadOption
from lodewell.files import atomic_path, bare_name, write_failure
from lodewell.text import SPELT_OUT

AT_ONCE = 500  # pieces of text joined before they are written
FORMATS = ("extxyz", "cif", "poscar", "db", "pymatgen", "optimade", "jarvis")
BY_SUFFIX = {
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
    ".cif": "cif",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".db": "db",
    ".json": "pymatgen",
}


def format_of(path: str | Path) -> str | None:
    """Return the format a file name stands for when writing, or None; `.optimade.json` and `.jarvis.json` are known."""
    name = bare_name(path)
    lower = name.lower()
    for special in ("optimade", "jarvis", "pymatgen"):
        if lower.endswith(f"{special}.json"):
            return special
    if name.upper().startswith(("POSCAR", "CONTCAR")):
        return "poscar"
    return BY_SUFFIX.get(Path(name).suffix.lower())


def cannot_hold(format: str, atoms: Atoms) -> str | None:
    """Return why a format cannot hold a crystal, or None."""
    periodic = bool(atoms.pbc.all()) and atoms.cell.rank == 3
    if format in ("cif", "jarvis") and not periodic:
        return f"{format} holds crystals periodic in three directions only"
    if format == "poscar" and atoms.cell.rank < 3:
        return "a POSCAR needs three cell vectors"
    return None


def write_crystals(path: str | Path, crystals: Atoms | Iterable[Atoms], *, format: str | None = None) -> None:
    """Write crystals to a file, or, for CIF and POSCAR, to a folder with one file each.

    The format follows from the name (`.extxyz`, `.xyz`, `.cif`, `.vasp`, `.db`, `.json`; with `.gz` compressed) or is
    one of `extxyz cif poscar db pymatgen optimade jarvis`. A path without a suffix, or an existing folder, stands for
    a folder of files named by `info["id"]`, else by number. Crystals are written as they come, so a generator may
    bring more than the memory holds. Raises `BadOption` for an unknown format, `BadCrystal` for what the format cannot
    hold, and `BadFile` when the system refuses.
    """
    images = iter([crystals] if isinstance(crystals, Atoms) else crystals)
    path = Path(path)
    form = format or format_of(path)
    if form not in FORMATS:
        raise BadOption(f"{path}: no format is known by this name; choose one of {', '.join(FORMATS)}")
    if form in ("cif", "poscar") and (path.is_dir() or format_of(path) is None):
        _write_folder(path, list(images), form)
    elif form == "db":
        _write_db(path, images)
    else:
        _write_pieces(path, _PIECES[form](images))


def _write_pieces(path: Path, pieces: Iterator[str]) -> None:
    if path.suffix.lower() in (".xz", ".bz2"):
        raise BadOption(f"{path}: compressed writing is gzip only; name it .gz")
    with atomic_path(path) as temporary, ExitStack() as stack:
        target: IO[bytes] = stack.enter_context(open(temporary, "wb"))
        if path.suffix.lower() == ".gz":
            packed = gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0, filename="")
            target = cast(IO[bytes], stack.enter_context(packed))
        while some := "".join(islice(pieces, AT_ONCE)):
            target.write(some.encode("utf-8", SPELT_OUT))


def file_names(crystals: Sequence[Atoms]) -> list[str]:
    """Name crystals for the disk: by `info["id"]` without awkward characters, by number where there is none."""
    width = len(str(len(crystals)))
    taken: set[str] = set()
    names = []
    for i, atoms in enumerate(crystals):
        identifier = atoms.info.get("id")
        stem = re.sub(r"[^\w.+-]+", "_", str(identifier)).strip("._")[:120] if identifier is not None else ""
        stem = stem or f"{i:0{width}d}"
        unique, again = stem, 1
        while unique.lower() in taken:
            again += 1
            unique = f"{stem}-{again}"
        taken.add(unique.lower())
        names.append(unique)
    return names


def _write_folder(folder: Path, crystals: Sequence[Atoms], form: str) -> None:
    suffix = {"cif": ".cif", "poscar": ".vasp"}[form]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise write_failure(folder, err) from err
    for atoms, name in zip(crystals, file_names(crystals), strict=True):
        _write_pieces(folder / f"{name}{suffix}", _PIECES[form](iter([atoms])))


def _poscar(crystals: Iterator[Atoms]) -> Iterator[str]:
    first = list(islice(crystals, 2))
    if len(first) != 1:
        many = "none" if not first else "several"
        raise BadOption(f"a POSCAR holds one crystal, not {many}; give a folder, or write extended XYZ")
    yield to_poscar(first[0])


def _cif(crystals: Iterator[Atoms]) -> Iterator[str]:
    for i, atoms in enumerate(crystals):
        tags = tag_line(atoms.info)
        name = re.sub(r"\s+", "_", str(atoms.info.get("id", f"image{i}")))
        yield (f"# {tags}\n" if tags else "") + cif_block(atoms, name) + "\n"


def cif_block(atoms: Atoms, name: str) -> str:
    """Write one data block in P1 with full precision; a molecule without a cell is refused."""
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise BadCrystal("a CIF holds crystals periodic in three directions only; write extended XYZ instead")
    lengths, angles = atoms.cell.lengths(), atoms.cell.angles()
    lines = [f"data_{name}"]
    lines += [f"_cell_length_{axis} {value:.10f}" for axis, value in zip("abc", lengths, strict=True)]
    lines += [
        f"_cell_angle_{axis} {value:.10f}" for axis, value in zip(("alpha", "beta", "gamma"), angles, strict=True)
    ]
    lines += [
        "_symmetry_space_group_name_H-M 'P 1'",
        "_symmetry_Int_Tables_number 1",
        "loop_",
        "_symmetry_equiv_pos_as_xyz",
        "'x, y, z'",
        "loop_",
        "_atom_site_type_symbol",
        "_atom_site_label",
        "_atom_site_fract_x",
        "_atom_site_fract_y",
        "_atom_site_fract_z",
        "_atom_site_occupancy",
    ]
    scaled = atoms.get_scaled_positions(wrap=False)
    for i, (symbol, (x, y, z)) in enumerate(zip(atoms.get_chemical_symbols(), scaled.tolist(), strict=True)):
        lines.append(f"{symbol} {symbol}{i + 1} {x:.12f} {y:.12f} {z:.12f} 1")
    return "\n".join(lines) + "\n"


def _listed(documents: Iterable[Any]) -> Iterator[str]:
    """Spell a JSON list piece by piece."""
    yield "["
    for i, document in enumerate(documents):
        yield (",\n" if i else "\n") + json.dumps(document)
    yield "\n]"


def _pymatgen(crystals: Iterator[Atoms]) -> Iterator[str]:
    """Write one structure alone, many as a list of `{material_id, structure}` documents."""
    first = list(islice(crystals, 2))
    if len(first) == 1:
        yield json.dumps(pymatgen.to_structure(first[0]))
    else:
        yield from _listed(pymatgen.to_entry(atoms) for atoms in chain(first, crystals))


def _named(crystals: Iterable[Atoms]) -> Iterator[tuple[Atoms, str]]:
    return ((atoms, str(atoms.info.get("id", i))) for i, atoms in enumerate(crystals))


def _optimade(crystals: Iterator[Atoms]) -> Iterator[str]:
    count = 0

    def resources() -> Iterator[dict[str, Any]]:
        nonlocal count
        for atoms, name in _named(crystals):
            count += 1
            yield optimade.to_structure(atoms, name)

    yield '{"data": '
    yield from _listed(resources())
    yield f', "meta": {json.dumps(optimade.meta(count))}}}'


def _jarvis(crystals: Iterator[Atoms]) -> Iterator[str]:
    return _listed(jarvis.to_entry(atoms, name) for atoms, name in _named(crystals))


_PIECES: dict[str, Callable[[Iterator[Atoms]], Iterator[str]]] = {
    "extxyz": lambda crystals: map(extxyz_frame, crystals),
    "cif": _cif,
    "poscar": _poscar,
    "pymatgen": _pymatgen,
    "optimade": _optimade,
    "jarvis": _jarvis,
}


def _write_db(path: Path, crystals: Iterable[Atoms]) -> None:
    from ase.db import connect

    with warnings.catch_warnings(), atomic_path(path) as temporary:
        warnings.simplefilter("ignore")
        temporary.unlink()
        with connect(str(temporary), type="db", use_lock_file=False) as database:
            for atoms in crystals:
                numbers = {key: atoms.info[key] for key in TAGS if isinstance(atoms.info.get(key), int | float)}
                database.write(atoms, numbers, data=_plain(atoms.info))


def _plain(info: dict[str, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in info.items() if not hasattr(value, "todict")}
