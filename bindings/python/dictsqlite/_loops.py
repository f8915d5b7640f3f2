"""What an event loop waits for flushes with.

A loop that waits has one hub: a notifier (_core._Notifier), whose descriptor the loop watches, and the
futures of those that wait.

    durable()  a future joins those that have asked in this turn of the loop
    _begin()   once a turn: one flush for all of them, of each store, and its token
    _collect() the descriptor was readable: the futures of the tokens that have ended are done

The library's thread that commits only puts the token on a list and writes the descriptor if that was
empty; it never touches Python.  No thread waits for a flush.

Lifetime: the loop's own entry for the descriptor holds the hub, and the hub holds the loop by a weak
reference.  So a loop that is closed lets its hub go, and the hub its descriptor, whatever was still
under way; the writes happen all the same.  Everything here is called in the loop's thread.
"""

import asyncio
import copy
import threading
import weakref
from typing import Any, Optional

from ._core import _Notifier

__all__ = ["begin_now", "hub"]

# How often somebody looks whether a store that is waited for still has a thread that commits.
_WATCH_SECONDS = 0.25

_hubs: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Hub]]" = (
    weakref.WeakKeyDictionary())
_local = threading.local()


def _tell(futures: "list[asyncio.Future[None]]", error: Optional[Exception]) -> None:
    for future in futures:
        if future.done():
            continue  # cancelled: the write is done all the same
        if error is None:
            future.set_result(None)
        else:
            # Each its own: a traceback grows where it is raised.
            future.set_exception(copy.copy(error))


class Hub:
    """One loop's notifier, and those that wait for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = weakref.ref(loop)
        self._notifier = _Notifier()
        self._asked: "dict[Any, list[asyncio.Future[None]]]" = {}
        self._under_way: "dict[int, tuple[Any, list[asyncio.Future[None]]]]" = {}
        self._token = 0
        self._watches = False
        loop.add_reader(self._notifier.fileno(), self._collect)

    def durable(self, loop: asyncio.AbstractEventLoop, store: Any) -> "asyncio.Future[None]":
        """A future that is done when all that was written to the store before is on disk.

        store: hashable, with the DictSQLite in its attribute _db.
        """
        future = loop.create_future()
        futures = self._asked.get(store)
        if futures is not None:
            futures.append(future)
            return future
        if not self._asked:
            loop.call_soon(self._begin)
        self._asked[store] = [future]
        return future

    def _begin(self) -> None:
        asked, self._asked = self._asked, {}
        for store, futures in asked.items():
            self._token += 1
            try:
                done = store._db._flush_notify(self._notifier, self._token)
            except Exception as error:  # the store is closed, or has failed
                _tell(futures, error)
                continue
            if done:
                _tell(futures, None)
            else:
                self._under_way[self._token] = (weakref.ref(store._db), futures)
        self._keep_watch()

    def __del__(self) -> None:
        # The loop was closed within a turn: nobody waits, but what was written is to reach the disk.
        for store in getattr(self, "_asked", ()):
            try:
                store._db._flush_notify(self._notifier, 0)
            except Exception:  # it was closed, which is a flush; or it has failed, and will say so
                pass

    def _collect(self) -> None:
        for token, error in self._notifier.take():
            _tell(self._under_way.pop(token)[1], error)

    def _keep_watch(self) -> None:
        loop = self.loop()
        if self._under_way and not self._watches and loop is not None:
            self._watches = True
            loop.call_later(_WATCH_SECONDS, self._watch)

    def _watch(self) -> None:
        self._watches = False
        for reference, _ in self._under_way.values():
            db = reference()
            try:
                if db is not None:
                    db._watch()
            except Exception:  # it has failed: its flushes end with that error
                pass
        self._collect()
        self._keep_watch()


def _known(loop: asyncio.AbstractEventLoop) -> Optional[Hub]:
    reference = _hubs.get(loop)
    return reference() if reference is not None else None


def _find(loop: asyncio.AbstractEventLoop) -> Hub:
    found = _known(loop)
    if found is None:
        found = Hub(loop)
        _hubs[loop] = weakref.ref(found)
    _local.hub = weakref.ref(found)
    return found


def hub(loop: asyncio.AbstractEventLoop) -> Hub:
    """The hub of the running loop, made when it first waits; OSError if no descriptor is left."""
    try:
        known = _local.hub()
    except AttributeError:
        return _find(loop)
    if known is not None and known.loop() is loop:
        return known  # type: ignore[no-any-return]
    return _find(loop)


def begin_now(loop: asyncio.AbstractEventLoop) -> None:
    """Begin the flushes that were asked for in this turn of the loop, before a store is closed."""
    known = _known(loop)
    if known is not None:
        known._begin()
