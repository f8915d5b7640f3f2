"""load: many records, from text.

They are stored in units, each of which is on disk as a whole or not at all, in the order of the
input; with --atomic all of them are one unit.  The store is open in lazy mode, so that one unit is
written while the next one is read, and is flushed at the end: what a crash leaves is a beginning of
the input.
"""

import os
import stat

from . import formats, progress, storage_modes, stores, streams
from .malformed import Lines, Malformed
from .messages import number_of_records
from .progress import Progress
from .status import Refused

UNIT_RECORDS = 10_000
UNIT_BYTES = 4 << 20
REPORT_RECORDS = 1000
KEY_BYTES_MAX = 64 << 10
VALUE_BYTES_MAX = 512 << 20
SURELY_SHORT = 4096
# What stays in memory of what was written, as nobody reads it here.  Not fewer records than by
# default: a quarter of them is what moves into the table of rows at a time.
HOT_BYTES = 64 << 20
# What has to hold all of an atomic load: as good as no bound.
ATOMIC_QUEUE_BYTES = 1 << 50


def length_of(file):
    """The bytes of a regular file, 0 of anything else."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError):  # not there, or no file of the system
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def check(key, value):
    """Refuses what the store would refuse, while the line is known."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Malformed("the key has half of a surrogate pair") from None
    if size > KEY_BYTES_MAX:
        raise Malformed(f"the key has {size:,} bytes, the limit is {KEY_BYTES_MAX:,}")
    if len(value) > VALUE_BYTES_MAX:
        raise Malformed(f"the value has {len(value):,} bytes, the limit is {VALUE_BYTES_MAX:,}")


class Loading:
    """Records on their way into the store, unit by unit."""

    def __init__(self, db, atomic):
        self.db = db
        self.atomic = atomic
        self.check_value = storage_modes.check_of(db.storage_mode)
        self.unit = []
        self.unit_bytes = 0
        self.stored = 0

    def add(self, record):
        key, value = record
        if not key.isascii() or len(key) > SURELY_SHORT or len(value) > VALUE_BYTES_MAX:
            check(key, value)
        self.check_value(value)
        self.unit.append(record)
        self.unit_bytes += len(key) + len(value)
        if (self.unit_bytes >= UNIT_BYTES or len(self.unit) >= UNIT_RECORDS) and not self.atomic:
            self.end_unit()

    def end_unit(self):
        if self.atomic:
            with self.db.batch() as batch:
                for key, value in self.unit:
                    batch[key] = value
        else:
            self.db.set_many(self.unit)
        self.stored += len(self.unit)
        self.unit = []
        self.unit_bytes = 0

    def count(self):
        return self.stored + len(self.unit)


def take_all(loading, records, report):
    for record in records:
        loading.add(record)
        if len(loading.unit) % REPORT_RECORDS == 0:
            report()
    loading.end_unit()


def read_all(args, form, file, loading, bar):
    """Stores what the file says; up to a line that is malformed, unless all is one unit."""
    lines = Lines(file)
    total = length_of(file)

    def report():
        bar(*((lines.bytes, total) if total else (loading.count(), 0)))

    try:
        take_all(loading, form.decode(lines, args.header), report)
    except Malformed as error:
        if not args.atomic:
            loading.end_unit()
        name = "standard input" if streams.is_standard(args.input) else args.input
        raise Refused(f"{name}, line {lines.number}: {error} "
                      f"({number_of_records(loading.stored)} stored)") from None


def load(args):
    form = formats.choose(args.format, args.input)
    options = {"persist_mode": "lazy", "hot_bytes": HOT_BYTES}
    if args.atomic:
        options["queue_bytes"] = ATOMIC_QUEUE_BYTES
    with streams.reading(args.input) as file, stores.open_store(args, **options) as db, \
            Progress("load", " records") as bar:
        if streams.is_standard(args.input):
            progress.note_reading("records")
        loading = Loading(db, args.atomic)
        read_all(args, form, file, loading, bar)
        db.flush()
    progress.note(f"{number_of_records(loading.stored)} loaded")
