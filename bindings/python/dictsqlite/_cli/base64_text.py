"""Bytes as text, for values that are not UTF-8."""

import base64
import binascii

from .malformed import Malformed


def encode(data):
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode(text, what):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed(f"{what} is not base64") from None
