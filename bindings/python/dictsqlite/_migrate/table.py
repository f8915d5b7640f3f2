"""The records of one table of keys and values."""

from typing import Any, Callable, Iterator, Tuple

from .._core import FormatError
from .record import Record
from .source import Source
from .sqlite_file import SQLiteFile, quoted


def size_of(value: Any) -> int:
    """Bytes of a key or value as stored; 8 for numbers."""
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode("utf-8", "surrogateescape")) if isinstance(value, str) else 8


class TableSource(Source):
    """read: makes the form and the data of a Record of a key and a value."""

    def __init__(self, kind: str, file: SQLiteFile, table: str, default_mode: str,
                 read: Callable[[Any, bytes], Tuple[str, Any]]) -> None:
        super().__init__(file.files)
        self.kind, self.file, self.table, self.default_mode = kind, file, table, default_mode
        self.read = read

    def count(self) -> int:
        return self.file.count(self.table)

    def records(self) -> Iterator[Record]:
        for key, value in self.file.rows(f"SELECT key, value FROM {quoted(self.table)}"):
            if not isinstance(value, bytes):
                raise FormatError(f"the value of {key!r} is no blob but {type(value).__name__}")
            form, data = self.read(key, value)
            size = len(data) if isinstance(data, bytes) else len(value)
            yield Record(key, form, data, size_of(key) + size)

    def close(self) -> None:
        self.file.close()
