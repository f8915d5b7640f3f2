"""Pickles that are out for something: each known trick is refused before anything of it is run."""

import collections
import copyreg
import pickle
import resource
import struct
import sys
import time

import pytest

import pickled_models as models
from dictsqlite import UnsafePickleError, safe_pickle_check, safe_pickle_loads
from safe_pickle_values import frame, named, proto, text

LISTED = ["pickled_models"]
PLAIN = named("pickled_models", "Plain")
NEW_PLAIN = PLAIN + b")\x81"


def refused(data, match=None, allowed=None, opcode=None):
    for call in (safe_pickle_check, safe_pickle_loads):
        with pytest.raises(UnsafePickleError, match=match) as caught:
            call(data, allowed)
    if opcode is not None:
        assert caught.value.opcode == opcode
    return caught.value


def accepted(data, allowed=None):
    safe_pickle_check(data, allowed)
    return safe_pickle_loads(data, allowed)


# Importables that run, spawn, read or resolve; from public advisories.
GADGETS = """
os.system posix.system nt.system subprocess.Popen subprocess.check_output commands.getoutput
builtins.eval builtins.exec builtins.compile builtins.open builtins.getattr builtins.setattr
builtins.__import__ builtins.type builtins.super builtins.map builtins.filter builtins.vars
builtins.breakpoint builtins.globals builtins.memoryview builtins.classmethod builtins.property
__builtin__.eval __builtin__.apply __builtin__.reduce __builtin__.execfile __builtin__.file
copyreg.__newobj__ copyreg.__newobj_ex__ copyreg.add_extension copyreg.pickle copy_reg._reconstruct
pickle.loads pickle.Unpickler _pickle.loads _pickle.Unpickler marshal.loads shelve.open
operator.attrgetter operator.methodcaller operator.itemgetter _operator.attrgetter
functools.partial functools.reduce importlib.import_module importlib.reload pkgutil.resolve_name
pydoc.locate pydoc.pipepager runpy.run_module runpy._run_code code.interact cProfile.run profile.run
trace.Trace doctest.debug_script timeit.timeit pty.spawn pip.main ensurepip._run_pip idlelib.run
lib2to3.pgen2.pgen.generate_grammar ctypes.CDLL ctypes._dlopen platform.popen webbrowser.open
_io.FileIO io.open _io.open codecs.open linecache.getlines logging.FileHandler logging.config.listen
asyncio.unix_events._UnixSubprocessTransport urllib.request.urlopen http.client.HTTPSConnection
socket.create_connection sys.exit sys.setrecursionlimit gc.get_objects types.FunctionType
types.CodeType numpy.load torch.load torch.jit.load joblib.load distutils.file_util.write_file
multiprocessing.util.spawnv_passfds _posixsubprocess.fork_exec re._compile uuid._get_command_stdout
collections.namedtuple collections.UserDict collections._sys datetime.sys decimal.Context
pathlib.Path pathlib.PosixPath pathlib.os pathlib.io uuid.os uuid.uuid1 ipaddress.functools
_codecs.decode _codecs.lookup codecs.encode array.array datetime.tzinfo zoneinfo.ZoneInfo
__main__.anything dictsqlite.DictSQLite
""".split()


@pytest.mark.parametrize("name", GADGETS)
def test_a_gadget_is_refused_however_it_is_named(name):
    module, _, attribute = name.rpartition(".")
    by_line = f"c{module}\n{attribute}\n".encode()
    for data in (by_line + b".", by_line + b"(tR.", by_line + b"(Vx\ntR0N.",
                 b"\x80\x02" + by_line + b")\x81.", b"\x80\x03" + by_line + b")R.",
                 proto(named(module, attribute)), proto(named(module, attribute) + b")R"),
                 proto(named(module, attribute) + b")}\x92"),
                 proto(text(module) + b"\x94" + text(attribute) + b"\x9400h\x00h\x01\x93)R")):
        error = refused(data)
        assert error.opcode in ("GLOBAL", "STACK_GLOBAL")
        assert error.global_name == name


def test_a_prefix_is_no_boundary():
    """A listed module is one module, and its attributes that are modules or functions are none."""
    for allowed in (["logging"], ["logging."], ["logging", "logging."]):
        refused(proto(text("logging") + text("os.getpid") + b"\x93)R"), None, allowed)
        refused(b"\x80\x02clogging\nos\n.", None, allowed)
        refused(proto(named("logging.os", "getpid")), None, allowed)


def test_dotted_names_are_refused_in_each_protocol():
    for name in ("Plain.Nested", "subprocess.Popen", "Plain.__init__", ".Plain", "Plain.", "."):
        for data in (b"cpickled_models\n" + name.encode() + b"\n.",
                     b"\x80\x02cpickled_models\n" + name.encode() + b"\n.",
                     proto(named("pickled_models", name))):
            refused(data, "dot", LISTED)
    refused(proto(named("builtins", "object.__subclasses__")), "dot")


def test_a_listed_package_never_covers_what_only_begins_like_it():
    for module in ("pickled_models_evil", "pickled_modelsx", "pickled_models.", ".pickled_models",
                   "x.pickled_models"):
        refused(proto(named(module, "Plain")), None, LISTED + ["pickled_models."])


# BUILD

def test_state_is_never_set_on_a_class():
    state = b"}" + text("x") + b"K\x01s"
    refused(proto(named("collections", "Counter") + b"N" + state + b"\x86b"), "no instance")
    refused(proto(named("collections", "Counter") + state + b"b"), "no instance")
    refused(proto(PLAIN + b"N" + state + b"\x86b"), "no instance", LISTED)
    refused(proto(PLAIN + b"\x940h\x00" + state + b"b"), "no instance", LISTED)
    assert not hasattr(collections.Counter, "x") and not hasattr(models.Plain, "x")


@pytest.mark.parametrize("target", [b"N", b"K\x01", b"]", b"}", b")", b"\x8f", text("a"), b"C\x00",
                                    b"G" + bytes(8), b"(\x91", b"\x88"])
def test_state_is_never_set_on_a_plain_value(target):
    refused(proto(target + b"}b"), "no instance", opcode="BUILD")


@pytest.mark.parametrize("instance", [
    named("builtins", "object") + b")\x81", named("collections", "OrderedDict") + b")R",
    named("collections", "deque") + b")R", named("decimal", "Decimal") + text("1") + b"\x85R",
    named("builtins", "complex") + b"G" + bytes(8) + b"G" + bytes(8) + b"\x86R"])
def test_instances_of_the_built_in_list_take_no_state(instance):
    refused(proto(instance + b"}b"), "no such state")


def test_a_uuid_takes_ints_alone():
    make = named("uuid", "UUID") + b")\x81}" + text("int")
    accepted(proto(make + b"\x8a\x02\x00\x01sb"))
    for value in (b"N", text("x"), PLAIN, b"]", b"G" + bytes(8), b"\x8a\x12" + bytes(17) + b"\x01"):
        refused(proto(make + value + b"sb"), "no such state", LISTED)
    refused(proto(named("uuid", "UUID") + b")\x81N}" + text("int") + b"K\x01s\x86b"), "no such state")
    refused(proto(named("uuid", "UUID") + b"K\x01\x85\x81"), "not made")
    refused(proto(named("uuid", "UUID") + text("x") + b"\x85R"), "may not be called")


@pytest.mark.parametrize("key", ["__class__", "__dict__", "__setstate__", "__init__", "__reduce__",
                                 "__del__", "____"])
def test_state_with_names_of_pythons_own_is_refused(key):
    items = b"}" + text(key) + b"Ns"
    refused(proto(NEW_PLAIN + items + b"b"), "no such state", LISTED)
    refused(proto(NEW_PLAIN + b"N" + items + b"\x86b"), "no such state", LISTED)
    refused(proto(named("pickled_models", "Slotted") + b")\x81N" + items + b"\x86b"), None, LISTED)
    # BaseException.__setstate__ sets attributes.
    refused(proto(named("pickled_models", "Problem") + b")R" + items + b"b"), None, LISTED)
    refused(proto(named("pickled_models", "Problem") + b")RN" + items + b"\x86b"), None, LISTED)
    refused(proto(NEW_PLAIN + b"}(" + text(key) + b"Nub"), None, LISTED)
    refused(proto(NEW_PLAIN + b"(" + text(key) + b"Ndb"), None, LISTED)
    by_line = b"cpickled_models\nPlain\n)\x81(dV" + key.encode() + b"\nNsb."
    refused(by_line, "no such state", LISTED)
    # Through the memo, and after the dict was looked at once.
    refused(proto(b"}\x94" + NEW_PLAIN + b"h\x00" + text(key) + b"Nsb\x86"), None, LISTED)


def test_a_name_has_one_spelling():
    """Escapes cannot hide a name from the check."""
    for hidden in (b"\\u005f_class__", b"\\U0000005f_class__", b"__clas\\u0073__", b"\\x5f_class__",
                   b"a\\", b"\\u00", b"\\u", b"\\\\u005f", b"\\ud8", b"\\U00110000", b"\\u+05f"):
        refused(b"cpickled_models\nPlain\n)\x81(dV" + hidden + b"\nNsb.", "escaped", LISTED)
    assert accepted(b"V\\u005c\\u3042\\U0001f600\\u000a\n.") == "\\あ\U0001f600\n"


def test_state_without_str_keys_is_refused():
    for key in (b"K\x01", b"N", b"C\x00", b")", PLAIN,
                named("pickled_models", "MyStr") + text("a") + b"\x85\x81"):
        refused(proto(NEW_PLAIN + b"}" + key + b"Nsb"), "no such state", LISTED)
    for state in (b"N", b"]", b"K\x01", text("x"), b")", b"NNN\x87", b"]N\x86", b"N]\x86"):
        refused(proto(NEW_PLAIN + state + b"b"), "no such state", LISTED)
    for state in (b"}", b"}}\x86", b"N"):
        refused(proto(named("pickled_models", "Slotted") + b")\x81" + state + b"b"), "no such state", LISTED)


def test_an_instance_that_has_its_state_changes_no_more():
    """Its attributes could stand in for __setstate__, extend or append."""
    callee = b"}" + text("extend") + PLAIN + b"s"
    refused(proto(NEW_PLAIN + b"}b}b"), "no more", LISTED)
    refused(proto(named("pickled_models", "MyList") + b")\x81" + callee + b"bK\x01a"), "no more", LISTED)
    refused(proto(named("pickled_models", "MyList") + b")\x81" + callee + b"b(K\x01e"), "no more", LISTED)
    refused(proto(named("pickled_models", "MyDict") + b")\x81" + callee + b"bK\x01K\x02s"), "no more", LISTED)
    refused(proto(NEW_PLAIN + b"\x94}bh\x00}b\x86"), "no more", LISTED)


def test_members_of_an_enum_change_no_more():
    red = named("pickled_models", "Colour") + b"K\x01\x85R"
    assert accepted(proto(red), LISTED) is models.Colour.RED
    refused(proto(red + b"}" + text("_value_") + b"K\x02sb"), "no more", LISTED)
    refused(proto(named("pickled_models", "Colour") + b"K\x01\x85\x81"), "not made", LISTED)
    refused(b"ccopyreg\n_reconstructor\n(cpickled_models\nColour\nc__builtin__\nobject\nNtR.",
            "not made", LISTED)
    assert models.Colour.RED.value == 1


def test_an_enum_is_not_made_by_calling_one():
    refused(proto(named("pickled_models", "NoMembers") + text("New") + b"(" + text("A") + b"l\x86R"),
            "one value", LISTED)
    refused(proto(named("pickled_models", "Colour") + b")R"), "one value", LISTED)


# Calls

def test_codecs_encode_takes_latin1_alone():
    encode = b"c_codecs\nencode\n"
    assert accepted(encode + b"(V\xff\nVlatin1\ntR.") == b"\xff"
    for arguments in (b"(V\xff\nVutf-8\nt", b"(V\xff\nVlatin-1\nt", b"(V\xff\nt", b"(t", b"(Vlatin1\nt",
                      b"(K\x01Vlatin1\nt", b"(V\xff\nVlatin1\nVstrict\nt", b"(NVlatin1\nt", b"(V\xff\nNt",
                      b"(C\x01aVlatin1\nt", b"(Vx\nVhex\nt", b"(Vx\nVzlib\nt", b"(Vx\nVrot13\nt"):
        refused(encode + arguments + b"R.", "other arguments")
    refused(encode + b".", "no value")
    refused(encode + b"\x85.", "no value")
    refused(b"]" + encode + b"a.", "no value")
    refused(b"}K\x01" + encode + b"s.", "no value")
    refused(b"ccollections\ndefaultdict\n" + encode + b"\x85R.", "no value")


def test_the_arguments_of_built_in_classes_have_their_shapes():
    latin1 = b"c_codecs\nencode\n(V\x07\xe4\x0d\x02\nVlatin1\ntR"
    for name, arguments in (
            ("builtins.bytearray", b"\x8a\x06" + b"\xff" * 5 + b"\x00\x85"), ("builtins.bytearray", b"]\x85"),
            ("builtins.bytearray", text("x") + text("utf-8") + b"\x86"),
            ("builtins.bytes", b"K\x64\x85"), ("builtins.bytes", b"]\x85"), ("builtins.list", b")"),
            ("builtins.list", b"]\x85"), ("builtins.tuple", b"]\x85"), ("builtins.dict", b")"),
            ("builtins.int", text("1") + b"\x85"), ("builtins.str", b"K\x01\x85"), ("builtins.str", b")"),
            ("builtins.float", text("1") + b"\x85"), ("builtins.bool", b")"), ("builtins.object", b")"),
            ("builtins.set", b")"), ("builtins.set", text("x") + b"\x85"), ("builtins.set", b")\x85"),
            ("builtins.set", b"\x8f\x85"), ("builtins.frozenset", b"}\x85"), ("builtins.set", b"]]\x86"),
            ("builtins.range", b"K\x01\x85"), ("builtins.range", b"K\x01K\x01N\x87"),
            ("builtins.slice", b"]NN\x87"), ("builtins.slice", b"N\x85"), ("builtins.slice", b")NN\x87"),
            ("builtins.complex", text("1") + b"\x85"), ("builtins.complex", b")"),
            ("collections.OrderedDict", b"]\x85"), ("collections.OrderedDict", b"}\x85"),
            ("collections.Counter", b")"), ("collections.Counter", text("x") + b"\x85"),
            ("collections.deque", b"]\x85"), ("collections.deque", b")N\x86"),
            ("collections.deque", b"K\x01\x85\x85"), ("collections.defaultdict", b"K\x01\x85"),
            ("collections.defaultdict", named("builtins", "list") + b"}\x86"),
            ("collections.defaultdict", named("builtins", "object") + b")\x81\x85"),
            ("datetime.date", b"M\xe4\x07K\x01K\x01\x87"), ("datetime.date", b"C\x04\x00\x00\x01\x01\x85"),
            ("datetime.date", b"C\x04\x07\xe4\x0d\x01\x85"), ("datetime.date", b"C\x04\x07\xe4\x02\x1e\x85"),
            ("datetime.date", b"C\x03\x07\xe4\x02\x85"), ("datetime.date", text("\x07\xe4") + b"\x85"),
            ("datetime.date", latin1 + b"\x85"), ("datetime.time", b"C\x06\x18\x00\x00\x00\x00\x00\x85"),
            ("datetime.time", b"C\x06\x00\x3c\x00\x00\x00\x00\x85"),
            ("datetime.time", b"C\x06\x00\x00\x00\x0f\x42\x40\x85"),
            ("datetime.datetime", b"C\x0a\x07\xe4\x01\x01\x98\x00\x00\x00\x00\x00\x85"),
            ("datetime.datetime", b"C\x0a\x07\xe4\x01\x01\x00\x00\x00\x00\x00\x00N\x86"),
            ("datetime.timezone", b"K\x01\x85"), ("datetime.timezone", b")"),
            ("datetime.timedelta", b"G" + bytes(8) + b"K\x00K\x00\x87"),
            ("decimal.Decimal", b"K\x01\x85"), ("decimal.Decimal", b"G" + bytes(8) + b"\x85"),
            ("fractions.Fraction", text("1e999999999") + b"\x85"), ("fractions.Fraction", text("1/1e9") + b"\x85"),
            ("fractions.Fraction", text("0.5") + b"\x85"), ("fractions.Fraction", b"G" + bytes(8) + b"\x85"),
            ("ipaddress.IPv4Address", b"C\x04abcd\x85"), ("ipaddress.IPv4Network", b"K\x01K\x02\x86\x85"),
            ("pathlib.PurePosixPath", b"K\x01\x85"), ("pathlib.PurePosixPath", b"C\x01a\x85")):
        error = refused(proto(named(*name.split(".")) + arguments + b"R"), opcode="REDUCE")
        assert error.global_name == name


def test_only_globals_are_called_and_only_with_tuples():
    for callee in (b"N", b"K\x01", text("os.system"), b"]", NEW_PLAIN, b")"):
        for call in (b")R", b")\x81", b")}\x92"):
            refused(proto(callee + call), "no global", LISTED)
    for arguments in (b"]", b"N", b"}", text("x"), NEW_PLAIN, named("pickled_models", "MyTuple") + b")\x81"):
        refused(proto(PLAIN + arguments + b"R"), "no tuple", LISTED)
        refused(proto(PLAIN + arguments + b"\x81"), "no tuple", LISTED)
        refused(proto(PLAIN + arguments + b"}\x92"), "no tuple", LISTED)
    for keywords in (b"N", b"]", b"}K\x01Ns", b")"):
        refused(proto(PLAIN + b")" + keywords + b"\x92"), "keyword", LISTED)


def test_classes_of_the_built_in_list_are_not_made_anew():
    for name in ("list", "dict", "int", "str", "bytes", "tuple", "set", "bytearray", "range", "slice"):
        refused(proto(named("builtins", name) + b")\x81"), "not made")
        refused(proto(named("builtins", name) + b")}\x92"), "not made")
        refused(b"ccopyreg\n_reconstructor\n(c__builtin__\n" + name.encode()
                + b"\nc__builtin__\nobject\nNtR.", None)
    refused(proto(named("builtins", "object") + b")}\x92"), "not made")
    refused(proto(named("builtins", "object") + b"K\x01\x85\x81"), "not made")


def test_reconstructor_is_bound_to_bases_and_their_values():
    start = b"ccopy_reg\n_reconstructor\n(cpickled_models\n"
    assert accepted(start + b"MyInt\nc__builtin__\nint\nI5\ntR.", LISTED) == 5
    for rest in (b"MyInt\nc__builtin__\nstr\nV5\ntR.", b"MyInt\nc__builtin__\nint\nV5\ntR.",
                 b"Plain\nc__builtin__\nint\nI5\ntR.", b"Plain\nc__builtin__\nobject\nI5\ntR.",
                 b"MyInt\nc__builtin__\nint\nNtR.", b"MyInt\ncpickled_models\nMyInt\nI5\ntR.",
                 b"MyInt\ncpickled_models\nPlain\nNtR.", b"MyDict\nc__builtin__\ndict\n(lR.",
                 b"Plain\nc__builtin__\nobject\ntR.", b"Plain\nNNtR."):
        refused(start + rest, None, LISTED)
    refused(b"ccopy_reg\n_reconstructor\n.", "no value")
    refused(b"ccopy_reg\n_reconstructor\n(NNNtR.", "other arguments")


def test_inherited_constructors_take_no_codec_and_no_size():
    """str(b"...", name) imports the codec, bytes(n) makes n of them."""
    for name, arguments in (("MyStr", b"C\x01a" + text("zlib") + b"\x86"), ("MyStr", b"C\x01a\x85"),
                            ("MyBytes", b"J\xff\xff\xff\x7f\x85"), ("MyBytes", text("a") + text("x") + b"\x86"),
                            ("MyBytearray", b"J\xff\xff\xff\x7f\x85"), ("MyInt", text("9") + b"\x85"),
                            ("MyInt", text("9") + b"K\x02\x86"), ("MyBytearray", text("a") + text("x") + b"\x86")):
        for call in (b"R", b"\x81"):
            refused(proto(named("pickled_models", name) + arguments + call), "other arguments", LISTED)
        refused(proto(named("pickled_models", name) + b")}" + text("encoding") + text("x") + b"s\x92"), "keyword",
                LISTED)


def test_getattr_is_refused_even_of_a_listed_class():
    refused(proto(named("builtins", "getattr") + PLAIN + text("__init__") + b"\x86R"), None, LISTED)
    refused(proto(named("builtins", "getattr") + named("pickled_models", "Colour") + text("RED") + b"\x86R"),
            None, LISTED)


# Containers

def test_nothing_is_put_into_what_does_not_take_it():
    for target in (b"N", b"K\x01", b"]", b")", b"\x8f", text("x"), PLAIN, NEW_PLAIN,
                   named("collections", "Counter") + b"}\x85R", named("collections", "deque") + b")R",
                   named("builtins", "dict")):
        refused(proto(target + b"K\x01K\x02s"), None, LISTED)
        refused(proto(target + b"(K\x01K\x02u"), None, LISTED)
        refused(proto(target + b"(u"), None, LISTED)
    for target in (b"N", b"}", b")", b"\x8f", text("x"), b"\x96" + bytes(8), PLAIN, NEW_PLAIN,
                   named("collections", "OrderedDict") + b")R", named("builtins", "list")):
        refused(proto(target + b"K\x01a"), None, LISTED)
        refused(proto(target + b"(K\x01e"), None, LISTED)
        refused(proto(target + b"(e"), None, LISTED)
    for target in (b"N", b"]", b"}", b"(\x91", b")", PLAIN, NEW_PLAIN,
                   named("pickled_models", "MySet") + b"]\x85R"):
        refused(proto(target + b"(K\x01\x90"), None, LISTED)


def test_odd_numbers_of_items_are_refused():
    refused(proto(b"}(K\x01u"), "no value")
    refused(b"(I1\nd.", "no value")


def test_what_has_no_hash_is_no_key():
    for key in (b"]", b"}", b"\x8f", b"\x96" + bytes(8)):
        refused(proto(b"}" + key + b"Ns"), "hashed")
        refused(proto(b"\x8f(" + key + b"\x90"), "hashed")
        refused(proto(b"(" + key + b"\x91"), "hashed")


# Names

def test_names_are_taken_from_binary_strings_alone():
    ok = text("builtins") + text("int")
    assert accepted(proto(ok + b"\x93")) is int
    assert accepted(proto(text("builtins") + b"\x94" + text("int") + b"\x9400h\x00h\x01\x93")) is int
    for module, name in ((b"C\x08builtins", text("int")), (text("builtins"), b"C\x03int"),
                         (text("builtins"), b"Vint\n"), (b"K\x01", text("int")), (text("builtins"), b"N"),
                         (named("pickled_models", "MyStr") + text("builtins") + b"\x85\x81", text("int"))):
        refused(proto(module + name + b"\x93"), "no binary string", LISTED)
    # A str of Python 2, in any spelling.
    for module in (b"U\x08builtins", b"T\x08\x00\x00\x00builtins", b"S'builtins'\n", b"S'\\x62uiltins'\n"):
        refused(proto(module + text("int") + b"\x93"), "never")


def test_names_that_only_look_alike_are_others():
    for module, name in (("builtins", "int\0"), ("builtins\0", "int"), ("builtins", "ｉnt"), ("вuiltins", "int"),
                         (" builtins", "int"), ("builtins", "int "), ("Builtins", "int"), ("builtins", "Int"),
                         ("builtins", "іnt"), ("", "int"), ("builtins", ""), ("", ""), ("builtins\r", "int"),
                         ("pickled_models", "Ｐlain"), ("pickled_models", "Pla\u00adin"), ("pickled_models", "0")):
        refused(proto(named(module, name)), None, LISTED)
    refused(b"cbuiltins\r\nint\r\n.")
    refused(b"cpickled_models\nPlain\r\n.", None, LISTED)


def test_names_that_are_not_utf_8_are_refused():
    for bad in (b"\xff", b"int\xed\xa0\x80", b"\xc0\xae"):
        refused(proto(named("builtins", bad)), "UTF-8")
        refused(proto(named(bad, "int")), "UTF-8")
        refused(b"cbuiltins\n" + bad + b"\n.", "UTF-8")
        refused(b"c" + bad + b"\nint\n.", "UTF-8")


def test_line_feeds_in_names_make_no_second_name():
    refused(proto(named("builtins\nint", "int")))
    refused(proto(named("builtins", "int\neval")))
    refused(b"cbuiltins\n\nint\n.")
    refused(b"c\nbuiltins\nint\n.")


def test_very_long_names_are_refused_at_once():
    long = b"a." * 400_000
    begun = time.monotonic()
    refused(b"c" + long + b"\nint\n.", "too long", ["x"])
    refused(b"cx\n" + b"a" * 800_000 + b"\n.", "too long", ["x"])
    assert time.monotonic() - begun < 5


def test_names_of_python_2_are_mapped_as_unpicklers_do():
    assert accepted(b"c__builtin__\nxrange\n(I0\nI3\nI1\ntR.") == range(3)
    assert accepted(b"c__builtin__\nlong\n.") is int
    assert accepted(b"\x80\x02c__builtin__\nset\n]\x85R.") == set()
    assert accepted(b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.")
    for data in (b"\x80\x03c__builtin__\nset\n.", proto(named("__builtin__", "set")),
                 proto(named("copy_reg", "_reconstructor")), b"\x80\x02cbuiltins\nxrange\n."):
        refused(data, "not on the list")
    # What maps to a refused name stays refused, also if its old name is listed.
    refused(b"ccommands\ngetoutput\n.", None, ["commands"])
    refused(b"c__builtin__\nreduce\n.")


# Opcodes that are never read

@pytest.mark.parametrize("body,opcode", [
    (b"(cbuiltins\nint\n(tobuiltins\n", None), (b"(ibuiltins\nint\n", "INST"), (b"(ios\nsystem\n", "INST"),
    (b"(" + named("builtins", "object") + b"o", "OBJ"), (b"Pid\n", "PERSID"), (b"NQ", "BINPERSID"),
    (b"\x82\x01", "EXT1"), (b"\x83\x01\x01", "EXT2"), (b"\x84\x01\x01\x01\x01", "EXT4"),
    (b"\x97", "NEXT_BUFFER"), (b"N\x98", "READONLY_BUFFER"), (b"N2", "DUP"), (b"S'a'\n", "STRING"),
    (b"T\x01\x00\x00\x00a", "BINSTRING"), (b"U\x01a", "SHORT_BINSTRING")])
def test_an_opcode_that_no_pickler_needs_is_refused(body, opcode):
    for data in (body + b".", proto(body), proto(body, 5), proto(frame(body + b"."))[:-1]):
        error = refused(data, None, LISTED)
        if opcode is not None:
            assert error.opcode == opcode


def test_every_other_byte_is_no_opcode():
    known = set(b"(.012FIJKLMNPQRSTUVXabcd}eghijl]oprqst)uGBC") | set(range(0x80, 0x99))
    for byte in set(range(256)) - known:
        error = refused(bytes([0x80, 4, byte]) + b".")
        assert error.opcode is None and error.offset == 2


def test_extensions_are_refused_even_when_their_cache_is_warm():
    """There find_class would not be asked."""
    copyreg.add_extension("pickled_models", "Recorder", 0x41)
    try:
        data = pickle.dumps(models.Recorder, 2)
        assert data == b"\x80\x02\x82\x41."
        assert pickle.loads(data) is models.Recorder
        models.calls.clear()
        for ext in (b"\x82\x41", b"\x83\x41\x00", b"\x84\x41\x00\x00\x00"):
            refused(proto(ext + b")R"), "never", LISTED)
            refused(proto(ext + b")R"), "never")
        assert models.calls == []
    finally:
        copyreg.remove_extension("pickled_models", "Recorder", 0x41)


def test_persistent_ids_and_buffers_are_refused():
    refused(b"Pos.system\n.", "never")
    refused(b"V1\nQ.", "never")
    buffers = []
    data = pickle.dumps(pickle.PickleBuffer(bytearray(10)), 5, buffer_callback=buffers.append)
    refused(data, "never", opcode="NEXT_BUFFER")


# Framing and protocols

def test_an_argument_that_straddles_a_frame_is_refused():
    """There an unpickler that reads a file and one that reads memory would run different bytes."""
    hidden = named("os", "system") + text("true") + b"\x85R."
    inner = b"\x8c" + bytes([len(hidden) + 1]) + b"x"
    refused(b"\x80\x04" + frame(inner) + hidden + b".", "past its frame")
    for argument in (b"K", b"M\x01", b"J\x01\x00", b"\x8c", b"\x8c\x05abc", b"X\x05\x00\x00", b"V", b"Vabc",
                     b"cbuiltins\n", b"cbuiltins\nin", b"G\x00", b"\x8a\x05\x00", b"\x8d\x05", b"h", b"j\x00",
                     b"\x95\x01", b"I1", b"r\x00", b"B\x04\x00\x00\x00ab", b"\x96\x04"):
        refused(b"\x80\x04" + frame(b"N" + argument) + b"\x00\n" * 20 + b".", "past its frame|within a frame")


def test_frames_do_not_nest_or_overlap_or_run_over():
    refused(proto(frame(frame(b"N"))), "within a frame")
    refused(proto(frame(b"N" + frame(b"0N")[:9]) + b"0N"), "within a frame")
    refused(b"\x80\x04" + frame(b"N.")[:9].replace(b"\x02", b"\x03") + b"N.", "runs past")
    refused(b"\x80\x04\x95" + b"\xff" * 8 + b"N.", "runs past")
    refused(b"\x80\x04\x95" + struct.pack("<q", -1) + b"N.", "runs past")
    refused(b"\x80\x04" + frame(b"") + b"N.", "empty")
    assert accepted(b"\x80\x04" + frame(b"N0") + frame(b"K\x05.")) == 5
    assert accepted(b"\x80\x04" + frame(b"N") + b"0K\x05.") == 5


def test_a_protocol_is_stated_first_and_once():
    refused(b"N0\x80\x04N.", "middle")
    refused(b"\x80\x04\x80\x04N.", "middle")
    refused(b"\x80\x02c__builtin__\n\x80\x04int\n.")
    refused(b"\x80\x04" + frame(b"\x80\x02N."), "middle")
    for version in (0, 1, 6, 255):
        refused(b"\x80" + bytes([version]) + b"N.", "unknown")


def test_nothing_follows_the_stop():
    for rest in (b"N", b".", b"\0", b" ", b"\n", pickle.dumps(1), b"cos\nsystem\n(Vtrue\ntR."):
        refused(pickle.dumps(1) + rest, "follows")
        refused(b"N." + rest, "follows")
    refused(b"\x80\x04" + frame(b"N.N."), "follows")


def test_a_pickle_that_is_cut_short_is_refused():
    data = pickle.dumps({"a": [1, 2.5, "x" * 300, b"y" * 300, (1, 2, 3), {1}, models.Plain(1)]}, 4)
    assert accepted(data, LISTED)
    for size in range(len(data)):
        refused(data[:size], None, LISTED)
    data = pickle.dumps({"a": [1, 2.5, "x" * 300, b"y" * 300, (1, 2, 3), {1}, models.Plain(1)]}, 0)
    for size in range(len(data)):
        refused(data[:size], None, LISTED)


def test_one_value_is_left_on_the_stack():
    refused(b".", "too few")
    refused(b"NN.", "left over")
    refused(b"(N.", "left over")
    refused(b"N(.", "too few")
    refused(b"N0.", "too few")


def test_nothing_below_a_mark_is_reached():
    assert accepted(proto(b"N(0")) is None
    refused(proto(b"N(00"), "too few")
    for body in (b"](Na", b"}K\x01(Ns", b"N(\x85", b"NN(\x86", PLAIN + b")(R", PLAIN + b"()R", NEW_PLAIN + b"(}b",
                 b"K\x01(K\x01\x93", b"N(\x94", b"N(q\x00"):
        refused(proto(body), None, LISTED)
    for body in (b"t", b"N1", b"e", b"]e", b"u", b"}u", b"\x90", b"\x91", b"l", b"d"):
        refused(proto(body), "no mark")


# Memo

def test_the_memo_is_filled_in_order_and_each_place_once():
    for put in (b"q\x01", b"r\x01\x00\x00\x00", b"p1\n", b"q\x00q\x00", b"\x94q\x00", b"q\x00q\x02",
                b"\x94p3\n", b"r\x00\x00\x00\x40", b"p536870911\n", b"r\xff\xff\xff\xff"):
        refused(proto(b"N" + put), "order")
    for get in (b"h\x00", b"Nq\x000h\x01", b"j\x00\x00\x00\x00", b"g0\n", b"j\xff\xff\xff\xff"):
        refused(proto(get), "nothing is in the memo")
    for line in (b"p+0\n", b"p 0\n", b"p0 \n", b"p\n", b"p-0\n", b"p00\n", b"p0x0\n", b"p0_0\n",
                 b"p18446744073709551616\n", b"g+0\n", b"g-1\n", b"g\n"):
        refused(b"N" + line + b".", "index")


def test_a_memo_of_a_gigabyte_is_refused_at_once():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(b"Nr\x00\x00\x00\x04.", "order")
    refused(b"Np67108864\n.", "order")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


# Numbers

def test_numbers_are_written_as_picklers_write_them():
    for line in (b"I0x10\n", b"I1_0\n", b"I 1\n", b"I1 \n", b"I+1\n", b"I010\n", b"I\n", b"I-\n", b"I1L\n",
                 b"I002\n", b"I-0\n", b"L-0L\n", b"L1\n", b"L\n", b"LL\n", b"L1_0L\n", b"L0x1L\n", b"L1LL\n", b"F\n", b"F1_0\n",
                 b"F 1\n", b"F1e\n", b"F1.\n", b"F.5\n", b"F0x1p3\n", b"Finfinity\n", b"FNAN\n", b"F-nan\n",
                 b"F1e999\n", b"F-1e400\n", b"F01.5\n", b"F" + b"1" * 40 + b"\n", b"I1\0\n", b"F1\0\n"):
        refused(line + b".")
    for line, value in ((b"I00\n", False), (b"I01\n", True), (b"I0\n", 0), (b"I-5\n", -5), (b"L0L\n", 0),
                        (b"L-12L\n", -12), (b"F1\n", 1.0), (b"F-0.0\n", -0.0), (b"F1e-07\n", 1e-7),
                        (b"Finf\n", float("inf")), (b"F-inf\n", float("-inf"))):
        loaded = accepted(line + b".")
        assert loaded == value and type(loaded) is type(value)


def test_ints_in_text_have_pythons_limit_of_digits():
    assert accepted(b"L" + b"9" * 4_300 + b"L\n.") == 10 ** 4_300 - 1
    refused(b"L" + b"9" * 4_301 + b"L\n.", "too long")
    refused(b"I" + b"9" * 4_301 + b"\n.", "too long")
    refused(b"\x80\x04" + named("fractions", "Fraction") + b"X" + struct.pack("<I", 4_301) + b"9" * 4_301
            + b"\x85R.", "other arguments")


def test_negative_and_huge_lengths_are_refused():
    for body in (b"\x8b\xff\xff\xff\xff", b"\x8b\x00\x00\x00\x80", b"X\xff\xff\xff\xff", b"B\xff\xff\xff\xff",
                 b"\x8d" + b"\xff" * 8, b"\x8e" + b"\xff" * 8, b"\x96" + b"\xff" * 8, b"\x8d" + struct.pack("<q", -1),
                 b"\x8e\x00\x00\x00\x00\x00\x00\x00\x80", b"\x8b\x10\x00\x00\x00\x01"):
        refused(proto(body), "cut short")
        refused(proto(frame(body)), "past its frame")


# Resources

def dag(leaf, join, levels):
    """Each level holds the one below, which it gets from the memo, as often as join says."""
    body = leaf + b"q\x00"
    for level in range(levels):
        body += join(b"h" + bytes([level])) + b"q" + bytes([level + 1])
    return body


def pair(get):
    return get + get + b"\x86"


@pytest.mark.parametrize("leaf", [b")", b"]", b"N", text("x"), PLAIN])
def test_a_few_bytes_that_unroll_to_billions_are_refused(leaf):
    data = b"\x80\x02(" + dag(leaf, pair, 35) + b"t."
    assert len(data) < 330
    refused(data, "unrolls", LISTED)


@pytest.mark.parametrize("join", [
    lambda get: b"](" + get * 2 + b"e", lambda get: b"]" + get + b"a" + get + b"a",
    lambda get: b"}(K\x01" + get + b"K\x02" + get + b"u", lambda get: b"(" + get * 3 + b"l",
    lambda get: b"}K\x01" + get + get + b"\x86s",
    lambda get: b"ccollections\ndeque\n)R(" + get * 2 + b"e",
    lambda get: b"cpickled_models\nMyList\n)\x81(" + get * 2 + b"e",
    lambda get: b"cpickled_models\nMyTuple\n" + get * 2 + b"\x86\x85\x81"])
def test_containers_that_unroll_are_refused(join):
    refused(b"\x80\x02(" + dag(b"]", join, 35) + b"t.", "unrolls", LISTED)


def test_lists_that_are_filled_from_the_top_unroll_too():
    count = 40
    body = b"("
    for level in range(count):
        body += b"]q" + bytes([level])
    body += b"t0"
    for level in range(count - 1):
        below = b"h" + bytes([level + 1])
        body += b"h" + bytes([level]) + b"(" + below + below + b"e0"
    refused(b"\x80\x02" + body + b"h\x00.", "unrolls")


def test_what_unrolls_and_is_dropped_is_refused_as_well():
    refused(b"\x80\x02(" + dag(b"]", lambda get: b"](" + get * 2 + b"e", 35) + b"1N.", "unrolls")


def test_keys_that_take_for_ever_to_hash_are_refused():
    """A tuple does not keep its hash: each use as a key walks all of it."""
    body = b"\x80\x02(" + dag(b"K\x01", pair, 22) + b"1"
    safe_pickle_check(body + b"}h\x16Ns.")
    refused(body + b"](" + b"}h\x16Ns" * 200 + b"e.", "unrolls")
    refused(body + b"](" + b"c__builtin__\nset\n](h\x16e\x85R" * 200 + b"e.", "unrolls")
    refused(body + b"](" + b"(h\x16\x91" * 200 + b"e.", "unrolls")
    refused(body + b"\x8f(" + b"h\x16" * 200 + b"\x90.", "unrolls")


def test_long_strings_count_by_their_bytes():
    big = pickle.dumps("x" * 1_000_000, 2)[:-1]
    assert len(accepted(big + b"q\x010](" + b"h\x00" * 1_000 + b"e.")) == 1_000
    refused(big.replace(b"q\x00", b"") + b"q\x000](" + b"h\x00" * 3_000 + b"e.", "unrolls")


@pytest.mark.parametrize("call", [
    b"cbuiltins\nbytearray\nh\x00\x85R", b"cdecimal\nDecimal\nh\x01\x85R",
    b"cpathlib\nPurePosixPath\nh\x01\x85R", b"c_codecs\nencode\nh\x01Vlatin1\n\x86R",
    b"cipaddress\nIPv6Address\nh\x01\x85R"])
def test_the_same_bytes_are_not_copied_without_end(call):
    size = 1_000_000
    start = (b"\x80\x03(B" + struct.pack("<I", size) + b"1" * size + b"q\x00X" + struct.pack("<I", size)
             + b"fe80::1%".ljust(size, b"1") + b"q\x01")
    safe_pickle_check(start + b"1](" + call * 10 + b"e.")
    refused(start + b"1](" + call * 200 + b"e.", "copied")


@pytest.mark.parametrize("shared,call", [
    (b"(" + b"N" * 100_000 + b"t", b"cpickled_models\nRecorder\nh\x00R"),
    (b"(" + b"N" * 100_000 + b"t", b"cpickled_models\nMyTuple\nh\x00\x81"),
    (b"(" + b"V\n" * 100_000 + b"t", b"cpathlib\nPurePosixPath\nh\x00R"),
    (b"}(" + b"".join(text(str(i)) + b"N" for i in range(50_000)) + b"u", b"cpickled_models\nPlain\n)\x81h\x00b"),
    (b"}(" + b"".join(text(str(i)) + b"N" for i in range(50_000)) + b"u", b"cpickled_models\nPlain\n)\x81Nh\x00\x86b"),
    (b"}(" + b"".join(text(str(i)) + b"N" for i in range(50_000)) + b"u", b"cpickled_models\nPlain\n)h\x00\x92"),
    (b"(" + b"N" * 100_000 + b"t", b"cpickled_models\nStateful\n)\x81h\x00b"),
    (b"](" + b"N" * 100_000 + b"e", b"ccopyreg\n_reconstructor\n(cpickled_models\nMyList\ncbuiltins\nlist\nh\x00tR")])
def test_arguments_and_states_are_not_copied_without_end(shared, call):
    start = b"\x80\x04" + shared + b"q\x000]("
    safe_pickle_check(start + call * 20 + b"e.", LISTED)
    begun = time.monotonic()
    refused(start + call * 5_000 + b"e.", "copied", LISTED)
    assert time.monotonic() - begun < 5


def test_numbers_are_not_divided_without_end():
    for module, name, count in (("fractions", "Fraction", 2), ("builtins", "range", 3)):
        for size, reason in ((4_097, "other arguments"), (4_000, "copied")):
            start = b"\x80\x04\x8b" + struct.pack("<I", size) + b"\x55" * size + b"q\x000]("
            call = f"c{module}\n{name}\n".encode() + b"(" + b"h\x00" * count + b"tR"
            if reason == "copied":
                safe_pickle_check(start + call * 100 + b"e.")
            refused(start + call * 20_000 + b"e.", reason)
    refused(proto(b"V" + b"7" * 4_000 + b"/" + b"3" * 4_000 + b"\n\x940]("
                  + b"cfractions\nFraction\nh\x00\x85R" * 20_000 + b"e"), "copied")


def test_the_same_list_is_not_copied_without_end():
    start = b"\x80\x02](" + b"K\x01" * 1_000_000 + b"eq\x00"
    call = b"c__builtin__\nset\nh\x00\x85R"
    safe_pickle_check(start + b"0](" + call * 10 + b"e.")
    refused(start + b"0](" + call * 30 + b"e.", "copied")


@pytest.mark.parametrize("before,after", [
    (b"]", b"a"), (b"", b"\x85"), (b"}K\x01", b"s"), (b"(", b"t"), (b"(", b"\x91"), (b"](", b"e"), (b"(", b"l"),
    (b"ccollections\ndeque\n)R", b"a"), (b"(K\x01", b"d")])
def test_deep_nesting_is_refused(before, after):
    safe_pickle_check(proto(before * 450 + b"N" + after * 450))
    refused(proto(before * 1_100 + b"N" + after * 1_100), "deep")
    refused(proto(before * 200_000 + b"N" + after * 200_000), "deep")


def test_deep_nesting_of_several_kinds_is_refused():
    safe_pickle_check(proto(b"]" * 450 + b"N" + b"\x85a" * 450))
    refused(proto(b"]" * 600 + b"N" + b"\x85a" * 600), "deep")


def test_deep_nesting_through_the_memo_is_refused():
    body = b"Nq\x00"
    for level in range(255):
        body += b"h" + bytes([level]) + b"\x85\x85\x85\x85\x85q" + bytes([level + 1])
    refused(b"\x80\x02(" + body + b"t.", "deep")


def test_many_marks_and_values_are_handled():
    refused(proto(b"(" * 300_000), "too few")
    refused(proto(b"N" * 300_000), "left over")
    refused(proto(b"(N" * 300_000 + b"1" * 300_000), "too few")


def test_too_many_different_globals_are_refused():
    module = type(sys)("many_classes")
    for i in range(1_100):
        setattr(module, f"C{i}", type(f"C{i}", (), {"__module__": "many_classes"}))
    sys.modules["many_classes"] = module
    try:
        names = [named("many_classes", f"C{i}") for i in range(1_100)]
        assert len(accepted(proto(b"(" + b"".join(names[:1_000]) + b"t"), ["many_classes"])) == 1_000
        assert len(accepted(proto(b"(" + names[0] * 5_000 + b"t"), ["many_classes"])) == 5_000
        refused(proto(b"(" + b"".join(names) + b"t"), "too many globals", ["many_classes"])
    finally:
        del sys.modules["many_classes"]


def test_nothing_of_a_refused_pickle_is_run():
    """A call and then an error: unpicklers would have made the call."""
    models.calls.clear()
    call = named("pickled_models", "Recorder") + b"K\x01\x85R"
    for rest in (b"0h\x05.", b"\xff", b"", b"N.", b"b.", b".N", b"0cos\nsystem\n."):
        refused(b"\x80\x04" + call + rest, None, LISTED)
    assert models.calls == []
    accepted(proto(call), LISTED)
    assert models.calls == [(1,)]


def test_checking_calls_no_listed_class():
    models.calls.clear()
    safe_pickle_check(proto(named("pickled_models", "Recorder") + b"K\x01\x85R"), LISTED)
    assert models.calls == []
