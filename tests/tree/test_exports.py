"""What the built libraries export: test_exports.py SHARED-LIBRARY STATIC-LIBRARY [EXTENSION]."""

import re
import subprocess
import sys
import unittest

import tree

SHARED, STATIC = sys.argv[1:3]
EXTENSION = sys.argv[3] if len(sys.argv) > 3 else None
DECLARATION = re.compile(r"^DSQ_API\b[^;(]*?\b(dsq_\w+)\s*\(", re.MULTILINE)


def symbols(path, *options):
    listing = subprocess.run(["nm", "--defined-only", "--format=posix", *options, path],
                             check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in listing.splitlines() if len(line.split()) > 2}


class Exports(unittest.TestCase):
    def test_the_shared_library_exports_the_functions_of_its_header_and_nothing_else(self):
        declared = set(DECLARATION.findall(tree.read("bindings/c/dictsqlite.h")))
        self.assertLessEqual({"dsq_open", "dsq_stats", "dsq_free"}, declared)
        self.assertEqual(symbols(SHARED, "--dynamic"), declared)

    def test_every_public_function_of_the_header_is_marked(self):
        text = tree.without_comments(tree.read("bindings/c/dictsqlite.h"))
        named = re.findall(r"^(?!#|typedef)[^\n{}#]*?\b(dsq_\w+)\s*\(", text, re.MULTILINE)
        self.assertEqual(set(named), set(DECLARATION.findall(text)))

    def test_the_static_library_keeps_to_its_prefix(self):
        names = symbols(STATIC, "--extern-only")
        self.assertIn("dsq_open", names)
        self.assertEqual({name for name in names if not name.startswith("dsq_")}, set())

    @unittest.skipUnless(EXTENSION, "built without the Python extension")
    def test_the_extension_exports_its_entry_point_alone(self):
        self.assertEqual(symbols(EXTENSION, "--dynamic"), {"PyInit__core"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
