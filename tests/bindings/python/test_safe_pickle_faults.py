"""Safe pickles leave nothing behind, also when memory runs out at any one allocation."""

import gc
import pickle
import subprocess
import sys
import tracemalloc

import pytest

import pickled_models as models
from dictsqlite import UnsafePickleError, safe_pickle_check, safe_pickle_loads
from safe_pickle_values import named, proto, text
from test_safe_pickle import LISTED, instances

ROUNDS = 400


def attempt(call):
    try:
        call()
    except (UnsafePickleError, TypeError, ValueError, ArithmeticError, BufferError):
        pass


def calls():
    good = pickle.dumps([value for value in instances() if not isinstance(value, models.WithNew)], 2)
    many = proto(b"(" + b"K\x01\x85\x94]\x94" * 1_000 + b"t")
    plain = pickle.dumps({"a": [1, 2.5, "text", b"bytes", {3}, None]})
    return {
        "check": lambda: safe_pickle_check(plain),
        "loads": lambda: safe_pickle_loads(plain),
        "listed": lambda: safe_pickle_loads(good, LISTED),
        "check of a buffer": lambda: safe_pickle_check(bytearray(good), LISTED),
        "unlisted": lambda: safe_pickle_loads(good),
        "many nodes": lambda: safe_pickle_check(many),
        "global that is refused": lambda: safe_pickle_check(proto(named("os", "system"))),
        "name that is no UTF-8": lambda: safe_pickle_check(proto(text(b"\xff") + text("x") + b"\x93")),
        "names of Python 2": lambda: safe_pickle_loads(b"c__builtin__\nset\n(lp0\nI1\na\x85R."),
        "function listed": lambda: safe_pickle_loads(
            proto(named("pickled_models", "make_plain") + b"K\x01\x85R"), ["pickled_models.make_plain"]),
        "machinery": lambda: safe_pickle_check(proto(named("pickled_models", "MyFile")), LISTED),
        "instance that is refused": lambda: safe_pickle_check(
            proto(named("pickled_models", "Plain") + b")\x81}b}b"), LISTED),
        "package": lambda: safe_pickle_check(proto(named("a.b.c", "D")), ["a.", "x"]),
        "module that is not there": lambda: safe_pickle_check(proto(named("no_such", "D")), ["no_such"]),
        "cut short": lambda: safe_pickle_loads(good[:-20], LISTED),
        "error while loading": lambda: safe_pickle_loads(
            proto(named("fractions", "Fraction") + b"K\x01K\x00\x86R")),
        "no bytes": lambda: safe_pickle_check("text"),
        "no names": lambda: safe_pickle_check(plain, ["a", 1]),
        "no name": lambda: safe_pickle_check(plain, ["a", "a..b"]),
        "reserved name": lambda: safe_pickle_check(plain, ["a", "builtins"]),
    }


def growth(call):
    """Bytes of Python memory that ROUNDS calls leave behind."""
    gc.collect()
    tracemalloc.start()
    try:
        attempt(call)
        gc.collect()
        # It keeps the names that were looked up: fresh ones each time would show, until it is full of them.
        sys._clear_type_cache()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(ROUNDS):
            attempt(call)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", calls())
def test_repeating_a_call_takes_no_more_memory(name):
    call = calls()[name]
    for _ in range(20):
        attempt(call)
    # Free lists and interned names come and go; a leaked object takes more than 48 bytes, each time.
    assert any(growth(call) < 48 * ROUNDS for _ in range(3))


def test_references_are_given_back():
    data = proto(named("pickled_models", "Plain") + b")\x81}b")
    things = [data, LISTED, LISTED[0], models.Plain, models, UnsafePickleError]
    before = [sys.getrefcount(thing) for thing in things]
    for _ in range(ROUNDS):
        safe_pickle_check(data, LISTED)
        safe_pickle_loads(data, LISTED)
        attempt(lambda: safe_pickle_loads(data))
        attempt(lambda: safe_pickle_loads(data[:-1] + b"}b.", LISTED))
        attempt(lambda: safe_pickle_loads(proto(named("pickled_models", "MyMap")), LISTED))
    gc.collect()
    assert [sys.getrefcount(thing) for thing in things] == before


INJECTION = """
import sys
import _testcapi
sys.path.insert(0, sys.argv[1])
import test_safe_pickle_faults as faults

for name in sys.argv[2:]:
    print(name, flush=True)
    call = faults.calls()[name]
    for _ in range(3):
        faults.attempt(call)
    quiet = 0  # how long no failure was noticed: they end where the call does
    first = 0
    while quiet < 200:
        _testcapi.set_nomemory(first, first + 1)
        try:
            call()
            quiet += 1
        except MemoryError:
            quiet = 0
        except Exception:
            quiet += 1
        finally:
            _testcapi.remove_mem_hooks()
        first += 1
"""


def test_any_one_allocation_may_fail(request):
    pytest.importorskip("_testcapi")
    # Without memory, Python 3.13.0 crashes by itself in the import of what is not there.
    names = [name for name in calls() if name != "module that is not there"]
    done = subprocess.run([sys.executable, "-c", INJECTION, str(request.path.parent), *names],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-2_000:]
    assert done.stdout.split("\n")[:-1] == names
