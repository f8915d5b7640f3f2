"""The commands of `dictsqlite`, but for the formats of dump and load."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import select
import signal
import struct
import subprocess
import sys
import termios

import pytest

import dictsqlite
from command_line import command, process, start
from conftest import wait_until
from dictsqlite import DictSQLite
from dictsqlite._cli import arguments
from foreign_files import write_dictsqlite, write_sqlitedict

SECRET = "correct horse"
READING = ("get", "keys", "dump", "stats", "verify", "backup")
COMMANDS = ("get set del keys load dump stats verify backup compact rekey encrypt decrypt migrate shell bench help").split()
ROOT = pathlib.Path(__file__).resolve().parents[3]


def store(path, records, password=None):
    with DictSQLite(path, encryption_password=password) as db:
        db.update(records)


def content(path, password=None):
    with DictSQLite(path, encryption_password=password, create=False) as db:
        return dict(db.items())


def arguments_of(name, path):
    """The least that a command on a file takes."""
    return {"get": [path, "k"], "del": [path, "k"], "set": [path, "k", "v"],
            "backup": [path, path.with_name("copy.db")]}.get(name, [path])


# ---- single records ----


def test_set_and_get_keep_every_byte(path):
    every = bytes(range(256)) * 2
    assert command("set", path, "k", stdin=every).status == 0
    got = command("get", path, "k")
    assert (got.status, got.out, got.err) == (0, every, "")


@pytest.mark.parametrize("value", [b"", b"\n", b"text\r\n", b"\0\xff"])
def test_a_process_sets_and_gets_exactly(path, value):
    assert process("set", path, "", "-", stdin=value).status == 0
    assert process("get", path, "").out == value


def test_set_takes_the_value_from_the_command_line_or_a_file(path, tmp_path):
    (tmp_path / "value").write_bytes(b"from a file\n")
    assert command("set", path, "a", "日本").status == 0
    assert command("set", path, "b", "--file", tmp_path / "value").status == 0
    assert command("set", path, "--", "-c", "-v").status == 0
    assert content(path) == {"a": "日本".encode(), "b": b"from a file\n", "-c": b"-v"}
    assert command("get", path, "--", "-c").out == b"-v"
    assert command("set", path, "d", "v", "--file", "value").status == 2


def test_an_argument_that_is_not_utf8_is_a_value_and_no_key(path):
    raw = os.fsdecode(b"\xff\xfe")
    assert process("set", path, "k", raw).status == 0
    assert content(path) == {"k": b"\xff\xfe"}
    for args in (["get", path, raw], ["set", path, raw, "v"], ["keys", path, "--prefix", raw]):
        refused = process(*args)
        assert (refused.status, refused.err) == (3, "dictsqlite: a key or a name is not valid UTF-8\n")


def test_an_absent_key_has_a_status_of_its_own(path):
    store(path, {"a": b"1", "b": b"2"})
    absent = command("get", path, "line\nfeed")
    assert (absent.status, absent.out) == (1, b"")
    assert absent.err == "dictsqlite: there is no key line\\nfeed\n"
    absent = command("del", path, "a", "x", "a", "y")
    assert (absent.status, absent.err.count("there is no key")) == (1, 2)
    assert command("del", path, "b").status == 0
    assert content(path) == {}


def test_keys_are_listed_in_order_and_by_prefix_and_range(path):
    store(path, {key: b"v" for key in ("b", "a", "ab", "line\nfeed", "日本", "")})
    assert command("keys", path).out.decode() == "\na\nab\nb\nline\nfeed\n日本\n"
    assert command("keys", path, "-0", "--start", "b").out.decode() == "b\0line\nfeed\0日本\0"
    assert command("keys", path, "--prefix", "a").out == b"a\nab\n"
    assert command("keys", path, "--start", "a", "--stop", "b", "--limit", "1").out == b"a\n"
    assert command("keys", path, "--limit", "0").out == b""
    assert command("keys", path, "--limit", "-1").status == 2
    assert command("keys", path, "--prefix", "a", "--start", "a").status == 3


# ---- the file as a whole ----


def test_stats_say_how_much_there_is(path):
    store(path, {str(i): b"v" for i in range(1234)})
    found = json.loads(command("stats", path, "--json").out)
    assert found == {"file": str(path), "encrypted": False, "storage_mode": "bytes", "records": 1234,
                     "file_bytes": path.stat().st_size, "wal_bytes": 0}
    table = command("stats", path).out.decode()
    assert re.search(r"^records +1,234$", table, re.MULTILINE)
    assert re.search(r"^storage mode +bytes$", table, re.MULTILINE)


def test_verify_tells_damage(path):
    store(path, {str(i): b"v" * 1000 for i in range(100)})
    sound = command("verify", path)
    assert (sound.status, sound.out.decode(), sound.err) == (0, f"{path}: ok, 100 records\n", "")
    with open(path, "r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xee" * 8192)
    assert command("verify", path).status == 3


def test_backup_makes_a_copy_and_replaces_one_only_if_told(path):
    copy = path.with_name("copy.db")
    store(path, {"a": b"1"}, SECRET)
    password = ["--password-file", path.with_name("password")]
    password[1].write_text(SECRET)
    assert command("backup", path, copy, *password).status == 0
    assert content(copy, SECRET) == {"a": b"1"}
    assert command("backup", path, copy, *password).status == 3
    assert command("backup", path, copy, "--overwrite", *password).status == 0


def test_compact_makes_a_file_smaller(path):
    store(path, {str(i): b"v" * 4000 for i in range(300)})
    before = path.stat().st_size
    command("del", path, *range(290))
    assert command("compact", path).status == 0
    assert path.stat().st_size < before / 2
    assert len(content(path)) == 10


def test_bench_prints_parameters_and_figures_and_leaves_nothing(tmp_path):
    options = ["--records", "2000", "--durable", "20", "--value-bytes", "10"]
    done = command("bench", tmp_path, "--json", *options)
    found = json.loads(done.out)
    assert found["parameters"] == {"directory": str(tmp_path), "version": dictsqlite.__version__,
                                   "records": 2000, "value_bytes": 10, "durable": 20, "seed": 1}
    assert all(value > 0 for value in found["figures"].values())
    shown = command("bench", tmp_path, *options).out.decode()
    assert all(name.replace("_", " ") in shown for name in found["figures"])
    assert list(tmp_path.iterdir()) == []


# ---- what is refused, and how ----


@pytest.mark.parametrize("name", [*READING, "del", "compact", "encrypt", "decrypt", "rekey", "shell"])
def test_a_missing_file_is_refused_and_not_made_by(name, path):
    refused = command(name, *arguments_of(name, path))
    assert (refused.status, refused.out) == (3, b"")
    assert re.fullmatch(r"dictsqlite: there is no file .*\n", refused.err)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("name", [*READING, "set", "del", "load", "compact", "encrypt", "shell"])
def test_a_file_that_is_in_use_is_refused_by(name, path):
    with DictSQLite(path) as db:
        db["k"] = b"v"
        refused = process(name, *arguments_of(name, path))
    assert (refused.status, refused.out) == (3, b"")
    assert re.fullmatch(rf"dictsqlite: .*in use by process [0-9]+\n", refused.err)


def test_several_commands_read_a_file_at_a_time(path):
    store(path, {"k": b"v"})
    with DictSQLite(path, readonly=True):
        for name in READING[:-1]:
            assert process(name, *arguments_of(name, path)).status == 0


@pytest.mark.parametrize("name", ["get", "keys", "dump", "verify", "stats"])
def test_after_a_crash_a_file_is_read_by(name, path, script):
    script("""
        import os, sys, dictsqlite
        db = dictsqlite.DictSQLite(sys.argv[1])
        db["k"] = b"v"
        os._exit(0)
    """, path)
    assert command(name, *arguments_of(name, path)).status == 0
    assert content(path) == {"k": b"v"}


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["get"], ["get", "FILE"], ["set", "FILE"], ["del", "FILE"], ["keys", "FILE", "--limit", "x"],
    ["load", "FILE", "--format", "xml"], ["dump", "FILE", "out.xml"], ["load", "FILE", "in"], ["backup", "FILE"],
    ["stats", "FILE", "--jso"], ["get", "FILE", "k", "--password", "visible"], ["get", ":memory:", "k"],
    ["get", "FILE", "k", "--password-env", "A", "--password-file", "B"], ["bench", "--records", "0"],
    ["help", "nonsense"],
])
def test_used_wrongly_it_exits_with_2(path, args):
    store(path, {"k": b"v"})
    wrong = command(*[path if arg == "FILE" else arg for arg in args])
    assert (wrong.status, wrong.out) == (2, b"")
    assert wrong.err != ""


@pytest.mark.parametrize("content_of_file", [b"no database at all, but long enough " * 200, b"SQLite format 3\0"])
def test_what_is_no_store_is_refused_in_one_line(path, content_of_file):
    path.write_bytes(content_of_file)
    for name in [*READING, "set", "load"]:
        refused = command(name, *arguments_of(name, path))
        assert refused.status == 3
        assert len(refused.err.splitlines()) == 1 and refused.err.startswith("dictsqlite: ")
    assert path.read_bytes() == content_of_file


def test_a_missing_input_is_refused_before_a_file_is_made(path):
    for args in (["load", path, "nothing.jsonl"], ["set", path, "k", "--file", "nothing"]):
        refused = command(*args)
        assert (refused.status, refused.err) == (3, f"dictsqlite: {args[-1]}: No such file or directory\n")
    assert not path.exists()


def test_a_full_device_is_refused(path):
    store(path, {str(i): b"v" for i in range(100)})
    with open("/dev/full", "wb") as full:
        for name in ("dump", "keys", "stats"):
            child = start(name, path, stdout=full)
            assert child.communicate()[1] == b"dictsqlite: No space left on device\n"
            assert child.returncode == 3


def test_closed_standard_streams_are_refused(path):
    store(path, {"k": b"v"})
    shell = 'exec "$0" -m dictsqlite "$@"'
    for streams, args in ((">&-", ["get", path, "k"]), ("<&-", ["load", path])):
        done = subprocess.run(["sh", "-c", f"{shell} {streams}", sys.executable, *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr[-10:]) == (3, "is closed\n")


def test_a_reader_that_goes_away_is_silent(path):
    store(path, {f"{i:09}": b"v" * 100 for i in range(50_000)})
    for name in ("dump", "keys"):
        child = start(name, path)
        child.stdout.readline()
        child.stdout.close()
        assert (child.stderr.read(), child.wait(60)) == (b"", 141)


def test_an_interrupted_load_has_stored_a_beginning(path):
    records = b"".join(b'{"key":"%09d","value":"v"}\n' % i for i in range(25_000))
    child = start("load", path, stdin=subprocess.PIPE)
    child.stdin.write(records)
    child.stdin.flush()
    wait_until(lambda: bytes_in_pipe(child.stdin) == 0)
    child.send_signal(signal.SIGINT)
    assert (child.wait(60), child.stderr.read()) == (130, b"dictsqlite: interrupted\n")
    assert list(content(path)) == [f"{i:09}" for i in range(20_000)]


def bytes_in_pipe(file):
    return struct.unpack("i", fcntl.ioctl(file, termios.FIONREAD, bytes(4)))[0]


def test_an_interrupted_dump_leaves_no_output(path, tmp_path):
    store(path, {f"{i:09}": b"v" for i in range(10_000)})
    code = ("import sys; from dictsqlite._cli import dump, main\n"
            "def interrupt(*_): raise KeyboardInterrupt\n"
            "dump.write_all = interrupt; sys.exit(main.main(sys.argv[1:]))")
    child = subprocess.run([sys.executable, "-c", code, "dump", path, tmp_path / "out.csv"],
                           capture_output=True, check=False)
    assert (child.returncode, child.stderr) == (130, b"dictsqlite: interrupted\n")
    assert list(tmp_path.iterdir()) == [path]


# ---- passwords ----


@pytest.fixture
def password_file(tmp_path):
    file = tmp_path / "password"
    file.write_text(SECRET + "\r\nsecond line")
    return file


@pytest.mark.parametrize("name", [*READING, "set", "del", "load", "compact", "shell"])
def test_the_password_comes_from_a_file_or_the_environment_for(name, path, password_file, monkeypatch):
    store(path, {"k": b"v"}, SECRET)
    monkeypatch.setenv("PW", SECRET)
    args = arguments_of(name, path)
    if name == "backup":
        args.append("--overwrite")
    assert command(name, *args, "--password-file", password_file).status == 0
    assert command(name, *args, "--password-env", "PW").status == (1 if name == "del" else 0)


@pytest.mark.parametrize("name", ["get", "load"])
def test_a_wrong_or_missing_password_is_refused(name, path):
    store(path, {"k": b"v"}, SECRET)
    wrong = process(name, *arguments_of(name, path), "--password-env", "PW", PW="wrong")
    assert wrong.status == 3 and "wrong password" in wrong.err
    missing = process(name, *arguments_of(name, path))
    assert missing.status == 3 and "there is no terminal to ask for the password" in missing.err


def test_set_and_load_make_an_encrypted_file_if_they_have_a_password(path, password_file):
    other = path.with_name("other.db")
    assert command("set", path, "k", "v", "--password-file", password_file).status == 0
    assert command("load", other, "--password-file", password_file, stdin=b'{"key":"k","value":"v"}').status == 0
    assert content(path, SECRET) == content(other, SECRET) == {"k": b"v"}


def test_a_plain_file_refuses_a_password(path, password_file):
    store(path, {"k": b"v"})
    refused = command("get", path, "k", "--password-file", password_file)
    assert refused.status == 3 and "not encrypted" in refused.err
    for name in ("decrypt", "rekey"):
        refused = process(name, path)
        assert (refused.status, refused.err) == (3, f"dictsqlite: {path} is not encrypted\n")


def test_an_encrypted_file_is_not_encrypted_again(path):
    store(path, {"k": b"v"}, SECRET)
    refused = process("encrypt", path)
    assert refused.status == 3 and "is encrypted already" in refused.err


# ---- what values are ----


def test_a_new_file_records_the_storage_mode(path, tmp_path):
    assert command("set", path, "k", '{"a": [1]}', "--storage-mode", "json").status == 0
    loaded = tmp_path / "loaded.db"
    assert command("load", loaded, "--storage-mode", "json", stdin=b'{"key":"k","value":"[1]"}').status == 0
    created = tmp_path / "created.db"
    assert command("shell", created, "--create", "--storage-mode", "pickle", stdin=b"").status == 0
    with DictSQLite(path, storage_mode=None) as db:
        assert (db.storage_mode, db["k"]) == ("json", {"a": [1]})
    with DictSQLite(loaded, storage_mode=None) as db:
        assert (db.storage_mode, db["k"]) == ("json", [1])
    assert json.loads(command("stats", created, "--json").out)["storage_mode"] == "pickle"


def test_values_of_every_mode_are_read_and_written_as_they_are_in_the_file(path, tmp_path):
    for mode in ("json", "pickle"):
        file, copy = tmp_path / mode, tmp_path / (mode + "-copy")
        with DictSQLite(file, storage_mode=mode) as db:
            db["k"] = ["日", 1]
        with DictSQLite(file, storage_mode="raw") as db:
            assert command("get", copy, "k").status == 3
            raw = db["k"]
        assert command("get", file, "k").out == raw
        dumped = command("dump", file).out
        assert command("load", copy, "--storage-mode", mode, stdin=dumped).status == 0
        with DictSQLite(copy, storage_mode=mode) as db:
            assert db["k"] == ["日", 1]


def test_a_store_of_json_takes_only_json(path):
    with DictSQLite(path, storage_mode="json") as db:
        db["k"] = 1
    assert "is not JSON" in command("set", path, "k", "{").err
    refused = command("load", path, stdin=b'{"key":"a","value":"2"}\n{"key":"b","value":"NaN"}\n')
    assert refused.status == 3 and "line 2: the value is not JSON" in refused.err
    assert command("set", path, "k", stdin=b"\xff").status == 3
    shell = command("shell", path, stdin=b"set k nope\nset l '[\"x\"]'\nget l\n")
    assert (shell.status, shell.out) == (3, b'["x"]\n')
    with DictSQLite(path, storage_mode="json") as db:
        assert dict(db.items()) == {"a": 2, "k": 1, "l": ["x"]}


def test_a_refused_value_makes_no_file(path):
    refused = command("set", path, "k", "{", "--storage-mode", "json")
    assert refused.status == 3 and "is not JSON" in refused.err
    assert not path.exists()


# ---- from elsewhere ----


def test_migrate_copies_and_says_what(path, tmp_path):
    source = tmp_path / "old.sqlite"
    write_sqlitedict(source, {"a": [1], "b": "x"}, table="users")
    done = command("migrate", source, path, "--storage-mode", "json")
    assert (done.status, done.out) == (0, b"sqlitedict, table users: 2 records stored as json\n")
    with DictSQLite(path, storage_mode="json") as db:
        assert dict(db.items()) == {"a": [1], "b": "x"}
    again = command("migrate", source, path)
    assert again.status == 3 and len(again.err.splitlines()) == 1
    kept = ["--overwrite", "--keep-pickles", "--from", "sqlitedict", "--table", "users"]
    assert command("migrate", source, path, *kept).out == b"sqlitedict, table users: 2 records stored as bytes\n"


def test_migrate_refuses_or_skips_what_is_not_safe(path, tmp_path):
    source = tmp_path / "old.sqlite"
    write_sqlitedict(source, {"a": 1, "b": pathlib.Path("/")})
    refused = command("migrate", source, path)
    assert refused.status == 3 and "pathlib" in refused.err
    assert not path.exists()
    done = command("migrate", source, path, "--skip-unsafe")
    assert done.out == b"sqlitedict, table unnamed: 1 record stored as pickle, 1 skipped\n"


def test_migrate_asks_for_or_takes_the_password_of_the_source(path, tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    source = tmp_path / "old.db"
    write_dictsqlite(source, {"a": 1}, password=SECRET)
    monkeypatch.setenv("PW", SECRET)
    refused = process("migrate", source, path)
    assert refused.status == 3 and "use --source-password-env" in refused.err
    assert command("migrate", source, path, "--source-password-env", "PW", "--password-env", "PW").status == 0
    with DictSQLite(path, encryption_password=SECRET, storage_mode="pickle") as db:
        assert dict(db.items()) == {"a": 1}
    terminal = Terminal("migrate", source, tmp_path / "other.db")
    terminal.read_until(b"old.db: ")
    terminal.write(SECRET.encode() + b"\n")
    assert terminal.end()[0] == 0


def test_migrate_refuses_what_is_no_source(path, tmp_path):
    (tmp_path / "text").write_text("hello")
    for source in ("text", "nothing"):
        refused = command("migrate", tmp_path / source, path)
        assert (refused.status, len(refused.err.splitlines())) == (3, 1)
        assert not path.exists()


def test_what_comes_last_may_stand_behind_the_options(path, tmp_path):
    assert command("set", path, "k", "--storage-mode", "json", "[1]").status == 0
    assert command("dump", path, "--prefix", "k", tmp_path / "out.csv").status == 0
    assert command("load", path, "--format", "csv", tmp_path / "out.csv").status == 0
    assert command("get", path, "k").out == b"[1]"
    for wrong in (["get", path, "k", "more"], ["set", path, "k", "v", "more"], ["set", path, "k", "--unknown"]):
        assert command(*wrong).status == 2


# ---- a terminal ----


class Terminal:
    """A program at a terminal of its own, by default a command."""

    def __init__(self, *args, program=(sys.executable, "-m", "dictsqlite"), **options):
        self.master, slave = os.openpty()
        self.seen = b""
        self.child = subprocess.Popen(
            [*program, *map(str, args)], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "dumb", "COLUMNS": "80"}, **options)
        os.close(slave)

    def read(self):
        """What was written next; nothing at the end."""
        if not select.select([self.master], [], [], 60)[0]:
            self.child.kill()
            pytest.fail(f"the program is silent after {self.seen!r}")
        return os.read(self.master, 4096)

    def read_until(self, awaited):
        """What was written up to what is awaited."""
        while awaited not in self.seen:
            self.seen += self.read()
        before, _, self.seen = self.seen.partition(awaited)
        return before

    def write(self, data):
        os.write(self.master, data)

    def interrupt_until(self, awaited):
        """Ctrl-C, again if need be: Python's readline overlooks a signal that comes just before it waits."""
        self.write(b"\x03")
        while awaited not in self.seen:
            if select.select([self.master], [], [], 1)[0]:
                self.seen += os.read(self.master, 4096)
            else:
                self.write(b"\x03")
        self.seen = b""

    def end(self):
        """The status, and all that was not read yet."""
        with contextlib.suppress(OSError):  # once nobody has the other side
            while more := self.read():
                self.seen += more
        os.close(self.master)
        return self.child.wait(60), self.seen.decode()


def test_a_password_is_asked_for_at_the_terminal(path):
    store(path, {"k": b"v"}, SECRET)
    terminal = Terminal("get", path, "k")
    terminal.read_until(b"store.db: ")
    terminal.write(SECRET.encode() + b"\n")
    assert terminal.end() == (0, "\r\nv\r\n")


def test_a_plain_file_asks_for_nothing(path):
    store(path, {"k": b"v"})
    assert Terminal("get", path, "k").end() == (0, "v\r\n")


def test_a_new_password_is_asked_for_twice(path):
    store(path, {"k": b"v"})
    terminal = Terminal("encrypt", path)
    terminal.read_until(b": ")
    terminal.write(b"one\n")
    terminal.read_until(b", again: ")
    terminal.write(b"two\n")
    status, said = terminal.end()
    assert status == 3 and "the passwords are not the same" in said
    terminal = Terminal("set", path.with_name("new.db"), "k", "v", "--password-prompt")
    terminal.read_until(b": ")
    terminal.write(b"one\n")
    terminal.read_until(b", again: ")
    terminal.write(b"one\n")
    assert terminal.end()[0] == 0
    assert content(path.with_name("new.db"), "one") == {"k": b"v"}


def test_the_terminal_is_shown_no_control_characters_of_keys(path):
    store(path, {"\x1b[31mred": b"v"})
    assert Terminal("keys", path).end() == (0, "\\x1b[31mred\r\n")


def test_what_is_typed_at_the_terminal_is_stored(path):
    terminal = Terminal("set", path, "k")
    terminal.read_until(b"Ctrl-D")
    terminal.write(b"typed\n\x04")
    assert terminal.end()[0] == 0
    assert content(path) == {"k": b"typed\n"}


IMPATIENT = (sys.executable, "-c", """
import sys
from dictsqlite._cli import main, progress
progress.SHOW_AFTER_S = progress.SHOW_EVERY_S = 0
sys.exit(main.main(sys.argv[1:]))
""")


@pytest.mark.parametrize("args", [
    ["dump", "FILE", "OUT/dump.csv"], ["load", "OUT/new.db", "OUT/in.jsonl"], ["verify", "FILE"],
    ["backup", "FILE", "OUT/copy.db"], ["compact", "FILE"],
])
def test_progress_is_shown_at_the_terminal_by(path, tmp_path, args):
    records = {f"{i:09}": b"v" * 100 for i in range(20_000)}
    store(path, records)
    (tmp_path / "in.jsonl").write_text("".join(f'{{"key":"{key}","value":"v"}}\n' for key in records))
    args = [arg.replace("FILE", str(path)).replace("OUT", str(tmp_path)) for arg in args]
    status, said = Terminal(*args, program=IMPATIENT).end()
    assert status == 0
    shown = r"\d:\d\d" if args[0] == "compact" else r"\[[#.]{30}\] +\d+ %"
    assert re.search(rf"\r{args[0]}: {shown}.*\r\x1b\[K", said)


def test_progress_is_not_shown_where_the_records_are(path):
    store(path, {f"{i:09}": b"v" * 100 for i in range(20_000)})
    status, said = Terminal("dump", path, program=IMPATIENT).end()
    assert (status, said.count("dump: ")) == (0, 0)


def test_nothing_short_shows_progress(path, tmp_path):
    store(path, {"k": b"v"})
    assert Terminal("dump", path, tmp_path / "out.csv").end() == (0, "1 record dumped\r\n")


# ---- the shell ----


def test_the_shell_runs_commands_from_a_pipe_and_goes_on_after_errors(path):
    store(path, {"a": b"1"})
    lines = b"""set b 'two words'\nget b\nget nobody\nnonsense\n\nset x\nget 'open\ncount\nkeys b\ndel a b\ncount\nquit\nget a\n"""
    ended = command("shell", path, stdin=lines)
    assert ended.out == b"two words\n2\nb\n0\n"
    assert [line.split(":")[1][:16] for line in ended.err.splitlines()] == [
        " there is no key", " there is no com", " usage", " No closing quot"]
    assert ended.status == 2


@pytest.mark.parametrize("lines, status", [
    (b"", 0), (b"count", 0), (b"get nobody\n", 1), (b"get nobody\nnonsense\n", 2), (b"keys x y\nget nobody\n", 2),
    (b"get \xff\nget nobody\n", 3), (b"del nobody\nhelp get\nhelp\nstats", 1),
])
def test_the_status_of_a_shell_in_a_pipe_is_the_highest(path, lines, status):
    store(path, {"a": b"1"})
    assert process("shell", path, stdin=lines).status == status


def test_the_shell_keeps_bytes_of_values_as_they_are(path):
    ended = process("shell", path, "--create", stdin=b"set k \xff\xfe\nget k\n")
    assert (ended.status, ended.out) == (0, b"\xff\xfe\n")


def test_the_shell_explains_its_commands(path):
    store(path, {})
    shown = command("shell", path, stdin=b"help\nhelp del\nhelp nonsense\n")
    assert shown.out.decode().splitlines()[-1] == "del KEY...: deletes keys"
    assert len(shown.out.splitlines()) == 9
    assert shown.status == 2


def test_the_shell_at_a_terminal_prompts_and_survives_ctrl_c(path):
    store(path, {"k": b"\xff", "t": "é\x1b".encode()})
    terminal = Terminal("shell", path)
    assert b"2 records" in terminal.read_until(b"dictsqlite> ")
    terminal.write(b"get k\n")
    assert rb"b'\xff'" in terminal.read_until(b"dictsqlite> ")
    terminal.write(b"get t\n")
    assert "é\\x1b".encode() in terminal.read_until(b"dictsqlite> ")
    terminal.write(b"half a li")
    terminal.read_until(b"half a li")
    terminal.interrupt_until(b"dictsqlite> ")
    terminal.write(b"get nobody\n")
    terminal.read_until(b"there is no key nobody")
    terminal.read_until(b"dictsqlite> ")
    terminal.write(b"\x04")
    assert terminal.end()[0] == 0


# ---- help and documents ----


def test_every_command_is_explained():
    general = command("--help").out.decode()
    assert command("help").out.decode() == general
    for name in COMMANDS:
        assert re.search(rf"^    {name}  +\w", general, re.MULTILINE)
        shown = command(name, "--help")
        assert shown.status == 0
        assert command("help", name).out == shown.out
        assert f"\n  dictsqlite {name} " in shown.out.decode()


def test_the_commands_are_those_that_are_tested():
    choices = next(action.choices for action in arguments.make_parser()._actions if action.dest == "command")
    assert sorted(choices) == sorted(COMMANDS)


def document():
    return (ROOT / "docs/command-line.md").read_text()


def test_the_document_names_every_command_and_option():
    choices = next(action.choices for action in arguments.make_parser()._actions if action.dest == "command")
    for name, parser in choices.items():
        assert re.search(rf"`[^`]*\b{name}\b[^`]*`", document())
        for option in (option for action in parser._actions for option in action.option_strings):
            assert option in ("-h", "--help", "--null") or f"{option}" in document()


def test_the_examples_of_the_document_do_what_it_says(tmp_path):
    for name, option in (("dictsqlite", "-m dictsqlite"), ("python", "")):
        (tmp_path / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {option} "$@"\n')
        (tmp_path / name).chmod(0o755)
    blocks = re.findall(r"```console\n(.*?)```", document(), re.DOTALL)
    shown = "".join(blocks)
    commands = re.findall(r"^\$ (.*\n(?:> .*\n)*)", shown, re.MULTILINE)
    code = "".join(f"printf '%s\\n' {quoted(line)}\n(exit $status)\n{without_prompts(line)}status=$?\n"
                   for line in commands)
    status, said = Terminal("-c", f"PATH={tmp_path}:$PATH\n{code}", program=["bash"], cwd=tmp_path).end()
    assert said.replace("\r\n", "\n").replace(str(tmp_path), "/home/ada") == shown


def quoted(line):
    return "'" + ("$ " + line[:-1]).replace("'", "'\\''") + "'"


def without_prompts(line):
    return line.replace("\n> ", "\n")
