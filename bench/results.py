"""The JSON files of the benchmarks as bench/report.py reads them: who was measured, doing what, how fast."""

import dataclasses
import json
import pathlib

OURS = "dictsqlite"
# A figure names whom it measured by one of these.
NAMES = ("map", "store", "cache", "policy", "call", "values", "loop", "third_thread")
QUARTILES = ("lower_quartile", "upper_quartile")
LATENCIES = ("p50", "p90", "p99", "p99.9", "p99.99", "worst")


@dataclasses.dataclass
class Figure:
    """One line of a table: its labels, and its numbers by name."""

    name: str
    labels: dict
    numbers: dict
    latency_ns: dict
    curves: dict

    @property
    def threads(self):
        return int(self.numbers.get("threads", 1))

    @property
    def is_ours(self):
        return self.name.startswith(OURS)


@dataclasses.dataclass
class Result:
    """One run of a benchmark."""

    path: pathlib.Path
    benchmark: str
    machine: str
    command: str
    parameters: dict
    work: dict
    figures: list


class Malformed(Exception):
    """A file that is no benchmark's JSON; the text says why."""


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def figure_of(members):
    kind = next((kind for kind in NAMES if kind in members), None)
    if kind is None:
        raise Malformed(f"a figure has none of {', '.join(NAMES)}")
    labels = {key: value for key, value in members.items() if isinstance(value, str) and key != kind}
    numbers = {key: value for key, value in members.items() if is_number(value)}
    curves = {key: value for key, value in members.items() if isinstance(value, list)}
    return Figure(members[kind], labels, numbers, dict(members.get("latency_ns", {})), curves)


def command_of(report):
    """What repeats the run, from the root of the tree."""
    words = report.get("command") or [report["benchmark"]]
    if words[0].endswith(".py"):
        return " ".join(["PYTHONPATH=build/release/python python", f"bench/{words[0]}", *words[1:]])
    return " ".join([f"build/release/bench/{words[0]}", *words[1:]])


def read(path):
    """The run that a file describes."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return Result(path, report["benchmark"], report["machine"], command_of(report), report["parameters"],
                      report.get("work", {}), [figure_of(members) for members in report["figures"]])
    except (ValueError, KeyError, TypeError, AttributeError, Malformed) as error:
        raise Malformed(f"{path}: {type(error).__name__}: {error}") from error


def read_all(path):
    """The runs below a folder, or of one file, in the order of their names."""
    paths = sorted(path.glob("*.json")) if path.is_dir() else [path]
    return [read(each) for each in paths]


def size_of(result, figure, name):
    """keys or value_bytes of a figure: its own, or those of the whole run."""
    value = figure.numbers.get(name, result.parameters.get(name))
    return value if is_number(value) else None
