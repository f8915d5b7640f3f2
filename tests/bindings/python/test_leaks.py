"""No call leaves references or memory behind, whether it succeeds or fails."""

import gc
import os
import sys
import tracemalloc

import pytest

from dictsqlite import DictSQLite, DictSQLiteError

ROUNDS = 200


def attempt(call):
    try:
        call()
    except (KeyError, TypeError, ValueError, UnicodeEncodeError, BufferError, DictSQLiteError):
        pass


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def calls(db, path, value=bytearray(b"value")):
    wrong = object()
    return {
        "set": lambda: db.__setitem__("k", value),
        "get": lambda: (db["k"], db.get("k"), db.get("absent", wrong)),
        "large": lambda: (db.__setitem__("large", bytes(100_000)), db["large"]),
        "missing": lambda: db["absent"],
        "delete": lambda: (db.__setitem__("d", value), db.__delitem__("d")),
        "pop": lambda: (db.__setitem__("p", value), db.pop("p"), db.pop("p", wrong)),
        "setdefault": lambda: (db.setdefault("k", value), db.setdefault("s", value), db.pop("s")),
        "update": lambda: db.update({"a": b"1", "b": value}, c=b"3"),
        "update of pairs": lambda: db.update([("a", b"1"), ("b", value)]),
        "failed update": lambda: db.update([("a", b"1"), ("b", wrong)]),
        "wrong key": lambda: db[wrong],
        "surrogate": lambda: db["\ud800"],
        "wrong value": lambda: db.__setitem__("k", wrong),
        "iteration": lambda: (list(db), list(db.items()), list(db.values())),
        "half an iteration": lambda: (db.__setitem__("k", value), next(iter(db.items()))),
        "views": lambda: (repr(db.keys()), db.keys() & {"k"}, db.items() == {("k", b"value")}),
        "membership": lambda: ("k" in db, ("k", b"value") in db.items(), b"x" in db.values()),
        "stats": lambda: (db.stats(), repr(db), len(db), bool(db)),
        "flush": lambda: (db.flush(), db.flush(1.5)),
        "wrong option": lambda: DictSQLite(path, persist_mode="wrong"),
        "failed open": lambda: DictSQLite(path / "below" / "a file"),
        "open and close": lambda: DictSQLite(":memory:").close(),
    }


def growth(call):
    """Bytes of Python memory that ROUNDS calls leave behind."""
    gc.collect()
    tracemalloc.start()
    try:
        attempt(call)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(ROUNDS):
            attempt(call)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", calls(None, None))
def test_repeating_a_call_takes_no_more_python_memory(path, name):
    with DictSQLite(path, persist_mode="lazy") as db:
        call = calls(db, path)[name]
        for _ in range(20):
            attempt(call)
        # The interpreter's own free lists come and go; a leak is there every time.
        assert min(growth(call) for _ in range(3)) < 16 * ROUNDS


@pytest.mark.parametrize(
    "name", ["set", "large", "pop", "setdefault", "update", "iteration", "half an iteration"]
)
def test_repeating_a_call_with_large_values_takes_no_more_memory(path, name):
    value = bytes(50_000)
    with DictSQLite(path, persist_mode="memory", hot_capacity=None) as db:
        call = calls(db, path, value)[name]
        for _ in range(100):
            attempt(call)
        before = resident_bytes()
        for _ in range(2000):
            attempt(call)
        grown = resident_bytes() - before
    assert grown < 2000 * len(value) / 2


def test_references_to_keys_values_and_defaults_are_given_back(path):
    key, value, default = "a key of its own", b"a value of its own", object()
    with DictSQLite(path, persist_mode="lazy") as db:
        before = [sys.getrefcount(thing) for thing in (key, value, default)]
        for _ in range(ROUNDS):
            db[key] = value
            db.update({key: value}, other=value)
            assert db[key] == value
            assert db.setdefault("default", value) == value
            assert db.pop("absent", default) is default
            assert db.get("absent", default) is default
            attempt(lambda: db.__setitem__(key, default))
            del db[key]
            attempt(lambda: db[key])
        assert [sys.getrefcount(thing) for thing in (key, value, default)] == before


def test_types_do_not_collect_instances(path):
    kinds = [DictSQLite]
    with DictSQLite(path) as db:
        db["k"] = b"v"
        kinds += [type(thing) for thing in (db.keys(), db.values(), db.items(), iter(db))]
    del db
    gc.collect()
    before = [sys.getrefcount(kind) for kind in kinds]
    for _ in range(20):
        with DictSQLite(path) as db:
            db["k"] = b"v"
            for thing in (db.keys(), db.values(), db.items(), db):
                next(iter(thing))
    del db, thing
    gc.collect()
    assert [sys.getrefcount(kind) for kind in kinds] == before
