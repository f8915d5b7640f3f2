"""What can be asked for: the commands and their options."""

import argparse
import functools
import importlib
import textwrap

from .._core import __version__
from . import storage_modes

WIDTH = 78
DESCRIPTION = "Look into a dictsqlite file and change it: a dictionary that is kept on disk."
EPILOG = """\
examples:
  dictsqlite set people.db ada Lovelace        store a value; makes the file if it is missing
  dictsqlite get people.db ada                 print it
  dictsqlite keys people.db --prefix a         list keys
  dictsqlite dump people.db | gzip > people.jsonl.gz
  dictsqlite load copy.db people.csv
  dictsqlite help load                         more about a command

One process has a file open at a time; several commands can read it at once.
If a file is encrypted, its password is asked for at the terminal, unless --password-env or
--password-file says where it is.

exit status: 0 done, 1 there is no such key, 2 used wrongly, 3 refused (the message says why),
130 interrupted, 141 nobody reads the output
"""


def calls(module, function):
    """The function of a sibling module, which is imported when it is called."""
    def run(args):
        return getattr(importlib.import_module("." + module, __package__), function)(args)
    return run


def file_name(text):
    if text == ":memory:":
        raise argparse.ArgumentTypeError("a file is needed, not :memory:")
    return text


def count(text):
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def add_password(parser, prefix="", which="the password"):
    source = parser.add_mutually_exclusive_group()
    source.add_argument(f"--{prefix}password-file", metavar="FILE",
                        help=f"read {which} from the first line of a file")
    source.add_argument(f"--{prefix}password-env", metavar="NAME",
                        help=f"read {which} from an environment variable")
    source.add_argument(f"--{prefix}password-prompt", action="store_true",
                        help=f"ask for {which}{', which makes a new file encrypted' if not prefix else ''}")


def add_command(commands, name, run, text, more, examples):
    description = textwrap.fill(f"{text[0].upper()}{text[1:]}. {more}", WIDTH)
    epilog = "\n".join(["examples:" if len(examples) > 1 else "example:",
                        *(f"  dictsqlite {name} {example}" for example in examples)])
    command = commands.add_parser(
        name, help=text, description=description, epilog=epilog, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.set_defaults(run=run)
    return command


def add_file_command(commands, name, run, text, more, examples):
    """A command on a store: the file first, and where its password is."""
    command = add_command(commands, name, run, text, more, examples)
    command.add_argument("file", metavar="FILE", type=file_name, help="the store")
    add_password(command)
    return command


def add_range(command):
    command.add_argument("--prefix", metavar="TEXT", help="only keys that begin so")
    command.add_argument("--start", metavar="KEY", help="only keys from this one on")
    command.add_argument("--stop", metavar="KEY", help="only keys before this one")


def add_storage_mode(command, default="bytes"):
    command.add_argument("--storage-mode", choices=storage_modes.NAMES,
                         help=f"what the values of a new file are (default: {default})")


def add_format(command):
    command.add_argument("--format", choices=("jsonl", "csv", "tsv"),
                         help="JSON Lines, CSV or TSV (default: as the file's name ends; jsonl)")
    command.add_argument("--no-header", dest="header", action="store_false",
                         help="CSV and TSV: there is no first line with the columns' names")


def add_records(commands):
    add = functools.partial(add_file_command, commands)
    command = add("get", calls("records", "get"), "print the value of a key",
                  "The bytes are printed as they are, with a line end only at a terminal.",
                  ["people.db ada", "photos.db cat.jpg > cat.jpg", "people.db -- -key-with-a-dash"])
    command.add_argument("key", metavar="KEY")
    command = add("set", calls("records", "set_"), "store a value under a key",
                  "Makes the file if it is missing. It is on disk when the command ends.",
                  ["people.db ada Lovelace", "photos.db cat.jpg --file cat.jpg",
                   "notes.db today < note.txt"])
    command.add_argument("key", metavar="KEY")
    command.add_argument("value", metavar="VALUE", nargs="?",
                         help="the value; without it, or as -, standard input, exactly")
    command.add_argument("--file", metavar="FILE", dest="value_file", help="read the value from a file")
    add_storage_mode(command)
    command = add("del", calls("records", "delete"), "delete keys",
                  "All that are there are deleted, as one unit; exit status 1 if one was not there.",
                  ["people.db ada alan", "people.db -- -key-with-a-dash"])
    command.add_argument("key", metavar="KEY", nargs="+")
    command = add("keys", calls("records", "keys"), "list the keys, in order",
                  "A line each; at a terminal with what is not printable escaped.",
                  ["people.db --prefix a --limit 10", "people.db -0 | xargs -0 -n1 echo"])
    add_range(command)
    command.add_argument("--limit", metavar="N", type=count, help="at most so many")
    command.add_argument("-0", "--null", action="store_true",
                         help="end each key with a NUL instead of a line feed")


def add_transfer(commands):
    add = functools.partial(add_file_command, commands)
    command = add("load", calls("load", "load"), "store records from JSON Lines, CSV or TSV",
                  "Makes the file if it is missing; replaces what is there under the same keys. A line that cannot "
                  "be read ends it: what stands before that line is stored.",
                  ["people.db people.jsonl", "people.db --format csv < people.csv"])
    command.add_argument("input", metavar="INPUT", nargs="?", help="what to read (default: standard input)")
    command.add_argument("--atomic", action="store_true",
                         help="store all records or none, as one unit, which has to fit into memory")
    add_storage_mode(command)
    add_format(command)
    command = add("dump", calls("dump", "dump"), "print all records as JSON Lines, CSV or TSV",
                  "load reads them back exactly.",
                  ["people.db > people.jsonl", "people.db people.csv", "people.db --format tsv | cut -f1"])
    command.add_argument("output", metavar="OUTPUT", nargs="?",
                         help="a new file, written whole or not at all (default: standard output)")
    command.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    add_range(command)
    add_format(command)


def add_upkeep(commands):
    add = functools.partial(add_file_command, commands)
    command = add("stats", calls("upkeep", "stats"), "say how many records and bytes there are", "",
                  ["people.db", "people.db --json"])
    command.add_argument("--json", action="store_true", help="as JSON")
    add("verify", calls("upkeep", "verify"), "read the whole file and check it", "",
        ["people.db"])
    command = add("backup", calls("upkeep", "backup"), "write a copy to a new file",
                  "The copy is there whole, or not at all; of an encrypted file it is encrypted, too.",
                  ["people.db people-copy.db"])
    command.add_argument("destination", metavar="DEST", help="the new file")
    command.add_argument("--overwrite", action="store_true", help="replace DEST if it exists")
    add("compact", calls("upkeep", "compact"), "make the file as small as what it holds",
        "Needs as much room on the disk again meanwhile.", ["people.db"])


def add_encryption(commands):
    add = functools.partial(add_file_command, commands)
    add("encrypt", calls("encryption", "encrypt"), "encrypt a plain file with a password, in place", "",
        ["people.db", "people.db --password-file secret.txt"])
    add("decrypt", calls("encryption", "decrypt"), "turn an encrypted file into a plain one, in place", "",
        ["people.db"])
    command = add("rekey", calls("encryption", "rekey"), "give an encrypted file another password", "",
                  ["people.db", "people.db --password-env OLD --new-password-env NEW"])
    add_password(command, "new-", "the new password")


def add_migration(commands):
    command = add_command(
        commands, "migrate", calls("migration", "migrate"), "copy another library's file into a new store",
        "The source is a file of DictSQLite, sqlitedict, shelve or dbm, or a directory of diskcache; it is never "
        "changed. Pickles are loaded only as far as they are safe: classes of yours have to be allowed. The new "
        "store is there whole, or not at all.",
        ["old.sqlite people.db", "cache/ people.db --from diskcache --storage-mode json",
         "old.db people.db --table users --allow myapp.models"])
    command.add_argument("source", metavar="SOURCE", help="the file or directory to read")
    command.add_argument("destination", metavar="DEST", type=file_name, help="the new store")
    command.add_argument("--from", dest="kind", metavar="KIND",
                         choices=("dictsqlite", "dictsqlite1", "sqlitedict", "shelve", "dbm", "diskcache"),
                         help="what the source is (default: what it looks like)")
    command.add_argument("--table", metavar="NAME", help="which table, if there are several")
    command.add_argument("--source-mode", choices=("pickle", "bytes", "json", "jsonb"),
                         help="how a DictSQLite file stores its values, which it does not say (default: pickle)")
    add_storage_mode(command, "as the source's values are")
    command.add_argument("--allow", metavar="MODULE", action="append",
                         help="load classes of this module from pickles; may be given again")
    command.add_argument("--skip-unsafe", action="store_true", help="leave out what is no safe pickle")
    command.add_argument("--keep-pickles", action="store_true", help="store the pickles themselves, as bytes")
    command.add_argument("--other-keys", choices=("error", "skip", "str", "repr"), default="error",
                         help="what becomes of keys that are no text (default: error)")
    command.add_argument("--overwrite", action="store_true", help="replace DEST if it exists")
    add_password(command, "source-", "the source's password")
    add_password(command, "", "the new store's password")


def add_others(commands):
    command = add_file_command(
        commands, "shell", calls("shell", "shell"), "work on a file at a prompt",
        "Reads commands from standard input if that is no terminal.", ["people.db", "people.db < commands.txt"])
    command.add_argument("--create", action="store_true", help="make the file if it is missing")
    add_storage_mode(command)
    command = add_command(
        commands, "bench", calls("bench", "bench"), "measure this machine for some seconds",
        "Uses a temporary store in a directory, and removes it.", [".", "/mnt/disk --json"])
    command.add_argument("directory", metavar="DIRECTORY", nargs="?", default=".",
                         help="on the disk to measure (default: where you are)")
    for name, default, text in (("records", 100_000, "records that are set and read"),
                                ("value-bytes", 64, "the size of a value"),
                                ("durable", 500, "sets that each wait for the disk"),
                                ("seed", 1, "of the order of the keys")):
        command.add_argument(f"--{name}", metavar="N", type=positive, default=default,
                             help=f"{text} (default: {default:,})")
    command.add_argument("--json", action="store_true", help="as JSON")
    command = add_command(commands, "help", None, "explain a command", "", ["load"])
    command.add_argument("about", metavar="COMMAND", nargs="?", choices=commands.choices, default=None)


def make_parser():
    parser = argparse.ArgumentParser(
        prog="dictsqlite", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for add in (add_records, add_transfer, add_upkeep, add_encryption, add_migration, add_others):
        add(commands)

    def explain(args):
        (commands.choices[args.about] if args.about else parser).print_help()

    commands.choices["help"].set_defaults(run=explain)
    return parser


# What a command takes last and can do without.
LAST = {"set": "value", "load": "input", "dump": "output"}


def parse(argv):
    """The arguments.  argparse looks for what is optional before the options only: here it may follow them."""
    parser = make_parser()
    args, rest = parser.parse_known_args(argv)
    last = LAST.get(args.command)
    if last is not None and len(rest) == 1 and getattr(args, last) is None and (rest == ["-"] or rest[0][:1] != "-"):
        setattr(args, last, rest[0])
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args
