"""Our package beside those that one would use instead, each at its own best and at equal durability.

    python bench/python_peers.py --setup          makes the environments of the peers below build/, with pip
    PYTHONPATH=build/release/python python bench/python_peers.py [--quick] [--json FILE] [--only PEER …]

Every peer is measured in turns with ours, step by step (ours, peer, peer, ours, …), on the same records in the same
order: in one process, but for our predecessor, whose package has our name and which runs in a process of its own.
Peers that are not installed are named and left out.  What each level promises, and the settings that give it, is in
bench/peer_stores.py and is printed.  Slow loops are cut off after --limit seconds and count as far as they came.

All stores have to return the same records (their hashes are compared), and where strace is installed, the syncs of
20 single writes are counted: a durable level has to make at least as many.  bench/plot_peers.py draws the JSON.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

import peer_venvs
from machine import machine
from peer_stores import PEERS, STORES, Ours, Predecessor

WORKER = pathlib.Path(__file__).with_name("peer_worker.py")
TRACED_WRITES = 20

# A step, and the name under which its measurement is kept (None: it only prepares, or is compared).
READS = [("warm", None), ("get", "get"), ("miss", "miss"), ("contains", "contains"), ("get_many", "get_many"),
         ("keys", "keys"), ("items", "items")]
SECTIONS = {
    "memory": [("new", None), ("load", "load"), ("sample", None), *READS, ("delete", "delete"), ("close", None),
               ("new", None), ("set", "set"), ("close", None)],
    "lazy": [("new", None), ("load", "load"), ("close", "load_closed"), ("size", "size"), ("open", "open"),
             ("sample", None), ("content", None), *READS, ("delete", "delete"), ("close", None),
             ("new", None), ("set", "set"), ("close", "set_closed")],
    "process": [("new", None), ("set", "set"), ("first", None), ("close", None)],
    "durable": [("new", None), ("set", "set"), ("first", None), ("close", None),
                ("new", None), ("batch", "batch"), ("first", None), ("close", None)],
}
# What is kept is a rate, but for these.
SECONDS = ("open",)
BYTES = ("size",)
# To the end of close: the operations of the step before it, in the time of both.
UNTIL_CLOSED = {"load_closed": "load", "set_closed": "set"}


class StepFailed(Exception):
    """A store could not do what it was asked to do."""


class Worker:
    """A child process with stores of its own."""

    def __init__(self, python, parameters, environment):
        self.process = subprocess.Popen([python, WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment, text=True)
        self.send(parameters)

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, **command):
        try:
            self.send(command)
            answer = json.loads(self.process.stdout.readline() or "{}")
        except BrokenPipeError:
            answer = {}
        if not answer:
            raise StepFailed(f"the process of {command['store']} ended")
        if "error" in answer:
            raise StepFailed(f"{command['store']}, {command['step']}: {answer['error']}")
        return answer

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def python_of(name):
    """The interpreter that has the store; None where only an environment of its own could have it."""
    if name == Predecessor.NAME:
        return peer_venvs.interpreter("predecessor")
    return peer_venvs.interpreter("peers") or sys.executable


def environment_of(name):
    """What PYTHONPATH names is ours: our predecessor must not find it."""
    environment = dict(os.environ)
    if name == Predecessor.NAME:
        environment.pop("PYTHONPATH", None)
    return environment


class Pair:
    """Ours and a peer, step by step."""

    def __init__(self, peer, parameters):
        self.peer = peer
        self.workers = {Ours.NAME: Worker(python_of(Ours.NAME), parameters, environment_of(Ours.NAME))}
        self.workers[peer] = (Worker(python_of(peer), parameters, environment_of(peer))
                              if python_of(peer) != python_of(Ours.NAME) else self.workers[Ours.NAME])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in set(self.workers.values()):
            worker.stop()

    def version(self, name):
        return self.workers[name].ask(store=name, step="version")["version"]

    def run(self, section, turn, folder):
        """One repetition of a section: what was measured, by workload and store, and the hashes that must agree."""
        measured, hashes, before = {}, {}, {}
        names = [Ours.NAME, self.peer]
        for step, kept_as in SECTIONS[section]:
            turn += 1
            for name in names if turn % 2 else reversed(names):
                path = os.path.join(folder, f"{names.index(name)}-{section}")
                if step == "new":
                    shutil.rmtree(path, ignore_errors=True)
                    os.makedirs(path)
                answer = self.workers[name].ask(store=name, step=step, level=section, path=path)
                if "hash" in answer:
                    hashes.setdefault(step, {})[name] = answer["hash"]
                if kept_as and kept_as not in STORES[name].NOT_MEASURED:
                    measured.setdefault(kept_as, {})[name] = value_of(kept_as, answer, before.get(name))
                before[name] = answer
        for step, found in hashes.items():
            if len(set(found.values())) != 1:
                raise StepFailed(f"{section}, {step}: the records differ: {found}")
        return measured, hashes


def value_of(workload, answer, before):
    """What is kept of an answer: seconds, bytes or operations a second."""
    if workload in SECONDS:
        return answer["seconds"]
    if workload in BYTES:
        return answer["bytes"]
    if workload in UNTIL_CLOSED:
        return before["operations"] / (before["seconds"] + answer["seconds"])
    return answer["operations"] / answer["seconds"]


def summary(values):
    """Median, least and most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "values": values}


def summarised(workload, pairs):
    """Both sides and the ratios of their speeds (more is better for ours), from pairs of (ours, peer)."""
    less_is_better = workload in SECONDS + BYTES
    ratios = [peer / ours if less_is_better else ours / peer for ours, peer in pairs if ours and peer]
    result = {"ours": summary([ours for ours, _ in pairs]), "peer": summary([peer for _, peer in pairs])}
    if ratios:
        result["ratio"] = summary(ratios)
    return result


def measure_peer(peer, options, report):
    """All sections that the peer has, into the report."""
    parameters = {"keys": options.keys, "value_bytes": options.value_bytes, "many": options.many,
                  "seed": options.seed, "limit": options.limit}
    with Pair(peer, parameters) as pair:
        try:
            report["versions"][peer] = pair.version(peer)
        except StepFailed as error:
            report["missing"][peer] = str(error)
            return
        for section in SECTIONS:
            if section in STORES[peer].LEVELS:
                with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                    measure_section(pair, section, options, folder, report)


def measure_section(pair, section, options, folder, report):
    pairs = {}
    for turn in range(options.repetitions):
        measured, hashes = pair.run(section, turn, folder)
        for step, found in hashes.items():
            if report["work"].setdefault(step, found[Ours.NAME]) != found[Ours.NAME]:
                raise StepFailed(f"{section}, {step}: other records than before")
        for workload, found in measured.items():
            if len(found) == 2:
                pairs.setdefault(workload, []).append((found[Ours.NAME], found[pair.peer]))
    for workload, values in pairs.items():
        result = summarised(workload, values)
        report["results"].setdefault(section, {}).setdefault(workload, {})[pair.peer] = result
        print(line(section, workload, pair.peer, result), flush=True)


def line(section, workload, peer, result):
    ours, theirs = result["ours"]["median"], result["peer"]["median"]
    ratio = result.get("ratio")
    spread = f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f})" if ratio else "-"
    return f"{section:8} {workload:12} {peer:15} {theirs:>14,.4g}   ours {ours:>14,.4g}   ratio {spread}"


def syncs_of(name, level):
    """Calls of fsync, fdatasync and msync between the marks around a number of single writes."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "trace")
        place = os.path.join(folder, "store")
        os.mkdir(place)
        subprocess.run(["strace", "-f", "-o", log, "-e", "trace=fsync,fdatasync,msync,kill", python_of(name), WORKER,
                        "--writes", str(TRACED_WRITES), name, level, place],
                       env=environment_of(name), check=True, stdout=subprocess.DEVNULL)
        with open(log, encoding="ascii", errors="replace") as trace:
            calls = trace.readlines()
    before, after = (number for number, call in enumerate(calls) if " kill(" in call)
    # A call that another thread's cuts in two has its result in a line of its own.
    return sum(call.rstrip().endswith("= 0") for call in calls[before + 1:after])


def check_syncs(report):
    """Counts the syncs of every store at the levels that promise something; a durable level has to sync each write."""
    if shutil.which("strace") is None:
        report["syncs"] = "not counted: strace is not installed"
        return
    for name in [Ours.NAME, *report["versions"]]:
        for level in ("durable", "process"):
            if level in STORES[name].LEVELS:
                count = syncs_of(name, level)
                report["syncs"].setdefault(level, {})[name] = count
                if level == "durable" and count < TRACED_WRITES:
                    raise StepFailed(f"{name}: {count} syncs for {TRACED_WRITES} durable writes")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setup", action="store_true", help="make the environments of the peers and end")
    parser.add_argument("--quick", action="store_true", help="a tiny run, to see that all works")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--value-bytes", type=int, default=64)
    parser.add_argument("--many", type=int, default=1_000, help="keys of a get_many, records of a batch")
    parser.add_argument("--repetitions", type=int, default=3, help="pairs of each measurement")
    parser.add_argument("--limit", type=float, default=0.4, help="seconds after which a slow loop is cut off")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="where the files are written (default: the system's)")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=PEERS, metavar="PEER")
    options = parser.parse_args()
    if options.quick:
        options.keys, options.many, options.repetitions, options.limit = 400, 100, 1, 0.02
    return options


def new_report(options):
    return {
        "machine": machine(), "system": platform.platform(),
        "parameters": {name: getattr(options, name) for name in
                       ("keys", "value_bytes", "many", "repetitions", "limit", "seed")},
        "settings": {name: STORES[name].LEVELS for name in [Ours.NAME, *options.only]},
        "versions": {}, "missing": {}, "failed": {}, "syncs": {}, "work": {}, "results": {},
    }


def print_rest(report):
    """What the figures rest on."""
    for name, levels in report["settings"].items():
        for level, words in levels.items():
            print(f"{name}, {level}: {words}")
    print(f"versions: ours {report['ours']}, " + ", ".join(f"{n} {v}" for n, v in report["versions"].items()))
    print(f"syncs of {TRACED_WRITES} single writes: {report['syncs']}")
    for kind in ("missing", "failed"):
        for name, why in report[kind].items():
            print(f"{kind}: {name}: {why}")


def main():
    """Measures peer by peer; 1 where one failed."""
    options = parsed()
    if options.setup:
        for name in ("peers", "predecessor"):
            peer_venvs.set_up(name)
        return 0
    report = new_report(options)
    report["ours"] = Ours.version()
    print(report["machine"])
    print(json.dumps(report["parameters"]))
    for peer in options.only:
        if python_of(peer) is None:
            report["missing"][peer] = "no environment of its own: --setup makes it"
            continue
        try:
            measure_peer(peer, options, report)
        except StepFailed as error:
            report["failed"][peer] = str(error)
    try:
        check_syncs(report)
    except StepFailed as error:
        report["failed"]["syncs"] = str(error)
    print_rest(report)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
