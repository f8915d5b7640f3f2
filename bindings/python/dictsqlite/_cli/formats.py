"""The formats of dump and load, by name.

A format is a module with

    header(with_header)          bytes that a dump begins with
    encode(key, value)           the str of one record, its line end included
    decode(lines, with_header)   an iterator of (key, value) over the bytes of lines, which raises
                                 Malformed

and whatever encode wrote decode reads, exactly, for every key without surrogates and every value.
"""

import os

from .status import Misused

NAMES = ("jsonl", "csv", "tsv")
BY_EXTENSION = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
                ".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
DEFAULT = "jsonl"


def load_module(name):
    if name == "csv":
        from . import format_csv as module
    elif name == "tsv":
        from . import format_tsv as module
    else:
        from . import format_jsonl as module
    return module


def choose(name, path):
    """The format of that name, or the one that the path (None: a stream) ends like."""
    if name is None and path in (None, "-"):
        name = DEFAULT
    if name is None:
        name = BY_EXTENSION.get(os.path.splitext(path)[1].lower())
    if name is None:
        raise Misused(f"cannot tell the format from the name {path}: say --format jsonl, csv or tsv")
    return load_module(name)
