"""What was stored is in the file afterwards, for us and for any SQLite program."""

import os
import signal
import sqlite3
import struct
import subprocess
import sys
import textwrap

import pytest

from conftest import PERSISTENT_MODES
from dictsqlite import DictSQLite

KILL_ROUNDS = 10

# Writes numbers, and says each once it is stored.
WRITER = textwrap.dedent(
    """
    import sys
    from dictsqlite import DictSQLite
    db = DictSQLite(sys.argv[1], hot_capacity=50)
    first = int(sys.argv[2])
    for number in range(first, first + 100_000):
        key = f"key {number % 500}"
        db[key] = b"%d" % number
        print(number, flush=True)
        if number % 7 == 0:
            del db[key]
            print(-number, flush=True)
    """
)


@pytest.fixture(params=PERSISTENT_MODES)
def mode(request):
    return request.param


def replay(batch, records):
    """Applies one row of the journal (persist/journal.h)."""
    at = 16
    while at < len(batch):
        key_size, value_size = struct.unpack_from("<II", batch, at)
        key_end = at + 8 + (key_size & 0x7FFFFFFF)
        key = batch[at + 8:key_end].decode()
        at = key_end + value_size
        if key_size >> 31:
            records.pop(key, None)
        else:
            records[key] = batch[key_end:at]


def on_disk(path):
    """What the file holds, read by SQLite alone: the rows, and the journal over them."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("BEGIN")
        records = {bytes(key).decode(): bytes(value)
                   for key, value in connection.execute("SELECT key, value FROM kv")}
        for (batch,) in connection.execute("SELECT batch FROM journal ORDER BY id"):
            replay(batch, records)
        return records
    finally:
        connection.close()


def rows(path):
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM journal").fetchall() == [(0,)]
        return on_disk(path)
    finally:
        connection.close()


def test_records_are_there_after_reopening(path, mode):
    records = {f"key {n}": b"value %d" % n for n in range(1000)}
    with DictSQLite(path, persist_mode=mode) as db:
        db.update(records)
        del db["key 0"]
        db["key 1"] = b"changed"
    with DictSQLite(path, persist_mode=mode) as db:
        assert dict(db) == {**{k: records[k] for k in list(records)[1:]}, "key 1": b"changed"}
        assert len(db) == 999


def test_a_closed_file_is_one_plain_sqlite_database(path, mode):
    with DictSQLite(path, persist_mode=mode) as db:
        db.update(a=b"1", b=b"2")
        del db["a"]
    assert os.listdir(path.parent) == [path.name]
    assert rows(path) == {"b": b"2"}


def test_a_writethrough_record_is_in_the_file_when_the_call_returns(path, mode):
    with DictSQLite(path, persist_mode=mode) as db:
        db["k"] = b"v"
        if mode == "lazy":
            db.flush()
        assert on_disk(path) == {"k": b"v"}
        db.pop("k")
        db.setdefault("l", b"w")
        db.flush()
        assert on_disk(path) == {"l": b"w"}


def test_lazy_records_reach_the_file_by_themselves(path):
    with DictSQLite(path, persist_mode="lazy", flush_interval_ms=1) as db:
        db["k"] = b"v"
        while db.stats()["durable_seq"] == 0:
            pass
        assert on_disk(path) == {"k": b"v"}


def test_without_async_lazy_records_wait_for_a_flush(path, tmp_path):
    options = {"persist_mode": "lazy", "flush_interval_ms": 1, "buffer_size": 1}
    with DictSQLite(path, enable_async=False, **options) as db, DictSQLite(
        tmp_path / "clock.db", **options
    ) as clock:
        db["k"] = b"v"
        for number in range(10):
            clock["k"] = b"%d" % number
            while clock.stats()["durable_seq"] <= number:
                pass
        assert db.stats()["commits"] == 0
        assert on_disk(path) == {}
        db.flush()
        assert on_disk(path) == {"k": b"v"}


def test_records_are_durable_with_synchronous_normal(path, mode):
    with DictSQLite(path, persist_mode=mode, synchronous="normal") as db:
        db["k"] = b"v"
        db.flush()
        assert on_disk(path) == {"k": b"v"}


def run_writer_and_kill_it(path, first, lines):
    """The acknowledged numbers, the last of which were in the pipe when the writer died."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first)], stdout=subprocess.PIPE, text=True
    )
    said = [int(writer.stdout.readline()) for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    said += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    return said


def test_nothing_acknowledged_is_lost_by_kill_9(path):
    expected = {}
    first = 1
    for round_ in range(KILL_ROUNDS):
        said = run_writer_and_kill_it(path, first, lines=10 + 37 * round_)
        for number in said:
            key = f"key {abs(number) % 500}"
            if number > 0:
                expected[key] = b"%d" % number
            else:
                del expected[key]
        # What comes after the last acknowledgement is there or not.
        under_way = abs(said[-1]) + 1
        if said[-1] > 0 and said[-1] % 7 == 0:
            under_way = said[-1]
        doubtful = f"key {under_way % 500}"
        with DictSQLite(path) as db:
            found = dict(db)
            assert len(db) == len(found)
        assert {k: v for k, v in found.items() if k != doubtful} == {
            k: v for k, v in expected.items() if k != doubtful
        }
        assert found.get(doubtful) in (expected.get(doubtful), b"%d" % under_way, None)
        if doubtful in found:
            expected[doubtful] = found[doubtful]
        else:
            expected.pop(doubtful, None)
        first = under_way + 1
    assert on_disk(path) == expected
