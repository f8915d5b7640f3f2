"""The benchmark programs run, small, so that they cannot rot."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

import dictsqlite

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
    ours = {figure["workload"]: figure for figure in figures["figures"] if figure["map"] == "dictsqlite"}
    assert set(ours) == {"get", ".get", "in", "lazy set", "lazy set, to the disk", "lazy over", "memory set",
                         "get_many", "set_many"}
    for name, figure in ours.items():
        assert figure["lower_quartile"] <= figure["per_second"] <= figure["upper_quartile"]
        if "beside" in figure:
            assert re.search(f"^{re.escape(name)} ", output, re.MULTILINE) and figure["speed"] > 0
    assert figures["parameters"]["keys"] == 500 and figures["machine"] in output


def test_async_set_measures():
    output = subprocess.run([sys.executable, BENCH / "async_set.py", "--writes", "50", "--rounds", "2"],
                            check=True, capture_output=True, text=True).stdout
    assert "50 gathered aset" in output and "one by one" in output


def test_values_measures_every_mode():
    output = subprocess.run([sys.executable, BENCH / "values.py", "--keys", "50", "--rounds", "2"],
                            check=True, capture_output=True, text=True).stdout
    for mode in ("bytes", "json", "pickle", "pickle, unchecked"):
        assert re.search(rf"^{mode}: set \d+ ns, get \d+ ns$", output, re.MULTILINE)


def test_python_peers_measures_what_is_installed_and_writes_its_tables(tmp_path):
    result = tmp_path / "peers.json"
    done = subprocess.run([sys.executable, BENCH / "python_peers.py", "--quick", "--json", result],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(result.read_text(encoding="utf-8"))
    assert {"dict", "shelve", "sqlite3"} <= set(report["versions"])
    assert set(report["versions"]).isdisjoint(report["missing"])
    for section, workload in (("memory", "get"), ("lazy", "set"), ("durable", "set")):
        sides = report["results"][section][workload]["sqlite3"]
        assert sides["ours"]["median"] > 0 and sides["peer"]["median"] > 0

    subprocess.run([sys.executable, BENCH / "plot_peers.py", result, "--docs", tmp_path, "--no-plot"],
                   check=True, timeout=60)
    text = (tmp_path / "peers.md").read_text(encoding="utf-8")
    assert "| set, each synced |" in text and report["machine"] in text


def test_gil_readers_measures_on_a_disk_that_is_slow():
    shim = pathlib.Path(dictsqlite.__file__).parents[2] / "bench" / "slow_sync.so"
    if not shim.exists():
        pytest.skip("slow_sync is not built beside the package")
    output = subprocess.run([sys.executable, BENCH / "gil_readers.py", "--pairs", "1", "--seconds", "0.1",
                             "--keys", "500", "--delay-ms", "5", "--shim", shim],
                            check=True, capture_output=True, text=True, timeout=60).stdout
    assert "each sync 5 ms longer, 1 pairs" in output and re.search(r"committing .* of asleep", output)
