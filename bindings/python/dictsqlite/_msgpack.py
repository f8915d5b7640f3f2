"""Python values as MessagePack, each back as its own type.

docs/values.md states the format.  What MessagePack has no type for is an extension: numbers, dates and
the like by a payload of their own; a tuple or set is an array whose first element is an extension without
a payload, its mark.  So nothing is nested but by MessagePack's arrays and maps, whose depth its readers
bound.
"""

import datetime
import decimal
import re
import struct
import uuid
import zoneinfo
from typing import Any, Callable

import msgpack

__all__ = ["REFUSED", "dumps", "loads"]

INT, DECIMAL, UUID, DATETIME, DATE, TIME, TIMEDELTA = range(1, 8)
TUPLE, SET, FROZENSET = 16, 17, 18

# What msgpack would store as something else than it is.
REFUSED = (bytearray, memoryview, msgpack.ExtType, msgpack.Timestamp)

_DATE = struct.Struct(">HBB")
_TIME = struct.Struct(">BBBIB")  # fold last
_TIMEDELTA = struct.Struct(">iII")
_OFFSET = struct.Struct(">q")  # microseconds
_NAIVE, _FIXED, _NAMED, _ZONE = range(4)

_MICROSECOND = datetime.timedelta(microseconds=1)
_SECONDS_A_DAY = 86400
_MICROSECONDS_A_SECOND = 1_000_000
# Names of time zones that stay within the database of time zones.
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,3}")
# Whatever the program's own context says, text that is no number is an error.
_STRICT = decimal.Context(traps=[decimal.InvalidOperation])
# Larger packers and their buffers are not kept.
_KEPT_BYTES = 1 << 16


# ---- to MessagePack ----

def _zone_bytes(tzinfo: Any) -> bytes:
    if tzinfo is None:
        return bytes([_NAIVE])
    if type(tzinfo) is datetime.timezone:
        arguments = tzinfo.__getinitargs__()
        offset = _OFFSET.pack(arguments[0] // _MICROSECOND)
        if len(arguments) == 1:
            return bytes([_FIXED]) + offset
        return bytes([_NAMED]) + offset + arguments[1].encode()
    if type(tzinfo) is zoneinfo.ZoneInfo and _ZONE_NAME.fullmatch(tzinfo.key or ""):
        return bytes([_ZONE]) + tzinfo.key.encode()
    raise TypeError(f"msgpack cannot store a time zone of type {_name(type(tzinfo))}")


def _date_bytes(date: Any) -> bytes:
    return _DATE.pack(date.year, date.month, date.day)


def _time_bytes(time: Any) -> bytes:
    return _TIME.pack(time.hour, time.minute, time.second, time.microsecond, time.fold)


def _ext(code: int, payload: "Callable[[Any], bytes]") -> "Callable[[Any], Any]":
    return lambda value: msgpack.ExtType(code, payload(value))


def _marked(code: int) -> "Callable[[Any], Any]":
    mark = msgpack.ExtType(code, b"")
    return lambda values: [mark, *values]


_ENCODERS: "dict[type, Callable[[Any], Any]]" = {
    int: _ext(INT, lambda n: n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True)),
    decimal.Decimal: _ext(DECIMAL, lambda number: str(number).encode()),
    uuid.UUID: _ext(UUID, lambda identifier: identifier.bytes),
    datetime.datetime: _ext(
        DATETIME, lambda d: _date_bytes(d) + _time_bytes(d) + _zone_bytes(d.tzinfo)),
    datetime.date: _ext(DATE, _date_bytes),
    datetime.time: _ext(TIME, lambda t: _time_bytes(t) + _zone_bytes(t.tzinfo)),
    datetime.timedelta: _ext(
        TIMEDELTA, lambda delta: _TIMEDELTA.pack(delta.days, delta.seconds, delta.microseconds)),
    tuple: _marked(TUPLE),
    set: _marked(SET),
    frozenset: _marked(FROZENSET),
}


def _name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _encode(value: Any) -> Any:
    """What stands for a value that MessagePack has no type for."""
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        raise TypeError(f"msgpack cannot store a value of type {_name(type(value))}")
    return encoder(value)


# Packers that nobody uses: two calls never share one, though one may begin within the other.
_packers: "list[msgpack.Packer]" = []


def dumps(value: Any) -> bytes:
    """A value as bytes.  TypeError names the type that cannot be stored; ValueError if it is too deep."""
    try:
        packer = _packers.pop()
    except IndexError:
        packer = msgpack.Packer(default=_encode, strict_types=True)
    data: bytes = packer.pack(value)
    if len(data) <= _KEPT_BYTES:
        _packers.append(packer)
    return data


# ---- from MessagePack ----

class _Mark:
    """What an extension without a payload is read as, until its array is complete."""

    def __init__(self, make: "Callable[[list[Any]], Any]") -> None:
        self.make = make


_MARKS = {TUPLE: _Mark(tuple), SET: _Mark(set), FROZENSET: _Mark(frozenset)}
# How MessagePack's writers spell that an extension has no payload.
_MARK_HEAD = b"\xc7\x00"


def _read_zone(data: bytes) -> "datetime.tzinfo | None":
    kind, rest = data[0], data[1:]
    if kind == _NAIVE and not rest:
        return None
    if kind == _ZONE:
        name = rest.decode()
        if not _ZONE_NAME.fullmatch(name):
            raise ValueError("a time zone has no proper name")
        return zoneinfo.ZoneInfo(name)
    offset = datetime.timedelta(microseconds=_OFFSET.unpack_from(rest)[0])
    if kind == _NAMED:
        return datetime.timezone(offset, rest[_OFFSET.size:].decode())
    if kind != _FIXED or len(rest) != _OFFSET.size:
        raise ValueError("a time zone is neither naive nor fixed nor named")
    return datetime.timezone(offset)


def _read_time(data: bytes) -> "tuple[int, int, int, int, datetime.tzinfo | None, int]":
    """The arguments of a time, the last of which is the fold."""
    *clock, fold = _TIME.unpack_from(data)
    return (*clock, _read_zone(data[_TIME.size:]), fold)


def _read_datetime(data: bytes) -> datetime.datetime:
    *arguments, fold = _DATE.unpack_from(data) + _read_time(data[_DATE.size:])
    return datetime.datetime(*arguments, fold=fold)


def _read_clock(data: bytes) -> datetime.time:
    *arguments, fold = _read_time(data)
    return datetime.time(*arguments, fold=fold)


def _read_timedelta(data: bytes) -> datetime.timedelta:
    days, seconds, microseconds = _TIMEDELTA.unpack(data)
    if seconds >= _SECONDS_A_DAY or microseconds >= _MICROSECONDS_A_SECOND:
        raise ValueError("a timedelta is not in its one form")
    return datetime.timedelta(days, seconds, microseconds)


_DECODERS: "dict[int, Callable[[bytes], Any]]" = {
    INT: lambda data: int.from_bytes(data, "big", signed=True),
    DECIMAL: lambda data: decimal.Decimal(data.decode("ascii"), _STRICT),
    UUID: lambda data: uuid.UUID(bytes=data),
    DATETIME: _read_datetime,
    DATE: lambda data: datetime.date(*_DATE.unpack(data)),
    TIME: _read_clock,
    TIMEDELTA: _read_timedelta,
}


def _decode(code: int, data: bytes) -> Any:
    decoder = _DECODERS.get(code)
    if decoder is None:
        raise ValueError(f"an extension of the code {code} has no meaning here")
    return decoder(data)


class _Reader:
    """The reading of one value that has marks: each of them must begin an array."""

    def __init__(self) -> None:
        self.marks = 0

    def extension(self, code: int, data: bytes) -> Any:
        if data or code not in _MARKS:
            return _decode(code, data)
        self.marks += 1
        return _MARKS[code]

    def array(self, values: "list[Any]") -> Any:
        if not values or type(values[0]) is not _Mark:
            return values
        self.marks -= 1
        return values[0].make(values[1:])

    def read(self, data: bytes) -> Any:
        value = _unpack(data, ext_hook=self.extension, list_hook=self.array)
        if self.marks:
            raise ValueError("the mark of a tuple or a set does not begin an array")
        return value


def _unpack(data: bytes, **hooks: Any) -> Any:
    # A timestamp, which is never written here, is read as a datetime of UTC.
    return msgpack.unpackb(data, strict_map_key=False, timestamp=3, **hooks)


def loads(data: bytes) -> Any:
    """The value that bytes stand for.  ValueError if they are nothing that dumps writes."""
    try:
        if _MARK_HEAD in data:
            return _Reader().read(data)
        return _unpack(data, ext_hook=_decode)
    except (ArithmeticError, LookupError, OSError, TypeError, struct.error) as error:
        raise ValueError(str(error)) from error
