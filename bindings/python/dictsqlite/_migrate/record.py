"""A record as a source gives it."""

from typing import Any, NamedTuple

BYTES = "bytes"    # data is the value, as bytes
OBJECT = "object"  # data is the value, any object that needs no unpickling
PICKLE = "pickle"  # data is a pickle of the value, not to be trusted


class PickledKey(NamedTuple):
    """A key that is stored as a pickle, not to be trusted."""

    data: bytes


class Record(NamedTuple):
    key: Any
    form: str
    data: Any
    size: int  # bytes of key and value as stored
