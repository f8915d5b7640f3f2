"""Opening the store that a command works on.

Values are read and written as they are in the file, whatever it says that they are (its storage
mode): a command prints bytes and takes bytes.
"""

import errno
import os

from .._core import DictSQLite, PasswordError, StorageError
from . import passwords
from .status import Refused

RAW = "raw"


def open_raw(file, password=None, **options):
    return DictSQLite(file, encryption_password=password, storage_mode=RAW, **options)


def open_store(args, **options):
    """Opens the file, or makes it if options let it, asking for a password if it needs one."""
    is_new = options.get("create", True) and not os.path.exists(args.file)
    password = passwords.given(args, twice=is_new)
    if is_new and getattr(args, "storage_mode", None) is not None:
        create(args.file, password, args.storage_mode)
    if password is None:
        try:
            return open_raw(args.file, **options)
        except PasswordError:
            password = ask_for(args.file)
    return open_raw(args.file, password, **options)


def create(file, password, storage_mode):
    """Makes a file that records the storage mode."""
    try:
        DictSQLite(file, encryption_password=password, storage_mode=storage_mode).close()
    except ImportError as error:  # of what the mode needs
        raise Refused(str(error)) from None


def ask_for(file):
    if not passwords.has_terminal():
        raise Refused(f"{file} is encrypted and there is no terminal to ask for the password: "
                      "use --password-env or --password-file")
    return passwords.ask(f"Password of {file}")


def open_existing(args, **options):
    return open_store(args, create=False, **options)


def open_for_reading(args):
    """Opens the file read-only, so that several commands can read it at a time.

    What a crash has left in the journal has to be applied before anybody can read: then the file
    is opened for writing, which does that.
    """
    try:
        return open_existing(args, readonly=True)
    except StorageError as error:
        if error.errno != errno.EROFS:
            raise
    return open_existing(args)


def is_encrypted(file):
    """Whether a file that is there, and that nobody writes, needs a password."""
    try:
        open_raw(file, readonly=True, create=False).close()
    except PasswordError:
        return True
    except StorageError as error:
        if error.errno != errno.EROFS:  # a plain one, after a crash
            raise
    return False
