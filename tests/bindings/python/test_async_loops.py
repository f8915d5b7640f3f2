"""AsyncDictSQLite and the loops that wait for it: descriptors, threads, ends of all kinds."""

import asyncio
import functools
import gc
import os
import sqlite3
import sys
import threading
import tracemalloc
import warnings
import weakref

import pytest

from conftest import Caller, wait_until
from dictsqlite import AsyncDictSQLite, ClosedError, DictSQLite, TimedOutError

try:
    import uvloop
except ImportError:
    uvloop = None

LOOPS = [asyncio.new_event_loop]
if uvloop is not None:
    LOOPS.append(uvloop.new_event_loop)
LOOP_IDS = ["asyncio", "uvloop"][:len(LOOPS)]


@pytest.fixture(params=LOOPS, ids=LOOP_IDS)
def new_loop(request):
    return request.param


def run_in(loop, coroutine):
    """As asyncio.run, with a loop of one's own: what is left is cancelled, then the loop is closed."""
    try:
        return loop.run_until_complete(coroutine)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@pytest.fixture
def run(new_loop):
    return lambda coroutine: run_in(new_loop(), coroutine)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class Held:
    """A store whose commits wait, since another program holds the lock of its file."""

    def __init__(self, path):
        self.other = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self.other.execute("BEGIN IMMEDIATE")

    def release(self):
        self.other.execute("ROLLBACK")
        self.other.close()


def durable_store(path):
    return AsyncDictSQLite(path, persist_mode="writethrough")


# ---- threads and commits ----

def test_a_thousand_gathered_writes_are_few_commits(path, run):
    async def body():
        async with durable_store(path) as db:
            before = db.stats()["commits"]
            await asyncio.gather(*(db.aset(f"k{i}", b"v") for i in range(1000)))
            return db.stats()["commits"] - before
    assert run(body()) <= 3


def test_writes_that_come_while_a_commit_is_under_way_share_the_next_one(path, run):
    async def body():
        async with durable_store(path) as db:
            await db.aset("first", b"v")
            held = Held(path)
            before = db.stats()["commits"]
            writes = []
            for i in range(100):
                writes.append(asyncio.ensure_future(db.aset(f"k{i}", b"v")))
                await asyncio.sleep(0)
            held.release()
            await asyncio.gather(*writes)
            return db.stats()["commits"] - before
    assert run(body()) <= 3


def test_hits_and_durable_writes_start_no_thread(path, run):
    async def body():
        db = durable_store(path)
        before = set(threading.enumerate())
        for i in range(20):
            await db.aset(f"k{i}", b"v")
            assert await db.aget(f"k{i}") == b"v"
            assert await db.acontains(f"k{i}")
            assert await db.asetdefault(f"k{i}", b"w") == b"v"
        assert await db.aget_many(["k1", "k2", "none"]) == [b"v", b"v", None]
        await asyncio.gather(*(db.adelete(f"k{i}") for i in range(20)))
        await db.aflush()
        assert set(threading.enumerate()) == before
        db.close()
    run(body())


def test_a_hit_asks_neither_the_loop_nor_a_thread(path):
    """It completes in the first step of its coroutine."""
    with DictSQLite(path) as made:
        made["k"] = b"v"
    db = AsyncDictSQLite(path, None)
    db.get("k")
    for coroutine, result in ((db.aget("k"), b"v"), (db.acontains("k"), True),
                              (db.aget_many(["k"]), [b"v"]), (db.aset("k", b"w"), None)):
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        assert stopped.value.value == result
    db.close()


# ---- one descriptor per loop, for as long as the loop lives ----

def test_all_stores_of_a_loop_share_one_descriptor(tmp_path, run):
    async def body():
        stores = [durable_store(tmp_path / f"{i}.db") for i in range(3)]
        await stores[0].aset("k", b"v")
        before = descriptors()
        for store in stores * 2:
            await store.aset("k", b"v")
        # What SQLite opens with the first commit of a file is not counted.
        first = descriptors()
        for store in stores * 2:
            await store.aset("k", b"v")
        assert descriptors() == first
        assert first >= before
        for store in stores:
            store.close()
    run(body())


def test_a_thousand_loops_leave_no_descriptor_behind(path, new_loop):
    rounds = 1000 if new_loop is asyncio.new_event_loop else 200
    db = durable_store(path)

    async def body():
        await db.aset("k", b"v")

    run_in(new_loop(), body())
    gc.collect()
    before = descriptors()
    for _ in range(rounds):
        loop = new_loop()
        loop.run_until_complete(body())
        loop.close()
    del loop
    gc.collect()
    assert descriptors() == before
    db.close()


def test_a_closed_loop_lets_its_descriptor_go_with_writes_under_way(path, new_loop):
    db = durable_store(path)
    run_in(new_loop(), db.aset("first", b"v"))
    gc.collect()
    before = descriptors()
    held = Held(path)
    beside = descriptors() - before

    async def body():
        tasks = [asyncio.ensure_future(db.aset(f"k{i}", b"v")) for i in range(10)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)

    for _ in range(20):
        run_in(new_loop(), body())
    held.release()
    db.flush()
    gc.collect()
    assert descriptors() <= before + beside
    assert db.batch_get(["k0", "k9"]) == [b"v", b"v"]
    db.close()


def test_what_was_written_in_the_last_turn_of_a_loop_is_committed(path, new_loop):
    """Its flush had not begun when the loop was closed, and nobody asks for one."""
    db = durable_store(path)
    loop = new_loop()
    loop.run_until_complete(db.aset("first", b"v"))
    before = db.stats()["durable_seq"]

    async def body():
        asyncio.ensure_future(db.aset("k", b"v"))
        loop.call_soon(loop.stop)
        await loop.create_future()

    task = loop.create_task(body())
    loop.run_forever()
    loop.close()
    del task
    gc.collect()
    wait_until(lambda: db.stats()["durable_seq"] > before)
    db.close()


def test_a_loop_is_not_kept_alive_by_the_store(path, new_loop):
    db = durable_store(path)
    loop = new_loop()
    run_in(loop, db.aset("k", b"v"))
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
    db.close()


def test_several_loops_of_one_thread_take_turns(path, new_loop):
    db = durable_store(path)
    loops = [new_loop() for _ in range(3)]
    for i in range(9):
        loops[i % 3].run_until_complete(db.aset(f"k{i}", b"v"))
    for loop in loops:
        loop.close()
    db.close()
    with DictSQLite(path) as reopened:
        assert len(reopened) == 9


def test_several_loops_in_several_threads_get_what_is_theirs(path, new_loop):
    db = durable_store(path)

    async def body(name):
        for i in range(10):
            await asyncio.gather(*(db.aset(f"{name} {i} {j}", b"v") for j in range(20)))
            assert await db.aget_many([f"{name} {i} {j}" for j in range(20)]) == [b"v"] * 20

    def run_thrice(name):
        for _ in range(3):
            run_in(new_loop(), body(name))

    for caller in [Caller(functools.partial(run_thrice, name)) for name in "abc"]:
        caller.wait()
    db.close()


# ---- cancellation and time-outs ----

def test_a_write_that_is_cancelled_before_its_first_step_has_not_happened(path, run):
    async def body():
        async with durable_store(path) as db:
            task = asyncio.ensure_future(db.aset("k", b"v"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not await db.acontains("k")
    run(body())


def test_a_write_that_is_cancelled_after_it_has_happened_and_its_neighbours_complete(path, run):
    async def body():
        async with durable_store(path) as db:
            await db.aset("first", b"v")
            held = Held(path)
            tasks = [asyncio.ensure_future(db.aset(f"k{i}", b"%d" % i)) for i in range(100)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.sleep(0)
            for task in tasks[1::4]:
                task.cancel()
            held.release()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[3::4] == [None] * 25
            cancelled = results[::2] + results[1::4]
            assert all(isinstance(result, asyncio.CancelledError) for result in cancelled)
            assert await db.aget_many([f"k{i}" for i in range(100)]) == [b"%d" % i for i in range(100)]
    run(body())


def test_a_timeout_of_a_write_leaves_it_to_its_commit(path, run):
    async def body():
        async with durable_store(path) as db:
            await db.aset("first", b"v")
            held = Held(path)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(db.aset("k", b"v"), 0.02)
            with pytest.raises(TimedOutError):
                await db.aflush(0.02)
            held.release()
            await db.aflush(30)
    run(body())
    with DictSQLite(path) as db:
        assert db["k"] == b"v"


def test_a_cancelled_visit_to_the_disk_harms_nobody(path, run):
    with DictSQLite(path) as made:
        made.update((f"k{i}", b"%d" % i) for i in range(200))

    async def body():
        async with AsyncDictSQLite(path, 16, persist_mode="writethrough") as db:
            tasks = [asyncio.ensure_future(db.aget(f"k{i}")) for i in range(200)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[1::2] == [b"%d" % i for i in range(1, 200, 2)]
            assert await db.aget("k0") == b"0"
    run(body())


# ---- close ----

def test_close_completes_the_writes_of_its_loop(path, run):
    async def body():
        db = durable_store(path)
        await db.aset("first", b"v")
        writes = [asyncio.ensure_future(db.aset(f"k{i}", b"v")) for i in range(50)]
        await asyncio.sleep(0)
        await db.aclose()
        assert await asyncio.gather(*writes) == [None] * 50
        with pytest.raises(ClosedError):
            await db.aset("late", b"v")
    run(body())
    with DictSQLite(path) as db:
        assert len(db) == 51


def test_close_in_another_thread_leaves_nobody_waiting(path, new_loop):
    for turn in range(10):
        db = durable_store(path)

        async def body():
            results = await asyncio.gather(
                *(db.aset(f"k{i}", b"v") for i in range(200)), return_exceptions=True)
            assert all(result is None or isinstance(result, ClosedError) for result in results)
            with pytest.raises(ClosedError):
                while True:
                    await db.aset(f"more {turn}", b"v")

        closer = threading.Timer(0.01, db.close)
        closer.start()
        run_in(new_loop(), body())
        closer.join()
    with DictSQLite(path) as reopened:
        assert "k0" in reopened


def test_an_exception_in_the_block_closes_the_store_and_passes(path, run):
    async def body():
        async with durable_store(path) as db:
            kept.append(db)
            await db.aset("k", b"v")
            raise ZeroDivisionError
    kept = []
    with pytest.raises(ZeroDivisionError):
        run(body())
    assert kept[0].closed
    with DictSQLite(path) as db:
        assert db["k"] == b"v"


def test_an_unclosed_store_warns_and_is_closed(path, run):
    async def body():
        db = durable_store(path)
        await db.aset("k", b"v")
        try:
            await db.aget_many(["k", "cold"])
        finally:
            del db

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(body())
        gc.collect()
    assert any(w.category is ResourceWarning and "DictSQLite" in str(w.message) for w in caught)
    with DictSQLite(path) as db:
        assert db["k"] == b"v"


# ---- a store that fails ----

FAILING = """
import asyncio, resource, signal, sys
from dictsqlite import AsyncDictSQLite, StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def body():
    db = AsyncDictSQLite(sys.argv[1], persist_mode="writethrough")
    await db.aset("before", b"fault")
    limit(100_000)
    results = await asyncio.gather(
        *(db.aset(f"k{i}", bytes(1000)) for i in range(500)), db.aflush(), return_exceptions=True)
    assert all(isinstance(result, StorageError) for result in results), results
    assert len({id(result) for result in results}) == len(results)
    for call in (db.aset("more", b"v"), db.adelete("before"), db.aflush()):
        try:
            await call
        except StorageError:
            pass
        else:
            raise AssertionError
    assert await db.aget("before") == b"fault"
    try:
        db._db._watch()
    except StorageError:
        pass
    else:
        raise AssertionError
    limit(resource.RLIM_INFINITY)
    await db.aresume()
    await db.aset("after", b"v")
    assert await db.alen() == 502
    await db.aclose()
    print("done")
asyncio.run(body())
"""


def test_a_store_that_fails_tells_everyone_who_waits_and_goes_on_after_resume(path, script):
    result = script(FAILING, path)
    assert result.stdout == "done\n", result.stderr
    with DictSQLite(path) as db:
        assert len(db) == 502


def test_without_a_descriptor_left_a_thread_waits(path, script):
    result = script("""
        import asyncio, os, resource, sys, threading
        from dictsqlite import AsyncDictSQLite
        db = AsyncDictSQLite(sys.argv[1], persist_mode="writethrough")
        db.set("first", b"v")
        async def body():
            used = max(map(int, os.listdir("/proc/self/fd")))
            resource.setrlimit(resource.RLIMIT_NOFILE, (used, used + 100))
            await asyncio.gather(*(db.aset(f"k{i}", b"v") for i in range(10)))
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, used + 100))
            assert any(thread.name.startswith("dictsqlite-wait") for thread in threading.enumerate())
            await db.aset("after", b"v")
            os._exit(0)
        asyncio.run(body())
        """, path)
    assert result.returncode == 0, result.stderr
    with DictSQLite(path) as db:
        assert len(db) == 12


def test_waiting_leaves_no_memory_behind(path, run):
    async def rounds(db, count):
        for _ in range(count):
            await asyncio.gather(*(db.aset(f"k{i}", b"v") for i in range(20)))
            tasks = [asyncio.ensure_future(db.aset(f"k{i}", b"v")) for i in range(4)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.wait(tasks)
            with pytest.raises(KeyError):
                await db.adelete("none")
            await db.aflush()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async def body():
        async with durable_store(path) as db:
            await rounds(db, 20)
            before = await rounds(db, 20)
            return await rounds(db, 100) - before

    tracemalloc.start()
    try:
        assert run(body()) < 10_000
    finally:
        tracemalloc.stop()


# ---- the end of the process, and forks ----

def test_an_interpreter_that_exits_with_writes_pending_keeps_them(path, script):
    result = script("""
        import asyncio, sys
        from dictsqlite import AsyncDictSQLite
        db = AsyncDictSQLite(sys.argv[1], persist_mode="writethrough")
        async def body():
            kept.extend(asyncio.ensure_future(db.aset(f"k{i}", b"v")) for i in range(100))
            await asyncio.sleep(0)
        kept = []
        loop = asyncio.new_event_loop()
        loop.run_until_complete(body())
        sys.exit(3)
        """, path)
    assert result.returncode == 3
    with DictSQLite(path) as db:
        assert len(db) == 100


def test_a_forked_child_is_refused_and_can_open_its_own(path, script):
    result = script("""
        import asyncio, os, sys
        from dictsqlite import AsyncDictSQLite, ForkedError

        async def use(db, other):
            for call in (db.aget("k"), db.aset("k", b""), db.adelete("k"), db.acontains("k"), db.alen(),
                         db.aset_many({}), db.apop("k"), db.aclose(), db.aget_many(["k"])):
                try:
                    await call
                except ForkedError:
                    continue
                raise AssertionError(call)
            async with AsyncDictSQLite(other, persist_mode="writethrough") as own:
                await own.aset("k", b"child")

        async def prepare(db):
            await db.aset("k", b"parent")
            await db.alen()

        db = AsyncDictSQLite(sys.argv[1], persist_mode="writethrough")
        asyncio.run(prepare(db))
        pid = os.fork()
        if pid == 0:
            asyncio.run(use(db, sys.argv[1] + "2"))
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        asyncio.run(prepare(db))
        assert db.get("k") == b"parent"
        db.close()
        print("done")
        """, path)
    assert result.stdout == "done\n", result.stderr


def test_a_fork_within_a_loop_leaves_the_parent_its_completions(path, script):
    result = script("""
        import asyncio, os, sys
        from dictsqlite import AsyncDictSQLite

        async def body():
            async with AsyncDictSQLite(sys.argv[1], persist_mode="writethrough") as db:
                for i in range(20):
                    writes = [asyncio.ensure_future(db.aset(f"k{i} {j}", b"v")) for j in range(10)]
                    await asyncio.sleep(0)
                    pid = os.fork()
                    if pid == 0:
                        del db
                        os._exit(0)
                    await asyncio.wait_for(asyncio.gather(*writes), 30)
                    os.waitpid(pid, 0)
        asyncio.run(body())
        print("done")
        """, path)
    assert result.stdout == "done\n", result.stderr


def test_the_names_are_those_of_the_issue_and_of_the_predecessor():
    for name in ("aget aset adelete acontains aset_many aget_many aflush aclose set_async get_async batch_set "
                 "batch_get flush close abatch_set abatch_get get set clear stats").split():
        assert callable(getattr(AsyncDictSQLite, name))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is of 3.11")
def test_a_timeout_around_many_writes_cancels_them_alone(path, run):
    async def body():
        async with durable_store(path) as db:
            await db.aset("first", b"v")
            held = Held(path)
            other = asyncio.ensure_future(db.aset("other", b"v"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await asyncio.gather(*(db.aset(f"k{i}", b"v") for i in range(10)))
            assert not other.done()
            held.release()
            await other
            assert await db.alen() == 12
    run(body())
