"""How a command ends: exit statuses, and the exception for what cannot be done."""

OK = 0
ABSENT = 1
USAGE = 2
REFUSED = 3
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
BROKEN_PIPE = 141  # 128 and the number of SIGPIPE


class Refused(Exception):
    """What the user is told before the exit with REFUSED."""


class Misused(Exception):
    """The same before the exit with USAGE: a mistake that the parser cannot see."""
