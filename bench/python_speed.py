"""DictSQLite beside a plain dict, verb by verb, in pairs, in one process.

    PYTHONPATH=build/release/python python bench/python_speed.py [--only VERB ...] [--keys N] [--pairs N] [--json FILE]

Each pair times one pass over all keys through one side, then one through the other, with the same loop. Printed are
nanoseconds a key as medians, and the median over the pairs of the ratio of speeds (1.0: as fast as the other side),
with its quartiles. What is read is checked before it is timed, what is stored after.

    get, .get, in   hits in the hot tier
    lazy set        new keys into an empty store whose queue is empty, at the default queue_bytes; beside it the flush
                    that follows, and the sustained rate: ten times the keys, flush and all
    lazy over       the same for keys that are there
    memory set      persist_mode="memory"
    get_many        1,000 keys a call, beside a comprehension over db[k], and over a dict's
    set_many        1,000 new records a call, beside a loop over db[k] = v, and over a dict's
"""

import argparse
import gc
import os
import random
import statistics
import tempfile
import time

import dictsqlite
import figures
from machine import machine

KEY = "key{:013d}"
CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}
now = time.perf_counter
SUSTAINED_TIMES = 10
SUSTAINED_ROUNDS = 3


# ---- passes: each takes a mapping and the work, and returns seconds ----


def get_pass(mapping, work):
    start = now()
    for key in work.keys:
        mapping[key]
    return now() - start


def get_method_pass(mapping, work):
    get = mapping.get
    start = now()
    for key in work.keys:
        get(key)
    return now() - start


def contains_pass(mapping, work):
    start = now()
    for key in work.keys:
        key in mapping
    return now() - start


def set_pass(mapping, work):
    start = now()
    for key, value in zip(work.keys, work.values):
        mapping[key] = value
    return now() - start


def by_groups(groups, call):
    """The seconds of a call for each group, without what lies between them."""
    seconds = 0.0
    for group in groups:
        start = now()
        call(group)
        seconds += now() - start
    return seconds


def comprehension_pass(mapping, work):
    return by_groups(work.key_groups, lambda keys: [mapping[key] for key in keys])


def get_many_pass(store, work):
    return by_groups(work.key_groups, store.get_many)


def set_loop_pass(mapping, work):
    def set_all(records):
        for key, value in records.items():
            mapping[key] = value

    return by_groups(work.record_groups, set_all)


def set_many_pass(store, work):
    return by_groups(work.record_groups, store.set_many)


# ---- the work, the stores and the pairs ----


class Work:
    """Keys, values and groups of them; the same for the same options."""

    def __init__(self, options):
        rng = random.Random(options.seed)
        self.keys = [KEY.format(number) for number in range(options.keys)]
        self.values = [rng.randbytes(options.value_bytes) for _ in self.keys]
        self.plain = dict(zip(self.keys, self.values))
        starts = range(0, options.keys, options.group)
        self.key_groups = [self.keys[i:i + options.group] for i in starts]
        self.record_groups = [{key: self.plain[key] for key in keys} for keys in self.key_groups]
        self.hash = figures.hash_of(*self.values)

    def check(self, store):
        """Whether the store holds just this."""
        if len(store) != len(self.plain) or any(store[key] != value for key, value in self.plain.items()):
            raise SystemExit("the store does not hold what was put into it")


class Bench:
    """Measures, prints and collects results."""

    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.work = Work(options)
        self.figures, self.opened = [], 0

    def open(self, mode):
        """A new store in a file of its own."""
        self.opened += 1
        path = os.path.join(self.directory, f"{self.opened}.db")
        return dictsqlite.DictSQLite(path, persist_mode=mode)

    def full(self, mode):
        """A new store that holds the work, on disk."""
        store = self.open(mode)
        store.update(self.work.plain)
        store.flush()
        self.work.check(store)
        return store

    def note(self, name, ours, others, other, side="dictsqlite"):
        """Prints one line and keeps the figures."""
        keys = self.options.keys
        per_key = 1e9 / keys
        ratios = sorted(theirs / own for own, theirs in zip(ours, others))
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        labels = {"workload": name, "beside": other, "threads": 1}
        self.figures.append({"map": side, **labels, **figures.rates(keys / seconds for seconds in ours),
                             "speed": middle, "speed_lower_quartile": low, "speed_upper_quartile": high})
        self.figures.append({"map": other, **labels, **figures.rates(keys / seconds for seconds in others)})
        print(f"{name:12} {statistics.median(ours) * per_key:7.1f} ns (best {min(ours) * per_key:.1f})   {other:22} "
              f"{statistics.median(others) * per_key:7.1f} ns (best {min(others) * per_key:.1f})   "
              f"speed {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)

    def pairs(self, one, other):
        """Seconds of calls of both, pair by pair, without the garbage collector."""
        one(), other()
        gc.collect()
        gc.disable()
        try:
            times = [(one(), other()) for _ in range(self.options.pairs)]
        finally:
            gc.enable()
        return zip(*times)

    def hits(self, name, one_pass):
        """Look-ups of what is in memory."""
        work = self.work
        with self.full(self.options.mode) as store:
            theirs, ours = self.pairs(lambda: one_pass(work.plain, work), lambda: one_pass(store, work))
            self.note(name, ours, theirs, "dict")

    def fill(self, mode, flushes, folds):
        """Seconds of a pass over a new store, or with folds of one over a full one that is folded."""
        with self.full(mode) if folds else self.open(mode) as store:
            while folds and store.stats()["queued_bytes"] > 0:
                time.sleep(0.01)
            seconds = set_pass(store, self.work)
            start = time.perf_counter()
            store.flush()
            flushes.append(time.perf_counter() - start)
        return seconds

    def sets(self, name, mode, folds=False):
        """Stores of single records."""
        flushes = []
        theirs, ours = self.pairs(
            lambda: set_pass(dict(self.work.plain) if folds else {}, self.work),
            lambda: self.fill(mode, flushes, folds))
        self.note(name, ours, theirs, "dict")
        if mode == "lazy":
            flush_ms = statistics.median(flushes) * 1e3
            self.figures[-2]["flush_ms"] = flush_ms
            print(f"{'':12} the flush that follows takes {flush_ms:.1f} ms", flush=True)

    def load(self):
        """Records a second of many times the keys, with the flush."""
        work = self.work
        with self.open("lazy") as store:
            keys = [[f"{key}.{turn}" for key in work.keys] for turn in range(SUSTAINED_TIMES)]
            start = time.perf_counter()
            for some in keys:
                for key, value in zip(some, work.values):
                    store[key] = value
            store.flush()
            rate = SUSTAINED_TIMES * len(work.keys) / (time.perf_counter() - start)
            if len(store) != SUSTAINED_TIMES * len(work.keys):
                raise SystemExit("the store has not kept what was put into it")
        return rate

    def sustained(self):
        """Stores of single records until they are on disk."""
        found = figures.rates(self.load() for _ in range(SUSTAINED_ROUNDS))
        self.figures.append({"map": "dictsqlite", "workload": "lazy set, to the disk", "threads": 1, **found})
        print(f"{'sustained':12} {found['per_second'] / 1e6:.2f} million records a second to disk, "
              f"{SUSTAINED_TIMES * len(self.work.keys)} new keys and a flush", flush=True)

    def get_many(self):
        """Look-ups of many keys beside single ones, and beside a dict's."""
        work = self.work
        with self.full(self.options.mode) as store:
            if store.get_many(work.keys) != work.values:
                raise SystemExit("get_many does not find what was put in")
            for mapping, other in ((store, "db, comprehension"), (work.plain, "dict, comprehension")):
                ours, theirs = self.pairs(lambda: get_many_pass(store, work),
                                          lambda: comprehension_pass(mapping, work))
                self.note("get_many", ours, theirs, other)

    def new_store(self, one_pass):
        """Seconds of a pass over a new store, which then holds the work."""
        with self.open(self.options.mode) as store:
            seconds = one_pass(store, self.work)
            self.work.check(store)
        return seconds

    def set_many(self):
        """Stores of many new records beside single ones, and beside a dict's."""
        for single, other in ((lambda: self.new_store(set_loop_pass), "db, loop"),
                              (lambda: set_loop_pass({}, self.work), "dict, loop")):
            ours, theirs = self.pairs(lambda: self.new_store(set_many_pass), single)
            self.note("set_many", ours, theirs, other)


VERBS = {
    "get": lambda bench: bench.hits("get", get_pass),
    ".get": lambda bench: bench.hits(".get", get_method_pass),
    "in": lambda bench: bench.hits("in", contains_pass),
    "lazy-set": lambda bench: (bench.sets("lazy set", "lazy"), bench.sustained()),
    "lazy-over": lambda bench: bench.sets("lazy over", "lazy", folds=True),
    "memory-set": lambda bench: bench.sets("memory set", "memory"),
    "get_many": Bench.get_many,
    "set_many": Bench.set_many,
}


def main():
    """Parses the options, measures and prints."""
    global now
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=VERBS, default=list(VERBS), metavar="VERB",
                        help=" ".join(VERBS))
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--value-bytes", type=int, default=64)
    parser.add_argument("--group", type=int, default=1_000, help="keys of a many-key call")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--mode", default="lazy", choices=["memory", "lazy", "writethrough"],
                        help="of the verbs that do not name one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clock", default="wall", choices=CLOCKS,
                        help="cpu: the time of the calling thread alone, for machines where others work too")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    now = CLOCKS[options.clock]

    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(options, directory)
        parameters = (f"{options.keys} str keys of {len(bench.work.keys[0])} characters, values of "
                      f"{options.value_bytes} bytes, mode {options.mode}, {options.pairs} pairs, "
                      f"{options.clock} clock, seed {options.seed}, work {bench.work.hash}")
        where = machine()
        print(where)
        print(parameters)
        for verb in options.only:
            VERBS[verb](bench)
    figures.write(options.json, where, options, {"values": bench.work.hash}, bench.figures)


if __name__ == "__main__":
    main()
