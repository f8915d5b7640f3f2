"""Progress on standard error: on a terminal only, and of what takes longer than a second."""

import shutil
import sys
import time

from .streams import is_terminal

SHOW_AFTER_S = 1.0
SHOW_EVERY_S = 0.1
BAR_WIDTH = 30


def note(text):
    """A remark for whoever sits at the terminal."""
    if is_terminal(sys.stderr):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def note_reading(what):
    """Says what is waited for, where it is typed in."""
    if is_terminal(sys.stdin):
        note(f"Type {what}; Ctrl-D at the beginning of a line ends it.")


def clock(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """A line that is written anew as long as its block lasts, and then taken away.

    It is called with how much is done and of how much (0: not known), and says True: go on.  Where the
    whole is not known, what is done is shown only if it has a unit.
    """

    def __init__(self, what, unit="", hidden=False):
        self.what = what
        self.unit = unit
        self.hidden = hidden or not is_terminal(sys.stderr)
        self.begun = time.monotonic()
        self.next = self.begun + SHOW_AFTER_S
        self.shown = False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def __call__(self, done, total=0):
        now = time.monotonic()
        if not self.hidden and now >= self.next:
            self.next = now + SHOW_EVERY_S
            self.shown = True
            sys.stderr.write("\r" + self.line(done, total, now - self.begun) + "\x1b[K")
            sys.stderr.flush()
        return True

    def line(self, done, total, seconds):
        if not total:
            count = f"{done:,}{self.unit}, " if self.unit else ""
            text = f"{self.what}: {count}{clock(seconds)}"
        else:
            share = min(done / total, 1)
            left = f", {clock(seconds * (1 - share) / share)} left" if share > 0 else ""
            full = int(share * BAR_WIDTH)
            text = f"{self.what}: [{'#' * full}{'.' * (BAR_WIDTH - full)}] {int(100 * share):3d} %{left}"
        return text[:shutil.get_terminal_size().columns - 1]
