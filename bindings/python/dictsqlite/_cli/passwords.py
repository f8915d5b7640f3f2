"""Passwords: from a file, from the environment or from the terminal, never from the arguments."""

import os
import sys

from .status import Refused
from .streams import is_terminal


def read_first_line(path):
    """The first line of a file, without its end."""
    try:
        with open(path, "rb") as file:
            return file.readline().rstrip(b"\r\n")
    except OSError as error:
        raise Refused(f"cannot read the password: {path}: {error.strerror}") from None


def read_variable(name):
    value = os.environb.get(os.fsencode(name))
    if value is None:
        raise Refused(f"the environment has no variable {name}")
    return value


def has_terminal():
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return is_terminal(sys.stdin)
    return True


def ask(question, twice=False):
    """A password typed at the terminal, which does not show it; twice if a slip would be costly."""
    import getpass

    if not has_terminal():
        raise Refused("there is no terminal to ask for a password: "
                      "use --password-env or --password-file")
    try:
        password = getpass.getpass(f"{question}: ")
        if twice and getpass.getpass(f"{question}, again: ") != password:
            raise Refused("the passwords are not the same")
    except EOFError:
        raise Refused("no password was typed") from None
    return password.encode("utf-8", "surrogateescape")


def given(args, prefix="", question="Password", twice=False):
    """The password from where the options say; None if they say nothing."""
    file, variable, prompt = (getattr(args, f"{prefix}password_{source}")
                              for source in ("file", "env", "prompt"))
    if file is not None:
        return read_first_line(file)
    if variable is not None:
        return read_variable(variable)
    return ask(question, twice) if prompt else None
