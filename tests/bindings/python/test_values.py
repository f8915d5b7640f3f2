"""Storage modes: what values are in the file, and that every method goes by it."""

import asyncio
import collections
import decimal
import doctest
import importlib.util
import json
import marshal
import math
import pathlib
import pickle
import re
import sqlite3
import subprocess
import sys
import threading
import types

import pytest

from dictsqlite import (
    AsyncDictSQLite, CorruptError, DictSQLite, FormatError, UnsafePickleError, decrypt, encrypt)

HAS_MSGPACK = importlib.util.find_spec("msgpack") is not None
needs_msgpack = pytest.mark.skipif(not HAS_MSGPACK, reason="the package msgpack is not installed")
INSTALLED = ["msgpack"] if HAS_MSGPACK else []
MSGPACK = pytest.param("msgpack", marks=needs_msgpack)


class Reversing:
    """A codec of two methods: the repr backwards."""

    def dumps(self, value):
        return bytearray(repr(value)[::-1].encode())

    def loads(self, data):
        assert type(data) is bytes
        return eval(data[::-1])


# Of each mode: what the constructor is given, and values that come back as they are.
MODES = {
    "bytes": ({}, [b"", b"first", b"\x80\x05N.", b"{}"]),
    "json": ({"storage_mode": "json"}, [None, "first", [1, {"a": [2.5, None]}], {"é": "ü", "": []}]),
    "msgpack": ({"storage_mode": "msgpack"}, [None, (1, [2]), {(1,): {2}}, decimal.Decimal("1.10")]),
    "pickle": ({"storage_mode": "pickle"}, [None, (1, [2]), {1: {2}}, collections.Counter("aab")]),
    "plain pickle": ({"storage_mode": "pickle", "enable_safe_pickle": False},
                     [None, (1,), [{2}], types.SimpleNamespace(a=1)]),
    "checked bytes": ({"enable_safe_pickle": True},
                      [pickle.dumps(value) for value in (None, 1, [2], "three")]),
    "object": ({"storage_mode": Reversing()}, [None, (1,), [2], {"a": (3,)}]),
    "module": ({"storage_mode": marshal}, [None, (1,), [2], {"a": (3,)}]),
}


@pytest.fixture(params=[MSGPACK if name == "msgpack" else name for name in MODES])
def case(request):
    return MODES[request.param]


@pytest.fixture(params=["writethrough", "memory"])
def store(request, path, case):
    """An open store and four values for it."""
    with DictSQLite(path, persist_mode=request.param, **case[0]) as db:
        yield db, case[1]


def planted(path, data, key="k", where="kv"):
    """Puts bytes into a closed file, as somebody else would."""
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT OR REPLACE INTO kv VALUES(?, ?)", (key.encode(), data))
        connection.execute("UPDATE meta SET value = (SELECT count(*) FROM kv) WHERE name = 'count'")


def same(value, expected):
    return type(value) is type(expected) and value == expected


# ---- every method ----

def test_values_come_back_by_every_look_up(store):
    db, values = store
    for i, value in enumerate(values):
        db[f"k{i}"] = value
    for i, value in enumerate(values):
        assert same(db[f"k{i}"], value)
        assert same(db.get(f"k{i}", 7), value)
    assert db.get("absent", 7) == 7
    assert db.get("absent") is None
    assert db.get_many(["k1", "absent", "k0"]) == [values[1], None, values[0]]
    assert db.get_many((key for key in ["k3", "absent"]), default=7) == [values[3], 7]


def test_values_come_back_by_every_walk(store):
    db, values = store
    records = {f"k{i}": value for i, value in enumerate(values)}
    db.update(records)
    assert dict(db.items()) == dict(db.scan("k")) == dict(db) == db.copy() == records
    assert sorted(map(repr, db.values())) == sorted(map(repr, values))
    assert db == records and not db != records
    assert db != {**records, "k0": values[1]}
    assert db | {"other": 1} == {**records, "other": 1}
    assert {"other": 1} | db == {"other": 1, **records}
    assert all(value in db.values() for value in values)
    assert object() not in db.values()
    assert all(item in db.items() for item in records.items())
    assert ("k0", values[1]) not in db.items()
    assert db.items() == records.items() and db.items() == db.items()
    assert not db.items() == {**records, "k0": values[1]}.items()
    assert db.items() != {}.items()


def test_a_value_is_stored_by_every_method(store, case):
    db, (first, second, third, fourth) = store
    assert same(db.setdefault("setdefault", first), first)
    assert same(db.setdefault("setdefault", second), first)
    db.update({"update": second}, keyword=third)
    db.update([("pairs", fourth)])
    db.set_many({"set_many": first}.items())
    db |= {"or": second}
    with db.batch() as batch:
        batch["batch"] = third
        batch.put("put", fourth)
    assert db.add("add", second) and not db.add("add", first)
    assert same(db.get_or_compute("computed", lambda: first), first)
    assert same(db.get_or_compute("computed", lambda: second), first)
    assert db == {
        "setdefault": first, "update": second, "keyword": third, "pairs": fourth, "set_many": first,
        "or": second, "batch": third, "put": fourth, "add": second, "computed": first}
    with DictSQLite(":memory:", **case[0]) as other:
        other.update(db)
        assert other == db and other.items() == db.items()


def mode_name(options):
    mode = options.get("storage_mode", "bytes")
    if isinstance(mode, str):
        return mode
    return "custom:marshal" if mode is marshal else f"custom:{__name__}.Reversing"


def test_a_value_is_taken_out_by_every_method(store):
    db, values = store
    db["k"] = values[1]
    assert same(db.pop("k"), values[1])
    assert db.pop("k", 7) == 7
    with pytest.raises(KeyError):
        db.pop("k")
    db["k"] = values[2]
    assert db.popitem() == ("k", values[2])
    db.update(a=values[0], b=values[1])
    assert db.delete_many(["a", "b", "c"]) == 2
    assert len(db) == 0


def test_compare_and_swap_compares_values(store):
    db, (_, second, third, fourth) = store
    assert not db.compare_and_swap("k", second, third)
    assert db.compare_and_swap("k", None, second)
    assert not db.compare_and_swap("k", None, third)
    assert not db.compare_and_swap("k", third, fourth)
    assert same(db["k"], second)
    assert db.compare_and_swap("k", second, third)
    assert same(db["k"], third)
    assert not db.compare_and_swap("k", second, None)
    assert db.compare_and_swap("k", third, None)
    assert "k" not in db and db.compare_and_swap("k", None, None)


def test_the_async_store_goes_by_the_mode(path, case):
    options, values = case

    async def use():
        async with AsyncDictSQLite(path, persist_mode="writethrough", **options) as db:
            assert db.storage_mode == mode_name(options)
            for i, value in enumerate(values):
                await db.aset(f"k{i}", value)
            await db.aset_many({"many": values[1]})
            for i, value in enumerate(values):
                assert same(await db.aget(f"k{i}", 7), value)
            assert await db.aget("absent", 7) == 7
            assert await db.aget_many(["k0", "absent", "many"], 7) == [values[0], 7, values[1]]
            assert [value async for value in db.avalues()] == [*values, values[1]]
            db.set_async("plain", values[2])
            assert db.batch_get(["plain"]) == [values[2]] and same(db.get_async("plain"), values[2])
        async with AsyncDictSQLite(path, capacity=1, **options) as db:
            for i, value in enumerate(values):
                assert same(await db.aget(f"k{i}", 7), value)

    asyncio.run(use())


def test_fromkeys_goes_by_the_mode_of_the_class(path, case):
    class Store(DictSQLite):
        def __init__(self):
            super().__init__(path, **case[0])

    with Store.fromkeys(["a", "b"], case[1][1]) as db:
        assert db == {"a": case[1][1], "b": case[1][1]}


@pytest.mark.parametrize("mode", ["json", MSGPACK, "pickle"])
def test_none_is_a_value_where_the_mode_has_it(path, mode):
    class Store(DictSQLite):
        def __init__(self):
            super().__init__(path, storage_mode=mode)

    with Store.fromkeys(["a"]) as db:
        assert db.setdefault("b") is None
        assert db == {"a": None, "b": None} and "a" in db
        assert db.pop("a", 7) is None


# ---- what is in the file ----

@pytest.mark.parametrize("mode, value, stored", [
    ("bytes", b"\x80\x05K\x01.", b"\x80\x05K\x01."),
    ("json", {"é": [1, 2.5, None, "\n"]}, '{"é":[1,2.5,null,"\\n"]}'.encode()),
    pytest.param("msgpack", {"a": [1, b"x"]}, b"\x81\xa1a\x92\x01\xc4\x01x", marks=needs_msgpack),
    ("pickle", 1, b"\x80\x05K\x01."),
    (marshal, 1, marshal.dumps(1)),
])
def test_the_file_holds_what_the_mode_says(path, mode, value, stored):
    with DictSQLite(path, storage_mode=mode) as db:
        db["k"] = value
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT value FROM kv").fetchall() == [(stored,)]
    with DictSQLite(path, storage_mode="raw") as db:
        assert db["k"] == stored


def test_a_file_is_opened_in_its_own_mode_only(path):
    for mode in ("json", *INSTALLED, "pickle", "bytes", marshal):
        DictSQLite(path, storage_mode=mode).close()
        for other in ("json", *INSTALLED, "pickle", "bytes", json):
            if other == mode:
                continue
            with pytest.raises(FormatError, match="stored as '.*', not '") as refusal:
                DictSQLite(path, storage_mode=other)
            assert str(path) in str(refusal.value)
        with DictSQLite(path, storage_mode=mode, readonly=True) as db:
            assert db.storage_mode == (mode if isinstance(mode, str) else "custom:marshal")
        path.unlink()


def test_the_mode_is_in_the_file_from_the_first_moment(path, script):
    done = script("""
        import os, sys
        from dictsqlite import DictSQLite
        db = DictSQLite(sys.argv[1], storage_mode="json", persist_mode="lazy")
        os.kill(os.getpid(), 9)
    """, path)
    assert done.returncode == -9
    with pytest.raises(FormatError):
        DictSQLite(path)
    with DictSQLite(path, storage_mode=None) as db:
        assert db.storage_mode == "json"


def test_no_mode_is_what_the_file_records(path):
    with DictSQLite(path, storage_mode=None) as db:
        assert db.storage_mode == "bytes"
        db["k"] = b"v"
    path.unlink()
    for mode in ("bytes", "json", *INSTALLED, "pickle"):
        DictSQLite(path, storage_mode=mode).close()
        with DictSQLite(path, storage_mode=None) as db:
            assert db.storage_mode == mode
            db["k"] = b"v" if mode in ("bytes", "msgpack", "pickle") else "v"
        with DictSQLite(path, storage_mode=mode) as db:
            assert db["k"] in (b"v", "v")
        path.unlink()


def test_no_mode_cannot_guess_an_object(path):
    DictSQLite(path, storage_mode=marshal).close()
    with pytest.raises(ValueError, match="'custom:marshal'.* must be that object"):
        DictSQLite(path, storage_mode=None)
    DictSQLite(path, storage_mode=marshal).close()


def test_a_mode_of_another_version_is_refused(path):
    DictSQLite(path, storage_mode="json").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 'cbor' WHERE name = 'value_format'")
    with pytest.raises(FormatError, match="'cbor', which this version does not know"):
        DictSQLite(path, storage_mode=None)
    with DictSQLite(path, storage_mode="raw") as db:
        assert db.storage_mode == "cbor"


def test_a_file_that_records_nothing_has_bytes(path):
    with DictSQLite(path) as db:
        db["k"] = b"v"
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM meta WHERE name = 'value_format'")
    with DictSQLite(path) as db:
        assert db["k"] == b"v" and db.storage_mode == "bytes"
    with pytest.raises(FormatError, match="'bytes', not 'json'"):
        DictSQLite(path, storage_mode="json")


def test_copies_and_conversions_keep_the_mode(path):
    copy = path.with_name("copy.db")
    with DictSQLite(path, storage_mode="json") as db:
        db["k"] = [1]
        db.backup(copy)
        db.compact()
        db.verify()
    encrypt(path, "secret")
    with DictSQLite(path, encryption_password="secret", storage_mode=None) as db:
        assert db.storage_mode == "json" and db["k"] == [1]
    decrypt(path, "secret")
    for each in (path, copy):
        with DictSQLite(each, storage_mode=None) as db:
            assert db.storage_mode == "json" and db["k"] == [1]


def test_the_command_line_gives_files_of_any_mode_another_password(path, monkeypatch):
    monkeypatch.setenv("OLD", "old")
    monkeypatch.setenv("NEW", "new")
    DictSQLite(path, storage_mode=marshal, encryption_password="old").close()
    subprocess.run([sys.executable, "-m", "dictsqlite", "rekey", path, "--password-env", "OLD",
                    "--new-password-env", "NEW"], check=True)
    DictSQLite(path, storage_mode=marshal, encryption_password="new").close()


# ---- the arguments ----

@pytest.mark.parametrize("options, error, message", [
    ({"storage_mode": "yaml"}, ValueError, "storage_mode must be 'bytes', .* not 'yaml'"),
    ({"storage_mode": ""}, ValueError, "storage_mode"),
    ({"storage_mode": b"json"}, TypeError, "storage_mode must be .* not bytes"),
    ({"storage_mode": 7}, TypeError, "an object with dumps and loads, not int"),
    ({"storage_mode": types.SimpleNamespace(dumps=repr)}, TypeError, "storage_mode"),
    ({"storage_mode": types.SimpleNamespace(dumps=repr, loads=7)}, TypeError, "storage_mode"),
    ({"storage_mode": types.SimpleNamespace(dumps=repr, loads=eval, __name__="é")}, ValueError,
     "printable ASCII, not 'custom:é'"),
    ({"storage_mode": "json", "enable_safe_pickle": True}, ValueError, "enable_safe_pickle=True"),
    pytest.param({"storage_mode": "msgpack", "enable_safe_pickle": True}, ValueError,
                 "enable_safe_pickle=True", marks=needs_msgpack),
    ({"storage_mode": marshal, "enable_safe_pickle": True}, ValueError, "enable_safe_pickle=True"),
    ({"storage_mode": "raw", "enable_safe_pickle": True}, ValueError, "enable_safe_pickle=True"),
    ({"enable_safe_pickle": 1}, TypeError, "enable_safe_pickle must be a bool or None, not int"),
    ({"safe_pickle_allowed_modules": []}, ValueError, "safe_pickle_allowed_modules has no effect"),
    ({"storage_mode": "json", "safe_pickle_allowed_modules": ["a"]}, ValueError, "no effect"),
    ({"storage_mode": "pickle", "enable_safe_pickle": False, "safe_pickle_allowed_modules": ["a"]},
     ValueError, "no effect"),
    ({"storage_mode": "pickle", "safe_pickle_allowed_modules": [7]}, TypeError, "allowed_modules"),
])
def test_what_makes_no_sense_is_refused_and_makes_no_file(path, options, error, message):
    with pytest.raises(error, match=message):
        DictSQLite(path, **options)
    assert not path.exists()


def test_a_failed_open_that_followed_the_file_lets_go_of_it(path):
    DictSQLite(path, storage_mode="json").close()
    for options in ({"enable_safe_pickle": True}, {"safe_pickle_allowed_modules": ["a"]}):
        with pytest.raises(ValueError):
            DictSQLite(path, storage_mode=None, **options)
    db = DictSQLite.__new__(DictSQLite)
    with pytest.raises(ValueError):
        db.__init__(path, storage_mode=None, enable_safe_pickle=True)
    db.__init__(path, storage_mode=None)
    assert db.storage_mode == "json"
    db.close()
    assert db.storage_mode == "json"


def test_an_object_is_recorded_by_its_name_or_that_of_its_type(path):
    longest = "n" * 80
    for codec, name in [
            (marshal, "custom:marshal"),
            (Reversing(), f"custom:{__name__}.Reversing"),
            (types.SimpleNamespace(dumps=repr, loads=eval), "custom:types.SimpleNamespace"),
            (types.SimpleNamespace(dumps=repr, loads=eval, __name__=longest),
             ("custom:" + longest)[:64])]:
        with DictSQLite(path, storage_mode=codec) as db:
            assert db.storage_mode == name
        DictSQLite(path, storage_mode=codec).close()
        path.unlink()


def test_without_msgpack_one_sentence_says_what_to_install(path, script):
    done = script("""
        import sys
        sys.modules["msgpack"] = None
        from dictsqlite import DictSQLite
        try:
            DictSQLite(sys.argv[1], storage_mode="msgpack")
        except ImportError as error:
            print(error)
        DictSQLite(sys.argv[1], storage_mode="json").close()
    """, path)
    assert done.returncode == 0, done.stderr
    assert "pip install dictsqlite[msgpack]" in done.stdout and done.stdout.count("\n") == 1


def test_the_mode_is_not_known_before_the_file_is_open():
    db = DictSQLite.__new__(DictSQLite)
    with pytest.raises(ValueError):
        db.storage_mode


# ---- errors ----

class Failing:
    """A codec that fails as it is told to."""

    def __init__(self):
        self.error = None

    def dumps(self, value):
        if self.error is not None and value == "wrong":
            raise self.error
        return value.encode()

    def loads(self, data):
        if self.error is not None:
            raise self.error
        return data.decode()


class Oops(Exception):
    pass


STORES = {
    "set": lambda db: db.__setitem__("k", "wrong"),
    "setdefault": lambda db: db.setdefault("k", "wrong"),
    "update": lambda db: db.update({"k": "right", "l": "wrong"}),
    "keyword": lambda db: db.update({"k": "right"}, l="wrong"),
    "set_many": lambda db: db.set_many([("k", "right"), ("l", "wrong")]),
    "add": lambda db: db.add("k", "wrong"),
    "compare_and_swap": lambda db: db.compare_and_swap("k", None, "wrong"),
    "get_or_compute": lambda db: db.get_or_compute("k", lambda: "wrong"),
    "or": lambda db: db.__ior__({"k": "right", "l": "wrong"}),
    "submit": lambda db: db._submit_set("k", "wrong"),
}


@pytest.mark.parametrize("name", STORES)
def test_an_error_of_dumps_is_raised_as_it_is_and_nothing_is_stored(path, name):
    codec = Failing()
    with DictSQLite(path, storage_mode=codec) as db:
        codec.error = Oops("mine")
        with pytest.raises(Oops) as raised:
            STORES[name](db)
        assert raised.value is codec.error
        assert len(db) == 0


def test_a_value_that_cannot_be_encoded_leaves_the_rest_of_its_batch(path):
    with DictSQLite(path, storage_mode="json") as db:
        with db.batch() as batch:
            batch["a"] = 1
            with pytest.raises(TypeError):
                batch["b"] = {2}
            batch["c"] = 3
        assert db == {"a": 1, "c": 3}


LOADS = {
    "[]": lambda db: db["k"],
    "get": lambda db: db.get("k"),
    "get_many": lambda db: db.get_many(["absent", "k"]),
    "pop": lambda db: db.pop("k"),
    "popitem": lambda db: db.popitem(),
    "setdefault": lambda db: db.setdefault("k", "v"),
    "get_or_compute": lambda db: db.get_or_compute("k", lambda: "v"),
    "values": lambda db: list(db.values()),
    "items": lambda db: list(db.items()),
    "in values": lambda db: "v" in db.values(),
    "in items": lambda db: ("k", "v") in db.items(),
    "scan": lambda db: list(db.scan("k")),
    "copy": lambda db: db.copy(),
    "|": lambda db: db | {},
    "r|": lambda db: {} | db,
    "==": lambda db: db == {"k": "v"},
    "compare_and_swap": lambda db: db.compare_and_swap("k", "v", "w"),
    "increment": lambda db: db.increment("k"),
    "update of another": lambda db: {}.update(db),
}


@pytest.mark.parametrize("name", LOADS)
def test_an_error_of_loads_is_raised_as_it_is_and_nothing_is_lost(path, name):
    codec = Failing()
    with DictSQLite(path, storage_mode=codec) as db:
        db["k"] = "v"
        codec.error = Oops("mine")
        with pytest.raises(Oops) as raised:
            LOADS[name](db)
        assert raised.value is codec.error
        if sys.version_info >= (3, 11):
            assert "'k'" in raised.value.__notes__[0]
        codec.error = None
        assert db == {"k": "v"}


def test_what_dumps_returns_must_be_bytes(path):
    with DictSQLite(path, storage_mode=json) as db:
        with pytest.raises(TypeError, match="dumps.. of the storage mode must return bytes, not str"):
            db["k"] = 1
        assert len(db) == 0


class Hostile:
    def __reduce__(self):
        return (print, ("this must not be seen",))


HOSTILE = pickle.dumps(Hostile(), 5)


@pytest.mark.parametrize("mode, data, error", [
    ("json", b"[1", CorruptError),
    ("json", b"\xff", CorruptError),
    ("json", b"NaN", CorruptError),
    pytest.param("msgpack", b"\xc1", CorruptError, marks=needs_msgpack),
    pytest.param("msgpack", b"\x91" * 5000, CorruptError, marks=needs_msgpack),
    ("pickle", HOSTILE, UnsafePickleError),
    ("pickle", b"\x80\x05", UnsafePickleError),
], ids=["cut JSON", "no UTF-8", "NaN", "no msgpack", "deep msgpack", "hostile", "cut pickle"])
def test_a_planted_value_is_refused_by_every_path_that_loads(path, capsys, mode, data, error):
    DictSQLite(path, storage_mode=mode).close()
    planted(path, data)
    with DictSQLite(path, storage_mode=mode) as db:
        for call in LOADS.values():
            with pytest.raises(error, match="'k'"):
                call(db)
        assert list(db) == ["k"] and "k" in db
        del db["k"]
        db["k"] = "v"
        assert db["k"] == "v"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("mode, data, error", [
    ("json", b"[1", CorruptError),
    pytest.param("msgpack", b"\xc1", CorruptError, marks=needs_msgpack),
    ("pickle", HOSTILE, UnsafePickleError)])
def test_a_planted_value_is_refused_by_the_async_store(path, capsys, mode, data, error):
    DictSQLite(path, storage_mode=mode).close()
    planted(path, data)

    async def use():
        async with AsyncDictSQLite(path, storage_mode=mode) as db:
            for call in (lambda: db.aget("k"), lambda: db.aget_many(["k"]), lambda: db.aget("k")):
                with pytest.raises(error, match="'k'"):
                    await call()
            with pytest.raises(error, match="'k'"):
                [value async for value in db.avalues()]

    asyncio.run(use())
    assert capsys.readouterr().out == ""


def test_a_walk_can_go_on_after_a_value_that_cannot_be_decoded(path):
    DictSQLite(path, storage_mode="json").close()
    for key, data in {"a": b"1", "b": b"[", "c": b"3"}.items():
        planted(path, data, key)
    with DictSQLite(path, storage_mode="json") as db:
        values = iter(db.values())
        assert next(values) == 1
        with pytest.raises(CorruptError, match="'b'"):
            next(values)
        assert list(values) == [3]


def test_the_cause_of_a_value_that_is_damaged_is_kept(path):
    DictSQLite(path, storage_mode="json").close()
    planted(path, b"[1,")
    with DictSQLite(path, storage_mode="json") as db:
        with pytest.raises(CorruptError) as raised:
            db["k"]
    assert isinstance(raised.value.__cause__, json.JSONDecodeError)


# ---- safe pickles ----

class Model:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is Model and other.value == self.value


def test_listed_classes_are_stored_and_loaded(path):
    options = {"storage_mode": "pickle", "safe_pickle_allowed_modules": [__name__]}
    with DictSQLite(path, **options) as db:
        db["k"] = Model([1])
        assert db["k"] == Model([1]) and db.pop("k") == Model([1])
        db["k"] = Model(2)
    with DictSQLite(path, storage_mode="pickle") as db:
        with pytest.raises(UnsafePickleError, match="'k'.*Model"):
            db["k"]
    with DictSQLite(path, storage_mode="pickle", enable_safe_pickle=False) as db:
        assert db["k"] == Model(2)


def test_an_unsafe_pickle_tells_what_it_holds(path):
    DictSQLite(path, storage_mode="pickle").close()
    planted(path, HOSTILE)
    with DictSQLite(path, storage_mode="pickle") as db:
        with pytest.raises(UnsafePickleError) as raised:
            db["k"]
    assert raised.value.global_name == "builtins.print" and raised.value.offset > 0


CHECKED_STORES = {
    "set": lambda db, value: db.__setitem__("k", value),
    "setdefault": lambda db, value: db.setdefault("k", value),
    "update": lambda db, value: db.update({"k": value}),
    "set_many": lambda db, value: db.set_many([("j", pickle.dumps(1)), ("k", value)]),
    "batch": lambda db, value: db.batch().__enter__().put("k", value),
    "add": lambda db, value: db.add("k", value),
    "compare_and_swap": lambda db, value: db.compare_and_swap("k", None, value),
    "get_or_compute": lambda db, value: db.get_or_compute("k", lambda: value),
    "submit": lambda db, value: db._submit_set("k", value),
}


@pytest.mark.parametrize("name", CHECKED_STORES)
def test_what_could_not_be_loaded_is_not_stored(path, name):
    with DictSQLite(path, storage_mode="pickle") as db:
        for wrong in (Hostile(), Model(1), [Hostile()], {"a": print}):
            with pytest.raises(UnsafePickleError):
                CHECKED_STORES[name](db, wrong)
        assert len(db) == 0


@pytest.mark.parametrize("name", CHECKED_STORES)
def test_bytes_that_must_be_safe_pickles_are_checked_when_they_are_stored(path, name):
    with DictSQLite(path, enable_safe_pickle=True) as db:
        for wrong in (HOSTILE, b"", b"plain", memoryview(HOSTILE)):
            with pytest.raises(UnsafePickleError):
                CHECKED_STORES[name](db, wrong)
        assert len(db) == 0
        if name != "batch":
            CHECKED_STORES[name](db, bytearray(pickle.dumps([1])))
            assert db["k"] == pickle.dumps([1])


def test_a_number_is_no_pickle(path):
    with DictSQLite(path, enable_safe_pickle=True) as db:
        with pytest.raises(UnsafePickleError):
            db.increment("k")
        assert len(db) == 0


def test_bytes_that_must_be_safe_pickles_can_have_listed_classes(path):
    pickled = pickle.dumps(Model(1), 5)
    with DictSQLite(path, enable_safe_pickle=True,
                    safe_pickle_allowed_modules=[__name__]) as db:
        db["k"] = pickled
        assert db["k"] == pickled and type(db["k"]) is bytes


def test_bytes_come_back_as_bytes_whatever_they_begin_with(path):
    values = [HOSTILE, b"\x80\x05N.", b"{}", b"\xc4\x01x", b"ENC\0", b"[1]", b"\x00"]
    with DictSQLite(path) as db:
        for value in values:
            db["k"] = value
            assert same(db["k"], value)


# ---- JSON ----

@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": math.nan}], ids=repr)
def test_json_has_no_number_that_is_none(path, value):
    with DictSQLite(path, storage_mode="json") as db:
        with pytest.raises(ValueError):
            db["k"] = value
        assert len(db) == 0


def test_json_does_what_json_does(path):
    with DictSQLite(path, storage_mode="json") as db:
        db["k"] = {1: (1, 2), None: True}
        assert db["k"] == {"1": [1, 2], "null": True}
        assert db.setdefault("l", (1,)) == db["l"] == [1]
        for wrong in (b"bytes", {1, 2}, object()):
            with pytest.raises(TypeError):
                db["k"] = wrong
        with pytest.raises(UnicodeEncodeError):
            db["k"] = "\ud800"
        assert db["k"] == {"1": [1, 2], "null": True}


# ---- numbers ----

@pytest.mark.parametrize("mode", ["json", MSGPACK, "pickle", Reversing(), marshal], ids=str)
def test_increment_goes_by_the_mode(path, mode):
    with DictSQLite(path, storage_mode=mode) as db:
        assert db.increment("k") == 1
        assert db.increment("k", -3) == -2
        assert same(db["k"], -2)
        assert db.increment("other", 5, 10) == 15
        for wrong in (True, 1.0, "1", None, [1]):
            db["k"] = wrong
            with pytest.raises(ValueError, match="'k' is not an int"):
                db.increment("k")
            assert same(db["k"], wrong)
        for big in ((1 << 63) - 1, 1 << 70):
            db["k"] = big
            with pytest.raises(OverflowError):
                db.increment("k")
            assert db["k"] == big


@pytest.mark.parametrize("mode", ["json", MSGPACK, "pickle"])
def test_no_increment_of_many_threads_is_lost(path, mode):
    with DictSQLite(path, storage_mode=mode, persist_mode="lazy") as db:
        def work():
            for _ in range(200):
                db.increment("n")
                while True:
                    old = db.get("list")
                    if db.compare_and_swap("list", old, (old or []) + [1]):
                        break

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert db["n"] == 600 and len(db["list"]) == 600


def test_of_many_threads_that_pop_a_single_one_gets_it(path):
    with DictSQLite(path, storage_mode="json", persist_mode="lazy") as db:
        got = []

        def work():
            for i in range(200):
                value = db.pop(f"k{i}", None)
                if value is not None:
                    got.append(value[0])

        db.update({f"k{i}": [i] for i in range(200)})
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == list(range(200))


# ---- Python code inside ----

class Reentrant:
    """A codec whose functions use the store."""

    def __init__(self):
        self.act = None

    def _run(self):
        act, self.act = self.act, None
        if act is not None:
            act()

    def dumps(self, value):
        self._run()
        return value.encode()

    def loads(self, data):
        self._run()
        return data.decode()


@pytest.mark.parametrize("name", STORES)
def test_dumps_may_close_the_store(path, name):
    codec = Reentrant()
    db = DictSQLite(path, storage_mode=codec)
    codec.act = db.close
    with pytest.raises(ValueError, match="closed"):
        STORES[name](db)
    with DictSQLite(path, storage_mode=codec) as db:
        assert len(db) == 0


@pytest.mark.parametrize("name", LOADS)
def test_loads_may_close_the_store(path, name):
    codec = Reentrant()
    db = DictSQLite(path, storage_mode=codec)
    db["k"] = "v"
    codec.act = db.close
    try:
        LOADS[name](db)
    except ValueError:
        pass
    assert db.closed
    with DictSQLite(path, storage_mode=codec) as db:
        assert db == {"k": "v"}


def test_loads_may_go_on_with_the_iterator_that_called_it(path):
    codec = Reentrant()
    with DictSQLite(path, storage_mode=codec) as db:
        db.update({f"k{i}": str(i) * 2000 for i in range(9)})
        for view in (db.values(), db.items()):
            iterator = iter(view)
            next(iterator)
            codec.act = lambda: list(iterator)  # noqa: B023
            assert str(1) * 2000 in str(next(iterator))
            assert list(iterator) == []


def test_a_swap_looks_again_when_another_came_between(path):
    codec = Reentrant()
    with DictSQLite(path, storage_mode=codec) as db:
        db["k"] = "old"
        codec.act = lambda: db.__setitem__("k", "other")
        assert not db.compare_and_swap("k", "old", "new")
        codec.act = lambda: db.__setitem__("k", "another")
        assert db.pop("k") == "another"


def test_a_cycle_of_a_store_and_its_codec_is_collected(path):
    import gc
    import weakref

    codec = Reentrant()
    db = DictSQLite(path, storage_mode=codec)
    codec.db = db
    gone = weakref.ref(codec)
    db.close()
    del db, codec
    gc.collect()
    assert gone() is None


# ---- the document ----

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "values.md"


@needs_msgpack
def test_the_examples_of_the_document_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"^```.*$", "", DOCUMENT.read_text(), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(
        text, {"__name__": "__main__"}, "values.md", str(DOCUMENT), 0)
    done = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)
    assert done.attempted >= 12 and done.failed == 0


@needs_msgpack
def test_the_document_has_the_codes_of_the_format():
    from dictsqlite import _msgpack

    rows = re.findall(r"^\| (\d+) \| `(\w+)`", DOCUMENT.read_text(), re.MULTILINE)
    assert {int(code): name.upper() for code, name in rows} == {
        code: name for name, code in vars(_msgpack).items() if name.isupper() and type(code) is int
        and not name.startswith("_")}
