"""The package as a whole."""

import doctest
import inspect
import pathlib
import re
import runpy
import sys

import pytest

import dictsqlite
from dictsqlite import _core


def test_the_example_in_the_docstring_works():
    assert doctest.testmod(dictsqlite).failed == 0
    assert doctest.testmod(dictsqlite).attempted > 0


def test_the_version_is_one():
    assert re.fullmatch(r"\d+\.\d+\.\d+", dictsqlite.__version__)


def test_the_example_program_does_what_it_says(path, monkeypatch, capsys):
    example = pathlib.Path(__file__).parents[3] / "examples" / "example.py"
    monkeypatch.setattr(sys, "argv", [str(example), str(path)])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out == (
        "colour is green\n"
        "planet/earth 3\nplanet/mercury 1\nplanet/venus 2\n"
        "{'count/be': 2, 'count/not': 1, 'count/or': 1, 'count/to': 2}\n"
        "8 records\n")


def public_callables():
    """All that the package and its types offer to be called, by a name that says where it is."""
    owners = {"dictsqlite": dictsqlite, "dictsqlite._core": _core}
    owners.update({f"dictsqlite.{name}": kind
                   for module in (dictsqlite, _core)
                   for name, kind in vars(module).items() if isinstance(kind, type)})
    for place, owner in owners.items():
        for name in vars(owner):
            thing = getattr(owner, name)
            if not name.startswith("_") and callable(thing) and not isinstance(thing, type):
                yield f"{place}.{name}", thing


CALLABLES = dict(public_callables())


@pytest.mark.parametrize("name", CALLABLES)
def test_inspect_knows_the_signature_of(name):
    assert inspect.signature(CALLABLES[name])
    assert CALLABLES[name].__doc__


def test_the_walk_meets_methods_functions_and_the_asynchronous_store():
    for name in ("dictsqlite.DictSQLite.get", "dictsqlite.Batch.put", "dictsqlite.encrypt",
                 "dictsqlite._core.close_all", "dictsqlite.AsyncDictSQLite.aset"):
        assert name in CALLABLES
