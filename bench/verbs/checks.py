"""Our verbs as checks: each raises where a store that holds START does something else."""

import importlib
import os
import tempfile
import threading
import time

START = {"a": b"1", "ab": b"2", "b": b"3"}


def refuse_unless(condition):
    if not condition:
        raise AssertionError("it does something else")


# The checks: of a store with START.


def check_item(db):
    db["new"] = b"4"
    refuse_unless(db["new"] == b"4")
    del db["new"]
    try:
        db["new"]
    except KeyError:
        return
    raise AssertionError("no KeyError")


def check_get(db):
    refuse_unless(db.get("a") == b"1" and db.get("nil") is None and db.get("nil", 0) == 0)


def check_in(db):
    refuse_unless("a" in db and "nil" not in db)


def check_len(db):
    refuse_unless(len(db) == 3)


def check_iter(db):
    refuse_unless(sorted(db) == sorted(START))


def check_reversed(db):
    refuse_unless(list(reversed(db)) == list(db)[::-1])


def check_equal(db):
    refuse_unless(db == START and not db == {} and db != {})


def check_or(db):
    refuse_unless(dict((db | {"c": b"4"}).items()) == {**START, "c": b"4"})


def check_ior(db):
    db |= {"c": b"4"}
    refuse_unless(db["c"] == b"4" and len(db) == 4)


def check_copy(db):
    copy = db.copy()
    copy["c"] = b"4"
    refuse_unless("c" not in db and dict(copy.items()) == {**START, "c": b"4"})


def check_fromkeys(db):
    made = type(db).fromkeys(["x", "y"], b"0")
    refuse_unless(dict(made.items()) == {"x": b"0", "y": b"0"})


def check_pop(db):
    refuse_unless(db.pop("a") == b"1" and db.pop("a", 7) == 7 and "a" not in db)


def check_popitem(db):
    key, value = db.popitem()
    refuse_unless(START[key] == value and key not in db)


def check_setdefault(db):
    refuse_unless(db.setdefault("a", b"9") == b"1" and db.setdefault("n", b"9") == b"9" and db["n"] == b"9")


def check_update(db):
    db.update({"a": b"9"}, n=b"8")
    refuse_unless(db["a"] == b"9" and db["n"] == b"8")


def check_clear(db):
    db.clear()
    refuse_unless(len(db) == 0)


def check_views(db):
    keys, values, items = db.keys(), db.values(), db.items()
    db["n"] = b"4"
    refuse_unless(sorted(keys) == sorted([*START, "n"]) and b"4" in list(values) and ("n", b"4") in items)


def check_view_sets(db):
    refuse_unless(db.keys() & {"a", "nil"} == {"a"} and ("a", b"1") in db.items() | set())


def check_get_many(db):
    refuse_unless(db.get_many(["b", "nil", "a"]) == [b"3", None, b"1"])


def check_set_many(db):
    db.set_many({"x": b"7", "y": b"8"})
    refuse_unless(db["x"] == b"7" and db["y"] == b"8")


def check_delete_many(db):
    refuse_unless(db.delete_many(["a", "nil", "b"]) == 2 and "a" not in db)


def check_batch(db):
    try:
        with db.batch() as batch:
            batch["x"] = b"7"
            del batch["a"]
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    refuse_unless("x" not in db and "a" in db)
    with db.batch() as batch:
        batch["x"] = b"7"
        del batch["a"]
    refuse_unless(db["x"] == b"7" and "a" not in db)


def check_increment(db):
    refuse_unless(db.increment("n") == 1 and db.increment("n", 4) == 5)


def check_compare_and_swap(db):
    refuse_unless(db.compare_and_swap("a", b"1", b"9") and not db.compare_and_swap("a", b"1", b"8"))
    refuse_unless(db["a"] == b"9")


def check_add(db):
    refuse_unless(db.add("n", b"1") and not db.add("n", b"2") and db["n"] == b"1")


def once_among_threads(compute_in):
    """How often the function was called when four threads wanted its value at once."""
    calls, gate, failures = [], threading.Barrier(4), []

    def function():
        calls.append(1)
        time.sleep(0.02)  # for the others to come
        return b"7"

    def run():
        gate.wait(10)
        try:
            compute_in(function)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return len(calls)


def check_get_or_compute(db):
    refuse_unless(once_among_threads(lambda function: db.get_or_compute("n", function)) == 1 and db["n"] == b"7")


def check_scan(db):
    refuse_unless(list(db.scan(prefix="a")) == [("a", b"1"), ("ab", b"2")])
    refuse_unless([key for key, _ in db.scan(start="ab", stop="c")] == ["ab", "b"])


def check_flush(db):
    db.flush()


def check_backup(db):
    with tempfile.TemporaryDirectory() as folder:
        db.backup(os.path.join(folder, "copy.db"))
        with importlib.import_module("dictsqlite").DictSQLite(os.path.join(folder, "copy.db")) as copy:
            refuse_unless(dict(copy.items()) == START)


def check_verify(db):
    db.verify()


def check_compact(db):
    db.compact()


VERBS = {
    "[]": check_item, "get": check_get, "in": check_in, "len": check_len, "iter": check_iter,
    "reversed": check_reversed, "==": check_equal, "|": check_or, "|=": check_ior, "copy": check_copy,
    "fromkeys": check_fromkeys, "pop": check_pop, "popitem": check_popitem, "setdefault": check_setdefault,
    "update": check_update, "clear": check_clear, "live views": check_views, "views as sets": check_view_sets,
    "get_many": check_get_many, "set_many": check_set_many, "delete_many": check_delete_many, "batch": check_batch,
    "increment": check_increment, "compare_and_swap": check_compare_and_swap, "add": check_add,
    "get_or_compute": check_get_or_compute, "scan": check_scan, "flush": check_flush, "backup": check_backup,
    "verify": check_verify, "compact": check_compact,
}
