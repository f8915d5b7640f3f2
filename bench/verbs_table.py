"""Writes the table of verbs in README.md, README_JP.md and docs/verbs.md: what each library can do, tried out.

    PYTHONPATH=build/release/python python bench/verbs_table.py            prints the table
    PYTHONPATH=build/release/python python bench/verbs_table.py --write    writes the documents

The libraries are those of bench/python_peers.py --setup, each tried in a process of its own (bench/verbs/probe.py);
one that is not installed stops --write.  README.md has a row for each group and counts; docs/verbs.md has them all.
README_JP.md has the table of README.md, phrase by phrase in Japanese.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import peer_venvs

ROOT = pathlib.Path(__file__).parents[1]
PROBE = ROOT / "bench" / "verbs" / "probe.py"
BEGIN, END = "<!-- written by bench/verbs_table.py -->\n", "<!-- end of the table -->\n"
OURS, PREDECESSOR = "ours", "dictsqlite 2.1"
LIBRARIES = (OURS, "dict", PREDECESSOR, "diskcache", "sqlitedict", "shelve", "py-lmdb", "RocksDict")

# What README.md says in one row each; every row of docs/verbs.md is in one of them.
GROUPS = {
    "`[]` `get` `in` `len` `iter`": ("[]", "get", "in", "len", "iter"),
    "`reversed` `==` `\\|` `\\|=` `copy` `fromkeys`": ("reversed", "==", "|", "|=", "copy", "fromkeys"),
    "`pop` `popitem` `setdefault` `update` `clear`": ("pop", "popitem", "setdefault", "update", "clear"),
    "live views; views as sets": ("live views", "views as sets"),
    "`get_many` `set_many` `delete_many`": ("get_many", "set_many", "delete_many"),
    "`batch` `add` `increment` `compare_and_swap` `get_or_compute`":
        ("batch", "add", "increment", "compare_and_swap", "get_or_compute"),
    "`scan` `flush` `backup` `verify` `compact`": ("scan", "flush", "backup", "verify", "compact"),
    "encryption; `rekey`; asyncio": ("encryption", "rekey", "async class"),
    "by default no pickle runs; keys 1 and \"1\" kept apart":
        ("no pickle runs by default", "keys 1 and \"1\" kept apart"),
    "by default writes survive `kill -9`; are synced":
        ("writes survive kill -9 by default", "each write synced by default"),
    "plain in any SQLite program; other values; expiry; several writers; order of insertion":
        ("values in plain for any SQLite program", "values other than bytes", "expiry", "several writing processes",
         "order of insertion"),
}

# What stands in a cell of README.md, between semicolons, and is not code, a name or a number.
JAPANESE = {
    "**ours**": "**本ライブラリ**",
    "all": "すべて",
    "live views": "動的なビュー",
    "views as sets": "集合として使えるビュー",
    "encryption": "暗号化",
    "asyncio": "asyncio",
    "by default no pickle runs": "既定で pickle を実行しない",
    "keys 1 and \"1\" kept apart": "キー 1 と \"1\" の区別",
    "by default writes survive `kill -9`": "既定で書き込みが `kill -9` に耐える",
    "are synced": "同期される",
    "plain in any SQLite program": "どの SQLite プログラムでもそのまま読める",
    "other values": "ほかの値",
    "expiry": "有効期限",
    "several writers": "複数の書き手",
    "order of insertion": "挿入順",
}


def python_of(library):
    """The interpreter that has the library."""
    if library == PREDECESSOR:
        return peer_venvs.interpreter("predecessor")
    return sys.executable if library in (OURS, "dict", "shelve") else peer_venvs.interpreter("peers")


def ask(library):
    """The answers of a library: row -> [answer, note]; None where it is not installed."""
    python = python_of(library)
    if python is None:
        return None
    environment = dict(os.environ)
    if library == PREDECESSOR:
        environment.pop("PYTHONPATH", None)  # it has our name
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([python, PROBE, library, folder], env=environment, capture_output=True, text=True,
                              check=True, timeout=300)
    return json.loads(done.stdout)


def cell(answer):
    """A cell of docs/verbs.md."""
    word, note = answer
    words = {"yes": "yes", "partly": "", "no": "–", "-": "(does not apply)"}[word]
    return " ".join(filter(None, (words, f"`{note}`" if word == "partly" else note and f"({note})")))


def count(answers, rows):
    """A cell of README.md: how many of the rows that apply, and how many more by another name."""
    asked = [answers[row][0] for row in rows if answers[row][0] != "-"]
    if not asked:
        return ""
    yes, partly = asked.count("yes"), asked.count("partly")
    if yes == len(asked):
        return "all"
    if yes + partly == 0:
        return "–"
    return " + ".join(filter(None, (str(yes) if yes else "", f"{partly}\\*" if partly else "")))


def table(head, rows):
    """Lines of a table in Markdown."""
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def phrases(cell):
    """What stands between the semicolons of a cell."""
    return cell.split("; ")


def short(found):
    """What README.md has between its marks."""
    rows = [[name, *(count(found[library], group) for library in LIBRARIES)] for name, group in GROUPS.items()]
    return "\n".join(table(["", "**ours**", *LIBRARIES[1:]], rows)) + "\n"


def in_japanese(lines):
    """The lines of the table of README.md as README_JP.md has them."""
    rows = [[phrases(cell) for cell in line[2:-2].split(" | ")] for line in lines.splitlines()]
    return "".join(
        "| " + " | ".join("、".join(JAPANESE.get(phrase, phrase) for phrase in cell) for cell in row) + " |\n"
        for row in rows)


def long(found):
    """The text of docs/verbs.md."""
    rows = [[name.replace("|", "\\|"), *(cell(found[library][name]) for library in LIBRARIES)] for name in found[OURS]]
    return "\n".join([
        "# What each library can do", "",
        "Written by `bench/verbs_table.py --write`, which tries each of these out; do not edit. “yes”: the verb as we",
        "have it (`bench/verbs/checks.py` says what it has to do), with each library's own defaults. A name: what it has",
        "in its place (`bench/verbs/otherwise.py`). The versions are those of `bench/requirements-peers.txt` and",
        "`bench/requirements-predecessor.txt`; shelve is over the dbm that the interpreter has.", "",
        *table(["", "**ours**", *LIBRARIES[1:]], rows), ""])


def replaced(text, new):
    """A README with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + new + END + after


def main():
    """Asks all, prints or writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = {library: ask(library) for library in LIBRARIES}
    missing = [library for library, answers in found.items() if answers is None]
    if missing:
        raise SystemExit(f"not installed (bench/python_peers.py --setup does it): {', '.join(missing)}")
    if not options.write:
        print(short(found) + "\n" + long(found))
        return
    for name, lines in (("README.md", short(found)), ("README_JP.md", in_japanese(short(found)))):
        readme = ROOT / name
        readme.write_text(replaced(readme.read_text(encoding="utf-8"), lines), encoding="utf-8")
    (ROOT / "docs" / "verbs.md").write_text(long(found), encoding="utf-8")


if __name__ == "__main__":
    main()
