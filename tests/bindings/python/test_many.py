"""Calls with many keys: get_many, set_many, delete_many, batches, scans."""

import collections
import gc
import sqlite3

import pytest

from conftest import PERSISTENT_MODES, Caller, wait_until
from dictsqlite import Batch, ClosedError, DictSQLite, StorageError, TooBigError

RECORDS = {f"k{n:04}": b"value %d" % n for n in range(1500)}


@pytest.fixture
def filled(db):
    db.set_many(RECORDS)
    return db


@pytest.fixture(params=PERSISTENT_MODES)
def persistent_mode(request):
    return request.param


# ---- get_many ----


def test_get_many_gives_the_values_in_the_order_of_the_keys(filled):
    keys = [*reversed(RECORDS), "absent", "k0000", "k0000"]
    values = [*reversed(RECORDS.values()), None, b"value 0", b"value 0"]
    for form in (keys, tuple(keys), iter(keys), (key for key in keys)):
        assert filled.get_many(form) == values
    assert filled.get_many([]) == []
    assert filled.get_many(keys=["k0000"], default=1) == [b"value 0"]


def test_get_many_gives_the_default_itself_for_what_is_not_there(filled):
    default = object()
    found = filled.get_many(["absent", "k0001", "gone"], default)
    assert found == [default, b"value 1", default]


def test_get_many_reads_what_the_hot_tier_does_not_hold(path, persistent_mode):
    with DictSQLite(path, persist_mode=persistent_mode, hot_capacity=10) as db:
        db.set_many(RECORDS)
    with DictSQLite(path, persist_mode=persistent_mode, hot_capacity=10) as db:
        assert db.get_many(RECORDS) == list(RECORDS.values())
        assert db.stats()["misses"] >= len(RECORDS) - 10
        assert db.stats()["hot_records"] < 500


def test_get_many_copies_large_empty_and_one_byte_values(db):
    records = {"large": bytes(range(256)) * 4096, "empty": b"", "one": b"1", "two": bytes(70_000)}
    db.set_many(records)
    assert db.get_many([*records, "absent"]) == [*records.values(), None]


def test_get_many_puts_hot_cold_large_and_absent_values_in_their_places(path):
    records = {f"k{i:03d}": b"%d" % i for i in range(100)} | {"large": bytes(70_000)}
    with DictSQLite(path, persist_mode="lazy") as db:
        db.update(records)
    with DictSQLite(path, persist_mode="lazy") as db:
        for i in range(0, 100, 3):
            assert db[f"k{i:03d}"] == b"%d" % i
        keys = [key for i in range(100) for key in (f"k{i:03d}", "large", f"absent {i}")]
        assert db.get_many(keys) == [records.get(key) for key in keys]


def test_an_error_of_a_look_up_is_raised_and_nothing_is_returned(filled):
    with pytest.raises(TooBigError):
        filled.get_many([*RECORDS, "k" * 65537])
    with pytest.raises(TypeError, match="not int"):
        filled.get_many([*RECORDS, 1])
    with pytest.raises(TypeError):
        filled.get_many(1)
    with pytest.raises(ZeroDivisionError):
        filled.get_many(1 / 0 for _ in range(2))


def test_keys_that_close_the_store_while_they_are_listed_end_the_call(filled):
    def keys():
        yield "k0001"
        filled.close()

    with pytest.raises(ClosedError):
        filled.get_many(keys())


def test_get_many_beside_writers_gives_values_that_were_there(db):
    keys = [f"k{n}" for n in range(300)]
    db.set_many(dict.fromkeys(keys, b"0"))

    def write():
        for number in range(30):
            db.set_many(dict.fromkeys(keys, b"%d" % number))

    writers = [Caller(write) for _ in range(2)]
    while any(writer.is_alive() for writer in writers):
        assert {0 <= int(value) < 30 for value in db.get_many(keys)} == {True}
    for writer in writers:
        writer.wait()


# ---- set_many ----


def test_set_many_takes_mappings_and_pairs(db):
    db.set_many({"a": b"1"})
    db.set_many(collections.UserDict(b=b"2"))
    db.set_many([("c", b"3"), ["d", bytearray(b"4")]])
    db.set_many(pair for pair in [("e", b"5"), ("e", b"6")])
    db.set_many({})
    assert dict(db) == {"a": b"1", "b": b"2", "c": b"3", "d": b"4", "e": b"6"}


def test_set_many_with_an_error_stores_nothing_of_its_part(db):
    with pytest.raises(TypeError):
        db.set_many([("a", b"1"), ("b", "text")])
    with pytest.raises(ValueError, match="length 1"):
        db.set_many([("a", b"1"), ("b",)])
    assert len(db) == 0


def test_a_pair_may_lose_its_key_while_the_records_before_it_are_stored(path):
    with DictSQLite(path, queue_bytes=1000) as db:
        pair = ["".join(["the key of the ", "second record"]), b"2"]
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        caller = Caller(lambda: db.set_many([["first", bytes(400)], pair]))
        wait_until(lambda: db.stats()["state"] == "retrying")
        pair.clear()
        overwriting = ["".join(["something else ", f"of that size {n % 10}"]) for n in range(1000)]
        blocker.rollback()
        blocker.close()
        caller.wait()
        assert dict(db) == {"first": bytes(400), "the key of the second record": b"2"}
        assert len(overwriting) == 1000


# ---- delete_many ----


def test_delete_many_counts_the_distinct_keys_that_were_there(filled):
    assert filled.delete_many(["k0000", "absent", "k0000", "k0001"]) == 2
    assert filled.delete_many(["k0000", "k0001"]) == 0
    assert filled.delete_many([]) == 0
    assert filled.delete_many(iter(RECORDS)) == len(RECORDS) - 2
    assert len(filled) == 0


def test_delete_many_deletes_what_the_hot_tier_does_not_hold(path, persistent_mode):
    with DictSQLite(path, persist_mode=persistent_mode, hot_capacity=10) as db:
        db.set_many(RECORDS)
        assert db.delete_many(list(RECORDS)[::2]) == len(RECORDS) / 2
    with DictSQLite(path) as db:
        assert list(db) == list(RECORDS)[1::2]


def test_delete_many_in_parts(path, mode):
    with DictSQLite(path, persist_mode=mode, queue_bytes=20_000) as db:
        db.set_many(RECORDS)
        assert db.delete_many(RECORDS) == len(RECORDS)
        assert len(db) == 0


def test_delete_many_takes_a_key_of_a_subclass_without_asking_for_its_hash(filled):
    class Name(str):
        def __hash__(self):
            raise AssertionError

    assert filled.delete_many([Name("k0000"), "k0000"]) == 1


def test_delete_many_with_a_wrong_key_deletes_nothing(filled):
    with pytest.raises(TypeError):
        filled.delete_many([*RECORDS, 1])
    with pytest.raises(TypeError):
        filled.delete_many(1)
    assert len(filled) == len(RECORDS)


# ---- batches ----


def test_a_batch_stores_its_changes_at_the_end_of_its_block(filled):
    with filled.batch() as batch:
        batch["new"] = b"1"
        batch.put("other", bytearray(b"2"))
        del batch["k0000"]
        batch.delete("k0001")
        del batch["absent"]
        batch["k0002"] = b"3"
        del batch["k0002"]
        batch["k0002"] = b"4"
        assert len(batch) == 8
        assert "new" not in filled and "k0000" in filled
    assert dict(filled) == {**dict(list(RECORDS.items())[2:]), "new": b"1", "other": b"2",
                            "k0002": b"4"}
    assert len(batch) == 0


def test_a_batch_whose_block_raises_stores_nothing(db):
    with pytest.raises(ZeroDivisionError):
        with db.batch() as batch:
            batch["a"] = b"1"
            1 / 0  # noqa: B018
    assert len(db) == 0
    with batch:
        batch["b"] = b"2"
    assert dict(db) == {"b": b"2"}


def test_a_change_that_is_refused_leaves_the_others_of_a_batch(db):
    with db.batch() as batch:
        batch["a"] = b"1"
        with pytest.raises(TypeError):
            batch["b"] = "text"
        with pytest.raises(TypeError):
            del batch[1]
        batch["c"] = b"3"
    assert dict(db) == {"a": b"1", "c": b"3"}


def test_a_batch_is_used_inside_its_block_and_there_alone(db):
    batch = db.batch()
    assert isinstance(batch, Batch)
    for call in (lambda: batch.put("a", b"1"), lambda: batch.delete("a"),
                 lambda: batch.__setitem__("a", b"1"), lambda: batch.__exit__(None, None, None)):
        with pytest.raises(RuntimeError, match="with block"):
            call()
    with batch, pytest.raises(RuntimeError, match="already"), batch:
        pass
    with pytest.raises(TypeError):
        Batch()


def test_a_value_may_change_after_it_was_put_into_a_batch(db):
    value = bytearray(b"before")
    with db.batch() as batch:
        batch["k"] = value
        value[:] = b"after!"
    assert db["k"] == b"before"


def test_a_batch_over_the_limit_is_refused_whole(path, persistent_mode):
    with DictSQLite(path, persist_mode=persistent_mode, queue_bytes=10_000) as db:
        with pytest.raises(TooBigError, match="queue_bytes"):
            with db.batch() as batch:
                batch["small"] = b"1"
                batch["large"] = bytes(20_000)
        assert len(db) == 0
        with db.batch() as batch:
            batch["large"] = bytes(20_000)
        assert db["large"] == bytes(20_000)
        with pytest.raises(TooBigError):
            with db.batch() as batch:
                batch["small"] = b"1"
                batch["k" * 65537] = b"2"
        assert list(db) == ["large"]


def test_a_batch_of_one_delete_of_nothing_is_no_error(db):
    with db.batch() as batch:
        del batch["absent"]
    with db.batch():
        pass
    assert len(db) == 0


def test_a_batch_of_a_closed_store_raises_at_its_end(path, mode):
    db = DictSQLite(path, persist_mode=mode)
    idle = db.batch()
    with pytest.raises(ClosedError):
        with db.batch() as batch:
            batch["a"] = b"1"
            db.close()
            with pytest.raises(ClosedError):
                batch["b"] = b"2"
    with pytest.raises(ClosedError), idle:
        pass


def test_a_batch_is_one_unit_on_the_disk(path, persistent_mode):
    with DictSQLite(path, persist_mode=persistent_mode, enable_async=False) as db:
        db.flush()
        commits = db.stats()["commits"]
        with db.batch() as batch:
            for key, value in RECORDS.items():
                batch[key] = value
        db.flush()
        assert db.stats()["commits"] == commits + 1


def test_the_collector_sees_what_a_batch_holds(path):
    class Key(str):
        pass

    with DictSQLite(path) as db:
        batch = db.batch()
        with batch:
            key = Key("k")
            key.batch = batch
            batch[key] = b"v"
            assert key in gc.get_referents(batch) and db in gc.get_referents(batch)
        batch.__enter__()
        batch[key] = b"w"
        before = sum(type(thing) is Key for thing in gc.get_objects())
        del batch, key
        gc.collect()
        assert sum(type(thing) is Key for thing in gc.get_objects()) == before - 1


# ---- scans ----


def test_a_scan_gives_what_begins_with_a_prefix(filled):
    filled.update({"": b"empty", "k": b"k", "l": b"l", "\u00e9t\u00e9": b"summer", "\u00ea": b"e"})
    for prefix in ("", "k", "k0", "k014", "k1499", "m", "\u00e9", "\u00e9t\u00e9", "k1499 and more"):
        expected = [item for item in filled.items() if item[0].startswith(prefix)]
        assert list(filled.scan(prefix)) == expected
        assert list(filled.scan(prefix=prefix)) == expected
    assert list(filled.scan()) == list(filled.items())


@pytest.mark.parametrize(
    "start, stop",
    [(None, None), ("k0500", None), (None, "k0500"), ("k0500", "k0510"), ("k05005", "k0510"),
     ("k0510", "k0500"), ("k0500", "k0500"), ("", None), (None, ""), ("z", None), ("", "z")],
)
def test_a_scan_gives_what_lies_between_two_keys(filled, start, stop):
    expected = [
        (key, value) for key, value in filled.items()
        if (start is None or key >= start) and (stop is None or key < stop)
    ]
    assert list(filled.scan(start=start, stop=stop)) == expected


def test_a_scan_of_a_file_is_in_the_order_of_the_keys(path, persistent_mode):
    keys = ["\U0001f600", "\ufffd", "\u00e9", "z", "a", "", "\0", "a\0", "\U0010ffff", "\ud7ff"]
    with DictSQLite(path, persist_mode=persistent_mode, hot_capacity=3) as db:
        for key in keys:
            db[key] = b"v"
        assert [key for key, _ in db.scan()] == sorted(keys)
        assert [key for key, _ in db.scan(start="a", stop="\ufffe")] == [
            "a", "a\0", "z", "\u00e9", "\ud7ff", "\ufffd"]


def test_a_scan_shows_what_the_hot_tier_knows_better(path, persistent_mode):
    with DictSQLite(path, persist_mode=persistent_mode) as db:
        db.set_many(RECORDS)
        scan = db.scan("k")
        assert next(scan) == ("k0000", b"value 0")
        db["k1000"] = b"changed"
        del db["k1001"]
        rest = dict(scan)
        assert rest["k1000"] == b"changed"
        assert "k1001" not in rest and len(rest) == len(RECORDS) - 2


def test_a_scan_refuses_a_prefix_beside_a_bound(db):
    for bounds in ({"start": "k"}, {"stop": "k"}, {"start": "", "stop": ""}):
        with pytest.raises(ValueError, match="prefix"):
            db.scan("k", **bounds)


@pytest.mark.parametrize("name", ["prefix", "start", "stop"])
def test_a_scan_refuses_a_bound_that_is_no_key(db, name):
    for bound in (1, b"k"):
        with pytest.raises(TypeError, match="keys must be str"):
            db.scan(**{name: bound})
    with pytest.raises(UnicodeEncodeError):
        db.scan(**{name: "\ud800"})
    with pytest.raises(TooBigError, match=name):
        db.scan(**{name: "k" * 65537})


def test_closing_ends_a_scan(filled):
    scan = filled.scan("k")
    next(scan)
    filled.close()
    with pytest.raises(ClosedError):
        next(scan)


# ---- a store that is only read ----


def test_a_readonly_store_is_read_and_not_written(path):
    with DictSQLite(path) as db:
        db.set_many(RECORDS)
    with DictSQLite(path, readonly=True) as db:
        assert db.get_many(["k0000", "absent"]) == [b"value 0", None]
        assert len(list(db.scan("k00"))) == 100
        assert db == RECORDS
        with pytest.raises(StorageError):
            db.set_many({"a": b"1", "b": b"2"})
        with pytest.raises(StorageError):
            db.delete_many(["k0000"])
        with pytest.raises(StorageError):
            with db.batch() as batch:
                batch["a"] = b"1"
                batch["b"] = b"2"
        with pytest.raises(StorageError):
            db.clear()
        with pytest.raises(StorageError):
            db.popitem()
        assert db == RECORDS
