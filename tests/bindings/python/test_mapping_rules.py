"""CPython's own tests of mappings (test.mapping_tests) hold for a store, but for what is listed here."""

import itertools
import os
import pickle
import unittest

import pytest

from conftest import MODES
from dictsqlite import DictSQLite

mapping_tests = pytest.importorskip(
    "test.mapping_tests", reason="Debian packages Python without its tests")

# The rules that use no keys and values but those of _reference; the others need a translation.
DIRECT_RULES = ["test_read", "test_write"]
# The rules that cannot hold, and why.
DEVIATIONS = {
    "test_copy": "copy() gives a dict, not another file",
    "test_eq": "keys are compared by their text: no __eq__ is called that could raise",
    "test_fromkeys": "fromkeys() needs a value: None is none that could be stored",
    "test_getitem": "keys are text: neither __hash__ nor __eq__ is called that could raise",
    "test_pop": "keys are text: no __hash__ is called that could raise",
    "test_popitem": "the first of the order of the keys comes, not the last stored",
    "test_repr": "the repr shows the path, and no content",
    "test_repr_deep": "values are bytes: nothing is nested",
    "test_setdefault": "setdefault() needs a value: None is none that could be stored",
}
# Iteration goes on while records come and go; whether it meets a new one is open.
EITHER_WAY = ["test_mutatingiteration"]


class Store(DictSQLite):
    """A store of a new file that is made as a dict is: of a mapping or pairs, and keywords."""

    numbers = itertools.count()
    folder = mode = None

    def __init__(self, *args, **kwargs):
        path = os.path.join(self.folder, f"{next(self.numbers)}.db")
        super().__init__(path, None, persist_mode=self.mode, synchronous="normal")
        DictSQLite.update(self, *args, **kwargs)


def as_key(thing):
    return pickle.dumps(thing, 0).decode("latin-1")


def from_key(key):
    return pickle.loads(key.encode("latin-1"))


class TranslatedView:
    """A view of a store whose entries are translated as they come."""

    def __init__(self, view, translate):
        self.view, self.translate = view, translate

    def __len__(self):
        return len(self.view)

    def __iter__(self):
        return map(self.translate, self.view)


class TranslatedStore(Store):
    """A store of any keys and values: each method calls the store's, with text for a key and bytes for a value."""

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.update(*args, **kwargs)

    def __getitem__(self, key):
        return pickle.loads(super().__getitem__(as_key(key)))

    def __setitem__(self, key, value):
        super().__setitem__(as_key(key), pickle.dumps(value))

    def __delitem__(self, key):
        super().__delitem__(as_key(key))

    def __contains__(self, key):
        return super().__contains__(as_key(key))

    def __iter__(self):
        return map(from_key, super().__iter__())

    def __eq__(self, other):
        return dict(self.items()) == (
            dict(other.items()) if isinstance(other, TranslatedStore) else other)

    def get(self, key, *default):
        value = super().get(as_key(key))
        return pickle.loads(value) if value is not None else super().get("absent", *default)

    def pop(self, key, *default):
        value = super().pop(as_key(key), *default)
        return value if default and value is default[0] else pickle.loads(value)

    def popitem(self):
        key, value = super().popitem()
        return from_key(key), pickle.loads(value)

    def setdefault(self, key, *default):
        return pickle.loads(super().setdefault(as_key(key), *map(pickle.dumps, default)))

    def update(self, *args, **kwargs):
        if args and args[0] is None:
            super().update(None)
        records = dict(*args, **kwargs)
        super().update({as_key(key): pickle.dumps(value) for key, value in records.items()})

    def keys(self):
        return TranslatedView(super().keys(), from_key)

    def values(self):
        return TranslatedView(super().values(), pickle.loads)

    def items(self):
        return TranslatedView(
            super().items(), lambda item: (from_key(item[0]), pickle.loads(item[1])))


class Rules(mapping_tests.TestHashMappingProtocol):
    __test__ = False  # what pytest collects is below


class DirectRules(Rules):
    def _reference(self):
        return {"1": b"2", "key1": b"value1", "key2": b"value2"}


NAMES = unittest.defaultTestLoader.getTestCaseNames(Rules)


@pytest.fixture(params=MODES)
def problems(request, tmp_path):
    """Runs one of the rules on stores of one mode, and gives what was found."""

    def run(rules, store, name):
        kind = type("Kind", (store,), {"mode": request.param, "folder": tmp_path})
        result = unittest.TestResult()
        type("Rules", (rules,), {"type2test": kind})(name).run(result)
        return [text for _, text in result.errors + result.failures]

    return run


pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.mark.parametrize("name", DIRECT_RULES)
def test_a_store_keeps_the_rule(problems, name):
    assert problems(DirectRules, Store, name) == []


@pytest.mark.parametrize("name", [n for n in NAMES if n not in {*DEVIATIONS, *EITHER_WAY}])
def test_a_store_behind_a_translation_keeps_the_rule(problems, name):
    assert problems(Rules, TranslatedStore, name) == []


@pytest.mark.parametrize("name", DEVIATIONS)
def test_the_list_of_deviations_has_no_rule_that_holds(problems, name):
    assert problems(Rules, TranslatedStore, name) != [], DEVIATIONS[name]
