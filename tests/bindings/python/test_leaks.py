"""No call leaves references or memory behind, whether it succeeds or fails."""

import gc
import os
import sys
import tracemalloc

import pytest

from dictsqlite import DictSQLite, DictSQLiteError

ROUNDS = 200
# Set, the long test makes so many calls of each kind, e.g. 1000000 of them all: minutes.
LONG_CALLS = int(os.environ.get("DSQ_LEAK_CALLS", "0"))
# Calls that take milliseconds each get a hundredth of it.
SLOW_CALLS = {"backup", "verify", "compact", "cancelled backup", "failed verify", "failed backup",
              "open and close", "failed open", "flush", "iteration", "half an iteration", "scan"}


def attempt(call):
    try:
        call()
    except (KeyError, TypeError, ValueError, UnicodeEncodeError, BufferError, DictSQLiteError,
            RuntimeError, ArithmeticError):
        pass


def fill(batch, changes):
    with batch:
        for key, value in changes.items():
            if value is None:
                del batch[key]
            else:
                batch[key] = value


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
        "get_many": lambda: (db.get_many(["k", "absent"]), db.get_many(iter(["k"]), wrong)),
        "get_many of large values": lambda: (db.update(l=bytes(70_000)), db.get_many(["l", "k"])),
        "failed get_many": lambda: db.get_many(["k", wrong]),
        "set_many": lambda: db.set_many({"a": b"1", "b": value}),
        "delete_many": lambda: (db.update(a=value, b=value), db.delete_many(["a", "b", "absent"])),
        "failed delete_many": lambda: db.delete_many(["a", wrong]),
        "batch": lambda: fill(db.batch(), {"a": value, "b": None}),
        "failed batch": lambda: fill(db.batch(), {"a": value, wrong: value}),
        "unused batch": lambda: db.batch(),
        "batch outside its block": lambda: db.batch().put("a", value),
        "add": lambda: (db.add("a", value), db.add("a", value), db.pop("a", None)),
        "compare_and_swap": lambda: (db.compare_and_swap("c", None, value),
                                     db.compare_and_swap("c", value, b"other"),
                                     db.compare_and_swap("c", value, None),
                                     db.compare_and_swap("c", b"other", None)),
        "failed compare_and_swap": lambda: db.compare_and_swap("k", value, wrong),
        "increment": lambda: (db.increment("n", 1 << 40), db.increment("n", -(1 << 40))),
        "failed increment": lambda: (db.__setitem__("k", value), db.increment("k")),
        "overflowing increment": lambda: db.increment("m", 1 << 70),
        "get_or_compute": lambda: (db.get_or_compute("g", lambda: value), db.pop("g")),
        "failed get_or_compute": lambda: db.get_or_compute("g", lambda: wrong),
        "reentrant get_or_compute": lambda: db.get_or_compute(
            "g", lambda: db.get_or_compute("g", lambda: value)),
        "scan": lambda: (list(db.scan("k")), next(db.scan(start="a"), None)),
        "failed scan": lambda: db.scan("k", "k"),
        "clear": lambda: (db.update(a=value, b=value), db.clear()),
        "popitem": lambda: (db.update(a=value), db.popitem()),
        "failed popitem": lambda: (db.clear(), db.popitem()),
        "copy": lambda: (db.copy(), db | {"a": wrong}, {"a": wrong} | db, db == db.copy()),
        "update in place": lambda: db.__ior__({"a": value}),
        "failed fromkeys": lambda: DictSQLite.fromkeys(["a"], value),
        "backup": lambda: db.backup(path.with_name("backup.db"), lambda *_: True, overwrite=True),
        "verify": lambda: db.verify(lambda done, total: 1),
        "compact": lambda: db.compact(),
        "cancelled backup": lambda: db.backup(path.with_name("other.db"), lambda *_: False),
        "failed verify": lambda: db.verify(lambda *_: 1 / 0),
        "failed backup": lambda: db.backup(path),
        "wrong option": lambda: DictSQLite(path, persist_mode="wrong"),
        "failed open": lambda: DictSQLite(path / "below" / "a file"),
        "open and close": lambda: DictSQLite(":memory:").close(),
    }


def traced_bytes():
    gc.collect()
    # It keeps names that were looked up, also those that json makes anew each time.
    sys._clear_type_cache()
    return tracemalloc.get_traced_memory()[0]


def growth(call):
    """Bytes of Python memory that ROUNDS calls leave behind."""
    gc.collect()
    tracemalloc.start()
    try:
        attempt(call)
        before = traced_bytes()
        for _ in range(ROUNDS):
            attempt(call)
        return traced_bytes() - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", calls(None, None))
def test_repeating_a_call_takes_no_more_python_memory(path, name):
    with DictSQLite(path, persist_mode="lazy") as db:
        call = calls(db, path)[name]
        for _ in range(20):
            attempt(call)
        # The interpreter's own free lists come and go; a leak is there every time.
        assert any(growth(call) < 16 * ROUNDS for _ in range(3))


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


class Codec:
    """Fails for the value "wrong", either way."""

    def dumps(self, value):
        if value == "wrong":
            raise ValueError("wrong")
        return str(value).encode()

    def loads(self, data):
        if data == b"unloadable":
            raise ValueError("wrong")
        return data.decode()


STORAGE_MODES = {
    "json": {"storage_mode": "json"},
    "msgpack": {"storage_mode": "msgpack"},
    "pickle": {"storage_mode": "pickle"},
    "plain pickle": {"storage_mode": "pickle", "enable_safe_pickle": False},
    "checked bytes": {"enable_safe_pickle": True},
    "object": {"storage_mode": Codec()},
}
# A value and another of each mode, something that cannot be stored, and what cannot be loaded.
STORAGE_VALUES = {
    "json": ({"a": [1, "b"]}, [None], {1}, b"["),
    "msgpack": ({"a": (1, {2})}, [None], bytearray(), b"\xc1"),
    "pickle": ({"a": (1, {2})}, [None], print, b"cos\nsystem\n."),
    "plain pickle": ({"a": (1, {2})}, [None], memoryview(b""), b"\x80\xff."),
    "checked bytes": (b"N.", b"\x88.", b"plain", b"\x89."),
    "object": ("a value", "another", "wrong", b"unloadable"),
}


def storage_calls(db, value, other, wrong):
    return {
        "set and get": lambda: (db.__setitem__("k", value), db["k"], db.get("k"), db._try_get("k", 0)),
        "get_many": lambda: (db.__setitem__("k", value), db.get_many(["k", "absent", "k"], wrong)),
        "pop": lambda: (db.__setitem__("k", value), db.pop("k"), db.pop("k", None)),
        "popitem": lambda: (db.__setitem__("k", value), db.popitem()),
        "setdefault": lambda: (db.setdefault("s", value), db.setdefault("s", other), db.pop("s")),
        "update": lambda: (db.update({"a": value, "b": other}), db.copy(), db == {"a": value}),
        "walks": lambda: (db.update(a=value), list(db.values()), list(db.items()), list(db.scan("a"))),
        "membership": lambda: (db.update(a=value), other in db.values(), ("a", value) in db.items(),
                               db.items() == {"a": value}.items()),
        "batch": lambda: fill(db.batch(), {"a": value, "b": other}),
        "add": lambda: (db.add("a", value), db.add("a", other), db.pop("a", None)),
        "compare_and_swap": lambda: (db.compare_and_swap("c", None, value),
                                     db.compare_and_swap("c", other, value),
                                     db.compare_and_swap("c", value, other),
                                     db.compare_and_swap("c", other, None)),
        "increment": lambda: (db.increment("n"), db.pop("n")),
        "failed increment": lambda: (db.__setitem__("k", value), db.increment("k")),
        "get_or_compute": lambda: (db.get_or_compute("g", lambda: value), db.pop("g")),
        "failed set": lambda: db.__setitem__("k", wrong),
        "failed update": lambda: db.update({"a": value, "b": wrong}),
        "failed batch": lambda: fill(db.batch(), {"a": value, "b": wrong}),
        "failed add": lambda: db.add("a", wrong),
        "failed compare_and_swap": lambda: db.compare_and_swap("a", value, wrong),
        "failed setdefault": lambda: db.setdefault("absent", wrong),
        "failed submit": lambda: db._submit_set("a", wrong),
        "unloadable": lambda: db["unloadable"],
        "unloadable of many": lambda: db.get_many(["a", "unloadable"]),
        "unloadable popped": lambda: db.pop("unloadable"),
        "unloadable in a walk": lambda: list(db.values()),
        "unloadable item": lambda: list(db.items()),
        "unloadable compared": lambda: db.compare_and_swap("unloadable", value, other),
    }


@pytest.mark.parametrize("mode", STORAGE_MODES)
def test_no_storage_mode_takes_more_python_memory_with_each_call(path, mode):
    if mode == "msgpack":
        pytest.importorskip("msgpack")
    value, other, wrong, unloadable = STORAGE_VALUES[mode]
    options = STORAGE_MODES[mode]
    DictSQLite(path, **options).close()
    with DictSQLite(path, storage_mode="raw") as raw:
        raw["unloadable"] = unloadable
    with DictSQLite(path, persist_mode="lazy", **options) as db:
        for name, call in storage_calls(db, value, other, wrong).items():
            attempt(call)
            assert any(growth(call) < 16 * ROUNDS for _ in range(3)), name


@pytest.mark.parametrize("mode", STORAGE_MODES)
def test_references_to_values_of_a_storage_mode_are_given_back(path, mode):
    if mode == "msgpack":
        pytest.importorskip("msgpack")
    value, other, wrong, _ = STORAGE_VALUES[mode]
    with DictSQLite(path, persist_mode="lazy", **STORAGE_MODES[mode]) as db:
        calls_of_mode = storage_calls(db, value, other, wrong)
        for call in calls_of_mode.values():
            attempt(call)
        gc.collect()
        before = [sys.getrefcount(thing) for thing in (value, other, wrong, db)]
        for call in calls_of_mode.values():
            for _ in range(ROUNDS):
                attempt(call)
        gc.collect()
        assert [sys.getrefcount(thing) for thing in (value, other, wrong, db)] == before


def test_a_failed_open_of_a_storage_mode_leaves_nothing(path):
    DictSQLite(path, storage_mode=Codec()).close()
    calls_of_open = {
        "another": lambda: DictSQLite(path, storage_mode="json"),
        "followed": lambda: DictSQLite(path, storage_mode=None),
        "no mode": lambda: DictSQLite(path, storage_mode="none"),
        "no codec": lambda: DictSQLite(path, storage_mode=object()),
        "no use": lambda: DictSQLite(path, storage_mode="json", enable_safe_pickle=True),
        "made": lambda: DictSQLite(path, storage_mode=Codec()).close(),
        "pickle": lambda: DictSQLite(":memory:", storage_mode="pickle").close(),
    }
    for name, call in calls_of_open.items():
        attempt(call)
        assert any(growth(call) < 16 * ROUNDS for _ in range(3)), name


def test_references_to_keys_values_and_defaults_are_given_back(path):
    key, value, default = "a key of its own", b"a value of its own", object()

    def default_function():
        raise AssertionError("the key is there")

    with DictSQLite(path, persist_mode="lazy") as db:
        before = [sys.getrefcount(thing) for thing in (key, value, default)]
        for _ in range(ROUNDS):
            db[key] = value
            db.update({key: value}, other=value)
            assert db[key] == value
            assert db.setdefault("default", value) == value
            assert db.pop("absent", default) is default
            assert db.get("absent", default) is default
            assert db.get_many([key, "absent"], default) == [value, default]
            db.set_many([(key, value)])
            fill(db.batch(), {key: value, "absent": None})
            assert not db.compare_and_swap(key, None, value)
            assert db.compare_and_swap(key, value, value)
            assert not db.add(key, value)
            assert db.get_or_compute(key, default_function) == value
            assert db.delete_many([key, "absent"]) == 1
            assert db.get_or_compute(key, lambda: value) is value
            attempt(lambda: db.__setitem__(key, default))
            del db[key]
            attempt(lambda: db[key])
        assert [sys.getrefcount(thing) for thing in (key, value, default)] == before


def test_types_do_not_collect_instances(path):
    kinds = [DictSQLite]
    with DictSQLite(path) as db:
        db["k"] = b"v"
        kinds += [type(thing) for thing in (db.keys(), db.values(), db.items(), iter(db),
                                          db.batch())]
    del db
    gc.collect()
    before = [sys.getrefcount(kind) for kind in kinds]
    for _ in range(20):
        with DictSQLite(path) as db:
            db["k"] = b"v"
            for thing in (db.keys(), db.values(), db.items(), db):
                next(iter(thing))
            fill(db.batch(), {"k": b"w"})
    del db, thing
    gc.collect()
    assert [sys.getrefcount(kind) for kind in kinds] == before


@pytest.mark.skipif(not LONG_CALLS, reason="DSQ_LEAK_CALLS says how many calls of each kind")
@pytest.mark.parametrize("name", calls(None, None))
def test_many_calls_leave_blocks_and_memory_as_they_were(path, name):
    rounds = LONG_CALLS // (100 if name in SLOW_CALLS else 1)
    with DictSQLite(path, persist_mode="memory", hot_capacity=1000) as db:
        call = calls(db, path)[name]
        levels = []
        for _ in range(4):
            for _ in range(rounds // 3):
                attempt(call)
            gc.collect()
            levels.append((sys.getallocatedblocks(), resident_bytes()))
    # What waits for a grace period comes and goes; a leak is there every time.
    blocks, resident = (min(after - before for before, after in zip(level, level[1:]))
                        for level in zip(*levels))
    print(f"{name}: {rounds // 3 * 4} calls, blocks {blocks:+d}, resident {resident / 1024:+.0f} KiB")
    assert blocks < 100
    assert resident < 1 << 20
