"""Files, read through their compression and written all or nothing."""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

from lodewell.errors import BadFile
from lodewell.text import SPELT_OUT

BLOCK = 1 << 20
UNFOLDED = 4 << 20  # bytes that a decompressor gives at a time
DICTIONARY = 256 << 20  # bytes of memory that an .xz may ask for; 65 MB do for `xz -9`
COMPRESSED = (".gz", ".xz", ".bz2")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


@dataclass(frozen=True)
class Budget:
    """What a file may cost, decided before it is read.

    | field | meaning |
    |---|---|
    | `size` | bytes of content, None for what is used piece by piece |
    | `growth` | how many times its size on the disk a compressed file may unfold to |
    | `free` | bytes that it may unfold to in any case |
    """

    size: int | None
    growth: int
    free: int

    def unfolded(self, on_disk: int) -> int:
        """Return how many bytes a compressed file may unfold to."""
        return max(self.free, self.growth * on_disk)


STREAM = Budget(None, 1000, 100_000_000)  # gzip reaches 1032 on nothing but zeros
WHOLE = Budget(500_000_000, 200, 20_000_000)


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
        return lzma.LZMADecompressor(memlimit=DICTIONARY)
    if name.endswith(".bz2"):
        return bz2.BZ2Decompressor()
    return None


def unreadable(path: str | Path, err: OSError) -> BadFile:
    """Say why the system does not let a file be read, and the cure."""
    return BadFile(f"{path}: cannot be read ({err.strerror or err}); check the path and its permissions")


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading; what is none could keep a run waiting for ever, or never end.

    Raises `BadFile` for a pipe, a device, a socket and a folder, and where the system refuses.
    """
    try:
        _refuse_special(path, os.stat(path).st_mode)  # first: opening alone may set a device going
        handle = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")  # noqa: SIM115 it is returned
        try:
            _refuse_special(path, os.fstat(handle.fileno()).st_mode)
        except BadFile:
            handle.close()
            raise
    except OSError as err:
        raise unreadable(path, err) from err
    return handle


def _refuse_special(path: str | Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise BadFile(f"{path}: {kind}, not a file; write its content to a file and give that")


def blocks(path: str | Path, budget: Budget = STREAM) -> Iterator[bytes]:
    """Yield the decompressed content of a file piece by piece, whatever could be read before any damage.

    Raises `BadFile`, after the readable part, when the file is cut short, damaged, costs more than its budget, is no
    regular file or cannot be opened.
    """
    path = str(path)
    with open_regular(path) as handle:
        on_disk = os.fstat(handle.fileno()).st_size
        if budget.size is not None and on_disk > budget.size:
            raise _too_large(path, budget.size)
        total = 0
        try:
            for piece, compressed in _decompressed(path, iter(lambda: handle.read(BLOCK), b"")):
                total += len(piece)
                if budget.size is not None and total > budget.size:
                    raise _too_large(path, budget.size)
                if compressed and total > budget.unfolded(on_disk):
                    raise BadFile(
                        f"{path}: {on_disk:,} bytes that unfold to more than {budget.unfolded(on_disk) // 1_000_000}"
                        " MB, as no crystals do; if that is meant, decompress it first"
                    )
                yield piece
        except OSError as err:
            raise unreadable(path, err) from err
        except (zlib.error, lzma.LZMAError, EOFError) as err:
            raise BadFile(f"{path}: the compressed file is damaged ({err}); copy or download it again") from err


def _too_large(path: str, size: int) -> BadFile:
    return BadFile(
        f"{path}: holds more than {size // 1_000_000} MB, too much for one file that is read whole; split it into one"
        " file a crystal, or convert it to extended XYZ, which is read piece by piece"
    )


def _decompressed(path: str, pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield pieces of content, and whether they were compressed; files may be glued together or padded with zeros."""
    machine: _Decompressor | None = None
    plain = False
    for piece in pieces:
        raw = piece
        while raw:
            if machine is None and not plain:
                machine = _decompressor(path, raw)
                plain = machine is None
            if machine is None:
                yield raw, False
                break
            yield from ((out, True) for out in _unfolded(machine, raw))
            raw = b""
            if machine.eof:
                raw = machine.unused_data.lstrip(b"\0")
                machine = None
    if machine is not None:
        raise BadFile(f"{path}: the compressed file is cut short; copy or download it again")


def _unfolded(machine: _Decompressor, raw: bytes) -> Iterator[bytes]:
    """Yield all that some compressed bytes give, never much at a time: few bytes may stand for gigabytes."""
    while True:
        out = machine.decompress(raw, UNFOLDED)
        if out:
            yield out
        raw = getattr(machine, "unconsumed_tail", b"")  # zlib hands back what it did not look at, the others keep it
        if machine.eof or (not raw and len(out) < UNFOLDED):
            return


def read_bytes(path: str | Path, limit: int | None = None) -> bytes:
    """Return the decompressed content of a file that is held in memory.

    limit: most bytes of content, half a gigabyte where nothing is said. Raises `BadFile` as `blocks` does.
    """
    return b"".join(blocks(path, WHOLE if limit is None else replace(WHOLE, size=limit)))


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


def make_folder(path: str | Path) -> Path:
    """Make a folder, with those above it, where it is not there yet.

    Raises `BadFile` with the cure where the system refuses.
    """
    target = Path(path)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise write_failure(target, err) from err
    return target


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
