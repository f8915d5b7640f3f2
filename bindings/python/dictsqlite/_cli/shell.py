"""shell: commands on an open store, from a terminal or from a pipe."""

import cmd
import itertools
import os
import shlex
import sys

from .. import _core
from . import storage_modes, stores, streams
from .malformed import Malformed
from .messages import describe, number_of_records, say
from .status import ABSENT, OK, REFUSED, USAGE, Misused
from .upkeep import table


class Shell(cmd.Cmd):
    """One command a line, its words as a POSIX shell quotes them."""

    prompt = "dictsqlite> "
    doc_header = "Commands (help COMMAND says more):"

    def __init__(self, db, interactive):
        super().__init__()
        self.db = db
        self.check_value = storage_modes.check_of(db.storage_mode)
        self.use_rawinput = interactive
        self.worst = OK  # status of any command so far
        if not interactive:
            self.prompt = ""

    # ---- the loop ----

    def onecmd(self, line):
        """Runs a line; an error is told and ends nothing.  True to end."""
        try:
            return super().onecmd(line)
        except (BrokenPipeError, _core.ClosedError):
            raise
        except Misused as error:
            self.fail(USAGE, str(error))
        except (_core.DictSQLiteError, Malformed, OSError, ValueError, MemoryError) as error:
            self.fail(REFUSED, describe(error))

    def fail(self, status, message):
        self.worst = max(self.worst, status)
        streams.standard_output().flush()
        say(message)

    def emptyline(self):
        pass

    def default(self, line):
        raise Misused(f"there is no command {streams.on_one_line(line.split()[0])}; help lists them")

    def write(self, data):
        output = streams.standard_output()
        output.write(data)
        output.flush()

    def words(self, line, least, most, usage):
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise Misused(str(error)) from None
        if not least <= len(words) <= most:
            raise Misused("usage: " + usage)
        return words

    # ---- the commands ----

    def do_get(self, line):
        """get KEY: prints the value of a key"""
        key, = self.words(line, 1, 1, "get KEY")
        value = self.db.get(key)
        if value is None:
            self.fail(ABSENT, f"there is no key {streams.on_one_line(key)}")
        else:
            self.write(self.shown(value) + b"\n")

    def do_set(self, line):
        """set KEY VALUE: stores a value, on disk when the prompt comes back; quote blanks: set k 'a b'"""
        key, value = self.words(line, 2, 2, "set KEY VALUE")
        data = os.fsencode(value)
        self.check_value(data)
        self.db[key] = data

    def do_del(self, line):
        """del KEY...: deletes keys"""
        keys = self.words(line, 1, sys.maxsize, "del KEY...")
        absent = [key for key in keys if key not in self.db]
        self.db.delete_many(keys)
        for key in absent:
            self.fail(ABSENT, f"there is no key {streams.on_one_line(key)}")

    def do_keys(self, line):
        """keys [PREFIX]: lists the keys, or those that begin so, in order"""
        words = self.words(line, 0, 1, "keys [PREFIX]")
        found = (key for key, _ in self.db.scan(words[0])) if words else iter(self.db)
        while some := list(itertools.islice(found, 1000)):
            self.write("".join(self.key_line(key) for key in some).encode())

    def do_count(self, line):
        """count: says how many records there are"""
        self.words(line, 0, 0, "count")
        self.write(b"%d\n" % len(self.db))

    def do_stats(self, line):
        """stats: shows the counters of this session"""
        self.words(line, 0, 0, "stats")
        self.write(table(self.db.stats()).encode())

    def do_help(self, line):
        """help [COMMAND]: lists the commands, or explains one"""
        words = self.words(line, 0, 1, "help [COMMAND]")
        names = words or [name[3:] for name in dir(self) if name.startswith("do_") and name != "do_EOF"]
        explained = [getattr(self, f"do_{name}", self.default) for name in names]
        if explained == [self.default]:
            self.default(names[0])
        self.write("".join(function.__doc__ + "\n" for function in explained).encode())

    def do_quit(self, line):
        """quit: ends the session (as Ctrl-D does)"""
        return True

    def do_EOF(self, line):
        """The end of the input."""
        if self.use_rawinput:
            self.write(b"\n")
        return True

    def shown(self, value):
        """A value as it is, at a terminal only if it is text, with what would disturb that escaped."""
        if not self.use_rawinput:
            return value
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return repr(value).encode()
        return "\n".join(map(streams.on_one_line, text.split("\n"))).encode()

    def key_line(self, key):
        return (streams.on_one_line(key) if self.use_rawinput else key) + "\n"


def run_until_quit(shell):
    """At a terminal Ctrl-C ends a line or a command, not the session."""
    while True:
        try:
            return shell.cmdloop()
        except KeyboardInterrupt:
            if not shell.use_rawinput:
                raise
            shell.write(b"\n")


def shell(args):
    interactive = streams.is_terminal(sys.stdin) and streams.is_terminal(sys.stdout)
    sys.stdin.reconfigure(errors="surrogateescape")
    with stores.open_store(args, create=args.create) as db:
        session = Shell(db, interactive)
        if interactive:
            print(f"{number_of_records(len(db))}; help lists the commands, quit or Ctrl-D ends", flush=True)
        run_until_quit(session)
    return OK if interactive else session.worst
