"""Counts what a look-up costs the processor's caches, by valgrind's cachegrind.

    bench/cache_misses.py build/release/bench/sizes [--keys 10000,1000000] [--workload 'get, Zipf'] ...

For each map and size of the table it runs look-ups and twice as many of them: their difference is look-ups
alone, without what it takes to fill the table.  (Ours hashes with a fresh secret each time, so filling is
never quite the same: the larger the table, the more look-ups it takes for figures that repeat.)  Cachegrind models a first-level and a last-level cache
with least-recently-used lines, without a prefetcher; by default they are this machine's as its kernel
describes them, which on a virtual machine need not be what the processor says to cachegrind.  It models none
whose sets are not a power of two in number, as eleven ways of a larger one may be: there the ways differ.
"""

import argparse
import glob
import json
import math
import os
import subprocess
import sys
import tempfile

COUNTERS = {"instructions": ("Ir",), "first_level": ("D1mr", "D1mw"), "last_level": ("DLmr", "DLmw")}


def modelled(size, ways, line):
    """The cache nearest in size that cachegrind models, as it wants it: size, ways and bytes a line."""
    sets = 1 << max(round(math.log2(size / ways / line)), 0)
    ways = max(round(size / sets / line), 1)
    return f"{sets * ways * line},{ways},{line}"


def this_machines(level):
    """Its data cache; None if the kernel does not say."""
    for folder in sorted(glob.glob("/sys/devices/system/cpu/cpu0/cache/index*"), reverse=level != 1):
        def field(name, folder=folder):
            with open(os.path.join(folder, name), encoding="ascii") as file:
                return file.read().strip()
        if field("type") != "Instruction" and level in (int(field("level")), None):
            return modelled(int(field("size").removesuffix("K")) * 1024,
                            int(field("ways_of_associativity")), int(field("coherency_line_size")))
    return None


def summary(lines):
    """What a file of cachegrind's counts in all, by the names of its events."""
    fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)
              if name in ("events", "summary")}
    return dict(zip(fields["events"], map(int, fields["summary"])))


def count(args, name, keys, look_ups):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "counts")
        caches = [f"--{level}={size}" for level, size in (("D1", args.d1), ("LL", args.ll)) if size]
        run = subprocess.run(
            ["valgrind", "--tool=cachegrind", "--cache-sim=yes", f"--cachegrind-out-file={out}", *caches,
             args.program, "--maps", name, "--keys", str(keys), "--operations", str(2 * args.look_ups),
             "--workload", args.workload, "--look-ups", str(look_ups), "--seed", str(args.seed)],
            capture_output=True, text=True, check=False)
        if run.returncode != 0:
            sys.exit(f"{' '.join(run.args)}\n{run.stdout}{run.stderr}")
        with open(out, encoding="utf-8") as file:
            return summary(file)


def per_look_up(args, name, keys):
    once, twice = (count(args, name, keys, times * args.look_ups) for times in (1, 2))
    return {counter: sum(twice[event] - once[event] for event in events) / args.look_ups
            for counter, events in COUNTERS.items()}


def measure(args):
    figures = []
    for name in args.maps.split(","):
        for keys in args.keys.split(","):
            figure = {"map": name, "workload": args.workload, "keys": int(keys), **per_look_up(args, name, int(keys))}
            figures.append(figure)
            print(f"{name:<12}{figure['keys']:>10}{figure['instructions']:>14.1f}"
                  f"{figure['first_level']:>14.2f}{figure['last_level']:>14.2f}", flush=True)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="bench/sizes")
    parser.add_argument("--maps", default="dictsqlite,no threads")
    parser.add_argument("--keys", default="10000,100000,1000000")
    parser.add_argument("--workload", default="get, found", help="a workload of bench/map that only reads")
    parser.add_argument("--look-ups", type=int, default=500000)
    parser.add_argument("--d1", default=this_machines(1), help="size, associativity and bytes a line of the first-level data cache")
    parser.add_argument("--ll", default=this_machines(None), help="the same of the last level")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="a file for the figures")
    args = parser.parse_args()
    print(f"a look-up, {args.workload}; caches of {args.d1} and {args.ll}")
    print(f"{'map':<12}{'keys':>10}{'instructions':>14}{'D1 misses':>14}{'LL misses':>14}")
    figures = measure(args)
    if args.json:
        parameters = {name: getattr(args, name) for name in ("look_ups", "d1", "ll", "seed")}
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"benchmark": "cache_misses", "parameters": parameters, "figures": figures}, file, indent=1)


if __name__ == "__main__":
    main()
