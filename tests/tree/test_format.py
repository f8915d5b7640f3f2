"""The C files are as clang-format leaves them."""

import shutil
import subprocess
import unittest

import tree


def misformatted(arguments, text=None):
    """The files that clang-format would change."""
    run = subprocess.run(["clang-format", "--style=file", "--dry-run", "--Werror", *arguments],
                         cwd=tree.ROOT, input=text, capture_output=True, text=True, check=False)
    return sorted({line.partition(":")[0] for line in run.stderr.splitlines() if "error:" in line})


class Format(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        if shutil.which("clang-format") is None:
            self.skipTest("clang-format is not installed")

    def test_the_tree_is_formatted(self):
        self.assertEqual(misformatted(tree.files(".c", ".h", ".cpp")), [])

    def test_a_brace_on_the_wrong_line_is_caught(self):
        self.assertEqual(misformatted(["--assume-filename=core/x.c"], "int f(void) {\n}\n"),
                         ["core/x.c"])


if __name__ == "__main__":
    unittest.main()
