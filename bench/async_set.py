"""AsyncDictSQLite: durable writes gathered and one by one, beside what the disk takes by itself.

usage: async_set.py [WRITES [ROUNDS]]
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time

from dictsqlite import AsyncDictSQLite

VALUE = b"v" * 64
ALONE = 200


def milliseconds(start):
    return (time.perf_counter() - start) * 1e3


def bare_fsync(folder, rounds):
    """A write of 4 KiB over what is there and its fdatasync, in milliseconds."""
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


async def measure(folder, writes, rounds):
    gathered, commits, alone, hits = [], [], [], []
    path = os.path.join(folder, "async.db")
    async with AsyncDictSQLite(path, persist_mode="writethrough") as db:
        for turn in range(rounds):
            before, start = db.stats()["commits"], time.perf_counter()
            await asyncio.gather(*(db.aset(f"{turn} {i}", VALUE) for i in range(writes)))
            gathered.append(milliseconds(start))
            commits.append(db.stats()["commits"] - before)
            start = time.perf_counter()
            for i in range(ALONE):
                await db.aset(f"{turn} {i}", VALUE)
            alone.append(milliseconds(start) / ALONE)
            start = time.perf_counter()
            for i in range(writes):
                await db.aget(f"{turn} {i}")
            hits.append(milliseconds(start) / writes * 1e3)
    return gathered, commits, alone, hits


def main():
    writes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    with tempfile.TemporaryDirectory() as folder:
        fsync = bare_fsync(folder, 100)
        gathered, commits, alone, hits = asyncio.run(measure(folder, writes, rounds))
    print(f"{writes} gathered aset, all on disk: {statistics.median(gathered):.1f} ms "
          f"(best {min(gathered):.1f}, worst {max(gathered):.1f}) in {statistics.median(commits):.0f} "
          f"commits; a bare fdatasync takes {fsync:.2f} ms")
    print(f"aset awaited one by one: {statistics.median(alone):.2f} ms each")
    print(f"aget of what is in memory: {statistics.median(hits):.2f} us")


if __name__ == "__main__":
    main()
