"""The source for a path: of the kind that is asked for, or that its content says."""

import os
from typing import Any, Optional

from .._core import FormatError
from . import dbm_file, detect, diskcache, predecessor, predecessor1, sqlitedict
from .source import Source

KINDS = ("dictsqlite", "dictsqlite1", "sqlitedict", "shelve", "dbm", "diskcache")


def open_source(path: Any, kind: Optional[str], table: Optional[str], source_mode: Optional[str],
                password: Any, folder: str) -> Source:
    """The source at path; folder is a directory of ours for what must not be written beside it."""
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind must be None or one of {', '.join(map(repr, KINDS))}")
    path = os.path.abspath(os.fsdecode(path))
    found = detect.find(path, kind, folder)
    try:
        return _open_found(found, table, source_mode, password)
    except BaseException:
        for file in found.files:
            file.close()
        raise


def _open_found(found: detect.Found, table: Optional[str], source_mode: Optional[str],
                password: Any) -> Source:
    if password is not None and found.kind != "dictsqlite":
        raise FormatError(f"source_password is for encrypted DictSQLite files, not for {found.kind}")
    if source_mode is not None and found.kind not in ("dictsqlite", "dictsqlite1"):
        raise FormatError(f"source_mode is for DictSQLite files, not for {found.kind}")
    if found.kind == "dictsqlite":
        return predecessor.open_file(found, table, source_mode, password)
    if found.kind == "dictsqlite1":
        return predecessor1.open_file(found, table, source_mode)
    if found.kind == "sqlitedict":
        return sqlitedict.open_file(found, table)
    if table is not None:
        raise FormatError(f"table is for files that have some, not for {found.kind}")
    if found.kind == "diskcache":
        return diskcache.open_directory(found)
    return dbm_file.open_file(found)
