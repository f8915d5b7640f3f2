"""bench/miss_ratio on traces small enough to replay by hand.

    test_miss_ratio.py PROGRAM
"""

import gzip
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1)


def replay(path, size):
    """The finished program."""
    return subprocess.run([PROGRAM, "--trace", str(path), "--size", str(size)],
                          capture_output=True, text=True, check=False)


def percentages(result):
    """Misses of the optimum, LRU, FIFO and ours, of the only row."""
    row = next(line for line in result.stdout.splitlines() if line.startswith("trace"))
    return [float(field) for field in row.split()[2:6]]


class MissRatio(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def trace(self, keys, name="trace"):
        path = self.folder / name
        path.write_text("\n".join(keys))
        return path

    def test_the_peers_miss_what_they_miss_by_hand(self):
        # LRU: a b c b a miss.  FIFO: a b c a miss.  Best: c does not stay, so a b c miss.
        best, lru, fifo, _ = percentages(replay(self.trace("abacba"), 2))
        self.assertEqual((best, lru, fifo), (50.00, 83.33, 66.67))

    def test_a_loop_that_does_not_fit_hits_only_for_who_knows_the_future(self):
        # Best keeps a and lets b and c pass.
        best, lru, fifo, _ = percentages(replay(self.trace("abc" * 10), 1))
        self.assertEqual((best, lru, fifo), (70.00, 100.00, 100.00))

    def test_what_fits_misses_once_in_every_cache(self):
        self.assertEqual(percentages(replay(self.trace("abcd" * 5), 4)), [20.0] * 4)

    def test_a_compressed_trace_is_the_same_trace(self):
        plain = self.trace("abacba")
        packed = self.folder / "trace.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        result = replay(packed, 2)
        if "without zlib" in result.stderr:
            self.skipTest(result.stderr)
        self.assertEqual(percentages(result), percentages(replay(plain, 2)))

    def test_a_torn_archive_is_an_error(self):
        packed = self.folder / "trace.gz"
        packed.write_bytes(gzip.compress(b"a\nb\n" * 1000)[:-10])
        self.assertEqual(replay(packed, 2).returncode, 2)

    def test_a_missing_or_an_empty_trace_is_an_error(self):
        for path, why in ((self.folder / "none", "cannot be opened"),
                          (self.trace(""), "has no keys")):
            result = replay(path, 2)
            self.assertEqual(result.returncode, 2)
            self.assertIn(why, result.stderr)


if __name__ == "__main__":
    unittest.main()
