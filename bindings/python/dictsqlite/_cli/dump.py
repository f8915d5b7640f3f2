"""dump: many records, as text."""

import os
import sys

from . import formats, progress, stores, streams
from .messages import number_of_records
from .progress import Progress
from .status import Refused

# What is encoded is written in pieces of about this size.
PIECE_CHARACTERS = 1 << 18



def refuse_itself(args):
    """A dump would replace the store itself."""
    if not streams.is_standard(args.output) and os.path.exists(args.output) \
            and os.path.exists(args.file) and os.path.samefile(args.output, args.file):
        raise Refused(f"{args.output} is the store itself")


def dump(args):
    form = formats.choose(args.format, args.output)
    refuse_itself(args)
    on_screen = streams.is_standard(args.output) and streams.is_terminal(sys.stdout)
    whole = args.prefix is args.start is args.stop is None
    with stores.open_for_reading(args) as db, Progress("dump", " records", on_screen) as bar, \
            streams.writing(args.output, args.overwrite) as output:
        total = len(db) if whole else 0
        records = db.scan(args.prefix, args.start, args.stop)
        output.write(form.header(args.header))
        done = write_all(records, form.encode, output, lambda done: bar(done, total))
    if not streams.is_standard(args.output):
        progress.note(f"{number_of_records(done)} dumped")


def write_all(records, encode, output, report):
    """Writes the records, and reports after each piece; how many there were."""
    piece, characters, done = [], 0, 0
    for key, value in records:
        text = encode(key, value)
        piece.append(text)
        characters += len(text)
        if characters >= PIECE_CHARACTERS:
            output.write("".join(piece).encode())
            done += len(piece)
            report(done)
            piece, characters = [], 0
    output.write("".join(piece).encode())
    return done + len(piece)
