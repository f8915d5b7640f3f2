"""encrypt, decrypt and rekey: the password of a file."""

from .. import _core
from . import passwords, stores
from .progress import Progress
from .status import Refused


def encrypt(args):
    if stores.is_encrypted(args.file):
        raise Refused(f"{args.file} is encrypted already (rekey gives it another password)")
    convert(args, _core.encrypt, twice=True)


def decrypt(args):
    if not stores.is_encrypted(args.file):
        raise Refused(f"{args.file} is not encrypted")
    convert(args, _core.decrypt, twice=False)


def convert(args, run, twice):
    password = passwords.given(args, twice=twice)
    if password is None:
        password = passwords.ask(f"Password of {args.file}", twice)
    with Progress(args.command) as progress:
        run(args.file, password, progress=progress)


def rekey(args):
    if not stores.is_encrypted(args.file):
        raise Refused(f"{args.file} is not encrypted")
    with stores.open_existing(args) as db:
        new = passwords.given(args, "new_", "New password", twice=True)
        if new is None:
            new = passwords.ask(f"New password of {args.file}", twice=True)
        db.rekey(new)
