"""Features on disk: one file a chunk of crystals, named by its content, read through memory maps.

A chunk's file is found again by the hash of its crystals and of what its features depend on; so a second run, or one
that goes on, computes nothing twice, and no file is ever stale. Only the batch at hand is in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.files import atomic_path, make_folder
from lodewell.predict.architecture import Architecture, Arrays, Field

_TYPES = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "I64": "<i8"}


def cache_folder(given: str | Path | None = None) -> Path:
    """Return the folder of caches: the one given, `$LODEWELL_CACHE`, or the user's own."""
    if given is not None:
        return Path(given)
    if "LODEWELL_CACHE" in os.environ:
        return Path(os.environ["LODEWELL_CACHE"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lodewell"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lodewell"


def content(atoms: Atoms) -> bytes:
    """Return a hash of elements, positions and cell, to 1e-6 Å."""
    machine = hashlib.blake2b(digest_size=16)
    machine.update(atoms.numbers.astype("<i4").tobytes())
    for array in (atoms.positions, atoms.cell.array):
        machine.update((np.round(array * 1e6) + 0.0).astype("<i8").tobytes())
    machine.update(bytes(atoms.pbc))
    return machine.digest()


def shard_name(architecture: Architecture, contents: list[bytes]) -> str:
    """Return the file name of these crystals' features."""
    about = json.dumps([architecture.name, architecture.version, architecture.feature_settings], sort_keys=True)
    return hashlib.blake2b(about.encode() + b"".join(contents), digest_size=16).hexdigest() + ".safetensors"


def write_shard(path: Path, fields: dict[str, Field], crystals: list[Arrays]) -> None:
    """Write the features of some crystals one after the other, with the first row of each on every axis.

    Raises:
        BadFile: when the file cannot be written.
    """
    from safetensors.numpy import save

    out: Arrays = {name: np.ascontiguousarray(np.concatenate([c[name] for c in crystals])) for name in fields}
    for name, field in fields.items():
        out.setdefault(f"first.{field.axis}", np.cumsum([0, *(len(c[name]) for c in crystals)]).astype(np.int64))
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(out))


class Shard:
    """The features of some crystals in a file."""

    def __init__(self, path: str | Path, fields: dict[str, Field]) -> None:
        self.path, self.fields = str(path), fields

    def __reduce__(self) -> tuple[Any, ...]:
        return Shard, (self.path, self.fields)

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Map every array of the file."""
        with open(self.path, "rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            header = json.loads(handle.read(length))
        room = np.memmap(self.path, np.uint8, "r", offset=8 + length).view(np.ndarray)
        found = {}
        for name, about in header.items():
            if name != "__metadata__":
                begin, end = about["data_offsets"]
                found[name] = room[begin:end].view(_TYPES[about["dtype"]]).reshape(about["shape"])
        return found

    def sound(self, count: int) -> bool:
        """Say whether the file is there, whole, and holds `count` crystals."""
        try:
            arrays = self._arrays
            return all(
                len(arrays[f"first.{field.axis}"]) == count + 1
                and arrays[f"first.{field.axis}"][-1] == len(arrays[name])
                for name, field in self.fields.items()
            )
        except (OSError, ValueError, OverflowError, KeyError, IndexError, AttributeError, TypeError, struct.error):
            self.__dict__.pop("_arrays", None)
            return False

    def crystal(self, k: int) -> Arrays:
        """Return the features of crystal k."""
        arrays, out = self._arrays, {}
        for name, field in self.fields.items():
            first = arrays[f"first.{field.axis}"]
            out[name] = arrays[name][first[k] : first[k + 1]]
        return out
