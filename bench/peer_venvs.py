"""The environments of the benchmarks in Python, below build/: the peers of bench/python_peers.py in one, our predecessor in
another, what draws the plots in a third.

    python bench/peer_venvs.py [--existing] NAME

makes the one of that name and prints its interpreter; with --existing it makes nothing, and fails if it is not there.
They are made with the interpreter that asks for them, which has to be the one that our extension was built for.
"""

import argparse
import hashlib
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).parent
VENVS = BENCH.parent / "build" / "peers"
REQUIREMENTS = {name: BENCH / f"requirements-{name}.txt" for name in ("peers", "predecessor", "plots")}


def interpreter(name):
    """The interpreter of the environment, or None where it has not been made."""
    python = VENVS / name / "bin" / "python"
    return str(python) if python.exists() else None


def set_up(name):
    """Makes the environment if it is missing or was made from other requirements."""
    folder, requirements = VENVS / name, REQUIREMENTS[name]
    stamp = folder / "requirements"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"making {folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet",
                    "--disable-pip-version-check", "--requirement", requirements], check=True)
    stamp.write_text(wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=REQUIREMENTS)
    parser.add_argument("--existing", action="store_true", help="make nothing")
    options = parser.parse_args()
    try:
        if not options.existing:
            set_up(options.name)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"cannot make the environment {options.name}: {error}") from error
    if interpreter(options.name) is None:
        raise SystemExit(1)
    print(interpreter(options.name))


if __name__ == "__main__":
    main()
