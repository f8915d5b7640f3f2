"""Open stores and the objects around them: collection, exit of the interpreter, fork."""

import gc
import sys
import time
import weakref

import pytest

from dictsqlite import ClosedError, DictSQLite

EXIT_SECONDS_MAX = 2.0


def test_an_unclosed_store_warns_and_keeps_its_records(path, mode):
    db = DictSQLite(path, persist_mode=mode)
    db["k"] = b"v"
    with pytest.warns(ResourceWarning, match="unclosed <dictsqlite.DictSQLite"):
        del db
    if mode != "memory":
        with DictSQLite(path) as db:
            assert db["k"] == b"v"


def test_an_unclosed_store_in_a_cycle_is_collected(path, mode):
    class Store(DictSQLite):
        pass

    db = Store(path, persist_mode=mode)
    db["k"] = b"v"
    db.itself = db
    db.iterator = iter(db.items())
    with pytest.warns(ResourceWarning):
        del db
        gc.collect()
    if mode != "memory":
        with DictSQLite(path) as db:
            assert db["k"] == b"v"


def test_a_subclass_with_its_own_finalizer_keeps_its_records(path):
    finalized = []

    class Store(DictSQLite):
        def __del__(self):
            finalized.append(True)

    db = Store(path, persist_mode="lazy")
    db["k"] = b"v"
    del db
    assert finalized == [True]
    with DictSQLite(path) as db:
        assert db["k"] == b"v"


def test_a_warning_turned_into_an_error_does_not_keep_the_store_open(path):
    import warnings

    seen = []
    previous, sys.unraisablehook = sys.unraisablehook, lambda info: seen.append(info.exc_type)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            DictSQLite(path)
    finally:
        sys.unraisablehook = previous
    assert seen == [ResourceWarning]
    DictSQLite(path).close()


def test_a_store_can_be_referred_to_weakly(path):
    db = DictSQLite(path)
    reference = weakref.ref(db)
    assert reference() is db
    db.close()
    del db
    assert reference() is None


def test_the_garbage_collector_sees_stores_views_and_iterators(db):
    db["k"] = b"v"
    views = [db.keys(), db.values(), db.items()]
    for follower in [*views, *map(iter, views)]:
        assert gc.is_tracked(follower)
        assert db in gc.get_referents(follower)
    assert type(db) in gc.get_referents(db)


def test_closing_ends_the_iterators(path, mode):
    db = DictSQLite(path, persist_mode=mode)
    db.update({f"k{n}": b"v" for n in range(10)})
    fresh, started = iter(db), iter(db.items())
    next(started)
    db.close()
    for iterator in (fresh, started):
        with pytest.raises(ClosedError):
            next(iterator)


def test_closing_does_not_mind_iterators_that_were_dropped(path, mode):
    with DictSQLite(path, persist_mode=mode) as db:
        db.update({f"k{n}": b"v" for n in range(10)})
        iterators = [iter(db) for _ in range(5)]
        for iterator in iterators:
            next(iterator)
        del iterators[2], iterators[0], iterators[-1]
        del iterator
        iterators.clear()


def test_the_store_closes_when_its_block_raises(path):
    with pytest.raises(ZeroDivisionError):
        with DictSQLite(path, persist_mode="lazy") as db:
            db["k"] = b"v"
            1 / 0  # noqa: B018
    assert db.closed
    with DictSQLite(path) as db:
        assert db["k"] == b"v"


ORDERLY_ENDINGS = {
    "falls off the end": "",
    "exits": "sys.exit(3)",
    "raises": "raise ZeroDivisionError",
    "is interrupted": "os.kill(os.getpid(), signal.SIGINT); time.sleep(30)",
    "has a daemon thread that writes": """
def write():
    try:
        while True:
            db["daemon"] = b"%d" % time.monotonic_ns()
    except ClosedError:
        pass
threading.Thread(target=write, daemon=True).start()
while "daemon" not in db:
    pass
""",
    "has a daemon thread that iterates": """
def read():
    try:
        while True:
            list(db.items())
    except ClosedError:
        pass
threading.Thread(target=read, daemon=True).start()
""",
    "has a daemon thread that holds it": """
threading.Thread(target=lambda held: time.sleep(60), args=(db,), daemon=True).start()
del db
""",
    "keeps an iterator": "iterator = iter(db.items()); next(iterator)",
    "keeps a cycle": "sys.cycle = [db]; sys.cycle.append(sys.cycle)",
}
SUDDEN_ENDINGS = {
    "exits at once": "os._exit(0)",
    "is terminated": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.fixture
def ending_program(script, path):
    """Runs a program that stores a hundred records and ends in a given way."""

    def run(ending, persist_mode, flush=False):
        result = script(
            f"""
import os, signal, sys, threading, time
from dictsqlite import ClosedError, DictSQLite
db = DictSQLite(sys.argv[1], persist_mode={persist_mode!r})
for number in range(100):
    db[f"key {{number}}"] = b"value"
if {flush}:
    db.flush()
print(time.monotonic(), flush=True)
{ending}
""",
            path,
        )
        assert time.monotonic() - float(result.stdout) < EXIT_SECONDS_MAX
        assert "Fatal" not in result.stderr and "dictsqlite" not in result.stderr
        with DictSQLite(path) as db:
            db.pop("daemon", None)
            assert dict(db) == {f"key {number}": b"value" for number in range(100)}

    return run


@pytest.mark.parametrize("ending", ORDERLY_ENDINGS.values(), ids=ORDERLY_ENDINGS.keys())
@pytest.mark.parametrize("persist_mode", ["writethrough", "lazy"])
def test_a_program_ends_soon_and_loses_nothing_when_it(ending_program, persist_mode, ending):
    ending_program(ending, persist_mode)


@pytest.mark.parametrize("ending", SUDDEN_ENDINGS.values(), ids=SUDDEN_ENDINGS.keys())
@pytest.mark.parametrize("persist_mode", ["writethrough", "lazy"])
def test_a_program_loses_nothing_durable_when_it(ending_program, persist_mode, ending):
    ending_program(ending, persist_mode, flush=persist_mode == "lazy")


def test_lazy_records_without_a_flush_survive_an_orderly_exit(script, path):
    script(
        """
        import sys
        from dictsqlite import DictSQLite
        db = DictSQLite(sys.argv[1], persist_mode="lazy", enable_async=False)
        db["k"] = b"v"
        """,
        path,
    )
    with DictSQLite(path) as db:
        assert db["k"] == b"v"


def test_a_forked_child_is_refused_the_store_and_can_open_its_own(script, tmp_path, path):
    result = script(
        """
        import gc, os, sys, threading
        from dictsqlite import DictSQLite, ForkedError
        db = DictSQLite(sys.argv[1], persist_mode=sys.argv[2])
        db["k"] = b"v"
        iterator = iter(db)
        keys = db.keys()
        batch = db.batch()

        def store_in(batch):
            with batch:
                batch["a"] = b"1"
                batch["b"] = b"2"

        if os.fork() == 0:
            for call in (
                lambda: db["k"], lambda: db.get("k"), lambda: "k" in db, lambda: len(db),
                lambda: bool(db), lambda: iter(db), lambda: next(iterator), lambda: db.pop("k"),
                lambda: db.setdefault("k", b"w"), lambda: db.__setitem__("k", b"w"),
                lambda: db.__delitem__("k"), lambda: db.update(a=b"1", b=b"2"), db.flush,
                db.stats, db.resume, db.close, lambda: len(keys),
                lambda: db.get_many(["k"]), lambda: db.set_many({"a": b"1", "b": b"2"}),
                lambda: db.delete_many(["k"]), lambda: store_in(batch), lambda: db.add("k", b"w"),
                lambda: db.compare_and_swap("k", b"v", b"w"), lambda: db.increment("n"),
                lambda: db.get_or_compute("k", lambda: b"w"), lambda: db.scan("k"), db.clear,
                db.popitem, db.copy, lambda: db | {}, lambda: db == {"k": b"v"},
                lambda: db.backup("copy.db"), db.verify, db.compact,
            ):
                try:
                    call()
                    print("no error")
                except ForkedError as error:
                    assert isinstance(error, RuntimeError)
            print(repr(db).rpartition(", ")[2])
            own = DictSQLite("child.db")
            own["child"] = b"own"
            del db, iterator, keys, call, batch
            gc.collect()
            print(own["child"])
            sys.exit()
        os.wait()
        db["after"] = b"fork"
        print(next(iterator) in ("k", "after"), sorted(db))
        db.close()
        """,
        path,
        "writethrough",
    )
    assert result.stderr == ""
    assert result.stdout == "inherited through fork>\nb'own'\nTrue ['after', 'k']\n"
    with DictSQLite(path) as db:
        assert dict(db) == {"k": b"v", "after": b"fork"}
    with DictSQLite(tmp_path / "child.db") as db:
        assert dict(db) == {"child": b"own"}


def test_a_fork_amid_the_calls_of_other_threads_leaves_the_child_free(script, path):
    result = script(
        """
        import os, sys, threading
        from dictsqlite import DictSQLite, ForkedError
        db = DictSQLite(sys.argv[1])
        ending = False

        def work(thread):
            while not ending:
                db[f"{thread}"] = b"v"
                list(db.items())

        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for number in range(20):
            child = os.fork()
            if child == 0:
                try:
                    db["child"] = b"v"
                except ForkedError:
                    pass
                with DictSQLite(f"child {number}.db") as own:
                    own["k"] = b"v"
                    assert dict(own) == {"k": b"v"}
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        ending = True
        for thread in threads:
            thread.join()
        db.close()
        print("done")
        """,
        path,
    )
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_a_fork_amid_a_close_leaves_the_child_free(script, path):
    result = script(
        """
        import os, sqlite3, sys, threading
        from dictsqlite import ClosedError, DictSQLite, ForkedError
        db = DictSQLite(sys.argv[1])
        blocker = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
        blocker.execute("BEGIN IMMEDIATE")
        writer = threading.Thread(target=db.__setitem__, args=("k", b"v"))
        writer.start()
        while db.stats()["state"] != "retrying":
            pass
        closer = threading.Thread(target=db.close)
        closer.start()
        while not db.closed:
            pass
        child = os.fork()
        if child == 0:
            try:
                db["k"]
            except ClosedError:
                pass
            try:
                db.close()
            except ForkedError:
                sys.exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        blocker.rollback()
        writer.join()
        closer.join()
        print("done")
        """,
        path,
    )
    assert (result.stdout, result.stderr) == ("done\n", "")
