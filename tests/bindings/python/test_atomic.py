"""add, compare_and_swap and increment: changes of one key that depend on what is there."""

import pytest

from conftest import PERSISTENT_MODES, Caller
from dictsqlite import DictSQLite, StorageError

THREADS = 4
ROUNDS = 100
MIN, MAX = -(2**63), 2**63 - 1


def test_add_stores_only_what_is_not_there(db):
    assert db.add("k", b"first") is True
    assert db.add("k", bytearray(b"second")) is False
    assert db["k"] == b"first"
    del db["k"]
    assert db.add("k", b"third") is True


def test_compare_and_swap_replaces_the_value_that_is_expected(db):
    db["k"] = b"old"
    assert db.compare_and_swap("k", b"other", b"new") is False
    assert db.compare_and_swap("absent", b"old", b"new") is False
    assert db.compare_and_swap(key="k", old=memoryview(b"old"), new=bytearray(b"new")) is True
    assert dict(db) == {"k": b"new"}
    assert db.compare_and_swap("k", b"new", b"") is True
    assert db.compare_and_swap("k", b"", b"") is True
    assert db["k"] == b""


def test_none_stands_for_absence_in_compare_and_swap(db):
    assert db.compare_and_swap("k", None, None) is True
    assert db.compare_and_swap("k", b"", None) is False
    assert db.compare_and_swap("k", None, b"") is True
    assert db.compare_and_swap("k", None, b"new") is False
    assert db.compare_and_swap("k", None, None) is False
    assert db.compare_and_swap("k", b"other", None) is False
    assert db.compare_and_swap("k", b"", None) is True
    assert len(db) == 0


@pytest.mark.parametrize("old, new", [("text", b"v"), (b"v", "text"), (1, None), (None, 1)])
def test_compare_and_swap_refuses_what_is_no_value(db, old, new):
    db["k"] = b"v"
    with pytest.raises(TypeError, match="values must be bytes-like"):
        db.compare_and_swap("k", old, new)
    with pytest.raises(BufferError):
        db.compare_and_swap("k", b"v", memoryview(b"abcd")[::2])
    with pytest.raises(BufferError):
        db.compare_and_swap("k", memoryview(b"abcd")[::2], b"v")
    assert db["k"] == b"v"


def test_increment_returns_the_sum_and_stores_it_as_text(db):
    assert db.increment("k") == 1
    assert db.increment("k", 41) == 42
    assert db["k"] == b"42"
    assert db.increment(key="k", delta=-50) == -8
    assert db["k"] == b"-8"
    assert db.increment("k", 0) == -8
    assert db.increment("k", True) == -7


def test_increment_begins_with_the_default(db):
    assert db.increment("k", default=100) == 101
    assert db.increment("k", default=100) == 102
    assert db.increment("other", -1, -1) == -2


@pytest.mark.parametrize(
    "text, number",
    [(b"0", 0), (b"-0", 0), (b"007", 7), (b"-12", -12), (b"%d" % MAX, MAX), (b"%d" % MIN, MIN),
     (b"0" * 100 + b"5", 5)],
)
def test_increment_reads_decimal_numbers(db, text, number):
    db["k"] = text
    step = -1 if number > 0 else 1
    assert db.increment("k", step) == number + step
    assert db["k"] == b"%d" % (number + step)


@pytest.mark.parametrize(
    "value", [b"", b"-", b"+1", b" 1", b"1 ", b"1.0", b"1e3", b"0x1", b"--1", b"1_0", b"one",
              b"\0" * 8, "\u0661".encode(), b"1" * 30 + b"x"]
)
def test_increment_refuses_what_is_no_number(db, value):
    db["k"] = value
    with pytest.raises(ValueError, match="'k' is not a decimal number"):
        db.increment("k")
    assert db["k"] == value


def test_increment_refuses_a_sum_that_does_not_fit(db):
    for value, delta in ((MAX, 1), (MIN, -1), (MAX, MAX), (MIN, MIN)):
        db["k"] = b"%d" % value
        with pytest.raises(OverflowError, match="64 bits"):
            db.increment("k", delta)
        assert db["k"] == b"%d" % value
    for value in (b"%d" % (MAX + 1), b"%d" % (MIN - 1), b"9" * 1000):
        db["k"] = value
        with pytest.raises(OverflowError):
            db.increment("k", 0)
        assert db["k"] == value
    with pytest.raises(OverflowError):
        db.increment("absent", 1, MAX)
    assert "absent" not in db


def test_increment_refuses_a_delta_or_a_default_that_is_no_number_of_64_bits(db):
    for arguments in ((MAX + 1,), (MIN - 1,), (0, MAX + 1), (0, 10**100)):
        with pytest.raises(OverflowError, match="does not fit 64 bits"):
            db.increment("k", *arguments)
    for arguments in ((1.0,), ("1",), (None,), (0, b"1")):
        with pytest.raises(TypeError):
            db.increment("k", *arguments)
    assert len(db) == 0


@pytest.mark.parametrize("persist_mode", PERSISTENT_MODES)
def test_changes_decide_on_what_is_in_the_file_alone(path, persist_mode):
    with DictSQLite(path) as db:
        db.update({f"k{n}": b"%d" % n for n in range(300)})
    with DictSQLite(path, persist_mode=persist_mode, hot_capacity=10) as db:
        for number in range(0, 300, 3):
            assert db.increment(f"k{number}", 1000) == number + 1000
            assert not db.add(f"k{number + 1}", b"v")
            assert db.compare_and_swap(f"k{number + 2}", b"%d" % (number + 2), None)
    with DictSQLite(path) as db:
        assert db == {
            f"k{n}": b"%d" % (n + 1000 if n % 3 == 0 else n) for n in range(300) if n % 3 != 2
        }


def test_no_increment_of_several_threads_is_lost(db):
    def count():
        return [db.increment("k") for _ in range(ROUNDS)]

    callers = [Caller(count) for _ in range(THREADS)]
    results = [number for caller in callers for number in caller.wait()]
    assert sorted(results) == list(range(1, THREADS * ROUNDS + 1))
    assert db["k"] == b"%d" % (THREADS * ROUNDS)


def test_of_several_threads_one_adds_and_one_swaps(db):
    for number in range(ROUNDS):
        key = f"k{number}"
        adders = [Caller(lambda v=b"%d" % n: db.add(key, v)) for n in range(2)]
        assert sorted(caller.wait() for caller in adders) == [False, True]
        old = db[key]
        swappers = [Caller(lambda: db.compare_and_swap(key, old, b"new")) for _ in range(2)]
        assert sorted(caller.wait() for caller in swappers) == [False, True]


def test_a_readonly_store_refuses_every_change(path):
    with DictSQLite(path) as db:
        db["k"] = b"1"
    with DictSQLite(path, readonly=True) as db:
        for call in (
            lambda: db.add("new", b"v"),
            lambda: db.compare_and_swap("k", b"1", b"2"),
            lambda: db.compare_and_swap("k", b"1", None),
            lambda: db.compare_and_swap("new", None, b"2"),
            lambda: db.increment("k"),
            lambda: db.increment("new"),
            lambda: db.get_or_compute("new", lambda: b"v"),
        ):
            with pytest.raises(StorageError):
                call()
        assert db.compare_and_swap("absent", None, None)
        assert db.get_or_compute("k", lambda: 1 / 0) == b"1"
        assert dict(db) == {"k": b"1"}


def test_changes_are_there_after_reopening(path):
    with DictSQLite(path, persist_mode="lazy") as db:
        db.add("added", b"1")
        db.increment("counted", 5)
        db.compare_and_swap("swapped", None, b"2")
        db.get_or_compute("computed", lambda: b"3")
    with DictSQLite(path) as db:
        assert db == {"added": b"1", "counted": b"5", "swapped": b"2", "computed": b"3"}
