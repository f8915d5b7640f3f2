"""Storage modes: what values are in the file, and that every method goes by it."""

import asyncio
import collections
import decimal
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

from dictsqlite import AsyncDictSQLite, DictSQLite, FormatError, decrypt, encrypt

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


def test_bytes_come_back_as_bytes_whatever_they_begin_with(path):
    values = [b"cos\nsystem\n(S'id'\ntR.", b"\x80\x05N.", b"{}", b"\xc4\x01x", b"ENC\0", b"[1]", b"\x00"]
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

@pytest.mark.parametrize("mode", ["json", MSGPACK, "pickle", Reversing(), marshal],
                         ids=["json", "msgpack", "pickle", "instance", "module"])
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


# ---- the document ----

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "values.md"


@needs_msgpack
def test_the_document_has_the_codes_of_the_format():
    from dictsqlite import _msgpack

    rows = re.findall(r"^\| (\d+) \| `(\w+)`", DOCUMENT.read_text(), re.MULTILINE)
    assert {int(code): name.upper() for code, name in rows} == {
        code: name for name, code in vars(_msgpack).items() if name.isupper() and type(code) is int
        and not name.startswith("_")}
