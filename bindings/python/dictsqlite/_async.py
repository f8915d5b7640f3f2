"""AsyncDictSQLite: a store for event loops.

What is in memory is answered at once, and a durable write is handed over at once; neither visits
another thread.  Durable writes of one turn of the loop share a flush, whose end the loop sees at a
descriptor (_loops.py).  What may have to read the disk or to wait for room waits in a thread, of
which there is none before the first such call.
"""

import asyncio
import errno
import itertools
import os
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional, Union

from ._core import ClosedError, DictSQLite, ForkedError, TimedOutError
from ._loops import begin_now, hub

__all__ = ["AsyncDictSQLite"]

# Threads for what has to wait, at most.
_WAITING_THREADS = 4
# Records that a walk fetches in one visit to another thread.
_WALK_CHUNK = 256

_ABSENT = object()

_Records = Union[Mapping[str, Any], Iterable["tuple[str, Any]"]]


class _Computation:
    """A key that aget_or_compute() computes, in one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.task = asyncio.current_task()
        self.ended = loop.create_future()


class _Computations:
    """Those of one loop: by key, and which of them a task waits for."""

    def __init__(self) -> None:
        self.by_key: "dict[str, _Computation]" = {}
        self.awaited: "dict[Any, _Computation]" = {}

    def would_wait_for_itself(self, computation: Optional[_Computation]) -> bool:
        task = asyncio.current_task()
        while computation is not None and computation.task is not task:
            computation = self.awaited.get(computation.task)
        return computation is not None

    async def wait(self, computation: _Computation) -> None:
        """Return when it has ended, in whatever way."""
        if self.would_wait_for_itself(computation):
            raise RuntimeError("aget_or_compute() would wait for a task that waits for this one")
        task = asyncio.current_task()
        self.awaited[task] = computation
        try:
            await asyncio.shield(computation.ended)
        finally:
            del self.awaited[task]


def _reopen(cls: "type[AsyncDictSQLite]", db: DictSQLite) -> "AsyncDictSQLite":
    """What a pickle of a store calls, with the DictSQLite that opened the file again."""
    store = cls.__new__(cls)
    store._serve(db)
    return store


class AsyncDictSQLite:
    """A persistent dictionary of str keys for asyncio; what values are is storage_mode's to say.

    capacity: records kept in memory; None: all.
    persist_mode: 'lazy' (a write returns at once and reaches the disk when buffer_size writes wait or
    buffer_interval_ms have passed), 'writethrough' (a write completes when it is on disk) or 'memory'.
    options: as of DictSQLite, e.g. storage_mode or encryption_password.

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
        mode = self._db.stats()["mode"]
        self._writes_wait = mode == "writethrough"
        self._may_wait = mode != "memory"
        self._owner = os.getpid()
        self._pool = ThreadPoolExecutor(_WAITING_THREADS, "dictsqlite-wait")
        self._computations: "weakref.WeakKeyDictionary[Any, _Computations]" = (
            weakref.WeakKeyDictionary())

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
        if self._owner != os.getpid():
            raise ForkedError("the store was opened before a fork: open it again in the child")
        try:
            waiting = asyncio.get_running_loop().run_in_executor(self._pool, call, *args)
        except RuntimeError:
            if self._db.closed:  # since we looked
                raise ClosedError("the store is closed") from None
            raise
        return await waiting

    async def _change(self, call: Any, *args: Any) -> Any:
        """The result of a call on one record, made in another thread where it may have to wait."""
        if self._may_wait:
            return await self._elsewhere(call, *args)
        return call(*args)

    def _durable(self) -> "asyncio.Future[None]":
        """A future that is done when all that was written before is on disk."""
        loop = asyncio.get_running_loop()
        try:
            waiting = hub(loop)
        except OSError:  # no descriptor is left: a thread waits
            return asyncio.ensure_future(self._elsewhere(self._db.flush))
        return waiting.durable(loop, self)

    # ---- single records ----

    async def aget(self, key: str, default: Any = None) -> Any:
        """The value of the key, or default.  TypeError if key is no str; the disk's errors."""
        value = self._db._try_get(key, default)
        if value is NotImplemented:
            return await self._elsewhere(self._db.get, key, default)
        return value

    async def aset(self, key: str, value: Any) -> None:
        """Store a value; in writethrough mode completes when it is on disk."""
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

    async def apop(self, key: str, *default: Any) -> Any:
        """Remove the key and return its value, or default; KeyError without one."""
        return await self._change(self._db.pop, key, *default)

    async def asetdefault(self, key: str, default: Any) -> Any:
        """The value of the key; if there is none, default is stored and returned."""
        value = self._db._try_get(key, _ABSENT)
        if value is NotImplemented or value is _ABSENT:
            return await self._change(self._db.setdefault, key, default)
        return value

    async def aadd(self, key: str, value: Any) -> bool:
        """Store value if there is no such key; return whether it was stored."""
        return await self._change(self._db.add, key, value)

    async def acompare_and_swap(self, key: str, old: Any, new: Any) -> bool:
        """Store new if the value is old, and return whether it was; as of DictSQLite."""
        return await self._change(self._db.compare_and_swap, key, old, new)

    async def aincrement(self, key: str, delta: int = 1, default: int = 0) -> int:
        """Add delta to the number that is the value, or to default, and return the sum."""
        return await self._change(self._db.increment, key, delta, default)

    async def aget_or_compute(self, key: str, function: "Callable[[], Awaitable[Any]]") -> Any:
        """The value of the key; if there is none, what `await function()` returns, stored.

        Of several tasks of one loop that miss a key, one calls its function and the others wait.  If it
        raises or is cancelled, its caller learns of it and another task tries with its own.  What was
        stored by other means meanwhile stays, and is returned.

        The function may use the store, other keys by aget_or_compute() too; RuntimeError if it asks for
        its own key, or where tasks would wait for each other.
        """
        loop = asyncio.get_running_loop()
        value = await self.aget(key, _ABSENT)
        if value is not _ABSENT:
            return value
        computations = self._computations.setdefault(loop, _Computations())
        while key in computations.by_key:
            await computations.wait(computations.by_key[key])
            value = await self.aget(key, _ABSENT)
            if value is not _ABSENT:
                return value
        computation = computations.by_key[key] = _Computation(loop)
        try:
            # Whoever computed before may have ended between our look and this.
            value = await self.aget(key, _ABSENT)
            if value is _ABSENT:
                value = await self.asetdefault(key, await function())
            return value
        finally:
            del computations.by_key[key]
            computation.ended.set_result(None)

    # ---- many records ----

    async def aset_many(self, records: _Records) -> None:
        """Store many records, one durable unit as DictSQLite.set_many's; completes as aset does."""
        await self._elsewhere(self._db.set_many, records)

    async def aget_many(self, keys: Iterable[str], default: Any = None) -> "list[Any]":
        """The values of the keys in their order, default for those that are absent."""
        keys = list(keys)
        try_get = self._db._try_get
        values = [try_get(key, default) for key in keys]
        if any(value is NotImplemented for value in values):
            return await self._elsewhere(self._db.get_many, keys, default)
        return values

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """Delete what is there of the keys; how many that were.  As DictSQLite.delete_many."""
        return await self._elsewhere(self._db.delete_many, list(keys))

    async def aclear(self) -> None:
        """Delete every record."""
        await self._elsewhere(self._db.clear)

    async def _walk(self, begin: Any) -> AsyncIterator[Any]:
        iterator = await self._elsewhere(lambda: iter(begin()))
        chunk = [None]
        while chunk:
            chunk = await self._elsewhere(lambda: list(itertools.islice(iterator, _WALK_CHUNK)))
            for entry in chunk:
                yield entry

    def __aiter__(self) -> AsyncIterator[str]:
        return self.akeys()

    def akeys(self) -> AsyncIterator[str]:
        """The keys in their order, as `async for` over the store itself."""
        return self._walk(self._db.keys)

    def avalues(self) -> AsyncIterator[Any]:
        """The values, in the order of the keys."""
        return self._walk(self._db.values)

    def aitems(self) -> "AsyncIterator[tuple[str, Any]]":
        """The pairs of key and value, in the order of the keys."""
        return self._walk(self._db.items)

    def ascan(self, prefix: Optional[str] = None, start: Optional[str] = None,
              stop: Optional[str] = None,
              reverse: bool = False) -> "AsyncIterator[tuple[str, Any]]":
        """The pairs whose keys begin with prefix, or are at least start and less than stop."""
        return self._walk(lambda: self._db.scan(prefix, start, stop, reverse))

    async def alen(self) -> int:
        """How many records there are."""
        return await self._elsewhere(self._db.__len__)

    # ---- the store ----

    async def aflush(self, timeout: Optional[float] = None) -> None:
        """Complete when all that was written before is on disk; TimedOutError after so many seconds."""
        if self._db.closed:
            raise ClosedError("the store is closed")
        try:
            await asyncio.wait_for(self._durable(), timeout)
        except asyncio.TimeoutError:
            raise TimedOutError(errno.ETIMEDOUT, "not yet on disk when the time was up") from None

    async def aresume(self) -> None:
        """After a failed commit whose cause is cured: commit what it held, accept writes again."""
        await self._elsewhere(self._db.resume)

    async def abackup(self, path: Any, progress: Any = None, overwrite: bool = False) -> None:
        """Write a copy of the store to path, as DictSQLite.backup; progress is called in a thread."""
        await self._elsewhere(self._db.backup, path, progress, overwrite)

    async def averify(self, progress: Any = None) -> None:
        """Look at every page and row of the file; CorruptError says what is wrong first."""
        await self._elsewhere(self._db.verify, progress)

    async def acompact(self, progress: Any = None) -> None:
        """Make the file as small as what it holds."""
        await self._elsewhere(self._db.compact, progress)

    async def aclose(self) -> None:
        """Commit everything and close the file; nothing to do if it is closed.

        Writes of this loop that are under way complete; calls that come now raise ClosedError.
        """
        loop = asyncio.get_running_loop()
        begin_now(loop)
        await loop.run_in_executor(None, self.close)

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

    set = set_async
    get = get_async

    def batch_set(self, records: _Records) -> None:
        """Store many records."""
        self._db.set_many(records)

    def batch_get(self, keys: Iterable[str], default: Any = None) -> "list[Any]":
        """The values of the keys in their order."""
        return self._db.get_many(keys, default)

    abatch_set = aset_many
    abatch_get = aget_many

    def clear(self) -> None:
        """Delete every record."""
        self._db.clear()

    def flush(self) -> None:
        """Return when all that was written before is on disk."""
        self._db.flush()

    def close(self) -> None:
        """Commit everything and close the file."""
        self._db.close()
        self._pool.shutdown(wait=False)

    def stats(self) -> Any:
        """A dict of counters, as DictSQLite.stats."""
        return self._db.stats()

    @property
    def storage_mode(self) -> str:
        """What the file says that its values are."""
        return self._db.storage_mode

    @property
    def closed(self) -> bool:
        """Whether the store is closed."""
        return self._db.closed
