"""One file a potential: a zip of ``meta.json`` and ``.npy`` arrays, no pickle, readable for ever."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import numpy as np

from lodewell import __version__
from lodewell.errors import BadFile
from lodewell.files import atomic_path, bare_name
from lodewell.potentials.base import Potential

FORMAT = 1
SUFFIX = ".lodewell"

# Where each family lives: a file names its family, and only that module is imported.
_FAMILIES = {
    "lennard-jones": "lodewell.potentials.pair:LennardJones",
    "morse": "lodewell.potentials.pair:Morse",
    "buckingham": "lodewell.potentials.pair:Buckingham",
    "zbl": "lodewell.potentials.pair:ZBL",
    "table": "lodewell.potentials.table:PairTable",
    "uf": "lodewell.potentials.uf:UF",
    "statistical": "lodewell.potentials.statistical:Statistical",
    "sum": "lodewell.potentials.sum:Sum",
    "meam": "lodewell.potentials.meam:MEAM",
    "gap": "lodewell.potentials.gap.gap:GAP",
    "coulomb": "lodewell.potentials.ionic:Coulomb",
    "london": "lodewell.potentials.ionic:London",
    "born-mayer": "lodewell.potentials.ionic:BornMayer",
}

# Files of other codes by the end of their names, and the functions that read them.
_FOREIGN = {
    ".uf3": "lodewell.interop.lammps_uf3:read_uf3",
    ".meam.spline": "lodewell.interop.lammps_meam:read_meam_spline",
    ".xml": "lodewell.interop.quip:read_quip",
}


def family(kind: str) -> type[Potential]:
    """Return the class of a family by the name its files carry."""
    module, name = _FAMILIES[kind].split(":")
    found: type[Potential] = getattr(import_module(module), name)
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
        return _header(reader(path), {"source": Path(path).name})[0]
    return _open(Path(path))[0]


def load(name: str | Path) -> Potential:
    """Load a potential from a file, or one that is shipped by its name (`lodewell.shipped()` lists them).

    Files of LAMMPS (.uf3, .meam.spline) and of QUIP (.xml) are read as well.

    Raises:
        BadFile: when there is no such file or name, or the file is damaged or too new.
    """
    path = find(name)
    if (reader := _foreign(path)) is not None:
        return reader(path)
    header, arrays = _open(path)
    return family(header["kind"]).from_state(header["meta"], arrays)


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
    for ending, reader in _FOREIGN.items():
        if bare_name(path).endswith(ending):
            module, name = reader.split(":")
            found: Callable[[str | Path], Potential] = getattr(import_module(module), name)
            return found
    return None


def _open(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as z:
            header = json.loads(z.read("meta.json"))
            if header["format"] > FORMAT:
                raise BadFile(
                    f"{path}: written by lodewell {header['lodewell']} in format {header['format']}, "
                    f"this version reads up to {FORMAT}: upgrade lodewell"
                )
            arrays = {
                entry[:-4]: np.load(io.BytesIO(z.read(entry)), allow_pickle=False)
                for entry in z.namelist()
                if entry.endswith(".npy")
            }
    except FileNotFoundError:
        raise BadFile(f"{path}: no such file") from None
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"{path}: not a lodewell potential, or cut short ({error}): copy or derive it again") from error
    if header["kind"] not in _FAMILIES:
        raise BadFile(f"{path}: holds a potential of the unknown kind '{header['kind']}': upgrade lodewell")
    return header, arrays
