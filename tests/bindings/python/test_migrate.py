"""migrate: what it promises of every source, and of the destination."""

import os
import pathlib
import pickle
import re
import sqlite3
import time

import pytest

import dictsqlite
import foreign_files
import pickled_models
from dictsqlite import (
    CancelledError,
    CorruptError,
    DictSQLite,
    FormatError,
    LockedError,
    MigrationReport,
    PasswordError,
    StorageError,
    UnsafePickleError,
    migrate,
)
from foreign_files import TEXT
from migrating import (
    JSON_VALUES,
    VALUES,
    Evil,
    content,
    hashes,
    nothing_at,
    source,
    target,
    write_encrypted,
    write_keys,
)


def pairs_of(values):
    return [(key.encode(), pickle.dumps(value)) for key, value in values.items()]


def write_shelf(path, values):
    foreign_files.write_dbm_dumb(path, pairs_of(values))


def write_shelf_sqlite3(path, values):
    foreign_files.write_dbm_sqlite3(path, pairs_of(values))


# What writes pickles: the kind that is found, and the writer.
PICKLE_SOURCES = {
    "dictsqlite": ("dictsqlite", foreign_files.write_dictsqlite),
    "dictsqlite1": ("dictsqlite1", foreign_files.write_dictsqlite1),
    "sqlitedict": ("sqlitedict", foreign_files.write_sqlitedict),
    "shelve-dumb": ("shelve", write_shelf),
    "shelve-sqlite3": ("shelve", write_shelf_sqlite3),
    "diskcache": ("diskcache", foreign_files.write_diskcache),
}


@pytest.fixture(params=PICKLE_SOURCES.values(), ids=PICKLE_SOURCES.keys())
def kind_and_writer(request):
    return request.param


# ---- every source ----


def test_all_records_arrive_and_the_report_counts_them(kind_and_writer, source, target):
    kind, write = kind_and_writer
    write(source, VALUES)
    report = migrate(source, target)
    assert content(target) == VALUES
    assert report[:2] == (kind, report.table)
    assert report[2:4] == ("pickle", len(VALUES)) and report[5:] == (0, 0)
    assert report.bytes > sum(len(key.encode()) for key in VALUES)
    assert os.listdir(target.parent) == ["new.db"]


def test_no_byte_of_a_source_changes_and_no_file_appears_beside_it(kind_and_writer, source, target):
    _, write = kind_and_writer
    write(source, VALUES)
    before = hashes(source)
    migrate(source, target)
    assert hashes(source) == before


def test_a_kind_that_is_named_is_demanded(kind_and_writer, source, target):
    kind, write = kind_and_writer
    write(source, VALUES)
    assert migrate(source, target, kind=kind).kind == kind
    other = "diskcache" if kind != "diskcache" else "sqlitedict"
    with pytest.raises(FormatError, match=f"no {other} file"):
        migrate(source, target, kind=other, overwrite=True)


def test_a_hostile_pickle_is_an_error_that_names_the_key_and_runs_nothing(
        kind_and_writer, source, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, write = kind_and_writer
    write(source, {**VALUES, "evil key": Evil()})
    with pytest.raises(UnsafePickleError, match="evil key.*system") as caught:
        migrate(source, target)
    assert caught.value.global_name.endswith(".system")
    assert nothing_at(target) and not os.path.exists("was-run")


def test_hostile_pickles_are_left_out_and_counted_if_the_caller_says_so(
        kind_and_writer, source, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, write = kind_and_writer
    write(source, {"evil": Evil(), **VALUES, "evil2": Evil()})
    report = migrate(source, target, on_unsafe="skip")
    assert (report.records, report.skipped) == (len(VALUES), 2)
    assert content(target) == VALUES and not os.path.exists("was-run")


def test_listed_classes_are_loaded(kind_and_writer, source, target):
    _, write = kind_and_writer
    point = pickled_models.Point(1, 2)
    write(source, {"p": point})
    with pytest.raises(UnsafePickleError, match="Point"):
        migrate(source, target)
    migrate(source, target, allowed_modules=["pickled_models"])
    got = content(target, safe_pickle_allowed_modules=["pickled_models"])["p"]
    assert type(got) is pickled_models.Point and vars(got) == vars(point)


def test_a_stopped_migration_leaves_nothing(kind_and_writer, source, target):
    _, write = kind_and_writer
    write(source, {f"k{n:05}": n for n in range(3000)})
    with pytest.raises(CancelledError):
        migrate(source, target, progress=lambda done, total: done < 2000)
    assert nothing_at(target)
    with pytest.raises(ZeroDivisionError):
        migrate(source, target, progress=lambda done, total: 1 / (2000 - done))
    assert nothing_at(target)


def test_progress_counts_records_to_the_end(kind_and_writer, source, target):
    _, write = kind_and_writer
    write(source, {f"k{n:05}": n for n in range(2500)})
    calls = []
    migrate(source, target, progress=lambda *call: calls.append(call))
    assert calls[:2] == [(1000, 2500), (2000, 2500)] and set(calls[2:]) == {(2500, 2500)}


def test_an_empty_source_becomes_an_empty_store(kind_and_writer, source, target):
    _, write = kind_and_writer
    write(source, {})
    assert migrate(source, target).records == 0
    assert content(target) == {}


def test_bytes_are_taken_out_of_their_pickles_for_a_store_of_bytes(kind_and_writer, source, target):
    _, write = kind_and_writer
    write(source, {"a": b"\x80\x04", "b": b""})
    assert migrate(source, target, storage_mode="bytes").storage_mode == "bytes"
    assert content(target, "bytes") == {"a": b"\x80\x04", "b": b""}


def test_a_value_that_the_storage_mode_does_not_hold_is_named(kind_and_writer, source, target):
    _, write = kind_and_writer
    write(source, {"a": b"x", "the key": "text"})
    with pytest.raises(TypeError, match="'the key'.*str.*bytes"):
        migrate(source, target, storage_mode="bytes")
    assert nothing_at(target)
    write(source + "2", {"good": 1, "the key": {1, 2}})
    with pytest.raises((TypeError, ValueError), match="'the key'"):
        migrate(source + "2", target, storage_mode="json")
    assert nothing_at(target)


def test_objects_may_be_stored_in_other_modes(kind_and_writer, source, target):
    _, write = kind_and_writer
    write(source, JSON_VALUES)
    migrate(source, target, storage_mode="json")
    assert content(target, "json") == JSON_VALUES


def test_more_records_than_a_chunk_and_larger_ones_than_one_arrive(kind_and_writer, source, target):
    _, write = kind_and_writer
    values = {f"k{n:05}": n for n in range(2345)}
    values.update({f"large{n}": bytes([n]) * 800_000 for n in range(6)})
    write(source, values)
    assert migrate(source, target).records == len(values)
    assert content(target) == values


# ---- the destination ----


def test_what_is_at_the_destination_is_replaced_only_if_the_caller_says_so(source, target):
    foreign_files.write_sqlitedict(source, VALUES)
    with DictSQLite(target) as db:
        db["old"] = b"record"
    with pytest.raises(StorageError, match="there already"):
        migrate(source, target)
    assert content(target, "bytes") == {"old": b"record"}
    migrate(source, target, overwrite=True)
    assert content(target) == VALUES


def test_a_destination_that_is_in_use_stays(source, target):
    foreign_files.write_sqlitedict(source, VALUES)
    with DictSQLite(target) as db:
        db["old"] = b"record"
        with pytest.raises(LockedError):
            migrate(source, target, overwrite=True)
        assert db["old"] == b"record"
    assert content(target, "bytes") == {"old": b"record"}


def test_a_failed_migration_leaves_what_it_was_to_replace(source, target):
    foreign_files.write_sqlitedict(source, {"evil": Evil()})
    with DictSQLite(target) as db:
        db["old"] = b"record"
    with pytest.raises(UnsafePickleError):
        migrate(source, target, overwrite=True)
    assert content(target, "bytes") == {"old": b"record"}


def test_the_destination_may_be_encrypted(source, target):
    foreign_files.write_sqlitedict(source, VALUES)
    migrate(source, target, encryption_password="new")
    with pytest.raises(PasswordError):
        DictSQLite(target, encryption_password="other")
    assert content(target, encryption_password="new") == VALUES
    assert b"text" not in target.read_bytes()


def test_a_destination_that_cannot_be_is_refused(source, target, tmp_path):
    foreign_files.write_sqlitedict(source, VALUES)
    with pytest.raises(StorageError):
        migrate(source, tmp_path / "no such folder" / "new.db")
    with pytest.raises(ValueError, match="is the source"):
        migrate(source, source, overwrite=True)
    with pytest.raises(ValueError, match="must be a file"):
        migrate(source, ":memory:")


def test_wrong_arguments_are_refused_before_anything_is_written(source, target):
    foreign_files.write_sqlitedict(source, VALUES)
    for options in ({"kind": "lmdb"}, {"on_unsafe": "load"}, {"values": "cooked"},
                    {"on_other_keys": "merge"}, {"values": "raw", "storage_mode": "pickle"},
                    {"storage_mode": "xml"}):
        with pytest.raises(ValueError):
            migrate(source, target, **options)
    with pytest.raises(TypeError):
        migrate(source, target, progress="bar")
    with pytest.raises(TypeError):
        migrate(source, target, allowed_modules=5)
    with pytest.raises(FormatError, match="source_password"):
        migrate(source, target, source_password="secret")
    with pytest.raises(FormatError, match="source_mode"):
        migrate(source, target, source_mode="json")
    assert nothing_at(target)


# ---- what is found ----


def test_what_is_no_source_is_described(source, target, tmp_path):
    for data, words in ((b"", "begins with b''"), (b"PK\3\4archive", "PK"),
                        (b"SQLite format 3\0" + bytes(100), "source"), (b"dictsqlite seal\0", "already")):
        with open(source, "wb") as file:
            file.write(data)
        with pytest.raises((FormatError, CorruptError, StorageError), match=words):
            migrate(source, target)
    with pytest.raises(StorageError, match="nothing at"):
        migrate(tmp_path / "absent", target)
    with pytest.raises(FormatError, match="cache.db"):
        migrate(tmp_path, target)
    assert nothing_at(target)


def test_a_store_of_ours_is_no_source(source, target):
    with DictSQLite(source) as db:
        db["k"] = b"v"
    with pytest.raises(FormatError, match="already"):
        migrate(source, target)


def test_other_tables_are_listed(source, target):
    foreign_files.write_table(source, "people", "key INTEGER, value TEXT, age INTEGER", [])
    with pytest.raises(FormatError, match="'people'"):
        migrate(source, target)


def test_the_name_of_a_file_says_nothing(tmp_path, target):
    path = tmp_path / "shelf.dir.gnu.db"
    foreign_files.write_sqlitedict(path, VALUES)
    assert migrate(path, target).kind == "sqlitedict"


@pytest.mark.parametrize("write, one, other, kind", [
    (foreign_files.write_sqlitedict, "one", "two", "sqlitedict"),
    (foreign_files.write_dictsqlite, "kv_store", "kv_users", "dictsqlite"),
    (foreign_files.write_dictsqlite1, "main", "users", "dictsqlite1"),
])
def test_of_several_tables_one_must_be_named(source, target, write, one, other, kind):
    write(source, {"k": 1}, table=one)
    write(source, {"k": 2}, table=other)
    with pytest.raises(FormatError, match=f"several tables.*{one}.*{other}"):
        migrate(source, target)
    with pytest.raises(FormatError, match=f"no table.*three.*{one}.*{other}"):
        migrate(source, target, table="three")
    report = migrate(source, target, table=other)
    assert (report.kind, report.table) == (kind, other) and content(target) == {"k": 2}


# ---- SQLite files in every state ----


def test_what_is_in_a_log_only_is_read_and_the_log_stays(source, target):
    foreign_files.write_dictsqlite(source, {"a": 1})
    writer = sqlite3.connect(source)
    writer.execute("INSERT INTO kv_store (key, value) VALUES ('b', ?)", (pickle.dumps(2),))
    writer.commit()
    folder = os.path.dirname(source)
    crashed = os.path.join(folder, "crashed")
    for end in ("", "-wal"):
        with open(source + end, "rb") as file, open(crashed + end, "wb") as copy:
            copy.write(file.read())
    writer.close()
    assert os.path.getsize(crashed + "-wal") > 0
    before = hashes(crashed)
    migrate(crashed, target)
    assert content(target) == {"a": 1, "b": 2}
    assert hashes(crashed) == before


def test_a_transaction_that_a_crash_cut_is_rolled_back_in_a_copy(source, target):
    foreign_files.write_sqlitedict(source, {f"k{n}": b"old" * 1000 for n in range(200)})
    writer = sqlite3.connect(source, isolation_level=None)
    writer.execute("PRAGMA cache_size=1")
    writer.execute("BEGIN")
    writer.execute("UPDATE unnamed SET value=?", (pickle.dumps(b"new"),))
    crashed = source + "-crashed"
    for end in ("", "-journal"):
        with open(source + end, "rb") as file, open(crashed + end, "wb") as copy:
            copy.write(file.read())
    writer.execute("ROLLBACK")
    writer.close()
    before = hashes(crashed)
    migrate(crashed, target)
    assert set(content(target).values()) == {b"old" * 1000}
    assert hashes(crashed) == before


def test_a_link_leads_to_the_file_with_its_log(source, target, tmp_path):
    foreign_files.write_dictsqlite(source, {"a": 1})
    writer = sqlite3.connect(source)
    writer.execute("INSERT INTO kv_store (key, value) VALUES ('b', ?)", (pickle.dumps(2),))
    writer.commit()
    os.symlink(source, tmp_path / "link")
    migrate(tmp_path / "link", target)
    writer.close()
    assert content(target) == {"a": 1, "b": 2}


def test_a_damaged_sqlite_file_is_an_error(source, target):
    foreign_files.write_sqlitedict(source, {f"k{n}": b"x" * 1000 for n in range(100)})
    with open(source, "r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 40960)
    with pytest.raises(CorruptError, match="damaged"):
        migrate(source, target)
    assert nothing_at(target)


def test_a_source_that_changes_meanwhile_is_an_error(source, target):
    foreign_files.write_sqlitedict(source, {f"k{n}": n for n in range(2000)})

    def touch(done, total):
        os.utime(source, ns=(time.time_ns(), done))

    with pytest.raises(StorageError, match="changed while"):
        migrate(source, target, progress=touch)
    assert nothing_at(target)


def test_a_folder_that_may_not_be_written_serves_as_a_source(source, target):
    foreign_files.write_dictsqlite(source, VALUES)
    os.chmod(os.path.dirname(source), 0o500)
    try:
        migrate(source, target)
    finally:
        os.chmod(os.path.dirname(source), 0o700)
    assert content(target) == VALUES


def test_names_of_files_and_tables_are_quoted(tmp_path, target):
    path = tmp_path / "a file?mode=rw&x#y%41.db"
    foreign_files.write_sqlitedict(path, VALUES, table='odd; "name"'.replace('"', '""'))
    assert migrate(path, target).table == 'odd; "name"'
    assert content(target) == VALUES


def test_views_and_virtual_tables_are_not_read(source, target):
    connection = sqlite3.connect(source)
    connection.execute("CREATE TABLE t (a)")
    connection.execute("CREATE VIEW unnamed (key, value) AS SELECT 'k', x'80044b012e' FROM t")
    connection.close()
    with pytest.raises(FormatError, match="no table of a known library"):
        migrate(source, target)


# ---- pickles as they are ----


def test_checked_pickles_may_be_stored_as_they_are(source, target):
    foreign_files.write_sqlitedict(source, VALUES)
    report = migrate(source, target, values="raw")
    assert report.storage_mode == "bytes"
    assert content(target, "bytes") == {key: pickle.dumps(value) for key, value in VALUES.items()}
    foreign_files.write_sqlitedict(source + "2", {"evil": Evil()})
    with pytest.raises(UnsafePickleError, match="evil"):
        migrate(source + "2", target, values="raw", overwrite=True)


def test_the_database_of_a_cache_is_not_replaced(source):
    foreign_files.write_diskcache(source, VALUES)
    before = hashes(source + "/cache.db")
    with pytest.raises(ValueError, match="is the source"):
        migrate(source, source + "/cache.db", overwrite=True)
    assert hashes(source + "/cache.db") == before


def test_a_cache_has_no_raw_pickles(source, target):
    foreign_files.write_diskcache(source, {"a": b"x"})
    with pytest.raises(ValueError, match="raw"):
        migrate(source, target, values="raw")


# ---- the document ----


def test_the_calls_that_the_document_shows_work(tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    monkeypatch.chdir(tmp_path)
    foreign_files.write_dictsqlite("old.db", VALUES)
    write_encrypted("sealed.db")
    foreign_files.write_dictsqlite("json.db", JSON_VALUES,
                                   dumps=lambda value: foreign_files.json.dumps(value).encode())
    foreign_files.write_dictsqlite("several.db", {"k": 1}, table="kv_users")
    foreign_files.write_sqlitedict("sqlitedict.sqlite", VALUES)
    foreign_files.write_diskcache("cache", VALUES)
    foreign_files.write_dbm_dumb("counters", [(b"k", b"1")])
    write_keys("numbers")
    page = (pathlib.Path(__file__).resolve().parents[3] / "docs" / "migrating.md").read_text()
    calls = "".join(re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    exec(calls, {"migrate": migrate})
    made = [name for name in os.listdir() if name.startswith("new")]
    assert len(made) == calls.count("migrate(") == 8


# ---- the predecessor's names ----


def test_the_names_of_the_predecessor_are_there():
    assert dictsqlite.DictSQLiteV4 is DictSQLite
    assert dictsqlite.is_native_available() is True
    with dictsqlite.DictSQLiteV4(":memory:") as db:
        db.bulk_insert({"a": b"1"})
        db.bulk_insert([("b", b"2")])
        assert db == {"a": b"1", "b": b"2"}


def test_a_report_is_a_tuple_with_names(source, target):
    foreign_files.write_sqlitedict(source, {"k": None})
    report = migrate(source, target)
    assert report == MigrationReport("sqlitedict", "unnamed", "pickle", 1, 1 + len(pickle.dumps(None)), 0, 0)
