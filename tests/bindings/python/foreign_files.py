"""Files of other libraries, written by their documented formats and without them."""

import base64
import hashlib
import json
import os
import pickle
import sqlite3

SALT = b"DictSQLite_v4_default_salt_16b"


def write_table(path, table, columns, rows, journal_mode="delete"):
    """Rows of (key, value) in a table; the file is closed as a program that ends well leaves it."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={journal_mode}")
    connection.execute(f'CREATE TABLE IF NOT EXISTS "{table}" ({columns})')
    connection.executemany(f'INSERT INTO "{table}" (key, value) VALUES (?, ?)', rows)
    connection.commit()
    connection.close()


# ---- DictSQLite 2 and v4 ----


def cipher_of(password):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 100_000, 32))


def sealed(cipher, plain, mark=b"ENC\0"):
    nonce = os.urandom(12)
    return mark + nonce + cipher.encrypt(nonce, plain, None)


def write_dictsqlite(path, values, table="kv_store", password=None, mark=b"ENC\0", dumps=pickle.dumps):
    columns = ("key TEXT PRIMARY KEY, value BLOB NOT NULL, tier INTEGER DEFAULT 2, "
               "access_count INTEGER DEFAULT 0, last_access INTEGER DEFAULT 0")
    rows = [(key, dumps(value)) for key, value in values.items()]
    if password is not None:
        cipher = cipher_of(password)
        rows = [(key, sealed(cipher, value, mark)) for key, value in rows]
    if table != "kv_store":
        write_table(path, "kv_store", columns, [], "wal")
    write_table(path, table, columns, rows, "wal")


def write_dictsqlite1(path, values, table="main", mode="pickle"):
    def dumps(value):
        return base64.b64encode(pickle.dumps(value)).decode() if mode == "pickle" else json.dumps(value)

    write_table(path, table, "key TEXT PRIMARY KEY, value TEXT",
                [(key, dumps(value)) for key, value in values.items()])


# ---- sqlitedict ----


def write_sqlitedict(path, values, table="unnamed", dumps=pickle.dumps, journal_mode="delete"):
    write_table(path, table, "key TEXT PRIMARY KEY, value BLOB",
                [(key, dumps(value)) for key, value in values.items()], journal_mode)


# ---- dbm and shelve ----


def write_dbm_sqlite3(path, pairs):
    write_table(path, "Dict", "key BLOB UNIQUE NOT NULL, value BLOB NOT NULL", pairs)


def write_dbm_dumb(path, pairs):
    """Values begin at multiples of 512 bytes."""
    with open(f"{path}.dat", "wb") as data, open(f"{path}.dir", "w", encoding="latin-1") as index:
        for key, value in pairs:
            data.write(bytes(-data.tell() % 512))
            index.write(f"{key.decode('latin-1')!r}, ({data.tell()}, {len(value)})\n")
            data.write(value)


# ---- diskcache ----

RAW, BINARY, TEXT, PICKLE = 1, 2, 3, 4


class DiskCache:
    """A directory of diskcache that is being written."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory)
        self.connection = sqlite3.connect(os.path.join(directory, "cache.db"))
        self.connection.executescript(
            "PRAGMA journal_mode=wal;"
            "CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value);"
            "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL,"
            " expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB,"
            " size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB);"
            "CREATE UNIQUE INDEX Cache_key_raw ON Cache(key, raw);")

    def row(self, key, mode, value=None, filename=None, raw=1, expire_time=None):
        self.connection.execute(
            "INSERT INTO Cache (key, raw, expire_time, mode, filename, value) VALUES (?, ?, ?, ?, ?, ?)",
            (key, raw, expire_time, mode, filename, value))

    def beside(self, name, data):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return name

    def close(self):
        self.connection.commit()
        self.connection.close()


def write_diskcache(directory, values):
    cache = DiskCache(directory)
    for key, value in values.items():
        if type(value) in (bytes, str, int, float):
            cache.row(key, RAW, value)
        else:
            cache.row(key, PICKLE, pickle.dumps(value))
    cache.close()
