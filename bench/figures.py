"""What a Python benchmark has measured, as the JSON that bench/report.py reads; bench/report.c writes the same."""

import hashlib
import json
import pathlib
import statistics
import sys


def rates(per_second):
    """The median and the quartiles of operations a second, as members of a figure."""
    ordered = sorted(per_second)
    quarter = len(ordered) // 4
    return {"per_second": statistics.median(ordered), "lower_quartile": ordered[quarter],
            "upper_quartile": ordered[-1 - quarter]}


def hash_of(*parts):
    """Of the work: two runs that print the same did the same."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return digest.hexdigest()[:16]


def given(options):
    """The options that have a value, without files: those are of one machine."""
    return {name: value for name, value in vars(options).items()
            if name != "json" and value is not None and not isinstance(value, pathlib.Path)}


def command(options):
    """The words that repeat the run."""
    words = [pathlib.Path(sys.argv[0]).name]
    for name, value in given(options).items():
        words += ["--" + name.replace("_", "-"), *map(str, value if isinstance(value, list) else [value])]
    return words


def write(path, where, options, work, figures):
    """Writes the file; without a path, nothing.  `work` is a dict of hashes."""
    if path is None:
        return
    words = command(options)
    parameters = {name: " ".join(value) if isinstance(value, list) else value for name, value in given(options).items()}
    report = {"benchmark": words[0].removesuffix(".py"), "machine": where, "command": words, "parameters": parameters,
              "work": work, "figures": figures}
    pathlib.Path(path).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
