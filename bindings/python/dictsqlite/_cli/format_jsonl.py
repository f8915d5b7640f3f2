"""JSON Lines: {"key":"…","value":"…"}, or {"key":"…","value_base64":"…"} where a value is not UTF-8."""

import json

from . import base64_text
from .malformed import Malformed, decode_text

quote = json.JSONEncoder(ensure_ascii=False).encode
parse = json.JSONDecoder().raw_decode


def header(with_header):
    return b""


def encode(key, value):
    try:
        return f'{{"key":{quote(key)},"value":{quote(value.decode())}}}\n'
    except UnicodeDecodeError:
        return f'{{"key":{quote(key)},"value_base64":"{base64_text.encode(value)}"}}\n'


def decode(lines, with_header):
    for line in lines:
        text = decode_text(line, "the line").strip()
        if text:
            yield record_of(parse_object(text))


def parse_object(text):
    try:
        found, end = parse(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg} (character {error.pos + 1})") from None
    except (RecursionError, ValueError):
        raise Malformed("not the JSON of a record") from None
    if end != len(text):
        raise Malformed(f"something follows the JSON object (character {end + 1})")
    if type(found) is not dict:
        raise Malformed("not a JSON object")
    return found


def record_of(found):
    key = found.get("key")
    if type(key) is not str:
        raise Malformed('there is no "key" that is a string')
    text = found.get("value")
    if len(found) == 2 and type(text) is str:
        return key, encoded(text)
    text = found.get("value_base64")
    if len(found) == 2 and type(text) is str:
        return key, base64_text.decode(text, '"value_base64"')
    raise Malformed('beside "key" there must be "value" or "value_base64", a string, and nothing else')


def encoded(text):
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed('"value" has half of a surrogate pair') from None
