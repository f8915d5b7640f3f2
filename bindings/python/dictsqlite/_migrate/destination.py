"""The new store: written in a directory of its own beside its place, and put there at the end."""

import os
import shutil
import tempfile
from typing import Any, Callable, List, Optional, Tuple

from .._core import CancelledError, DictSQLite, DictSQLiteError, FormatError, StorageError

_CHUNK_RECORDS = 1000
_CHUNK_BYTES = 4 << 20
_HOT_RECORDS = 10_000
_REFUSALS = (DictSQLiteError, TypeError, ValueError, OverflowError)


class Destination:
    """Takes records in chunks; what is not finished leaves nothing behind.

    records and bytes: what was added.  seen and total: what progress is told.
    """

    def __init__(self, path: Any, overwrite: bool,
                 progress: Optional[Callable[[int, int], object]]) -> None:
        self.path = os.path.abspath(os.fsdecode(path))
        if os.fsdecode(path) == ":memory:":
            raise ValueError("the destination must be a file")
        if os.path.exists(self.path) and not overwrite:
            raise StorageError(f"{self.path} is there already")
        if progress is not None and not callable(progress):
            raise TypeError("progress must be a function or None")
        self.overwrite, self.progress = overwrite, progress
        self.db: Any = None
        self.chunk: List[Tuple[str, Any]] = []
        self.chunk_bytes = 0
        self.records = self.bytes = self.seen = self.total = 0

    def __enter__(self) -> "Destination":
        place, name = os.path.split(self.path)
        try:
            self.folder = tempfile.mkdtemp(prefix=f".{name}.migrating-", dir=place)
        except OSError as error:
            raise StorageError(f"cannot write beside the destination: {error}") from None
        return self

    def __exit__(self, *exc_info: Any) -> None:
        try:
            if self.db is not None:
                self.db.close()
        except DictSQLiteError:
            # What was finished is in its place; what was not has an error of its own.
            pass
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def keep_off(self, files: List[str]) -> None:
        """ValueError if what is to be replaced is one of the files."""
        if os.path.exists(self.path) and any(os.path.samefile(self.path, file) for file in files):
            raise ValueError("the destination is the source")

    def open(self, storage_mode: str, password: Any, allowed_modules: Any) -> None:
        # What is written here is thrown away in a crash: it need not survive the loss of power.
        self.db = DictSQLite(
            os.path.join(self.folder, "store"), _HOT_RECORDS, persist_mode="lazy",
            synchronous="normal", encryption_password=password, storage_mode=storage_mode,
            safe_pickle_allowed_modules=allowed_modules if storage_mode == "pickle" else None)

    def add(self, key: str, value: Any, size: int, may_collide: bool) -> None:
        """Store a record; size is counted.  may_collide: another one's key may be the same."""
        if may_collide:
            self._add_unless_there(key, value)
        else:
            self.chunk.append((key, value))
            self.chunk_bytes += size
        self.records += 1
        self.bytes += size
        if self.chunk_bytes > _CHUNK_BYTES or len(self.chunk) >= _CHUNK_RECORDS:
            self.flush()

    def step(self) -> None:
        """One more record of the source was seen: tell progress now and then."""
        self.seen += 1
        if self.seen % _CHUNK_RECORDS == 0:
            self._tell(self.seen)

    def _add_unless_there(self, key: str, value: Any) -> None:
        try:
            added = self.db.add(key, value)
        except _REFUSALS as error:
            raise self._naming(error, key) from error
        if not added:
            raise FormatError(f"two keys of the source become {key!r}")

    def flush(self) -> None:
        """Store what waits."""
        chunk, self.chunk, self.chunk_bytes = self.chunk, [], 0
        try:
            self.db.set_many(chunk)
        except _REFUSALS:
            self._store_singly(chunk)

    def _store_singly(self, chunk: List[Tuple[str, Any]]) -> None:
        """Find the record that cannot be stored, to name its key."""
        for key, value in chunk:
            try:
                self.db[key] = value
            except _REFUSALS as error:
                raise self._naming(error, key) from error

    @staticmethod
    def _naming(error: Exception, key: str) -> Exception:
        if isinstance(error, UnicodeError):
            return FormatError(f"the key {key!r} is no text: {error}")
        named = type(error)(f"the value of {key!r:.200}: {error}")
        named.__dict__.update(error.__dict__)
        return named

    def _tell(self, done: int) -> None:
        if self.progress is None:
            return
        said = self.progress(done, self.total)
        if said is not None and not said:
            raise CancelledError("cancelled by progress")

    def finish(self) -> None:
        """Put the store in its place."""
        if len(self.db) != self.records:
            raise FormatError("two keys of the source become one")
        self._tell(self.total)
        self.db.backup(self.path, lambda *_: self._tell(self.total), self.overwrite)
