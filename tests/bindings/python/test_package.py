"""The package as a whole."""

import doctest
import pathlib
import re
import runpy
import sys

import dictsqlite


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
