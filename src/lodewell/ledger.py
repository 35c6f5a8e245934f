"""What a long run has finished, in one SQLite file, so that it can go on after an interruption.

Work is cut in chunks; each has a key that says what went in. A chunk is written whole or not at all, and a run that
starts again skips those whose key is there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lodewell.errors import BadFile

_TABLES = """
CREATE TABLE IF NOT EXISTS chunks (key TEXT PRIMARY KEY, failed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS items (
    key TEXT NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL, data BLOB, extra BLOB, PRIMARY KEY (key, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (folder TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (folder, name)) WITHOUT ROWID;
"""

Item = tuple[str, bytes | None, bytes | None]  # a line of text, and up to two pieces of data


class Ledger:
    """The chunks of a run and their items; use it in a `with` statement.

    Raises:
        BadFile: when the file cannot be written or is no ledger, with the cure.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_symlink():  # SQLite would follow it, and write to a file of somebody else
            raise BadFile(f"{self.path}: a symbolic link; remove it, or choose another folder with --out")
        with self._clear():
            self._database = sqlite3.connect(self.path)
            self._refuse_others()
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_TABLES)
            self._database.execute("PRAGMA user_version = 1")
            self._database.commit()

    def _refuse_others(self) -> None:
        """Leave databases alone that are no ledger."""
        there = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type != 'index'")}
        if there and not {"chunks", "items"} <= there <= {"chunks", "items", "files"}:
            self._database.close()
            raise BadFile(f"{self.path}: a database of another program; choose another folder with --out")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._database.close()

    def has(self, key: str) -> bool:
        """Tell whether a chunk is finished; one that was given up counts as not."""
        with self._clear():
            return (
                self._database.execute("SELECT 1 FROM chunks WHERE key = ? AND failed = 0", (key,)).fetchone()
                is not None
            )

    def put(self, key: str, items: Iterable[Item], failed: bool = False) -> None:
        """Write a chunk, whole or not at all; a `failed` one is there to be read, and done again by the next run."""
        rows = [(key, place, *item) for place, item in enumerate(items)]
        with self._clear(), self._database as database:
            database.execute("DELETE FROM items WHERE key = ?", (key,))
            database.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?)", (key, int(failed)))

    def texts(self, key: str) -> list[str]:
        """Return the text of each item of a chunk."""
        with self._clear():
            found = self._database.execute("SELECT text FROM items WHERE key = ? ORDER BY place", (key,))
            return [text for (text,) in found]

    def documents(self, key: str) -> Iterator[Any]:
        """Yield what the texts of a chunk are as JSON."""
        for text in self.texts(key):
            try:
                yield json.loads(text)
            except (ValueError, TypeError, RecursionError) as error:
                raise self.damaged() from error

    def damaged(self) -> BadFile:
        """Make the refusal of a ledger whose content is not what was put in."""
        return BadFile(f"{self.path}: it is damaged: delete it, and the run starts afresh")

    def data(self, key: str, extra: bool = False) -> Iterator[bytes | None]:
        """Yield the data, or the extra data, of each item of a chunk."""
        column = "extra" if extra else "data"
        with self._clear():
            found = self._database.execute(f"SELECT {column} FROM items WHERE key = ? ORDER BY place", (key,))
            for (piece,) in found:
                yield piece

    def piece(self, key: str, place: int) -> bytes | None:
        """Return the data of one item."""
        with self._clear():
            found = self._database.execute(
                "SELECT data FROM items WHERE key = ? AND place = ?", (key, place)
            ).fetchone()
        return None if found is None else found[0]

    def keep_only(self, keys: Sequence[str]) -> None:
        """Forget all other chunks: those of earlier inputs and options."""
        with self._clear(), self._database as database:
            database.execute("CREATE TEMP TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY)")
            database.execute("DELETE FROM kept")
            database.executemany("INSERT OR IGNORE INTO kept VALUES (?)", [(key,) for key in keys])
            database.execute("DELETE FROM items WHERE key NOT IN (SELECT key FROM kept)")
            database.execute("DELETE FROM chunks WHERE key NOT IN (SELECT key FROM kept)")

    def replace_files(self, folder: str, names: Sequence[str]) -> list[str]:
        """Keep the names of the files that a run writes to a folder; return those that only the run before wrote."""
        with self._clear(), self._database as database:
            old = database.execute("SELECT name FROM files WHERE folder = ?", (folder,)).fetchall()
            database.execute("DELETE FROM files WHERE folder = ?", (folder,))
            database.executemany("INSERT OR IGNORE INTO files VALUES (?, ?)", [(folder, name) for name in names])
        return sorted({name for (name,) in old} - set(names))

    @contextmanager
    def _clear(self) -> Iterator[None]:
        """Say what went wrong, and the cure."""
        try:
            yield
        except UnicodeDecodeError as error:  # names of tables, in a damaged file
            raise self.damaged() from error
        except sqlite3.DatabaseError as error:
            cure = "choose another folder with --out"
            if "full" in str(error):
                cure = "free some space, or choose another folder with --out"
            elif "not a database" in str(error) or "malformed" in str(error):
                cure = "it is damaged: delete it, and the run starts afresh"
            elif "locked" in str(error):
                cure = "another run is writing there: wait for it, or choose another folder with --out"
            raise BadFile(f"{self.path}: cannot be written ({error}): {cure}") from error
