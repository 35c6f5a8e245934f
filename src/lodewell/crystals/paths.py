"""Which files hold crystals, and in which format, told from their names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lodewell.errors import BadFile
from lodewell.files import COMPRESSED, bare_name, blocks

READ_FORMATS = (
    "CIF (.cif), POSCAR/CONTCAR (.vasp, .poscar), vasprun.xml, OUTCAR, CASTEP (.castep, .cell), AIRSS .res,"
    " extended XYZ (.extxyz, .xyz), ASE .db and .traj, and .json of Materials Project, pymatgen, OPTIMADE or JARVIS;"
    " all but .db and .traj also as .gz"
)
BY_SUFFIX = {
    ".cif": "cif",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".res": "res",
    ".castep": "castep",
    ".cell": "cell",
    ".xyz": "extxyz",
    ".extxyz": "extxyz",
    ".db": "db",
    ".traj": "traj",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
OUR_OWN = "summary.json"  # how files end that lodewell's own runs write into the folders people search


@dataclass(frozen=True)
class Found:
    """One file to read: `format` is None when neither its name nor its content tells."""

    path: str
    format: str | None


def format_from_name(path: str | Path) -> str | None:
    """Return the format a file name stands for, or None."""
    name = bare_name(path)
    upper = name.upper()
    if upper.startswith("VASPRUN") and upper.endswith(".XML"):
        return "vasprun"
    known = BY_SUFFIX.get(Path(name).suffix.lower())
    if known is not None:
        return known
    if upper.startswith(("POSCAR", "CONTCAR")):
        return "poscar"
    if upper.startswith("OUTCAR"):
        return "outcar"
    return None


def format_from_content(path: str | Path) -> str | None:  # noqa: PLR0911 a table of tell-tales
    """Guess the format from the first kilobytes of a file whose name says nothing."""
    try:
        head = next(blocks(path), b"")[:20000]
    except BadFile:
        return None
    if b"\0" in head:
        return "db" if head.startswith(b"SQLite format 3") else "traj" if head.startswith(b"- of Ulm") else None
    text = head.decode(errors="replace").lstrip("\ufeff \t\r\n")
    lines = text.splitlines()
    first = lines[0].strip() if lines else ""
    if text.startswith(("{", "[")):
        return "json"
    if "_cell_length_a" in text and any(line.startswith("data_") for line in lines):
        return "cif"
    if "<modeling>" in text:
        return "vasprun"
    if first.startswith("TITL"):
        return "res"
    if first.startswith("vasp."):
        return "outcar"
    if first.isdecimal() and len(lines) > 2:
        return "extxyz"
    if "%BLOCK LATTICE" in text.upper():
        return "cell"
    return "poscar" if _looks_like_poscar(lines) else None


def _looks_like_poscar(lines: list[str]) -> bool:
    try:
        float(lines[1].split()[0])
        return all(len([float(x) for x in lines[i].split()[:3]]) == 3 for i in (2, 3, 4))
    except (IndexError, ValueError):
        return False


def find_files(paths: str | Path | Sequence[str | Path]) -> Iterator[Found]:
    """Yield the files behind paths, folders (searched through) and patterns, each in sorted order.

    Raises `BadFile`, before the first file, for a missing path, a folder without crystals, and a pattern that matches
    nothing.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    if not paths:
        raise BadFile(f"no input given; name files, folders or patterns. Read are {READ_FORMATS}")
    expanded = [os.path.expanduser(str(given)) for given in paths]
    for path in expanded:
        next(_behind(path, sniff=False))  # refuses now rather than in the middle of a run
    for path in expanded:
        yield from _behind(path, sniff=True)


def _behind(path: str, sniff: bool) -> Iterator[Found]:
    if os.path.isdir(path):
        yield from _in_folder(path)
    elif os.path.exists(path):
        form = format_from_name(path)
        yield Found(path, format_from_content(path) if form is None and sniff else form)
    elif glob.has_magic(path):
        yield from _matching(path)
    else:
        raise BadFile(f"{path}: no such file or folder; check the path. Read are {READ_FORMATS}")


def _walk(folder: str) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and not name.endswith(OUR_OWN):
                yield os.path.join(root, name)


def _in_folder(folder: str) -> Iterator[Found]:
    count = seen = 0
    for path in _walk(folder):
        seen += 1
        form = format_from_name(path)
        if form is not None:
            count += 1
            yield Found(path, form)
    if not count:
        holds = f"holds {seen} files but none with crystals" if seen else "is empty"
        raise BadFile(f"{folder}: the folder {holds}; read are {READ_FORMATS}")


def _matching(pattern: str) -> Iterator[Found]:
    names = sorted(glob.glob(pattern, recursive=True))
    if not names:
        raise BadFile(
            f"{pattern}: the pattern matches nothing; check it, and quote ** patterns. Read are {READ_FORMATS}"
        )
    folders = [name for name in names if os.path.isdir(name)]
    files = [name for name in names if not os.path.isdir(name)]
    known = [Found(name, form) for name in files if (form := format_from_name(name)) is not None]
    if known:
        yield from known
    elif files:
        yield from (Found(name, format_from_content(name)) for name in files)
    else:
        for folder in folders:
            yield from _in_folder(folder)


def is_compressed(path: str | Path) -> bool:
    """Tell whether the name ends in .gz, .xz or .bz2."""
    return str(path).lower().endswith(COMPRESSED)
