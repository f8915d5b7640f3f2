"""Records from the files of other libraries, into a new store."""

from typing import Any, Callable, NamedTuple, Optional, Union

from .._core import StorageError
from .destination import Destination
from .keys import KeyRule
from .opening import open_source
from .source import Source
from .values import ValueRule


class MigrationReport(NamedTuple):
    """What migrate() did.

    kind: 'dictsqlite', 'dictsqlite1', 'sqlitedict', 'shelve', 'dbm' or 'diskcache'.
    table: the table that was read, as it is called in the file, or None.
    storage_mode: that of the new store.
    records: how many were stored.
    bytes: of their keys and values as they were read, decrypted.
    skipped: how many were left out because the caller said so: pickles refused, keys that are no str.
    expired: how many were left out because their time was over.
    """

    kind: str
    table: Optional[str]
    storage_mode: str
    records: int
    bytes: int
    skipped: int
    expired: int


def migrate(
    source: Any,
    destination: Any,
    *,
    kind: Optional[str] = None,
    table: Optional[str] = None,
    source_mode: Optional[str] = None,
    source_password: Union[str, bytes, None] = None,
    storage_mode: Optional[str] = None,
    encryption_password: Union[str, bytes, None] = None,
    allowed_modules: Any = None,
    values: Optional[str] = None,
    on_unsafe: str = "error",
    on_other_keys: Union[str, Callable[[Any], str]] = "error",
    overwrite: bool = False,
    progress: Optional[Callable[[int, int], object]] = None,
) -> MigrationReport:
    """Copy all records of another library's file into a new store, and return a MigrationReport.

    source: the path of a file of DictSQLite (1.8 to 2.1, v4), sqlitedict, shelve or dbm, or of a
    diskcache directory.  It is opened for reading only and never changed; nobody may write to it
    meanwhile.
    destination: the path of the new store.  It is there whole and on disk, or not at all.
    kind: 'dictsqlite', 'dictsqlite1', 'sqlitedict', 'shelve', 'dbm' or 'diskcache'; None: what the
    content says.
    table: which table, where the source has several.
    source_mode: how the values of a DictSQLite file are stored, which the file does not say:
    'pickle' (None), 'bytes', 'json' or 'jsonb'.
    source_password: of an encrypted DictSQLite file.
    storage_mode: that of the new store; None: 'pickle' for sources of objects, 'json' for sources
    of JSON, 'bytes' for sources of bytes.
    encryption_password: that of the new store.
    allowed_modules: as of safe_pickle_loads(), for the pickles of the source.
    values: 'raw' stores the checked pickles themselves, with storage_mode 'bytes'.
    on_unsafe: 'skip' leaves out what safe_pickle_check() refuses and counts it; 'error' raises.
    on_other_keys: what becomes of keys that are no str: 'error', 'skip', or a function of the key
    that returns a str.  Two records never become one: that is an error.
    overwrite: replace a store that is at destination.
    progress: called now and then as progress(done, total), in records; as of DictSQLite.backup().

    Raises UnsafePickleError, PasswordError (before anything is written), FormatError (a source that
    is none of these, and keys and tables that need a word of the caller), CorruptError (damage),
    TypeError (a value that storage_mode does not hold), LockedError and StorageError.
    """
    key_rule = KeyRule(on_other_keys)
    with Destination(destination, overwrite, progress) as target:
        with open_source(source, kind, table, source_mode, source_password, target.folder) as found:
            target.keep_off(found.files)
            value_rule = ValueRule(found, storage_mode, values, allowed_modules, on_unsafe)
            target.open(value_rule.storage_mode, encryption_password, allowed_modules)
            _copy(found, target, key_rule, value_rule)
            expired = found.expired
        target.finish()
        mode = target.db.storage_mode
    return MigrationReport(found.kind, found.table, mode, target.records, target.bytes,
                           key_rule.skipped + value_rule.skipped, expired)


def _copy(found: Source, target: Destination, key_rule: KeyRule, value_rule: ValueRule) -> None:
    target.total = found.count()
    for record in found.records():
        target.step()
        key = key_rule.key_of(record.key, value_rule.load_key)
        if key is None:
            continue
        value = value_rule.value_of(key, record)
        if value is not value_rule.SKIPPED:
            target.add(key, value, record.size, key_rule.makes_keys)
    target.flush()
    if found.fingerprint() != found.fingerprint_before:
        raise StorageError("the source changed while it was read")
