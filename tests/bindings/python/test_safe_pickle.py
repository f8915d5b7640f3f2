"""Safe pickles: what is allowed loads, under each protocol, and listed modules mean what they say."""

import array
import collections
import copyreg
import datetime
import decimal
import fractions
import inspect
import io
import pathlib
import pickle
import pickletools
import re
import sys
import types
import urllib.parse
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dictsqlite
import pickled_models as models
from dictsqlite import UnsafePickleError, safe_pickle_check, safe_pickle_loads
from safe_pickle_values import PROTOCOLS, VALUES, equal, named, proto

LISTED = ["pickled_models"]

protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


class PurePickler(pickle._Pickler):
    """Written in Python, it splits frames and batches elsewhere than the one in C."""


def dumps_pure(value, protocol):
    file = io.BytesIO()
    PurePickler(file, protocol).dump(value)
    return file.getvalue()


@settings(max_examples=400, deadline=None)
@given(VALUES, st.sampled_from(PROTOCOLS))
def test_values_of_the_built_in_types_come_back(value, protocol):
    for data in (pickle.dumps(value, protocol), dumps_pure(value, protocol)):
        safe_pickle_check(data)
        # Not the value itself: some paths of Windows do not survive pickling.
        assert equal(safe_pickle_loads(data), pickle.loads(data))


@settings(max_examples=100, deadline=None)
@given(VALUES, st.sampled_from(PROTOCOLS))
def test_optimized_pickles_come_back(value, protocol):
    data = pickletools.optimize(pickle.dumps(value, protocol))
    assert equal(safe_pickle_loads(data), pickle.loads(data))


@protocols
def test_large_values_come_back(protocol):
    value = {
        "bytes": bytes(300_000),
        "str": "é" * 100_000,
        "list": list(range(70_000)),
        "dict": {str(i): i for i in range(5_000)},
        "set": set(range(3_000)),
        "int": (1 << 14_000) - 1,
        "bytearray": bytearray(100_000),
    }
    assert equal(safe_pickle_loads(pickle.dumps(value, protocol)), value)


@protocols
def test_values_that_hold_themselves_come_back(protocol):
    recursive_list = []
    recursive_list.append(recursive_list)
    loaded = safe_pickle_loads(pickle.dumps(recursive_list, protocol))
    assert loaded[0] is loaded

    recursive_dict = {}
    recursive_dict["self"] = (recursive_dict, [recursive_dict])
    loaded = safe_pickle_loads(pickle.dumps(recursive_dict, protocol))
    assert loaded["self"][0] is loaded and loaded["self"][1][0] is loaded

    for length in (1, 2, 3, 5):
        inner = []
        recursive_tuple = (inner,) * length
        inner.append(recursive_tuple)
        loaded = safe_pickle_loads(pickle.dumps(recursive_tuple, protocol))
        assert loaded[0][0] is loaded and len(loaded) == length

    holder = models.Plain()
    holder.a = {1: holder}
    loaded = safe_pickle_loads(pickle.dumps(holder, protocol), LISTED)
    assert loaded.a[1] is loaded

    if protocol >= 4:
        holder.a = frozenset([Hashed(holder)])
        loaded = safe_pickle_loads(pickle.dumps(holder, protocol), LISTED + [__name__])
        assert next(iter(loaded.a)).a is loaded


class Hashed:
    def __init__(self, a):
        self.a = a


@protocols
def test_a_list_that_its_many_members_point_to_comes_back(protocol):
    siblings = []
    siblings += [(siblings, {"of": siblings}) for _ in range(5_000)]
    loaded = safe_pickle_loads(pickle.dumps(siblings, protocol))
    assert loaded[4_999][1]["of"] is loaded


@protocols
def test_a_long_history_of_objects_comes_back(protocol):
    history = [models.Plain()]
    for _ in range(3_000):
        history.append(models.Plain((history[-1], history[-1])))
    loaded = safe_pickle_loads(pickle.dumps(history, protocol), LISTED)
    assert loaded[3_000].a[0] is loaded[2_999]


def instances():
    plain = models.Plain([1, "two"])
    plain.later = {"x": plain.a}
    slotted = models.Slotted()
    slotted.a, slotted.b = 1, [2]
    stateful = models.Stateful()
    stateful.a = {"__odd__": 1, 2: 3}
    my_list = models.MyList([1, 2])
    my_list.name = "list"
    my_dict = models.MyDict(a=1)
    my_dict.name = "dict"
    return [
        plain, models.Point(1, models.Point(2)), models.Frozen((1, 2)), slotted, stateful,
        models.WithNew(1, b=2), models.Colour.RED, models.Colour.PAIR,
        models.Level.LOW | models.Level.HIGH, models.Pair(1, [2]), my_list, my_dict,
        models.MyInt(5), models.MyStr("text"), models.MyBytes(b"b"), models.MyBytearray(b"a"),
        models.MyTuple((1, 2)), models.MyDeque([1, 2], 5),
        models.MySet([1, 2]), models.Plain, [models.Colour, models.MyInt],
        collections.defaultdict(models.Plain, {1: models.Plain(2)}),
    ]


def dumps_or_skip(value, protocol):
    try:
        return pickle.dumps(value, protocol)
    except TypeError as error:  # __slots__ below protocol 2
        pytest.skip(str(error))


@protocols
@pytest.mark.parametrize("index", range(len(instances())))
def test_instances_of_listed_classes_come_back(index, protocol):
    value = instances()[index]
    data = dumps_or_skip(value, protocol)
    if isinstance(value, models.WithNew) and protocol in (2, 3):
        with pytest.raises(UnsafePickleError, match="functools.partial"):
            safe_pickle_loads(data, LISTED)
        return
    loaded = safe_pickle_loads(data, LISTED)
    assert loaded == value
    assert type(loaded) is type(value)
    assert getattr(loaded, "__dict__", None) == getattr(value, "__dict__", None)


@protocols
def test_exceptions_of_a_listed_class_come_back(protocol):
    problem = models.Problem("what", 5)
    problem.detail = ["more"]
    loaded = safe_pickle_loads(pickle.dumps(problem, protocol), LISTED)
    assert type(loaded) is models.Problem
    assert loaded.args == ("what", 5) and loaded.detail == ["more"]


@protocols
def test_the_same_instances_are_refused_unlisted(protocol):
    for value in instances():
        with pytest.raises(UnsafePickleError) as caught:
            safe_pickle_check(dumps_or_skip(value, protocol))
        assert caught.value.global_name is not None


def test_shared_values_stay_shared():
    shared = ["x"]
    for protocol in PROTOCOLS:
        loaded = safe_pickle_loads(pickle.dumps([shared, shared, {1: shared}], protocol))
        assert loaded[0] is loaded[1] is loaded[2][1]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: array.array("B", b)])
def test_any_contiguous_buffer_is_taken(kind):
    data = kind(pickle.dumps([1, 2]))
    assert safe_pickle_check(data) is None
    assert safe_pickle_loads(data) == [1, 2]
    assert safe_pickle_loads(data=data, allowed_modules=None) == [1, 2]


@pytest.mark.parametrize("call", [safe_pickle_check, safe_pickle_loads])
def test_other_arguments_are_type_errors(call):
    good = pickle.dumps(1)
    for data in ("text", None, 5, [b"."]):
        with pytest.raises(TypeError, match="bytes-like"):
            call(data)
    with pytest.raises(BufferError):
        call(memoryview(good * 2)[::2])
    for allowed in ("module", b"module", 5, [b"module"], [None]):
        with pytest.raises(TypeError):
            call(good, allowed)
    with pytest.raises(TypeError):
        call()
    with pytest.raises(TypeError):
        call(good, None, 1)


@pytest.mark.parametrize("name", ["", ".", "*", "a..b", ".a", "a..", "a b", "a.*", "a-b", "1a", "a.\ud800"])
def test_a_list_of_what_are_no_names_is_a_value_error(name):
    with pytest.raises(ValueError, match="name of a module"):
        safe_pickle_check(pickle.dumps(1), [name])


@pytest.mark.parametrize("name", ["builtins", "builtins.", "builtins.eval", "copyreg", "_codecs.encode",
                                  "__builtin__", "copy_reg."])
def test_the_modules_of_the_built_in_list_cannot_be_listed(name):
    with pytest.raises(ValueError, match="built-in list"):
        safe_pickle_check(pickle.dumps(1), [name])


def test_a_name_that_only_begins_like_theirs_can_be_listed():
    safe_pickle_check(pickle.dumps(1), ["builtins_of_mine", "copyregister."])


def test_the_names_can_be_any_iterable():
    data = pickle.dumps(models.Plain(1))
    for allowed in (LISTED, tuple(LISTED), set(LISTED), iter(LISTED), dict.fromkeys(LISTED)):
        safe_pickle_check(data, allowed)


def test_errors_of_iterating_the_names_pass_through():
    def names():
        yield "a"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        safe_pickle_check(pickle.dumps(1), names())


def test_the_error_says_what_and_where():
    data = proto(b"K\x01" + named("os", "system") + text_tuple("true") + b"R")
    with pytest.raises(UnsafePickleError) as caught:
        safe_pickle_loads(data)
    error = caught.value
    assert isinstance(error, pickle.UnpicklingError)
    assert isinstance(error, dictsqlite.DictSQLiteError)
    assert (error.global_name, error.opcode) == ("os.system", "STACK_GLOBAL")
    assert data[error.offset] == pickle.STACK_GLOBAL[0]
    assert str(error) == (f"os.system: it is not on the list of what is allowed "
                          f"(STACK_GLOBAL at offset {error.offset})")


def text_tuple(value):
    return b"\x8c" + bytes([len(value)]) + value.encode() + b"\x85"


def test_an_error_without_a_global_or_an_opcode_has_none():
    with pytest.raises(UnsafePickleError) as caught:
        safe_pickle_check(b"")
    assert (caught.value.offset, caught.value.opcode, caught.value.global_name) == (0, None, None)
    with pytest.raises(UnsafePickleError) as caught:
        safe_pickle_check(b"\x80\x04\xff.")
    assert (caught.value.offset, caught.value.opcode, caught.value.global_name) == (2, None, None)


def test_the_error_can_be_pickled_and_made_by_hand():
    with pytest.raises(UnsafePickleError) as caught:
        safe_pickle_check(b"cos\nsystem\n.")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert vars(copy) == vars(caught.value) and copy.args == caught.value.args
    made = UnsafePickleError("text")
    assert (made.offset, made.opcode, made.global_name) == (0, None, None)


def test_the_functions_have_signatures():
    for function in (safe_pickle_check, safe_pickle_loads):
        assert str(inspect.signature(function)) == "(data, allowed_modules=None)"
        assert function.__doc__


def refuses(data, allowed, match):
    for call in (safe_pickle_check, safe_pickle_loads):
        with pytest.raises(UnsafePickleError, match=match):
            call(data, allowed)


def test_a_listed_module_allows_the_classes_it_defines_and_nothing_else():
    refuses(proto(named("pickled_models", "Reexported")), LISTED, "does not define")
    refuses(proto(named("pickled_models", "subprocess")), LISTED, "does not define")
    refuses(proto(named("pickled_models", "calls")), LISTED, "does not define")
    refuses(proto(named("pickled_models", "instance")), LISTED, "does not define")
    refuses(proto(named("pickled_models", "make_plain")), LISTED, "no class")
    refuses(proto(named("pickled_models", "Plain.Nested")), LISTED, "dot")
    refuses(proto(named("pickled_models", "__class__")), LISTED, "Python's own")
    refuses(proto(named("pickled_models", "__dict__")), LISTED, "Python's own")
    refuses(proto(named("pickled_models.sub", "Plain")), LISTED, "not on the list")
    refuses(proto(named("pickled_model", "Plain")), LISTED, "not on the list")


def test_the_modules_getattr_is_not_asked():
    models.calls.clear()
    refuses(proto(named("pickled_models", "absent")), LISTED, "does not have it")
    assert models.calls == []


def test_a_function_can_be_named_exactly():
    data = proto(named("pickled_models", "make_plain") + b"K\x05\x85R")
    refuses(data, LISTED, "no class")
    assert safe_pickle_loads(data, ["pickled_models.make_plain"]) == models.Plain(5)
    refuses(proto(named("pickled_models", "other_function") + b")R"), ["pickled_models.make_plain"],
            "not on the list")
    refuses(data[:-1] + b"}b.", ["pickled_models.make_plain"], "no more")


def test_a_class_can_be_named_exactly():
    data = pickle.dumps(models.Plain(5))
    assert safe_pickle_loads(data, ["pickled_models.Plain"]) == models.Plain(5)
    refuses(pickle.dumps(models.Point(5)), ["pickled_models.Plain"], "not on the list")


def test_a_function_of_c_cannot_be_named():
    refuses(proto(named("os", "getpid") + b")R"), ["os.getpid"], "does not define")
    refuses(proto(named("posix", "getpid") + b")R"), ["posix.getpid"], "no class")
    refuses(proto(named("_operator", "attrgetter")), ["_operator.attrgetter"], None)


@pytest.mark.parametrize("kind", models.MACHINERY, ids=lambda kind: kind.__name__)
def test_no_class_that_runs_code_or_opens_files_can_be_listed(kind):
    for allowed in (LISTED, [f"pickled_models.{kind.__name__}"]):
        refuses(proto(named("pickled_models", kind.__name__)), allowed, "derives from")


@pytest.mark.parametrize("module,name", [
    ("functools", "partial"), ("operator", "attrgetter"), ("operator", "methodcaller"),
    ("subprocess", "Popen"), ("_io", "FileIO"), ("_pickle", "Unpickler"), ("threading", "Thread"),
    ("_ctypes", "CFuncPtr"), ("socket", "socket"), ("code", "InteractiveConsole"),
    ("logging", "FileHandler"), ("ctypes", "c_char"), ("sqlite3", "Connection")])
def test_nor_those_of_the_standard_library(module, name):
    __import__(module)
    refuses(proto(named(module, name)), [module], "derives from|does not define")


def test_a_class_of_a_metaclass_can_be_listed():
    assert safe_pickle_loads(proto(named("pickled_models", "OfMeta")), LISTED) is models.OfMeta


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose modules say when they are imported."""
    folder = tmp_path / "listed_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("class Root: pass\n")
    for name in ("one", "two", "__main__"):
        (folder / f"{name}.py").write_text("class Inner: pass\n")
    (folder / "broken.py").write_text("raise ValueError('at import')\n")
    (folder / "lacking.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [n for n in sys.modules if n.split(".")[0] == "listed_package"]:
        del sys.modules[name]


def test_a_listed_module_is_imported_when_it_is_needed(package):
    safe_pickle_check(pickle.dumps(1), ["listed_package.one"])
    assert "listed_package.one" not in sys.modules
    loaded = safe_pickle_loads(proto(named("listed_package.one", "Inner")), ["listed_package.one"])
    assert loaded is sys.modules["listed_package.one"].Inner


def test_a_package_covers_those_of_its_modules_that_are_imported(package):
    data = proto(named("listed_package.two", "Inner"))
    refuses(data, ["listed_package."], "not been imported")
    assert "listed_package.two" not in sys.modules
    __import__("listed_package.two")
    assert safe_pickle_loads(data, ["listed_package."]).__module__ == "listed_package.two"
    refuses(proto(named("listed_package", "Root")), ["listed_package."], "not on the list")
    refuses(data, ["listed_package"], "not on the list")
    refuses(data, ["listed."], "not on the list")
    refuses(data, ["listed_package.t."], "not on the list")


def test_errors_of_an_import_are_not_hidden(package):
    refuses(proto(named("listed_package.absent", "A")), ["listed_package.absent"], "cannot be imported")
    refuses(proto(named("listed_package.lacking", "A")), ["listed_package.lacking"], "cannot be imported")
    with pytest.raises(ValueError, match="at import"):
        safe_pickle_check(proto(named("listed_package.broken", "A")), ["listed_package.broken"])


def test_what_stands_in_for_a_module_is_not_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "stand_in", types.SimpleNamespace(Plain=models.Plain))
    refuses(proto(named("stand_in", "Plain")), ["stand_in"], "does not have it")
    monkeypatch.setitem(sys.modules, "stand_in", None)
    refuses(proto(named("stand_in", "Plain")), ["stand_in"], "cannot be imported")


def test_simple_namespaces_can_be_listed():
    value = types.SimpleNamespace(a=1, b=[2])
    assert safe_pickle_loads(pickle.dumps(value), ["types"]) == value
    refuses(proto(named("types", "FunctionType")), ["types"], "does not define")
    refuses(proto(named("types", "CodeType")), ["types"], "does not define")


def test_listed_classes_with_names_of_python_2_are_found_under_their_own():
    value = urllib.parse.urlsplit("http://a/b?c#d")
    for protocol in PROTOCOLS:
        assert safe_pickle_loads(pickle.dumps(value, protocol), ["urllib.parse"]) == value
    refuses(b"curlparse\nSplitResult\n.", ["urlparse"], "not on the list")


def test_find_class_asks_a_second_time(script):
    """The unpickler asks the list again, and tells the audit hooks as any unpickler does."""
    done = script("""
        import decimal, pickle, sys
        from dictsqlite import safe_pickle_loads
        seen = []
        sys.addaudithook(lambda event, args: seen.append(args) if event == "pickle.find_class" else None)
        safe_pickle_loads(pickle.dumps(decimal.Decimal("1.5")))
        assert seen == [("decimal", "Decimal")], seen
    """)
    assert done.returncode == 0, done.stderr


def test_only_what_was_checked_is_loaded():
    """A listed class that writes into the buffer while it is loaded changes nothing."""
    good = pickle.dumps([models.Plain(1), "later"])
    buffer = bytearray(good)

    def setstate(self, state):
        buffer[:] = bytes(len(buffer))
        self.__dict__.update(state)

    models.Plain.__setstate__ = setstate
    try:
        loaded = safe_pickle_loads(buffer, LISTED)
    finally:
        del models.Plain.__setstate__
    assert loaded[1] == "later" and not any(buffer)


def test_errors_of_listed_classes_pass_through():
    with pytest.raises(TypeError):
        safe_pickle_loads(proto(named("pickled_models", "WithNew") + b")R"), LISTED)


def test_wrong_values_of_the_right_shape_are_errors_of_their_type():
    for data, error in (
            (proto(named("fractions", "Fraction") + b"K\x01K\x00\x86R"), ZeroDivisionError),
            (proto(named("decimal", "Decimal") + text_tuple("x") + b"R"), ArithmeticError),
            (proto(named("uuid", "UUID") + b")\x81}b"), KeyError),
            (proto(b"}]\x85K\x01s"), TypeError),
            (proto(named("ipaddress", "IPv4Address") + text_tuple("x") + b"R"), ValueError)):
        safe_pickle_check(data)
        with pytest.raises(error):
            safe_pickle_loads(data)


def test_what_uses_no_list_is_not_affected_by_copyreg():
    """A reducer of the program's own may come to be refused, and never to be called."""
    copyreg.pickle(fractions.Fraction, lambda f: (models.make_plain, (str(f),)))
    try:
        data = pickle.dumps(fractions.Fraction(1, 2))
    finally:
        del copyreg.dispatch_table[fractions.Fraction]
    refuses(data, None, "make_plain")


def test_uuids_keep_what_they_know_of_their_safety():
    value = uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe)
    for protocol in PROTOCOLS:
        assert safe_pickle_loads(pickle.dumps(value, protocol)).is_safe is uuid.SafeUUID.safe


def test_folds_are_kept():
    for protocol in (4, 5):
        for value in (datetime.datetime(2020, 1, 2, fold=1), datetime.time(5, fold=1)):
            assert safe_pickle_loads(pickle.dumps(value, protocol)).fold == 1


@pytest.mark.parametrize("value", [
    ValueError("x"), len, print, types.SimpleNamespace(), type(None), Ellipsis, re.compile("a"),
    models.Plain.__init__, [].append, pathlib.Path("/a"), array.array("b")],
    ids=lambda value: type(value).__name__)
def test_what_is_not_on_the_list_is_refused(value):
    for protocol in PROTOCOLS:
        refuses(pickle.dumps(value, protocol), None, None)


def test_the_documented_list_is_the_built_in_list():
    root = pathlib.Path(__file__).parents[3]
    table = re.findall(r'^    \{"(\w[\w.]*)", "(\w+)", "\w+", ',
                       (root / "bindings/python/safe_pickle_policy.c").read_text(), re.MULTILINE)
    rows = re.findall(r"^\| (`.*`) \| (`.*?)(?:: .*)? \|$", (root / "docs/safe-pickle.md").read_text(), re.MULTILINE)
    documented = set()
    for modules, names in rows:
        modules, names = (re.findall(r"`([\w.]+)`", cell) for cell in (modules, names))
        if len(modules) == len(names) and modules[0] != "pathlib":
            documented |= set(zip(modules, names))
        else:
            documented |= {(module, name) for module in modules for name in names}
    assert len(table) > 30
    assert documented == set(table)
