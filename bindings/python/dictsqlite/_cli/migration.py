"""migrate: records of other libraries' files."""

from .._core import PasswordError
from . import passwords
from .messages import number_of_records
from .progress import Progress
from .status import Refused

OTHER_KEYS = {"error": "error", "skip": "skip", "str": str, "repr": repr}


def describe(report):
    table = f", table {report.table}" if report.table is not None else ""
    left_out = "".join(f", {number:,} {why}" for number, why in
                       ((report.skipped, "skipped"), (report.expired, "expired")) if number)
    return (f"{report.kind}{table}: {number_of_records(report.records)} stored "
            f"as {report.storage_mode}{left_out}")


def run(args, source_password, encryption_password):
    from .._migrate import migrate as copy

    try:
        with Progress("migrate", " records") as progress:
            return copy(
                args.source, args.destination, kind=args.kind, table=args.table, source_mode=args.source_mode,
                source_password=source_password, storage_mode=args.storage_mode,
                encryption_password=encryption_password, allowed_modules=args.allow or None,
                values="raw" if args.keep_pickles else None, on_unsafe="skip" if args.skip_unsafe else "error",
                on_other_keys=OTHER_KEYS[args.other_keys], overwrite=args.overwrite, progress=progress)
    except (TypeError, ImportError) as error:  # a value that the mode does not hold; a missing package
        raise Refused(str(error)) from None


def migrate(args):
    source_password = passwords.given(args, "source_", f"Password of {args.source}")
    encryption_password = passwords.given(args, "", f"Password of {args.destination}", twice=True)
    try:
        report = run(args, source_password, encryption_password)
    except PasswordError as error:
        if source_password is not None:
            raise
        if not passwords.has_terminal():
            raise Refused(f"{error.strerror or error} "
                          "(use --source-password-env or --source-password-file)") from None
        report = run(args, passwords.ask(f"Password of {args.source}"), encryption_password)
    print(describe(report))
