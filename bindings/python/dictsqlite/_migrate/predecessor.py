"""Files of DictSQLite 2 and v4: the tables kv_store and kv_<name>, key TEXT and value BLOB.

Which way values are stored the file does not say; encrypted ones begin with ENC and a zero byte,
those of the first versions do not.  Keys are plain.
"""

import json
from typing import Any, Callable, Dict, Optional, Tuple

from .._core import CorruptError, FormatError, PasswordError
from .aes import Cipher
from .detect import Found
from .record import BYTES, OBJECT, PICKLE
from .sqlite_file import SQLiteFile, choose_table, quoted
from .table import TableSource

_MARK = b"ENC\0"
_MAIN = "kv_store"
# So many values are tried before a password is said to be wrong: one may be damaged.
_TRIED = 16


def _read_json(key: Any, data: bytes) -> Tuple[str, Any]:
    try:
        return OBJECT, json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the value of {key!r} is no JSON: {error}") from None


def _read_jsonb(key: Any, data: bytes) -> Tuple[str, Any]:
    try:
        import msgpack
    except ImportError:
        raise ImportError("values of source_mode='jsonb' need the package msgpack: "
                          "pip install dictsqlite[msgpack]") from None
    try:
        return OBJECT, msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise FormatError(f"the value of {key!r} is no MessagePack: {error}") from None


_READERS: "Dict[str, Tuple[str, Callable[[Any, bytes], Tuple[str, Any]]]]" = {
    "pickle": ("pickle", lambda _, data: (PICKLE, data)),
    "bytes": ("bytes", lambda _, data: (BYTES, data)),
    "json": ("json", _read_json),
    "jsonb": ("json", _read_jsonb),
}


def _opened(cipher: Cipher, data: bytes) -> Optional[bytes]:
    plain = cipher.open(data[len(_MARK):]) if data.startswith(_MARK) else None
    return cipher.open(data) if plain is None else plain


def _checked_cipher(file: SQLiteFile, table: str, password: Any) -> Cipher:
    """A cipher that opens one of the first values at least, else PasswordError."""
    cipher = Cipher(password)
    query = f"SELECT value FROM {quoted(table)} WHERE typeof(value)='blob' LIMIT {_TRIED}"
    values = [value for (value,) in file.rows(query)]
    if values and all(_opened(cipher, value) is None for value in values):
        raise PasswordError(f"source_password does not open the values of {table!r}")
    return cipher


def _table_name(table: Optional[str]) -> Optional[str]:
    """The name in the file of a table that is named as DictSQLite names it."""
    if table is None or table.startswith("kv_"):
        return table
    return _MAIN if table == "main" else f"kv_{table}"


def open_file(found: Found, table: Optional[str], source_mode: Optional[str],
              password: Any) -> TableSource:
    if source_mode is not None and source_mode not in _READERS:
        raise ValueError("source_mode must be 'pickle', 'bytes', 'json' or 'jsonb'")
    default_mode, read = _READERS[source_mode or "pickle"]
    file = found.files[0]
    name = choose_table(found.tables, _table_name(table), found.path)
    cipher = None if password is None else _checked_cipher(file, name, password)

    def read_value(key: Any, data: bytes) -> Tuple[str, Any]:
        if cipher is None:
            if data.startswith(_MARK):
                raise PasswordError(f"the value of {key!r} is encrypted: source_password is needed")
            return read(key, data)
        plain = _opened(cipher, data)
        if plain is None:
            raise CorruptError(f"the value of {key!r} does not open with source_password: it is "
                               "damaged, or was written with another password or none")
        return read(key, plain)

    return TableSource("dictsqlite", file, name, default_mode, read_value)
