"""Running `dictsqlite` commands, in this process or in another."""

import io
import os
import subprocess
import sys
from unittest import mock

from dictsqlite._cli.main import main


class Ended:
    """How a command ended: its status and what it wrote, standard output as bytes."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f"status {self.status}, {self.out[:1000]!r}, {self.err!r}"


def text(data=b""):
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", write_through=True)


def command(*args, stdin=b""):
    """Runs a command in this process."""
    out, err = text(), text()
    with mock.patch.multiple(sys, stdin=text(stdin), stdout=out, stderr=err):
        try:
            status = main(list(map(str, args)))
        except SystemExit as end:
            status = end.code
    return Ended(status or 0, out.buffer.getvalue(), err.buffer.getvalue().decode())


def start(*args, environment=None, **options):
    """Starts a command in a process of its own, without a terminal unless it is given one."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               "start_new_session": True, **options}
    return subprocess.Popen([sys.executable, "-m", "dictsqlite", *map(str, args)],
                            env={**os.environ, **(environment or {})}, **options)


def process(*args, stdin=None, **environment):
    """Runs a command in a process of its own."""
    child = start(*args, environment=environment, stdin=subprocess.PIPE)
    out, err = child.communicate(stdin, timeout=60)
    return Ended(child.returncode, out, err.decode())
