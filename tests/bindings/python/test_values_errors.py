"""Storage modes: errors of either function, values that somebody else wrote, pickles, and what Python code may do inside."""

import asyncio
import gc
import importlib.util
import json
import pickle
import sqlite3
import sys
import weakref

import pytest

from dictsqlite import AsyncDictSQLite, CorruptError, DictSQLite, UnsafePickleError

needs_msgpack = pytest.mark.skipif(
    importlib.util.find_spec("msgpack") is None, reason="the package msgpack is not installed")


def planted(path, data, key="k"):
    """Puts bytes into a closed file, as somebody else would."""
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT OR REPLACE INTO kv VALUES(?, ?)", (key.encode(), data))
        connection.execute("UPDATE meta SET value = (SELECT count(*) FROM kv) WHERE name = 'count'")


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
    codec = Reentrant()
    db = DictSQLite(path, storage_mode=codec)
    codec.db = db
    gone = weakref.ref(codec)
    db.close()
    del db, codec
    gc.collect()
    assert gone() is None
