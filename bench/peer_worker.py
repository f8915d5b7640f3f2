"""The process in which stores are measured: reads commands as lines of JSON and answers each with a line.

    peer_worker.py                                      commands, until the end of its input
    peer_worker.py --writes N STORE LEVEL FOLDER        N single writes, for a count of its syncs from outside

bench/python_peers.py starts one for each interpreter that a pair of stores needs, and tells it what to do next,
so that ours and the peer take turns.  Nothing is timed but the loops themselves.
"""

import gc
import hashlib
import json
import os
import random
import sys
import time

from peer_stores import STORES

FIRST_CHUNK = 10
CHUNK = 10_000
SAMPLE = 1_000
WARMER = 3


class Work:
    """The records and the orders in which they are used; all of it follows from the parameters."""

    def __init__(self, keys, value_bytes, many, seed):
        rng = random.Random(seed)
        self.many = many
        self.records = [(f"key{number:013d}", rng.randbytes(value_bytes)) for number in range(keys)]
        rng.shuffle(self.records)
        self.order = [rng.choice(self.records)[0] for _ in range(keys)]
        self.missing = [f"nil{number:013d}" for number in rng.sample(range(keys), keys)]
        self.sample = rng.sample([key for key, _ in self.records], min(SAMPLE, keys))
        self.deleted = [key for key, _ in rng.sample(self.records, keys)]


def timed(loop, work, limit, first=FIRST_CHUNK, most=CHUNK):
    """Runs `loop` over `work` in growing chunks until `limit` seconds have been measured; their sum, and how far."""
    seconds, done, size = 0.0, 0, min(first, most)
    while done < len(work) and seconds < limit:
        chunk = work[done:done + size]
        start = time.perf_counter()
        loop(chunk)
        seconds += time.perf_counter() - start
        done += len(chunk)
        size = min(size * 4, most)
    return {"seconds": seconds, "operations": done}


def digest(pairs):
    """A hash of records in the order of their keys."""
    state = hashlib.sha256()
    for key, value in sorted(pairs):
        state.update(key.encode() + b"\0" + bytes(value))
    return state.hexdigest()[:16]


def found(store, keys):
    """The records of these keys, as `get_many` answers: a list of values, or a dict."""
    values = store.get_many(keys)
    return values.items() if isinstance(values, dict) else zip(keys, values)


def disk_bytes(folder):
    """What the files below take on the disk."""
    return sum(os.stat(os.path.join(parent, name)).st_blocks * 512
               for parent, _, names in os.walk(folder) for name in names)


def whole(loop, operations):
    """One call that cannot be cut short."""
    start = time.perf_counter()
    loop()
    return {"seconds": time.perf_counter() - start, "operations": operations}


class Steps:
    """What can be asked for; each answers seconds and operations, or what its name says."""

    def __init__(self, work, limit):
        self.work = work
        self.limit = limit

    def open(self, store):
        return whole(store.open, 1)

    def close(self, store):
        return whole(store.close, 1)

    def load(self, store):
        return whole(lambda: store.load(self.work.records), len(self.work.records))

    def set(self, store):
        return timed(store.set, self.work.records, self.limit)

    def batch(self, store):
        return timed(store.batch, self.work.records, self.limit, most=self.work.many)

    def warm(self, store):
        """Reads what `get` reads, so that it is in whatever memory the store keeps."""
        return timed(store.get, self.work.order, self.limit * WARMER)

    def get(self, store):
        return timed(store.get, self.work.order, self.limit)

    def miss(self, store):
        return timed(self.none_of(store.miss), self.work.missing, self.limit)

    def contains(self, store):
        return timed(self.all_of(store.contains), self.work.order, self.limit)

    def get_many(self, store):
        return timed(store.get_many, self.work.order, self.limit, most=self.work.many)

    def keys(self, store):
        return self.all_records(store.keys)

    def items(self, store):
        return self.all_records(store.items)

    def delete(self, store):
        # dbm.dumb writes its whole index for each.
        return timed(store.delete, self.work.deleted, self.limit, first=1)

    def content(self, store):
        """A hash of all that the store holds."""
        return {"hash": digest(store.content())}

    def sample(self, store):
        """A hash of some values, read as `get_many` reads them."""
        return {"hash": digest(found(store, self.work.sample))}

    def first(self, store):
        """A hash of the records that every store has written, however slow it is."""
        return {"hash": digest(found(store, [key for key, _ in self.work.records[:FIRST_CHUNK]]))}

    def size(self, store):
        return {"bytes": disk_bytes(store.path)}

    def all_records(self, count):
        return whole(lambda: self.expect(count(), len(self.work.records)), len(self.work.records))

    def all_of(self, loop):
        return lambda keys: self.expect(loop(keys), len(keys))

    def none_of(self, loop):
        return lambda keys: self.expect(loop(keys), 0)

    @staticmethod
    def expect(found, expected):
        if found != expected:
            raise AssertionError(f"{found} records instead of {expected}")


def serve():
    """Answers commands: {"store", "level", "path", "step"}; the first line has the parameters."""
    parameters = json.loads(sys.stdin.readline())
    limit = parameters.pop("limit")
    steps = Steps(Work(**parameters), limit)
    slots = {}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = obey(command, steps, slots)
        except Exception as error:  # whatever a peer raises is its result
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def obey(command, steps, slots):
    store, step = command["store"], command["step"]
    if step == "version":
        return {"version": STORES[store].version()}
    if step == "new":
        slots[store] = STORES[store](command["path"], command["level"])
        step = "open"
    gc.collect()
    gc.disable()
    try:
        return getattr(steps, step)(slots[store])
    finally:
        gc.enable()


def write(count, name, level, folder):
    """Single writes between two marks, under a tracer that counts syncs."""
    store = STORES[name](folder, level)
    store.open()
    os.kill(os.getpid(), 0)  # a mark in the trace, and no more
    store.set([(f"key{number}", b"v" * 64) for number in range(count)])
    os.kill(os.getpid(), 0)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--writes"]:
        write(int(sys.argv[2]), *sys.argv[3:])
    serve()
