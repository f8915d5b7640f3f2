"""The verdicts of stress/check on the files in histories/: their names say what they are.

    test_check.py PROGRAM
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HISTORIES = sorted((pathlib.Path(__file__).parent / "histories").glob("*.jsonl"))
EXPECTED = {"good": 0, "bad": 1, "unreadable": 2}
PROGRAM = sys.argv.pop(1)


def check(*paths):
    """The finished program."""
    return subprocess.run([PROGRAM, *map(str, paths)], capture_output=True, text=True, check=False)


class Check(unittest.TestCase):
    def test_every_history_gets_its_verdict(self):
        self.assertGreater(len(HISTORIES), 40)
        for path in HISTORIES:
            with self.subTest(path.name):
                self.assertEqual(check(path).returncode, EXPECTED[path.name.partition("-")[0]])

    def test_a_violation_is_explained_by_the_operations_that_clash(self):
        result = check(next(path for path in HISTORIES if path.stem == "bad-new-then-old"))
        self.assertIn('process 1: get -> "b"', result.stdout)
        self.assertIn('process 2: get -> "a"', result.stdout)

    def test_an_error_names_the_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write("\n\n{}\n")
            file.flush()
            self.assertIn("line 3: ", check(file.name).stderr)

    def test_a_missing_file_is_an_error(self):
        self.assertEqual(check("/nonexistent/history.jsonl").returncode, 2)

    def test_of_several_files_the_worst_verdict_counts(self):
        good, bad = (next(path for path in HISTORIES if path.name.startswith(kind))
                     for kind in ("good", "bad"))
        self.assertEqual(check(good, bad, good).returncode, 1)


if __name__ == "__main__":
    unittest.main()
