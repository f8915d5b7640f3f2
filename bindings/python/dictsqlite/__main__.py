"""The command line: python -m dictsqlite encrypt|decrypt|rekey FILE.

Exit status: 0 done, 2 used wrongly, 3 refused (the message says why).
"""

import argparse
import getpass
import os
import sys
import time

import dictsqlite

PROGRESS_AFTER_S = 1.0
REFUSED = 3


class Refused(Exception):
    """What the user is told before the exit with REFUSED."""


def read_first_line(path):
    """The first line of a file, without its end: a password."""
    try:
        with open(path, "rb") as file:
            return file.readline().rstrip(b"\r\n")
    except OSError as error:
        raise Refused(f"cannot read the password: {error}") from None


def read_variable(name):
    value = os.environb.get(os.fsencode(name))
    if value is None:
        raise Refused(f"the environment has no variable {name}")
    return value


def ask(question, twice):
    password = getpass.getpass(f"{question}: ")
    if twice and getpass.getpass(f"{question}, again: ") != password:
        raise Refused("the passwords are not the same")
    return password.encode("utf-8", "surrogateescape")


def password_of(args, prefix, question, twice):
    """A password from where the options say, never from the command line itself."""
    file, variable = getattr(args, prefix + "file"), getattr(args, prefix + "env")
    if file is not None:
        return read_first_line(file)
    if variable is not None:
        return read_variable(variable)
    return ask(question, twice)


class Bar:
    """Progress on standard error, once something has taken a second, on a terminal only."""

    def __init__(self, what):
        self.what = what
        self.begun = time.monotonic()
        self.shown = False

    def __call__(self, done, total):
        if sys.stderr.isatty() and time.monotonic() - self.begun > PROGRESS_AFTER_S:
            share = f"{100 * done // total:3d} %" if total else str(done)
            sys.stderr.write(f"\r{self.what}: {share}")
            sys.stderr.flush()
            self.shown = True
        return True

    def end(self):
        if self.shown:
            sys.stderr.write("\n")


def convert(args, run, twice):
    password = password_of(args, "password_", "Password", twice)
    bar = Bar(args.command)
    try:
        run(args.file, password, progress=bar)
    finally:
        bar.end()


def rekey(args):
    old = password_of(args, "password_", "Password", False)
    new = password_of(args, "new_password_", "New password", True)
    with dictsqlite.DictSQLite(
            args.file, encryption_password=old, create=False, storage_mode="raw") as db:
        db.rekey(new)


def add_password(parser, prefix, which):
    source = parser.add_mutually_exclusive_group()
    source.add_argument(f"--{prefix}password-file", metavar="FILE",
                        help=f"read {which} from the first line of a file")
    source.add_argument(f"--{prefix}password-env", metavar="NAME",
                        help=f"read {which} from an environment variable")


def make_parser():
    parser = argparse.ArgumentParser(
        prog="dictsqlite",
        description="Work on a dictsqlite file that nobody has open.",
        epilog="Without an option for it, a password is asked for.  "
               "Exit status: 0 done, 2 used wrongly, 3 refused.")
    parser.add_argument("--version", action="version", version=dictsqlite.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (("encrypt", "encrypt a plain file with a password, in place"),
                       ("decrypt", "turn an encrypted file into a plain one, in place"),
                       ("rekey", "give an encrypted file another password")):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.add_argument("file", metavar="FILE", help="the file")
        add_password(command, "", "the password")
        if name == "rekey":
            add_password(command, "new-", "the new password")
    return parser


def run(args):
    if args.command == "encrypt":
        convert(args, dictsqlite.encrypt, True)
    elif args.command == "decrypt":
        convert(args, dictsqlite.decrypt, False)
    else:
        rekey(args)


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        run(args)
    except (Refused, dictsqlite.DictSQLiteError, ValueError, EOFError) as error:
        message = str(error) or "there is no terminal to ask for a password"
        print(f"dictsqlite: {message}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("dictsqlite: interrupted", file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
