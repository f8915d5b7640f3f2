"""Files of sqlitedict: tables of a key TEXT and a value BLOB, a pickle."""

from typing import Any, Optional, Tuple

from .detect import Found
from .record import PICKLE
from .sqlite_file import choose_table
from .table import TableSource


def _read(_: Any, value: bytes) -> Tuple[str, bytes]:
    return PICKLE, value


def open_file(found: Found, table: Optional[str]) -> TableSource:
    name = choose_table(found.tables, table, found.path)
    return TableSource("sqlitedict", found.files[0], name, "pickle", _read)
