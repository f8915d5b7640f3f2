"""AsyncDictSQLite: durable writes gathered and one by one, and hits, beside what the disk takes by itself.

usage: async_set.py [WRITES [ROUNDS]]

With asyncio's own loop, and with uvloop's if it is installed, in turns.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time

from dictsqlite import AsyncDictSQLite

try:
    import uvloop
except ImportError:
    uvloop = None

VALUE = b"v" * 64


def milliseconds(start):
    return (time.perf_counter() - start) * 1e3


class Measured:
    """What was measured with one loop, in milliseconds."""

    def __init__(self):
        self.gathered = []
        self.commits = []
        self.alone = []
        self.hits = []
        self.fsyncs = []


def bare_fsyncs(folder, rounds):
    """A write of 4 KiB over what is there and its fdatasync, the median of so many."""
    with open(os.path.join(folder, "bare"), "wb", buffering=0) as file:
        file.write(bytes(4096))
        os.fdatasync(file.fileno())
        taken = []
        for _ in range(rounds):
            start = time.perf_counter()
            os.pwrite(file.fileno(), VALUE * 64, 0)
            os.fdatasync(file.fileno())
            taken.append(milliseconds(start))
    return statistics.median(taken)


async def measure(folder, writes, measured):
    path = os.path.join(folder, "async.db")
    async with AsyncDictSQLite(path, persist_mode="writethrough") as db:
        await db.aset("first", VALUE)
        before, start = db.stats()["commits"], time.perf_counter()
        await asyncio.gather(*(db.aset(str(i), VALUE) for i in range(writes)))
        measured.gathered.append(milliseconds(start))
        measured.commits.append(db.stats()["commits"] - before)
        start = time.perf_counter()
        for i in range(writes):
            await db.aset(str(i), VALUE)
        measured.alone.append(milliseconds(start) / writes)
        start = time.perf_counter()
        for i in range(writes):
            await db.aget(str(i))
        measured.hits.append(milliseconds(start) / writes * 1e3)


def report(name, writes, measured):
    fsync = statistics.median(measured.fsyncs)
    print(f"{name}: {writes} gathered aset, all on disk: {statistics.median(measured.gathered):.1f} ms "
          f"(best {min(measured.gathered):.1f}, worst {max(measured.gathered):.1f}) in "
          f"{statistics.median(measured.commits):.0f} commits; a bare fdatasync {fsync:.2f} ms")
    print(f"{name}: {writes} aset awaited one by one: {statistics.median(measured.alone):.3f} ms each, "
          f"x{statistics.median(measured.alone) / fsync:.1f} of a bare fdatasync")
    print(f"{name}: aget of what is in memory: {statistics.median(measured.hits):.2f} us")


def main():
    writes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    loops = {"asyncio": asyncio.new_event_loop}
    if uvloop is not None:
        loops["uvloop"] = uvloop.new_event_loop
    measured = {name: Measured() for name in loops}
    for _ in range(rounds):
        for name, new_loop in loops.items():
            with tempfile.TemporaryDirectory() as folder:
                measured[name].fsyncs.append(bare_fsyncs(folder, 50))
                loop = new_loop()
                loop.run_until_complete(measure(folder, writes, measured[name]))
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()
    for name in loops:
        report(name, writes, measured[name])


if __name__ == "__main__":
    main()
