"""What load says of input that is not as it should be, and the counting of lines for it."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Malformed(Exception):
    """What is wrong with the input, without the line number."""


class Lines:
    """An iterator over the lines of a binary file that knows where it is."""

    def __init__(self, file):
        self.iterator = iter(file)
        self.number = 0  # of the line that came last, from 1
        self.bytes = 0

    def __iter__(self):
        for line in self.iterator:
            self.number += 1
            self.bytes += len(line)
            yield line


def decode_text(data, what):
    """The str of UTF-8 bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8 (byte {error.start + 1} of it)") from None


def without_mark(line):
    """The first line without the mark that some programs put before UTF-8."""
    return line[len(BYTE_ORDER_MARK):] if line.startswith(BYTE_ORDER_MARK) else line
