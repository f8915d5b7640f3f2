"""Runs one command and turns what came of it into an exit status."""

import contextlib
import os
import sys

from .._core import DictSQLiteError
from . import arguments
from .messages import describe, say
from .status import BROKEN_PIPE, INTERRUPTED, OK, REFUSED, USAGE, Misused, Refused


def drop_output():
    """What is still buffered for standard output goes nowhere: the interpreter would try again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def end_output():
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        drop_output()


def perform(args):
    status = args.run(args)
    if sys.stdout is not None:
        sys.stdout.flush()
    return OK if status is None else status


def main(argv=None):
    """Runs the command that argv says (by default the program's arguments); the exit status."""
    args = arguments.parse(argv)
    try:
        return perform(args)
    except BrokenPipeError:
        drop_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        drop_output()
        say("interrupted")
        return INTERRUPTED
    except Misused as error:
        say(describe(error))
        return USAGE
    except (Refused, DictSQLiteError, OSError, ValueError, MemoryError) as error:
        end_output()
        say(describe(error))
        return REFUSED
