"""What a storage mode costs: set and get of one value in each, beside plain bytes, in one process.

    PYTHONPATH=build/release/python python bench/values.py [--keys N] [--rounds N] [--mode MODE] [--json FILE]

The modes take turns, round by round; a round of a mode stores the value under every key and then looks every
key up.  Prints medians in nanoseconds a call.  For plain bytes the value is what the mode JSON makes of it, so
that the difference is the encoding.  Nothing is random.  msgpack is left out where its package is not installed.
"""

import argparse
import gc
import importlib.util
import json
import os
import statistics
import tempfile
import time

import dictsqlite
import figures
from machine import machine

KEY = "key{:013d}"
VALUE = {"id": 12345, "name": "Ada Lovelace", "tags": ["mathematics", "engines"], "score": 0.5, "ok": True}
MODES = {
    "bytes": {},
    "json": {"storage_mode": "json"},
    "msgpack": {"storage_mode": "msgpack"},
    "pickle": {"storage_mode": "pickle"},
    "pickle, unchecked": {"storage_mode": "pickle", "enable_safe_pickle": False},
}


def one_round(store, keys, value):
    """Seconds that storing and looking up took."""
    start = time.perf_counter()
    for key in keys:
        store[key] = value
    middle = time.perf_counter()
    for key in keys:
        store[key]
    return middle - start, time.perf_counter() - middle


def main():
    """Parses the options, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mode", default="memory", choices=["memory", "lazy"])
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    where = machine()

    names = [name for name in MODES if name != "msgpack" or importlib.util.find_spec("msgpack")]
    keys = [KEY.format(number) for number in range(options.keys)]
    times = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as directory:
        stores = {name: dictsqlite.DictSQLite(os.path.join(directory, name), hot_capacity=None,
                                              persist_mode=options.mode, **MODES[name])
                  for name in names}
        values = {name: VALUE for name in names}
        values["bytes"] = json.dumps(VALUE, separators=(",", ":")).encode()
        gc.disable()
        for _ in range(options.rounds):
            for name, store in stores.items():
                times[name].append(one_round(store, keys, values[name]))
        gc.enable()
        for name, store in stores.items():
            if any(store[key] != values[name] for key in keys):
                raise SystemExit(f"{name} does not give back what was put into it")
            store.close()

    work = figures.hash_of(keys, VALUE)
    print(where)
    print(f"{options.keys} keys, {options.rounds} rounds, mode {options.mode}, work {work}; {VALUE}")
    found = []
    for name in names:
        for workload, column in zip(("set", "get"), zip(*times[name])):
            found.append({"values": name, "workload": workload, "threads": 1,
                          **figures.rates(options.keys / seconds for seconds in column)})
        put, got = (1e9 / figure["per_second"] for figure in found[-2:])
        print(f"{name}: set {put:.0f} ns, get {got:.0f} ns")
    figures.write(options.json, where, options, {"keys and value": work}, found)


if __name__ == "__main__":
    main()
