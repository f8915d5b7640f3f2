r"""TSV: key and value with a tab between them, a record a line.

Escaped are \t, \n, \r, \0, the backslash (\\), and of a value each byte that is no part of UTF-8
(\xHH).
"""

import re

from .malformed import Malformed, decode_text, without_mark

HEADER = b"key\tvalue\n"
BYTE_OF = {b"\\": b"\\", b"t": b"\t", b"n": b"\n", b"r": b"\r", b"0": b"\0"}

needs_escapes = re.compile("[\t\n\r\0]").search
unescape = re.compile(rb"\\(x[0-9a-fA-F]{2}|.|$)", re.DOTALL).sub


def header(with_header):
    return HEADER if with_header else b""


def escape(text):
    if needs_escapes(text):
        for raw, escaped in (("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
            text = text.replace(raw, escaped)
    return text


def encode(key, value):
    key = key.replace("\\", "\\\\")
    text = value.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return f"{escape(key)}\t{escape(text)}\n"


def byte_of(match):
    name = match.group(1)
    if len(name) == 3:
        return bytes.fromhex(name[1:].decode())
    try:
        return BYTE_OF[name]
    except KeyError:
        raise Malformed(r"a backslash may only begin \\, \t, \n, \r, \0 or \xHH") from None


def content_of(field):
    return unescape(byte_of, field) if b"\\" in field else field


def without_end(line):
    line = line[:-1] if line.endswith(b"\n") else line
    return line[:-1] if line.endswith(b"\r") else line


def decode(lines, with_header):
    for number, line in enumerate(lines):
        line = without_end(line)
        if with_header and number == 0:
            check_header(without_mark(line))
        elif line:
            yield record_of(line.split(b"\t"))


def check_header(line):
    if line != HEADER[:-1]:
        raise Malformed("the first line must be key, a tab, value (--no-header if there is none)")


def record_of(fields):
    if len(fields) != 2:
        raise Malformed(f"{len(fields)} fields instead of a key, a tab and a value")
    key, value = map(content_of, fields)
    return decode_text(key, "the key"), value
