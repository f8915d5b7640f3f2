"""get_or_compute: one thread computes a missing value, the others wait for it."""

import os
import signal
import threading

import pytest

from conftest import Caller
from dictsqlite import ClosedError, DictSQLite

THREADS = 4


def unexpected():
    raise AssertionError("the key is there")


@pytest.fixture
def computing(db):
    """A thread that computes the key "k" until it is told how to end."""
    started, go_on = threading.Event(), threading.Event()
    outcome = []

    def function():
        started.set()
        assert go_on.wait(30)
        if isinstance(outcome[0], bytes):
            return outcome[0]
        raise outcome[0]

    def end(how):
        outcome.append(how)
        go_on.set()
        return caller

    caller = Caller(lambda: db.get_or_compute("k", function))
    assert started.wait(30)
    yield end
    end(b"left alone")


def test_a_missing_value_is_computed_stored_and_returned(db):
    assert db.get_or_compute("k", lambda: bytearray(b"value")) == b"value"
    assert type(db["k"]) is bytes
    assert db.get_or_compute("k", unexpected) == b"value"
    assert dict(db) == {"k": b"value"}


def test_the_exception_of_the_function_is_the_callers(db):
    with pytest.raises(ZeroDivisionError):
        db.get_or_compute("k", lambda: 1 / 0)
    assert "k" not in db
    assert db.get_or_compute("k", lambda: b"v") == b"v"


def test_what_is_no_function_or_no_value_is_a_type_error(db):
    with pytest.raises(TypeError, match="callable, not bytes"):
        db.get_or_compute("k", b"v")
    with pytest.raises(TypeError, match="bytes-like, not NoneType"):
        db.get_or_compute("k", lambda: None)
    with pytest.raises(TypeError):
        db.get_or_compute("k", lambda argument: b"v")
    assert len(db) == 0


def test_what_was_stored_meanwhile_stays_and_is_returned(db):
    def function():
        db["k"] = b"stored"
        return b"computed"

    assert db.get_or_compute("k", function) == b"stored"
    assert db["k"] == b"stored"


def test_the_function_may_compute_other_keys(db):
    def factorial(n):
        if n == 0:
            return b"1"
        return b"%d" % (n * int(db.get_or_compute(f"{n - 1}!", lambda: factorial(n - 1))))

    assert db.get_or_compute("20!", lambda: factorial(20)) == b"2432902008176640000"
    assert len(db) == 21


def test_a_function_that_asks_for_its_own_key_gets_an_error(db):
    with pytest.raises(RuntimeError, match="that is being computed"):
        db.get_or_compute("k", lambda: db.get_or_compute("k", lambda: b"v"))
    assert "k" not in db
    assert db.get_or_compute("k", lambda: b"v") == b"v"


def test_the_same_key_of_another_store_is_another_key(db):
    with DictSQLite(":memory:") as other:
        assert db.get_or_compute("k", lambda: other.get_or_compute("k", lambda: b"v")) == b"v"


def test_a_function_is_called_once_among_threads(db):
    for round_ in range(50):
        calls = []
        barrier = threading.Barrier(THREADS)

        def work():
            def function():
                calls.append(threading.get_ident())
                return b"%d" % len(calls)

            barrier.wait()
            return db.get_or_compute(f"k{round_}", function)

        callers = [Caller(work) for _ in range(THREADS)]
        assert [caller.wait() for caller in callers] == [b"1"] * THREADS
        assert len(calls) == 1


def test_a_function_is_called_once_though_absence_is_read_from_the_file(path):
    with DictSQLite(path) as db:
        db.update({f"other {n}": b"v" for n in range(100)})
    with DictSQLite(path, persist_mode="lazy", hot_capacity=20) as db:
        assert "absent" not in db and db.stats()["misses"] > 0
        calls = []

        def work(thread):
            for number in range(400):
                db.get_or_compute(f"k{number}", lambda: calls.append(number) or b"v")

        for caller in [Caller(lambda thread=thread: work(thread)) for thread in range(THREADS)]:
            caller.wait()
        assert sorted(calls) == list(range(400))


def test_waiting_leaves_other_threads_and_other_keys_running(db, computing):
    waiting = [Caller(lambda: db.get_or_compute("k", unexpected)) for _ in range(THREADS)]
    db["other"] = b"v"
    assert db.get_or_compute("another", lambda: b"w") == b"w"
    assert all(waiter.is_alive() for waiter in waiting)
    computing(b"value").wait()
    assert [waiter.wait() for waiter in waiting] == [b"value"] * THREADS


def test_after_a_failure_a_waiting_thread_tries_itself(db, computing):
    calls = []

    def function():
        calls.append(1)
        return b"second"

    waiting = [Caller(lambda: db.get_or_compute("k", function)) for _ in range(THREADS)]
    with pytest.raises(ZeroDivisionError):
        computing(ZeroDivisionError()).wait()
    assert [waiter.wait() for waiter in waiting] == [b"second"] * THREADS
    assert len(calls) == 1


def test_threads_that_compute_what_the_other_waits_for_get_an_error_and_no_deadlock(db):
    both_compute = threading.Barrier(2)
    errors = []

    def work(own, other):
        def function():
            both_compute.wait(30)
            try:
                return db.get_or_compute(other, lambda: b"from " + own.encode())
            except RuntimeError as error:
                errors.append(str(error))
                return b"without " + other.encode()

        return db.get_or_compute(own, function)

    one, two = Caller(lambda: work("a", "b")), Caller(lambda: work("b", "a"))
    assert one.wait() == two.wait()
    assert errors == ["get_or_compute() would wait for a thread that waits for this one"]
    assert db["a"] == db["b"] in (b"without a", b"without b")


def test_a_ring_of_three_threads_over_two_stores_is_noticed(path):
    with DictSQLite(path) as first, DictSQLite(":memory:") as second:
        all_compute = threading.Barrier(3)
        places = [(first, "a"), (second, "a"), (first, "b")]
        errors = []

        def work(place):
            store, key = places[place]
            next_store, next_key = places[(place + 1) % 3]

            def function():
                all_compute.wait(30)
                try:
                    return next_store.get_or_compute(next_key, unexpected)
                except RuntimeError as error:
                    errors.append(error)
                    return b"broken"

            return store.get_or_compute(key, function)

        callers = [Caller(lambda place=place: work(place)) for place in range(3)]
        assert [caller.wait() for caller in callers] == [b"broken"] * 3
        assert len(errors) == 1


def test_ctrl_c_ends_the_waiting(db, computing):
    killer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        db.get_or_compute("k", unexpected)
    killer.join()
    assert computing(b"value").wait() == b"value"


def test_closing_ends_the_waiting_and_the_computing(db, computing):
    waiting = Caller(lambda: db.get_or_compute("k", unexpected))
    db.close()
    with pytest.raises(ClosedError):
        waiting.wait()
    with pytest.raises(ClosedError):
        computing(b"value").wait()


def test_a_function_that_closes_its_store_gets_the_error(db):
    def function():
        db.close()
        return b"v"

    with pytest.raises(ClosedError):
        db.get_or_compute("k", function)


def test_a_key_that_is_evicted_again_and_again_is_computed_again_and_again(path):
    with DictSQLite(path, persist_mode="memory", hot_capacity=1) as db:
        def work(thread):
            for number in range(300):
                key = f"{number % 20}"
                assert db.get_or_compute(key, lambda: key.encode()) == key.encode()

        for caller in [Caller(lambda thread=thread: work(thread)) for thread in range(THREADS)]:
            caller.wait()


def test_a_fork_amid_the_computing_leaves_both_processes_free(script, path):
    result = script(
        """
        import os, sys, threading
        from dictsqlite import DictSQLite, ForkedError
        db = DictSQLite(sys.argv[1])
        started, go_on = threading.Event(), threading.Event()

        def slow():
            started.set()
            go_on.wait()
            return b"slow"

        computing = threading.Thread(target=db.get_or_compute, args=("slow", slow))
        computing.start()
        started.wait()
        waiting = threading.Thread(target=db.get_or_compute, args=("slow", slow))
        waiting.start()

        def forking():
            child = os.fork()
            if child != 0:
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                return b"%d" % status
            try:
                db.get_or_compute("slow", slow)
            except ForkedError:
                pass
            with DictSQLite("child.db") as own:
                threads = [
                    threading.Thread(target=own.get_or_compute, args=("slow", lambda: b"v"))
                    for _ in range(5)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert own["slow"] == b"v"
            return b"in the child"

        try:
            value = db.get_or_compute("forking", forking)
        except ForkedError:
            os._exit(7)
        assert value == b"7", value
        go_on.set()
        computing.join()
        waiting.join()
        assert db["slow"] == b"slow"
        db.close()
        print("done")
        """,
        path,
    )
    assert (result.stdout, result.stderr) == ("done\n", "")
