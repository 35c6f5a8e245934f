"""Databases of ASE, looked at before they are opened: what SQLite calls a table may be a program."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from lodewell.errors import BadFile
from lodewell.files import open_regular


def check_database(path: str | Path) -> None:
    """Refuse a database that is none of ASE, and one whose tables are computed while they are read, perhaps for ever.

    ASE itself would write its tables into a database of another program.

    Raises:
        BadFile: as said, and when it is no regular file or no database.
    """
    open_regular(path).close()
    try:
        with closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True)) as database:
            kinds = dict(database.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"))
            virtual = database.execute("SELECT count(*) FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'").fetchone()
            hidden = "SELECT hidden FROM pragma_table_xinfo(?)"  # not 0 for what is virtual or computed
            columns = [column for name in kinds for column in database.execute(hidden, (name,))]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: not a readable db of ASE ({error}); it may be cut short") from error
    if "systems" not in kinds:
        raise BadFile(f"{path}: a database, but none of ASE: it has no table `systems`")
    if "view" in kinds.values() or virtual[0] or any(flag for (flag,) in columns):
        raise BadFile(f"{path}: it holds views or computed columns, whose reading may have no end; remove them")
