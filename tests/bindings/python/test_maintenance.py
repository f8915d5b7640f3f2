"""backup, verify and compact: what they do, how they report, how they are stopped."""

import os
import signal
import sqlite3
import threading

import pytest

from conftest import PERSISTENT_MODES, Caller, wait_until
from dictsqlite import (
    CancelledError,
    ClosedError,
    CorruptError,
    DictSQLite,
    DictSQLiteError,
    LockedError,
    StorageError,
)

RECORDS = {f"k{n:05}": b"%d" % n * 100 for n in range(8000)}

CALLS = {
    "backup": lambda db, **options: db.backup(str(db.where) + ".backup", **options),
    "verify": lambda db, **options: db.verify(**options),
    "compact": lambda db, **options: db.compact(**options),
}


class Store(DictSQLite):
    def __init__(self, path, **options):
        super().__init__(path, **options)
        self.where = path


@pytest.fixture(params=PERSISTENT_MODES)
def mode(request):
    return request.param


@pytest.fixture
def filled(path, mode):
    with Store(path, persist_mode=mode) as store:
        store.set_many(RECORDS)
        yield store


@pytest.fixture(params=CALLS.values(), ids=CALLS.keys())
def call(request):
    return request.param


@pytest.fixture
def copy_path(tmp_path):
    return tmp_path / "copy.db"


# ---- backup ----


def test_a_backup_is_a_store_with_all_that_was_written_before(filled, copy_path):
    filled["last"] = b"record"
    del filled["k00000"]
    filled.backup(copy_path)
    filled["later"] = b"record"
    with DictSQLite(copy_path, create=False) as copy:
        assert copy == {**dict(list(RECORDS.items())[1:]), "last": b"record"}
    assert filled["later"] == b"record"


def test_the_path_of_a_backup_may_be_str_bytes_or_path_like(filled, copy_path):
    for form in (copy_path, str(copy_path), str(copy_path).encode()):
        filled.backup(form, overwrite=True)
    with pytest.raises(TypeError):
        filled.backup(None)
    with pytest.raises(ValueError, match="null"):
        filled.backup("a\0b")


def test_a_backup_replaces_a_file_only_if_it_is_told_to(filled, copy_path):
    filled.backup(copy_path)
    filled["k00000"] = b"changed"
    with pytest.raises(StorageError, match="copy.db"):
        filled.backup(copy_path)
    with DictSQLite(copy_path) as copy:
        assert copy["k00000"] == RECORDS["k00000"]
    filled.backup(copy_path, None, True)
    with DictSQLite(copy_path) as copy:
        assert copy["k00000"] == b"changed"


def test_a_backup_refuses_a_place_that_cannot_be(filled, path, copy_path, tmp_path):
    with pytest.raises(ValueError):
        filled.backup(path, overwrite=True)
    with pytest.raises(StorageError):
        filled.backup(tmp_path / "no such folder" / "copy.db")
    with DictSQLite(copy_path) as used:
        used["k"] = b"v"
        with pytest.raises(LockedError):
            filled.backup(copy_path, overwrite=True)
        assert used["k"] == b"v"


def test_a_readonly_store_can_be_copied_and_verified_but_not_compacted(path, copy_path):
    with DictSQLite(path) as db:
        db.set_many(RECORDS)
    with DictSQLite(path, readonly=True) as db:
        db.backup(copy_path)
        db.verify()
        with pytest.raises(StorageError):
            db.compact()
    with DictSQLite(copy_path) as copy:
        assert copy == RECORDS


def test_a_memory_store_has_no_file_to_copy_and_nothing_to_verify(copy_path):
    with DictSQLite(":memory:") as db:
        db["k"] = b"v"
        with pytest.raises(DictSQLiteError, match="memory mode"):
            db.backup(copy_path)
        assert not copy_path.exists()
        db.verify()
        db.compact()
        assert db["k"] == b"v"


# ---- verify and compact ----


def test_verify_finds_what_another_program_has_damaged(path):
    with DictSQLite(path) as db:
        db.set_many(RECORDS)
        db.verify()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'count'")
    connection.close()
    with DictSQLite(path, readonly=True) as db:
        with pytest.raises(CorruptError, match="store.db"):
            db.verify()


def test_verify_finds_a_page_that_was_overwritten(path):
    with DictSQLite(path) as db:
        db.set_many(RECORDS)
    with open(path, "r+b") as file:
        file.seek(-3 * 4096, os.SEEK_END)
        file.write(b"\xff" * 4096)
    with DictSQLite(path, readonly=True) as db:
        with pytest.raises(CorruptError):
            db.verify()


def test_compact_makes_the_file_smaller_and_keeps_the_rest(filled, path):
    filled.delete_many(list(RECORDS)[:-10])
    filled.compact()
    size = os.path.getsize(path)
    filled.close()
    assert max(size, os.path.getsize(path)) < 100_000
    with DictSQLite(path) as db:
        assert db == dict(list(RECORDS.items())[-10:])


# ---- reports ----


@pytest.mark.parametrize("name", ["backup", "verify"])
def test_progress_tells_how_much_is_done_of_how_much(filled, name):
    filled.compact()  # verify counts the rows of kv, where all records are afterwards
    reports = []
    CALLS[name](filled, progress=lambda done, total: reports.append((done, total)))
    assert all(0 <= done <= total or total == 0 for done, total in reports)
    known = [(done, total) for done, total in reports if total != 0]
    assert len(known) >= 1
    assert [done for done, _ in known] == sorted(done for done, _ in known)
    assert len({total for _, total in known}) == 1


def test_progress_of_a_compaction_counts_up_to_what_is_not_known(path):
    with DictSQLite(path, persist_mode="lazy") as db:
        db.set_many({f"k{n}": bytes(100) for n in range(40_000)})
        reports = []
        db.compact(progress=lambda done, total: reports.append((done, total)))
    assert len(reports) > 1
    assert reports == [(n + 1, 0) for n in range(len(reports))]


@pytest.mark.parametrize("answer", [True, 1, "yes", None, object()], ids=["true", "one", "text", "none", "object"])
def test_a_true_answer_or_none_goes_on(filled, call, answer):
    call(filled, progress=lambda done, total: answer)
    assert filled == RECORDS


def cancelling_store(path):
    """Of a size that makes every call report."""
    store = Store(path, persist_mode="lazy")
    store.set_many({f"k{n}": bytes(100) for n in range(40_000)})
    return store


@pytest.mark.parametrize("answer", [False, 0, "", []], ids=repr)
def test_a_false_answer_cancels(path, call, answer):
    with cancelling_store(path) as db:
        reports = []
        with pytest.raises(CancelledError, match="cancelled"):
            call(db, progress=lambda *report: (reports.append(report), answer)[1])
        assert len(reports) == 1
        assert sorted(p.name for p in path.parent.glob("*.backup*")) == []
        assert len(db) == 40_000
        db.verify()
        db["more"] = b"v"
        db.flush()


def test_an_exception_of_the_progress_function_cancels_and_is_raised(path, call):
    class Truthless:
        def __bool__(self):
            raise LookupError

    with cancelling_store(path) as db:
        with pytest.raises(ZeroDivisionError):
            call(db, progress=lambda done, total: 1 / 0)
        with pytest.raises(LookupError):
            call(db, progress=lambda done, total: Truthless())
        with pytest.raises(TypeError):
            call(db, progress=lambda: None)
        assert sorted(p.name for p in path.parent.glob("*.backup*")) == []
        db.verify()


def test_what_cannot_be_called_is_a_type_error(filled, call):
    with pytest.raises(TypeError, match="progress must be callable or None, not int"):
        call(filled, progress=1)


def test_ctrl_c_cancels(path, call):
    with cancelling_store(path) as db:
        def press(done, total):
            os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            call(db, progress=press)
        killer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        killer.start()
        with pytest.raises(KeyboardInterrupt):
            while True:
                call(db) if call is not CALLS["backup"] else call(db, overwrite=True)
        killer.join()
        assert len(db) == 40_000


def test_progress_is_called_in_the_thread_of_the_call(path, call):
    with cancelling_store(path) as db:
        threads = set()
        call(db, progress=lambda *_: threads.add(threading.get_ident()))
        assert threads == {threading.get_ident()}


def test_the_progress_function_may_use_the_store(path, call):
    with Store(path) as db:
        db.set_many({f"k{n}": bytes(100) for n in range(40_000)})

        def use(done, total):
            assert db["k0"] == bytes(100)
            if not done_once:
                done_once.append(done)
                db["written"] = b"in writethrough mode"
                assert next(iter(db.scan("k1")))[0] == "k1"

        done_once = []
        call(db, progress=use)
        assert db["written"] == b"in writethrough mode"
        assert done_once


def test_the_progress_function_cannot_close_the_store(path, call):
    with cancelling_store(path) as db:
        with pytest.raises(RuntimeError, match="cannot close"):
            call(db, progress=lambda *_: db.close())
        assert not db.closed
        assert len(db) == 40_000
    assert db.closed


def test_other_threads_read_and_write_while_progress_is_awaited(path):
    with cancelling_store(path) as db:
        asked, go_on = threading.Event(), threading.Event()

        def progress(done, total):
            asked.set()
            assert go_on.wait(30)

        backup = Caller(lambda: db.backup(str(path) + ".backup", progress))
        assert asked.wait(30)
        db["new"] = b"record"
        db.flush()
        assert db["new"] == b"record"
        closer = Caller(db.close)
        wait_until(lambda: db.closed)
        assert backup.is_alive() and closer.is_alive()
        go_on.set()
        backup.wait()
        closer.wait()
    with DictSQLite(str(path) + ".backup") as copy:
        assert len(copy) == 40_000


def test_closing_from_a_progress_function_while_another_thread_closes_is_refused(path):
    with cancelling_store(path) as db:
        closers = []

        def progress(done, total):
            if not closers:
                closers.append(Caller(db.close))
                wait_until(lambda: db.closed)
            db.close()

        with pytest.raises(RuntimeError, match="cannot close"):
            db.verify(progress)
        closers[0].wait()
        with pytest.raises(ClosedError):
            db.verify()


def test_a_fork_in_a_progress_function_leaves_both_processes_free(script, path):
    result = script(
        """
        import os, sys
        from dictsqlite import DictSQLite, ForkedError
        with DictSQLite(sys.argv[1], persist_mode="lazy") as db:
            db.set_many({f"k{n}": bytes(100) for n in range(40_000)})
            children = []

            def progress(done, total):
                if not children:
                    children.append(os.fork())

            for call in (lambda: db.backup("copy.db", progress), lambda: db.verify(progress),
                         lambda: db.compact(progress)):
                children.clear()
                try:
                    call()
                except ForkedError:
                    os._exit(7 if children == [0] else 1)
                status = os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1])
                assert status == 7, status
            assert len(db) == 40_000
        print("done")
        """,
        path,
    )
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_a_program_that_ends_while_a_daemon_thread_copies_its_store_ends(script, path):
    result = script(
        """
        import sys, threading
        from dictsqlite import ClosedError, DictSQLite
        db = DictSQLite(sys.argv[1], persist_mode="lazy")
        db.set_many({f"k{n}": bytes(100) for n in range(20_000)})
        started = threading.Event()

        def copy():
            try:
                while True:
                    db.backup("copy.db", lambda *_: started.set(), overwrite=True)
            except ClosedError:
                pass

        threading.Thread(target=copy, daemon=True).start()
        started.wait()
        print("done")
        """,
        path,
    )
    assert (result.stdout, result.stderr, result.returncode) == ("done\n", "", 0)
