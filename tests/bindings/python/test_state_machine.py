"""Hypothesis drives a store and a dict side by side, through eviction, flush and reopening."""

import os
import re
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from conftest import MODES
from dictsqlite import DictSQLite

HOT_CAPACITY = 8

KEYS = st.sampled_from([f"k{n}" for n in range(40)] + ["", "\0", "\u00e9", "\U0001f600" * 20])
VALUES = st.one_of(
    st.binary(max_size=30), st.integers(-(2**64), 2**64).map(lambda n: b"%d" % n),
    st.sampled_from([0, 5000, 100_000]).map(bytes),
)


class StoreAndDict(RuleBasedStateMachine):
    mode = None
    storage_mode = "bytes"

    def number(self, number):
        """A number as a value of the storage mode."""
        return b"%d" % number if self.storage_mode == "bytes" else number

    def is_number(self, value):
        if self.storage_mode == "bytes":
            return re.fullmatch(rb"-?[0-9]+", value) is not None
        return type(value) is int

    @initialize(sync=st.sampled_from(["full", "normal"]), timer=st.booleans())
    def open_first(self, sync, timer):
        self.directory = tempfile.mkdtemp()
        self.options = {
            # In memory mode what is evicted is gone.
            "hot_capacity": None if self.mode == "memory" else HOT_CAPACITY,
            "persist_mode": self.mode,
            "synchronous": sync,
            "enable_async": timer,
            "flush_interval_ms": 1,
            "buffer_size": 5,
            "storage_mode": self.storage_mode,
        }
        self.db = self.open()
        self.oracle = {}

    def open(self):
        return DictSQLite(os.path.join(self.directory, "store.db"), **self.options)

    def teardown(self):
        if hasattr(self, "db"):
            self.db.close()
            shutil.rmtree(self.directory)

    @rule(key=KEYS, value=VALUES)
    def store(self, key, value):
        self.db[key] = value
        self.oracle[key] = value

    @rule(key=KEYS)
    def read(self, key):
        assert self.db.get(key) == self.oracle.get(key)
        assert (key in self.db) == (key in self.oracle)
        try:
            found = self.db[key]
        except KeyError:
            found = None
        assert found == self.oracle.get(key)

    @rule(key=KEYS)
    def delete(self, key):
        try:
            del self.db[key]
            deleted = True
        except KeyError:
            deleted = False
        assert deleted == (self.oracle.pop(key, None) is not None)

    @rule(key=KEYS)
    def pop(self, key):
        assert self.db.pop(key, None) == self.oracle.pop(key, None)

    @rule(key=KEYS, value=VALUES)
    def set_default(self, key, value):
        assert self.db.setdefault(key, value) == self.oracle.setdefault(key, value)

    @rule(records=st.dictionaries(KEYS, VALUES, max_size=20), as_pairs=st.booleans())
    def update(self, records, as_pairs):
        self.db.update(list(records.items()) if as_pairs else records)
        self.oracle.update(records)

    @rule(keys=st.lists(KEYS, max_size=20), default=st.sampled_from([None, b"default"]))
    def get_many(self, keys, default):
        assert self.db.get_many(keys, default) == [self.oracle.get(key, default) for key in keys]

    @rule(records=st.lists(st.tuples(KEYS, VALUES), max_size=20), as_pairs=st.booleans())
    def set_many(self, records, as_pairs):
        self.db.set_many(records if as_pairs else dict(records))
        self.oracle.update(records)

    @rule(keys=st.lists(KEYS, max_size=20))
    def delete_many(self, keys):
        there = self.oracle.keys() & keys
        assert self.db.delete_many(keys) == len(there)
        for key in there:
            del self.oracle[key]

    @rule(changes=st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=20), fails=st.booleans())
    def batch(self, changes, fails):
        try:
            with self.db.batch() as batch:
                for key, value in changes:
                    if value is None:
                        del batch[key]
                    else:
                        batch[key] = value
                assert len(batch) == len(changes)
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return
        for key, value in changes:
            self.oracle[key] = value
            if value is None:
                del self.oracle[key]

    @rule(key=KEYS, value=VALUES)
    def add(self, key, value):
        assert self.db.add(key, value) == (key not in self.oracle)
        self.oracle.setdefault(key, value)

    @rule(key=KEYS, guess=st.none() | VALUES, knows=st.booleans(), new=st.none() | VALUES)
    def compare_and_swap(self, key, guess, knows, new):
        old = self.oracle.get(key) if knows else guess
        swaps = self.oracle.get(key) == old
        assert self.db.compare_and_swap(key, old, new) == swaps
        if swaps:
            self.oracle[key] = new
            if new is None:
                del self.oracle[key]

    @rule(key=KEYS, delta=st.integers(-(2**63), 2**63 - 1), default=st.integers(-5, 5))
    def increment(self, key, delta, default):
        before = self.oracle.get(key, self.number(default))
        if not self.is_number(before):
            expected = ValueError
        else:
            expected = int(before) + delta
            if not -(2**63) <= expected < 2**63:
                expected = OverflowError
        if isinstance(expected, int):
            assert self.db.increment(key, delta, default) == expected
            self.oracle[key] = self.number(expected)
        else:
            with pytest.raises(expected):
                self.db.increment(key, delta, default)

    @rule(key=KEYS, delta=st.integers(-20, 20))
    def count(self, key, delta):
        self.db[key] = self.oracle[key] = self.number(-delta)
        assert self.db.increment(key, 2 * delta) == delta
        self.oracle[key] = self.number(delta)

    @rule(key=KEYS, value=VALUES)
    def get_or_compute(self, key, value):
        assert self.db.get_or_compute(key, lambda: value) == self.oracle.setdefault(key, value)

    @rule(prefix=st.sampled_from(["", "k", "k1", "k39", "k4", "\u00e9", "\U0001f600" * 3, "z"]))
    def scan_prefix(self, prefix):
        self.check_scan(lambda reverse: self.db.scan(prefix, reverse=reverse),
                        lambda key: key.startswith(prefix))

    @rule(start=st.none() | KEYS, stop=st.none() | KEYS)
    def scan_range(self, start, stop):
        def is_within(key):
            return (start is None or key >= start) and (stop is None or key < stop)

        self.check_scan(lambda reverse: self.db.scan(start=start, stop=stop, reverse=reverse),
                        is_within)

    def check_scan(self, scan, is_within):
        found = list(scan(False))
        if self.mode != "memory":
            assert list(scan(True)) == found[::-1]
        if self.mode == "memory":
            found.sort()
        assert found == sorted(item for item in self.oracle.items() if is_within(item[0]))

    @rule()
    def pop_item(self):
        if not self.oracle:
            with pytest.raises(KeyError):
                self.db.popitem()
            return
        key, value = self.db.popitem()
        assert self.oracle.pop(key) == value
        assert self.mode == "memory" or all(key < other for other in self.oracle)

    @rule()
    def clear(self):
        self.db.clear()
        self.oracle.clear()

    @rule(other=st.dictionaries(KEYS, VALUES, max_size=5))
    def merge(self, other):
        assert self.db | other == self.oracle | other
        assert other | self.db == other | self.oracle
        self.db |= other
        self.oracle |= other

    @rule(other=st.dictionaries(KEYS, VALUES, max_size=2))
    def compare(self, other):
        assert self.db == self.oracle == self.db.copy()
        assert (self.db == other) == (self.oracle == other)
        assert (other != self.db) == (other != self.oracle)

    @rule()
    def backup(self):
        if self.mode == "memory":
            return
        path = os.path.join(self.directory, "backup.db")
        self.db.backup(path, overwrite=True)
        with DictSQLite(path, storage_mode=self.storage_mode) as copy:
            assert copy == self.oracle

    @rule()
    def look_after_the_file(self):
        self.db.verify()
        self.db.compact()
        self.db.verify()

    @rule()
    def compare_iteration(self):
        assert dict(self.db.items()) == self.oracle
        assert sorted(self.db) == sorted(self.oracle)
        assert sorted(self.db.values(), key=repr) == sorted(self.oracle.values(), key=repr)
        assert self.db.keys() == self.oracle.keys()

    @rule(doomed=st.sets(KEYS))
    def delete_during_iteration(self, doomed):
        for key in self.db:
            if key in doomed:
                del self.db[key]
                del self.oracle[key]

    @rule()
    def flush(self):
        self.db.flush()
        if self.mode != "memory":
            stats = self.db.stats()
            assert stats["durable_seq"] == stats["seq"]

    @rule()
    def reopen(self):
        self.db.close()
        self.db = self.open()
        if self.mode == "memory":
            self.oracle.clear()

    @invariant()
    def sizes_agree(self):
        if hasattr(self, "db"):
            assert len(self.db) == len(self.oracle)
            assert bool(self.db) == bool(self.oracle)


def check(**attributes):
    machine = type("StoreAndDict", (StoreAndDict,), attributes)
    case = machine.TestCase
    case.settings = settings(
        max_examples=int(os.environ.get("DSQ_HYPOTHESIS_EXAMPLES", "30")),
        stateful_step_count=40,
        deadline=None,
        derandomize="DSQ_HYPOTHESIS_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()


@pytest.mark.parametrize("mode", MODES)
def test_a_store_does_what_a_dict_does(mode):
    check(mode=mode)


def test_a_store_of_other_values_does_what_a_dict_does():
    check(mode="lazy", storage_mode="pickle")
