"""Directories of diskcache: rows in cache.db, large values in files beside it.

Values are stored by the modes of diskcache.Disk: RAW in the row, BINARY and TEXT in a file, PICKLE in
either.
"""

import os
import stat
import time
from typing import Any, Iterator, Tuple

from .._core import CorruptError, FormatError, TooBigError
from .detect import Found
from .record import BYTES, OBJECT, PICKLE, PickledKey, Record
from .source import Source
from .sqlite_file import SQLiteFile
from .table import size_of

_RAW, _BINARY, _TEXT, _PICKLE = 1, 2, 3, 4
_VALUE_BYTES_MAX = 512 << 20
_QUERY = "SELECT key, raw, CAST(expire_time AS REAL), mode, filename, value FROM Cache"


class DiskCacheSource(Source):
    kind = "diskcache"

    def __init__(self, found: Found) -> None:
        super().__init__([name for file in found.files for name in file.files])
        self.caches = found.files
        self.now = time.time()

    def count(self) -> int:
        return sum(file.count("Cache") for file in self.caches)

    def records(self) -> Iterator[Record]:
        for file in self.caches:
            for key, raw, expire_time, mode, filename, value in file.rows(_QUERY):
                if expire_time is not None and expire_time < self.now:
                    self.expired += 1
                    continue
                size = size_of(key)
                key = key if raw else _pickled(key)
                form, data = _read(file, key, mode, filename, value)
                yield Record(key, form, data, size + size_of(data))

    def close(self) -> None:
        for file in self.caches:
            file.close()


def _pickled(key: Any) -> PickledKey:
    if not isinstance(key, bytes):
        raise FormatError(f"the key {key!r} should be a pickle")
    return PickledKey(key)


def _read(file: SQLiteFile, key: Any, mode: Any, filename: Any, value: Any) -> Tuple[str, Any]:
    if mode == _RAW and value is not None:
        if isinstance(value, str) and not _is_text(value):
            raise CorruptError(f"the text of {key!r} is no UTF-8")
        return (BYTES if isinstance(value, bytes) else OBJECT), value
    if mode == _PICKLE and isinstance(value, bytes):
        return PICKLE, value
    if mode not in (_BINARY, _TEXT, _PICKLE) or not isinstance(filename, str):
        raise FormatError(f"the value of {key!r} is stored in a way that diskcache does not know: "
                          f"mode {mode!r}")
    data = _read_beside(file, key, filename)
    if mode == _TEXT:
        return OBJECT, _decoded(key, data)
    return (BYTES if mode == _BINARY else PICKLE), data


def _is_text(value: str) -> bool:
    """Whether text of a row was UTF-8: what was not is surrogates."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _decoded(key: Any, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptError(f"the file of the text of {key!r} is no UTF-8: {error}") from None


def _read_beside(file: SQLiteFile, key: Any, filename: str) -> bytes:
    """The content of a file that a row names, which must lie in the cache's directory."""
    directory = os.path.realpath(os.path.dirname(file.path))
    path = os.path.realpath(os.path.join(directory, filename))
    if os.path.commonpath([directory, path]) != directory:
        raise CorruptError(f"the file of {key!r} is outside of the cache: {filename!r}")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CorruptError(f"cannot read the file of {key!r}: {error}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CorruptError(f"the file of {key!r} is no file: {filename!r}")
        if status.st_size > _VALUE_BYTES_MAX:
            raise TooBigError(f"the file of {key!r} has {status.st_size} bytes")
        with open(descriptor, "rb", closefd=False) as opened:
            return opened.read()
    finally:
        os.close(descriptor)


def open_directory(found: Found) -> DiskCacheSource:
    return DiskCacheSource(found)
