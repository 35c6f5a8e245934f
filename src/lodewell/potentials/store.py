"""One file a potential: a zip of ``meta.json`` and ``.npy`` arrays, no pickle, readable for ever."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lodewell import __version__
from lodewell.archive import read_archive, read_meta
from lodewell.errors import BadFile
from lodewell.files import atomic_path, bare_name
from lodewell.potentials.base import Potential
from lodewell.potentials.families import families, family_of, find_family, imported

FORMAT = 1
SUFFIX = ".lodewell"
_WHAT = ("a lodewell potential", "copy or derive it again")
LONGEST_CUTOFF = 100.0  # Å; a pair list beyond has no end


def family(kind: str) -> type[Potential]:
    """Return the class of a family by the name its files carry."""
    found: type[Potential] = imported(family_of(kind).potential)
    return found


def save(potential: Potential, path: str | Path, **about: Any) -> Path:
    """Write a potential to one file, atomically; `about` joins the metadata (data, licence, how it was made).

    Raises:
        BadFile: when the place cannot be written.
    """
    header, arrays = _header(potential, about)
    target = Path(path)
    if target.suffix != SUFFIX:
        target = target.with_name(target.name + SUFFIX)
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        z.writestr("meta.json", json.dumps(header, indent=1))
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(array), allow_pickle=False)
            z.writestr(f"{name}.npy", buffer.getvalue())
    return target


def _header(potential: Potential, about: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metadata and the arrays of a file."""
    meta, arrays = potential.state()
    header = {
        "format": FORMAT,
        "kind": potential.kind,
        "lodewell": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "cutoff": potential.cutoff,
        "elements": sorted(potential.species) if potential.species is not None else "all",
        "units": {"energy": "eV", "length": "Å", "calibrated": potential.calibrated},
        "about": about,
        "meta": meta,
    }
    return header, arrays


def read_header(path: str | Path) -> dict[str, Any]:
    """Return the metadata of a potential file without its arrays.

    Raises:
        BadFile: when it is no potential file, is cut short, or was written by a newer lodewell.
    """
    if (reader := _foreign(Path(path))) is not None:
        return _header(_read_foreign(reader, Path(path)), {"source": Path(path).name})[0]
    header: Any = read_meta(path, *_WHAT)
    _check_header(Path(path), header)
    found: dict[str, Any] = header
    return found


def load(name: str | Path) -> Potential:
    """Load a potential from a file, or one that is shipped by its name (`lodewell.shipped()` lists them).

    Files of LAMMPS (.uf3, .meam.spline) and of QUIP (.xml) are read as well.

    Raises:
        BadFile: when there is no such file or name, or the file is damaged or too new.
    """
    path = find(name)
    if (reader := _foreign(path)) is not None:
        return _read_foreign(reader, path)
    header, arrays = _open(path)
    return _make(path, header, arrays)


def shipped() -> dict[str, Path]:
    """Return the potentials that come with the package, by name."""
    folder = Path(str(resources.files("lodewell"))) / "data"
    return {p.stem: p for p in sorted(folder.glob(f"*{SUFFIX}"))}


def find(name: str | Path) -> Path:
    """Return the file of a shipped potential, or the path itself if it exists."""
    known = shipped()
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if not path.is_file():
        raise BadFile(
            f"there is no potential '{name}': give the path of a {SUFFIX} file, or one of those shipped: "
            f"{', '.join(known) or 'none'}"
        )
    return path


def _foreign(path: Path) -> Callable[[str | Path], Potential] | None:
    """Return the reader of another code's file, None for ours."""
    name = bare_name(path)
    if name.endswith(SUFFIX):
        return None
    for row in families().values():
        for ending, reader in row.reads.items():
            if name.endswith(ending):
                found: Callable[[str | Path], Potential] = imported(reader)
                return found
    return None


def _read_foreign(reader: Callable[[str | Path], Potential], path: Path) -> Potential:
    """Read another code's file; whatever a damaged one raises becomes a refusal."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            return reader(path)
    except BadFile:
        raise
    except Exception as error:  # a damaged file may fail anywhere
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadFile(f"{path}: damaged, or not what its name says ({why}): copy or write it again") from error


def _open(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    header, arrays = read_archive(path, *_WHAT)
    _check_header(path, header)
    return header, arrays


def _check_header(path: Path, header: Any) -> None:
    """Refuse a file that is no potential of ours, or one of a newer lodewell."""
    damaged = BadFile(f"{path}: not a lodewell potential, or damaged: copy or derive it again")
    if not isinstance(header, dict) or not isinstance(header.get("format"), int):
        raise damaged
    if header["format"] > FORMAT:
        raise BadFile(
            f"{path}: written by lodewell {header.get('lodewell')} in format {header['format']}, "
            f"this version reads up to {FORMAT}: upgrade lodewell"
        )
    kinds = {"kind": str, "meta": dict, "about": dict, "units": dict, "elements": list | str, "created": str}
    if not all(isinstance(header.get(key), kind) for key, kind in kinds.items()) or not _elements(header["elements"]):
        raise damaged
    if find_family(header["kind"]) is None:
        raise BadFile(f"{path}: holds a potential of the unknown kind '{header['kind']}': upgrade lodewell")


def _elements(given: Any) -> bool:
    """Tell whether a header names elements: atomic numbers, or `all`."""
    return given == "all" or (isinstance(given, list) and all(type(z) is int and 1 <= z <= 118 for z in given))


def _make(path: Path, header: dict[str, Any], arrays: dict[str, Any]) -> Potential:
    """Make the potential of a file, and hold it against what the file says of it."""
    bad = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
    if bad is not None:
        raise BadFile(f"{path}: damaged: {bad} holds numbers that are none (NaN or infinite): copy or derive it again")
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            potential = family(header["kind"]).from_state(header["meta"], arrays)
        again = _header(potential, {})[0]
    except Exception as error:  # a damaged file may fail anywhere
        why = " ".join(str(error).split())[:200]
        raise BadFile(f"{path}: damaged, what it holds is no {header['kind']} potential ({why})") from error
    if not 0.0 <= again["cutoff"] <= LONGEST_CUTOFF:
        raise BadFile(f"{path}: damaged: the cutoff is {again['cutoff']} Å")
    for key in ("cutoff", "elements", "units"):
        if again[key] != header.get(key):
            raise BadFile(f"{path}: damaged: it gives {key} {header.get(key)!r}, but holds {again[key]!r}")
    return potential
