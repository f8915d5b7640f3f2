"""Nothing grows out of what a reader takes in: functions to 70 lines, files to 800."""

import shutil
import subprocess
import tempfile
import unittest

import tree

FUNCTION_LINES = 70
FILE_LINES = 800


def long_functions(paths, root=tree.ROOT):
    """path:function for each C function longer than allowed, its signature included."""
    listing = subprocess.run(
        ["ctags", "-x", "--c-kinds=f", "--c++-kinds=f", "--_xformat=%N\t%F\t%n\t%e", *paths],
        cwd=root, check=True, capture_output=True, text=True).stdout
    functions = [line.split("\t") for line in listing.splitlines()]
    return [f"{path}:{name}" for name, path, first, last in functions
            if int(last) - int(first) + 1 > FUNCTION_LINES]


class Sizes(unittest.TestCase):
    def setUp(self):
        if shutil.which("ctags") is None:
            self.skipTest("universal-ctags is not installed")

    def test_no_function_of_the_tree_is_too_long(self):
        self.assertEqual(long_functions(tree.files(".c", ".h", ".cpp")), [])

    def test_no_file_of_the_tree_is_too_long(self):
        self.assertEqual([path for path in tree.files()
                          if tree.read(path).count("\n") > FILE_LINES], [])

    def test_a_function_one_line_over_is_caught(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, lines in (("over", FUNCTION_LINES + 1), ("exact", FUNCTION_LINES)):
                with open(f"{folder}/{name}.c", "w", encoding="utf-8") as file:
                    file.write(f"int {name}(void)\n{{\n" + "\n" * (lines - 4) + "return 0;\n}\n")
            self.assertEqual(long_functions(["over.c", "exact.c"], folder), ["over.c:over"])


if __name__ == "__main__":
    unittest.main()
