"""What a dict does with all of its records: clear, popitem, copy, |, ==, fromkeys, patterns."""

import collections
import collections.abc
import sys

import pytest

from conftest import PERSISTENT_MODES, Caller
from dictsqlite import DictSQLite

RECORDS = {f"k{n:03}": b"value %d" % n for n in range(300)}


@pytest.fixture
def filled(db):
    db.update(RECORDS)
    return db


@pytest.fixture
def other():
    with DictSQLite(":memory:") as store:
        store.update({"k000": b"other", "new": b"record"})
        yield store


def test_it_is_a_mutable_mapping_and_has_all_that_a_dict_has(db):
    assert isinstance(db, collections.abc.MutableMapping)
    assert set(dir(dict)) - set(dir(db)) == {"__class_getitem__"}


def test_clear_deletes_every_record(filled):
    filled.clear()
    assert len(filled) == 0 and not filled and list(filled) == []
    filled.clear()
    filled["k"] = b"v"
    assert dict(filled) == {"k": b"v"}


def test_clear_in_parts(path, mode):
    with DictSQLite(path, persist_mode=mode, queue_bytes=10_000) as db:
        db.update(RECORDS)
        db.clear()
        assert len(db) == 0


@pytest.mark.parametrize("persist_mode", PERSISTENT_MODES)
def test_clear_deletes_what_the_hot_tier_does_not_hold_and_is_there_after_reopening(
    path, persist_mode
):
    with DictSQLite(path) as db:
        db.update(RECORDS)
    with DictSQLite(path, persist_mode=persist_mode, hot_capacity=5) as db:
        db.clear()
        db["after"] = b"v"
    with DictSQLite(path) as db:
        assert dict(db) == {"after": b"v"}


def test_popitem_takes_every_record_once_and_then_raises(filled):
    taken = [filled.popitem() for _ in RECORDS]
    assert sorted(taken) == list(RECORDS.items())
    assert len(filled) == 0
    with pytest.raises(KeyError, match="empty"):
        filled.popitem()


@pytest.mark.parametrize("persist_mode", PERSISTENT_MODES)
def test_popitem_takes_the_first_in_the_order_of_iteration(path, persist_mode):
    with DictSQLite(path, persist_mode=persist_mode) as db:
        db.update({"b": b"2", "a": b"1", "c": b"3"})
        assert [db.popitem() for _ in range(3)] == [("a", b"1"), ("b", b"2"), ("c", b"3")]


def test_popitem_gives_a_record_to_one_of_several_threads(filled):
    def work():
        taken = []
        while True:
            try:
                taken.append(filled.popitem())
            except KeyError:
                return taken

    callers = [Caller(work) for _ in range(3)]
    assert sorted(item for caller in callers for item in caller.wait()) == list(RECORDS.items())


def test_copy_is_a_dict_of_its_own(filled):
    copy = filled.copy()
    assert type(copy) is dict and copy == RECORDS
    copy["k000"] = b"changed"
    assert filled["k000"] == b"value 0"


def test_or_gives_a_dict_in_which_the_right_side_counts(filled, other):
    merged = filled | {"k000": 1, "new": 2}
    assert type(merged) is dict and merged == {**RECORDS, "k000": 1, "new": 2}
    merged = {"k000": 1, "new": 2} | filled
    assert type(merged) is dict and merged == {"new": 2, **RECORDS}
    assert filled | other == {**RECORDS, "k000": b"other", "new": b"record"}
    assert other | filled == {"new": b"record", **RECORDS}
    assert filled | filled == RECORDS
    assert dict(filled) == RECORDS


@pytest.mark.parametrize("operand", [1, None, [("a", b"1")], {"a"}, "text"], ids=repr)
def test_or_refuses_what_is_no_dict(filled, operand):
    with pytest.raises(TypeError):
        filled | operand  # noqa: B018
    with pytest.raises(TypeError):
        operand | filled  # noqa: B018


def test_or_in_place_updates_and_keeps_the_store(filled, other):
    store = filled
    filled |= {"a": b"1"}
    filled |= [("b", b"2")]
    filled |= other
    filled |= collections.UserDict(c=b"3")
    assert filled is store
    assert filled == {**RECORDS, "a": b"1", "b": b"2", "c": b"3", "k000": b"other", "new": b"record"}
    for operand in (1, None, [1], {"k": "text"}):
        with pytest.raises(TypeError):
            filled |= operand


def test_equality_compares_records_as_a_dict_does(filled, other):
    assert filled == filled and not filled != filled
    assert filled == RECORDS and RECORDS == filled
    assert filled == {key: bytearray(value) for key, value in RECORDS.items()}
    assert filled == collections.OrderedDict(RECORDS)
    assert filled != {**RECORDS, "k000": b"changed"}
    assert filled != {**RECORDS, "more": b"v"}
    assert filled != {key: value for key, value in RECORDS.items() if key != "k000"}
    assert filled != {**{k: v for k, v in RECORDS.items() if k != "k000"}, "other": b"value 0"}
    assert filled != {**{k: v for k, v in RECORDS.items() if k != "k000"}, 1: b"value 0"}
    assert filled != other and other != filled
    other.clear()
    other.update(RECORDS)
    assert filled == other and not filled != other


def test_what_is_no_dict_is_not_equal(filled):
    for thing in (None, 1, "k000", list(RECORDS.items()), filled.keys()):
        assert filled != thing and thing != filled
        assert not filled == thing  # noqa: SIM201


def test_equality_raises_what_comparing_a_value_raises(filled):
    class Incomparable:
        def __eq__(self, other):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        filled == {**RECORDS, "k100": Incomparable()}  # noqa: B015


def test_a_store_has_no_order_and_no_hash_as_a_dict_has_none(filled):
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(filled, compare)(RECORDS) is NotImplemented
    with pytest.raises(TypeError, match="unhashable"):
        hash(filled)


def test_a_store_and_its_views_are_walked_backwards(path):
    with DictSQLite(path) as db:
        db.update(RECORDS)
        for thing in (db, db.keys(), db.values(), db.items()):
            assert list(reversed(thing)) == list(thing)[::-1]
        assert list(reversed(db)) == sorted(RECORDS, reverse=True)


def test_what_has_no_order_cannot_be_walked_backwards():
    with DictSQLite(":memory:") as db:
        for thing in (db, db.keys(), db.values(), db.items()):
            with pytest.raises(TypeError, match="no order"):
                reversed(thing)
        with pytest.raises(TypeError, match="no order"):
            db.scan("k", reverse=True)


def test_fromkeys_makes_a_store_of_a_class_that_knows_its_path(path, mode):
    class Store(DictSQLite):
        def __init__(self):
            super().__init__(path, persist_mode=mode)

    with Store.fromkeys(["a", "b", "a"], bytearray(b"v")) as db:
        assert type(db) is Store
        assert dict(db) == {"a": b"v", "b": b"v"}
    with pytest.raises(TypeError, match="bytes-like"):
        Store.fromkeys(["a"], None).close()


def test_fromkeys_of_the_class_itself_has_no_path():
    with pytest.raises(TypeError, match="db_path"):
        DictSQLite.fromkeys(["a"], b"v")


@pytest.mark.skipif(sys.version_info < (3, 10), reason="3.9 has no match statement")
def test_a_store_matches_the_patterns_of_mappings(filled):
    scope = {"store": filled}
    exec(
        "match store:\n"
        "    case {'absent': _}: result = None\n"
        "    case {'k001': value}: result = value\n",
        scope,
    )
    assert scope["result"] == b"value 1"


def test_the_views_of_a_store_take_part_in_set_operations(filled, other):
    assert filled.keys() & other.keys() == {"k000"}
    assert other.keys() - filled.keys() == {"new"}
    assert filled.items() & other.items() == set()
    assert filled.keys() >= {"k000", "k001"}
    assert filled.keys().isdisjoint(["new"])
