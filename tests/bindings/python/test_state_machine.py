"""Hypothesis drives a store and a dict side by side, through eviction, flush and reopening."""

import os
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
VALUES = st.one_of(st.binary(max_size=30), st.sampled_from([0, 5000, 100_000]).map(bytes))


class StoreAndDict(RuleBasedStateMachine):
    mode = None

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

    @rule()
    def compare_iteration(self):
        assert dict(self.db.items()) == self.oracle
        assert sorted(self.db) == sorted(self.oracle)
        assert sorted(self.db.values()) == sorted(self.oracle.values())
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


@pytest.mark.parametrize("mode", MODES)
def test_a_store_does_what_a_dict_does(mode):
    machine = type("StoreAndDict", (StoreAndDict,), {"mode": mode})
    case = machine.TestCase
    case.settings = settings(
        max_examples=int(os.environ.get("DSQ_HYPOTHESIS_EXAMPLES", "30")),
        stateful_step_count=40,
        deadline=None,
        derandomize="DSQ_HYPOTHESIS_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
