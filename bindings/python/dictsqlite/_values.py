"""What the storage modes make of values: pairs of functions, dumps and loads.  For _core."""

import functools
import json
import pickle
from typing import Any, Callable

_PICKLE_PROTOCOL = 5


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def json_codec() -> "tuple[Callable[[Any], str], Callable[[str], Any]]":
    """To and from the text of JSON: compact, not only ASCII, without the numbers that are none."""
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return encoder.encode, json.JSONDecoder(parse_constant=_refuse_constant).decode


def pickle_codec() -> "tuple[Callable[[Any], bytes], Callable[[bytes], Any]]":
    """To and from pickles, unchecked: the checks are those of _core."""
    return functools.partial(pickle.dumps, protocol=_PICKLE_PROTOCOL), pickle.loads


def msgpack_codec() -> "tuple[Callable[[Any], bytes], Callable[[bytes], Any], tuple[type, ...]]":
    """To and from MessagePack, and the types that dumps must not be given."""
    try:
        from . import _msgpack
    except ImportError as error:
        raise ImportError(
            "storage_mode='msgpack' needs the package msgpack: pip install dictsqlite[msgpack]"
        ) from error
    return _msgpack.dumps, _msgpack.loads, _msgpack.REFUSED
