"""A persistent dictionary of str keys, on SQLite.  Values are bytes, or what storage_mode makes of them.

>>> from dictsqlite import DictSQLite
>>> with DictSQLite(":memory:") as db:
...     db["key"] = b"value"
...     db["key"]
b'value'
"""

import atexit
import collections.abc

from ._async import AsyncDictSQLite
from ._core import (
    Batch,
    CancelledError,
    ClosedError,
    CorruptError,
    DictSQLite,
    DictSQLiteError,
    ForkedError,
    FormatError,
    ItemsView,
    KeysView,
    LockedError,
    PasswordError,
    StorageError,
    TimedOutError,
    TooBigError,
    UnsafePickleError,
    ValuesView,
    __version__,
    close_all,
    decrypt,
    encrypt,
    safe_pickle_check,
    safe_pickle_loads,
)
from ._migrate import MigrationReport, migrate
from ._predecessor import DictSQLiteV4, is_native_available

__all__ = [
    "AsyncDictSQLite",
    "Batch",
    "CancelledError",
    "ClosedError",
    "CorruptError",
    "DictSQLite",
    "DictSQLiteError",
    "DictSQLiteV4",
    "ForkedError",
    "FormatError",
    "LockedError",
    "MigrationReport",
    "PasswordError",
    "StorageError",
    "TimedOutError",
    "TooBigError",
    "UnsafePickleError",
    "__version__",
    "decrypt",
    "encrypt",
    "is_native_available",
    "migrate",
    "safe_pickle_check",
    "safe_pickle_loads",
]

collections.abc.MutableMapping.register(DictSQLite)
collections.abc.KeysView.register(KeysView)
collections.abc.ValuesView.register(ValuesView)
collections.abc.ItemsView.register(ItemsView)

# What is still open when the interpreter exits is closed, threads' last writes included.
atexit.register(close_all)
