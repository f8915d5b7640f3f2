"""AsyncDictSQLite, in event loops and without."""

import asyncio
import functools
import inspect
import os
import subprocess
import sys
import textwrap

import pytest

from conftest import Caller
from dictsqlite import AsyncDictSQLite, ClosedError, DictSQLite, LockedError, PasswordError

MODES = ["memory", "lazy", "writethrough"]


def run(coroutine):
    return asyncio.run(coroutine)


@pytest.mark.parametrize("mode", MODES)
def test_single_records(path, mode):
    async def body():
        async with AsyncDictSQLite(path, persist_mode=mode) as db:
            await db.aset("k", b"v")
            await db.aset("k2", bytearray(b"v2"))
            assert await db.aget("k") == b"v"
            assert await db.aget("k2") == b"v2"
            assert await db.aget("nothing") is None
            assert await db.aget("nothing", 3) == 3
            assert await db.acontains("k") is True
            assert await db.acontains("nothing") is False
            await db.adelete("k")
            assert await db.aget("k", 3) == 3
            with pytest.raises(KeyError, match="k"):
                await db.adelete("k")
            assert await db.alen() == 1
            await db.aflush()
    run(body())
    if mode != "memory":
        with DictSQLite(path) as db:
            assert db == {"k2": b"v2"}


@pytest.mark.parametrize("mode", MODES)
def test_many_records_and_walks(path, mode):
    records = {f"k{i:04}": b"%d" % i for i in range(1000)}

    async def body():
        async with AsyncDictSQLite(path, None, persist_mode=mode) as db:
            await db.aset_many(records)
            await db.aset_many([("k0000", b"first")])
            assert await db.aget_many(["k0001", "nothing", "k0000"]) == [b"1", None, b"first"]
            assert await db.aget_many(iter(["nothing"]), 7) == [7]
            keys = [key async for key in db]
            assert sorted(keys) == sorted(records)
            assert [key async for key in db.akeys()] == keys
            if mode != "memory":
                assert keys == sorted(records)
            values = [value async for value in db.avalues()]
            assert values == [b"first" if key == "k0000" else records[key] for key in keys]
            assert dict([item async for item in db.aitems()]) == {**records, "k0000": b"first"}
            async for key in db:
                break
    run(body())


def test_cold_records_are_read(path):
    with DictSQLite(path) as db:
        db.update((f"k{i}", b"%d" % i) for i in range(500))

    async def body():
        async with await AsyncDictSQLite.open(path, 16) as db:
            values = await asyncio.gather(*(db.aget(f"k{i}") for i in range(500)))
            assert values == [b"%d" % i for i in range(500)]
            assert await db.acontains("k499") and not await db.acontains("k500")
            assert await db.aget_many(["k1", "k500"]) == [b"1", None]
            await db.adelete("k250")
            with pytest.raises(KeyError):
                await db.adelete("k250")
    run(body())


def test_a_thousand_gathered_writes_share_commits_and_are_on_disk(path):
    """In a process that is killed right after them."""
    code = textwrap.dedent(f"""
        import asyncio, os
        from dictsqlite import AsyncDictSQLite
        async def body():
            db = AsyncDictSQLite({str(path)!r}, persist_mode="writethrough")
            before = db.stats()["commits"]
            await asyncio.gather(*(db.aset(f"k{{i}}", b"v") for i in range(1000)))
            print(db.stats()["commits"] - before, flush=True)
            os._exit(0)
        asyncio.run(body())
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200
    with DictSQLite(path) as db:
        assert len(db) == 1000


def test_a_lazy_write_is_not_waited_for(path):
    async def body():
        async with AsyncDictSQLite(path, buffer_size=1_000_000, buffer_interval_ms=60_000) as db:
            before = db.stats()["commits"]
            for i in range(100):
                await db.aset(f"k{i}", b"v")
            assert db.stats()["commits"] == before
            await db.aflush(10)
            assert db.stats()["commits"] > before
    run(body())


@pytest.mark.parametrize("mode", MODES)
def test_bad_input_is_an_error_of_the_call(path, mode):
    async def body():
        async with AsyncDictSQLite(path, persist_mode=mode) as db:
            for call in (db.aget(1), db.aset(1, b""), db.adelete(1), db.acontains(1),
                         db.aset("k", "text"), db.aget_many([1]), db.aset_many([("k", 1)])):
                with pytest.raises(TypeError):
                    await call
            assert await db.alen() == 0
    run(body())


def test_a_closed_store_says_so(path):
    async def body():
        db = AsyncDictSQLite(path, persist_mode="writethrough")
        await db.aset("k", b"v")
        await db.aclose()
        await db.aclose()
        assert db.closed
        for call in (db.aget("k"), db.aset("k", b""), db.adelete("k"), db.acontains("k"),
                     db.aflush(), db.aset_many({}), db.aget_many(["k"]), db.alen()):
            with pytest.raises(ClosedError):
                await call
    run(body())


def test_close_completes_what_is_under_way(path):
    async def body():
        db = AsyncDictSQLite(path, persist_mode="writethrough")
        writes = [asyncio.ensure_future(db.aset(f"k{i}", b"v")) for i in range(50)]
        await asyncio.sleep(0)
        await db.aclose()
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert all(result is None or isinstance(result, ClosedError) for result in results)
    run(body())
    with DictSQLite(path) as db:
        assert len(db) == 50


def test_a_cancelled_write_cancels_no_other(path):
    async def body():
        async with AsyncDictSQLite(path, persist_mode="writethrough") as db:
            writes = [asyncio.ensure_future(db.aset(f"k{i}", b"v")) for i in range(20)]
            await asyncio.sleep(0)
            for write in writes[::2]:
                write.cancel()
            results = await asyncio.gather(*writes, return_exceptions=True)
            assert results[1::2] == [None] * 10
            assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
            await db.aset("after", b"v")
            assert await db.alen() == 21
    run(body())


def test_a_timeout_of_a_flush_harms_nobody(path):
    async def body():
        async with AsyncDictSQLite(path) as db:
            await db.aset("k", b"v")
            try:
                await db.aflush(0)
            except (TimeoutError, asyncio.TimeoutError):
                pass
            await db.aflush()
    run(body())
    with DictSQLite(path) as db:
        assert db["k"] == b"v"


def test_several_loops_in_several_threads(path):
    db = AsyncDictSQLite(path, persist_mode="writethrough")

    async def body(name):
        for i in range(20):
            await asyncio.gather(*(db.aset(f"{name} {i} {j}", b"v") for j in range(10)))
            assert await db.aget(f"{name} {i} 3") == b"v"

    def run_twice(name):
        for _ in range(2):
            asyncio.run(body(name))

    for caller in [Caller(functools.partial(run_twice, name)) for name in "abc"]:
        caller.wait()
    assert len(db.batch_get([f"a {i} 0" for i in range(20)])) == 20
    db.close()
    with DictSQLite(path) as reopened:
        assert len(reopened) == 600


def test_a_loop_that_ends_under_a_flush_leaves_no_noise(path):
    code = textwrap.dedent(f"""
        import asyncio
        from dictsqlite import AsyncDictSQLite
        db = AsyncDictSQLite({str(path)!r}, persist_mode="writethrough")
        async def body():
            asyncio.get_running_loop().slow_callback_duration = 60  # no word of a slow machine
            for i in range(100):
                asyncio.ensure_future(db.aset(f"k{{i}}", b"v"))
            await asyncio.sleep(0)
        for _ in range(20):
            asyncio.run(body())
        db.close()
    """)
    done = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_uvloop(path):
    uvloop = pytest.importorskip("uvloop")

    async def body():
        async with AsyncDictSQLite(path, persist_mode="writethrough") as db:
            await asyncio.gather(*(db.aset(f"k{i}", b"v") for i in range(100)))
            assert await db.alen() == 100
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(body())
    finally:
        loop.close()


def test_the_names_without_a_loop(path):
    db = AsyncDictSQLite(path, capacity=100)
    db.set_async("k", b"v")
    db.batch_set({"a": b"1", "b": b"2"})
    assert db.get_async("k") == b"v"
    assert db.get_async("nothing", 1) == 1
    assert db.batch_get(["a", "nothing", "b"]) == [b"1", None, b"2"]
    db.flush()
    db.close()
    db.close()
    with DictSQLite(path) as store:
        assert len(store) == 3


def test_options_are_those_of_the_dictionary(path):
    with AsyncDictSQLite(path, encryption_password="secret")._db as db:
        db["k"] = b"v"
    with pytest.raises(PasswordError):
        AsyncDictSQLite(path)

    async def body():
        async with await AsyncDictSQLite.open(path, encryption_password="secret") as db:
            assert await db.aget("k") == b"v"
            with pytest.raises(LockedError):
                await AsyncDictSQLite.open(path, encryption_password="secret")
    run(body())
    assert list(inspect.signature(AsyncDictSQLite).parameters) == [
        "db_path", "capacity", "persist_mode", "buffer_size", "buffer_interval_ms", "options"]
    assert os.path.exists(path)
