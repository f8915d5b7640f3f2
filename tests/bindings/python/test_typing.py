"""Type checkers see what is there: stubtest compares, and mypy --strict reads programs."""

import pathlib
import re
import subprocess
import sys

import pytest

import dictsqlite

pytest.importorskip("mypy", reason="bindings/python/requirements-test.txt names mypy")

EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "example.py"


@pytest.fixture
def mypy(tmp_path):
    """Runs a module of mypy with the package under test and a cache of its own."""

    def run(module, *args):
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, args)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(pathlib.Path(dictsqlite.__file__).parents[1])},
            capture_output=True,
            text=True,
        )

    return run


def test_the_stub_is_what_stubtest_finds_in_the_extension(mypy):
    checked = mypy("mypy.stubtest", "dictsqlite._core")
    assert (checked.returncode, checked.stdout) == (0, "Success: no issues found in 1 module\n")


TYPED = """
from typing import Any, List, Tuple

from dictsqlite import DictSQLite
from typing_extensions import assert_type


class Store(DictSQLite): ...


with Store("store.db") as db:
    assert_type(db, Store)
    assert_type(db.add("k", b"v"), bool)
    assert_type(db.delete_many(["k"]), int)
    assert_type(db.get_many(["k"]), List[Any])
    assert_type(next(db.scan("k")), Tuple[str, Any])
    assert_type(next(iter(db)), str)
    assert_type(db.increment("k"), int)
    assert_type(db.stats()["hits"], int)
    assert_type(Store.fromkeys(["k"], b"v"), Store)
    db |= {"k": bytearray(b"v")}
    assert_type(db, Store)
"""
REFUSED = """
db[1] = b"v"
db.get_or_compute("k", b"v")
db.increment("k", "1")
db.get_many(1)
DictSQLite("f.db", persist_mode="wrong")
db.update({1: b"v"})
db.scan(1)
db.stats()["no such counter"]
DictSQLite("f.db", 1, True, "lazy", None, None, None, 1)
"""


def test_a_strict_checker_takes_what_is_right_and_nothing_else(mypy, tmp_path):
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(TYPED)
    statements = REFUSED.split("\n")[1:-1]
    wrong.write_text("\n".join(["from dictsqlite import DictSQLite", "db = DictSQLite('')", *statements]))
    checked = mypy("mypy", "--strict", "--no-pretty", EXAMPLE, right, wrong)
    complaints = re.findall(r"^(.*?):([0-9]+): error", checked.stdout, re.MULTILINE)
    assert sorted({(pathlib.Path(file).name, int(line)) for file, line in complaints}) == [
        (wrong.name, number) for number, _ in enumerate(statements, 3)
    ], checked.stdout
