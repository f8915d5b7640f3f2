"""The objects of hot values, handed out again: always the value's, within a bound, and given back."""

import gc
import random
import sys
import sysconfig
import threading

import pytest

from dictsqlite import DictSQLite

pytestmark = pytest.mark.skipif(bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
                                reason="without a GIL nothing is kept")

SMALL = 64 * 1024


@pytest.fixture(params=["memory", "lazy", "writethrough"])
def db(request, tmp_path):
    with DictSQLite(tmp_path / "f.db", persist_mode=request.param) as store:
        yield store


def test_a_hit_hands_out_the_object_of_the_second_hit(db):
    db["k"] = b"value"
    assert db["k"] is not db["k"]
    assert db["k"] is db["k"]
    assert db.get("k") is db["k"]
    assert db.get_many(["k", "k"])[1] is db["k"]


def test_nothing_is_kept_without_a_cache(tmp_path):
    with DictSQLite(tmp_path / "f.db", value_cache_bytes=0) as db:
        db["k"] = b"value"
        for _ in range(3):
            assert db["k"] == b"value"
            assert db["k"] is not db["k"]


def test_an_overwritten_value_is_not_handed_out(db):
    for n in range(1000):
        db["k"] = b"%d" % n
        for _ in range(3):
            assert db["k"] == b"%d" % n


def test_what_is_handed_out_is_the_value_while_records_come_and_go(tmp_path):
    # Dead records are used again at once, so their addresses come back.
    rng = random.Random(5)
    oracle = {}
    with DictSQLite(tmp_path / "f.db", persist_mode="memory", hot_capacity=None,
                    value_cache_bytes=SMALL) as db:
        for step in range(100_000):
            key = f"key {rng.randrange(600)}"
            if rng.random() < 0.3:
                oracle[key] = db[key] = b"%d" % step
            elif rng.random() < 0.1:
                assert db.pop(key, None) == oracle.pop(key, None)
            else:
                assert db.get(key) == oracle.get(key)


def test_readers_and_writers_see_the_value_that_was_there(tmp_path):
    stop = threading.Event()
    wrong = []

    def read(db, keys):
        while not stop.is_set():
            for key in keys:
                value = db.get(key)
                if value is not None and not value.startswith(key.encode() + b"="):
                    wrong.append((key, value))

    keys = [f"k{n}" for n in range(200)]
    with DictSQLite(tmp_path / "f.db", persist_mode="lazy", hot_capacity=100,
                    value_cache_bytes=SMALL) as db:
        threads = [threading.Thread(target=read, args=(db, keys)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(20_000):
            key = keys[n * 7919 % len(keys)]
            db[key] = b"%s=%d" % (key.encode(), n)
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_the_cache_keeps_within_its_bound(tmp_path):
    value = b"v" * 500
    with DictSQLite(tmp_path / "f.db", persist_mode="memory", value_cache_bytes=SMALL) as db:
        for n in range(2000):
            db[f"{n}"] = value
        for _ in range(40):
            for n in range(2000):
                assert db[f"{n}"] == value
        objects = [db[f"{n}"] for n in range(2000)]
        objects.append(bytes(500))
        counts = list(map(sys.getrefcount, objects))
        kept = sum(count > counts[-1] for count in counts)
        assert SMALL // 2 < kept * sys.getsizeof(value) <= SMALL


def test_what_many_look_ups_found_stays_while_they_push_it_out(tmp_path):
    rng = random.Random(7)
    values = {f"{n}": b"%500d" % n for n in range(2000)}
    with DictSQLite(tmp_path / "f.db", persist_mode="memory", value_cache_bytes=SMALL) as db:
        db.update(values)
        for _ in range(400):
            keys = rng.sample(list(values), 250)
            assert db.get_many(keys) == [values[key] for key in keys]


def test_what_is_used_comes_in_after_others_have_filled_the_cache(tmp_path):
    with DictSQLite(tmp_path / "f.db", persist_mode="memory", value_cache_bytes=SMALL) as db:
        for n in range(2000):
            db[f"{n}"] = b"v" * 500
        for _ in range(2):
            for n in range(2000):
                db[f"{n}"]
        assert db["1999"] is not db["1999"]
        for _ in range(64):
            db["1999"]
        assert db["1999"] is db["1999"]


def test_a_value_too_large_for_the_cache_is_copied(tmp_path):
    with DictSQLite(tmp_path / "f.db", value_cache_bytes=SMALL) as db:
        db["k"] = b"v" * (SMALL // 64)
        for _ in range(3):
            assert db["k"] is not db["k"]


@pytest.mark.parametrize("end", ["close", "clear", "forgotten"])
def test_objects_are_given_back(tmp_path, end):
    db = DictSQLite(tmp_path / "f.db", persist_mode="memory")
    db["k"] = b"a value of some bytes"
    db["k"]
    value = db["k"]
    kept = sys.getrefcount(value)
    if end == "close":
        db.close()
    elif end == "clear":
        db.clear()
    else:
        db["other"] = b""
        with pytest.warns(ResourceWarning):
            del db
            gc.collect()
    assert sys.getrefcount(value) == kept - 1


def test_a_cleared_store_keeps_objects_anew(db):
    for _ in range(3):
        db["k"] = b"value"
        db["k"]
        assert db["k"] is db["k"]
        db.clear()
        assert "k" not in db


@pytest.mark.parametrize("bad, error", [(-1, ValueError), (1 << 64, ValueError), ("1", TypeError)])
def test_a_bound_that_is_none_is_refused(tmp_path, bad, error):
    with pytest.raises(error, match="value_cache_bytes"):
        DictSQLite(tmp_path / "f.db", value_cache_bytes=bad)
    assert not (tmp_path / "f.db").exists()
