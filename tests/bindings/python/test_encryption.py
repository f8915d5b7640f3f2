"""encryption_password: what it keeps from whom, and what is refused."""

import os
import re
import subprocess
import sys

import pytest

import dictsqlite
from dictsqlite import (
    CancelledError,
    ClosedError,
    CorruptError,
    DictSQLite,
    DictSQLiteError,
    LockedError,
    PasswordError,
    StorageError,
)

SECRET = "correct horse"
VALUE = b"a value that nobody may read"


def fill(path, password=SECRET, count=200):
    with DictSQLite(path, encryption_password=password) as db:
        db.update((f"a key of mine {i}", VALUE) for i in range(count))


def read(path, password=SECRET):
    with DictSQLite(path, encryption_password=password) as db:
        return dict(db.items())


@pytest.mark.parametrize("mode", ["writethrough", "lazy"])
def test_what_was_written_is_read_again(path, mode):
    with DictSQLite(path, persist_mode=mode, encryption_password=SECRET) as db:
        db["k"] = VALUE
        db["gone"] = b""
        del db["gone"]
    assert read(path) == {"k": VALUE}


def test_no_file_shows_keys_values_or_the_password(path):
    db = DictSQLite(path, encryption_password=SECRET)
    db.update((f"a key of mine {i}", VALUE) for i in range(200))
    for look in range(2):
        names = sorted(path.parent.iterdir())
        assert path in names
        for name in names:
            data = name.read_bytes()
            for secret in (b"a key of mine", VALUE, SECRET.encode(), b"CREATE TABLE", b"SQLite"):
                assert secret not in data, (name, secret)
        if look == 0:
            db.close()


def test_a_password_is_the_bytes_of_its_text(path):
    fill(path, "pässword")
    assert len(read(path, "pässword".encode())) == 200
    assert len(read(path, bytearray("pässword".encode()))) == 200
    assert len(read(path, memoryview("pässword".encode()))) == 200


@pytest.mark.parametrize("wrong", ["Correct horse", "correct horse ", "x", b"\0", "ü"])
def test_a_wrong_password_is_an_error_that_names_the_file(path, wrong):
    fill(path)
    before = path.read_bytes()
    with pytest.raises(PasswordError, match="store.db.*wrong password"):
        DictSQLite(path, encryption_password=wrong)
    assert path.read_bytes() == before
    assert issubclass(PasswordError, PermissionError)


def test_no_password_for_an_encrypted_file_and_one_for_a_plain_file(path):
    fill(path)
    with pytest.raises(PasswordError, match="needs a password"):
        DictSQLite(path)
    path.unlink()
    fill(path, None)
    with pytest.raises(PasswordError, match="not encrypted"):
        DictSQLite(path, encryption_password=SECRET)
    assert len(read(path, None)) == 200


@pytest.mark.parametrize("password, error", [
    ("", ValueError), (b"", ValueError), ("x" * 1025, ValueError), (3, TypeError),
    (["x"], TypeError), ("\udc80", UnicodeEncodeError),
])
def test_what_is_no_password_is_refused(path, password, error):
    with pytest.raises(error):
        DictSQLite(path, encryption_password=password)
    assert not path.exists()


def test_memory_mode_takes_no_password():
    with pytest.raises(ValueError, match="memory mode"):
        DictSQLite(":memory:", encryption_password=SECRET)


def test_a_changed_page_is_an_error_and_never_a_missing_key(path):
    fill(path, count=2000)
    data = bytearray(path.read_bytes())
    for at in range(8192 + 100, len(data), 4096):
        data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="does not open"):
        read(path)


def test_the_cipher_of_a_new_file_can_be_chosen(path):
    for cipher in ("AES", 1):
        with pytest.raises((ValueError, TypeError), match="cipher must be"):
            DictSQLite(path, encryption_password=SECRET, cipher=cipher)
    with DictSQLite(path, encryption_password=SECRET, cipher="xchacha20-poly1305") as db:
        db["k"] = VALUE
    assert path.read_bytes()[20] == 2
    assert read(path) == {"k": VALUE}


def test_the_exception_is_public():
    assert "PasswordError" in dictsqlite.__all__


# ---- rekey, encrypt, decrypt ----


def test_a_new_password_takes_the_place_of_the_old_one(path):
    with DictSQLite(path, encryption_password=SECRET) as db:
        db["k"] = VALUE
        db.rekey("another")
        db.rekey(password=b"a third")
    for old in (SECRET, "another"):
        with pytest.raises(PasswordError):
            read(path, old)
    assert read(path, "a third") == {"k": VALUE}


def test_only_an_encrypted_store_has_a_password_to_change(path):
    with DictSQLite(path) as db:
        with pytest.raises(DictSQLiteError, match="not encrypted"):
            db.rekey("another")
        with pytest.raises(TypeError, match="password must be"):
            db.rekey(None)
    with pytest.raises(ClosedError):
        db.rekey("another")
    path.unlink()
    with DictSQLite(path, encryption_password=SECRET) as db:
        with pytest.raises(ValueError):
            db.rekey("")
        db["k"] = VALUE
    assert read(path) == {"k": VALUE}


def test_a_file_is_encrypted_and_decrypted(path):
    fill(path, None, 20_000)
    reports = []
    dictsqlite.encrypt(path, SECRET, progress=lambda done, total: reports.append((done, total)))
    assert reports and all(done <= total for done, total in reports)
    with pytest.raises(PasswordError):
        DictSQLite(path)
    assert len(read(path)) == 20_000
    with pytest.raises(PasswordError):
        dictsqlite.encrypt(path, SECRET)
    with pytest.raises(PasswordError):
        dictsqlite.decrypt(path, "wrong")
    dictsqlite.decrypt(str(path), password=SECRET)
    assert len(read(path, None)) == 20_000
    assert [name.name for name in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("convert", ["encrypt", "decrypt"])
def test_a_conversion_that_is_cancelled_changes_nothing(path, convert):
    fill(path, None if convert == "encrypt" else SECRET, 20_000)
    before = path.read_bytes()
    run = getattr(dictsqlite, convert)
    with pytest.raises(CancelledError):
        run(path, SECRET, progress=lambda done, total: False)
    with pytest.raises(ZeroDivisionError):
        run(path, SECRET, lambda done, total: 1 // 0)
    with pytest.raises(TypeError, match="progress must be callable"):
        run(path, SECRET, 3)
    assert path.read_bytes() == before
    assert [name.name for name in path.parent.iterdir()] == [path.name]


def test_an_open_file_is_not_converted(path):
    with DictSQLite(path) as db:
        db["k"] = VALUE
        with pytest.raises(LockedError):
            dictsqlite.encrypt(path, SECRET)
    with pytest.raises(StorageError, match="no file"):
        dictsqlite.encrypt(path.with_name("nothing.db"), SECRET)
    with pytest.raises(TypeError, match="password must be"):
        dictsqlite.encrypt(path, None)


# ---- the command line ----


def command(*args, **environment):
    return subprocess.run([sys.executable, "-m", "dictsqlite", *map(str, args)],
                          env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def test_the_command_line_encrypts_rekeys_and_decrypts(path, tmp_path):
    new = tmp_path / "new password"
    new.write_text("another\nand a second line\n")
    fill(path, None, 10)
    done = command("encrypt", path, "--password-env", "PW", PW=SECRET)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(read(path)) == 10
    done = command("rekey", path, "--password-env", "PW", "--new-password-file", new, PW=SECRET)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(read(path, "another")) == 10
    assert command("decrypt", path, "--password-file", new).returncode == 0
    assert len(read(path, None)) == 10


@pytest.mark.parametrize("args, says", [
    (["decrypt", "FILE", "--password-env", "PW"], "wrong password"),
    (["encrypt", "FILE", "--password-env", "PW"], "not encrypted|is encrypted|password"),
    (["decrypt", "FILE", "--password-env", "NOT_THERE"], "no variable NOT_THERE"),
    (["decrypt", "FILE", "--password-file", "/not/there"], "cannot read the password"),
    (["rekey", "nothing.db", "--password-env", "PW", "--new-password-env", "PW"], "no file"),
])
def test_the_command_line_says_why_it_refuses(path, args, says):
    fill(path)
    before = path.read_bytes()
    done = command(*[path if arg == "FILE" else arg for arg in args], PW="wrong")
    assert done.returncode == 3
    assert re.search(says, done.stderr) and done.stderr.startswith("dictsqlite: ")
    assert len(done.stderr.splitlines()) == 1
    assert path.read_bytes() == before


def test_the_command_line_used_wrongly_exits_with_2(path):
    assert command().returncode == 2
    assert command("encrypt").returncode == 2
    assert command("encrypt", path, "--password", "visible").returncode == 2
    assert command("--help").returncode == 0
