"""What is wrong is refused with an error that says what."""

import mmap

import pytest

import dictsqlite
from dictsqlite import ClosedError, DictSQLite, TooBigError

VALUE_SIZE_MAX = 512 * 1024 * 1024



def in_batch(db, call):
    with db.batch() as batch:
        call(batch)


KEY_CALLS = {
    "subscript": lambda db, key: db[key],
    "assignment": lambda db, key: db.__setitem__(key, b"v"),
    "deletion": lambda db, key: db.__delitem__(key),
    "in": lambda db, key: key in db,
    "in keys": lambda db, key: key in db.keys(),
    "in items": lambda db, key: (key, b"v") in db.items(),
    "get": lambda db, key: db.get(key),
    "pop": lambda db, key: db.pop(key),
    "pop with default": lambda db, key: db.pop(key, None),
    "setdefault": lambda db, key: db.setdefault(key, b"v"),
    "update": lambda db, key: db.update([(key, b"v")]),
    "set_many": lambda db, key: db.set_many([(key, b"v")]),
    "get_many": lambda db, key: db.get_many([key]),
    "delete_many": lambda db, key: db.delete_many([key]),
    "batch put": lambda db, key: in_batch(db, lambda batch: batch.put(key, b"v")),
    "batch assignment": lambda db, key: in_batch(db, lambda batch: batch.__setitem__(key, b"v")),
    "batch deletion": lambda db, key: in_batch(db, lambda batch: batch.__delitem__(key)),
    "add": lambda db, key: db.add(key, b"v"),
    "compare_and_swap": lambda db, key: db.compare_and_swap(key, b"v", b"w"),
    "compare_and_swap of nothing": lambda db, key: db.compare_and_swap(key, None, b"w"),
    "compare_and_swap to nothing": lambda db, key: db.compare_and_swap(key, b"v", None),
    "comparison to nothing": lambda db, key: db.compare_and_swap(key, None, None),
    "increment": lambda db, key: db.increment(key),
    "get_or_compute": lambda db, key: db.get_or_compute(key, lambda: b"v"),
}

VALUE_CALLS = {
    "assignment": lambda db, value: db.__setitem__("k", value),
    "setdefault": lambda db, value: db.setdefault("k", value),
    "update": lambda db, value: db.update(k=value),
    "set_many": lambda db, value: db.set_many({"k": value}),
    "batch": lambda db, value: in_batch(db, lambda batch: batch.put("k", value)),
    "add": lambda db, value: db.add("k", value),
    "get_or_compute": lambda db, value: db.get_or_compute("k", lambda: value),
}


@pytest.fixture(params=KEY_CALLS.values(), ids=KEY_CALLS.keys())
def key_call(request):
    return request.param


@pytest.fixture(params=VALUE_CALLS.values(), ids=VALUE_CALLS.keys())
def value_call(request):
    return request.param


@pytest.mark.parametrize("key", [1, b"k", None, ("k",), 1.5], ids=repr)
def test_a_key_that_is_no_str_is_a_type_error_that_names_its_type(db, key_call, key):
    with pytest.raises(TypeError, match=f"keys must be str, not {type(key).__name__}"):
        key_call(db, key)
    assert len(db) == 0


def test_a_lone_surrogate_in_a_key_is_a_unicode_error(db, key_call):
    with pytest.raises(UnicodeEncodeError):
        key_call(db, "k\ud800")
    assert len(db) == 0


def test_a_key_over_the_limit_is_too_big(db, key_call):
    with pytest.raises(TooBigError):
        key_call(db, "k" * (64 * 1024 + 1))
    with pytest.raises(ValueError):
        key_call(db, "\u00e9" * (32 * 1024 + 1))
    assert len(db) == 0


@pytest.mark.parametrize("value", ["text", 1, None, ["v"]], ids=repr)
def test_a_value_without_a_buffer_is_a_type_error_that_names_its_type(db, value_call, value):
    with pytest.raises(TypeError, match=f"values must be bytes-like, not {type(value).__name__}"):
        value_call(db, value)
    assert len(db) == 0


def test_a_value_in_pieces_is_a_buffer_error(db, value_call):
    with pytest.raises(BufferError):
        value_call(db, memoryview(b"abcdef")[::2])
    assert len(db) == 0


def test_a_value_over_the_limit_is_too_big(db):
    with mmap.mmap(-1, VALUE_SIZE_MAX + 1) as pages, memoryview(pages) as value:
        with pytest.raises(TooBigError):
            db["k"] = value
    assert len(db) == 0


def test_update_refuses_what_are_no_pairs(db):
    with pytest.raises(ValueError, match="length 3"):
        db.update([("k", b"v", b"w")])
    with pytest.raises(TypeError):
        db.update([1])
    with pytest.raises(TypeError):
        db.update(1)
    with pytest.raises(TypeError):
        db.update({}, {})
    assert len(db) == 0


def test_methods_refuse_a_wrong_number_of_arguments(db):
    for call in (
        lambda: db.get(),
        lambda: db.get("k", 1, 2),
        lambda: db.pop(),
        lambda: db.pop("k", 1, 2),
        lambda: db.setdefault("k"),
        lambda: db.get("k", default=1),
        lambda: db.keys(1),
        lambda: db.flush(1, 2),
        lambda: db.flush(wait=1),
        lambda: db.get_many(),
        lambda: db.get_many(["k"], None, None),
        lambda: db.get_many(["k"], fallback=None),
        lambda: db.set_many(),
        lambda: db.set_many({}, k=b"v"),
        lambda: db.delete_many("k", "l"),
        lambda: db.add("k"),
        lambda: db.compare_and_swap("k", b"v"),
        lambda: db.increment(),
        lambda: db.increment("k", 1, 2, 3),
        lambda: db.get_or_compute("k"),
        lambda: db.scan("k", "l", "m", "n", "o"),
        lambda: db.batch(1),
        lambda: db.batch().put("k"),
        lambda: db.batch().delete(),
        lambda: db.backup(),
        lambda: db.verify(None, None),
        lambda: db.compact(wait=True),
        lambda: db.fromkeys(["k"]),
        lambda: db.clear(1),
    ):
        with pytest.raises(TypeError):
            call()


def test_flush_refuses_what_is_no_time(db):
    for timeout in (-1, -0.001, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            db.flush(timeout)
    with pytest.raises(TypeError):
        db.flush("1")


@pytest.mark.parametrize(
    "name", ["hot_capacity", "hot_bytes", "queue_bytes", "flush_interval_ms", "buffer_size"]
)
def test_a_number_out_of_range_is_an_error_that_names_the_option(path, name):
    with pytest.raises(ValueError, match=name):
        DictSQLite(path, **{name: -1})
    with pytest.raises(ValueError, match=name):
        DictSQLite(path, **{name: 2**64})
    with pytest.raises(TypeError, match=name):
        DictSQLite(path, **{name: "many"})
    assert not path.exists()


def test_a_hot_capacity_of_zero_is_an_error_that_names_it(path):
    with pytest.raises(ValueError, match="hot_capacity"):
        DictSQLite(path, 0)
    assert not path.exists()


@pytest.mark.parametrize("name", ["persist_mode", "synchronous"])
def test_an_unknown_choice_is_an_error_that_names_the_option(path, name):
    with pytest.raises(ValueError, match=f"{name} must be .*'sometimes'"):
        DictSQLite(path, **{name: "sometimes"})
    with pytest.raises(TypeError, match=name):
        DictSQLite(path, **{name: 1})
    assert not path.exists()


def test_safe_pickle_may_be_declined(path):
    DictSQLite(path, enable_safe_pickle=False).close()
    DictSQLite(path, 10, True, "lazy", None, None, None).close()


def test_an_unknown_option_is_a_type_error(path):
    with pytest.raises(TypeError, match="unknown"):
        DictSQLite(path, unknown=1)
    with pytest.raises(TypeError):
        DictSQLite()


@pytest.mark.parametrize("db_path", [None, 1, ["store.db"]], ids=repr)
def test_a_path_that_is_none_is_a_type_error(db_path):
    with pytest.raises(TypeError):
        DictSQLite(db_path)


@pytest.mark.parametrize("db_path", ["store\0.db", b"store\0.db"], ids=["str", "bytes"])
def test_a_path_with_a_nul_is_refused(tmp_path, monkeypatch, db_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="null"):
        DictSQLite(db_path)
    assert list(tmp_path.iterdir()) == []


CLOSED_CALLS = {
    **{name: (lambda db, call=call: call(db, "k")) for name, call in KEY_CALLS.items()},
    "len": len,
    "bool": bool,
    "iter": iter,
    "items": lambda db: iter(db.items()),
    "len of a view": lambda db: len(db.keys()),
    "flush": lambda db: db.flush(),
    "resume": lambda db: db.resume(),
    "stats": lambda db: db.stats(),
    "with": lambda db: db.__enter__(),
    "empty update": lambda db: db.update(),
    "empty set_many": lambda db: db.set_many({}),
    "empty get_many": lambda db: db.get_many([]),
    "empty delete_many": lambda db: db.delete_many([]),
    "batch": lambda db: db.batch(),
    "scan": lambda db: db.scan("k"),
    "backup": lambda db: db.backup("backup.db"),
    "verify": lambda db: db.verify(),
    "compact": lambda db: db.compact(),
    "clear": lambda db: db.clear(),
    "popitem": lambda db: db.popitem(),
    "copy": lambda db: db.copy(),
    "or": lambda db: db | {},
    "or from the right": lambda db: {} | db,
    "equality": lambda db: db == {},
}


@pytest.mark.parametrize("call", CLOSED_CALLS.values(), ids=CLOSED_CALLS.keys())
def test_a_closed_store_refuses_every_call(path, mode, call):
    db = DictSQLite(path, persist_mode=mode)
    db.close()
    with pytest.raises(ClosedError, match="closed"):
        call(db)
    assert issubclass(ClosedError, ValueError)
    assert db.closed


def test_a_store_may_be_closed_twice(path, mode):
    db = DictSQLite(path, persist_mode=mode)
    assert not db.closed
    db.close()
    db.close()
    with pytest.raises(ClosedError), db:
        pass
    assert db.closed


def test_an_object_that_was_never_opened_refuses_every_call():
    db = DictSQLite.__new__(DictSQLite)
    with pytest.raises(ClosedError, match="not opened"):
        db["k"]
    assert db.closed
    assert repr(db) == "<dictsqlite.DictSQLite, not opened>"
    db.close()


def test_an_open_store_is_not_opened_again(path):
    with DictSQLite(path) as db:
        db["k"] = b"v"
        with pytest.raises(RuntimeError):
            db.__init__(path)
        assert db["k"] == b"v"


def test_exceptions_have_the_documented_bases():
    bases = {
        "StorageError": OSError,
        "LockedError": OSError,
        "PasswordError": PermissionError,
        "CorruptError": Exception,
        "FormatError": Exception,
        "ClosedError": ValueError,
        "TooBigError": ValueError,
        "ForkedError": RuntimeError,
        "TimedOutError": TimeoutError,
        "CancelledError": Exception,
    }
    for name, base in bases.items():
        exception = getattr(dictsqlite, name)
        assert issubclass(exception, (dictsqlite.DictSQLiteError, base))
        assert issubclass(exception, base)
        assert exception.__module__ == "dictsqlite"
        assert exception.__doc__
