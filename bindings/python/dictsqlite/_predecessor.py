"""Names of the package that had this one's name before, for programs that use them."""

from ._core import DictSQLite

DictSQLiteV4 = DictSQLite


def is_native_available() -> bool:
    """True: this package is nothing without its extension module."""
    return True
