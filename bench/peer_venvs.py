"""The two environments of bench/python_peers.py, below build/: the peers in one, our predecessor in another.

They are made with the interpreter that asks for them, which has to be the one that our extension was built for.
"""

import hashlib
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).parent
VENVS = BENCH.parent / "build" / "peers"
REQUIREMENTS = {"peers": BENCH / "requirements-peers.txt", "predecessor": BENCH / "requirements-predecessor.txt"}


def interpreter(name):
    """The interpreter of the environment, or None where it has not been made."""
    python = VENVS / name / "bin" / "python"
    return str(python) if python.exists() else None


def set_up():
    """Makes what is missing or was made from other requirements."""
    for name, requirements in REQUIREMENTS.items():
        folder = VENVS / name
        stamp = folder / "requirements"
        wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            continue
        print(f"making {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet",
                        "--disable-pip-version-check", "--requirement", requirements], check=True)
        stamp.write_text(wanted)
