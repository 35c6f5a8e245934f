"""Zip files of JSON and NumPy arrays, which all files of our own are, read within a budget and without pickles."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lodewell.errors import BadFile
from lodewell.files import Budget, open_regular

BUDGET = Budget(None, 50, 50_000_000)  # ours unfold two- to tenfold
LARGEST_META = 50_000_000  # bytes of meta.json
MOST_ENTRIES = 20_000
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what we write; others may unfold without a bound


def read_meta(path: str | Path, what: str, cure: str) -> Any:
    """Return what `meta.json` holds; `what` the file should be and the cure stand in refusals.

    Raises:
        BadFile: when there is none, or the file is damaged or costs more than it may.
    """
    return _read(path, what, cure, arrays=False)[0]


def read_archive(path: str | Path, what: str, cure: str) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return what `meta.json` holds, and the arrays by name; `what` and `cure` as in `read_meta`.

    Raises:
        BadFile: when the file is damaged, costs more than it may, or holds arrays of anything but numbers.
    """
    return _read(path, what, cure, arrays=True)


def _read(path: str | Path, what: str, cure: str, arrays: bool) -> tuple[Any, dict[str, NDArray[Any]]]:
    with open_regular(path) as handle:
        try:
            with zipfile.ZipFile(handle) as z:
                _check_cost(z, os.fstat(handle.fileno()).st_size)
                meta = json.loads(z.read("meta.json"))
                names = [name for name in z.namelist() if name.endswith(".npy")] if arrays else []
                return meta, {name[:-4]: _array(z, name) for name in names}
        except BadFile as error:
            raise BadFile(f"{path}: {error}: {cure}") from error
        except Exception as error:  # damage may show anywhere: in the zip, the JSON, the arrays
            why = " ".join(str(error).split())[:200]
            raise BadFile(f"{path}: not {what}, or cut short ({why}): {cure}") from error


def _check_cost(z: zipfile.ZipFile, on_disk: int) -> None:
    """Refuse, before anything is unfolded, what would take too much memory; the sizes said bind the reading."""
    entries = z.infolist()
    if len(entries) > MOST_ENTRIES or len({entry.filename for entry in entries}) < len(entries):
        raise BadFile("its entries are too many, or several have one name")
    if any(entry.compress_type not in METHODS for entry in entries):
        raise BadFile("compressed in another way than lodewell does")
    size = sum(entry.file_size for entry in entries)
    if size > BUDGET.unfolded(on_disk):
        raise BadFile(f"{on_disk:,} bytes that unfold to {size // 1_000_000:,} MB, as no file of lodewell does")
    if any(entry.file_size > LARGEST_META for entry in entries if entry.filename == "meta.json"):
        raise BadFile(f"its metadata is larger than {LARGEST_META // 1_000_000} MB, as no file of lodewell has it")


def _array(z: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read one array whose size and type are as it says; numbers in the order of bytes of this machine."""
    raw = io.BytesIO(z.read(name))
    version = np.lib.format.read_magic(raw)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read_header(raw)
    if dtype.kind not in "biuf" or math.prod(shape) * dtype.itemsize != len(raw.getbuffer()) - raw.tell():
        raise ValueError(f"{name[:-4]} is no array of numbers of the size that it says")
    raw.seek(0)
    found = np.load(raw, allow_pickle=False)
    return np.asarray(found, dtype=found.dtype.newbyteorder("="))
