"""CSV (RFC 4180) with the columns key, value and encoding, lines ended by a line feed.

encoding: empty: both are text; base64: the value is in base64; base64-key: the key, too (it has a
NUL, which readers of CSV refuse).
"""

import csv
import re

from . import base64_text
from .malformed import Malformed, decode_text, without_mark

COLUMNS = ["key", "value", "encoding"]
HEADER = ",".join(COLUMNS).encode() + b"\n"
FIELD_CHARACTERS_MAX = 1 << 30

needs_quotes = re.compile('[",\r\n]').search


def header(with_header):
    return HEADER if with_header else b""


def quote(text):
    if needs_quotes(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def encode(key, value):
    if "\0" in key:
        return f"{base64_text.encode(key.encode())},{base64_text.encode(value)},base64-key\n"
    if b"\0" not in value:
        try:
            return f"{quote(key)},{quote(value.decode())},\n"
        except UnicodeDecodeError:
            pass
    return f"{quote(key)},{base64_text.encode(value)},base64\n"


def text_of(lines, with_header):
    first = with_header
    for line in lines:
        yield decode_text(without_mark(line) if first else line, "the line")
        first = False


def check_columns(names):
    if names not in (COLUMNS, COLUMNS[:2]):
        raise Malformed("the first line must name the columns: key,value or key,value,encoding "
                        "(--no-header if there is no such line)")


def decode(lines, with_header):
    csv.field_size_limit(FIELD_CHARACTERS_MAX)
    rows = csv.reader(text_of(lines, with_header), strict=True)
    begun = 1
    try:
        if with_header:
            check_columns(next(rows, COLUMNS))
        for row in rows:
            begun = rows.line_num + 1
            if row:
                yield record_of(row)
    except csv.Error as error:
        raise Malformed(f"not CSV: {error} (in the record that begins in line {begun})") from None


def record_of(row):
    if len(row) == 2 or (len(row) == 3 and not row[2]):
        return row[0], row[1].encode()
    if len(row) != 3:
        raise Malformed(f"{len(row)} fields instead of key,value or key,value,encoding")
    key, value, encoding = row
    if encoding not in ("base64", "base64-key"):
        raise Malformed("the encoding must be empty, base64 or base64-key")
    if encoding == "base64-key":
        key = decode_text(base64_text.decode(key, "the key"), "the key")
    return key, base64_text.decode(value, "the value")
