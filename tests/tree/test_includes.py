"""Includes point one way, and each foreign library is seen by the files that wrap it alone."""

import fnmatch
import os
import re
import unittest

import tree

PUBLIC = ("dictsqlite.h", "dictsqlite/status.h")

# Which layers a layer may include, besides itself and the public headers where those are its own.
BELOW = {
    "core": (),
    "persist": ("core",),
    "crypto": ("core",),
    "bindings/c": ("persist", "crypto", "core"),
    "bindings/python": (),
    "examples": (),
    "stress": ("core", "persist", "crypto"),
    "bench": ("core", "persist", "crypto", "stress"),
    "tests": ("core", "persist", "crypto", "bindings/c", "bindings/python", "stress"),
}
SEES_PUBLIC_HEADERS = ("bindings/c", "bindings/python", "examples", "stress", "bench", "tests")

# Foreign headers and the files that may include them.  Tests may look behind the wrappers.
FOREIGN = (
    (r"urcu[/.-].*|urcu\.h", ("core/reclaim.*", "stress/map_rculfhash.c", "bench/map_ck.c", "tests/*")),
    (r"ck_.*", ("core/mpsc.*", "core/atomic.h", "core/event.*", "bench/queue.c", "bench/map_ck.c",
                "tests/*")),
    (r"xxhash\.h", ("core/hash.c", "stress/map_rculfhash.c", "bench/map_peers.cpp", "bench/map_ck.c",
                   "bench/map_cds.cpp")),
    (r"cds/.*", ("bench/map_cds.cpp",)),
    (r"rocksdb/.*", ("bench/cache_peers.cpp", "bench/stores_rocksdb.cpp")),
    (r"jansson\.h", ("stress/history.c", "bench/report.c")),
    (r"stdatomic\.h", ("core/atomic.h", "tests/*", "stress/*", "bench/*")),
    (r"sqlite3(ext)?\.h", ("persist/sqlite_store*.c", "persist/sqlite_store_internal.h",
                           "persist/sealed_*.c", "persist/sealed_internal.h",
                           "stress/stored.c", "stress/fuzz/*",
                           "stress/fault_vfs.c", "stress/fault_malloc.c", "stress/faults.c", "tests/*",
                           # SQLite by itself, which others are measured beside.
                           "bench/durable_sqlite.c", "bench/stores_sqlite.c", "bench/sqlite_calls.*")),
    (r"lmdb\.h", ("bench/stores_lmdb.c",)),
    (r"sodium.*\.h", ("crypto/*", "bench/encryption.c", "stress/fuzz/*", "tests/*")),
    (r"Python\.h|structmember\.h", ("bindings/python/*",)),
    (r"criterion/.*", ("tests/*",)),
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


def layer_of(path):
    return next((layer for layer in BELOW if path.startswith(layer + "/")), None)


def foreign_fault(path, name):
    for pattern, homes in FOREIGN:
        if re.fullmatch(pattern, name):
            if not any(fnmatch.fnmatch(path, home) for home in homes):
                return f"{path}: <{name}> belongs in {', '.join(homes)} only"
    return None


def own_fault(path, quote, name):
    layer = layer_of(path)
    if name in PUBLIC:
        if layer not in SEES_PUBLIC_HEADERS:
            return f"{path}: <{name}> is above {layer}"
        return None if quote == "<" else f'{path}: "{name}" is a public header: <{name}>'
    if quote == "<":
        return None
    target = layer_of(name)
    if target is None:
        return f'{path}: "{name}" does not begin with its layer'
    if target != layer and target not in BELOW[layer]:
        return f'{path}: "{name}" points the wrong way'
    return None


def faults(path, text):
    """What is wrong with the includes of a file, in sentences."""
    includes = INCLUDE.findall(text)
    found = [own_fault(path, quote, name) or foreign_fault(path, name)
             for quote, name in includes]
    header = re.sub(r"\.c$", ".h", path)
    quoted = [name for quote, name in includes if quote == '"']
    if path.endswith(".c") and header in quoted and includes[0][1] not in (header, "Python.h"):
        found.append(f"{path}: its own header comes first")
    return [fault for fault in found if fault]


class Includes(unittest.TestCase):
    def test_the_includes_of_the_tree_point_one_way(self):
        paths = [path for path in tree.files(".c", ".h", ".cpp") if layer_of(path)]
        self.assertIn("core/status.h", paths)
        found = [fault for path in paths for fault in faults(path, tree.read(path))]
        self.assertEqual(found, [])

    def test_every_quoted_include_of_the_tree_names_a_file(self):
        for path in tree.files(".c", ".h", ".cpp"):
            for quote, name in INCLUDE.findall(tree.read(path)):
                if quote == '"':
                    self.assertTrue(os.path.exists(os.path.join(tree.ROOT, name)),
                                    f"{path} includes {name}")

    def test_seeded_violations_are_caught(self):
        for path, line in (
                ("core/table.c", '#include "persist/store.h"'),
                ("core/table.c", "#include <urcu-bp.h>"),
                ("core/table.c", "#include <urcu/urcu-bp.h>"),
                ("core/table.c", "#include <ck_ring.h>"),
                ("core/table.c", "#include <dictsqlite.h>"),
                ("core/table.c", '#include "table.h"'),
                ("core/table.c", '#include <stdint.h>\n#include "core/table.h"'),
                ("core/table.c", "#include <stdatomic.h>"),
                ("persist/tier.c", '#include "crypto/sealer.h"'),
                ("persist/tier.c", '  #  include "bindings/c/dictsqlite.h"'),
                ("persist/tier.c", "#include <sqlite3.h>"),
                ("persist/sqlite_store.h", "#include <sqlite3.h>"),
                ("bench/durable.c", "#include <sqlite3.h>"),
                ("crypto/sealer.c", '#include "persist/store.h"'),
                ("bindings/c/dictsqlite.c", "#include <Python.h>"),
                ("bindings/c/dictsqlite.c", "#include <sodium.h>"),
                ("bindings/python/module.c", '#include "core/status.h"'),
                ("examples/example.c", '#include "core/status.h"')):
            with self.subTest(path=path, line=line):
                self.assertEqual(len(faults(path, line)), 1)

    def test_what_is_allowed_passes(self):
        for path, line in (
                ("core/table.c", '#include "core/table.h"\n#include <stdint.h>'),
                ("core/reclaim.c", "#include <urcu/urcu-bp.h>"),
                ("core/mpsc.c", "#include <ck_stack.h>"),
                ("persist/sqlite_store_read.c", "#include <sqlite3.h>"),
                ("bindings/c/dictsqlite.c", '#include <dictsqlite.h>\n#include "persist/tier.h"'),
                ("bindings/python/module.c", "#include <Python.h>\n#include <dictsqlite.h>")):
            with self.subTest(path=path, line=line):
                self.assertEqual(faults(path, line), [])


if __name__ == "__main__":
    unittest.main()
