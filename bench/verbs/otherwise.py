"""What other libraries have in the place of our verbs, by their own names, as checks.

OTHERWISE is verb -> library -> (its name for it, a check); a check gets what the library opens: of py-lmdb an
environment, whose verbs are those of transactions.
"""

import importlib
import os
import tempfile

from checks import START, VERBS, once_among_threads, refuse_unless


# Ours


def ours_fromkeys(db):
    """The class needs a path: one that is derived from it gives it."""
    with tempfile.TemporaryDirectory() as folder:
        class Here(type(db)):
            def __init__(self):
                super().__init__(os.path.join(folder, "made.db"))

        with Here.fromkeys(["x", "y"], b"0") as made:
            refuse_unless(dict(made.items()) == {"x": b"0", "y": b"0"})


# py-lmdb


def transacted(call):
    """A check of what a write transaction answers."""
    def check(environment):
        with environment.begin(write=True) as transaction:
            refuse_unless(call(transaction))
    return check


def lmdb_batch(environment):
    try:
        with environment.begin(write=True) as transaction:
            transaction.put(b"x", b"7")
            transaction.delete(b"a")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    transacted(lambda t: t.get(b"x") is None and t.get(b"a") == b"1")(environment)


def lmdb_clear(environment):
    whole = environment.open_db()
    with environment.begin(write=True) as transaction:
        transaction.drop(whole, delete=False)
    refuse_unless(environment.stat()["entries"] == 0)


def lmdb_copy(compact):
    def check(environment):
        with tempfile.TemporaryDirectory() as folder:
            environment.copy(folder, compact=compact)
            refuse_unless(os.path.getsize(os.path.join(folder, "data.mdb")) > 0)
    return check


def lmdb_scan(transaction):
    cursor = transaction.cursor()
    return cursor.set_range(b"aa") and cursor.key() == b"ab" and cursor.next() and cursor.key() == b"b"


# RocksDict


def rocksdict_batch(db):
    batch = importlib.import_module("rocksdict").WriteBatch()
    batch["x"] = b"7"
    del batch["a"]
    db.write(batch)
    refuse_unless(db["x"] == b"7" and "a" not in db)


def rocksdict_backup(db):
    module = importlib.import_module("rocksdict")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy")
        module.Checkpoint(db).create_checkpoint(copy)
        refuse_unless(os.listdir(copy))


# diskcache: Cache, which all know, and Index, its mapping, over the same files.


def of_index(verb):
    def check(cache):
        VERBS[verb](importlib.import_module("diskcache").Index.fromcache(cache))
    return check


def diskcache_batch(cache):
    try:
        with cache.transact():
            cache["x"] = b"7"
            del cache["a"]
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    refuse_unless("x" not in cache and cache["a"] == b"1")


def diskcache_compute(cache):
    module = importlib.import_module("diskcache")

    def compute(function):
        module.barrier(cache, module.Lock)(cache.memoize(name="n")(function))()

    refuse_unless(once_among_threads(compute) == 1)


INDEX = {verb: {"diskcache": ("Index", of_index(verb))}
         for verb in ("==", "popitem", "setdefault", "update", "live views", "views as sets")}

OTHERS = {
    "[]": {"py-lmdb": ("put, get, delete", transacted(lambda t: t.put(b"n", b"1") and t.delete(b"n")))},
    "get": {"py-lmdb": ("get of a transaction", transacted(lambda t: t.get(b"a") == b"1"))},
    "in": {"py-lmdb": ("cursor.set_key", transacted(lambda t: t.cursor().set_key(b"a")))},
    "len": {"py-lmdb": ("stat", lambda db: refuse_unless(db.stat()["entries"] == len(START)))},
    "iter": {
        "py-lmdb": ("cursor", transacted(lambda t: [bytes(key) for key, _ in t.cursor()] == [b"a", b"ab", b"b"])),
        "RocksDict": ("keys", lambda db: refuse_unless(sorted(db.keys()) == sorted(START))),
    },
    "reversed": {
        "py-lmdb": ("cursor.iterprev", transacted(lambda t: next(iter(t.cursor().iterprev()))[0] == b"b")),
        "RocksDict": ("keys(backwards=True)", lambda db: refuse_unless(list(db.keys(backwards=True))[0] == "b")),
    },
    "fromkeys": {"ours": ("of a derived class with a path", ours_fromkeys)},
    "pop": {"py-lmdb": ("pop of a transaction", transacted(lambda t: t.pop(b"a") == b"1"))},
    "setdefault": {"py-lmdb": ("put(overwrite=False)", transacted(lambda t: not t.put(b"a", b"9", overwrite=False)))},
    "update": {"py-lmdb": ("cursor.putmulti", transacted(lambda t: t.cursor().putmulti([(b"x", b"7")])))},
    "clear": {"py-lmdb": ("drop", lmdb_clear),
              "RocksDict": ("delete_range", lambda db: refuse_unless(db.delete_range("a", "c") or "a" not in db))},
    "get_many": {
        "py-lmdb": ("cursor.getmulti", transacted(lambda t: len(t.cursor().getmulti([b"a", b"b"])) == 2)),
        "RocksDict": ("get of a list", lambda db: refuse_unless(db.get(["b", "nil", "a"]) == [b"3", None, b"1"])),
        "dictsqlite 2.1": ("batch_get", lambda db: refuse_unless(set(db.batch_get(["b", "nil", "a"])) == {"a", "b"})),
    },
    "set_many": {
        "py-lmdb": ("cursor.putmulti", transacted(lambda t: t.cursor().putmulti([(b"x", b"7")]))),
        "RocksDict": ("WriteBatch", rocksdict_batch),
        "dictsqlite 2.1": ("batch_set", lambda db: refuse_unless(db.batch_set([("x", b"7")]) or "x" in db)),
    },
    "delete_many": {"RocksDict": ("WriteBatch", rocksdict_batch)},
    "batch": {"diskcache": ("transact", diskcache_batch), "py-lmdb": ("begin", lmdb_batch),
              "RocksDict": ("WriteBatch", rocksdict_batch)},
    "increment": {"diskcache": ("incr", lambda db: refuse_unless(db.incr("n", 1, 0) == 1 and db.incr("n", 4) == 5))},
    "compare_and_swap": {
        "py-lmdb": ("get, put in a transaction", transacted(lambda t: t.get(b"a") == b"1" and t.put(b"a", b"9"))),
    },
    "add": {"py-lmdb": ("put(overwrite=False)", transacted(lambda t: not t.put(b"a", b"9", overwrite=False)))},
    "get_or_compute": {"diskcache": ("barrier and memoize", diskcache_compute)},
    "scan": {
        "py-lmdb": ("cursor.set_range", transacted(lmdb_scan)),
        "RocksDict": ("items(from_key=)",
                      lambda db: refuse_unless([key for key, _ in db.items(from_key="ab")] == ["ab", "b"])),
    },
    "flush": {"shelve": ("sync", lambda db: db.sync()), "py-lmdb": ("sync", lambda db: db.sync(True)),
              "sqlitedict": ("commit", lambda db: db.commit(blocking=True))},
    "backup": {"py-lmdb": ("copy", lmdb_copy(compact=False)), "RocksDict": ("Checkpoint", rocksdict_backup)},
    "verify": {"diskcache": ("check", lambda db: refuse_unless(db.check() == []))},
    "compact": {"py-lmdb": ("copy(compact=True)", lmdb_copy(compact=True)),
                "RocksDict": ("compact_range", lambda db: db.compact_range(None, None))},
}

OTHERWISE = {verb: {**INDEX.get(verb, {}), **OTHERS.get(verb, {})} for verb in VERBS}
