"""Standard input and output as bytes, and files that are written whole or not at all."""

import contextlib
import os
import sys

from .status import Refused

BUFFER_BYTES = 1 << 20


def on_one_line(text):
    """The text with what would disturb a terminal, or make a second line, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
                   for c in text)


def standard_output():
    if sys.stdout is None:
        raise Refused("standard output is closed")
    return sys.stdout.buffer


def standard_input():
    if sys.stdin is None:
        raise Refused("standard input is closed")
    return sys.stdin.buffer


def is_terminal(stream):
    return stream is not None and stream.isatty()


def is_standard(path):
    return path is None or path == "-"


@contextlib.contextmanager
def reading(path):
    """A binary file to read from: the one at path, or standard input."""
    if is_standard(path):
        yield standard_input()
    else:
        with open(path, "rb", BUFFER_BYTES) as file:
            yield file


@contextlib.contextmanager
def writing(path, overwrite):
    """A binary file to write to: standard output, or a new file that is at path once all is written."""
    if is_standard(path):
        output = standard_output()
        yield output
        output.flush()
    elif os.path.exists(path) and not os.path.isfile(path):  # a device, a pipe
        with open(path, "wb", BUFFER_BYTES) as file:
            yield file
    else:
        with new_file(path, overwrite) as file:
            yield file


def refuse_existing(path, overwrite):
    if not overwrite and os.path.lexists(path):
        raise Refused(f"{path} exists (--overwrite replaces it)")


@contextlib.contextmanager
def new_file(path, overwrite):
    """Written beside path, with mode 0600 as a store has, and put into its place at the end."""
    import tempfile

    refuse_existing(path, overwrite)
    folder, name = os.path.split(path)
    number, beside = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder or ".")
    try:
        with open(number, "wb", BUFFER_BYTES) as file:
            yield file
            file.flush()
            os.fsync(number)
        refuse_existing(path, overwrite)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
