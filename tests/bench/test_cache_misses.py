"""bench/cache_misses.py counts what it says, on tables of which that is known.

    test_cache_misses.py SCRIPT SIZES
"""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SIZES = sys.argv.pop()
SCRIPT = sys.argv.pop()
FEW, MANY = 64, 20000
# Holds a table of FEW keys, and not one of MANY.
FIRST_LEVEL = "32768,8,64"


class CacheMisses(unittest.TestCase):
    def test_a_cache_that_cachegrind_does_not_model_is_replaced_by_the_nearest_one(self):
        spec = importlib.util.spec_from_file_location("cache_misses", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.assertEqual(module.modelled(32768, 8, 64), "32768,8,64")
        self.assertEqual(module.modelled(37486592, 11, 64), "37748736,9,64")
        self.assertEqual(module.modelled(12 * 2**20, 12, 64), "12582912,12,64")
        self.assertEqual(module.modelled(64, 4, 64), "64,1,64")

    def test_a_table_that_fits_the_cache_misses_nothing_and_a_larger_one_does(self):
        if shutil.which("valgrind") is None:
            self.skipTest("valgrind is not installed")
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder, "report.json")
            subprocess.run(
                [sys.executable, "-B", SCRIPT, SIZES, "--maps", "dictsqlite", "--keys", f"{FEW},{MANY}",
                 "--look-ups", "40000", "--d1", FIRST_LEVEL, "--json", str(report)], check=True)
            few, many = json.loads(report.read_text(encoding="utf-8"))["figures"]
        self.assertLess(few["first_level"], 0.1)
        # The slots, and the record behind them.
        self.assertGreater(many["first_level"], 2)
        self.assertLess(many["last_level"], 0.1)


if __name__ == "__main__":
    unittest.main()
