"""Files of DictSQLite 1: tables of a key TEXT and a value TEXT, a pickle in base64 or JSON."""

import base64
import binascii
import json
from typing import Any, Dict, Iterator, Optional, Tuple

from .._core import FormatError
from .detect import Found
from .record import OBJECT, PICKLE, Record
from .source import Source
from .sqlite_file import SQLiteFile, choose_table, quoted
from .table import size_of


def _set_of(members: Dict[str, Any]) -> Any:
    """JSON objects that DictSQLite 1 writes for sets are sets again."""
    if members.get("__type__") == "set" and isinstance(members.get("value"), list):
        return set(members["value"])
    return members


def _read(key: Any, text: str, source_mode: str) -> Tuple[str, Any]:
    try:
        if source_mode == "json":
            return OBJECT, json.loads(text, object_hook=_set_of)
        return PICKLE, base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        what = "JSON" if source_mode == "json" else "pickle in base64"
        raise FormatError(f"the value of {key!r} is no {what}: {error}") from None


class Version1Source(Source):
    kind = "dictsqlite1"

    def __init__(self, file: SQLiteFile, table: str, source_mode: str) -> None:
        super().__init__(file.files)
        self.file, self.table, self.source_mode = file, table, source_mode

    def count(self) -> int:
        return self.file.count(self.table)

    def records(self) -> Iterator[Record]:
        for key, value in self.file.rows(f"SELECT key, value FROM {quoted(self.table)}"):
            if not isinstance(value, str):
                raise FormatError(f"the value of {key!r} is no text: values that DictSQLite 1 "
                                  "encrypted with RSA cannot be read")
            form, data = _read(key, value, self.source_mode)
            yield Record(key, form, data, size_of(key) + size_of(value))

    def close(self) -> None:
        self.file.close()


def open_file(found: Found, table: Optional[str], source_mode: Optional[str]) -> Version1Source:
    if source_mode not in (None, "pickle", "json"):
        raise ValueError("source_mode of a file of DictSQLite 1 must be 'pickle' or 'json'")
    name = choose_table(found.tables, table, found.path)
    return Version1Source(found.files[0], name, source_mode or "pickle")
