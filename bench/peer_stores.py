"""The stores that bench/python_peers.py measures, each behind the same few loops.

A store is opened at a level, which says what a returned write survives:

    durable   the loss of power: it was synced before the call returned
    process   kill -9 of the process: it was handed to the operating system
    lazy      nothing yet; at most a transaction of CHUNK writes waits, or the last tenth of a second
    memory    nothing ever: no file

LEVELS of a class has the settings for each level that the store can do, in words; a level that is not in it is
one that the store does not offer.  Loops take lists, so that each store pays for its own idiom and for nothing else.
Keys are str, values bytes, for all: what a store does to keep them so is part of its cost.
"""

import importlib
import importlib.metadata
import os
import sqlite3


class Store:
    """A store that speaks [] and in; the others override the loops.

    `path` is a folder of the store's own.  `open` may be called again after `close`.
    """

    NAME = PACKAGE = ""
    LEVELS = {}
    NOT_MEASURED = ()

    def __init__(self, path, level):
        self.path = path
        self.level = level
        self.db = None

    @classmethod
    def version(cls):
        """The installed version; an ImportError if the store is not there."""
        importlib.import_module(cls.PACKAGE)
        return importlib.metadata.version(cls.PACKAGE)

    def file(self):
        return os.path.join(self.path, "store.db")

    def close(self):
        self.db.close()

    def load(self, records):
        """All records, the fastest way there is at this level."""
        self.db.update(records)

    def set(self, records):
        """One call a record."""
        db = self.db
        for key, value in records:
            db[key] = value

    def batch(self, records):
        """All records as one unit that is as safe as the level says."""
        self.load(records)

    def get(self, keys):
        db = self.db
        for key in keys:
            db[key]

    def miss(self, keys):
        """Keys that are not there, asked for by `get`; how many were found."""
        get = self.db.get
        return sum(get(key) is not None for key in keys)

    def contains(self, keys):
        db = self.db
        return sum(key in db for key in keys)

    def get_many(self, keys):
        """The values, in the order of the keys."""
        db = self.db
        return [db[key] for key in keys]

    def keys(self):
        return sum(1 for _ in self.db)

    def items(self):
        return sum(1 for _ in self.db.items())

    def delete(self, keys):
        db = self.db
        for key in keys:
            del db[key]

    def content(self):
        """All records as (str, bytes), in any order."""
        return self.db.items()


class Dict(Store):
    NAME = "dict"
    LEVELS = dict.fromkeys(("memory", "lazy"), "a plain dict: no file at all, the limit")
    NOT_MEASURED = ("open", "load_closed", "set_closed", "size")

    @classmethod
    def version(cls):
        return "built in"

    def open(self):
        if self.db is None:
            self.db = {}

    def close(self):
        pass


class Ours(Store):
    NAME = "ours"
    PACKAGE = "dictsqlite"
    LEVELS = {
        "durable": "persist_mode='writethrough', as by default",
        "process": "persist_mode='writethrough', synchronous='normal'",
        "lazy": "persist_mode='lazy': written at most 0.1 s later",
        "memory": "persist_mode='memory', hot_capacity=None: nothing is evicted",
    }

    @classmethod
    def version(cls):
        return importlib.import_module(cls.PACKAGE).__version__

    def open(self):
        module = importlib.import_module(self.PACKAGE)
        options = {
            "durable": {"persist_mode": "writethrough"},
            "process": {"persist_mode": "writethrough", "synchronous": "normal"},
            "lazy": {"persist_mode": "lazy"},
            "memory": {"persist_mode": "memory", "hot_capacity": None},
        }[self.level]
        self.db = module.DictSQLite(self.file(), **options)

    def load(self, records):
        self.db.set_many(records)

    def get_many(self, keys):
        return self.db.get_many(keys)


class Predecessor(Store):
    """The package of the same name: runs under the interpreter of an environment of its own."""

    NAME = "dictsqlite 2.1"
    PACKAGE = "dictsqlite"
    # It sets synchronous=NORMAL and has no option for it: nothing of it is synced when a write returns.
    LEVELS = {
        "process": "persist_mode='writethrough', storage_mode='bytes'",
        "lazy": "persist_mode='lazy', storage_mode='bytes'; batch_set, batch_get",
        "memory": "persist_mode='memory', storage_mode='bytes'; batch_set, batch_get",
    }

    def open(self):
        module = importlib.import_module(self.PACKAGE)
        mode = "writethrough" if self.level == "process" else self.level
        self.db = module.DictSQLite(self.file(), persist_mode=mode, storage_mode="bytes")

    def load(self, records):
        self.db.batch_set(records)

    def get_many(self, keys):
        return self.db.batch_get(keys)


class Lmdb(Store):
    NAME = "py-lmdb"
    PACKAGE = "lmdb"
    LEVELS = {
        "durable": "a transaction a write; map of 1 GiB, no subdatabases",
        "process": "sync=False, a transaction a write",
        "lazy": "sync=False, writemap=True, a transaction for each chunk; bulk: sorted putmulti; "
                "reads in one read transaction",
    }

    def open(self):
        lazy = self.level == "lazy"
        self.db = importlib.import_module("lmdb").open(
            self.path, map_size=1 << 30, sync=self.level == "durable", writemap=lazy, map_async=lazy)
        self.reader = None

    def reading(self):
        """The read transaction, which sees what was there when it began."""
        if self.reader is None:
            self.reader = self.db.begin(buffers=False)
        return self.reader

    def writing(self):
        if self.reader is not None:
            self.reader.abort()
            self.reader = None
        return self.db.begin(write=True)

    def close(self):
        if self.reader is not None:
            self.reader.abort()
        if self.level == "lazy":
            self.db.sync(True)
        self.db.close()

    def load(self, records):
        with self.writing() as transaction:
            transaction.cursor().putmulti(sorted((key.encode(), value) for key, value in records))

    def set(self, records):
        if self.level != "lazy":
            begin = self.db.begin
            for key, value in records:
                with begin(write=True) as transaction:
                    transaction.put(key.encode(), value)
            return
        with self.writing() as transaction:
            put = transaction.put
            for key, value in records:
                put(key.encode(), value)

    def get(self, keys):
        get = self.reading().get
        for key in keys:
            get(key.encode())

    def miss(self, keys):
        get = self.reading().get
        return sum(get(key.encode()) is not None for key in keys)

    contains = miss

    def get_many(self, keys):
        get = self.reading().get
        return [get(key.encode()) for key in keys]

    def keys(self):
        return sum(1 for key in self.reading().cursor().iternext(values=False) if key.decode())

    def items(self):
        return sum(1 for key, _ in self.reading().cursor() if key.decode())

    def delete(self, keys):
        with self.writing() as transaction:
            delete = transaction.delete
            for key in keys:
                delete(key.encode())

    def content(self):
        return ((key.decode(), value) for key, value in self.reading().cursor())


class RocksDict(Store):
    NAME = "RocksDict"
    PACKAGE = "rocksdict"
    LEVELS = {
        "durable": "WriteOptions.sync=True; a batch is a WriteBatch",
        "process": "as by default: the log is written, not synced",
        "lazy": "as by default (without its log it would lose all since the last flush); bulk: a WriteBatch; "
                "get of a list",
    }

    def open(self):
        module = importlib.import_module("rocksdict")
        self.db = module.Rdict(self.path)
        self.new_batch = module.WriteBatch
        if self.level == "durable":
            options = module.WriteOptions()
            options.sync = True
            self.db.set_write_options(options)
        self.durable = options if self.level == "durable" else module.WriteOptions()

    def load(self, records):
        batch = self.new_batch()
        for key, value in records:
            batch[key] = value
        self.db.write(batch, self.durable)

    def get_many(self, keys):
        return self.db.get(keys)

    def keys(self):
        return sum(1 for _ in self.db.keys())

    def close(self):
        if self.level == "lazy":
            self.db.flush()
        self.db.close()


class SqliteDict(Store):
    NAME = "sqlitedict"
    PACKAGE = "sqlitedict"
    # It sets synchronous=OFF on each connection; the durable level undoes that by its public `conn`.
    LEVELS = {
        "durable": "WAL, PRAGMA synchronous=FULL by its conn; autocommit, commit(blocking=True) after each write; "
                   "a batch is an update without autocommit and a commit",
        "process": "WAL, autocommit, commit(blocking=True) after each write (else only its thread has it)",
        "lazy": "WAL, autocommit=False, values not pickled, commit after each chunk",
    }

    def open(self):
        self.db = self.connected(autocommit=self.level != "lazy")
        # For batches: with autocommit, each row of one is a transaction.
        self.batches = self.connected(autocommit=False) if self.level == "durable" else self.db

    def connected(self, autocommit):
        module = importlib.import_module("sqlitedict")
        db = module.SqliteDict(self.file(), journal_mode="WAL", autocommit=autocommit, encode=bytes, decode=bytes)
        if self.level == "durable":
            db.conn.execute("PRAGMA synchronous=FULL")
        return db

    def close(self):
        self.batches.close()
        self.db.close()

    def batch(self, records):
        self.batches.update(records)
        self.batches.commit(blocking=True)

    def load(self, records):
        self.db.update(records)
        self.db.commit(blocking=True)

    def set(self, records):
        db = self.db
        if self.level == "lazy":
            super().set(records)
            db.commit(blocking=True)
            return
        for key, value in records:
            db[key] = value
            db.commit(blocking=True)

    def delete(self, keys):
        super().delete(keys)
        self.db.commit(blocking=True)


class DiskCache(Store):
    NAME = "diskcache"
    PACKAGE = "diskcache"
    LEVELS = {
        "durable": "eviction_policy='none', cull_limit=0, sqlite_synchronous=2",
        "process": "eviction_policy='none', cull_limit=0; synchronous=NORMAL is its default",
        "lazy": "eviction_policy='none', cull_limit=0; transact() around each chunk",
    }

    def open(self):
        module = importlib.import_module("diskcache")
        self.db = module.Cache(self.path, eviction_policy="none", cull_limit=0, size_limit=1 << 40,
                               sqlite_synchronous=2 if self.level == "durable" else 1)

    def load(self, records):
        with self.db.transact():
            super().set(records)

    def set(self, records):
        if self.level == "lazy":
            self.load(records)
        else:
            super().set(records)

    def items(self):
        db = self.db
        return sum(1 for key in db if db[key] is not None)

    def delete(self, keys):
        with self.db.transact():
            super().delete(keys)

    def content(self):
        return ((key, self.db[key]) for key in self.db)


class Shelve(Store):
    """Over whichever dbm this interpreter has; it pickles every value, which is what a shelf is."""

    NAME = "shelve"
    PACKAGE = "shelve"
    LEVELS = {"lazy": "writeback=False, the best dbm of the interpreter; sync() at the end of a bulk load"}

    @classmethod
    def version(cls):
        for name in ("gnu", "ndbm", "dumb"):
            try:
                importlib.import_module("dbm." + name)
            except ImportError:
                continue
            return "of the interpreter, over dbm." + name
        raise ImportError("no dbm")

    def open(self):
        self.db = importlib.import_module("shelve").open(self.file())

    def load(self, records):
        self.db.update(records)
        self.db.sync()


class Sqlite3(Store):
    """The standard library's module, used as one who knows it would."""

    NAME = "sqlite3"
    PACKAGE = "sqlite3"
    LEVELS = {
        "durable": "WAL, synchronous=FULL, autocommit; WITHOUT ROWID; a batch is one sorted transaction",
        "process": "WAL, synchronous=NORMAL, autocommit",
        "lazy": "WAL, synchronous=OFF, a transaction for each chunk; sorted executemany; WHERE key IN (…)",
        "memory": "':memory:', a transaction for each chunk",
    }
    PUT = "INSERT INTO kv VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value"
    GET = "SELECT value FROM kv WHERE key=?"

    @classmethod
    def version(cls):
        return "SQLite " + sqlite3.sqlite_version

    def open(self):
        memory = self.level == "memory"
        self.db = sqlite3.connect(":memory:" if memory else self.file(), isolation_level=None)
        if not memory:
            level = {"durable": "FULL", "process": "NORMAL", "lazy": "OFF"}[self.level]
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=" + level)
        self.db.execute("CREATE TABLE IF NOT EXISTS kv(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")

    def load(self, records):
        self.in_one_transaction(self.PUT, sorted(records))

    def set(self, records):
        execute = self.db.execute
        if self.level in ("lazy", "memory"):
            execute("BEGIN")
        for record in records:
            execute(self.PUT, record)
        if self.level in ("lazy", "memory"):
            execute("COMMIT")

    def in_one_transaction(self, statement, rows):
        self.db.execute("BEGIN")
        self.db.executemany(statement, rows)
        self.db.execute("COMMIT")

    def get(self, keys):
        execute = self.db.execute
        for key in keys:
            execute(self.GET, (key,)).fetchone()[0]

    def miss(self, keys):
        execute = self.db.execute
        return sum(execute(self.GET, (key,)).fetchone() is not None for key in keys)

    def contains(self, keys):
        execute = self.db.execute
        return sum(execute("SELECT 1 FROM kv WHERE key=?", (key,)).fetchone() is not None for key in keys)

    def get_many(self, keys):
        marks = ",".join("?" * len(keys))
        found = dict(self.db.execute(f"SELECT key, value FROM kv WHERE key IN ({marks})", keys))
        return [found[key] for key in keys]

    def keys(self):
        return sum(1 for _ in self.db.execute("SELECT key FROM kv"))

    def items(self):
        return sum(1 for _ in self.content())

    def delete(self, keys):
        self.in_one_transaction("DELETE FROM kv WHERE key=?", [(key,) for key in keys])

    def content(self):
        return self.db.execute("SELECT key, value FROM kv")


STORES = {store.NAME: store for store in
          (Ours, Dict, Predecessor, Lmdb, RocksDict, SqliteDict, DiskCache, Shelve, Sqlite3)}
PEERS = [name for name in STORES if name != Ours.NAME]
