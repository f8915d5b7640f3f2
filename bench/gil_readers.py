"""Reads of two threads under the GIL while a third commits to a slow disk, beside the same while it sleeps.

    PYTHONPATH=build/release/python python bench/gil_readers.py [--delay-ms N] [--pairs N] [--json FILE]

The disk is slowed down by build/release/bench/slow_sync.so (bench/slow_sync.c), which this program puts into its own
LD_PRELOAD: each sync of the process takes --delay-ms longer.  The third thread writes durably, one record after the
other, to keys that nobody reads (who reads a record that is not on disk yet waits for it: that is the promise).
Prints the median over the pairs of busy by asleep, and how often the third thread took the GIL.

A third line has a thread that does the same without a store: it sleeps as long as a commit takes and takes the GIL as
often.  That is what any writer costs under the GIL, whatever it writes to.
"""

import argparse
import ctypes
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

import dictsqlite
import figures
from machine import machine

SHIM = pathlib.Path(__file__).parents[1] / "build" / "release" / "bench" / "slow_sync.so"
READERS = 2
LOOKS = 200
VALUE = b"v" * 64


class Reader(threading.Thread):
    """Reads all keys, again and again, and counts."""

    def __init__(self, store, keys, stop):
        super().__init__()
        self.store, self.keys, self.stop, self.reads = store, keys, stop, 0

    def run(self):
        store, keys, stop = self.store, self.keys, self.stop
        while not stop.is_set():
            for start in range(0, len(keys), LOOKS):
                for key in keys[start:start + LOOKS]:
                    store[key]
                self.reads += LOOKS
                if stop.is_set():
                    break


class Other(threading.Thread):
    """The third thread: calls `turn` until it is stopped, and counts."""

    def __init__(self, turn, stop):
        super().__init__()
        self.turn, self.stop, self.turns = turn, stop, 0

    def run(self):
        while not self.stop.is_set():
            self.turn(self.turns)
            self.turns += 1


def read_for(seconds, store, keys, turn):
    """Reads a second of all readers, and turns a second of the third thread, which does `turn`."""
    stop = threading.Event()
    readers = [Reader(store, keys, stop) for _ in range(READERS)]
    other = Other(turn(stop), stop)
    start = time.perf_counter()
    for thread in (*readers, other):
        thread.start()
    time.sleep(seconds)
    stop.set()
    for reader in readers:
        reader.join()
    taken = time.perf_counter() - start
    other.join()
    return sum(reader.reads for reader in readers) / taken, other.turns / taken


def measure(options, folder):
    """For each turn of the third thread, the pairs (reads, turns) a second, in rounds."""
    keys = [f"key{number}" for number in range(options.keys)]
    with dictsqlite.DictSQLite(os.path.join(folder, "store.db"), persist_mode="writethrough") as store:
        store.set_many(dict.fromkeys(keys, VALUE))

        def commit(number):
            store[f"written{number % 1000}"] = VALUE

        start = time.perf_counter()
        for number in range(5):
            commit(number)
        commit_seconds = (time.perf_counter() - start) / 5
        turns = {
            "asleep": lambda stop: lambda _: stop.wait(),
            "committing": lambda stop: commit,
            "sleeping as long": lambda stop: lambda _: time.sleep(commit_seconds),
        }
        names, results = list(turns), {name: [] for name in turns}
        for number in range(options.pairs):
            for name in names if number % 2 else reversed(names):
                results[name].append(read_for(options.seconds, store, keys, turns[name]))
        if any(store[key] != VALUE for key in keys):
            raise SystemExit("the store does not give back what was put into it")
        slowed = ctypes.CDLL(None).slow_sync_calls
        slowed.restype = ctypes.c_ulong
        if slowed() < sum(rate for _, rate in results["committing"]) * options.seconds / 2:
            raise SystemExit("the syncs were not slowed down")
    return results, commit_seconds


def summary(results, name):
    """Medians of a turn, and of its ratio to sleep, pair by pair."""
    ratios = [busy / idle for (busy, _), (idle, _) in zip(results[name], results["asleep"])]
    return {
        "reads_per_second": statistics.median(reads for reads, _ in results[name]),
        "turns_per_second": statistics.median(turns for _, turns in results[name]),
        "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
    }


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--delay-ms", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--shim", type=pathlib.Path, default=SHIM)
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser.parse_args()


def main():
    """Starts itself again on the slow disk; there it measures and prints."""
    options = parsed()
    loaded = os.environ.get("LD_PRELOAD", "").split()
    if str(options.shim) not in loaded:
        if not options.shim.exists():
            raise SystemExit(f"{options.shim} is not built")
        environment = {**os.environ, "LD_PRELOAD": " ".join([*loaded, str(options.shim)]),
                       "SLOW_SYNC_MS": str(options.delay_ms)}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    where = machine()
    with tempfile.TemporaryDirectory() as folder:
        results, commit_seconds = measure(options, folder)
    print(where)
    print(f"{READERS} readers of {options.keys} keys, each sync {options.delay_ms} ms longer, {options.pairs} pairs of "
          f"{options.seconds} s; a commit takes {commit_seconds * 1e3:.1f} ms when nobody reads")
    found = []
    for name in results:
        of = summary(results, name)
        print(f"third thread {name:17} {of['reads_per_second'] / 1e6:.2f} M reads/s, "
              f"{of['turns_per_second']:.0f} turns/s, {of['ratio']:.3f} of asleep "
              f"({of['least']:.3f} to {of['most']:.3f})")
        found.append({"third_thread": name, "workload": "reads of two threads", "threads": READERS,
                      **figures.rates(reads for reads, _ in results[name]),
                      **{key: of[key] for key in ("turns_per_second", "ratio", "least", "most")}})
    work = figures.hash_of(options.keys, VALUE)
    figures.write(options.json, where, options, {"keys and value": work}, found)


if __name__ == "__main__":
    main()
