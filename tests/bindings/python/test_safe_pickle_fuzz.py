"""Whatever the check accepts, both unpicklers of Python load alike, with allowed globals alone.

Mutations of good pickles and random runs of opcodes.  DSQ_FUZZ_SECONDS and DSQ_FUZZ_SEED let it go on
for longer, or again.
"""

import collections
import datetime
import decimal
import fractions
import io
import ipaddress
import os
import pathlib
import pickle
import random
import sys
import time
import types
import uuid

import pytest

import pickled_models as models
from dictsqlite import UnsafePickleError, safe_pickle_check, safe_pickle_loads
from safe_pickle_values import PROTOCOLS, equal, named, text

SECONDS = float(os.environ.get("DSQ_FUZZ_SECONDS", "4"))
SEED = int(os.environ.get("DSQ_FUZZ_SEED", "1"))

LISTED = ["pickled_models"]

# What loading may raise of data that is well formed and wrong.
DATA_ERRORS = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError, AttributeError,
               pickle.UnpicklingError)

BUILT_IN = {
    "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple",
    "_codecs": "encode", "copyreg": "_reconstructor", "collections": "Counter OrderedDict defaultdict deque",
    "datetime": "date datetime time timedelta timezone", "decimal": "Decimal", "fractions": "Fraction",
    "ipaddress": "IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface IPv6Network",
    "pathlib": "PurePosixPath PureWindowsPath", "pathlib._local": "PurePosixPath PureWindowsPath", "uuid": "UUID",
}
ALLOWED = {(module, name) for module, names in BUILT_IN.items() for name in names.split()}
MODELS = {name for name, value in vars(models).items()
          if isinstance(value, type) and value.__module__ == "pickled_models"
          and value not in models.MACHINERY}

# Audit events that loading may raise: the unpickler's own, and a repr's.
HARMLESS = {"pickle.find_class", "builtins.id", "object.__getattr__", "object.__setattr__", "object.__delattr__"}
audited = []
auditing = False


def audit(event, args):
    if auditing and event not in HARMLESS:
        audited.append((event, args))


sys.addaudithook(audit)


def recording(base):
    class Recording(base):
        def __init__(self, data):
            super().__init__(io.BytesIO(data))
            self.found = []

        def find_class(self, module, name):
            result = super().find_class(module, name)
            self.found.append(result)
            return result

    return Recording


InC = recording(pickle.Unpickler)
InPython = recording(pickle._Unpickler)


def is_allowed(found):
    if isinstance(found, type) and found.__module__ == "pickled_models":
        return found.__qualname__ in MODELS
    module = {"decimal": "decimal", "_pydecimal": "decimal"}.get(found.__module__, found.__module__)
    return (module, found.__qualname__) in ALLOWED


def load(kind, data):
    """The value or the kind of error, and what of globals was found."""
    global auditing
    unpickler = kind(data)
    auditing = True
    try:
        return unpickler.load(), None, unpickler.found
    except DATA_ERRORS as error:
        return None, error, unpickler.found
    finally:
        auditing = False


def like(value, other, seen=None):
    """Equality of structure, of values that may hold themselves and of instances."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)] == id(other)
    seen[id(value)] = id(other)
    if type(value) is not type(other):
        return False
    if isinstance(value, dict):
        # No pairs: what is made here alone may give its id to something else.
        parts = [*value, *value.values()], [*other, *other.values()]
    elif isinstance(value, (list, tuple, collections.deque)):
        parts = list(value), list(other)
    elif isinstance(value, (set, frozenset)):
        # Members without a value of their own come in any order.
        return len(value) == len(other) and sorted(map(repr, map(type, value))) == sorted(
            map(repr, map(type, other)))
    elif type(value).__module__ == "pickled_models" and hasattr(value, "__dict__"):
        parts = [vars(value)], [vars(other)]
    elif type(value) is models.Slotted:
        parts = [[getattr(v, s, None) for s in v.__slots__] for v in (value, other)]
    elif isinstance(value, slice):
        parts = [value.start, value.stop, value.step], [other.start, other.stop, other.step]
    elif isinstance(value, uuid.UUID):
        return getattr(value, "int", None) == getattr(other, "int", None)
    elif isinstance(value, BaseException):
        parts = [value.args], [other.args]
    else:
        return equal(value, other)
    return len(parts[0]) == len(parts[1]) and all(
        like(a, b, seen) for a, b in zip(parts[0], parts[1]))


def compare(value, other):
    try:
        return like(value, other)
    except RecursionError:
        return True


def examine(data, counts):
    """Checks one pickle; counts what came of it."""
    try:
        safe_pickle_check(data, LISTED)
    except UnsafePickleError as error:
        assert 0 <= error.offset <= len(data)
        counts["refused"] += 1
        return
    audited.clear()
    in_c, c_error, c_found = load(InC, data)
    in_python, python_error, python_found = load(InPython, data)
    for found in c_found + python_found:
        assert is_allowed(found), (data, found)
    assert audited == [], data
    if c_error is not None or python_error is not None:
        # An error of the format would be one that the check should have seen.
        assert not isinstance(c_error, pickle.UnpicklingError), (data, c_error)
        assert c_error is not None and python_error is not None, (data, c_error, python_error)
        with pytest.raises(type(c_error)):
            safe_pickle_loads(data, LISTED)
        counts["data error"] += 1
        return
    assert c_found == python_found, data
    assert compare(in_c, in_python), data
    assert compare(in_c, safe_pickle_loads(data, LISTED)), data
    counts["loaded"] += 1


def good_values():
    shared = ["shared", {1: 2}]
    circle = []
    circle.append((circle, {"circle": circle}))
    plain = models.Plain(shared)
    my_list = models.MyList([1, plain])
    my_list.name = "name"
    slotted = models.Slotted()
    slotted.a, slotted.b = 1, (2, 3)
    stateful = models.Stateful()
    stateful.a = 5
    return [
        None, True, 0, -1, 255, 65_536, 1 << 40, -(1 << 100), 1.5, float("nan"), "text", "é\\\n", "", b"", b"bytes",
        bytearray(b"array"), (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1, [2]], {}, {"a": {"b": 1}},
        set(), {1, 2}, frozenset({3}), 1j, range(1, 9, 2), slice(1, None), object(), int, [dict, list],
        datetime.datetime(2020, 2, 29, 1, 2, 3, 4, datetime.timezone.utc), datetime.date(1, 1, 1),
        datetime.time(1, 2), datetime.timedelta(-1, 5), datetime.timezone(datetime.timedelta(hours=1), "z"),
        decimal.Decimal("-1.5E+3"), fractions.Fraction(3, 4), uuid.UUID(int=1 << 100),
        uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe), collections.OrderedDict(a=1, b=[2]),
        collections.defaultdict(list, {"a": [1]}), collections.Counter("aab"), collections.deque([1, 2], 3),
        pathlib.PurePosixPath("/a/b"), pathlib.PureWindowsPath("c:/a"), ipaddress.ip_address("1.2.3.4"),
        ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("::1/64"), [shared, shared], circle, plain,
        models.Point(1, [2]), models.Frozen((1,)), models.Colour.RED, models.Level.HIGH, models.Pair(1, 2),
        my_list, models.MyDict(a=1), models.MyInt(5), models.MyTuple((1, 2)), models.MyDeque([1]), slotted, stateful,
        models.Problem("a", 1), models.Plain, list(range(300)), ["x" * 300, b"y" * 300],
    ]


def seeds():
    found = []
    for value in good_values():
        for protocol in PROTOCOLS:
            try:
                found.append(pickle.dumps(value, protocol))
            except TypeError:
                pass
    return found


# Snippets that mutations put in: each opcode, and beginnings of tricks.
ATOMS = [bytes([byte]) for byte in b"(.012NRabcde}lgoisu)]tQ" + bytes(range(0x80, 0x99))] + [
    b"K\x01", b"h\x00", b"h\x01", b"q\x00", b"q\x01", b"\x94", b"j\x00\x00\x00\x00", b"g0\n", b"p0\n", b"I1\n", b"I01\n",
    b"L5L\n", b"F1.5\n", b"Vx\n", b"V\\u0041\n", text("x"), text("__class__"), text("a"), b"C\x01a", b"\x8a\x01\x05", b"M\x00\x01",
    b"J\xff\xff\xff\xff", b"G?\xf8" + bytes(6), b"(K\x01t", b"]K\x01a", b"}" + text("a") + b"K\x01s", b"\x8f(K\x01\x90",
    b"cbuiltins\nint\n", b"c__builtin__\nset\n", b"cos\nsystem\n", named("os", "system"), named("builtins", "object"),
    named("pickled_models", "Plain"), named("pickled_models", "Plain") + b")\x81", named("pickled_models", "MyList") + b")\x81",
    named("pickled_models", "MyDict") + b")\x81", named("pickled_models", "Colour"), named("collections", "deque") + b")R",
    named("collections", "OrderedDict") + b")R", named("uuid", "UUID") + b")\x81", named("datetime", "timedelta"),
    named("decimal", "Decimal"), named("_codecs", "encode"), text("latin1"), text("builtins"), text("int"), text("set"),
    b"ccopyreg\n_reconstructor\n", b"\x95\x05" + bytes(7), b"\x80\x02", b"\x80\x04", b"U\x01a", b"S'a'\n", b"\x82\x01", b"PX\n",
    b"\x85R", b"\x86R", b")R", b")\x81", b"}b", b")}\x92", b"\x00", b"\x04",
]


def mutate(data, others, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        at = rng.randrange(len(data) + 1)
        choice = rng.randrange(7)
        if choice == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif choice == 1 and at < len(data):
            data[at] = rng.randrange(256)
        elif choice == 2:
            del data[at:at + rng.choice((1, 1, 2, 4))]
        elif choice == 3:
            data[at:at] = rng.choice(ATOMS)
        elif choice == 4 and at < len(data):
            atom = rng.choice(ATOMS)
            data[at:at + len(atom)] = atom
        elif choice == 5:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            data[at:at] = other[start:start + rng.randrange(12)]
        else:
            end = rng.randrange(at, len(data) + 1)
            data[at:at] = data[at:min(end, at + 20)]
        if not data:
            data = bytearray(b".")
    return bytes(data)


def unframed(data):
    """A pickle without frames, so that its length can change."""
    if data[:1] == b"\x80" and data[2:3] == b"\x95":
        return data[:2] + data[11:]
    return data


@pytest.fixture(scope="module", autouse=True)
def imported():
    """What allowed globals and codecs import is imported once, and no event any more."""
    for data in seeds():
        pickle.loads(data)
        pickle._loads(data)


def run_for(seconds, make):
    """Examines pickles that make makes, for so long, and fails with how to do it again."""
    counts = collections.Counter()
    deadline = time.monotonic() + seconds
    rng = random.Random(SEED)
    while time.monotonic() < deadline:
        for _ in range(200):
            examine(make(rng), counts)
    print(dict(counts))
    return counts


def test_good_pickles_pass_the_examination():
    counts = collections.Counter()
    for data in seeds():
        examine(data, counts)
    assert counts["loaded"] == len(seeds())


def test_mutations_that_are_accepted_load_alike():
    originals = seeds()
    pool = originals + [unframed(data) for data in originals]
    kept = []

    def make(rng):
        base = rng.choice(kept if kept and rng.random() < 0.3 else pool)
        data = mutate(base, pool, rng)
        try:
            safe_pickle_check(data, LISTED)
        except UnsafePickleError:
            return data
        if len(data) < 2_000:
            kept.append(data)
            del kept[:-2_000]
        return data

    counts = run_for(SECONDS, make)
    assert counts["loaded"] > counts["refused"] / 50


def test_random_opcodes_that_are_accepted_load_alike():
    def make(rng):
        protocol = rng.choice((b"", b"\x80\x02", b"\x80\x03", b"\x80\x04"))
        return protocol + b"".join(rng.choices(ATOMS, k=rng.randrange(1, 15))) + b"."

    run_for(SECONDS, make)


class Builder:
    """Random pickles that keep to the kinds on the stack, so that most are accepted."""

    def __init__(self, rng):
        self.rng = rng
        self.memo = 0
        self.parts = []

    def value(self, depth):
        rng = self.rng
        leaf = [b"N", b"\x88", b"K\x05", b"\x8a\x09" + bytes(8) + b"\x01", b"G?\xf8" + bytes(6), text("a"), text("int"),
                b"C\x02ab", b"]", b"}", b")", b"\x8f", named("builtins", "int"), named("pickled_models", "Plain"),
                named("pickled_models", "Plain") + b")\x81", named("uuid", "UUID") + b")\x81"]
        if self.memo and rng.random() < 0.2:
            return b"h" + bytes([rng.randrange(self.memo)])
        if depth == 0:
            made = rng.choice(leaf)
        else:
            made = self.container(depth - 1)
        if self.memo < 200 and rng.random() < 0.3:
            self.memo += 1
            made += b"\x94"
        return made

    def values(self, depth):
        return b"".join(self.value(self.rng.randrange(depth + 1)) for _ in range(self.rng.randrange(4)))

    def container(self, depth):
        rng = self.rng
        choice = rng.randrange(12)
        inner = rng.randrange(depth + 1)
        if choice == 0:
            return b"(" + self.values(depth) + b"t"
        if choice == 1:
            return self.value(0) + b"(" + self.values(depth) + b"e"
        if choice == 2:
            return self.value(0) + b"(" + self.value(0) + self.value(inner) + b"u"
        if choice == 3:
            return b"\x8f(" + self.values(0) + b"\x90"
        if choice == 4:
            return b"(" + self.values(0) + b"\x91"
        if choice == 5:
            return self.value(inner) + self.value(0) + b"\x86"
        if choice == 6:
            return rng.choice(CALLEES) + self.value(inner) + b"\x85R"
        if choice == 7:
            return rng.choice(CALLEES) + b"(" + self.values(inner) + b"tR"
        if choice == 8:
            return rng.choice(CALLEES) + b"(" + self.values(inner) + b"t\x81"
        if choice == 9:
            return self.value(0) + b"}(" + text(rng.choice(("a", "b", "int", "extend", "__class__"))) + self.value(inner) + b"ub"
        if choice == 10:
            return self.value(inner) + b"0" + self.value(inner)
        return b"(" + self.values(0) + b"1" + self.value(inner)


CALLEES = [named(module, name) for module, name in sorted(ALLOWED) if module != "pathlib._local"]
CALLEES += [named("pickled_models", name) for name in sorted(MODELS - {"Recorder"})]


def test_built_pickles_that_are_accepted_load_alike():
    def make(rng):
        return b"\x80\x04" + Builder(rng).value(3) + b"."

    counts = run_for(SECONDS, make)
    assert counts["loaded"] > 100 and counts["data error"] > 0


def test_random_bytes_crash_nothing():
    rng = random.Random(SEED)
    counts = collections.Counter()
    for _ in range(20_000):
        examine(rng.randbytes(rng.randrange(40)) if hasattr(rng, "randbytes") else b".", counts)


def test_the_examination_finds_what_it_is_for():
    """Each of its assertions fails on something."""
    assert not is_allowed(os.system) and not is_allowed(models.MyPopen) and is_allowed(models.Plain)
    assert not is_allowed(types.SimpleNamespace) and is_allowed(decimal.Decimal)
    assert not compare([1, models.Plain(1)], [1, models.Plain(2)])
    assert not compare({"a": (1.0,)}, {"a": (1,)})
    audited.clear()
    load(InC, b"cos\nlistdir\n(V/\ntR.")
    assert ("os.listdir", ("/",)) in audited
    audited.clear()
