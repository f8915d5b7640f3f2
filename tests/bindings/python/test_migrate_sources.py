"""migrate: what each kind of source holds, and what is refused of it."""

import os
import pickle
import sqlite3
import sys
import time

import pytest

import foreign_files
from dictsqlite import (
    CorruptError,
    DictSQLite,
    FormatError,
    PasswordError,
    TooBigError,
    UnsafePickleError,
    migrate,
)
from foreign_files import BINARY, PICKLE, RAW, TEXT, DiskCache
from migrating import (
    JSON_VALUES,
    VALUES,
    Evil,
    content,
    hashes,
    nothing_at,
    source,
    target,
    write_encrypted,
    write_keys,
)


# ---- DictSQLite ----


@pytest.mark.parametrize("mark", [b"ENC\0", b""])
def test_encrypted_values_are_decrypted(source, target, mark):
    write_encrypted(source, mark=mark)
    before = hashes(source)
    for password in ("secret", b"secret"):
        migrate(source, target, source_password=password, overwrite=True)
        assert content(target) == VALUES
    assert hashes(source) == before


def test_a_wrong_password_is_an_error_before_anything_is_written(source, target):
    write_encrypted(source)
    with pytest.raises(PasswordError, match="source_password does not open"):
        migrate(source, target, source_password="wrong")
    with pytest.raises(PasswordError, match="source_password is needed"):
        migrate(source, target)
    assert nothing_at(target)


@pytest.mark.parametrize("place", [4, 16, -1])
def test_a_damaged_ciphertext_is_an_error_that_names_the_key(source, target, place):
    write_encrypted(source)
    connection = sqlite3.connect(source)
    (value,) = connection.execute("SELECT value FROM kv_store WHERE key='c'").fetchone()
    damaged = bytearray(value)
    damaged[place] ^= 1
    connection.execute("UPDATE kv_store SET value=? WHERE key='c'", (bytes(damaged),))
    connection.commit()
    connection.close()
    with pytest.raises(CorruptError, match="'c'"):
        migrate(source, target, source_password="secret")
    assert nothing_at(target)


def test_a_value_written_without_the_password_is_an_error(source, target):
    write_encrypted(source)
    foreign_files.write_dictsqlite(source, {"plain": 1})
    with pytest.raises(CorruptError, match="'plain'"):
        migrate(source, target, source_password="secret")


def test_without_cryptography_the_error_says_what_to_install(source, target, monkeypatch):
    write_encrypted(source)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ImportError, match=r"pip install dictsqlite\[migrate\]"):
        migrate(source, target, source_password="secret")


def test_tables_go_by_the_names_that_dictsqlite_gives_them(source, target):
    foreign_files.write_dictsqlite(source, {"k": 1})
    foreign_files.write_dictsqlite(source, {"k": 2}, table="kv_users")
    for table, value in (("users", 2), ("kv_users", 2), ("main", 1), ("kv_store", 1)):
        migrate(source, target, table=table, overwrite=True)
        assert content(target) == {"k": value}


def test_values_of_the_other_modes_are_read_if_the_caller_says_so(source, target):
    foreign_files.write_dictsqlite(source, {"k": b"\x80\0", "l": b""}, dumps=bytes)
    with pytest.raises(UnsafePickleError, match="'k'"):
        migrate(source, target)
    assert migrate(source, target, source_mode="bytes").storage_mode == "bytes"
    assert content(target, "bytes") == {"k": b"\x80\0", "l": b""}
    foreign_files.write_dictsqlite(source + "2", JSON_VALUES,
                                   dumps=lambda value: foreign_files.json.dumps(value).encode())
    migrate(source + "2", target, source_mode="json", overwrite=True)
    assert content(target, "json") == JSON_VALUES
    with pytest.raises(ValueError, match="source_mode"):
        migrate(source, target, source_mode="xml", overwrite=True)


def test_values_of_jsonb_are_read(source, target):
    msgpack = pytest.importorskip("msgpack")
    foreign_files.write_dictsqlite(source, JSON_VALUES, dumps=msgpack.packb)
    migrate(source, target, source_mode="jsonb")
    assert content(target, "json") == JSON_VALUES


def test_what_is_no_json_is_an_error_that_names_the_key(source, target):
    for data in (b"{", b"\xff", b"[" * 100_000):
        foreign_files.write_dictsqlite(source, {"the key": data}, dumps=bytes)
        with pytest.raises(FormatError, match="'the key'"):
            migrate(source, target, source_mode="json")
        os.remove(source)


def test_version_1_held_json_too(source, target):
    foreign_files.write_dictsqlite1(source, {**JSON_VALUES, "s": {"__type__": "set", "value": [1, 2]}},
                                    mode="json")
    with pytest.raises(FormatError, match="base64"):
        migrate(source, target)
    migrate(source, target, source_mode="json")
    assert content(target) == {**JSON_VALUES, "s": {1, 2}}


def test_values_that_version_1_encrypted_are_refused(source, target):
    foreign_files.write_table(source, "main", "key TEXT PRIMARY KEY, value TEXT", [("k", b"\0" * 512)])
    with pytest.raises(FormatError, match="RSA"):
        migrate(source, target)


# ---- keys ----


def test_a_key_that_is_no_text_is_named(source, target):
    foreign_files.write_table(source, "unnamed", "key TEXT PRIMARY KEY, value BLOB",
                              [("a", pickle.dumps(1)), (b"\xff\0", pickle.dumps(2))])
    with pytest.raises(FormatError, match=r"b'\\xff\\x00' is no str but of type bytes"):
        migrate(source, target)
    assert migrate(source, target, on_other_keys="skip").skipped == 1
    migrate(source, target, on_other_keys=bytes.hex, overwrite=True)
    assert content(target) == {"a": 1, "ff00": 2}


def test_text_that_is_no_utf_8_is_no_key(source, target):
    connection = sqlite3.connect(source)
    connection.execute("CREATE TABLE unnamed (key TEXT PRIMARY KEY, value BLOB)")
    connection.execute("INSERT INTO unnamed VALUES (CAST(x'ff' AS TEXT), ?)", (pickle.dumps(1),))
    connection.commit()
    connection.close()
    with pytest.raises(FormatError, match="no text"):
        migrate(source, target)


def test_a_key_too_long_is_an_error_that_names_it(source, target):
    foreign_files.write_sqlitedict(source, {"short": 1, "long" * 20_000: 2})
    with pytest.raises(TooBigError, match="longlong"):
        migrate(source, target)
    assert nothing_at(target)


def test_keys_that_are_no_str_are_never_merged(source, target):
    write_keys(source)
    with pytest.raises(FormatError, match="key 1 is no str but of type int"):
        migrate(source, target)
    with pytest.raises(FormatError, match="two keys of the source become '1'"):
        migrate(source, target, on_other_keys=repr)
    with pytest.raises(TypeError, match="made of the key 1 no str"):
        migrate(source, target, on_other_keys=lambda key: key)
    assert nothing_at(target)


def test_a_function_names_the_keys_that_are_no_str(source, target):
    write_keys(source)
    report = migrate(source, target, on_other_keys=lambda key: f"{type(key).__name__}:{key}")
    assert report.records == 5
    assert content(target) == {"int:1": "int", "1": "str", "float:1.5": "float",
                               "bytes:b'1'": "bytes", "tuple:(1, 'x')": "tuple"}


def test_keys_that_are_no_str_can_be_left_out(source, target):
    write_keys(source)
    report = migrate(source, target, on_other_keys="skip")
    assert (report.records, report.skipped) == (1, 4) and content(target) == {"1": "str"}


def test_a_hostile_pickle_of_a_key_is_refused(source, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = DiskCache(source)
    cache.row(pickle.dumps(Evil()), RAW, "value", raw=0)
    cache.close()
    for rule in ("error", repr):
        with pytest.raises(UnsafePickleError, match="pickled key"):
            migrate(source, target, on_other_keys=rule)
    assert nothing_at(target) and not os.path.exists("was-run")


# ---- diskcache ----


def test_values_beside_a_cache_are_read_by_their_modes(source, target):
    cache = DiskCache(source)
    cache.row("text", TEXT, filename=cache.beside("ab/cd/1.val", "ü\r\n".encode()))
    cache.row("bytes", BINARY, filename=cache.beside("ab/cd/2.val", b"\x80\x04"))
    cache.row("pickle", PICKLE, filename=cache.beside("ef/3.val", pickle.dumps([1, 2])))
    cache.row("raw", RAW, 2.5)
    cache.close()
    before = hashes(source + "/cache.db")
    migrate(source, target)
    assert content(target) == {"text": "ü\r\n", "bytes": b"\x80\x04", "pickle": [1, 2], "raw": 2.5}
    assert hashes(source + "/cache.db") == before
    assert migrate(source + "/cache.db", target, overwrite=True).records == 4


def test_expired_records_are_left_out_and_counted(source, target):
    cache = DiskCache(source)
    now = time.time()
    cache.row("gone", RAW, 1, expire_time=now - 1)
    cache.row("gone too", PICKLE, filename="absent", expire_time=0)
    cache.row("later", RAW, 2, expire_time=now + 3600)
    cache.row("never", RAW, 3)
    cache.close()
    report = migrate(source, target)
    assert (report.records, report.expired) == (2, 2)
    assert content(target) == {"later": 2, "never": 3}


def bad_rows(cache):
    outside = os.path.join(os.path.dirname(cache.directory), "secret")
    with open(outside, "wb") as file:
        file.write(b"secret")
    os.symlink(outside, os.path.join(cache.directory, "link"))
    os.mkfifo(os.path.join(cache.directory, "fifo"))
    return {
        "a file that is missing": (BINARY, None, "absent"),
        "a file above the cache": (BINARY, None, "../secret"),
        "an absolute path": (BINARY, None, outside),
        "a link that leads out": (BINARY, None, "link"),
        "a pipe": (BINARY, None, "fifo"),
        "the directory": (BINARY, None, "."),
        "text that is none": (TEXT, None, cache.beside("bad.val", b"\xff")),
        "no mode": (9, b"x", None),
        "no file name": (BINARY, None, None),
        "a null": (RAW, None, None),
        "a pickle of text": (PICKLE, "text", None),
    }


@pytest.mark.parametrize("row", range(11))
def test_a_row_of_a_cache_that_cannot_be_read_is_an_error_that_names_its_key(tmp_path, target, row):
    cache = DiskCache(str(tmp_path / "cache"))
    rows = bad_rows(cache)
    assert len(rows) == 11
    name, (mode, value, filename) = list(rows.items())[row]
    cache.row(name, mode, value, filename)
    cache.close()
    with pytest.raises((CorruptError, FormatError), match=name):
        migrate(cache.directory, target)
    assert nothing_at(target)


def test_the_shards_of_a_fanout_cache_become_one_store(source, target):
    for shard in range(3):
        foreign_files.write_diskcache(f"{source}/{shard:03}", {f"k{shard}": shard})
    report = migrate(source, target)
    assert (report.kind, report.records) == ("diskcache", 3)
    assert content(target) == {"k0": 0, "k1": 1, "k2": 2}


# ---- dbm ----


@pytest.mark.parametrize("write", [foreign_files.write_dbm_dumb, foreign_files.write_dbm_sqlite3])
def test_a_dbm_file_is_copied_as_bytes_if_the_caller_says_so(source, target, write):
    write(source, [(b"k", b"raw"), ("é".encode(), b"\x80."), (b"empty", b"")])
    with pytest.raises(FormatError, match="kind='dbm'"):
        migrate(source, target)
    report = migrate(source, target, kind="dbm")
    assert (report.kind, report.storage_mode) == ("dbm", "bytes")
    assert content(target, "bytes") == {"k": b"raw", "é": b"\x80.", "empty": b""}


def test_keys_of_dbm_that_are_no_utf_8_need_a_rule(source, target):
    foreign_files.write_dbm_dumb(source, [(b"\xff", b"raw")])
    with pytest.raises(FormatError, match="of type bytes"):
        migrate(source, target, kind="dbm")
    migrate(source, target, kind="dbm", on_other_keys=lambda key: key.decode("latin-1"))
    assert content(target, "bytes") == {"ÿ": b"raw"}


def test_files_of_the_standard_library_are_read(source, target):
    import dbm.dumb
    import shelve

    with shelve.Shelf(dbm.dumb.open(source, "c")) as shelf:
        shelf.update(VALUES)
        shelf["b"] = "changed"
    for path in (source, source + ".dir", source + ".dat"):
        migrate(path, target, overwrite=True)
        assert content(target) == {**VALUES, "b": "changed"}


@pytest.mark.parametrize("name", ["dbm.gnu", "dbm.ndbm", "dbm.sqlite3"])
def test_shelves_are_read_by_the_modules_that_this_python_has(source, target, name):
    import shelve

    module = pytest.importorskip(name)
    with shelve.Shelf(module.open(source, "n")) as shelf:
        shelf.update(VALUES)
    before = hashes(source)
    assert migrate(source, target).kind == "shelve"
    assert content(target) == VALUES and hashes(source) == before


def test_a_file_of_a_module_that_is_missing_says_which(source, target, monkeypatch):
    with open(source, "wb") as file:
        file.write((0x13579ACF).to_bytes(4, "little") + bytes(4096))
    monkeypatch.setitem(sys.modules, "dbm.gnu", None)
    with pytest.raises(FormatError, match="dbm.gnu, which this Python lacks"):
        migrate(source, target)


@pytest.mark.parametrize("line", ["'k', (0, 99)", "'k', (0, -1)", "'k', ('a', 1)", "k", "'k'", "5, (0, 1)",
                                  "__import__('os').system('touch was-run'), (0, 1)", "(" * 1000])
def test_a_damaged_index_of_dbm_dumb_is_an_error(source, target, line):
    foreign_files.write_dbm_dumb(source, [(b"a", b"value")])
    with open(source + ".dir", "a") as file:
        file.write(line + "\n")
    with pytest.raises(CorruptError):
        migrate(source, target, kind="dbm")
    assert nothing_at(target)


# ---- files of the libraries themselves, where they are installed ----


def test_files_of_sqlitedict_itself_are_read(source, target):
    sqlitedict = pytest.importorskip("sqlitedict")
    with sqlitedict.SqliteDict(source, autocommit=True) as db:
        db.update(VALUES)
    assert migrate(source, target).table == "unnamed"
    assert content(target) == VALUES


def test_directories_of_diskcache_itself_are_read(source, target):
    diskcache = pytest.importorskip("diskcache")
    values = {**VALUES, "large": "ü" * 50_000, "many": list(range(20_000)), "bytes": bytes(100_000)}
    with diskcache.Cache(source) as cache:
        for key, value in values.items():
            cache[key] = value
    migrate(source, target)
    assert content(target) == values
