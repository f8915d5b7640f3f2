"""The Promela models of stress/models, and each of them with one rule taken out; and the orderings under
Relacy.

    python3 stress/models.py [--quick] [NAME ...]

A model must hold in all its states, for every configuration named here; with a rule taken out spin must find a
counter-example in one of them.  Prints a line each: states, seconds, verdict.  Needs spin and a C compiler.
--quick leaves out the configurations with the most states.  "orderings" is relacy/orderings.cpp, left out
where Relacy's headers are missing.
"""

import argparse
import concurrent.futures
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

MODELS = pathlib.Path(__file__).resolve().parent / "models"

# The configurations of each model, and whether they are quick; the rules that can be taken out of it.
CONFIGURATIONS = {
    "resize": [("-DSTARTS_ABSENT", True), ("-DSTARTS_ABSENT -DTWO_WRITERS", True),
               ("-DTHREE_CHANGERS", True), ("", False), ("-DTWO_WRITERS", False)],
    "commit": [("-DONE_WRITER", True), ("-DONE_WRITER -DWRITETHROUGH", True),
               ("-DONE_WRITER -DFROZEN", True), ("-DEVICTIONS=1", False),
               ("-DEVICTIONS=1 -DWRITETHROUGH", False)],
}
# Where the counter-example is, if not in the first configuration.
FOUND_IN = {
    "WITHOUT_GOING_ON": "-DTHREE_CHANGERS",
    "WITHOUT_STEP_OVER": "-DONE_WRITER -DFROZEN",
    "WITHOUT_WAIT": "-DONE_WRITER -DWRITETHROUGH",
    "WITHOUT_READER_WAIT": "-DONE_WRITER -DWRITETHROUGH",
    "WITHOUT_SETTLE": "-DEVICTIONS=1",
    "WITHOUT_OWN_VALUE": "-DEVICTIONS=1",
    "WITHOUT_FOLD_LAST": "-DEVICTIONS=1",
}
ORDERINGS = "orderings"
SCHEDULES = {False: "1000000", True: "50000"}
DEPTH = "500000"
MEMORY_MIB = "4000"
TIMEOUT_S = 600


# CTest's, for a test that cannot run here.
SKIPPED = 77


class Failed(Exception):
    """spin or the compiler does not take a model."""


def rules_of(name):
    """The macros that take a rule out, as the head of the model lists them."""
    text = (MODELS / f"{name}.pml").read_text(encoding="utf-8")
    return re.findall(r"^ \*   (WITHOUT_\w+)", text, re.MULTILINE)


def verify(name, defines, optimize="-O1"):
    """The number of counter-examples (0 or 1), of states, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as work:
        for command in (["spin", "-a", *defines, MODELS / f"{name}.pml"],
                        ["cc", optimize, "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"]):
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failed(f"{name} {' '.join(defines)}: {done.stdout}{done.stderr}")
        start = time.monotonic()
        run = subprocess.run(["./pan", f"-m{DEPTH}", "-n"], cwd=work, capture_output=True, text=True,
                             timeout=TIMEOUT_S, check=False)
        seconds = time.monotonic() - start
    errors = re.search(r"errors: (\d+)", run.stdout)
    states = re.search(r"(\S+) states, stored", run.stdout)
    if errors is None or states is None or "max search depth too small" in run.stdout \
            or "out of memory" in run.stdout:
        raise Failed(f"{name} {' '.join(defines)}: the search did not end\n{run.stdout}")
    return int(errors.group(1)), int(float(states.group(1))), seconds


def line(name, what, states, seconds, verdict):
    """Prints a row of the table."""
    print(f"{name:8} {what:34} {states:>10} states {seconds:6.1f} s  {verdict}", flush=True)


def check_configuration(name, defines):
    """Whether the model holds in it."""
    errors, states, seconds = verify(name, defines.split())
    line(name, defines or "as it is", states, seconds, "DOES NOT HOLD" if errors else "holds")
    return (1, 0) if errors == 0 else (0, 1)


def check_rule(name, rule):
    """Whether there is a counter-example without it."""
    configurations = [defines for defines, _ in CONFIGURATIONS[name]]
    for defines in sorted(configurations, key=lambda defines: defines != FOUND_IN.get(rule, configurations[0])):
        # A counter-example is found sooner than a compiler optimizes.
        errors, states, seconds = verify(name, [f"-D{rule}", *defines.split()], "-O0")
        if errors:
            break
    line(name, f"{rule} {defines}", states, seconds,
         "counter-example" if errors else "HOLDS: the model is blind to this rule")
    return (1, 0) if errors else (0, 1)


def check_orderings(quick):
    """How many verdicts of Relacy's were right and how many wrong."""
    with tempfile.TemporaryDirectory() as work:
        program = pathlib.Path(work) / ORDERINGS
        source = MODELS.parent / "relacy" / "orderings.cpp"
        done = subprocess.run(["c++", "-std=c++17", "-O1", "-w", "-o", program, source, "-pthread"],
                              capture_output=True, text=True, check=False)
        if "relacy.hpp: No such file" in done.stderr:
            print("orderings: left out, Relacy is not installed (Debian: relacy-dev)")
            return 0, 0
        if done.returncode != 0:
            raise Failed(f"{source}: {done.stderr}")
        run = subprocess.run([program, SCHEDULES[quick]], capture_output=True, text=True,
                             timeout=TIMEOUT_S, check=False)
    *rows, total = run.stdout.splitlines() or [""]
    print("\n".join(rows))
    counts = re.match(r"(\d+) passed, (\d+) failed", total)
    if counts is None:
        raise Failed(f"{ORDERINGS}: {run.stdout}{run.stderr}")
    return int(counts.group(1)), int(counts.group(2))


def tasks(names, quick):
    """The checks of these models, each of which returns how many verdicts were right and how many wrong."""
    for name in names:
        if name == ORDERINGS:
            yield functools.partial(check_orderings, quick)
            continue
        for defines, is_quick in CONFIGURATIONS[name]:
            if is_quick or not quick:
                yield functools.partial(check_configuration, name, defines)
        for rule in rules_of(name):
            yield functools.partial(check_rule, name, rule)


def main():
    """Parses the options, checks the models and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *CONFIGURATIONS, ORDERINGS])
    options = parser.parse_args()
    if shutil.which("spin") is None:
        print("spin is not installed (Debian: spin)", file=sys.stderr)
        return SKIPPED
    # The longest one first.
    names = options.names or [ORDERINGS, *CONFIGURATIONS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = list(pool.map(lambda task: task(), tasks(names, options.quick)))
    right, wrong = (sum(column) for column in zip(*counts))
    print(f"{right} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, subprocess.TimeoutExpired) as failure:
        sys.exit(str(failure))
