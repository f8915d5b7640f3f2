"""keys(), values() and items() behave as the views of a dict."""

import collections.abc

import pytest

from dictsqlite import DictSQLite

RECORDS = {f"key {n}": b"value %d" % n for n in range(300)}


@pytest.fixture
def filled(db):
    db.update(RECORDS)
    return db


def test_views_are_registered_with_the_abstract_types(db):
    assert isinstance(db.keys(), collections.abc.KeysView)
    assert isinstance(db.values(), collections.abc.ValuesView)
    assert isinstance(db.items(), collections.abc.ItemsView)


def test_views_have_all_that_the_abstract_types_promise(db):
    for view, promise in (
        (db.keys(), collections.abc.KeysView),
        (db.values(), collections.abc.ValuesView),
        (db.items(), collections.abc.ItemsView),
    ):
        inner = {"_from_iterable", "_hash", "_mapping"}
        names = {name for name in dir(promise) if not name.startswith("_abc")} - inner
        assert names - {"__class_getitem__", "__weakref__", "__module__", "__dict__", "__slots__",
                        "__abstractmethods__", "__static_attributes__",
                        "__firstlineno__", "__contains__"} <= set(dir(view))


def test_views_show_later_changes(filled):
    keys, values, items = filled.keys(), filled.values(), filled.items()
    filled["new"] = b"record"
    del filled["key 0"]
    assert len(keys) == len(values) == len(items) == len(RECORDS)
    assert "new" in keys and "key 0" not in keys
    assert b"record" in values and RECORDS["key 0"] not in values
    assert ("new", b"record") in items and ("key 0", RECORDS["key 0"]) not in items


def test_iteration_yields_each_record_once(filled):
    assert sorted(filled) == sorted(RECORDS)
    assert sorted(filled.keys()) == sorted(RECORDS)
    assert sorted(filled.values()) == sorted(RECORDS.values())
    assert sorted(filled.items()) == sorted(RECORDS.items())


def test_items_of_another_shape_or_value_are_not_in_the_view(filled):
    items = filled.items()
    assert ("key 1", b"value 1") in items
    assert ("key 1", b"other") not in items
    assert ("key 1",) not in items
    assert ["key 1", b"value 1"] not in items
    assert "key 1" not in items


def test_set_operations_give_what_a_dicts_views_give(filled):
    others = [set(), {"key 1", "other"}, ["key 2", "key 3", 7], set(RECORDS), {"key 1": 0}.keys()]
    for ours, oracle in ((filled.keys(), RECORDS.keys()), (filled.items(), RECORDS.items())):
        for other in [*others, ours, RECORDS.items()]:
            assert ours & other == oracle & other
            assert ours | other == oracle | other
            assert ours - other == oracle - other
            assert ours ^ other == oracle ^ other
            assert ours.isdisjoint(other) == oracle.isdisjoint(set(other))
        assert {"key 1"} & ours == {"key 1"} & set(oracle)
        assert {"key 1"} - ours == {"key 1"} - set(oracle)


def test_comparisons_give_what_a_dicts_views_give(filled):
    smaller, same, larger = set(list(RECORDS)[1:]), set(RECORDS), {*RECORDS, "more"}
    keys, oracle = filled.keys(), RECORDS.keys()
    for other in (smaller, same, larger, frozenset(same), RECORDS.keys(), filled.keys()):
        assert (keys == other) == (oracle == set(other))
        assert (keys != other) == (oracle != set(other))
        assert (keys < other) == (oracle < set(other))
        assert (keys <= other) == (oracle <= set(other))
        assert (keys > other) == (oracle > set(other))
        assert (keys >= other) == (oracle >= set(other))
    assert filled.items() == RECORDS.items()
    assert keys != list(RECORDS)
    with pytest.raises(TypeError):
        keys < list(RECORDS)  # noqa: B015


def test_views_keep_the_store_alive(path):
    db = DictSQLite(path)
    db["k"] = b"v"
    keys = db.keys()
    iterator = iter(keys)
    store_repr = repr(db)
    del db
    assert list(iterator) == ["k"]
    assert store_repr in repr(keys)
    del iterator
    with pytest.warns(ResourceWarning):
        del keys


def test_views_and_iterators_cannot_be_made_by_hand(db):
    for kind in (db.keys(), db.values(), db.items(), iter(db)):
        with pytest.raises(TypeError):
            type(kind)()


def test_an_exhausted_iterator_stays_exhausted(db):
    db["a"] = b"1"
    iterator = iter(db)
    assert list(iterator) == ["a"]
    db["b"] = b"2"
    assert list(iterator) == []
    db.close()
    assert list(iterator) == []


def test_the_store_may_change_during_iteration(filled):
    for key in filled:
        del filled[key]
        filled["after " + key] = b"new"
        if len(filled) > len(RECORDS):
            break
    assert len(filled) == len(RECORDS)
    for key in list(filled):
        del filled[key]
    assert list(filled.items()) == []


def test_iteration_crosses_large_and_small_records(db):
    records = {f"k{n:03}": bytes([n]) * (1 << (n % 18)) for n in range(200)}
    db.update(records)
    assert dict(db.items()) == records
    assert sorted(db.values()) == sorted(records.values())
