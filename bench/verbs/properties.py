"""What is no verb: each check gets a library and an empty folder, and may return a note."""

import asyncio
import importlib
import os
import pathlib
import sqlite3
import subprocess
import sys

from checks import refuse_unless
from libraries import OPEN, close, open_ours, put, settle, take

PROBE = pathlib.Path(__file__).with_name("probe.py")
SECRET = b"a value that must not be readable"
KILLED_WRITES = 50


class NotAsked(Exception):
    """The question makes no sense for this library."""


MARKS = []


def leave_a_mark(mark):
    MARKS.append(mark)
    return mark


class Planted:
    """Whoever unpickles it runs what it says."""

    def __reduce__(self):
        return leave_a_mark, (1,)


def of_a_file(library):
    if library == "dict":
        raise NotAsked


def encrypted(library, folder):
    """A password that leaves no value readable in any file."""
    of_a_file(library)
    if library not in ("ours", "dictsqlite 2.1"):
        raise NotImplementedError
    db = open_ours(folder, encryption_password="correct horse")
    db["k"] = SECRET
    db.close()
    refuse_unless(not any(SECRET in path.read_bytes() for path in pathlib.Path(folder).rglob("*") if path.is_file()))


def other_password(library, folder):
    """The password of a file can be changed."""
    encrypted(library, folder)
    db = open_ours(folder, encryption_password="correct horse")
    db.rekey("battery staple")
    db.close()
    with open_ours(folder, encryption_password="battery staple") as db:
        refuse_unless(db["k"] == SECRET)


def no_pickle_runs(library, folder):
    """By default, nothing that was stored is run when it is read; a refusal to store it is an answer too."""
    of_a_file(library)
    db = OPEN[library](folder)
    try:
        put(library, db, "k", Planted())
    except Exception:
        return "refused when stored"
    settle(library, db)
    MARKS.clear()
    take(library, db, "k")
    close(library, db)
    refuse_unless(not MARKS)
    return ""


def keys_kept_apart(library, folder):
    """1 and "1" are two keys, or 1 is none."""
    db = OPEN[library](folder)
    if library == "py-lmdb":
        return "keys are bytes"
    try:
        db[1] = b"number"
    except Exception:
        return "1 is refused"
    db["1"] = b"text"
    refuse_unless(db[1] == b"number" and db["1"] == b"text")
    return ""


def async_class(library, folder):
    """Awaitable sets and gets."""
    if library not in ("ours", "dictsqlite 2.1"):
        raise NotImplementedError
    cls = importlib.import_module("dictsqlite").AsyncDictSQLite

    async def run():
        if library == "ours":
            async with cls(os.path.join(folder, "store.db")) as db:
                await db.aset("k", b"1")
                return await db.aget("k")
        db = cls(os.path.join(folder, "store.db"), storage_mode="bytes")
        await db.aset("k", b"1")
        return await db.aget("k")

    refuse_unless(asyncio.run(run()) == b"1")


def child(library, folder, what, *before):
    return subprocess.run([*before, sys.executable, PROBE, "--child", library, folder, what],
                          capture_output=True, timeout=120, check=False)


def survives_kill(library, folder):
    """By default, what was written before kill -9 is there after it."""
    of_a_file(library)
    child(library, folder, "kill")
    db = OPEN[library](folder)
    refuse_unless(all(take(library, db, f"k{number}") is not None for number in range(KILLED_WRITES)))


def syncs_each_write(library, folder):
    """By default, every write is synced, as strace counts."""
    of_a_file(library)
    log = folder + ".trace"
    child(library, folder, "kill", "strace", "-f", "-o", log, "-e", "trace=fsync,fdatasync,msync")
    with open(log, encoding="ascii", errors="replace") as trace:
        refuse_unless(sum(" = 0" in call for call in trace) >= KILLED_WRITES)


def sqlite_readable(library, folder):
    """The file is one that any SQLite program reads, values in plain."""
    db = OPEN[library](folder)
    put(library, db, "k", SECRET)
    settle(library, db)
    close(library, db)
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3":
            reader = sqlite3.connect(path)
            names = [name for name, in reader.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            cells = [cell for name in names for row in reader.execute(f'SELECT * FROM "{name}"') for cell in row]
            refuse_unless(SECRET in cells)
            return
    raise AssertionError("no SQLite file")


def other_values(library, folder):
    """A list comes back as a list, by the defaults or by an option."""
    if library == "ours":
        db = open_ours(folder, storage_mode="json")
    else:
        db = OPEN[library](folder)
    put(library, db, "k", [1, "two"])
    refuse_unless(take(library, db, "k") == [1, "two"])


def expiry(library, folder):
    """A record can be given a time to live."""
    if library == "diskcache":
        with open_diskcache(folder) as db:
            db.set("k", b"1", expire=-1)
            refuse_unless(db.get("k") is None)
    elif library == "RocksDict":
        rocksdict = importlib.import_module("rocksdict")
        rocksdict.Rdict(folder, access_type=rocksdict.AccessType.with_ttl(1)).close()
        return "one for the whole store"
    else:
        open_ours(folder).set("k", b"1", expire=1)


def many_writers(library, folder):
    """A second process may write while the first has the store open."""
    of_a_file(library)
    db = OPEN[library](folder)
    put(library, db, "mine", b"1")
    settle(library, db)
    refuse_unless(child(library, folder, "write").returncode == 0)
    refuse_unless(take(library, db, "theirs") is not None and take(library, db, "mine") is not None)


def insertion_order(library, folder):
    """Iteration goes in the order of insertion."""
    db = OPEN[library](folder)
    names = ["m", "z", "a", "q", "b"]
    for name in names:
        put(library, db, name, b"1")
    if library == "py-lmdb":
        with db.begin() as transaction:
            refuse_unless([key.decode() for key, _ in transaction.cursor()] == names)
    refuse_unless(list(db.keys()) == names)


PROPERTIES = {
    "encryption": encrypted, "rekey": other_password, "no pickle runs by default": no_pickle_runs,
    "keys 1 and \"1\" kept apart": keys_kept_apart, "async class": async_class,
    "writes survive kill -9 by default": survives_kill, "each write synced by default": syncs_each_write,
    "values in plain for any SQLite program": sqlite_readable, "values other than bytes": other_values, "expiry": expiry,
    "several writing processes": many_writers, "order of insertion": insertion_order,
}
