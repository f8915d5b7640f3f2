"""Calls from several threads, waits that leave the others running, and close among them."""

import os
import signal
import sqlite3
import threading

import pytest

import dictsqlite
from conftest import Caller, wait_until
from dictsqlite import ClosedError, DictSQLite, TimedOutError

THREADS = 4
ROUNDS = 300


@pytest.fixture
def stalled(path):
    """A writethrough store, and the transaction of another program that holds its commits up."""
    db = DictSQLite(path)
    db["there"] = b"before"
    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    yield db, blocker
    if blocker.in_transaction:
        blocker.rollback()
    blocker.close()
    db.close()


def test_a_waiting_write_leaves_the_other_threads_running(stalled):
    db, blocker = stalled
    writer = Caller(lambda: db.__setitem__("k", b"v"))
    wait_until(lambda: db.stats()["state"] == "retrying")
    assert db["there"] == b"before"
    assert writer.is_alive()
    blocker.rollback()
    writer.wait()
    assert db["k"] == b"v"


def test_a_flush_times_out_and_loses_nothing(stalled):
    db, blocker = stalled
    writer = Caller(lambda: db.__setitem__("k", b"v"))
    wait_until(lambda: db.stats()["state"] == "retrying")
    with pytest.raises(TimedOutError):
        db.flush(timeout=0.01)
    with pytest.raises(TimeoutError):
        db.flush(0)
    with pytest.raises(dictsqlite.DictSQLiteError):
        db.flush(0.25)
    blocker.rollback()
    db.flush(30)
    writer.wait()


def test_ctrl_c_ends_a_flush(stalled):
    db, blocker = stalled
    writer = Caller(lambda: db.__setitem__("k", b"v"))
    wait_until(lambda: db.stats()["state"] == "retrying")
    killer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        db.flush()
    killer.join()
    blocker.rollback()
    writer.wait()


def test_close_waits_for_calls_under_way_and_refuses_new_ones(stalled):
    db, blocker = stalled
    writer = Caller(lambda: db.__setitem__("k", b"v"))
    wait_until(lambda: db.stats()["state"] == "retrying")
    closer = Caller(db.close)
    wait_until(lambda: db.closed)
    with pytest.raises(ClosedError, match="being closed"):
        db["there"]
    second_closer = Caller(db.close)
    assert writer.is_alive() and closer.is_alive()
    blocker.rollback()
    writer.wait()
    closer.wait()
    second_closer.wait()
    with pytest.raises(ClosedError):
        db["there"]


def test_ctrl_c_ends_the_waiting_of_close_and_the_store_stays_open(stalled):
    db, blocker = stalled
    writer = Caller(lambda: db.__setitem__("k", b"v"))
    wait_until(lambda: db.stats()["state"] == "retrying")
    killer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        db.close()
    killer.join()
    assert not db.closed
    assert db["there"] == b"before"
    blocker.rollback()
    writer.wait()


def test_a_signal_handler_that_closes_during_close_is_refused(stalled):
    db, blocker = stalled
    writer = Caller(lambda: db.__setitem__("k", b"v"))
    wait_until(lambda: db.stats()["state"] == "retrying")
    previous = signal.signal(signal.SIGUSR1, lambda *_: db.close())
    killer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    killer.start()
    try:
        with pytest.raises(ClosedError, match="being closed"):
            db.close()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    killer.join()
    assert not db.closed
    blocker.rollback()
    writer.wait()


def test_threads_see_their_own_last_writes(path, mode):
    hot_capacity = None if mode == "memory" else 20
    with DictSQLite(path, hot_capacity=hot_capacity, persist_mode=mode) as db:

        def work(thread):
            for number in range(ROUNDS):
                key = f"{thread} {number % 10}"
                db[key] = b"%d" % number
                assert db[key] == b"%d" % number
                if number % 3 == 0:
                    del db[key]
                    assert key not in db
                assert sum(1 for _ in zip(db, range(5))) <= 5

        for caller in [Caller(lambda thread=thread: work(thread)) for thread in range(THREADS)]:
            caller.wait()
        last = {}
        for thread in range(THREADS):
            for number in range(ROUNDS - 10, ROUNDS):
                if number % 3 != 0:
                    last[f"{thread} {number % 10}"] = b"%d" % number
        assert dict(db) == last


def test_one_of_several_threads_pops_a_value(db):
    for number in range(ROUNDS):
        db["k"] = b"%d" % number
        callers = [Caller(lambda: db.pop("k", None)) for _ in range(2)]
        assert sorted((c.wait() for c in callers), key=bool) == [None, b"%d" % number]


def test_one_of_several_threads_sets_the_default(db):
    for number in range(ROUNDS):
        values = [b"%d %d" % (number, thread) for thread in range(2)]
        callers = [Caller(lambda v=value: db.setdefault(f"k{number}", v)) for value in values]
        results = {c.wait() for c in callers}
        assert results == {db[f"k{number}"]}
        assert results < set(values)


def test_close_during_calls_of_other_threads(path, mode):
    for _ in range(20):
        db = DictSQLite(path, persist_mode=mode)
        started = threading.Barrier(THREADS + 1)

        def work(thread):
            started.wait()
            try:
                for number in range(1_000_000):
                    db[f"{thread} {number % 50}"] = b"v"
                    list(zip(db.items(), range(3)))
            except ClosedError:
                return "closed"

        callers = [Caller(lambda thread=thread: work(thread)) for thread in range(THREADS)]
        started.wait()
        db.close()
        assert [caller.wait() for caller in callers] == ["closed"] * THREADS


def test_an_iterator_shared_by_threads_yields_each_record_once(db):
    records = {f"k{n}": b"v%d" % n for n in range(2000)}
    db.update(records)
    iterator = iter(db.items())
    taken = []

    def work():
        while True:
            try:
                taken.append(next(iterator))
            except StopIteration:
                return
            except ValueError:  # the other thread is reading the cursor
                pass

    for caller in [Caller(work) for _ in range(2)]:
        caller.wait()
    assert len(taken) == len(records)
    assert dict(taken) == records
