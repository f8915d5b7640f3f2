"""Pickles by hand, and Hypothesis strategies of the values that the built-in list allows."""

import collections
import datetime
import decimal
import ipaddress
import math
import pathlib
import pickle
import struct
import uuid

from hypothesis import strategies as st

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def text(value):
    """SHORT_BINUNICODE."""
    encoded = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return b"\x8c" + bytes([len(encoded)]) + encoded


def named(module, name):
    """STACK_GLOBAL."""
    return text(module) + text(name) + b"\x93"


def proto(body, protocol=4):
    return bytes([0x80, protocol]) + body + b"."


def frame(body):
    return b"\x95" + struct.pack("<Q", len(body)) + body


def equal(a, b):
    """Equality that also compares types, and finds a nan equal to itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b) or a != a and b != b
    if isinstance(a, complex):
        return equal(a.real, b.real) and equal(a.imag, b.imag)
    if isinstance(a, decimal.Decimal):
        return str(a) == str(b)
    if isinstance(a, (list, tuple, collections.deque)):
        return len(a) == len(b) and all(map(equal, a, b)) and (
            not isinstance(a, collections.deque) or a.maxlen == b.maxlen)
    if isinstance(a, dict):
        return (list(a) == list(b) and all(equal(a[k], b[k]) for k in a)
                and getattr(a, "default_factory", None) is getattr(b, "default_factory", None))
    if type(a) is object:
        return True
    return a == b


ZONES = st.integers(-1439, 1439).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))
ZONES |= st.builds(datetime.timezone, st.just(datetime.timedelta(hours=1)), st.text())
HASHABLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 2000), 1 << 2000), st.floats(allow_nan=False),
    st.text(), st.binary(), st.dates(), st.timedeltas(), ZONES, st.uuids(),
    st.datetimes(timezones=st.none() | ZONES), st.times(timezones=st.none() | ZONES),
    st.fractions(), st.ip_addresses(), st.complex_numbers(allow_nan=False),
    st.decimals(allow_nan=False),
    st.sampled_from([int, str, list, dict, collections.OrderedDict, datetime.date, uuid.UUID]),
    st.builds(pathlib.PurePosixPath, st.text(alphabet="ab./ é\\")),
    st.builds(pathlib.PureWindowsPath, st.text(alphabet="ab.\\/c:")),
    st.builds(ipaddress.ip_network, st.integers(0, (1 << 32) - 1)),
    st.builds(ipaddress.ip_interface, st.ip_addresses()),
    st.builds(range, st.integers(), st.integers(), st.integers(1)),
)
SCALARS = HASHABLE | st.floats() | st.decimals() | st.binary().map(bytearray) | st.builds(
    slice, st.none() | st.integers(), st.none() | st.text(), st.none()) | st.builds(object)
KEYS = st.recursive(HASHABLE, lambda inner: st.frozensets(inner, max_size=3) | st.tuples(inner, inner),
                    max_leaves=5)
# Any code point, lone surrogates too.
ANY_TEXT = st.text(alphabet=st.characters())


def containers(inner):
    dicts = st.dictionaries(KEYS | ANY_TEXT, inner, max_size=5)
    return st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), dicts, st.sets(KEYS, max_size=5),
        dicts.map(collections.OrderedDict),
        st.dictionaries(KEYS, st.integers(), max_size=5).map(collections.Counter),
        st.builds(collections.defaultdict, st.sampled_from([None, list, int, dict, decimal.Decimal]), dicts),
        st.builds(collections.deque, st.lists(inner), st.none() | st.integers(0, 20)),
        inner.map(lambda value: [value, value]),
    )


VALUES = st.recursive(SCALARS | KEYS | ANY_TEXT, containers, max_leaves=20)
