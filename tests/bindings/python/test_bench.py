"""The benchmark programs run, small, so that they cannot rot."""

import json
import pathlib
import re
import subprocess
import sys

BENCH = pathlib.Path(__file__).parents[3] / "bench"


def python_speed(*options):
    return subprocess.run([sys.executable, BENCH / "python_speed.py", "--keys", "500", "--pairs", "2", *options],
                          capture_output=True, text=True, check=True, timeout=120).stdout


def test_python_speed_measures_hits_in_every_mode():
    for mode in ("memory", "lazy", "writethrough"):
        output = python_speed("--mode", mode, "--only", "get")
        assert f"500 str keys of 16 characters, values of 64 bytes, mode {mode}" in output
        ratio = re.search(r"^get .* speed (\d+\.\d+)", output, re.MULTILINE)
        assert ratio and float(ratio[1]) > 0


def test_python_speed_measures_every_verb_beside_a_dict(tmp_path):
    output = python_speed("--group", "100", "--json", str(tmp_path / "figures.json"))
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures["results"]) == {"get", ".get", "in", "lazy set", "sustained", "lazy over", "memory set",
                                       "get_many", "set_many"}
    for name, lines in figures["results"].items():
        assert re.search(f"^{re.escape(name)} ", output, re.MULTILINE)
        assert name == "sustained" or all(line["speed"] > 0 for line in lines)
    assert figures["parameters"]["keys"] == 500 and figures["machine"] in output


def test_async_set_measures():
    output = subprocess.run([sys.executable, BENCH / "async_set.py", "50", "2"],
                            check=True, capture_output=True, text=True).stdout
    assert "50 gathered aset" in output and "one by one" in output


def test_values_measures_every_mode():
    output = subprocess.run([sys.executable, BENCH / "values.py", "--keys", "50", "--rounds", "2"],
                            check=True, capture_output=True, text=True).stdout
    for mode in ("bytes", "json", "pickle", "pickle, unchecked"):
        assert re.search(rf"^{mode}: set \d+ ns, get \d+ ns$", output, re.MULTILINE)
