"""The benchmark programs run, small, so that they cannot rot."""

import pathlib
import re
import subprocess
import sys

BENCH = pathlib.Path(__file__).parents[3] / "bench"


def test_get_hit_measures_every_mode():
    for mode in ("memory", "lazy", "writethrough"):
        done = subprocess.run(
            [sys.executable, BENCH / "get_hit.py", "--keys", "500", "--pairs", "2", "--mode", mode],
            capture_output=True, text=True, check=True, timeout=60)
        assert f"500 str keys of 16 characters, values of 64 bytes, mode {mode}" in done.stdout
        ratio = re.search(r"speed of a dict: (\d+\.\d+)", done.stdout)
        assert ratio and float(ratio[1]) > 0


def test_async_set_measures():
    output = subprocess.run([sys.executable, BENCH / "async_set.py", "50", "2"],
                            check=True, capture_output=True, text=True).stdout
    assert "50 gathered aset" in output and "one by one" in output


def test_values_measures_every_mode():
    output = subprocess.run([sys.executable, BENCH / "values.py", "--keys", "50", "--rounds", "2"],
                            check=True, capture_output=True, text=True).stdout
    for mode in ("bytes", "json", "pickle", "pickle, unchecked"):
        assert re.search(rf"^{mode}: set \d+ ns, get \d+ ns$", output, re.MULTILINE)
