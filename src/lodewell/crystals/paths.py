"""Which files hold crystals, and in which format, told from their names."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lodewell.errors import BadFile
from lodewell.files import COMPRESSED, bare_name, blocks

READ_FORMATS = (
    "CIF (.cif, .mcif), POSCAR/CONTCAR (.vasp, .poscar), vasprun.xml, OUTCAR, CASTEP (.castep, .cell), AIRSS .res,"
    " extended XYZ (.extxyz, .xyz), ASE .db and .traj, and .json or .jsonl of Materials Project, pymatgen, OPTIMADE or"
    " JARVIS; all but .db and .traj also as .gz"
)
BY_SUFFIX = {
    ".cif": "cif",
    ".mcif": "cif",
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
# Names of VASP's files with words before and behind: NaCl_POSCAR, a.CONTCAR, POSCAR_1; and phonopy's SPOSCAR.
VASP_NAME = re.compile(
    r"(?:^|[._\- ])(?:[SPBM]?(POSCAR)|(CONTCAR)|(OUTCAR)|(VASPRUN)(?=.*XML))(?![A-Z])", re.IGNORECASE
)
VASP_FORMATS = ("poscar", "poscar", "outcar", "vasprun")
FOREIGN = frozenset(  # of these, POSCAR.py and the like are no crystals
    ".py .sh .ipynb .png .pdf .svg .jpg .md .rst .html .log .csv .yaml .yml .toml .zip .tar .sub .slurm".split()  # noqa: SIM905
)
TELLING_NOTHING = re.compile(r"|\.(?:txt|dat|xml|out|\d+)")  # suffixes behind which a crystal may hide
OTHER_VASP = re.compile(  # not looked into: they begin like a POSCAR
    "(?:CHG|CHGCAR|PARCHG|LOCPOT|ELFCAR|XDATCAR|AECCAR|INCAR|KPOINTS|POTCAR|OSZICAR|DOSCAR|EIGENVAL|PROCAR|IBZKPT|PCDAT"
    "|WAVECAR|WAVEDER|REPORT|VASPOUT)",
    re.IGNORECASE,
)
OUR_OWN = "summary.json"  # how files end that lodewell's own runs write into the folders people search


@dataclass(frozen=True)
class CrystalFile:
    """One file to read: `format` is None when neither its name nor its content tells."""

    path: str
    format: str | None


def format_from_name(path: str | Path) -> str | None:
    """Return the format a file name stands for, or None."""
    name = bare_name(path)
    suffix = Path(name).suffix.lower()
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if suffix == ".txt":  # how browsers save a .cif
        return format_from_name(name[: -len(suffix)])
    match = VASP_NAME.search(name) if suffix not in FOREIGN else None
    return VASP_FORMATS[(match.lastindex or 1) - 1] if match else None


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
    if first.isdecimal() and len(lines) > 2 and re.match(r"\s*[A-Za-z]{1,2}\b.*\s-?[\d.]+", lines[2]):
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


def find_files(paths: str | Path | Sequence[str | Path]) -> Iterator[CrystalFile]:
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


def passed_over(paths: str | Path | Sequence[str | Path]) -> dict[str, int]:
    """Count, by kind, the files in folders and behind patterns that are not read: `{".png": 3, "INCAR": 1}`."""
    if isinstance(paths, str | Path):
        paths = [paths]
    kinds: Counter[str] = Counter()
    for given in paths:
        path = os.path.expanduser(str(given))
        if os.path.isdir(path) or not os.path.exists(path):
            kinds.update(_kind(found.path) for found in _gathered(path) if found.format is None)
    return dict(kinds.most_common())


def passed_over_text(paths: str | Path | Sequence[str | Path]) -> str:
    """Return what was passed over as a sentence, empty when nothing was."""
    kinds = passed_over(paths)
    if not kinds:
        return ""
    most = list(kinds.items())[:8]
    listed = ", ".join(f"{count:,} {kind}" for kind, count in most) + (", …" if len(kinds) > len(most) else "")
    total = sum(kinds.values())
    return f"passed over, as no format that is read: {total:,} {'file' if total == 1 else 'files'} ({listed})"


def _kind(path: str) -> str:
    name = bare_name(path)
    return Path(name).suffix.lower() or (name if OTHER_VASP.fullmatch(name) else "without suffix")


def _behind(path: str, sniff: bool) -> Iterator[CrystalFile]:
    if os.path.exists(path) and not os.path.isdir(path):
        form = format_from_name(path)
        yield CrystalFile(path, format_from_content(path) if form is None and sniff else form)
        return
    gathered = _gathered(path)
    seen = files = 0
    for found in gathered:
        files += 1
        if found.format is not None:
            seen += 1
            yield found
    if seen:
        return
    if os.path.isdir(path):
        holds = f"holds {files} files but none with crystals" if files else "is empty"
        raise BadFile(f"{path}: the folder {holds}; read are {READ_FORMATS}")
    if not glob.has_magic(path):
        raise BadFile(f"{path}: no such file or folder; check the path. Read are {READ_FORMATS}")
    if not files:
        raise BadFile(f"{path}: the pattern matches nothing; check it, and quote ** patterns. Read are {READ_FORMATS}")
    yield from (CrystalFile(found.path, format_from_content(found.path)) for found in _gathered(path))


def _gathered(path: str) -> Iterator[CrystalFile]:
    """Yield every file in a folder or behind a pattern; the format is None where neither name nor content tells."""
    if os.path.isdir(path):
        yield from (CrystalFile(name, _format(name)) for name in _walk(path))
        return
    names = sorted(glob.glob(path, recursive=True))
    within = {parent for name in names for parent in _parents(name)}
    for name in names:
        if not os.path.isdir(name):
            yield CrystalFile(name, _format(name))
        elif name.rstrip(os.sep) not in within:  # a recursive pattern has found what is in it
            yield from (CrystalFile(inner, _format(inner)) for inner in _walk(name))


def _parents(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) not in ("", path):
        yield parent
        path = parent


def _format(path: str) -> str | None:
    """Return the format by the name, or by the content of plain files whose name leaves it open."""
    name = bare_name(path)
    form = format_from_name(path)
    if form is not None or not TELLING_NOTHING.fullmatch(Path(name).suffix.lower()) or OTHER_VASP.match(name):
        return form
    return format_from_content(path) if os.path.isfile(path) else None


def _walk(folder: str) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and not name.endswith(OUR_OWN):
                yield os.path.join(root, name)


def is_compressed(path: str | Path) -> bool:
    """Tell whether the name ends in .gz, .xz or .bz2."""
    return str(path).lower().endswith(COMPRESSED)
