"""The main job on real input: demo.py [FILE]

Loads the Debian package index (or, where apt has no lists, records of its own) through a hot tier
far smaller than the data, checks every record, kills a writer with SIGKILL and looks for what it
had acknowledged, then measures.  Exits with 1 if anything was lost or wrong.
"""

import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

from dictsqlite import DictSQLite

HOT_CAPACITY = 2_000
QUEUE_BYTES = 4 << 20
OWN_RECORDS = 60_000
QUERIES = 50_000
FAVOURITES = 1_000
KILLS = 5
WORK_SECONDS = 0.3
MEASURED_KEYS = 20_000
SETS_TO_DISK = 200
PAIRS = 7


def say(text):
    print(f"\n== {text}", flush=True)


def fail(text):
    sys.exit(f"FAILED: {text}")


# The records


def package_index():
    """Package name to stanza, the last one where a name comes twice; empty without apt's lists."""
    if shutil.which("apt-cache") is None:
        return {}
    output = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=False).stdout
    records = {}
    for stanza in output.split(b"\n\n"):
        if stanza.startswith(b"Package: "):
            name = stanza.partition(b"\n")[0].removeprefix(b"Package: ")
            records[name.decode()] = stanza
    return records


def own_records():
    generator = random.Random(1)
    return {
        f"record-{number:05}": generator.randbytes(generator.randrange(100, 1500))
        for number in range(OWN_RECORDS)
    }


def records_to_load():
    records = package_index()
    if records:
        print(f"source: apt-cache dumpavail, {len(records):,} packages")
    else:
        records = own_records()
        print(f"apt has no package lists here; made {len(records):,} records instead")
    print(f"{sum(map(len, records.values())) / 1e6:.1f} MB of values")
    return records


# Two tiers


def open_lazy(path):
    return DictSQLite(
        path, hot_capacity=HOT_CAPACITY, persist_mode="lazy", queue_bytes=QUEUE_BYTES
    )


def load(path, records):
    say(
        f"Loading all of them, lazy mode: {HOT_CAPACITY:,} records in memory, "
        f"and {QUEUE_BYTES >> 20} MiB on their way to the disk"
    )
    start = time.perf_counter()
    with open_lazy(path) as db:
        for key, value in records.items():
            db[key] = value
        written = time.perf_counter()
        db.flush()
        flushed = time.perf_counter()
        stats = db.stats()
    closed = time.perf_counter()
    print(
        f"stored in {written - start:.2f} s ({len(records) / (written - start):,.0f} a second), "
        f"on disk {flushed - written:.2f} s later, closed after another {closed - flushed:.2f} s"
    )
    print(f"{stats['commits']} commits for {len(records):,} records: group commit")


def query(path, records):
    say("Reopened: queries from the file and from memory")
    name = "bash" if "bash" in records else next(iter(records))
    with open_lazy(path) as db:
        for tier in ("the file", "memory"):
            before = db.stats()
            start = time.perf_counter()
            value = db[name]
            elapsed = time.perf_counter() - start
            after = db.stats()
            if value != records[name]:
                fail(f"{name} differs from the source")
            print(
                f"db[{name!r}] from {tier:8}: {len(value):,} bytes in {elapsed * 1e6:6.1f} µs "
                f"(misses +{after['misses'] - before['misses']}, "
                f"hits +{after['hits'] - before['hits']})"
            )
        absent = name + "-no-such-package"
        print(f"{absent!r} in db: {absent in db};  len(db): {len(db):,}")
        first, value = next(iter(db.items()))
        print(f"first in key order: {first!r}: {value[:50]!r}...")
        if absent in db or len(db) != len(records) or first != min(records):
            fail("a query is answered wrongly")
        query_favourites(db, records)


def query_favourites(db, records):
    """Four queries in five go to a few keys: what CLOCK keeps in memory."""
    generator = random.Random(3)
    names = list(records)
    favourites = generator.sample(names, min(FAVOURITES, len(names)))
    wanted = [
        generator.choice(favourites if generator.random() < 0.8 else names) for _ in range(QUERIES)
    ]
    before = db.stats()
    start = time.perf_counter()
    wrong = sum(db[name] != records[name] for name in wanted)
    elapsed = time.perf_counter() - start
    after = db.stats()
    print(
        f"{QUERIES:,} random queries, 80 % of them for {len(favourites):,} favourites, in "
        f"{elapsed:.2f} s: {after['hits'] - before['hits']:,} from memory, "
        f"{after['misses'] - before['misses']:,} from the file, {wrong} wrong"
    )
    if wrong:
        fail("queries are answered wrongly")


def verify(path, records):
    say("Checking every record against the source, by key and by iteration")
    with open_lazy(path) as db:
        start = time.perf_counter()
        wrong = sum(db.get(key) != value for key, value in records.items())
        elapsed = time.perf_counter() - start
        stats = db.stats()
        visited = dict(db.items())
    print(
        f"{len(records):,} gets in {elapsed:.2f} s, each key once: {stats['misses']:,} from the "
        f"file; {stats['hot_records']:,} records in memory"
    )
    print(f"{wrong} differ; iteration gives the same {len(visited):,}: {visited == records}")
    if wrong or visited != records:
        fail("records differ from the source")


# kill -9

WRITER = """
import sys
from dictsqlite import DictSQLite
db = DictSQLite(sys.argv[1])
number = int(sys.argv[2])
while True:
    db[f"kill-{number:07}"] = b"acknowledged %d" % number
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def acknowledged_by_killed_writer(path, first):
    """The last number that a writer printed before it was killed."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path, str(first)], stdout=subprocess.PIPE, text=True
    )
    last = int(writer.stdout.readline() or fail("the writer wrote nothing"))
    time.sleep(random.uniform(0, WORK_SECONDS))
    writer.send_signal(signal.SIGKILL)
    printed = writer.stdout.read()
    writer.wait()
    whole_lines = printed[: printed.rfind("\n") + 1].split()
    return int(whole_lines[-1]) if whole_lines else last


def kill_writers(path):
    say(f"kill -9, {KILLS} times, of a process that prints each write after writethrough took it")
    first = 1
    for kill in range(1, KILLS + 1):
        acknowledged = acknowledged_by_killed_writer(path, first)
        with DictSQLite(path) as db:
            missing = [
                number
                for number in range(1, acknowledged + 1)
                if db.get(f"kill-{number:07}") != b"acknowledged %d" % number
            ]
            beyond = f"kill-{acknowledged + 1:07}" in db
        print(
            f"kill {kill}: {acknowledged - first + 1:5,} acknowledged, {len(missing)} missing"
            + (" (one more was on disk, not yet acknowledged)" if beyond else "")
        )
        if missing:
            fail(f"acknowledged writes are missing: {missing[:10]}")
        first = acknowledged + 1


# Figures


def per_second(work, count):
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def get_all(mapping, keys):
    for key in keys:
        mapping[key]


def set_all(mapping, keys, value):
    for key in keys:
        mapping[key] = value


class SQLiteTable:
    """The sqlite3 module as a mapping; each set is a transaction unless one is open."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute("CREATE TABLE kv(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def __getitem__(self, key):
        row = self.connection.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return row[0]

    def __setitem__(self, key, value):
        self.connection.execute("REPLACE INTO kv VALUES (?, ?)", (key, value))


def compare(title, count, work, ours, others):
    """Measures pairs, one after the other in turn, and prints medians and the median ratios."""
    rates = {"dictsqlite": []}
    ratios = {name: [] for name in others}
    for _ in range(PAIRS):
        for name, other in others.items():
            own = per_second(lambda: work(ours), count)
            theirs = per_second(lambda: work(other), count)
            rates["dictsqlite"].append(own)
            rates.setdefault(name, []).append(theirs)
            ratios[name].append(own / theirs)
    print(f"{title:34} {statistics.median(rates['dictsqlite']):12,.0f}", end="")
    for name in ("dict", "sqlite3"):
        if name in others:
            rate = statistics.median(rates[name])
            print(f"   {name} {rate:12,.0f} (x{statistics.median(ratios[name]):.2f})", end="")
    print(flush=True)


def measure(directory):
    say(f"Operations a second, {MEASURED_KEYS:,} str keys, 64-byte values, medians of {PAIRS} pairs")
    keys = [f"key-{number:06}" for number in range(MEASURED_KEYS)]
    random.Random(2).shuffle(keys)
    value = os.urandom(64)
    plain = dict.fromkeys(keys, value)
    table = SQLiteTable(os.path.join(directory, "peer.db"))
    table.connection.execute("BEGIN")
    set_all(table, keys, value)
    table.connection.execute("COMMIT")

    with DictSQLite(os.path.join(directory, "lazy.db"), persist_mode="lazy") as db:
        set_all(db, keys, value)
        db.flush()
        others = {"dict": plain, "sqlite3": table}
        compare("get, hot", len(keys), lambda mapping: get_all(mapping, keys), db, others)

        def set_and_flush(mapping):
            set_all(mapping, keys, value)
            if mapping is db:
                db.flush()

        def set_in_one_transaction(mapping):
            if mapping is table:
                table.connection.execute("BEGIN")
            set_and_flush(mapping)
            if mapping is table:
                table.connection.execute("COMMIT")

        compare("set, lazy", len(keys), lambda mapping: set_all(mapping, keys, value), db,
                {"dict": plain})
        compare("set, then on disk at once", len(keys), set_in_one_transaction, db,
                {"sqlite3": table})
    with DictSQLite(os.path.join(directory, "through.db")) as db:
        few = keys[:SETS_TO_DISK]
        compare("set, each on disk (writethrough)", len(few),
                lambda mapping: set_all(mapping, few, value), db, {"sqlite3": table})
    print("(x: dictsqlite beside the other; one thread)")


def main(arguments):
    directory = tempfile.mkdtemp(prefix="dictsqlite-demo-")
    path = arguments[0] if arguments else os.path.join(directory, "demo.db")
    if os.path.exists(path):
        fail(f"{path} exists; name a new file")
    say("Records")
    records = records_to_load()
    load(path, records)
    query(path, records)
    verify(path, records)
    kill_writers(path)
    with tempfile.TemporaryDirectory(prefix="dictsqlite-figures-") as scratch:
        measure(scratch)
    say("The file is an ordinary SQLite database; look at it with")
    name = "bash" if "bash" in records else next(iter(records))
    print(f"sqlite3 {path} 'PRAGMA integrity_check; SELECT count(*) FROM kv'")
    print(f"sqlite3 {path} \"SELECT CAST(value AS TEXT) FROM kv WHERE key = CAST('{name}' AS BLOB)\"")


if __name__ == "__main__":
    main(sys.argv[1:])
