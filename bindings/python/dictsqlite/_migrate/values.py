"""What becomes of values: what a source holds, as the storage mode of the new store wants it."""

from typing import Any, Optional

from .._core import UnsafePickleError, safe_pickle_check, safe_pickle_loads
from .record import BYTES, PICKLE, Record
from .source import Source

_PICKLES_ONLY = ("dictsqlite", "dictsqlite1", "sqlitedict", "shelve")
_RULES = ("error", "skip")


def _named(error: UnsafePickleError, what: str) -> UnsafePickleError:
    """The same error, of which the message says what was refused."""
    named = UnsafePickleError(f"{what}: {error}")
    named.__dict__.update(error.__dict__)
    return named


class ValueRule:
    SKIPPED = object()

    def __init__(self, found: Source, storage_mode: Optional[str], values: Optional[str],
                 allowed_modules: Any, on_unsafe: str) -> None:
        if on_unsafe not in _RULES:
            raise ValueError("on_unsafe must be 'error' or 'skip'")
        if values not in (None, "raw"):
            raise ValueError("values must be None or 'raw'")
        self.raw = values == "raw"
        self.storage_mode = storage_mode or ("bytes" if self.raw else found.default_mode)
        if self.raw and (self.storage_mode != "bytes" or found.default_mode != "pickle"
                         or found.kind not in _PICKLES_ONLY):
            raise ValueError("values='raw' is for sources of pickles and storage_mode='bytes'")
        self.allowed_modules = allowed_modules
        self.on_unsafe = on_unsafe
        self.skipped = 0

    def load_key(self, data: bytes) -> Any:
        try:
            return safe_pickle_loads(data, allowed_modules=self.allowed_modules)
        except UnsafePickleError as error:
            raise _named(error, "a pickled key") from None

    def value_of(self, key: str, record: Record) -> Any:
        """What to store, or SKIPPED."""
        try:
            value = self._loaded(record)
        except UnsafePickleError as error:
            if self.on_unsafe == "skip":
                self.skipped += 1
                return self.SKIPPED
            raise _named(error, f"the value of {key!r}") from None
        if self.storage_mode == "bytes" and not isinstance(value, (bytes, bytearray)):
            raise TypeError(f"the value of {key!r} is of type {type(value).__name__}: "
                            "storage_mode='bytes' holds bytes only")
        return value

    def _loaded(self, record: Record) -> Any:
        if record.form != PICKLE:
            return record.data
        if self.raw:
            safe_pickle_check(record.data, allowed_modules=self.allowed_modules)
            return record.data
        return safe_pickle_loads(record.data, allowed_modules=self.allowed_modules)
