"""get, set, del and keys: single records."""

import itertools
import os
import sys

from . import progress, storage_modes, stores, streams
from .malformed import Malformed
from .messages import say_absent
from .status import ABSENT, OK, Misused, Refused

KEYS_AT_A_TIME = 1000


def get(args):
    with stores.open_for_reading(args) as db:
        value = db.get(args.key)
    if value is None:
        say_absent(args.key)
        return ABSENT
    output = streams.standard_output()
    output.write(value)
    if streams.is_terminal(sys.stdout):
        output.write(b"\n")
    return OK


def value_to_set(args):
    """The bytes of the value, exactly: those of the argument, of a file, or of standard input."""
    if args.value_file is not None:
        if args.value is not None:
            raise Misused("a VALUE and --file exclude each other")
        with open(args.value_file, "rb") as file:
            return file.read()
    if not streams.is_standard(args.value):
        return os.fsencode(args.value)
    progress.note_reading("the value")
    return streams.standard_input().read()


def check_value(storage_mode, value):
    try:
        storage_modes.check_of(storage_mode)(value)
    except Malformed as error:
        raise Refused(str(error)) from None


def set_(args):
    value = value_to_set(args)
    if not os.path.exists(args.file):
        check_value(args.storage_mode, value)  # before there is a file
    with stores.open_store(args) as db:
        check_value(db.storage_mode, value)
        db[args.key] = value


def delete(args):
    keys = list(dict.fromkeys(args.key))
    with stores.open_existing(args) as db:
        absent = [key for key in keys if key not in db]
        db.delete_many(keys)
    for key in absent:
        say_absent(key)
    return ABSENT if absent else OK


def selected_keys(db, args):
    if args.prefix is args.start is args.stop is None:
        return iter(db)
    return (key for key, _ in db.scan(args.prefix, args.start, args.stop))


def keys(args):
    output = streams.standard_output()
    end = "\0" if args.null else "\n"
    shown = streams.on_one_line if streams.is_terminal(sys.stdout) and not args.null else str
    with stores.open_for_reading(args) as db:
        found = itertools.islice(selected_keys(db, args), args.limit)
        while some := [shown(key) + end for key in itertools.islice(found, KEYS_AT_A_TIME)]:
            output.write("".join(some).encode())
