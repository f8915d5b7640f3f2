"""stats, verify, backup and compact: the file as a whole."""

import json
import os

from . import stores
from .messages import number_of_records
from .progress import Progress


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def describe(args):
    """What there is to say of a file that has just been opened."""
    encrypted = stores.is_encrypted(args.file)
    with stores.open_for_reading(args) as db:
        records, mode = len(db), db.storage_mode
    return {
        "file": args.file,
        "encrypted": encrypted,
        "storage_mode": mode,
        "records": records,
        "file_bytes": size_of(args.file),
        "wal_bytes": size_of(args.file + "-wal"),
    }


def show(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(rows):
    """Names and values in two columns."""
    width = max(map(len, rows))
    return "".join(f"{name.replace('_', ' '):{width}}  {show(value)}\n" for name, value in rows.items())


def stats(args):
    found = describe(args)
    print(json.dumps(found) if args.json else table(found), end="\n" if args.json else "")


def verify(args):
    with stores.open_for_reading(args) as db, Progress("verify") as progress:
        db.verify(progress=progress)
        records = len(db)
    print(f"{args.file}: ok, {number_of_records(records)}")


def backup(args):
    with stores.open_existing(args) as db, Progress("backup") as progress:
        db.backup(args.destination, progress=progress, overwrite=args.overwrite)


def compact(args):
    with stores.open_existing(args) as db, Progress("compact") as progress:
        db.compact(progress=progress)
