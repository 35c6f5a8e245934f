"""What a crystal is called: in tables by where it came from, on disk by its row, its formula and where it came from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

# What joins a written crystal to its row: keys of `info`, in the order of comment lines.
TAGS = ("index", "rank", "status", "duplicate_of", "source", "above_hull", "percentile")
_SAY_NOTHING = ("POSCAR", "CONTCAR", "OUTCAR", "VASPRUN")  # names that every folder of a calculation has
_SUFFIX = re.compile(
    r"(?:\.(?:cif|mcif|vasp|poscar|res|cell|castep|xml|json|jsonl|extxyz|xyz|db|traj))?(?:\.(?:gz|xz|bz2))?(:\d+)?$",
    re.IGNORECASE,
)
_LONGEST = 80  # letters of the last part of a name on disk


def tails(files: Iterable[str]) -> dict[str, str]:
    """Return the shortest end of each path that no other path has: "run292/POSCAR", or "POSCAR" where it is alone."""
    parts = {file: PurePath(file).parts for file in files}
    out: dict[str, str] = {}
    depth = 0
    while len(out) < len(parts):
        depth += 1
        shared = Counter(whole[-depth:] for whole in parts.values())
        for file, whole in parts.items():
            if file not in out and (shared[whole[-depth:]] == 1 or depth >= len(whole)):
                out[file] = str(PurePath(*whole[-depth:]))
    return out


def places(rows: Sequence[Any]) -> list[str]:
    """Name each crystal briefly: by its file where that holds one, else by its own name, else by file and frame.

    Files are told by the shortest end of their path that no other has, crystals by their own name only where no other
    has it. A row has `file`, `frame` and `id`.
    """
    tail = tails({row.file for row in rows if row.file})
    frames = Counter(row.file for row in rows)
    names = Counter(row.id for row in rows)
    out = []
    for row in rows:
        short = tail[row.file] if row.file else "crystal"
        alone = row.file and frames[row.file] == 1
        out.append(short if alone else row.id if row.id and names[row.id] == 1 else f"{short}:{row.frame}")
    return out


def stems(rows: Sequence[Any]) -> list[str]:
    """Name each crystal on disk: "0017-Fe2O24P8-run339", its place among the rows first, so that no two are the same.

    A row has `file`, `frame`, `id` and `formula`.
    """
    width = max(4, len(str(len(rows) - 1)))
    return [
        "-".join(filter(None, (f"{k:0{width}d}", row.formula, _on_disk(place))))
        for k, (row, place) in enumerate(zip(rows, places(rows), strict=True))
    ]


def _on_disk(place: str) -> str:
    """Return the telling part of a place without awkward characters: "run292" of "run292/POSCAR"."""
    path = PurePath(place)
    bare = _SUFFIX.sub(r"\1", path.name)
    if bare.upper() in _SAY_NOTHING:
        bare = ""
    return re.sub(r"[^\w.+-]+", "_", "_".join(filter(None, (*path.parts[:-1], bare)))).strip("._")[:_LONGEST]


def tag_line(info: dict[str, Any]) -> str:
    """Return what joins a crystal to its row as a comment, such as "index=17 rank=1 source=run339/POSCAR:0"."""
    return " ".join(f"{key}={_word(info[key])}" for key in TAGS if key in info)


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
