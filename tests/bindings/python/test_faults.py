"""A disk that fails: errors are raised, nothing acknowledged is lost, and a cure is a cure.

The failing disk is a limit on the size of files, which the process can lift again.
"""

import pytest

from dictsqlite import DictSQLite

PREPARE = """
import resource, signal, sys
from dictsqlite import DictSQLite, StorageError

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
db = DictSQLite(sys.argv[1], persist_mode=sys.argv[2], queue_bytes=64 << 20)
db["before"] = b"fault"
db.flush()
limit(100_000)
records = {f"k{n}": bytes(1000) for n in range(1000)}
"""


@pytest.fixture
def faulty(script, path):
    def run(code, persist_mode="lazy"):
        result = script(PREPARE + code, path, persist_mode)
        assert result.stdout.endswith("done\n"), result.stderr
        return result

    return run


def test_a_failed_commit_is_raised_by_flush_and_kept_for_resume(faulty, path):
    faulty(
        """
db.update(records)
for _ in range(2):
    try:
        db.flush()
    except StorageError as error:
        assert isinstance(error, OSError) and str(error)
    else:
        raise AssertionError
stats = db.stats()
assert stats["state"] == "failed" and stats["last_error"], stats
assert stats["commit_errors"] > 0
assert repr(db).endswith(", lazy, failed>")
assert db["before"] == b"fault" and db["k999"] == bytes(1000)
try:
    db["more"] = b"v"
except StorageError:
    pass
else:
    raise AssertionError
try:
    db.resume()
except StorageError:
    pass
else:
    raise AssertionError
limit(resource.RLIM_INFINITY)
db.resume()
db.flush()
assert db.stats()["state"] == "open"
db["more"] = b"v"
db.close()
print("done")
"""
    )
    with DictSQLite(path) as db:
        assert dict(db) == {
            "before": b"fault", "more": b"v", **{f"k{n}": bytes(1000) for n in range(1000)}
        }


def test_a_failed_commit_is_raised_by_the_write_in_writethrough_mode(faulty, path):
    faulty(
        """
try:
    db.update(records)
except StorageError:
    pass
else:
    raise AssertionError
limit(resource.RLIM_INFINITY)
db.resume()
db.close()
print("done")
""",
        "writethrough",
    )
    with DictSQLite(path) as db:
        assert db["before"] == b"fault"


def test_a_close_that_fails_leaves_the_store_open_to_be_closed_again(faulty, path):
    faulty(
        """
db.update(records)
try:
    db.close()
except StorageError:
    pass
else:
    raise AssertionError
assert not db.closed
assert db["k0"] == bytes(1000)
limit(resource.RLIM_INFINITY)
db.resume()
db.close()
assert db.closed
print("done")
"""
    )
    with DictSQLite(path) as db:
        assert len(db) == 1001


def test_a_dropped_store_that_cannot_be_closed_is_given_up_and_says_so(faulty, path):
    faulty(
        """
import warnings
seen = []
sys.unraisablehook = lambda info: seen.append(info.exc_type)
warnings.simplefilter("ignore")
db.update(records)
del db
assert seen == [StorageError], seen
limit(resource.RLIM_INFINITY)
with DictSQLite(sys.argv[1]) as db:
    assert db["before"] == b"fault"
print("done")
"""
    )


def test_a_store_that_cannot_be_closed_at_exit_does_not_hang_it(faulty, path):
    result = faulty(
        """
db.update(records)
print("done")
"""
    )
    assert result.returncode == 0
    assert "StorageError" in result.stderr
    with DictSQLite(path) as db:
        assert db["before"] == b"fault"
