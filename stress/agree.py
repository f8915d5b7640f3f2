"""Whether both checkers, ours and Porcupine, say the same of history files.

    python3 stress/agree.py CHECK [FILE ...]

CHECK is the program stress/check of a build; the files default to those of tests/stress/histories.  Needs go,
and Porcupine's module where go does not have it yet.  Files that ours cannot read are for neither.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
VERDICTS = {0: "linearizable", 1: "not linearizable", 2: "undecided"}


def main(program, *paths):
    """Prints the files of which the two think differently; the exit status."""
    paths = [pathlib.Path(path).resolve() for path in paths] or sorted(
        (HERE.parent / "tests" / "stress" / "histories").glob("[!u]*.jsonl"))
    second = subprocess.run(["go", "run", ".", *map(str, paths)], cwd=HERE / "porcupine",
                            stdout=subprocess.PIPE, text=True, check=False)
    opinions = dict(line.rsplit(": ", 1) for line in second.stdout.splitlines())
    differ = 0
    for path in paths:
        first = subprocess.run([program, path], stdout=subprocess.DEVNULL, check=False).returncode
        if VERDICTS[first] != opinions.get(str(path)):
            differ += 1
            print(f"{path.name}: ours says {VERDICTS[first]}, Porcupine {opinions.get(str(path))}")
    print(f"{len(paths)} histories, {differ} of them judged differently")
    return 1 if differ else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
