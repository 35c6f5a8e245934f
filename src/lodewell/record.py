"""A run of a verb: what it is carried out with, what it is known by, what it leaves behind.

Every verb that may take long works inside a `Run`, is recognised by one `fingerprint`, keeps sums in a `Checkpoint`
(crystals in a `lodewell.ledger.Ledger`), and ends with a summary of one schema, see `docs/runs.md`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lodewell.files import atomic_path, text_file
from lodewell.progress import Progress, silent
from lodewell.text import json_text, parsed_json
from lodewell.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lodewell.workers.base import Workers

SCHEMA = 1
KEYS = (
    *("schema", "command", "argv", "lodewell", "versions", "started", "seconds", "inputs", "options", "seed"),
    *("workers", "cluster", "fingerprint", "resumed", "outputs", "notes", "results"),
)
_PACKAGES = ("numpy", "scipy", "numba", "ase", "spglib")


class Run:
    """One call of a verb: its workers, its progress, its clock; use it in a `with` statement.

    Attributes:
        verb: its name on the command line, such as "relax".
        progress: is told what goes on.
        restart: forget what an interrupted run has left.
        fingerprint: what the run is known by, once the verb has set it.
    """

    def __init__(
        self,
        verb: str,
        *,
        workers: int | None = 1,
        cluster: str | None = None,
        progress: Progress = silent,
        restart: bool = False,
    ) -> None:
        self.verb, self.progress, self.restart = verb, progress, restart
        self.fingerprint: str | None = None
        self.laps: dict[str, float] = {}
        self._asked = (workers, cluster)
        self._pool: Workers | None = None
        self._began = datetime.now(UTC)
        self._first = self._last = time.perf_counter()

    @property
    def workers(self) -> Workers:
        """The workers of this run, which are started when they are first asked for and end with it.

        Raises BadOption and LodewellError as `lodewell.workers.open_workers`.
        """
        if self._pool is None:
            from lodewell.workers.open import open_workers

            self._pool = open_workers(*self._asked).__enter__()
        return self._pool

    @property
    def clustered(self) -> bool:
        """Whether the workers are on other machines, which may not see our files."""
        return self._asked[1] is not None

    @property
    def count(self) -> int | None:
        """How many workers were asked for, None for every core."""
        return self._asked[0]

    def alone(self) -> None:
        """Work in this process after all, if the number of workers was left open: the job is too small for more."""
        if self._asked == (None, None) and self._pool is None:
            self._asked = (1, None)

    def lap(self, name: str) -> None:
        """Book the seconds since the last lap under a name; those of one name add up."""
        now = time.perf_counter()
        self.laps[name] = round(self.laps.get(name, 0.0) + now - self._last, 3)
        self._last = now

    def summary(
        self,
        *,
        inputs: Mapping[str, Any],
        options: Any,
        results: Mapping[str, Any],
        seed: int | None = None,
        resumed: int = 0,
        notes: Iterable[str] = (),
        outputs: Iterable[str | Path] = (),
    ) -> dict[str, Any]:
        """Return what is said of the run afterwards, from which it can be repeated; its keys are `KEYS`, in order.

        inputs: what was read, by the name of the argument, `passed_over` and `potential` among it. options: a dataclass
        or a mapping. results: what the verb found. resumed: how many steps an earlier run had done. notes: sentences
        for the user. outputs: the files written.
        """
        workers, cluster = self._asked
        script = Path(sys.argv[0]).name if sys.argv else ""
        return {
            "schema": SCHEMA,
            "command": self.verb,
            "argv": sys.argv[1:] if script.startswith("lodewell") or script == "__main__.py" else None,
            "lodewell": __version__,
            "versions": versions(),
            "started": self._began.isoformat(timespec="seconds"),
            "seconds": {**self.laps, "total": round(time.perf_counter() - self._first, 3)},
            "inputs": dict(inputs),
            "options": plain(options),
            "seed": seed,
            "workers": workers,
            "cluster": cluster,
            "fingerprint": self.fingerprint,
            "resumed": resumed,
            "outputs": [str(path) for path in outputs],
            "notes": list(notes),
            "results": dict(results),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.__exit__(kind, error, tb)


def versions() -> dict[str, str]:
    """Return the versions of Python and of what computes, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def plain(value: Any) -> Any:
    """Return dataclasses as dictionaries; whatever else JSON does not know becomes text where it is written."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def summary_path(out: str | Path) -> Path:
    """Return where the summary of a run stands: in its folder, or beside its file, under the file's name."""
    path = Path(out)
    return path / "summary.json" if path.is_dir() else path.with_name(f"{path.stem}.summary.json")


def write_summary(out: str | Path, summary: Mapping[str, Any]) -> Path:
    """Write a summary into the folder of results, or beside the file of results, all or nothing; return its path."""
    path = summary_path(out)
    with text_file(path) as stream:
        stream.write(json_text(json.loads(json.dumps(summary, default=str)), indent=1) + "\n")
    return path


def fingerprint(*parts: Any) -> str:
    """Return what a run is known by, equal if options, potentials, files and the version of lodewell are equal.

    A part may be a dataclass or anything that JSON takes (options), a `Path` (a file, by name, size and time of last
    change), bytes (content), or something that has a `fingerprint()` of its own.
    """
    mark = hashlib.sha256(__version__.encode())
    for part in parts:
        mark.update(repr(type(part).__name__).encode())
        mark.update(_mark(part))
    return mark.hexdigest()


def _mark(part: Any) -> bytes:
    if isinstance(part, bytes):
        return hashlib.sha256(part).digest()
    if isinstance(part, Path):
        with suppress(OSError):  # what cannot be read is refused where it is read
            status = os.stat(part)
            return repr((os.fspath(part), status.st_size, status.st_mtime_ns)).encode("utf-8", "backslashreplace")
        return repr(os.fspath(part)).encode("utf-8", "backslashreplace")
    if isinstance(part, list | tuple):
        return b"[" + b",".join(hashlib.sha256(_mark(each)).digest() for each in part) + b"]"
    if callable(own := getattr(part, "fingerprint", None)):
        return str(own()).encode()
    return json.dumps(plain(part), sort_keys=True, default=repr).encode()


class Checkpoint:
    """What a run has added up so far, in one file beside its target, so that an interrupted one goes on.

    Attributes:
        path: the file, None to keep nothing.
        key: `fingerprint` of the run; the checkpoint of another is not used, and is written over.
        every: least seconds between two savings.
    """

    def __init__(self, path: Path | None, key: str, every: float = 60.0) -> None:
        self.path, self.key, self.every = path, key, every
        self._saved = time.monotonic()

    @classmethod
    def beside(cls, out: str | Path | None, key: str, every: float = 60.0) -> Checkpoint:
        """Return the checkpoint of a run that writes this file: `OUT.partial`."""
        return cls(None if out is None else Path(f"{out}.partial"), key, every)

    def load(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
        """Return what a run of the same key has kept, if there is one that is whole."""
        import numpy as np

        if self.path is None:
            return None
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            meta = parsed_json(str(arrays.pop("meta")))
            return (meta["of_run"], arrays) if meta["key"] == self.key else None
        except Exception:  # a damaged one may fail anywhere; the run begins afresh
            return None

    @property
    def due(self) -> bool:
        """Whether it is time to save again."""
        return self.path is not None and time.monotonic() - self._saved >= self.every

    def keep(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Save what JSON takes, and arrays by name, all or nothing."""
        import numpy as np

        if self.path is None:
            return
        text = json.dumps({"key": self.key, "of_run": dict(meta)})
        with atomic_path(self.path) as temporary, open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, meta=np.array(text), **arrays)
        self._saved = time.monotonic()

    def done(self) -> None:
        """Forget it: the run has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
