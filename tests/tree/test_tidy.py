"""clang-tidy finds nothing in what is shipped: test_tidy.py BUILD-FOLDER.

The tests' own sources are left out: Criterion's macros expand into what it objects to.  The analyzer gives a
function up after DSQ_TIDY_NODES steps; it does ten times as many by itself, which takes five times as long.
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
NODES = os.environ.get("DSQ_TIDY_NODES", "20000")
EFFORT = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", f"max-nodes={NODES}")]


def compile_commands():
    """One of each file: clang-tidy would go through it once for each program that it is part of."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        commands = list({command["file"]: command for command in json.load(file)}.values())
    for command in commands:
        command["command"] = " ".join(word for word in command["command"].split(" ")
                                      if word not in GCC_ONLY)
    return commands


def complaints(path, database):
    run = subprocess.run(["clang-tidy", "--quiet", *EFFORT, "-p", database, path], cwd=tree.ROOT,
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

    def complaints_about(self, text):
        source = os.path.join(self.database.name, "seeded.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        shutil.copy(os.path.join(tree.ROOT, ".clang-tidy"), self.database.name)
        self.write_database([{"directory": self.database.name, "file": source,
                              "command": f"cc -c {source}"}])
        return complaints(source, self.database.name)

    def test_a_seeded_fault_is_caught(self):
        self.assertIn("readability-braces-around-statements", self.complaints_about(
            "int f(int a)\n{\n    if (a)\n        return 1;\n    return 0;\n}\n"))

    def test_a_seeded_leak_is_caught(self):
        self.assertIn("unix.Malloc", self.complaints_about(
            "#include <stdlib.h>\n\nstatic char *make(int size)\n{\n    return malloc(size);\n}\n\n"
            "int f(int size)\n{\n    char *made = make(size);\n\n    return made != NULL;\n}\n"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
