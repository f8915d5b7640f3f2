"""bench: what this machine does in some seconds, beside a dict and beside its own disk."""

import json
import os
import random
import statistics
import tempfile
import time

from .. import _core
from .upkeep import table

KEYS_AT_A_TIME = 1000


def timed(run):
    """Seconds that a call takes."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def set_all(mapping, records):
    for key, value in records:
        mapping[key] = value


def get_all(mapping, keys):
    for key in keys:
        mapping[key]


def get_many(db, keys):
    for i in range(0, len(keys), KEYS_AT_A_TIME):
        db.get_many(keys[i:i + KEYS_AT_A_TIME])


def quantiles(times, prefix):
    """Median and 99th percentile, in microseconds."""
    ordered = sorted(times)
    return {f"{prefix}_p50_us": round(statistics.median(ordered) * 1e6, 1),
            f"{prefix}_p99_us": round(ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)] * 1e6, 1)}


def measure_throughput(path, records, keys):
    """Records a second, in lazy mode, and the same of a dict."""
    plain = {}
    with _core.DictSQLite(path, persist_mode="lazy", hot_capacity=None) as db:
        seconds = {
            "set": timed(lambda: set_all(db, records)),
            "flush": timed(db.flush),
            "get": timed(lambda: get_all(db, keys)),
            "get_many": timed(lambda: get_many(db, keys)),
        }
    seconds["dict_set"] = timed(lambda: set_all(plain, records))
    seconds["dict_get"] = timed(lambda: get_all(plain, keys))
    flush = seconds.pop("flush")
    rates = {f"{name}_per_s": round(len(records) / took) for name, took in seconds.items()}
    return {**rates, "flush_after_set_ms": round(flush * 1000, 1)}


def measure_durable(path, records):
    """The time of single sets that are on disk when they return."""
    with _core.DictSQLite(path) as db:
        return quantiles([timed(lambda: db.__setitem__(key, value)) for key, value in records], "durable_set")


def measure_disk(path, records):
    """The time of a bare write and fdatasync of as many bytes, at the end of a growing file."""
    with open(path, "wb", 0) as file:
        def append(value):
            file.write(value)
            os.fdatasync(file.fileno())
        return quantiles([timed(lambda: append(value)) for _, value in records], "bare_fdatasync")


def measure(folder, args):
    chosen = random.Random(args.seed)
    value = chosen.getrandbits(8 * args.value_bytes).to_bytes(args.value_bytes, "little")
    records = [(f"key{i:09}", value) for i in range(args.records)]
    keys = [key for key, _ in records]
    chosen.shuffle(keys)
    durable = [(f"key{i:09}", value) for i in range(args.durable)]
    return {
        **measure_throughput(os.path.join(folder, "lazy.db"), records, keys),
        **measure_durable(os.path.join(folder, "durable.db"), durable),
        **measure_disk(os.path.join(folder, "bare"), durable),
    }


def bench(args):
    parameters = {"directory": os.path.abspath(args.directory), "version": _core.__version__}
    parameters.update({name: getattr(args, name) for name in ("records", "value_bytes", "durable", "seed")})
    with tempfile.TemporaryDirectory(prefix="dictsqlite-bench-", dir=args.directory) as folder:
        figures = measure(folder, args)
    if args.json:
        print(json.dumps({"parameters": parameters, "figures": figures}))
    else:
        print(table(parameters) + "\n" + table(figures) + "\n" + REMARKS, end="")


REMARKS = """\
set, get, get_many: one thread, lazy mode, all in memory, a loop of Python around them; get in random
order.  dict: the same loops.  durable set: writethrough mode, one at a time.  bare fdatasync: as many
bytes appended to an empty file.  Other programs, and a disk that is memory (tmpfs), change all of it.
"""
