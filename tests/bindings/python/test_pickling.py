"""A pickle of a store opens its file again: in this process, in others, however they are started."""

import asyncio
import concurrent.futures
import copy
import multiprocessing
import os
import pathlib
import pickle

import pytest

from conftest import PERSISTENT_MODES
from dictsqlite import AsyncDictSQLite, ClosedError, DictSQLite, ForkedError, LockedError, StorageError

START_METHODS = ["spawn", "forkserver", "fork"]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
PASSWORD = "a password of its own"
# Python warns of any fork beside threads; what becomes of one is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


class Named(DictSQLite):
    """A store whose constructor takes something else than a path."""

    def __init__(self, folder, *, name):
        super().__init__(folder / f"{name}.db", persist_mode="lazy")
        self.name = name


def again(thing, protocol=pickle.HIGHEST_PROTOCOL):
    return pickle.loads(pickle.dumps(thing, protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("persist_mode", PERSISTENT_MODES)
def test_a_pickle_opens_the_file_with_the_same_options(path, persist_mode, protocol):
    with DictSQLite(path, 7, persist_mode=persist_mode, buffer_size=3) as db:
        db["k"] = b"v"
    with again(db, protocol) as reopened:
        assert dict(reopened) == {"k": b"v"}
        assert reopened.stats()["mode"] == persist_mode
        reopened.update({f"{number}": b"v" for number in range(1000)})
    with again(reopened, protocol) as bounded:
        assert len(bounded.get_many(list(bounded))) == 1001
        assert bounded.stats()["hot_records"] < 500


@pytest.mark.parametrize("duplicate", [again, copy.copy, copy.deepcopy])
def test_a_store_that_is_open_is_locked_for_its_duplicates(path, duplicate):
    with DictSQLite(path) as db:
        with pytest.raises(LockedError):
            duplicate(db)
        db["k"] = b"v"


@pytest.mark.parametrize("duplicate", [again, copy.copy, copy.deepcopy])
def test_duplicates_of_a_readonly_store_share_the_file(path, duplicate):
    DictSQLite(path).close()
    with DictSQLite(path, readonly=True) as db, duplicate(db) as other:
        assert other is not db
        with pytest.raises(OSError):
            other["k"] = b"v"


def test_a_pickle_leads_to_the_file_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    DictSQLite(b"bytes.db").close()
    stores = [
        DictSQLite("relative.db"),
        DictSQLite(db_path=pathlib.Path("named.db")),
        DictSQLite(b"bytes.db"),
    ]
    for db in stores:
        db["k"] = b"v"
        db.close()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for db in stores:
        with again(db) as reopened:
            assert reopened["k"] == b"v"
    assert os.listdir() == []


def test_a_pickle_does_not_make_a_file(path):
    DictSQLite(path).close()
    pickled = pickle.dumps(DictSQLite(path))
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(StorageError, match="there is no file"):
        pickle.loads(pickled)
    assert list(path.parent.iterdir()) == []


def test_a_subclass_comes_back_with_its_attributes(tmp_path):
    with Named(tmp_path, name="store") as db:
        db["k"] = b"v"
        db.extra = ["anything"]
    with again(db) as reopened:
        assert type(reopened) is Named
        assert (reopened.name, reopened.extra, reopened["k"]) == ("store", ["anything"], b"v")


def test_a_password_does_not_get_into_a_pickle(path):
    with DictSQLite(path, encryption_password=PASSWORD) as db:
        for duplicate in (again, copy.copy):
            with pytest.raises(TypeError, match="with a password"):
                duplicate(db)
    with pytest.raises(TypeError, match="with a password"):
        pickle.dumps(db)


@pytest.mark.parametrize("arguments", [{"db_path": ":memory:"}, {"persist_mode": "memory"}])
def test_a_store_without_a_file_has_no_pickle(path, arguments):
    with DictSQLite(**{"db_path": path, **arguments}) as db:
        with pytest.raises(TypeError, match="without a file"):
            pickle.dumps(db)


def test_a_store_that_was_not_opened_has_no_pickle():
    with pytest.raises(TypeError, match="not opened"):
        pickle.dumps(DictSQLite.__new__(DictSQLite))


@pytest.mark.parametrize("recipe", [
    (dict, (), {}), (DictSQLite, (), {}), (DictSQLite, (":memory:",), {"no_such_option": 1}),
    (1, (), {}), (DictSQLite, [], {}), (DictSQLite, ()),
])
def test_a_recipe_that_leads_to_no_store_is_a_type_error(recipe):
    from dictsqlite import _core

    with pytest.raises(TypeError):
        _core._reopen(*recipe)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_asynchronous_store_comes_back(path, protocol):
    async def use(db, key):
        async with db:
            await db.aset(key, b"v")
            return await db.alen()

    db = AsyncDictSQLite(path, 7, "writethrough")
    assert asyncio.run(use(db, "a")) == 1
    assert asyncio.run(use(again(db, protocol), "b")) == 2


def read_in_child(pickled, results):
    """What a process finds that opens a store which it was given pickled."""
    try:
        with pickle.loads(pickled) as db:
            results.put(dict(db))
            db["child"] = b"%d" % os.getpid()
    except Exception as error:
        results.put(type(error).__name__)


def run_child(method, function, *args):
    """What the function puts into the queue that is its last argument, in a process of its own."""
    context = multiprocessing.get_context(method)
    results = context.Queue()
    child = context.Process(target=function, args=(*args, results))
    child.start()
    result = results.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    return result, child.pid


@pytest.mark.parametrize("method", START_METHODS)
def test_a_child_process_opens_what_its_parent_has_closed(path, method):
    with DictSQLite(path, persist_mode="lazy") as db:
        db["k"] = b"v"
    found, pid = run_child(method, read_in_child, pickle.dumps(db))
    assert found == {"k": b"v"}
    with again(db) as reopened:
        assert dict(reopened) == {"k": b"v", "child": b"%d" % pid}


@pytest.mark.parametrize("method", START_METHODS)
def test_a_child_process_is_refused_what_its_parent_has_open(path, method):
    with DictSQLite(path) as db:
        db["k"] = b"v"
        assert run_child(method, read_in_child, pickle.dumps(db))[0] == "LockedError"
        db["after"] = b"v"


def use_inherited(db, results):
    errors = []
    for call in (lambda: db["k"], db.close, lambda: pickle.loads(pickle.dumps(db))):
        try:
            call()
        except (ForkedError, LockedError) as error:
            errors.append(type(error).__name__)
    results.put(errors)


def test_a_forked_child_may_pickle_what_it_inherited(path):
    with DictSQLite(path) as db:
        db["k"] = b"v"
        errors = run_child("fork", use_inherited, db)[0]
    assert errors == ["ForkedError", "ForkedError", "LockedError"]


def open_inherited_again(db, closed, results):
    try:
        closed.wait(60)
        with again(db) as own:
            results.put(own["k"])
    except BaseException as error:
        results.put(error)


def test_a_forked_child_opens_its_own_once_the_parent_has_closed(path):
    context = multiprocessing.get_context("fork")
    closed, results = context.Event(), context.Queue()
    with DictSQLite(path) as db:
        db["k"] = b"v"
        child = context.Process(target=open_inherited_again, args=(db, closed, results))
        child.start()
    closed.set()
    assert results.get(timeout=60) == b"v"
    child.join(60)
    assert child.exitcode == 0


def read_one(db, key):
    with db:
        return db[key], os.getpid()


@pytest.mark.parametrize("method", START_METHODS)
def test_a_pool_of_processes_reads_through_readonly_stores(path, method):
    records = {f"k{number}": b"%d" % number for number in range(20)}
    with DictSQLite(path) as db:
        db.update(records)
    with DictSQLite(path, readonly=True) as db:
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
            found = pool.map(read_one, [db] * len(records), records)
            for value, (read, pid) in zip(records.values(), found):
                assert read == value
                assert pid != os.getpid()
        assert dict(db) == records


def test_a_closed_store_stays_closed_when_its_pickle_is_opened(path):
    with DictSQLite(path) as db:
        pass
    with again(db):
        assert db.closed
        with pytest.raises(ClosedError):
            db["k"]
