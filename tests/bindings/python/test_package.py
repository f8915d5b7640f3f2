"""The package as a whole."""

import doctest
import re

import dictsqlite


def test_the_example_in_the_docstring_works():
    assert doctest.testmod(dictsqlite).failed == 0
    assert doctest.testmod(dictsqlite).attempted > 0


def test_the_version_is_one():
    assert re.fullmatch(r"\d+\.\d+\.\d+", dictsqlite.__version__)
