"""What the tests of migrate share."""

import datetime
import decimal
import hashlib
import os
import pickle

import pytest

import foreign_files
from dictsqlite import DictSQLite
from foreign_files import RAW, DiskCache

VALUES = {
    "a": b"bytes",
    "b": "text",
    "c": {"x": [1, 2.5, None], "y": (1, 2)},
    "é": 5,
    "day": datetime.date(2026, 11, 27),
    "price": decimal.Decimal("1.50"),
}
JSON_VALUES = {"b": "text", "c": {"x": [1, 2.5, None]}, "d": 5}


class Evil:
    def __reduce__(self):
        return os.system, ("touch was-run",)


def write_encrypted(path, values=VALUES, **options):
    pytest.importorskip("cryptography")
    foreign_files.write_dictsqlite(path, values, password="secret", **options)


def write_keys(path):
    cache = DiskCache(path)
    cache.row(1, RAW, "int")
    cache.row("1", RAW, "str")
    cache.row(1.5, RAW, "float")
    cache.row(b"1", RAW, "bytes")
    cache.row(pickle.dumps((1, "x")), RAW, "tuple", raw=0)
    cache.close()


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return str(folder / "source")


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    folder.mkdir()
    return folder / "new.db"


def content(path, mode="pickle", **options):
    with DictSQLite(path, storage_mode=mode, create=False, **options) as db:
        return db.copy()


def nothing_at(target):
    return os.listdir(target.parent) == []


def hashes(path):
    """The hash of every file in the directory of path, by name."""
    found = {}
    for folder, _, names in os.walk(os.path.dirname(path)):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.join(folder, name)] = hashlib.sha256(file.read()).hexdigest()
    return found
