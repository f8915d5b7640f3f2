"""AsyncDictSQLite: a store for event loops.

What is in memory is answered at once, without a visit to another thread.  What has to wait, for the
disk or for room, waits in a thread of the store's own.  Durable writes of one turn of the loop share a
flush, and so do those that come while it is under way: its end wakes the loop once for all of them.
"""

import asyncio
import itertools
import threading
import weakref
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Optional, Union

from ._core import ClosedError, DictSQLite

__all__ = ["AsyncDictSQLite"]

# Threads for what has to wait, besides the one that flushes.
_WAITING_THREADS = 4
# Records that a walk fetches in one visit to another thread.
_WALK_CHUNK = 256


class _Waiters:
    """Those of one loop that wait for a flush."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.futures: "list[asyncio.Future[None]]" = []
        self.scheduled = False


def _tell(futures: "list[asyncio.Future[None]]", error: Optional[BaseException]) -> None:
    for future in futures:
        if future.done():
            continue  # cancelled: the write is done all the same
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _reopen(cls: "type[AsyncDictSQLite]", db: DictSQLite) -> "AsyncDictSQLite":
    """What a pickle of a store calls, with the DictSQLite that opened the file again."""
    store = cls.__new__(cls)
    store._serve(db)
    return store


class AsyncDictSQLite:
    """A persistent dictionary of str keys and bytes values for asyncio.

    capacity: records kept in memory; None: all.
    persist_mode: 'lazy' (a write returns at once and reaches the disk when buffer_size writes wait or
    buffer_interval_ms have passed), 'writethrough' (a write completes when it is on disk) or 'memory'.
    options: as of DictSQLite, e.g. encryption_password.

    The constructor opens the file and may read the disk; AsyncDictSQLite.open does that in another
    thread.  One object serves any number of loops, each in its own thread.  A cancelled write has
    happened or not, as with any I/O; what it wrote is never half there.

    Raises what DictSQLite raises.
    """

    def __init__(
        self,
        db_path: Any,
        capacity: Optional[int] = 1_000_000,
        persist_mode: str = "lazy",
        buffer_size: int = 100,
        buffer_interval_ms: int = 5000,
        **options: Any,
    ) -> None:
        self._serve(DictSQLite(
            db_path, capacity, persist_mode=persist_mode, buffer_size=buffer_size,
            flush_interval_ms=buffer_interval_ms, **options))

    def _serve(self, db: DictSQLite) -> None:
        self._db = db
        self._writes_wait = self._db.stats()["mode"] == "writethrough"
        self._lock = threading.Lock()
        self._waiters: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Waiters]" = (
            weakref.WeakKeyDictionary())
        self._flusher = ThreadPoolExecutor(1, "dictsqlite-flush")
        self._pool = ThreadPoolExecutor(_WAITING_THREADS, "dictsqlite-wait")

    def __reduce__(self) -> "tuple[Any, ...]":
        return _reopen, (type(self), self._db)

    @classmethod
    async def open(cls, db_path: Any, *args: Any, **options: Any) -> "AsyncDictSQLite":
        """Open a store in another thread; the arguments are those of the constructor."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: cls(db_path, *args, **options))

    # ---- waiting ----

    async def _elsewhere(self, call: Any, *args: Any) -> Any:
        """The result of a call that may wait, made in another thread."""
        if self._db.closed:
            raise ClosedError("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    def _waiters_of(self, loop: asyncio.AbstractEventLoop) -> _Waiters:
        with self._lock:
            waiters = self._waiters.get(loop)
            if waiters is None:
                waiters = self._waiters[loop] = _Waiters(loop)
            return waiters

    def _durable(self) -> "asyncio.Future[None]":
        """A future that is done when all that was written before is on disk."""
        loop = asyncio.get_running_loop()
        waiters = self._waiters_of(loop)
        future = loop.create_future()
        waiters.futures.append(future)
        if not waiters.scheduled:
            waiters.scheduled = True
            loop.call_soon(self._begin_flush, waiters)
        return future

    def _begin_flush(self, waiters: _Waiters) -> None:
        futures, waiters.futures = waiters.futures, []
        try:
            flushed = self._flusher.submit(self._db.flush)
        except RuntimeError:  # shut down: the store was closed meanwhile
            waiters.scheduled = False
            _tell(futures, ClosedError("the store is closed"))
            return
        flushed.add_done_callback(lambda done: self._wake(waiters, futures, done))

    def _wake(self, waiters: _Waiters, futures: "list[asyncio.Future[None]]",
              flushed: "Future[None]") -> None:
        try:
            waiters.loop.call_soon_threadsafe(self._end_flush, waiters, futures, flushed)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    def _end_flush(self, waiters: _Waiters, futures: "list[asyncio.Future[None]]",
                   flushed: "Future[None]") -> None:
        _tell(futures, flushed.exception())
        if waiters.futures:
            self._begin_flush(waiters)
        else:
            waiters.scheduled = False

    # ---- single records ----

    async def aget(self, key: str, default: Any = None) -> Any:
        """The value of the key, or default.  TypeError if key is no str; the disk's errors."""
        value = self._db._try_get(key)
        if value is NotImplemented:
            return await self._elsewhere(self._db.get, key, default)
        return default if value is None else value

    async def aset(self, key: str, value: Any) -> None:
        """Store a copy of a bytes-like value; in writethrough mode completes when it is on disk."""
        if self._db._submit_set(key, value) is NotImplemented:
            await self._elsewhere(self._db.__setitem__, key, value)
        elif self._writes_wait:
            await self._durable()

    async def adelete(self, key: str) -> None:
        """Remove the key; KeyError if there is none.  Completes as aset does."""
        found = self._db._submit_delete(key)
        if found is NotImplemented:
            await self._elsewhere(self._db.__delitem__, key)
            return
        if self._writes_wait:
            await self._durable()
        if not found:
            raise KeyError(key)

    async def acontains(self, key: str) -> bool:
        """Whether the key is there."""
        found = self._db._try_contains(key)
        if found is NotImplemented:
            return await self._elsewhere(self._db.__contains__, key)
        return found

    # ---- many records ----

    async def aset_many(self, records: Union[Mapping[str, Any], Iterable["tuple[str, Any]"]]) -> None:
        """Store many records, one durable unit as DictSQLite.set_many's; completes as aset does."""
        await self._elsewhere(self._db.set_many, records)

    async def aget_many(self, keys: Iterable[str], default: Any = None) -> "list[Any]":
        """The values of the keys in their order, default for those that are absent."""
        keys = list(keys)
        values = [self._db._try_get(key) for key in keys]
        if any(value is NotImplemented for value in values):
            return await self._elsewhere(self._db.get_many, keys, default)
        return [default if value is None else value for value in values]

    async def _walk(self, view: Any) -> AsyncIterator[Any]:
        iterator = iter(view)
        chunk = [None]
        while chunk:
            chunk = await self._elsewhere(lambda: list(itertools.islice(iterator, _WALK_CHUNK)))
            for entry in chunk:
                yield entry

    def __aiter__(self) -> AsyncIterator[str]:
        return self.akeys()

    def akeys(self) -> AsyncIterator[str]:
        """The keys in their order, as `async for` over the store itself."""
        return self._walk(self._db.keys())

    def avalues(self) -> AsyncIterator[bytes]:
        """The values, in the order of the keys."""
        return self._walk(self._db.values())

    def aitems(self) -> AsyncIterator["tuple[str, bytes]"]:
        """The pairs of key and value, in the order of the keys."""
        return self._walk(self._db.items())

    async def alen(self) -> int:
        """How many records there are."""
        return await self._elsewhere(self._db.__len__)

    # ---- the store ----

    async def aflush(self, timeout: Optional[float] = None) -> None:
        """Complete when all that was written before is on disk; TimeoutError after so many seconds."""
        if self._db.closed:
            raise ClosedError("the store is closed")
        await asyncio.wait_for(self._durable(), timeout)

    async def aclose(self) -> None:
        """Commit everything and close the file; nothing to do if it is closed."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    async def __aenter__(self) -> "AsyncDictSQLite":
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.aclose()

    # ---- without a loop: the predecessor's names ----

    def set_async(self, key: str, value: Any) -> None:
        """Store a value without waiting for the disk, but in writethrough mode."""
        self._db[key] = value

    def get_async(self, key: str, default: Any = None) -> Any:
        """The value of the key, or default."""
        return self._db.get(key, default)

    def batch_set(self, records: Union[Mapping[str, Any], Iterable["tuple[str, Any]"]]) -> None:
        """Store many records."""
        self._db.set_many(records)

    def batch_get(self, keys: Iterable[str], default: Any = None) -> "list[Any]":
        """The values of the keys in their order."""
        return self._db.get_many(keys, default)

    def flush(self) -> None:
        """Return when all that was written before is on disk."""
        self._db.flush()

    def close(self) -> None:
        """Commit everything and close the file."""
        self._db.close()
        self._flusher.shutdown(wait=False)
        self._pool.shutdown(wait=False)

    def stats(self) -> Any:
        """A dict of counters, as DictSQLite.stats."""
        return self._db.stats()

    @property
    def closed(self) -> bool:
        """Whether the store is closed."""
        return self._db.closed
