"""A hit beside a plain dict: d[k] against db[k], in pairs, in one process.

    PYTHONPATH=build/release/python python bench/get_hit.py [--keys N] [--pairs N] [--mode MODE]

Every pair times one pass over all keys through the dict, then one through the store, with the same loop.
Prints nanoseconds a look-up as medians, and the median over the pairs of the ratio of speeds (1.0: as fast as
the dict), with the quartiles.  The look-ups of both are checked against each other before they are timed.
"""

import argparse
import gc
import hashlib
import os
import random
import statistics
import tempfile
import time

import dictsqlite

from machine import machine

KEY = "key{:013d}"


def one_pass(mapping, keys):
    """Seconds that a loop over all keys takes."""
    start = time.perf_counter()
    for key in keys:
        mapping[key]
    return time.perf_counter() - start


def measure(store, plain, keys, pairs):
    """Seconds of the dict's and the store's pass, pair by pair."""
    one_pass(plain, keys)
    one_pass(store, keys)
    gc.collect()
    gc.disable()
    try:
        return [(one_pass(plain, keys), one_pass(store, keys)) for _ in range(pairs)]
    finally:
        gc.enable()


def main():
    """Parses the options, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--value-bytes", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--mode", default="lazy", choices=["memory", "lazy", "writethrough"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    rng = random.Random(options.seed)
    keys = [KEY.format(number) for number in range(options.keys)]
    plain = {key: rng.randbytes(options.value_bytes) for key in keys}
    work = hashlib.sha256(b"".join(plain.values())).hexdigest()[:16]
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "bench.db")
        with dictsqlite.DictSQLite(path, hot_capacity=None, persist_mode=options.mode) as store:
            store.update(plain)
            store.flush()
            if any(store[key] != value for key, value in plain.items()):
                raise SystemExit("the store does not hold what was put into it")
            times = measure(store, plain, keys, options.pairs)

    ratios = [of_dict / of_store for of_dict, of_store in times]
    low, middle, high = statistics.quantiles(ratios, n=4)
    per_key = 1e9 / options.keys
    print(machine())
    print(f"{options.keys} str keys of {len(keys[0])} characters, values of {options.value_bytes} bytes, "
          f"mode {options.mode}, {options.pairs} pairs, seed {options.seed}, work {work}")
    print(f"dict {statistics.median(pair[0] for pair in times) * per_key:.1f} ns, "
          f"store {statistics.median(pair[1] for pair in times) * per_key:.1f} ns a look-up")
    print(f"speed of a dict: {middle:.2f} (quartiles {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
