"""AsyncDictSQLite: durable writes gathered and one by one, and hits, beside what the disk takes by itself.

    PYTHONPATH=build/release/python python bench/async_set.py [--writes N] [--rounds N] [--json FILE]

With asyncio's own loop, and with uvloop's if it is installed, in turns; what the disk takes is measured before each
turn.  Nothing is random.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time

import figures
from dictsqlite import AsyncDictSQLite
from machine import machine

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
        values = [await db.aget(str(i)) for i in range(writes)]
        measured.hits.append(milliseconds(start) / writes * 1e3)
        if values != [VALUE] * writes:
            raise SystemExit("the store does not give back what was put into it")


def report(name, writes, measured):
    fsync = statistics.median(measured.fsyncs)
    print(f"{name}: {writes} gathered aset, all on disk: {statistics.median(measured.gathered):.1f} ms "
          f"(best {min(measured.gathered):.1f}, worst {max(measured.gathered):.1f}) in "
          f"{statistics.median(measured.commits):.0f} commits; a bare fdatasync {fsync:.2f} ms")
    print(f"{name}: {writes} aset awaited one by one: {statistics.median(measured.alone):.3f} ms each, "
          f"x{statistics.median(measured.alone) / fsync:.1f} of a bare fdatasync")
    print(f"{name}: aget of what is in memory: {statistics.median(measured.hits):.2f} us")


def figures_of(loop, writes, measured):
    """Operations a second, for the JSON."""
    workloads = {
        "durable aset, gathered": [writes * 1e3 / taken for taken in measured.gathered],
        "durable aset, one by one": [1e3 / taken for taken in measured.alone],
        "aget, hot": [1e6 / taken for taken in measured.hits],
        "a bare fdatasync": [1e3 / taken for taken in measured.fsyncs],
    }
    return [{"loop": loop, "workload": workload, "threads": 1, **figures.rates(per_second)}
            for workload, per_second in workloads.items()]


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser.parse_args()


def main():
    options, where = parsed(), machine()
    print(where)
    loops = {"asyncio": asyncio.new_event_loop}
    if uvloop is not None:
        loops["uvloop"] = uvloop.new_event_loop
    measured = {name: Measured() for name in loops}
    for _ in range(options.rounds):
        for name, new_loop in loops.items():
            with tempfile.TemporaryDirectory() as folder:
                measured[name].fsyncs.append(bare_fsyncs(folder, 50))
                loop = new_loop()
                loop.run_until_complete(measure(folder, options.writes, measured[name]))
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()
    found = []
    for name in loops:
        report(name, options.writes, measured[name])
        found += figures_of(name, options.writes, measured[name])
    work = figures.hash_of(options.writes, VALUE)
    print(f"work {work}")
    figures.write(options.json, where, options, {"keys and value": work}, found)


if __name__ == "__main__":
    main()
