"""What cannot be opened is refused, named, and left as it was."""

import os
import sqlite3
import stat

import pytest

from dictsqlite import DictSQLite, DictSQLiteError, FormatError, LockedError, StorageError


def test_a_directory_is_no_store(tmp_path):
    with pytest.raises(StorageError, match="director"):
        DictSQLite(tmp_path)


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(StorageError, match="missing"):
        DictSQLite(tmp_path / "missing" / "store.db")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_not_created_if_that_was_not_asked_for(path):
    with pytest.raises(StorageError, match="store.db"):
        DictSQLite(path, create=False)
    with pytest.raises(OSError):
        DictSQLite(path, readonly=True)
    assert not path.exists()


def test_an_unwritable_directory_is_refused(tmp_path, script):
    tmp_path.chmod(0o555)
    try:
        result = script(
            """
            import os, sys
            import dictsqlite
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            try:
                dictsqlite.DictSQLite("store.db")
            except dictsqlite.StorageError as error:
                print("refused", isinstance(error, OSError), error)
            """
        )
    finally:
        tmp_path.chmod(0o755)
    assert result.stdout.startswith("refused True"), result.stderr
    assert "store.db" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"not a database\n" * 100, b"x", b"SQLite format 3\0" + b"\xff" * 4080],
    ids=["text", "one byte", "header only"],
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises((FormatError, DictSQLiteError), match="store.db"):
        DictSQLite(path)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def make_database(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path.read_bytes()


def test_a_database_of_somebody_else_is_refused_and_left_alone(path):
    content = make_database(path, "CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)")
    with pytest.raises(FormatError, match="store.db"):
        DictSQLite(path)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def test_a_file_of_the_predecessor_is_refused_with_a_word_on_migrating(path):
    content = make_database(
        path, "CREATE TABLE kv_store (key TEXT PRIMARY KEY, value BLOB)",
        "INSERT INTO kv_store VALUES ('k', x'00')",
    )
    with pytest.raises(FormatError, match="migrate"):
        DictSQLite(path)
    assert path.read_bytes() == content


def test_a_newer_format_is_refused_and_left_alone(path):
    DictSQLite(path).close()
    content = make_database(path, "PRAGMA user_version = 1000")
    with pytest.raises(FormatError, match="newer"):
        DictSQLite(path)
    assert path.read_bytes() == content


def test_a_second_open_in_the_same_process_is_locked_out(path):
    with DictSQLite(path) as db:
        db["k"] = b"v"
        with pytest.raises(LockedError, match="store.db"):
            DictSQLite(path)
        assert db["k"] == b"v"
    with DictSQLite(path) as db:
        assert db["k"] == b"v"


def test_a_second_open_in_another_process_is_locked_out(path, script):
    code = """
        import sys
        import dictsqlite
        try:
            dictsqlite.DictSQLite(sys.argv[1])
            print("opened")
        except dictsqlite.LockedError as error:
            print("locked", isinstance(error, OSError), error)
        """
    with DictSQLite(path):
        result = script(code, path)
        assert result.stdout.startswith("locked True"), result.stderr
        assert str(os.getpid()) in result.stdout
    assert script(code, path).stdout == "opened\n"


def test_the_file_is_private(path):
    with DictSQLite(path) as db:
        db["k"] = b"v"
        for name in path.parent.iterdir():
            assert stat.S_IMODE(name.stat().st_mode) == 0o600, name


def test_read_only_stores_share_the_file_and_refuse_writes(path):
    with DictSQLite(path) as db:
        db["k"] = b"v"
    content = path.read_bytes()
    with DictSQLite(path, readonly=True) as one, DictSQLite(path, readonly=True) as two:
        assert one["k"] == two["k"] == b"v"
        assert list(one.items()) == [("k", b"v")]
        for write in (
            lambda: one.__setitem__("k", b"w"),
            lambda: one.__delitem__("k"),
            lambda: one.pop("k"),
            lambda: one.setdefault("new", b"w"),
            lambda: one.update(a=b"1", b=b"2"),
        ):
            with pytest.raises(StorageError):
                write()
        assert one["k"] == b"v"
    assert path.read_bytes() == content


def test_a_failed_open_can_be_tried_again_on_the_same_object(path):
    db = DictSQLite.__new__(DictSQLite)
    with pytest.raises(StorageError):
        db.__init__(path.parent)
    db.__init__(path)
    with db:
        db["k"] = b"v"
        assert db["k"] == b"v"
