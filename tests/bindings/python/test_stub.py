"""The type stub says what the extension does."""

import ast
import inspect
import pathlib
import sys

import pytest

import dictsqlite
from dictsqlite import _core

STUB = ast.parse((pathlib.Path(dictsqlite.__file__).parent / "_core.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
STORE = CLASSES["DictSQLite"]
WRITTEN_IN_PYTHON = {"AsyncDictSQLite", "DictSQLiteV4", "MigrationReport", "is_native_available", "migrate"}


def is_overload(function):
    return any(getattr(d, "id", None) == "overload" for d in function.decorator_list)


def functions(cls):
    return {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}


def shape(signature):
    return [(p.name, p.kind, p.default) for p in signature.parameters.values() if p.name not in ("self", "cls")]


def stub_shape(function):
    """The shape that inspect would give a function with these arguments."""
    scope = {}
    copy = ast.FunctionDef(
        name="function", args=function.args, body=[ast.Pass()], decorator_list=[], type_params=[]
    )
    for argument in ast.walk(copy.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    module = ast.fix_missing_locations(ast.Module(body=[copy], type_ignores=[]))
    exec(compile(module, "stub", "exec"), scope)
    return shape(inspect.signature(scope["function"]))


def test_the_stub_declares_all_that_is_public():
    kinds = (ast.ClassDef, ast.FunctionDef)
    declared = {node.name for node in STUB.body if isinstance(node, kinds)}
    declared |= {n.target.id for n in STUB.body if isinstance(n, ast.AnnAssign)}
    public = {name for name in vars(_core) if not name.startswith("_")} | {"__version__"}
    assert {name for name in declared if not name.startswith("_")} | {"__version__"} == public
    assert set(dictsqlite.__all__) - WRITTEN_IN_PYTHON <= public


def test_the_stub_declares_every_method():
    declared = {n for n in functions(STORE) if not n.startswith("_")}
    assert declared == {n for n in vars(dictsqlite.DictSQLite) if not n.startswith("_")}
    for name in functions(STORE):
        assert hasattr(dictsqlite.DictSQLite, name)


@pytest.mark.parametrize(
    "name", [n for n, f in functions(STORE).items() if not n.startswith("_") and not is_overload(f)]
)
def test_the_stub_has_the_signature_of(name):
    function = functions(STORE)[name]
    if any(getattr(d, "id", None) == "property" for d in function.decorator_list):
        return
    assert stub_shape(function) == shape(inspect.signature(getattr(dictsqlite.DictSQLite, name)))


@pytest.mark.skipif(sys.version_info < (3, 10), reason="3.9 drops the signature of heap types")
def test_the_stub_has_the_signature_of_the_constructor():
    constructor = functions(STORE)["__init__"]
    assert stub_shape(constructor) == shape(inspect.signature(dictsqlite.DictSQLite))


def test_every_public_callable_has_a_signature_and_a_docstring():
    methods = [getattr(dictsqlite.DictSQLite, n) for n in functions(STORE) if not n.startswith("_")]
    methods += [dictsqlite._core.KeysView.isdisjoint, _core.close_all]
    for method in methods:
        assert method.__doc__
        if callable(method):
            inspect.signature(method)
    assert dictsqlite.DictSQLite.__doc__.startswith("A persistent dictionary")


def test_the_stub_lists_the_keys_of_stats():
    declared = [node.target.id for node in CLASSES["_Stats"].body]
    with dictsqlite.DictSQLite(":memory:") as db:
        assert declared == list(db.stats())


def test_the_stub_gives_the_exceptions_their_bases():
    for name, node in CLASSES.items():
        if name.endswith("Error"):
            bases = [base.id for base in node.bases]
            assert bases == [base.__name__ for base in getattr(dictsqlite, name).__bases__]
