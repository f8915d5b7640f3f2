"""Classes that the tests of safe pickles list, or must not be able to use."""

import collections
import dataclasses
import enum
import functools
import io
import subprocess
import threading
from datetime import tzinfo as Reexported  # noqa: F401  defined elsewhere

calls = []


class Plain:
    def __init__(self, a=None):
        self.a = a

    def __eq__(self, other):
        return type(other) is type(self) and vars(other) == vars(self)

    class Nested:
        pass


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: object


class Slotted:
    __slots__ = ("a", "b")

    def __eq__(self, other):
        return type(other) is Slotted and (self.a, self.b) == (other.a, other.b)


class Stateful:
    def __getstate__(self):
        return ["state", self.a]

    def __setstate__(self, state):
        self.a = state[1]

    def __eq__(self, other):
        return type(other) is Stateful and self.a == other.a


class WithNew:
    def __new__(cls, a, *, b):
        self = super().__new__(cls)
        self.pair = (a, b)
        return self

    def __getnewargs_ex__(self):
        return (self.pair[0],), {"b": self.pair[1]}

    def __eq__(self, other):
        return type(other) is WithNew and self.pair == other.pair


class Colour(enum.Enum):
    RED = 1
    PAIR = (1, 2)


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2


class NoMembers(enum.Enum):
    pass


Pair = collections.namedtuple("Pair", "first second")


class MyList(list):
    pass


class MyDict(dict):
    pass


class MyInt(int):
    pass


class MyStr(str):
    pass


class MyBytes(bytes):
    pass


class MyBytearray(bytearray):
    pass


class MyTuple(tuple):
    pass


class MyDeque(collections.deque):
    pass


class MySet(set):
    pass


class Problem(Exception):
    pass


class Recorder:
    """A constructor with an effect, of which a test can see whether it was called."""

    def __init__(self, *args):
        calls.append(args)


def make_plain(a):
    return Plain(a)


def other_function():
    calls.append("other_function")


class Meta(type):
    pass


class OfMeta(metaclass=Meta):
    pass


class MyPartial(functools.partial):
    pass


class MyFile(io.FileIO):
    pass


class MyThread(threading.Thread):
    pass


class MyPopen(subprocess.Popen):
    pass


class MyMap(map):
    pass


MACHINERY = (Meta, MyPartial, MyFile, MyThread, MyPopen, MyMap)

instance = Plain(1)


def __getattr__(name):
    calls.append(name)
    raise AttributeError(name)
