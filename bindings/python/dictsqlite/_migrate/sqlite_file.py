"""SQLite files of others, read without changing a byte of them or beside them.

A file in rollback mode is opened with mode=ro, which takes locks and makes no file.  One in WAL mode
would get a -wal and a -shm even so: with no log it is opened as immutable.  A log or a hot journal
must be recovered before the file can be read, which writes: such a file is copied first, with
it, and recovered in the copy.
"""

import contextlib
import os
import pathlib
import shutil
import sqlite3
from typing import Any, Dict, Iterator, List

from .._core import CorruptError, FormatError, LockedError, StorageError

MAGIC = b"SQLite format 3\0"
_WAL_VERSION = 2
_READ_VERSION_AT = 19
_BUSY_S = 5.0


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Errors of SQLite as those of this package."""
    try:
        yield
    except sqlite3.OperationalError as error:
        kind = LockedError if "locked" in str(error) else StorageError
        raise kind(f"cannot read {path}: {error}") from None
    except sqlite3.DatabaseError as error:
        raise CorruptError(f"{path} is damaged: {error}") from None


def _text(data: bytes) -> str:
    # Text that is no UTF-8 reaches the check of the keys, which names it.
    return data.decode("utf-8", "surrogateescape")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class SQLiteFile:
    """An open file: its connection, and its tables of a key and a value."""

    def __init__(self, path: str, folder: str) -> None:
        self.path = path
        # SQLite keeps the log beside the file itself, not beside a link to it.
        real = os.path.realpath(path)
        self.files = [real] + [real + end for end in ("-wal", "-journal") if _holds(real + end)]
        with translated(path):
            self.connection = self._connect(folder)
            try:
                self._prepare()
            except BaseException:
                self.connection.close()
                raise

    def _connect(self, folder: str) -> sqlite3.Connection:
        if len(self.files) > 1:
            return self._connect_to_copy(folder)
        with open(self.files[0], "rb") as file:
            header = file.read(_READ_VERSION_AT + 1)
        way = "immutable=1" if header[_READ_VERSION_AT:] == bytes([_WAL_VERSION]) else "mode=ro"
        uri = f"{pathlib.Path(self.files[0]).as_uri()}?{way}"
        return sqlite3.connect(uri, timeout=_BUSY_S, uri=True, isolation_level=None)

    def _connect_to_copy(self, folder: str) -> sqlite3.Connection:
        before = [(os.stat(file).st_size, os.stat(file).st_mtime_ns) for file in self.files]
        copy = os.path.join(folder, "source")
        try:
            for file in self.files:
                shutil.copyfile(file, copy + file[len(self.files[0]):])
            after = [(os.stat(file).st_size, os.stat(file).st_mtime_ns) for file in self.files]
        except OSError as error:
            raise StorageError(f"cannot copy the source: {error}") from None
        if before != after:
            raise LockedError(f"{self.path} is being written to")
        return sqlite3.connect(copy, timeout=_BUSY_S, isolation_level=None)

    def _prepare(self) -> None:
        self.connection.text_factory = _text
        self.connection.execute("PRAGMA query_only=ON")
        self.connection.execute("PRAGMA trusted_schema=OFF")
        self.connection.execute("PRAGMA cell_size_check=ON")
        names = self.connection.execute(
            "SELECT name FROM sqlite_master WHERE type='table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name").fetchall()
        self.tables: Dict[str, Dict[str, str]] = {name: self._columns(name) for (name,) in names}

    def _columns(self, table: str) -> Dict[str, str]:
        rows = self.connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
        return {row[1]: row[2].upper() for row in rows}

    def rows(self, query: str, *values: Any) -> Iterator[Any]:
        with translated(self.path):
            yield from self.connection.execute(query, values)

    def count(self, table: str) -> int:
        return next(self.rows(f"SELECT count(*) FROM {quoted(table)}"))[0]

    def close(self) -> None:
        self.connection.close()


def _holds(path: str) -> bool:
    """Whether a log or a journal has something in it."""
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"cannot read the source: {error}") from None


def choose_table(tables: List[str], table: Any, path: str) -> str:
    """The table that the caller means: the only one, or the one named."""
    if table is None and len(tables) == 1:
        return tables[0]
    if table in tables:
        return table
    listed = ", ".join(map(repr, tables))
    if table is None:
        raise FormatError(f"{path} has several tables, table must name one: {listed}")
    raise FormatError(f"{path} has no table {table!r}; it has {listed}")
