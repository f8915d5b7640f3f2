"""Files of dbm and shelve: dbm.sqlite3 and dbm.dumb read here, dbm.gnu and dbm.ndbm by their modules.

The index of dbm.dumb, and the list of the keys of dbm.ndbm, are held in memory.
"""

import ast
import importlib
import os
from typing import Any, Dict, Iterator, List, Tuple

from .._core import CorruptError, FormatError, StorageError
from .detect import Found
from .record import BYTES, PICKLE, Record
from .source import Source
from .sqlite_file import SQLiteFile

Pairs = Iterator[Tuple[bytes, bytes]]


class _SQLite:
    def __init__(self, file: SQLiteFile) -> None:
        self.file = file
        self.files = file.files

    def __len__(self) -> int:
        return self.file.count("Dict")

    def pairs(self) -> Pairs:
        return self.file.rows("SELECT key, value FROM Dict")

    def close(self) -> None:
        self.file.close()


class _Dumb:
    """The text of .dir says where in .dat each value lies: 'key', (position, size)."""

    def __init__(self, path: str) -> None:
        self.files = [path + ".dir", path + ".dat"]
        self.index = dict(self._lines(self.files[0]))
        try:
            self.data = open(self.files[1], "rb")
        except OSError as error:
            raise StorageError(f"cannot read the source: {error}") from None

    @staticmethod
    def _lines(path: str) -> "Iterator[Tuple[bytes, Tuple[int, int]]]":
        with open(path, encoding="latin-1") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    key, (position, size) = ast.literal_eval(line)
                    if type(position) is not int or type(size) is not int or min(position, size) < 0:
                        raise ValueError("a place must be two numbers")
                    yield key.encode("latin-1"), (position, size)
                except (ValueError, SyntaxError, TypeError, AttributeError, RecursionError,
                        MemoryError) as error:
                    raise CorruptError(f"{path}, line {number}: {error}") from None

    def __len__(self) -> int:
        return len(self.index)

    def pairs(self) -> Pairs:
        end = os.fstat(self.data.fileno()).st_size
        for key, (position, size) in self.index.items():
            if position + size > end:
                raise CorruptError(f"the value of {key!r} lies beyond the end of {self.files[1]}")
            self.data.seek(position)
            yield key, self.data.read(size)

    def close(self) -> None:
        self.data.close()


class _Module:
    """What a module of the standard library reads."""

    def __init__(self, name: str, path: str) -> None:
        try:
            module = importlib.import_module(name)
        except ImportError:
            raise FormatError(f"{path} is a file of {name}, which this Python lacks") from None
        ends = ("", ".db", ".pag", ".dir")
        self.files = [path + end for end in ends if os.path.isfile(path + end)]
        self.error: Any = module.error
        try:
            self.db: Any = module.open(path, "r")
        except self.error as error:
            raise StorageError(f"cannot read {path}: {error}") from None

    def __len__(self) -> int:
        return len(self.db)

    def pairs(self) -> Pairs:
        try:
            for key in self._keys():
                yield key, self.db[key]
        except (self.error, KeyError) as error:
            raise CorruptError(f"{self.files[0]} is damaged: {error}") from None

    def _keys(self) -> Iterator[bytes]:
        if not hasattr(self.db, "firstkey"):
            yield from self.db.keys()
            return
        key = self.db.firstkey()
        while key is not None:
            yield key
            key = self.db.nextkey(key)

    def close(self) -> None:
        self.db.close()


def _reader(found: Found) -> Any:
    if found.files:
        return _SQLite(found.files[0])
    return _Dumb(found.path) if found.dbm == "dbm.dumb" else _Module(str(found.dbm), found.path)


def _key(key: bytes) -> Any:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        return key


class DbmSource(Source):
    def __init__(self, reader: Any, kind: str) -> None:
        super().__init__(reader.files)
        self.reader, self.kind = reader, kind
        self.form = PICKLE if kind == "shelve" else BYTES
        self.default_mode = "pickle" if kind == "shelve" else "bytes"

    def count(self) -> int:
        return len(self.reader)

    def records(self) -> Iterator[Record]:
        for key, value in self.reader.pairs():
            if not isinstance(key, bytes) or not isinstance(value, bytes):
                raise FormatError(f"the record {key!r} is not of bytes")
            yield Record(_key(key), self.form, value, len(key) + len(value))

    def close(self) -> None:
        self.reader.close()


def _kind_of(reader: Any, path: str) -> str:
    """A file whose first value looks like a pickle is a shelf; that one is not is never guessed."""
    for _, value in reader.pairs():
        if not (value[:1] == b"\x80" and value[-1:] == b"."):
            raise FormatError(f"{path} is a dbm file, and its first value is no pickle: "
                              "kind='dbm' copies bytes, kind='shelve' reads pickles")
        break
    return "shelve"


def open_file(found: Found) -> DbmSource:
    reader = _reader(found)
    try:
        return DbmSource(reader, found.kind or _kind_of(reader, found.path))
    except BaseException:
        reader.close()
        raise
