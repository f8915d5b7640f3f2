"""What the tests of the Python package share.

The package under test is the one that PYTHONPATH names; child processes inherit it.
"""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from dictsqlite import DictSQLite

MODES = ("writethrough", "lazy", "memory")
PERSISTENT_MODES = ("writethrough", "lazy")

# A job in the background of a script is born ignoring Ctrl-C, and so would be the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Caller(threading.Thread):
    """Runs a call and keeps what came of it."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call = call
        self.result = self.error = None
        self.start()

    def run(self):
        try:
            self.result = self.call()
        except BaseException as error:
            self.error = error

    def wait(self):
        self.join(30)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.result


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def db(path, mode):
    with DictSQLite(path, persist_mode=mode) as store:
        yield store


@pytest.fixture
def script(tmp_path):
    """Runs Python code in a child process and returns it, finished."""

    def run(code, *args, **options):
        return subprocess.run(
            # Python warns of any fork beside threads; what becomes of one is what is tested.
            [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c",
             textwrap.dedent(code), *map(str, args)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )

    return run
