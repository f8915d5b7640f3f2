"""Hypothesis kills the process that has a store, at any moment, and looks at what is in the file."""

import multiprocessing
import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from conftest import PERSISTENT_MODES
from dictsqlite import DictSQLite

KEYS = st.sampled_from([f"k{n}" for n in range(20)])
VALUES = st.one_of(st.binary(max_size=20), st.just(bytes(5000)))
# A change that is one durable unit: what each key becomes, None for absent.
CHANGES = st.dictionaries(KEYS, st.none() | VALUES, min_size=1, max_size=10)

# Forking beside threads is what the library allows; the child makes its own store.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
context = multiprocessing.get_context("fork")


def serve(pipe, path, options):
    """The life of a child: opens the store and makes the calls that it is sent, until it is killed."""
    db = DictSQLite(path, **options)
    pipe.send("open")
    while True:
        change, is_flush = pipe.recv()
        if is_flush:
            db.flush()
        elif len(change) == 1:
            ((key, value),) = change.items()
            if value is None:
                db.pop(key, None)
            else:
                db[key] = value
        else:
            with db.batch() as batch:
                for key, value in change.items():
                    if value is None:
                        batch.delete(key)
                    else:
                        batch[key] = value
        pipe.send("done")


def changed(records, change):
    result = {**records, **change}
    return {key: value for key, value in result.items() if value is not None}


class KilledStore(RuleBasedStateMachine):
    """
    states: what the store held after each change since it was opened, the changes that are not
    acknowledged among them.
    promised: the number of the earliest of them that a kill may leave.
    """

    mode = None

    @initialize(timer=st.booleans(), sync=st.sampled_from(["full", "normal"]))
    def open_first(self, timer, sync):
        self.directory = tempfile.mkdtemp()
        self.path = os.path.join(self.directory, "store.db")
        self.options = {
            "hot_capacity": 8,
            "persist_mode": self.mode,
            "enable_async": timer,
            "flush_interval_ms": 1,
            "buffer_size": 5,
            "synchronous": sync,
        }
        self.states = [{}]
        self.open()

    def open(self):
        self.promised = 0
        self.pipe, theirs = context.Pipe()
        self.child = context.Process(target=serve, args=(theirs, self.path, self.options))
        self.child.start()
        theirs.close()
        assert self.pipe.recv() == "open"

    def teardown(self):
        if hasattr(self, "child"):
            self.end_child()
            shutil.rmtree(self.directory)

    def end_child(self):
        self.child.kill()
        self.child.join()
        self.pipe.close()

    def call(self, change, is_flush=False):
        self.pipe.send((change, is_flush))
        assert self.pipe.recv() == "done"

    @rule(change=CHANGES)
    def change(self, change):
        self.call(change)
        self.states.append(changed(self.states[-1], change))
        if self.mode == "writethrough":
            self.promised = len(self.states) - 1

    @rule()
    def flush(self):
        self.call(None, is_flush=True)
        self.promised = len(self.states) - 1

    @rule(under_way=st.none() | CHANGES | st.just("flush"))
    def kill(self, under_way):
        if under_way is not None:
            is_flush = under_way == "flush"
            self.pipe.send((None if is_flush else under_way, is_flush))
            if not is_flush:
                self.states.append(changed(self.states[-1], under_way))
        self.end_child()
        with DictSQLite(self.path) as db:
            found = dict(db)
            db.verify()
        assert found in self.states[self.promised:]
        self.states = [found]
        self.open()


@pytest.mark.parametrize("mode", PERSISTENT_MODES)
def test_a_kill_leaves_what_was_promised_and_a_prefix_of_the_rest(mode):
    machine = type("KilledStore", (KilledStore,), {"mode": mode})
    case = machine.TestCase
    case.settings = settings(
        max_examples=int(os.environ.get("DSQ_HYPOTHESIS_EXAMPLES", "5")),
        stateful_step_count=15,
        deadline=None,
        derandomize="DSQ_HYPOTHESIS_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
