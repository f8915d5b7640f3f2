"""What the user is told: one line on standard error."""

import contextlib
import os
import sys

from .streams import on_one_line


def describe(error):
    """The sentence for an exception, on one line."""
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return "a key or a name is not valid UTF-8"
    if isinstance(error, UnicodeDecodeError):
        return "the file holds a key that is not UTF-8, which Python cannot read"
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return on_one_line(where + error.strerror)
    return on_one_line(str(error))


def say(message):
    """One line on standard error, if that can be written to."""
    with contextlib.suppress(OSError, AttributeError):
        sys.stderr.write(f"dictsqlite: {message}\n")
        sys.stderr.flush()


def say_absent(key):
    say(f"there is no key {on_one_line(key)}")


def number_of_records(number):
    return f"{number:,} record{'s' * (number != 1)}"
