"""What a path holds, by its content."""

import dbm
import os
import re
from typing import List, NamedTuple, Optional

from .._core import FormatError, StorageError
from .sqlite_file import MAGIC, SQLiteFile

_SEALED = b"dictsqlite seal\0"
_OURS = {"kv", "journal", "meta"}
_OF_A_CACHE = {"key", "raw", "expire_time", "mode", "filename", "value"}
_TYPES = {"sqlitedict": ("TEXT", "BLOB"), "dictsqlite1": ("TEXT", "TEXT")}
_DBM_ENDS = (".dat", ".dir", ".db", ".pag")
_SHARD = re.compile(r"\d{3,}")


class Found(NamedTuple):
    """kind: None for a dbm file of which the caller did not say whether it is a shelf.

    files: the SQLite files, opened.  tables: those that hold records.  dbm: the module's name.
    """

    path: str
    kind: Optional[str]
    files: List[SQLiteFile]
    tables: List[str]
    dbm: Optional[str]


def find(path: str, kind: Optional[str], folder: str) -> Found:
    """What is at path; FormatError if it is not of the kind, or of none."""
    if os.path.isdir(path):
        found = _find_caches(path, folder)
    elif os.path.isfile(path) and _begins_with(path, MAGIC):
        found = _find_tables(path, kind, folder)
    else:
        found = _find_dbm(path)
    if kind is None or found.kind == kind:
        return found
    if found.dbm is not None and kind in ("shelve", "dbm"):
        return found._replace(kind=kind)
    for file in found.files:
        file.close()
    raise FormatError(f"{path} is no {kind} file but one of {_described(found)}")


def _described(found: Found) -> str:
    return f"{found.dbm}" if found.dbm else str(found.kind)


def _begins_with(path: str, magic: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise StorageError(f"cannot read the source: {error}") from None


def _find_caches(path: str, folder: str) -> Found:
    """A diskcache Cache, or a FanoutCache with a Cache in each of its shards."""
    names = [path] + [os.path.join(path, name) for name in sorted(os.listdir(path))
                      if _SHARD.fullmatch(name)]
    caches = [name for name in (os.path.join(name, "cache.db") for name in names)
              if os.path.isfile(name)]
    if not caches:
        raise FormatError(f"{path} is a directory without the cache.db of diskcache")
    files: List[SQLiteFile] = []
    try:
        for number, cache in enumerate(caches):
            inner = os.path.join(folder, str(number))
            os.mkdir(inner)
            files.append(SQLiteFile(cache, inner))
            if not _is_cache(files[-1]):
                raise FormatError(f"{cache} has no table Cache of diskcache")
    except BaseException:
        for file in files:
            file.close()
        raise
    return Found(path, "diskcache", files, ["Cache"], None)


def _is_cache(file: SQLiteFile) -> bool:
    return _OF_A_CACHE <= set(file.tables.get("Cache", ()))


def _find_tables(path: str, kind: Optional[str], folder: str) -> Found:
    file = SQLiteFile(path, folder)
    try:
        return _find_in(file, path, kind)
    except BaseException:
        file.close()
        raise


def _find_in(file: SQLiteFile, path: str, kind: Optional[str]) -> Found:
    if _OURS <= set(file.tables):
        raise FormatError(f"{path} is a store of this library already")
    if _is_cache(file):
        return Found(os.path.dirname(path), "diskcache", [file], ["Cache"], None)
    pairs = {name: (columns["key"], columns["value"]) for name, columns in file.tables.items()
             if {"key", "value"} <= set(columns)}
    predecessors = [name for name, pair in pairs.items()
                    if name.startswith("kv_") and pair == ("TEXT", "BLOB")]
    # The predecessor makes kv_store in any case; a table of sqlitedict may have any name.
    if predecessors and (kind == "dictsqlite" or kind != "sqlitedict" and "kv_store" in pairs):
        return Found(path, "dictsqlite", [file], predecessors, None)
    if pairs.get("Dict") == ("BLOB", "BLOB"):
        return Found(path, None, [file], ["Dict"], "dbm.sqlite3")
    for name in sorted(_TYPES, key=lambda name: name != kind):
        tables = [table for table, pair in pairs.items() if pair == _TYPES[name]]
        if tables:
            return Found(path, name, [file], tables, None)
    listed = ", ".join(map(repr, file.tables)) or "none"
    raise FormatError(f"{path} is an SQLite file with no table of a known library; it has {listed}")


def _find_dbm(path: str) -> Found:
    if os.path.isfile(path) and _begins_with(path, _SEALED):
        raise FormatError(f"{path} is an encrypted store of this library already")
    for base in [path] + [path[:-len(end)] for end in _DBM_ENDS if path.endswith(end)]:
        name = dbm.whichdb(base)
        if name:
            return Found(base, None, [], [], name)
    if not os.path.exists(path):
        beside = [path + end for end in _DBM_ENDS if os.path.exists(path + end)]
        if beside:
            raise FormatError(f"{beside[0]} is of no kind that this Python can read")
        raise StorageError(f"there is nothing at {path}")
    with open(path, "rb") as file:
        begin = file.read(16)
    raise FormatError(f"{path} is of no known kind; it begins with {begin!r}")
