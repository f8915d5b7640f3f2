"""The verbs of DictSQLite with an `a` before them."""

import asyncio

import pytest

from dictsqlite import AsyncDictSQLite, CorruptError, DictSQLite, DictSQLiteError

MODES = ["memory", "lazy", "writethrough"]


@pytest.fixture(params=MODES)
def body_of(request, path):
    """Runs a coroutine function with an open store."""
    def run(body):
        async def whole():
            async with AsyncDictSQLite(path, persist_mode=request.param) as db:
                return await body(db)
        return asyncio.run(whole())
    return run


def test_changes_that_depend_on_what_is_there(body_of):
    async def body(db):
        assert await db.aadd("k", b"1") is True
        assert await db.aadd("k", b"2") is False
        assert await db.asetdefault("k", b"3") == b"1"
        assert await db.asetdefault("new", b"text") == b"text"
        assert await db.acompare_and_swap("k", b"1", b"2") is True
        assert await db.acompare_and_swap("k", b"1", b"3") is False
        assert await db.acompare_and_swap("none", None, b"3") is True
        assert await db.aincrement("n") == 1
        assert await db.aincrement("n", 4) == 5
        assert await db.aincrement("m", delta=2, default=10) == 12
        assert await db.apop("k") == b"2"
        assert await db.apop("k", None) is None
        with pytest.raises(KeyError, match="k"):
            await db.apop("k")
        with pytest.raises(ValueError):
            await db.aincrement("new")
    body_of(body)


def test_many_gathered_increments_all_count(body_of):
    async def body(db):
        sums = await asyncio.gather(*(db.aincrement("n") for _ in range(100)))
        assert sorted(sums) == list(range(1, 101))
    body_of(body)


def test_many_records(body_of):
    async def body(db):
        await db.abatch_set({f"k{i}": b"%d" % i for i in range(100)})
        assert await db.abatch_get(["k5", "none"]) == [b"5", None]
        assert await db.adelete_many(f"k{i}" for i in range(50, 200)) == 50
        assert await db.alen() == 50
        scanned = [item async for item in db.ascan("k1")]
        assert sorted(scanned) == sorted((f"k{i}", b"%d" % i) for i in (1, *range(10, 20)))
        assert sorted([key async for key, _ in db.ascan(start="k48", stop="k5")]) == ["k48", "k49"]
        with pytest.raises(ValueError):
            [item async for item in db.ascan("k", start="k")]
        await db.aclear()
        assert await db.alen() == 0
        db.batch_set({"k": b"v"})
        db.clear()
        assert db.get("k") is None
        db.set("k", b"v")
        assert await db.aget("k") == b"v"
    body_of(body)


def test_the_file_as_a_whole(path, tmp_path):
    async def body():
        async with AsyncDictSQLite(path) as db:
            await db.aset_many({f"k{i}": b"v" for i in range(1000)})
            seen = []
            await db.abackup(tmp_path / "copy.db", progress=lambda done, total: seen.append(done))
            with pytest.raises(DictSQLiteError):
                await db.abackup(tmp_path / "copy.db")
            await db.abackup(tmp_path / "copy.db", overwrite=True)
            await db.averify()
            await db.acompact()
            await db.aresume()
            return seen
    assert asyncio.run(body())
    with DictSQLite(tmp_path / "copy.db") as copied:
        assert len(copied) == 1000
    assert issubclass(CorruptError, DictSQLiteError)


# ---- aget_or_compute ----

def test_a_missing_key_is_computed_once_among_the_tasks_of_a_loop(body_of):
    async def body(db):
        calls = []

        async def compute():
            calls.append(1)
            await asyncio.sleep(0)
            await db.aset("other", b"v")
            return b"computed"

        values = await asyncio.gather(*(db.aget_or_compute("k", compute) for _ in range(50)))
        assert values == [b"computed"] * 50
        assert len(calls) == 1
        assert await db.aget("k") == b"computed"
        assert await db.aget_or_compute("k", compute) == b"computed"
        assert len(calls) == 1
    body_of(body)


def test_if_a_computation_raises_another_task_tries_with_its_own(body_of):
    async def body(db):
        async def fail():
            await asyncio.sleep(0)
            raise ZeroDivisionError

        async def succeed():
            return b"v"

        results = await asyncio.gather(
            db.aget_or_compute("k", fail), db.aget_or_compute("k", fail),
            db.aget_or_compute("k", succeed), db.aget_or_compute("k", fail), return_exceptions=True)
        assert [type(result) for result in results[:2]] == [ZeroDivisionError] * 2
        assert results[2:] == [b"v", b"v"]
    body_of(body)


def test_if_a_computation_is_cancelled_another_task_tries_with_its_own(body_of):
    async def body(db):
        begun = asyncio.Event()

        async def hang():
            begun.set()
            await asyncio.Event().wait()

        async def succeed():
            return b"v"

        first = asyncio.ensure_future(db.aget_or_compute("k", hang))
        await begun.wait()
        second = asyncio.ensure_future(db.aget_or_compute("k", succeed))
        third = asyncio.ensure_future(db.aget_or_compute("k", succeed))
        await asyncio.sleep(0)
        third.cancel()
        first.cancel()
        assert await second == b"v"
        for task in (first, third):
            with pytest.raises(asyncio.CancelledError):
                await task
    body_of(body)


def test_what_was_stored_meanwhile_stays(body_of):
    async def body(db):
        async def compute():
            await db.aset("k", b"stored")
            return b"computed"
        assert await db.aget_or_compute("k", compute) == b"stored"
    body_of(body)


def test_a_computation_that_asks_for_its_own_key_is_an_error(body_of):
    async def body(db):
        async def own():
            return await db.aget_or_compute("k", own)

        async def first():
            await both.wait()
            return await db.aget_or_compute("b", second)

        async def second():
            both.set()
            return await db.aget_or_compute("a", first)

        with pytest.raises(RuntimeError):
            await db.aget_or_compute("k", own)
        both = asyncio.Event()
        results = await asyncio.wait_for(asyncio.gather(
            db.aget_or_compute("a", first), db.aget_or_compute("b", second),
            return_exceptions=True), 30)
        assert any(isinstance(result, RuntimeError) for result in results)
        assert await db.aget_or_compute("k", nothing_special) == b"v"

    async def nothing_special():
        return b"v"
    body_of(body)


def test_a_value_that_cannot_be_stored_leaves_the_key_to_others(body_of):
    async def body(db):
        async def number():
            return 1

        async def value():
            return b"v"
        with pytest.raises(TypeError):
            await db.aget_or_compute("k", number)
        assert await db.aget_or_compute("k", value) == b"v"
    body_of(body)


def test_loops_compute_by_themselves_and_agree(path):
    db = AsyncDictSQLite(path)

    async def compute():
        return b"%d" % len(made)

    made = []
    for _ in range(3):
        value = asyncio.run(db.aget_or_compute("k", compute))
        made.append(value)
    assert made == [b"0"] * 3
    db.close()
