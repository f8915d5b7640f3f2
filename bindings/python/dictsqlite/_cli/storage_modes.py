"""What a value must be for a file that says what its values are."""

from .malformed import Malformed

NAMES = ("bytes", "json", "msgpack", "pickle")


def check_nothing(value):
    """For modes whose values nobody types in: what is no such value is told by whoever reads it."""


def make_json_check():
    from .._values import json_codec

    loads = json_codec()[1]

    def check(value):
        try:
            loads(value.decode())
        except (ValueError, RecursionError):
            raise Malformed("the value is not JSON, which this store demands") from None
    return check


def check_of(storage_mode):
    """The function that raises Malformed for bytes that are no value of a store of that mode."""
    return make_json_check() if storage_mode == "json" else check_nothing
