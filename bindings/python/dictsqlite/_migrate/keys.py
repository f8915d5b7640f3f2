"""What becomes of keys: a str stays as it is, anything else needs a word of the caller."""

from typing import Any, Callable, Optional, Union

from .._core import FormatError
from .record import PickledKey

_RULES = ("error", "skip")


class KeyRule:
    def __init__(self, on_other_keys: Union[str, Callable[[Any], str]]) -> None:
        if on_other_keys not in _RULES and not callable(on_other_keys):
            raise ValueError("on_other_keys must be 'error', 'skip' or a function")
        self.rule = on_other_keys
        self.makes_keys = callable(on_other_keys)
        self.skipped = 0

    def key_of(self, key: Any, load: Callable[[bytes], Any]) -> Optional[str]:
        """The key to store, or None for a record to be left out."""
        if type(key) is str:
            return key
        if self.rule == "skip":
            self.skipped += 1
            return None
        if isinstance(key, PickledKey):
            key = load(key.data)
        if not callable(self.rule):
            raise FormatError(f"the key {key!r} is no str but of type {type(key).__name__}: "
                              "on_other_keys says what becomes of such keys")
        name = self.rule(key)
        if type(name) is not str:
            raise TypeError(f"on_other_keys made of the key {key!r} no str "
                            f"but {type(name).__name__}")
        return name
