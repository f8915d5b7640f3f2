"""How the libraries are opened, written and read: each by its own defaults."""

import importlib
import os


def open_ours(folder, **options):
    return importlib.import_module("dictsqlite").DictSQLite(os.path.join(folder, "store.db"), **options)


def open_lmdb(folder):
    return importlib.import_module("lmdb").open(folder)


def open_rocksdict(folder):
    return importlib.import_module("rocksdict").Rdict(folder)


def open_diskcache(folder):
    return importlib.import_module("diskcache").Cache(folder)


def open_sqlitedict(folder):
    return importlib.import_module("sqlitedict").SqliteDict(os.path.join(folder, "store.db"))


def open_shelve(folder):
    return importlib.import_module("shelve").open(os.path.join(folder, "store"))


OPEN = {
    "ours": open_ours,
    "dict": lambda folder: {},
    "dictsqlite 2.1": open_ours,
    "diskcache": open_diskcache,
    "sqlitedict": open_sqlitedict,
    "shelve": open_shelve,
    "py-lmdb": open_lmdb,
    "RocksDict": open_rocksdict,
}


def close(library, db):
    if library != "dict":
        db.close()


def put(library, db, key, value):
    """One write that the library takes for done."""
    if library == "py-lmdb":
        with db.begin(write=True) as transaction:
            transaction.put(key.encode(), value)
    else:
        db[key] = value


def settle(library, db):
    """Commits, where a close would not."""
    if library == "sqlitedict":
        db.commit(blocking=True)


def take(library, db, key):
    """One read; None where the key is absent."""
    if library == "py-lmdb":
        with db.begin() as transaction:
            return transaction.get(key.encode())
    return db.get(key)
