"""Interpreters beside the main one, with its GIL or (from Python 3.12 on) with their own."""

import sys

import pytest

USE = """
import sys, warnings
from dictsqlite import DictSQLite, ForkedError, close_all
path, count = {path!r}, {count}
with DictSQLite(path) as db:
    db.update({{f"k{{number}}": b"v" for number in range(count)}})
    assert len(list(db.items())) == count and db.increment("n") == 1
    assert issubclass(ForkedError, RuntimeError) and isinstance(db, DictSQLite)
forgotten = DictSQLite(path, persist_mode="lazy")
forgotten["forgotten"] = b"v"
"""

PREAMBLE = """
import sys, threading, time
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
from dictsqlite import DictSQLite

def create(own_gil):
    if sys.version_info >= (3, 13):
        return interpreters.create("isolated" if own_gil else "legacy")
    return interpreters.create(isolated=own_gil)

def run(interpreter, code):
    failure = interpreters.run_string(interpreter, code)
    assert failure is None, failure
"""

GILS = [
    False,
    pytest.param(True, marks=pytest.mark.skipif(
        sys.version_info < (3, 12), reason="the GIL is one for all before Python 3.12")),
]


@pytest.fixture
def run_program(script):
    def run(body, *args):
        result = script(PREAMBLE + body, *args)
        assert result.stderr == ""
        assert result.stdout == "done\n"

    return run


@pytest.mark.parametrize("own_gil", GILS)
def test_an_interpreter_of_its_own_uses_and_closes_stores(run_program, path, own_gil):
    run_program(f"""
use = {USE!r}
for number in range(3):
    path = f"{path}-{{number}}"
    interpreter = create({own_gil})
    run(interpreter, use.format(path=path, count=100))
    interpreters.destroy(interpreter)
    with DictSQLite(path) as db:
        assert len(db) == 102 and db["forgotten"] == b"v"
print("done")
""")


@pytest.mark.parametrize("own_gil", GILS)
def test_interpreters_in_threads_share_nothing(run_program, path, own_gil):
    run_program(f"""
use = {USE!r}
own = DictSQLite("{path}")
failures = []

def work(number):
    try:
        # Destroyed in the thread that imported threading in it: before Python 3.12 others wait for ever.
        interpreter = create({own_gil})
        run(interpreter, use.format(path=f"{path}-{{number}}", count=1000))
        interpreters.destroy(interpreter)
    except BaseException as error:
        failures.append(error)

threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    own["k"] = b"v"
for thread in threads:
    thread.join()
assert failures == [], failures
assert own["k"] == b"v"
print("done")
""")


def test_a_store_that_one_interpreter_has_open_is_locked_for_another(run_program, path):
    run_program(f"""
own = DictSQLite("{path}")
interpreter = create(False)
run(interpreter, '''
from dictsqlite import DictSQLite, LockedError
try:
    DictSQLite("{path}")
except LockedError:
    pass
else:
    raise AssertionError
''')
interpreters.destroy(interpreter)
print("done")
""")
