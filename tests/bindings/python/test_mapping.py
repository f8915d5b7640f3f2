"""A DictSQLite is a dict of str to bytes, in every mode."""

import array
import collections

import pytest

from dictsqlite import DictSQLite

RECORDS = {
    "": b"",
    "a": b"1",
    "b\0c": b"\0\0",
    "\u00e9\u4e16\U0001f600": b"unicode",
    "k" * 65536: b"x",
}


@pytest.fixture
def filled(db):
    db.update(RECORDS)
    return db


def test_a_value_comes_back_as_it_was_stored(db):
    for key, value in RECORDS.items():
        db[key] = value
    assert {key: db[key] for key in RECORDS} == RECORDS


def test_the_last_of_two_values_counts(db):
    db["k"] = b"first"
    db["k"] = b"second"
    assert db["k"] == b"second"
    assert len(db) == 1


def test_a_value_over_the_gil_threshold_comes_back_whole(db):
    value = bytes(range(256)) * 4096
    db["k"] = value
    assert db["k"] == value
    assert db.get("k") == value
    assert list(db.items()) == [("k", value)]


def test_a_missing_key_is_a_key_error_that_holds_it(db):
    with pytest.raises(KeyError) as caught:
        db["absent"]
    assert caught.value.args == ("absent",)
    with pytest.raises(KeyError) as caught:
        del db["absent"]
    assert caught.value.args == ("absent",)
    with pytest.raises(KeyError) as caught:
        db.pop("absent")
    assert caught.value.args == ("absent",)


def test_a_deleted_key_is_gone(filled):
    del filled["a"]
    assert "a" not in filled
    assert filled.get("a") is None
    assert len(filled) == len(RECORDS) - 1


def test_get_returns_the_default_only_for_a_missing_key(filled):
    default = object()
    assert filled.get("a", default) == b"1"
    assert filled.get("absent", default) is default
    assert filled.get("absent") is None


def test_membership(filled):
    assert "a" in filled
    assert "absent" not in filled


def test_pop_removes_and_returns(filled):
    assert filled.pop("a") == b"1"
    assert "a" not in filled
    assert filled.pop("a", None) is None
    assert filled.pop("a", b"default") == b"default"


def test_setdefault_stores_only_if_the_key_is_missing(db):
    assert db.setdefault("k", b"first") == b"first"
    assert db.setdefault("k", b"second") == b"first"
    assert db["k"] == b"first"


def test_setdefault_returns_bytes_for_any_buffer(db):
    value = db.setdefault("k", bytearray(b"value"))
    assert type(value) is bytes
    assert value == db["k"] == b"value"


@pytest.mark.parametrize(
    "value",
    [
        bytearray(b"value"),
        memoryview(b"value"),
        memoryview(b"_value_")[1:-1],
        array.array("B", b"value"),
    ],
    ids=["bytearray", "memoryview", "slice", "array"],
)
def test_any_contiguous_buffer_is_stored_as_its_bytes(db, value):
    db["k"] = value
    db.update(other=value)
    assert type(db["k"]) is bytes
    assert db["k"] == db["other"] == b"value"


def test_a_buffer_may_change_after_it_was_stored(db):
    value = bytearray(b"before")
    db["k"] = value
    value[:] = b"after!"
    assert db["k"] == b"before"


def test_a_str_subclass_is_the_same_key(db):
    class Name(str):
        def __hash__(self):
            raise AssertionError("a persistent key has no need of it")

    db[Name("k")] = b"v"
    assert db["k"] == b"v"
    assert list(db) == ["k"]
    assert type(next(iter(db))) is str


def test_length_and_truth_follow_the_records(db):
    assert len(db) == 0
    assert not db
    db["k"] = b"v"
    assert len(db) == 1
    assert db
    del db["k"]
    assert len(db) == 0
    assert not db


def test_it_turns_into_a_dict(filled):
    assert dict(filled) == RECORDS
    assert {**filled} == RECORDS


def test_persistent_modes_iterate_in_the_order_of_the_encoded_keys(path):
    with DictSQLite(path) as db:
        db.update(RECORDS)
        assert list(db) == sorted(RECORDS, key=str.encode)


def test_update_takes_mappings_pairs_and_keywords(db):
    db.update({"a": b"1"})
    db.update(collections.UserDict(b=b"2"))
    db.update([("c", b"3"), ["d", b"4"]])
    db.update((pair for pair in [("e", b"5")]), f=b"6")
    db.update(g=b"7")
    db.update()
    assert dict(db) == {key: b"%d" % (n + 1) for n, key in enumerate("abcdefg")}


def test_update_from_another_store(filled):
    with DictSQLite(":memory:") as other:
        other.update(filled)
        assert dict(other) == RECORDS


def test_the_last_record_of_an_update_counts(db):
    db.update([("k", b"first"), ("k", b"second")], k=b"third")
    assert db["k"] == b"third"


def test_an_update_larger_than_the_queue_is_stored_in_parts(path, mode):
    records = {f"k{n}": bytes(1000) for n in range(1000)}
    with DictSQLite(path, persist_mode=mode, queue_bytes=100_000) as db:
        db.update(records)
        assert dict(db) == records


def test_one_record_of_an_update_may_be_larger_than_the_queue(path, mode):
    records = {"small": b"1", "large": bytes(300_000), "other": b"2"}
    with DictSQLite(path, persist_mode=mode, queue_bytes=100_000) as db:
        db.update(records)
        assert dict(db) == records


def test_an_update_that_meets_an_error_stores_nothing_of_its_part(db):
    def records():
        yield "a", b"1"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.update(records())
    with pytest.raises(TypeError):
        db.update([("a", b"1"), ("b", "text")])
    assert len(db) == 0


def test_an_update_may_call_the_store_it_updates(db):
    def records():
        db["direct"] = b"0"
        yield "a", b"1"
        db.close()
        yield "b", b"2"

    with pytest.raises(ValueError, match="closed"):
        db.update(records())


def test_subclasses_work(path, mode):
    class Store(DictSQLite):
        def __init__(self, path):
            super().__init__(path, persist_mode=mode)
            self.extra = "attribute"

    with Store(path) as db:
        db["k"] = b"v"
        assert db["k"] == b"v"
        assert db.extra == "attribute"
        assert repr(db).startswith("<Store ")


def test_the_repr_shows_path_mode_and_state_but_no_content(path, mode):
    with DictSQLite(path, persist_mode=mode) as db:
        db["secret"] = b"content"
        assert repr(db) == f"<dictsqlite.DictSQLite {path!r}, {mode}, open>"
    assert repr(db) == f"<dictsqlite.DictSQLite {path!r}, {mode}, closed>"


def test_stats_have_the_documented_keys(db, mode):
    db["k"] = b"v"
    db["k"]
    stats = db.stats()
    assert list(stats) == (
        "mode state last_error records hot_records hot_bytes hits misses evictions queued_bytes "
        "unfolded commits commit_errors folds seq durable_seq retired_bytes wal_bytes table_slots "
        "resizes"
    ).split()
    assert (stats["mode"], stats["state"], stats["last_error"]) == (mode, "open", None)
    assert stats["records"] == stats["hot_records"] == 1
    assert stats["hits"] >= 1
    assert stats["hot_bytes"] > 0


def test_a_memory_store_uses_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with DictSQLite(":memory:") as db:
        assert db.stats()["mode"] == "memory"
        db["k"] = b"v"
    assert list(tmp_path.iterdir()) == []


def test_the_path_may_be_str_bytes_or_path_like(path):
    for form in (path, str(path), str(path).encode()):
        with DictSQLite(form) as db:
            db.setdefault("k", b"v")
            assert db["k"] == b"v"


def test_a_full_memory_store_evicts_and_an_unbounded_one_does_not():
    records = {f"k{n}": b"v" for n in range(20_000)}
    with DictSQLite(":memory:", hot_capacity=1000) as db:
        db.update(records)
        assert 0 < len(db) <= 1100
        assert db.stats()["evictions"] >= 18_000
        assert all(db[key] == b"v" for key in db)
    with DictSQLite(":memory:", hot_capacity=None) as db:
        db.update(records)
        assert dict(db) == records


@pytest.mark.parametrize("persist_mode", ["writethrough", "lazy"])
def test_records_larger_than_the_hot_tier_are_read_from_the_file(path, persist_mode):
    records = {f"k{n}": b"value %d" % n for n in range(2000)}
    for _ in range(2):
        with DictSQLite(path, hot_capacity=10, persist_mode=persist_mode) as db:
            db.update(records)
            assert {key: db[key] for key in records} == records
            assert all(key in db for key in records)
            assert "absent" not in db
            assert dict(db.items()) == records
    with DictSQLite(path, hot_capacity=10, persist_mode=persist_mode) as db:
        assert {key: db[key] for key in records} == records
        assert db.stats()["misses"] >= len(records) - 10
        assert db.stats()["hot_records"] < 100
