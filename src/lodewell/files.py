"""Files, read through their compression and written all or nothing."""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TextIO

from lodewell.errors import BadFile
from lodewell.text import SPELT_OUT

BLOCK = 1 << 20
COMPRESSED = (".gz", ".xz", ".bz2")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def bare_name(path: str | Path) -> str:
    """Return the file's name without `.gz`, `.xz` or `.bz2`."""
    name = Path(path).name
    for suffix in COMPRESSED:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _decompressor(path: str, head: bytes) -> _Decompressor | None:
    """Choose by the name, and for gzip also by the content: people rename files."""
    name = path.lower()
    if name.endswith(".gz") or head.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31)
    if name.endswith(".xz"):
        return lzma.LZMADecompressor()
    if name.endswith(".bz2"):
        return bz2.BZ2Decompressor()
    return None


def blocks(path: str | Path) -> Iterator[bytes]:
    """Yield the decompressed content of a file piece by piece, whatever could be read before any damage.

    Raises `BadFile`, after the readable part, when the file is cut short, damaged or cannot be opened.
    """
    path = str(path)
    try:
        with open(path, "rb") as handle:
            yield from _decompressed(path, iter(lambda: handle.read(BLOCK), b""))
    except OSError as err:
        raise BadFile(f"{path}: cannot be read ({err.strerror or err}); check the path and its permissions") from err
    except (zlib.error, lzma.LZMAError, EOFError) as err:
        raise BadFile(f"{path}: the compressed file is damaged ({err}); copy or download it again") from err


def _decompressed(path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress pieces; compressed files may be glued together or padded with zeros."""
    machine: _Decompressor | None = None
    plain = False
    for piece in pieces:
        raw = piece
        while raw:
            if machine is None and not plain:
                machine = _decompressor(path, raw)
                plain = machine is None
            if machine is None:
                yield raw
                break
            yield machine.decompress(raw)
            raw = b""
            if machine.eof:
                raw = machine.unused_data.lstrip(b"\0")
                machine = None
    if machine is not None:
        raise BadFile(f"{path}: the compressed file is cut short; copy or download it again")


def read_bytes(path: str | Path, limit: int | None = None) -> bytes:
    """Return the decompressed content of a file; raises `BadFile` when damaged or larger than `limit` bytes."""
    pieces, total = [], 0
    for piece in blocks(path):
        total += len(piece)
        if limit is not None and total > limit:
            raise BadFile(
                f"{path}: holds more than {limit // 1_000_000} MB, too much for one crystal file; split it into"
                " one file a crystal, or convert it to extended XYZ, which is read piece by piece"
            )
        pieces.append(piece)
    return b"".join(pieces)


def write_failure(path: str | Path, err: OSError) -> BadFile:
    """Say what went wrong when writing, and the cure."""
    cure = {
        errno.ENOSPC: "the disk is full; free some space or write elsewhere",
        errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
        errno.EROFS: "the folder is read-only; choose another with --out",
        errno.EACCES: "the folder does not let you write; choose another with --out",
        errno.EPERM: "the folder does not let you write; choose another with --out",
        errno.ENOENT: "the folder does not exist; create it first",
        errno.ENOTDIR: "part of the path is a file, not a folder; choose another path",
        errno.EISDIR: "the path is a folder; give a file name",
        errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
        errno.EFBIG: "the file would be larger than allowed here; write elsewhere",
    }.get(err.errno or 0, f"{err.strerror or err}; choose another path")
    return BadFile(f"{path}: cannot be written: {cure}")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside the target; on success it becomes the target, on any failure nothing changes.

    The data is flushed to the disk before the rename, so a crash leaves the old file or the new one, never a half.
    Raises `BadFile` with the cure where the system refuses (disk full, read-only folder ...).
    """
    target = Path(path)
    temporary = target.parent / f".{target.name[:80]}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        os.replace(temporary, target)
    except OSError as err:
        raise write_failure(target, err) from err
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def text_file(path: str | Path, *, newline: str | None = None) -> Iterator[TextIO]:
    """Give a text file that becomes the target on success, in valid UTF-8 whatever is written; see `atomic_path`."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline=newline, encoding="utf-8", errors=SPELT_OUT) as handle,
    ):
        yield handle


def check_writable(path: str | Path) -> None:
    """Raise `BadFile` when a file could not be written here, so that a long run is refused before it begins.

    What is tried is a new file under a random name, never one that is there, nor one behind a symbolic link.
    """
    target = Path(path)
    probe = target.parent / f".{target.name[:80]}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        with open(probe, "xb") as handle:
            handle.write(b"\0" * 65536)  # a full disk takes empty files still
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
    except OSError as err:
        raise write_failure(target, err) from err
    finally:
        with suppress(OSError):
            probe.unlink()
