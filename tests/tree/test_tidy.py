"""clang-tidy finds nothing in what is shipped: test_tidy.py BUILD-FOLDER.

The tests' own sources are left out: Criterion's macros expand into what it objects to.
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import tree

BUILD = sys.argv[1]
FOLDERS = ("core/", "persist/", "crypto/", "bindings/", "stress/", "examples/example.c")
# gcc's own, which clang does not take.
GCC_ONLY = {"-flto=auto", "-ffat-lto-objects", "-Wtsan"}


def compile_commands():
    """One of each file: clang-tidy would go through it once for each program that it is part of."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        commands = list({command["file"]: command for command in json.load(file)}.values())
    for command in commands:
        command["command"] = " ".join(word for word in command["command"].split(" ")
                                      if word not in GCC_ONLY)
    return commands


def complaints(path, database):
    run = subprocess.run(["clang-tidy", "--quiet", "-p", database, path], cwd=tree.ROOT,
                         capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return ""
    return "\n".join(line for line in run.stdout.splitlines()
                     if " warning: " in line or " error: " in line) or run.stderr


class Tidy(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        if shutil.which("clang-tidy") is None:
            self.skipTest("clang-tidy is not installed")
        self.database = tempfile.TemporaryDirectory()
        self.addCleanup(self.database.cleanup)

    def write_database(self, commands):
        path = os.path.join(self.database.name, "compile_commands.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(commands, file)

    def test_the_shipped_sources_are_clean(self):
        commands = compile_commands()
        self.write_database(commands)
        paths = sorted({os.path.relpath(command["file"], tree.ROOT) for command in commands})
        paths = [path for path in paths if path.startswith(FOLDERS)]
        self.assertTrue(any(path.startswith("core/") for path in paths))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda path: complaints(path, self.database.name), paths)
        self.assertEqual("", "\n".join(filter(None, found)))

    def test_a_seeded_fault_is_caught(self):
        source = os.path.join(self.database.name, "seeded.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("int f(int a)\n{\n    if (a)\n        return 1;\n    return 0;\n}\n")
        shutil.copy(os.path.join(tree.ROOT, ".clang-tidy"), self.database.name)
        self.write_database([{"directory": self.database.name, "file": source,
                              "command": f"cc -c {source}"}])
        self.assertIn("readability-braces-around-statements",
                      complaints(source, self.database.name))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
