"""What the tests of the Python package share.

The package under test is the one that PYTHONPATH names; child processes inherit it.
"""

import signal
import subprocess
import sys
import textwrap

import pytest

from dictsqlite import DictSQLite

MODES = ("writethrough", "lazy", "memory")
PERSISTENT_MODES = ("writethrough", "lazy")

# A job in the background of a script is born ignoring Ctrl-C, and so would be the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
