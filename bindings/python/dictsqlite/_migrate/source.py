"""What all sources have in common."""

import os
from typing import Any, Iterator, List, Optional, Tuple

from .._core import StorageError
from .record import Record


class Source:
    """Records to be read, of one table of one file.

    kind and table: as MigrationReport's.
    default_mode: the storage mode that holds what this source holds.
    files: what is read; none of them may change meanwhile.
    expired: how many records were left out as their time was over, once all were read.
    """

    kind: str
    table: Optional[str] = None
    default_mode = "pickle"
    expired = 0

    def __init__(self, files: List[str]) -> None:
        self.files = files
        self.fingerprint_before = self.fingerprint()

    def fingerprint(self) -> List[Tuple[int, int, int]]:
        """Changes when a file does."""
        try:
            stats = [os.stat(file) for file in self.files]
        except OSError as error:
            raise StorageError(f"cannot read the source: {error}") from None
        return [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]

    def count(self) -> int:
        """How many records there are, expired ones among them."""
        raise NotImplementedError

    def records(self) -> Iterator[Record]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()
