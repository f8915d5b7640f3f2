"""storage_mode="msgpack": every value comes back as its own type, and nothing else is stored."""

import collections
import datetime
import decimal
import sqlite3
import threading
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dictsqlite import DictSQLite

msgpack = pytest.importorskip("msgpack")

ZONES = st.one_of(
    st.none(),
    st.builds(datetime.timezone, st.timedeltas(datetime.timedelta(hours=-23, minutes=-59),
                                               datetime.timedelta(hours=23, minutes=59))),
    st.builds(datetime.timezone, st.timedeltas(datetime.timedelta(hours=-23),
                                               datetime.timedelta(hours=23)), st.text(max_size=5)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"]).map(zoneinfo.ZoneInfo))
KEYS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 300), 1 << 300), st.floats(),
    st.text(), st.binary(), st.decimals().filter(lambda number: not number.is_snan()), st.uuids(), st.dates(), st.timedeltas(),
    st.datetimes(timezones=ZONES, allow_imaginary=True), st.times(timezones=ZONES))
HASHABLE = st.recursive(
    KEYS, lambda inner: st.one_of(st.lists(inner, max_size=3).map(tuple),
                                  st.frozensets(inner, max_size=3)), max_leaves=5)
VALUES = st.recursive(
    HASHABLE, lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple),
        st.sets(HASHABLE, max_size=4), st.dictionaries(HASHABLE, inner, max_size=4)),
    max_leaves=20)


def exact(value):
    """A text of a value and all that it holds, with the types and what == does not tell apart."""
    name = type(value).__name__
    if isinstance(value, (list, tuple)):
        return f"{name}({','.join(map(exact, value))})"
    if isinstance(value, (set, frozenset)):
        return f"{name}({','.join(sorted(map(exact, value)))})"
    if isinstance(value, dict):
        return f"{name}({','.join(exact(k) + ':' + exact(v) for k, v in value.items())})"
    if isinstance(value, (datetime.datetime, datetime.time)):
        return f"{value!r} {value.fold}"
    return f"{name} {value!r}"


@given(VALUES)
@settings(deadline=None)
def test_msgpack_gives_every_value_back_with_its_type(value):
    with DictSQLite(":memory:", storage_mode="msgpack") as db:
        db["k"] = value
        assert exact(db["k"]) == exact(value)


@given(st.one_of(st.binary(), st.lists(st.sampled_from(
    [b"\xc7\x00\x10", b"\xc7\x00\x11", b"\xc7\x00\x12", b"\xd4\x01", b"\x91", b"\x92", b"\x81",
     b"\x01", b"\xa1", b"\xc7\x0d\x04", b"\xc8\x00\x00\x10", b"\xc1", b"\xdd\xff\xff\xff\xff",
     b"\xc7\x07\x02", b"\xd6\xff"])).map(b"".join)))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_a_value_of_msgpack_or_an_error(data):
    from dictsqlite import _msgpack  # without msgpack there is none

    try:
        value = _msgpack.loads(data)
    except ValueError:
        return
    assert "_Mark" not in exact(value)


class Text(str):
    pass


@pytest.mark.parametrize("value, name", [
    (object(), "object"), (range(3), "range"), (Text("a"), "Text"), (bytearray(b"a"), "bytearray"),
    (memoryview(b"a"), "memoryview"), (msgpack.ExtType(1, b"a"), "ExtType"),
    (msgpack.Timestamp(1), "Timestamp"), (collections.OrderedDict(a=1), "OrderedDict"),
    (1j, "complex"),
    (datetime.datetime(2000, 1, 1, tzinfo=type("Zone", (datetime.tzinfo,), {})()), "Zone"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_msgpack_stores_exact_types_only(path, value, name):
    with DictSQLite(path, storage_mode="msgpack") as db:
        for wrapped in (value, [value], (1, value), {"a": [value]}, {("k",): value}):
            with pytest.raises(TypeError, match=rf"msgpack cannot store .* type .*{name}"):
                db["k"] = wrapped
        assert len(db) == 0
    try:
        hash(value)
    except (TypeError, NotImplementedError):
        return
    with DictSQLite(path, storage_mode="msgpack") as db:
        for wrapped in ({value: 1}, {value}, frozenset({(value,)})):
            with pytest.raises(TypeError, match=name):
                db["k"] = wrapped


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {1: v},
                                  lambda v: frozenset({v})], ids=["list", "tuple", "dict", "set"])
def test_what_msgpack_stores_is_as_deep_as_it_says(path, wrap):
    value = None
    for _ in range(200):
        value = wrap(value)
    with DictSQLite(path, storage_mode="msgpack") as db:
        db["k"] = value
        assert db["k"] == value
        with pytest.raises(ValueError, match="more than 200 levels"):
            db["k"] = wrap(value)
        assert db["k"] == value
    loop = []
    loop.append(loop)
    with DictSQLite(path, storage_mode="msgpack") as db, pytest.raises(ValueError, match="itself"):
        db["k"] = loop


def test_a_timestamp_that_somebody_else_wrote_is_a_datetime(path):
    DictSQLite(path, storage_mode="msgpack").close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO kv VALUES(?, ?)",
                           (b"k", msgpack.packb(msgpack.Timestamp(1, 500_000_000))))
        connection.execute("UPDATE meta SET value = 1 WHERE name = 'count'")
    with DictSQLite(path, storage_mode="msgpack") as db:
        assert db["k"] == datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000, datetime.timezone.utc)


def test_msgpack_can_be_used_by_many_threads(path):
    with DictSQLite(path, storage_mode="msgpack", persist_mode="memory") as db:
        def work(number):
            for i in range(300):
                value = {number: [(i,), {i}, decimal.Decimal(i)]}
                db[f"k{number}"] = value
                assert db[f"k{number}"] == value

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        errors = []
        previous = threading.excepthook
        threading.excepthook = errors.append
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            threading.excepthook = previous
        assert not errors
